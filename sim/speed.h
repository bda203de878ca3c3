/* How long a step takes, in virtual time. Pure; any thread. */
#ifndef HUBBUB_SIM_SPEED_H
#define HUBBUB_SIM_SPEED_H

#include "base/error.h"

#include <stdint.h>

enum speed_kind { SPEED_CONST, SPEED_LOGNORMAL, SPEED_STRAGGLERS };

struct speed {
    enum speed_kind kind;
    double sigma; /* LOGNORMAL: of the logarithm of a node's factor, median 1 */
    double fraction,
        factor;       /* STRAGGLERS: so many of all nodes, rounded, are so many times slower */
    uint64_t step_us; /* computing, of a node whose factor is 1 */
    uint64_t pace_us; /* the least time a step of such a node takes; 0: none */
    uint32_t n_nodes; /* of the run */
};

/* "const", "lognormal:0.5" or "stragglers:0.1,4x". For OPT_CUSTOM: field is a struct speed *, whose
 * step_us, pace_us and n_nodes are left as they are. ERR_USAGE. */
int speed_parse(const char *text, void *field, struct error *err) MUST_USE;

/* A step of a node whose factor is 1: as long as it computes, or the pace. */
uint64_t speed_nominal_us(const struct speed *s);

/* Of a step of that node; drawn once for all its steps. As `hubbub node --pace --slow`: the nominal
 * step times its factor; of that it computes, and then rests for what the pace leaves of a step of
 * its own (a slow node has no longer rests than others: being slow is like computing). */
uint64_t speed_step_us(const struct speed *s, uint64_t seed, uint32_t node);
uint64_t speed_rest_us(const struct speed *s, uint64_t seed, uint32_t node);

/* No step is shorter than a microsecond. */
double speed_steps_a_us(const struct speed *s, uint64_t seed, uint32_t node);

#endif
