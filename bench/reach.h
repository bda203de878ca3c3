/* When the models of a run reach an accuracy, from the snapshots it wrote (node/snapshot.h). */
#ifndef HUBBUB_BENCH_REACH_H
#define HUBBUB_BENCH_REACH_H

#include "model/learner.h"
#include "node/swarm.h"

enum { REACH_FLAGS_MAX = 16 };

struct reach {
    double target;    /* test accuracy */
    uint64_t tick_ms; /* between snapshots */
    struct data_pair data;
    struct model model;
    struct evaluator evaluator;
    float *theta, *mean;
};

/* Seconds from the first tick; NAN: not reached. */
struct reached {
    double mean;  /* by the mean of all models */
    double worst; /* at one tick by each of them */
};

/* Fashion-MNIST, mlp:784-256-128-10. ERR_DATA: it is not there. */
int reach_init(struct reach *r, double target, uint64_t tick_ms, struct error *err) MUST_USE;
void reach_close(struct reach *r);

/* Runs a swarm for so many seconds with the flags of the plan and those of every such run: lr 0.05
 * and constant, no evaluations, snapshots. The results are the caller's to close. */
int reach_swarm(struct reach *r, const struct swarm_plan *plan, double seconds,
                struct swarm_result *results, struct reached *reached, struct error *err) MUST_USE;

/* The same for another program, argv NULL-terminated, "{dir}" in it standing for the folder of the
 * snapshots; n models. ERR_FAILURE: it did not end well. */
int reach_program(struct reach *r, char *const *argv, uint32_t n, struct reached *reached,
                  struct error *err) MUST_USE;

#endif
