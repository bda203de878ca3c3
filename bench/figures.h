/* Figures of a benchmark: their median, and how they are shown. */
#ifndef HUBBUB_BENCH_FIGURES_H
#define HUBBUB_BENCH_FIGURES_H

#include <jansson.h>

#include <stddef.h>

/* Of x[0..n), n >= 1; x stays as it is. The mean of the middle two when n is even. */
double figures_median(const double *x, size_t n);

/* The value that a share q of x[0..n) stays below, 0 <= q <= 1: q = 0.5 is the median. */
double figures_quantile(const double *x, size_t n, double q);

struct figure {
    const char *name, *unit, *what; /* key in JSON; unit and words in the text */
    double value;
    double low, high; /* quartiles; both 0: there are none */
};

/* The median of x[0..n) with its quartiles. */
struct figure figures_of(const double *x, size_t n, const char *name, const char *unit,
                         const char *what);

/* The list on stdout: as lines, with three decimals below `coarse_from`, or, where `json` is not
 * NULL, as more keys of that object (quartiles as NAME_q1, NAME_q3), which is given up. */
void figures_print(const struct figure *figures, size_t n, double coarse_from, json_t *json);

#endif
