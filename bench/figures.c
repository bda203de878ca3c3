#include "bench/figures.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double figures_median(const double *x, size_t n)
{
    double *sorted = MEM_NEW(double, n);
    memcpy(sorted, x, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    double median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    free(sorted);
    return median;
}

void figures_print(const struct figure *figures, size_t n, double coarse_from, json_t *json)
{
    for (size_t i = 0; i < n; i++)
        if (json != NULL)
            json_object_set_new(json, figures[i].name, json_real(figures[i].value));
        else
            printf("  %14.*f %-11s %s\n", figures[i].value < coarse_from ? 3 : 0, figures[i].value,
                   figures[i].unit, figures[i].what);
    if (json == NULL)
        return;
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(json);
}
