#include "sim/topology.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[N_TOPOLOGIES] = {"random",  "complete",    "ring",
                                                "path",    "torus",       "hypercube",
                                                "star",    "exponential", "one-peer-exponential",
                                                "regular", "er",          "smallworld",
                                                "file"};

enum { CYCLES_MAX = 32, DEGREE_MAX = 2 * CYCLES_MAX - 2 };

#define EDGES_MAX (UINT64_C(1) << 31)

/* ---- lists of edges ------------------------------------------------------------------------ */

struct edge_list {
    uint32_t (*pairs)[2];
    uint64_t n, max;
};

static void add_edge(struct edge_list *list, uint32_t a, uint32_t b)
{
    if (list->n == list->max) {
        list->max = list->max > 0 ? 2 * list->max : 1024;
        void *grown = realloc(list->pairs, list->max * sizeof *list->pairs);
        if (grown == NULL)
            abort();
        list->pairs = grown;
    }
    list->pairs[list->n][0] = a;
    list->pairs[list->n++][1] = b;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Each node's neighbours in ascending order, none twice. */
static void make_lists(struct topology *t, struct edge_list *list)
{
    t->starts = MEM_NEW(uint64_t, (size_t)t->n + 2);
    t->edges = MEM_NEW(uint32_t, 2 * list->n + 1);
    uint64_t *next = t->starts + 1; /* ends up one node behind */
    for (uint64_t i = 0; i < list->n; i++)
        for (int side = 0; side < 2; side++)
            next[list->pairs[i][side] + 1]++;
    for (uint32_t node = 0; node < t->n; node++)
        next[node + 1] += next[node];
    for (uint64_t i = 0; i < list->n; i++)
        for (int side = 0; side < 2; side++)
            t->edges[next[list->pairs[i][side]]++] = list->pairs[i][1 - side];
    uint64_t kept = 0;
    for (uint32_t node = 0; node < t->n; node++) {
        uint64_t from = t->starts[node], to = t->starts[node + 1];
        qsort(t->edges + from, to - from, sizeof *t->edges, compare_u32);
        t->starts[node] = kept;
        for (uint64_t i = from; i < to; i++)
            if (i == from || t->edges[i] != t->edges[i - 1])
                t->edges[kept++] = t->edges[i];
    }
    t->starts[t->n] = kept;
    free(list->pairs);
}

/* Walks the pairs (a < b) in order, skipping the geometric number that are not drawn (Batagelj and
 * Brandes 2005). */
static int make_er(struct topology *t, double p, uint64_t seed, struct error *err)
{
    double expected = p * (double)t->n * ((double)t->n - 1) / 2;
    if (expected > (double)EDGES_MAX)
        return error_set(err, ERR_USAGE,
                         "er:%g of %" PRIu32 " nodes has %.3g edges (right: at most "
                         "%.3g)",
                         p, t->n, expected, (double)EDGES_MAX);
    struct edge_list list = {0};
    struct rng rng = rng_stream(seed, 0, RNG_TOPOLOGY);
    uint64_t a = 0, b = 0;
    while (p > 0) {
        double u = 1.0 - rng_uniform(&rng);
        double skip = p < 1 ? floor(log(u) / log1p(-p)) : 0;
        b += 1 + (skip < 1e18 ? (uint64_t)skip : UINT64_C(1000000000000000000));
        while (a + 1 < t->n && b >= t->n) {
            b = b - t->n + a + 2; /* the row of a + 1 starts at its own next */
            a++;
        }
        if (a + 1 >= t->n)
            break;
        add_edge(&list, (uint32_t)a, (uint32_t)b);
    }
    make_lists(t, &list);
    return 0;
}

static void make_smallworld(struct topology *t, double p, uint64_t seed)
{
    struct edge_list list = {0};
    struct rng rng = rng_stream(seed, 0, RNG_TOPOLOGY);
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t k = 1; k <= t->degree / 2; k++) {
            uint32_t other = (uint32_t)(((uint64_t)i + k) % t->n);
            if (rng_uniform(&rng) < p)
                other = (uint32_t)(((uint64_t)i + 1 + rng_below(&rng, t->n - 1)) % t->n);
            add_edge(&list, i, other);
        }
    make_lists(t, &list);
}

