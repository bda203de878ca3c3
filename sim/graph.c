#include "sim/graph.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define VISITS_MAX UINT64_C(200000000) /* of edges, in all searches together */
#define LISTED_MAX (UINT64_C(1) << 27)

/* Searches so far, and what they need. */
struct search {
    uint32_t *queue, *hops; /* [n] */
    uint64_t n_visits;      /* of edges */
};

/* Hops from a node to the one furthest away; UINT32_MAX: not all are reached. */
static uint32_t eccentricity(const struct topology *t, uint32_t from, struct search *s)
{
    uint32_t n = 1;
    memset(s->hops, 0xff, t->n * sizeof *s->hops);
    s->queue[0] = from;
    s->hops[from] = 0;
    for (uint32_t at = 0; at < n && n < t->n; at++) {
        uint32_t node = s->queue[at], degree = topology_degree(t, node), k = 0;
        for (; k < degree && n < t->n; k++) {
            uint32_t other = topology_neighbour(t, node, k);
            if (s->hops[other] == UINT32_MAX) {
                s->hops[other] = s->hops[node] + 1;
                s->queue[n++] = other;
            }
        }
        s->n_visits += 1 + k;
    }
    return n == t->n ? s->hops[s->queue[n - 1]] : UINT32_MAX;
}

/* A regular graph is made of permutations, which are slow to walk: the same graph as lists. */
static bool flatten(const struct topology *t, uint64_t n_edges, struct topology *flat)
{
    if (t->kind != TOPOLOGY_REGULAR || n_edges > LISTED_MAX)
        return false;
    *flat = (struct topology){.kind = TOPOLOGY_FILE,
                              .n = t->n,
                              .edges = MEM_NEW(uint32_t, n_edges),
                              .starts = MEM_NEW(uint64_t, (size_t)t->n + 1)};
    for (uint32_t node = 0; node < t->n; node++) {
        flat->starts[node + 1] = flat->starts[node] + t->degree;
        for (uint32_t k = 0; k < t->degree; k++)
            flat->edges[flat->starts[node] + k] = topology_neighbour(t, node, k);
    }
    return true;
}

/* All nodes of these are alike, but for the ends of a path and the centre of a star; the last one
 * is an end, or no centre. */
static bool last_is_furthest(enum topology_kind kind)
{
    return kind < TOPOLOGY_REGULAR;
}

/* In a random order, as it may be cut short. */
static void measure_distances(const struct topology *t, struct graph_facts *f)
{
    struct search s = {MEM_NEW(uint32_t, t->n), MEM_NEW(uint32_t, t->n), 0};
    struct rng rng = rng_stream(1, 0, RNG_TOPOLOGY);
    struct rng_permutation order = rng_permutation(&rng, t->n);
    uint32_t n = last_is_furthest(t->kind) ? 1 : t->n, i = 0;
    f->connected = true;
    for (; i < n && f->connected && s.n_visits < VISITS_MAX; i++) {
        uint32_t furthest = eccentricity(t, n == 1 ? t->n - 1 : rng_permute(&order, i), &s);
        f->connected = furthest != UINT32_MAX;
        if (furthest > f->diameter)
            f->diameter = furthest;
    }
    f->diameter_is_exact = i == n || !f->connected;
    if (!f->connected)
        f->diameter = 0;
    free(s.queue);
    free(s.hops);
}

struct graph_facts graph_facts(const struct topology *t)
{
    struct graph_facts f = {.degree_min = UINT32_MAX};
    for (uint32_t node = 0; node < t->n; node++) {
        uint32_t degree = topology_degree(t, node);
        f.n_edges += degree;
        f.degree_min = degree < f.degree_min ? degree : f.degree_min;
        f.degree_max = degree > f.degree_max ? degree : f.degree_max;
    }
    f.degree_mean = (double)f.n_edges / t->n;
    struct topology flat;
    bool flattened = flatten(t, f.n_edges, &flat);
    measure_distances(flattened ? &flat : t, &f);
    if (flattened)
        topology_close(&flat);
    return f;
}
