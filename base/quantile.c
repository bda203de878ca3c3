#include "base/quantile.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void quantile_sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
}

double quantile_of(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < n ? below + 1 : below;
    double part = at - (double)below;
    return part > 0 ? sorted[below] + part * (sorted[above] - sorted[below]) : sorted[below];
}

struct quartiles quartiles_of(double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(values[i]))
            return (struct quartiles){NAN, NAN, NAN};
    quantile_sort(values, n);
    return (struct quartiles){quantile_of(values, n, 0.25), quantile_of(values, n, 0.5),
                              quantile_of(values, n, 0.75)};
}
