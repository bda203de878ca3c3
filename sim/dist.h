/* Distributions of lengths of time. Pure; any thread. */
#ifndef HUBBUB_SIM_DIST_H
#define HUBBUB_SIM_DIST_H

#include "base/error.h"
#include "base/rng.h"

#include <stdint.h>

enum dist_kind { DIST_CONST, DIST_UNIFORM, DIST_LOGNORMAL };

struct dist {
    enum dist_kind kind;
    uint64_t low_us, high_us; /* UNIFORM: of all draws; CONST, LOGNORMAL: low is the median */
    double sigma;             /* LOGNORMAL: of the logarithm */
};

/* "const:5ms", "5ms", "uniform:1ms,20ms" or "lognormal:20ms,0.5" (median, sigma). For OPT_CUSTOM:
 * field is a struct dist *. ERR_USAGE. */
int dist_parse(const char *text, void *field, struct error *err) MUST_USE;

/* The longest that is ever drawn; of a log-normal, six sigma. */
uint64_t dist_longest(const struct dist *d);

/* A draw, no less than least_us. At most two blocks of the stream. */
uint64_t dist_draw(const struct dist *d, struct rng *rng, uint64_t least_us);

#endif
