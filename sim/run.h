/* One simulation from its start to its result: cycle by cycle, with evaluations and a line of
 * progress on the way. Main thread. */
#ifndef HUBBUB_SIM_RUN_H
#define HUBBUB_SIM_RUN_H

#include "base/metrics.h"
#include "sim/result.h"

struct run_options {
    uint64_t eval_every; /* cycles between evaluations; 0: only at the end */
    uint32_t eval_nodes; /* how many are evaluated, at most */
    const char *save;    /* a directory for the models at the end; "": none */
    struct metrics *metrics;
    bool quiet;
};

/* Errors of sim_open; ERR_FAILURE: a bug of hubbub's, or what cannot be saved; ERR_UNREACHED:
 * training diverged. *result is there (nodes > 0) as soon as the simulation has run. */
int sim_run(const struct sim_config *config, const struct run_options *options,
            struct sim_result *result, struct error *err) MUST_USE;

#endif
