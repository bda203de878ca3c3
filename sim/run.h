/* One simulation from its start to its result, with evaluations and a line of progress on the way.
 * Main thread. */
#ifndef HUBBUB_SIM_RUN_H
#define HUBBUB_SIM_RUN_H

#include "base/metrics.h"
#include "sim/details.h"
#include "sim/result.h"

/* What was measured when; the first row is the start, where all weights are the same. */
struct series_row {
    uint64_t cycle, virtual_us, node_updates, bytes;
    struct sim_measure measure;
};

struct series {
    uint32_t n, max;
    struct series_row *rows; /* for free() */
};

struct run_options {
    uint64_t eval_every; /* cycles between evaluations; 0: only at the end */
    uint32_t eval_nodes; /* how many are evaluated, at most */
    const char *save;    /* a directory for the models at the end; "": none */
    struct metrics *metrics;
    const char *name;         /* of the run among others, in its metrics; "": it is the only one */
    struct series *series;    /* filled with what the caller frees; NULL: not wanted */
    struct details **details; /* the same */
    bool tell;                /* of each evaluation, also where that is a line of the log */
    bool quiet;               /* evaluate for nobody */
};

/* Errors of sim_open; ERR_FAILURE: a bug of hubbub's, or what cannot be saved; ERR_UNREACHED:
 * training diverged. *result is there (nodes > 0) as soon as the simulation has run, and what else
 * was wanted with it. */
int sim_run(const struct sim_config *config, const struct run_options *options,
            struct sim_result *result, struct error *err) MUST_USE;

#endif
