/* What `hubbub bench sim` measures beside bare speed: a whole run of many peers, and where the time
 * of a run with a larger model goes. */
#ifndef HUBBUB_BENCH_SIM_WORLDS_H
#define HUBBUB_BENCH_SIM_WORLDS_H

#include "base/error.h"
#include "bench/figures.h"
#include "sim/sim.h"

enum { FIGURES_RUN = 5, FIGURES_PROFILE = 8, FIGURES_MEMORY = 2 };

/* Gossip learning: a sample a peer, drawn with replacement; push to random peers each second;
 * messages that take from a thousandth to a tenth of that. */
int gossip_learning(struct sim_config *c, const char *data, const char *model, uint32_t n_nodes,
                    uint32_t n_threads, struct error *err) MUST_USE;

/* `cycles` of that with the rate falling from lr to 0 along a cosine, beside one learner that has
 * all training samples of the same split and trains until it has converged. */
int run_to_the_end(const char *data, const char *model, double lr, uint32_t n_nodes,
                   uint64_t cycles, struct figure figures[FIGURES_RUN], struct error *err) MUST_USE;

/* n_nodes peers of mlp:784-32-10 on Fashion-MNIST, pairwise, after each `every` steps. */
int profile_mlp(uint32_t n_nodes, uint32_t every, uint64_t cycles,
                struct figure figures[FIGURES_PROFILE], struct error *err) MUST_USE;

/* What a peer of gossip_learning takes of memory, without frames and with them. */
int memory_of_push(const char *data, const char *model, uint32_t n_nodes,
                   struct figure figures[FIGURES_MEMORY], struct error *err) MUST_USE;

#endif
