#include "sim/quantile.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint32_t n, double q)
{
    double at = q * (n - 1);
    uint32_t below = (uint32_t)at;
    uint32_t above = below + 1 < n ? below + 1 : below;
    double part = at - below;
    return part > 0 ? sorted[below] + part * (sorted[above] - sorted[below]) : sorted[below];
}

struct quartiles quartiles_of(double *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (isnan(values[i]))
            return (struct quartiles){NAN, NAN, NAN};
    qsort(values, n, sizeof *values, compare);
    return (struct quartiles){quantile(values, n, 0.25), quantile(values, n, 0.5),
                              quantile(values, n, 0.75)};
}
