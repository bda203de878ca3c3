/* Synchronous algorithms over the same nodes, data and learners as the gossip engine: all nodes do
 * the same at the same time, round after round, and each round waits for its slowest node and its
 * slowest message. Between the parts of the simulator; one thread at a time calls.
 *
 *   dpsgd      N local steps and one product with the mixing matrix (Lian et al. 2017, arXiv
 *              1705.09056): adapt-then-combine X <- W (X - eta G), or combine-then-adapt
 *              X <- W X - eta G, G at X in both
 *   allreduce  one step of every node along the mean of all nodes' gradients
 *   local      N local steps, nothing is sent
 */
#ifndef HUBBUB_SIM_ROUNDS_H
#define HUBBUB_SIM_ROUNDS_H

#include "sim/sim.h"

struct rounds;

/* Whether the configuration makes sense for a synchronous algorithm. ERR_USAGE. */
int rounds_check(const struct sim_config *c, struct error *err) MUST_USE;

/* With the sim's nodes, split, topology and team in place. */
struct rounds *rounds_new(struct sim *s);
void rounds_free(struct rounds *r);

/* Until so many rounds are done since the start; moves the sim's time to the end of the last. */
void rounds_run(struct rounds *r, uint64_t n_rounds);
uint64_t rounds_done(const struct rounds *r);
uint64_t rounds_steps(const struct rounds *r, uint32_t node);

struct sim_totals rounds_totals(const struct rounds *r);

/* Of a node, beyond weights and optimiser. */
uint64_t rounds_node_bytes(const struct rounds *r);

#endif