static int read_file(struct topology *t, const char *path, struct error *err)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return error_set(err, ERR_DATA, "%s: cannot be read: %m", path);
    struct edge_list list = {0};
    char line[256];
    int rc = 0;
    for (uint64_t number = 1; rc == 0 && fgets(line, sizeof line, f) != NULL; number++) {
        char *rest = line + strspn(line, " \t"), *first = strsep(&rest, " \t\n");
        rest = rest != NULL ? rest + strspn(rest, " \t") : NULL;
        char *second = rest != NULL ? strsep(&rest, " \t\n#") : NULL;
        uint64_t a, b;
        if (first == NULL || first[0] == '\0' || first[0] == '#')
            continue;
        if (second == NULL || !parse_u64(first, &a) || !parse_u64(second, &b) || a >= t->n ||
            b >= t->n || a == b || list.n == EDGES_MAX)
            rc = error_set(err, ERR_DATA,
                           "%s:%" PRIu64 ": not an edge between two of the nodes 0 to %" PRIu32
                           ", such as \"0 1\"",
                           path, number, t->n - 1);
        else
            add_edge(&list, (uint32_t)a, (uint32_t)b);
    }
    fclose(f);
    if (rc != 0)
        free(list.pairs);
    else
        make_lists(t, &list);
    return rc;
}

/* ---- the start ----------------------------------------------------------------------------- */

static uint32_t log2_up(uint32_t n)
{
    uint32_t k = 0;
    while (k < 32 && UINT64_C(1) << k < n)
        k++;
    return k;
}

/* The largest divisor of n that is at most its root. */
static uint32_t most_square(uint32_t n)
{
    uint32_t rows = 1;
    for (uint32_t r = 1; (uint64_t)r * r <= n; r++)
        if (n % r == 0)
            rows = r;
    return rows;
}

static int init_regular(struct topology *t, uint64_t seed, struct error *err)
{
    if (t->degree < 1 || t->degree > DEGREE_MAX || t->degree >= t->n ||
        (t->degree % 2 == 1 && t->n % 2 == 1))
        return error_set(err, ERR_USAGE,
                         "no regular:%" PRIu32 " of %" PRIu32
                         " nodes (right: 1 to %d, fewer than nodes, and one of both even)",
                         t->degree, t->n, DEGREE_MAX);
    for (uint32_t c = 0; c < (t->degree + 1) / 2; c++) {
        struct rng rng = rng_stream(seed, c, RNG_TOPOLOGY);
        t->cycles[c] = rng_permutation(&rng, t->n);
    }
    return 0;
}

static int misunderstood(const char *spec, struct error *err)
{
    return error_set(err, ERR_USAGE,
                     "no topology '%.100s' (right: random, complete, ring, path, torus, hypercube, "
                     "star, exponential, one-peer-exponential, regular:d, er:p, smallworld:k,p, "
                     "file:F)",
                     spec);
}

int topology_init(struct topology *t, const char *spec, uint32_t n, uint64_t seed,
                  struct error *err)
{
    *t = (struct topology){.n = n};
    char name[32];
    const char *colon = strchr(spec, ':'), *arg = colon != NULL ? colon + 1 : NULL;
    snprintf(name, sizeof name, "%.*s", (int)(colon != NULL ? colon - spec : 31), spec);
    t->kind = (enum topology_kind)parse_choice(name, names, N_TOPOLOGIES);
    if (t->kind == N_TOPOLOGIES || (arg != NULL) != (t->kind >= TOPOLOGY_REGULAR))
        return misunderstood(spec, err);
    double p = 0;
    uint64_t k = 0;
    char first[32] = "";
    const char *comma = arg != NULL ? strchr(arg, ',') : NULL;
    switch (t->kind) {
    case TOPOLOGY_TORUS:
        t->columns = n / most_square(n);
        return 0;
    case TOPOLOGY_HYPERCUBE:
        t->degree = log2_up(n);
        if (n != UINT64_C(1) << t->degree)
            return error_set(err, ERR_USAGE,
                             "no hypercube of %" PRIu32 " nodes (right: a power of two)", n);
        return 0;
    case TOPOLOGY_EXPONENTIAL:
    case TOPOLOGY_ONE_PEER_EXPONENTIAL:
        t->degree = log2_up(n);
        return 0;
    case TOPOLOGY_REGULAR:
        if (!parse_u64(arg, &k) || k > UINT32_MAX)
            return misunderstood(spec, err);
        t->degree = (uint32_t)k;
        return init_regular(t, seed, err);
    case TOPOLOGY_ER:
        if (!parse_f64(arg, &p) || p < 0 || p > 1)
            return misunderstood(spec, err);
        return make_er(t, p, seed, err);
    case TOPOLOGY_SMALLWORLD:
        snprintf(first, sizeof first, "%.*s", (int)(comma != NULL ? comma - arg : 0), arg);
        if (!parse_u64(first, &k) || k < 2 || k % 2 != 0 || k >= n ||
            (uint64_t)n * k > 2 * EDGES_MAX || !parse_f64(comma + 1, &p) || p < 0 || p > 1)
            return error_set(err, ERR_USAGE,
                             "'%.100s' is not smallworld:k,p with an even k below "
                             "the number of nodes and p from 0 to 1",
                             spec);
        t->degree = (uint32_t)k;
        make_smallworld(t, p, seed);
        return 0;
    case TOPOLOGY_FILE:
        return read_file(t, arg, err);
    case TOPOLOGY_RANDOM:
    case TOPOLOGY_COMPLETE:
    case TOPOLOGY_RING:
    case TOPOLOGY_PATH:
    case TOPOLOGY_STAR:
    case N_TOPOLOGIES:
        break;
    }
    return 0;
}

