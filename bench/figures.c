#include "bench/figures.h"

#include "base/mem.h"
#include "base/quantile.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double figures_quantile(const double *x, size_t n, double q)
{
    double *sorted = MEM_NEW(double, n);
    memcpy(sorted, x, n * sizeof *sorted);
    quantile_sort(sorted, n);
    double value = quantile_of(sorted, n, q);
    free(sorted);
    return value;
}

double figures_median(const double *x, size_t n)
{
    return figures_quantile(x, n, 0.5);
}

struct figure figures_of(const double *x, size_t n, const char *name, const char *unit,
                         const char *what)
{
    return (struct figure){.name = name,
                           .unit = unit,
                           .what = what,
                           .value = figures_median(x, n),
                           .low = figures_quantile(x, n, 0.25),
                           .high = figures_quantile(x, n, 0.75)};
}

static void set(json_t *json, const char *name, const char *suffix, double value)
{
    char key[96];
    snprintf(key, sizeof key, "%s%s", name, suffix);
    json_object_set_new(json, key, json_real(value));
}

void figures_print(const struct figure *figures, size_t n, double coarse_from, json_t *json)
{
    for (const struct figure *f = figures; f < figures + n; f++) {
        bool has_quartiles = f->low != 0 || f->high != 0;
        if (json != NULL) {
            set(json, f->name, "", f->value);
            if (has_quartiles) {
                set(json, f->name, "_q1", f->low);
                set(json, f->name, "_q3", f->high);
            }
            continue;
        }
        printf("  %14.*f %-11s %s", f->value < coarse_from ? 3 : 0, f->value, f->unit, f->what);
        if (has_quartiles)
            printf(" (%.3f to %.3f)", f->low, f->high);
        putchar('\n');
    }
    if (json == NULL)
        return;
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(json);
}
