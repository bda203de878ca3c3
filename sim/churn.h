/* When nodes are there: sessions and gaps, as a function of the seed.
 *
 * A node's first start, its crashes and its starts are drawn before the run, so that any thread may
 * ask at any time whether a message will find its receiver; they take 8 bytes each. Immutable after
 * churn_init; any thread.
 */
#ifndef HUBBUB_SIM_CHURN_H
#define HUBBUB_SIM_CHURN_H

#include "base/error.h"
#include "sim/dist.h"

#include <stdbool.h>

#define CHURN_NEVER UINT64_MAX

/* "10s,2s" or "lognormal:60s,1,uniform:1s,5s". For OPT_CUSTOM: field is a struct sessions *. */
struct sessions {
    struct dist session, gap;
    bool set;
};
int sessions_parse(const char *text, void *field, struct error *err) MUST_USE;

/* "30s:10": so many nodes, those with the highest numbers, are not there before. */
struct late {
    uint64_t at_us;
    uint32_t n;
};
int late_parse(const char *text, void *field, struct error *err) MUST_USE;

struct churn_config {
    struct sessions sessions;
    struct late late;
    uint64_t heal_us;      /* no crash from then on, and who is away comes back; 0: never */
    uint64_t least_gap_us; /* longer than any latency: who talked to it knows before it is back */
    uint64_t end_us;       /* of the run */
};

struct churn {
    uint64_t *firsts; /* [n + 1] into times; NULL: all are always there */
    uint64_t *times;  /* a node's starts and crashes in turn, ascending */
};

/* ERR_USAGE: more comes and goes than memory should hold. */
int churn_init(struct churn *c, const struct churn_config *config, uint32_t n, uint64_t seed,
               struct error *err) MUST_USE;
void churn_close(struct churn *c);

/* The first crash or start after now_us. */
uint64_t churn_next_us(const struct churn *c, uint32_t node, uint64_t now_us);

/* Whether it is there (at the moment of a crash: no more), and all the time until to_us. */
bool churn_is_up(const struct churn *c, uint32_t node, uint64_t now_us);
bool churn_stays_up(const struct churn *c, uint32_t node, uint64_t from_us, uint64_t to_us);

/* Since when it is there; CHURN_NEVER: it is not. */
uint64_t churn_since_us(const struct churn *c, uint32_t node, uint64_t now_us);

#endif
