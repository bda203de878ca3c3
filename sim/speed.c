#include "sim/speed.h"

#include "base/check.h"
#include "base/parse.h"
#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int speed_parse(const char *text, void *field, struct error *err)
{
    struct speed *s = field,
                 read = {.step_us = s->step_us, .pace_us = s->pace_us, .n_nodes = s->n_nodes};
    char copy[64];
    snprintf(copy, sizeof copy, "%s", text);
    char *rest = copy, *name = strsep(&rest, ":");
    bool good = false;
    if (strcmp(name, "const") == 0) {
        good = rest == NULL;
    } else if (strcmp(name, "lognormal") == 0 && rest != NULL) {
        read.kind = SPEED_LOGNORMAL;
        good = parse_f64(rest, &read.sigma) && read.sigma >= 0 && read.sigma <= 5;
    } else if (strcmp(name, "stragglers") == 0 && rest != NULL) {
        read.kind = SPEED_STRAGGLERS;
        char *fraction = strsep(&rest, ",");
        size_t n = rest != NULL ? strlen(rest) : 0;
        if (n > 0 && rest[n - 1] == 'x')
            rest[n - 1] = '\0';
        good = n > 0 && parse_f64(fraction, &read.fraction) && read.fraction >= 0 &&
               read.fraction <= 1 && parse_f64(rest, &read.factor) && read.factor >= 1 &&
               read.factor <= 1e6;
    }
    if (!good)
        return error_set(err, ERR_USAGE,
                         "'%.60s' is not const, lognormal:SIGMA or stragglers:FRACTION,FACTORx, "
                         "such as stragglers:0.1,4x",
                         text);
    *s = read;
    return 0;
}

/* Which nodes are slow is drawn, not how many. */
static bool is_straggler(const struct speed *s, uint64_t seed, uint32_t node)
{
    CHECK(node < s->n_nodes);
    struct rng rng = rng_stream(seed, 0, RNG_SPEED);
    struct rng_permutation order = rng_permutation(&rng, s->n_nodes);
    return rng_permute(&order, node) < llround(s->fraction * s->n_nodes);
}

static double factor_of(const struct speed *s, uint64_t seed, uint32_t node)
{
    struct rng rng = rng_stream(seed, node, RNG_SPEED);
    switch (s->kind) {
    case SPEED_CONST:
        break;
    case SPEED_LOGNORMAL:
        return exp(s->sigma * rng_normal(&rng));
    case SPEED_STRAGGLERS:
        return is_straggler(s, seed, node) ? s->factor : 1;
    }
    return 1;
}

uint64_t speed_nominal_us(const struct speed *s)
{
    return s->pace_us > s->step_us ? s->pace_us : s->step_us;
}

uint64_t speed_step_us(const struct speed *s, uint64_t seed, uint32_t node)
{
    if (s->kind == SPEED_CONST)
        return speed_nominal_us(s);
    return (uint64_t)llround((double)speed_nominal_us(s) * factor_of(s, seed, node));
}

uint64_t speed_rest_us(const struct speed *s, uint64_t seed, uint32_t node)
{
    uint64_t step_us = s->step_us > 0 ? s->step_us : 1;
    if (s->pace_us <= step_us)
        return 0;
    return (uint64_t)llround((double)(s->pace_us - step_us) * fmin(factor_of(s, seed, node), 1));
}

double speed_steps_a_us(const struct speed *s, uint64_t seed, uint32_t node)
{
    uint64_t us = speed_step_us(s, seed, node);
    return 1 / (double)(us > 0 ? us : 1);
}
