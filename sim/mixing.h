/* Mixing matrices: with what weights a node averages its own weights and its neighbours' in a round
 * of a synchronous algorithm, x_i = sum_j W_ij x_j.
 *
 * Rows are functions of (round, node). All are doubly stochastic, so the mean is kept. Two
 * topologies change from round to round, and give 1/2 to oneself and 1/2 to one other node:
 *   one-peer-exponential: i averages with i + 2^(round mod ceil(log2 n)) (Ying et al. 2021,
 *     arXiv 2110.13363); with n = 2^k the rounds of a period multiply to the exact mean
 *   random: a random matching of all nodes; with n odd one is left over
 * Pure; any thread.
 */
#ifndef HUBBUB_SIM_MIXING_H
#define HUBBUB_SIM_MIXING_H

#include "sim/topology.h"

enum mixing_kind {
    MIXING_METROPOLIS, /* W_ij = 1 / (1 + max(d_i, d_j)), the rest to oneself (Metropolis-Hastings;
                          Xiao, Boyd, Kim 2007) */
    MIXING_UNIFORM,    /* the same on every edge: 1 / (1 + the largest degree) */
    N_MIXING_KINDS
};
extern const char *const mixing_kind_names[N_MIXING_KINDS + 1];

struct mixing {
    const struct topology *topology; /* borrowed */
    enum mixing_kind kind;
    uint32_t degree_max; /* of a node in a round */
    uint64_t seed;       /* of random matchings */
};

struct mixing_entry {
    uint32_t node;
    double weight;
};

/* Looks at all degrees. */
void mixing_init(struct mixing *m, const struct topology *t, enum mixing_kind kind, uint64_t seed);

/* Rounds after which the matrices repeat: 1 where there is but one; 0 where they never do. */
uint32_t mixing_period(const struct mixing *m);

/* Row `node` of the round's W, oneself first: at most 1 + degree_max entries. A node may stand in
 * it twice. Returns how many. */
uint32_t mixing_row(const struct mixing *m, uint64_t round, uint32_t node,
                    struct mixing_entry *row);

#endif
