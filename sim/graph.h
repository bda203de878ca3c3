/* What a topology is like as a graph. Pure; any thread. */
#ifndef HUBBUB_SIM_GRAPH_H
#define HUBBUB_SIM_GRAPH_H

#include "sim/topology.h"

struct graph_facts {
    uint32_t degree_min, degree_max;
    double degree_mean;
    uint64_t n_edges;       /* of topology_neighbour, each direction for itself */
    bool connected;         /* everybody reaches everybody */
    uint32_t diameter;      /* hops between the two nodes furthest apart; 0 unless connected */
    bool diameter_is_exact; /* else it is at least that: too large to look from every node */
};

/* Breadth-first searches: from one node where all are alike or the furthest is known, else from all
 * of them, or as many, drawn at random, as a few seconds allow. */
struct graph_facts graph_facts(const struct topology *t);

#endif
