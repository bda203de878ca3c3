/* Topologies against their definitions. */
#include "sim/topology.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(topology, .timeout = 30);

enum { N_MAX = 128 };

static uint32_t edges[N_MAX][N_MAX]; /* edges[a][b]: how often b is a neighbour of a */

static void fill(const char *spec, uint32_t n, uint64_t seed)
{
    struct topology t;
    struct error err = {0};
    memset(edges, 0, sizeof edges);
    cr_assert_eq(topology_init(&t, spec, n, seed, &err), 0, "%s: %s", spec, err.text);
    for (uint32_t a = 0; a < n; a++)
        for (uint32_t k = 0; k < topology_degree(&t, a); k++) {
            uint32_t b = topology_neighbour(&t, a, k);
            cr_assert(b < n && b != a, "%s of %u: neighbour %u of %u is %u", spec, n, k, a, b);
            edges[a][b]++;
        }
    topology_close(&t);
}

static uint32_t degree(uint32_t a)
{
    uint32_t sum = 0;
    for (uint32_t b = 0; b < N_MAX; b++)
        sum += edges[a][b];
    return sum;
}

static uint32_t count_reached(uint32_t n)
{
    uint32_t stack[N_MAX], depth = 1, reached = 1;
    bool seen[N_MAX] = {true};
    stack[0] = 0;
    while (depth > 0) {
        uint32_t a = stack[--depth];
        for (uint32_t b = 0; b < n; b++)
            if (edges[a][b] > 0 && !seen[b]) {
                seen[b] = true;
                stack[depth++] = b;
                reached++;
            }
    }
    return reached;
}

/* Edges in both directions alike, no pair twice, all connected. */
Test(topology, simple_connected_undirected)
{
    static const struct {
        const char *spec;
        uint32_t n, least, most;
    } cases[] = {
        {"random", 2, 1, 1},    {"random", 17, 16, 16},
        {"complete", 9, 8, 8},  {"ring", 2, 1, 1},
        {"ring", 3, 2, 2},      {"ring", 20, 2, 2},
        {"path", 2, 1, 1},      {"path", 9, 1, 2},
        {"torus", 4, 2, 2},     {"torus", 6, 3, 3},
        {"torus", 12, 4, 4},    {"torus", 7, 2, 2},
        {"hypercube", 2, 1, 1}, {"hypercube", 64, 6, 6},
        {"star", 8, 1, 7},      {"smallworld:4,0", 20, 4, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t n = cases[i].n;
        fill(cases[i].spec, n, 1);
        for (uint32_t a = 0; a < n; a++) {
            cr_assert(degree(a) >= cases[i].least && degree(a) <= cases[i].most,
                      "%s of %u: node %u has %u", cases[i].spec, n, a, degree(a));
            for (uint32_t b = 0; b < n; b++)
                cr_assert(edges[a][b] == edges[b][a] && edges[a][b] <= 1, "%s of %u: %u and %u",
                          cases[i].spec, n, a, b);
        }
        cr_assert_eq(count_reached(n), n, "%s of %u is not connected", cases[i].spec, n);
    }
}

Test(topology, exponential)
{
    static const char *const specs[] = {"exponential", "one-peer-exponential"};
    for (int i = 0; i < 2; i++) {
        fill(specs[i], 12, 1);
        for (uint32_t a = 0; a < 12; a++)
            for (uint32_t b = 0; b < 12; b++) {
                uint32_t ahead = (b + 12 - a) % 12;
                bool power = ahead == 1 || ahead == 2 || ahead == 4 || ahead == 8;
                cr_assert_eq(edges[a][b], power, "%u to %u", a, b);
            }
    }
}

Test(topology, regular)
{
    for (uint32_t d = 1; d <= 7; d++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            char spec[32];
            snprintf(spec, sizeof spec, "regular:%u", d);
            fill(spec, 100, seed);
            for (uint32_t a = 0; a < 100; a++) {
                cr_assert_eq(degree(a), d);
                for (uint32_t b = 0; b < 100; b++)
                    cr_assert_eq(edges[a][b], edges[b][a], "%u and %u", a, b);
            }
            cr_assert(d < 2 || count_reached(100) == 100);
        }
    fill("regular:3", 100, 1);
    uint32_t first[N_MAX];
    memcpy(first, edges[0], sizeof first);
    fill("regular:3", 100, 2);
    cr_assert_arr_neq(first, edges[0], sizeof first, "another seed is another graph");
}

/* The number of edges is binomial; five of its standard deviations are allowed. */
Test(topology, er)
{
    uint64_t total = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        fill("er:0.1", 100, seed);
        for (uint32_t a = 0; a < 100; a++)
            for (uint32_t b = 0; b < 100; b++) {
                cr_assert(edges[a][b] == edges[b][a] && edges[a][b] <= 1);
                total += edges[a][b];
            }
    }
    cr_assert(total / 2 > 9900 - 472 && total / 2 < 9900 + 472, "%llu edges, 9900 are expected",
              (unsigned long long)total / 2);
    fill("er:1", 10, 1);
    for (uint32_t a = 0; a < 10; a++)
        cr_assert_eq(degree(a), 9);
    fill("er:0", 10, 1);
    cr_assert_eq(degree(0), 0);
}

Test(topology, file)
{
    static const char text[] = "# a square\n0 1\n1 2  # a comment\n\n 2\t3\n3 0\n0 1\n";
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX], spec[FILES_PATH_MAX + 8];
    files_begin(dir);
    files_write(dir, "edges", text, sizeof text - 1, 0, path);
    snprintf(spec, sizeof spec, "file:%s", path);
    fill(spec, 4, 1);
    for (uint32_t a = 0; a < 4; a++)
        for (uint32_t b = 0; b < 4; b++)
            cr_assert_eq(edges[a][b], (a + b) % 2 == 1);
    struct topology t;
    struct error err;
    cr_assert_eq(topology_init(&t, spec, 3, 1, &err), ERR_DATA);
    cr_assert(strstr(err.text, "edges:5: not an edge between two of the nodes 0 to 2"), "%s",
              err.text);
    files_end(dir);
}

Test(topology, refused_in_words)
{
    static const struct {
        const char *spec;
        uint32_t n;
        const char *expect;
    } cases[] = {
        {"rings", 5, "no topology 'rings'"},
        {"ring:3", 5, "no topology 'ring:3'"},
        {"regular", 5, "no topology 'regular'"},
        {"hypercube", 12, "no hypercube of 12 nodes (right: a power of two)"},
        {"regular:3", 5, "no regular:3 of 5 nodes"},
        {"regular:5", 5, "no regular:5 of 5 nodes"},
        {"er:1.5", 5, "no topology 'er:1.5'"},
        {"er:1", 1000000, "er:1 of 1000000 nodes has 5e+11 edges"},
        {"smallworld:3,0.1", 9, "'smallworld:3,0.1' is not smallworld:k,p"},
        {"smallworld:4", 9, "'smallworld:4' is not smallworld:k,p"},
        {"file:/no/such/file", 9, "/no/such/file: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topology t;
        struct error err = {0};
        cr_assert_lt(topology_init(&t, cases[i].spec, cases[i].n, 1, &err), 0, "%s", cases[i].spec);
        cr_assert(strstr(err.text, cases[i].expect), "\"%s\" lacks \"%s\"", err.text,
                  cases[i].expect);
    }
}