void topology_close(struct topology *t)
{
    free(t->edges);
    free(t->starts);
    *t = (struct topology){0};
}

/* ---- neighbours ---------------------------------------------------------------------------- */

/* On a cycle of n: the next, then the one before; of two nodes each has but one. */
static uint32_t cycle_degree(uint32_t n)
{
    return n > 2 ? 2 : n - 1;
}

static uint32_t cycle_step(uint32_t at, uint32_t k, uint32_t n)
{
    return k == 0 ? (at + 1 < n ? at + 1 : 0) : (at > 0 ? at - 1 : n - 1);
}

uint32_t topology_degree(const struct topology *t, uint32_t node)
{
    switch (t->kind) {
    case TOPOLOGY_RANDOM:
    case TOPOLOGY_COMPLETE:
        return t->n - 1;
    case TOPOLOGY_RING:
        return cycle_degree(t->n);
    case TOPOLOGY_PATH:
        return (uint32_t)(node > 0) + (node + 1 < t->n);
    case TOPOLOGY_TORUS:
        return cycle_degree(t->columns) + cycle_degree(t->n / t->columns);
    case TOPOLOGY_STAR:
        return node == 0 ? t->n - 1 : 1;
    case TOPOLOGY_HYPERCUBE:
    case TOPOLOGY_EXPONENTIAL:
    case TOPOLOGY_ONE_PEER_EXPONENTIAL:
    case TOPOLOGY_REGULAR:
        return t->degree;
    case TOPOLOGY_ER:
    case TOPOLOGY_SMALLWORLD:
    case TOPOLOGY_FILE:
        return (uint32_t)(t->starts[node + 1] - t->starts[node]);
    case N_TOPOLOGIES:
        break;
    }
    return 0;
}

static uint32_t torus_neighbour(const struct topology *t, uint32_t node, uint32_t k)
{
    uint32_t row = node / t->columns, column = node % t->columns;
    uint32_t along = cycle_degree(t->columns);
    if (k < along)
        return row * t->columns + cycle_step(column, k, t->columns);
    return cycle_step(row, k - along, t->n / t->columns) * t->columns + column;
}

static uint32_t regular_neighbour(const struct topology *t, uint32_t node, uint32_t k)
{
    const struct rng_permutation *cycle = &t->cycles[k / 2];
    uint32_t at = rng_permute(cycle, node);
    bool matching = k + 1 == t->degree && k % 2 == 0;
    return rng_permute_back(cycle, matching ? at ^ 1 : cycle_step(at, k % 2, t->n));
}

uint32_t topology_neighbour(const struct topology *t, uint32_t node, uint32_t k)
{
    switch (t->kind) {
    case TOPOLOGY_RANDOM:
    case TOPOLOGY_COMPLETE:
        return k + (k >= node); /* a branch would be a guess */
    case TOPOLOGY_RING:
        return cycle_step(node, k, t->n);
    case TOPOLOGY_PATH:
        return k == 0 && node + 1 < t->n ? node + 1 : node - 1;
    case TOPOLOGY_TORUS:
        return torus_neighbour(t, node, k);
    case TOPOLOGY_HYPERCUBE:
        return node ^ UINT32_C(1) << k;
    case TOPOLOGY_STAR:
        return node == 0 ? k + 1 : 0;
    case TOPOLOGY_EXPONENTIAL:
    case TOPOLOGY_ONE_PEER_EXPONENTIAL:
        return (uint32_t)((node + (UINT64_C(1) << k)) % t->n);
    case TOPOLOGY_REGULAR:
        return regular_neighbour(t, node, k);
    case TOPOLOGY_ER:
    case TOPOLOGY_SMALLWORLD:
    case TOPOLOGY_FILE:
        return t->edges[t->starts[node] + k];
    case N_TOPOLOGIES:
        break;
    }
    return 0;
}
