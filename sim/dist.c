#include "sim/dist.h"

#include "base/parse.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int misunderstood(const char *text, struct error *err)
{
    return error_set(
        err, ERR_USAGE,
        "'%.100s' is not const:TIME, uniform:TIME,TIME or lognormal:MEDIAN,SIGMA, such "
        "as const:5ms or lognormal:20ms,0.5",
        text);
}

int dist_parse(const char *text, void *field, struct error *err)
{
    static const char *const names[] = {"const", "uniform", "lognormal"};
    struct dist *d = field;
    char copy[100];
    *d = (struct dist){.kind = DIST_CONST};
    if (parse_duration(text, &d->low_us))
        return 0;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return misunderstood(text, err);
    char *rest = copy, *name = strsep(&rest, ":"), *first = strsep(&rest, ",");
    size_t kind = parse_choice(name, names, 3);
    if (kind == 3 || first == NULL || !parse_duration(first, &d->low_us) ||
        (rest != NULL) != (kind != DIST_CONST))
        return misunderstood(text, err);
    d->kind = (enum dist_kind)kind;
    if (kind == DIST_UNIFORM && (!parse_duration(rest, &d->high_us) || d->high_us < d->low_us))
        return misunderstood(text, err);
    if (kind == DIST_LOGNORMAL &&
        (!parse_f64(rest, &d->sigma) || d->sigma < 0 || d->sigma > 10 || d->low_us == 0))
        return misunderstood(text, err);
    return 0;
}

/* x in [0, n] without the modulo's bias beyond 2^-64 n. */
static uint64_t up_to(struct rng *rng, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rng_u64(rng) * ((unsigned __int128)n + 1)) >> 64);
}

uint64_t dist_longest(const struct dist *d)
{
    enum { SIGMAS = 6 };
    switch (d->kind) {
    case DIST_CONST:
        return d->low_us;
    case DIST_UNIFORM:
        return d->high_us;
    case DIST_LOGNORMAL:
        return (uint64_t)fmin((double)d->low_us * exp(SIGMAS * d->sigma), 1e15);
    }
    return 0;
}

uint64_t dist_draw(const struct dist *d, struct rng *rng, uint64_t least_us)
{
    uint64_t us = d->low_us;
    if (d->kind == DIST_UNIFORM)
        us += up_to(rng, d->high_us - d->low_us);
    if (d->kind == DIST_LOGNORMAL) {
        double x = (double)us * exp(d->sigma * rng_normal(rng));
        us = x < 1e15 && (uint64_t)x < dist_longest(d) ? (uint64_t)x : dist_longest(d);
    }
    return us > least_us ? us : least_us;
}
