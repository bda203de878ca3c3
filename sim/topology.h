/* Topologies: who is whose neighbour, as functions of (node, k). Pure; any thread.
 *
 * ring, path, torus, hypercube, complete, star, exponential, regular and random take no memory.
 * er, smallworld and file keep a list of edges.
 */
#ifndef HUBBUB_SIM_TOPOLOGY_H
#define HUBBUB_SIM_TOPOLOGY_H

#include "base/error.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

enum topology_kind {
    TOPOLOGY_RANDOM,   /* uniform over everyone, another one each time */
    TOPOLOGY_COMPLETE, /* the same neighbours, all of them at once */
    TOPOLOGY_RING,
    TOPOLOGY_PATH,
    TOPOLOGY_TORUS,       /* rows x columns, as square as n allows */
    TOPOLOGY_HYPERCUBE,   /* n a power of two */
    TOPOLOGY_STAR,        /* around node 0 */
    TOPOLOGY_EXPONENTIAL, /* i to i + 2^k mod n (Ying et al. 2021, "Exponential graph is provably
                             efficient for decentralized deep training") */
    TOPOLOGY_ONE_PEER_EXPONENTIAL, /* the same, one k a round */
    TOPOLOGY_REGULAR,    /* regular:d: d/2 random cycles through all nodes, for odd d (n even) and a
                            random matching; a pair may be drawn twice */
    TOPOLOGY_ER,         /* er:p: each pair with probability p (Erdos and Renyi 1959) */
    TOPOLOGY_SMALLWORLD, /* smallworld:k,p: a ring to the k/2 next on each side, every edge rewired
                            with probability p (Watts and Strogatz 1998) */
    TOPOLOGY_FILE,       /* file:F: a line "a b" an edge, nodes from 0, # comments */
    N_TOPOLOGIES
};

struct topology {
    enum topology_kind kind;
    uint32_t n;
    uint32_t columns;                  /* torus */
    uint32_t degree;                   /* hypercube, exponential: log2 n; regular, smallworld */
    struct rng_permutation cycles[32]; /* regular */
    uint32_t *edges;                   /* er, smallworld, file: neighbours, node after node */
    uint64_t *starts;                  /* [n + 1], into edges */
};

/* ERR_USAGE: not understood, or not for n nodes; ERR_DATA: the file. */
int topology_init(struct topology *t, const char *spec, uint32_t n, uint64_t seed,
                  struct error *err) MUST_USE;
void topology_close(struct topology *t);

/* Neighbours of a node. Where edges have a direction (exponential), those it sends to. */
uint32_t topology_degree(const struct topology *t, uint32_t node);

/* Number k < topology_degree of them. */
uint32_t topology_neighbour(const struct topology *t, uint32_t node, uint32_t k);

#endif
