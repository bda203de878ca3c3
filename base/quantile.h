/* Quantiles of a few values. Pure; any thread. */
#ifndef HUBBUB_BASE_QUANTILE_H
#define HUBBUB_BASE_QUANTILE_H

#include <stddef.h>

/* Ascending, in place; none is NaN. */
void quantile_sort(double *values, size_t n);

/* Of sorted values [n], n > 0: what a share q of them stays below, 0 <= q <= 1; between two values
 * it is interpolated (Hyndman and Fan 1996, definition 7). */
double quantile_of(const double *sorted, size_t n, double q);

struct quartiles {
    double q1, median, q3;
};

/* Of values [n], n > 0, which are sorted in place. All NaN where one value is NaN. */
struct quartiles quartiles_of(double *values, size_t n);

#endif
