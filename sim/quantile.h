/* Quantiles of a few values. Pure; any thread. */
#ifndef HUBBUB_SIM_QUANTILE_H
#define HUBBUB_SIM_QUANTILE_H

#include <stdint.h>

struct quartiles {
    double q1, median, q3;
};

/* Of values [n], n > 0, which are sorted in place. Between two values a quantile is interpolated
 * (Hyndman and Fan 1996, definition 7). All NaN where one value is NaN. */
struct quartiles quartiles_of(double *values, uint32_t n);

#endif
