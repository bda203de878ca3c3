#include "sim/mixing.h"

#include <stddef.h>

const char *const mixing_kind_names[N_MIXING_KINDS + 1] = {"metropolis", "uniform", NULL};

void mixing_init(struct mixing *m, const struct topology *t, enum mixing_kind kind, uint64_t seed)
{
    *m = (struct mixing){.topology = t, .kind = kind, .degree_max = 1, .seed = seed};
    if (mixing_period(m) != 1)
        return;
    for (uint32_t node = 0; node < t->n; node++) {
        uint32_t degree = topology_degree(t, node);
        m->degree_max = degree > m->degree_max ? degree : m->degree_max;
    }
}

uint32_t mixing_period(const struct mixing *m)
{
    switch (m->topology->kind) {
    case TOPOLOGY_RANDOM:
        return 0;
    case TOPOLOGY_ONE_PEER_EXPONENTIAL:
        return m->topology->degree;
    case TOPOLOGY_COMPLETE:
    case TOPOLOGY_RING:
    case TOPOLOGY_PATH:
    case TOPOLOGY_TORUS:
    case TOPOLOGY_HYPERCUBE:
    case TOPOLOGY_STAR:
    case TOPOLOGY_EXPONENTIAL:
    case TOPOLOGY_REGULAR:
    case TOPOLOGY_ER:
    case TOPOLOGY_SMALLWORLD:
    case TOPOLOGY_FILE:
    case N_TOPOLOGIES:
        break;
    }
    return 1;
}

/* The node that this one averages with in a round of a topology that changes; itself: nobody. */
static uint32_t partner(const struct mixing *m, uint64_t round, uint32_t node)
{
    const struct topology *t = m->topology;
    if (t->kind == TOPOLOGY_ONE_PEER_EXPONENTIAL)
        return topology_neighbour(t, node, (uint32_t)(round % t->degree));
    struct rng rng = rng_stream(m->seed, (uint32_t)round, RNG_TOPOLOGY);
    struct rng_permutation order = rng_permutation(&rng, t->n);
    uint32_t other = rng_permute(&order, node) ^ 1;
    return other < t->n ? rng_permute_back(&order, other) : node;
}

uint32_t mixing_row(const struct mixing *m, uint64_t round, uint32_t node, struct mixing_entry *row)
{
    const struct topology *t = m->topology;
    if (mixing_period(m) != 1) {
        uint32_t other = partner(m, round, node);
        row[0] = (struct mixing_entry){.node = node, .weight = other == node ? 1 : 0.5};
        row[1] = (struct mixing_entry){.node = other, .weight = 0.5};
        return other == node ? 1 : 2;
    }
    uint32_t degree = topology_degree(t, node);
    double rest = 1;
    for (uint32_t k = 0; k < degree; k++) {
        uint32_t other = topology_neighbour(t, node, k), larger = m->degree_max;
        if (m->kind == MIXING_METROPOLIS) {
            uint32_t theirs = topology_degree(t, other);
            larger = theirs > degree ? theirs : degree;
        }
        double weight = 1 / (1 + (double)larger);
        row[1 + k] = (struct mixing_entry){.node = other, .weight = weight};
        rest -= weight;
    }
    row[0] = (struct mixing_entry){.node = node, .weight = rest};
    return 1 + degree;
}
