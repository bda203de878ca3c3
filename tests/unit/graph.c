/* Degrees, connection and diameters of graphs whose diameters are known. */
#include "sim/drawing.h"
#include "sim/graph.h"
#include "sim/spectrum.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(graph, .timeout = 60);

static struct topology topology;

static struct graph_facts facts(const char *spec, uint32_t n)
{
    struct error err = {0};
    cr_assert_eq(topology_init(&topology, spec, n, 1, &err), 0, "%s", err.text);
    return graph_facts(&topology);
}

Test(graph, known_ones)
{
    static const struct {
        const char *spec;
        uint32_t n, least, most, diameter;
    } cases[] = {
        {"random", 9, 8, 8, 1},
        {"complete", 3000, 2999, 2999, 1},
        {"ring", 9, 2, 2, 4},
        {"ring", 10, 2, 2, 5},
        {"ring", 1000000, 2, 2, 500000},
        {"path", 9, 1, 2, 8},
        {"torus", 36, 4, 4, 6},
        {"torus", 35, 4, 4, 5},
        {"hypercube", 64, 6, 6, 6},
        {"star", 8, 1, 7, 2},
        {"star", 100000, 1, 99999, 2},
        {"exponential", 64, 6, 6, 6},
        {"smallworld:4,0", 20, 4, 4, 5},
        {"regular:2", 50, 2, 2, 25}, /* one cycle */
        {"er:1", 30, 29, 29, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct graph_facts f = facts(cases[i].spec, cases[i].n);
        cr_assert(f.connected && f.diameter_is_exact, "%s", cases[i].spec);
        cr_assert_eq(f.diameter, cases[i].diameter, "%s of %u: %u", cases[i].spec, cases[i].n,
                     f.diameter);
        cr_assert(f.degree_min == cases[i].least && f.degree_max == cases[i].most, "%s of %u",
                  cases[i].spec, cases[i].n);
        topology_close(&topology);
    }
}

/* Two edges apart; and a graph too large to be looked at from each node. */
Test(graph, not_connected_and_too_large)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX], spec[FILES_PATH_MAX + 8];
    files_begin(dir);
    files_write(dir, "edges", "0 1\n2 3\n", 8, 0, path);
    snprintf(spec, sizeof spec, "file:%s", path);
    struct graph_facts f = facts(spec, 4);
    cr_assert(!f.connected && f.diameter == 0 && f.degree_mean == 1);
    struct mixing m;
    struct spectrum s;
    struct error err;
    mixing_init(&m, &topology, MIXING_METROPOLIS, 1);
    cr_assert_eq(spectrum_find(&s, &m, &err), 0);
    cr_assert_eq(s.gap, 0);
    topology_close(&topology);
    f = facts("smallworld:2,0", 30000);
    cr_assert(f.connected && !f.diameter_is_exact && f.diameter == 15000);
    topology_close(&topology);
    files_end(dir);
}

static uint32_t count(const char *text, const char *what)
{
    uint32_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* An edge is drawn once, however often it stands in the lists. */
Test(graph, drawing)
{
    static const struct {
        const char *spec;
        uint32_t n, n_edges, n_heads;
    } cases[] = {{"ring", 7, 7, 0},          {"torus", 12, 24, 0},       {"star", 9, 8, 0},
                 {"exponential", 8, 24, 24}, {"complete", 100, 4950, 0}, {"path", 2, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        facts(cases[i].spec, cases[i].n);
        drawing_write(out, &topology);
        fclose(out);
        cr_assert_eq(count(text, "<circle "), cases[i].n, "%s", cases[i].spec);
        cr_assert_eq(count(text, "<path "), cases[i].n_edges + 1, "%s: %u edges", cases[i].spec,
                     count(text, "<path ") - 1);
        cr_assert_eq(count(text, "marker-end"), cases[i].n_heads);
        cr_assert(strstr(text, "</svg>") != NULL && strstr(text, "nan") == NULL);
        free(text);
        topology_close(&topology);
    }
}
