/* hubbub topo: what a topology is like, and how fast peers come together on it. */
#include "sim/cmd_sim.h"

#include "base/file.h"
#include "base/log.h"
#include "model/model.h"
#include "sim/drawing.h"
#include "sim/graph.h"
#include "sim/spectrum.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>

struct flags {
    const char *topology, *svg;
    uint64_t nodes, seed;
    int mixing;
    bool json;
};

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"nodes", OPT_U64, F(nodes), "N", "100", "peers", "graph", 2, 1 << 28, .letter = 'n'},
    {"topology", OPT_STRING, F(topology), "SHAPE", "random",
     "as in hubbub sim: ring, torus, exponential, er:p, file:F, ..."},
    {"mixing-matrix", OPT_CHOICE, F(mixing), "HOW", "metropolis",
     "metropolis, or uniform (the same weight on each edge)", 0, 0, 0, mixing_kind_names},
    {"seed", OPT_U64, F(seed), "N", "1", "of random graphs"},
    {"svg", OPT_STRING, F(svg), "FILE", "", "also draw it", "result"},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object"},
};

const struct opts cmd_topo_options = {
    .command = "hubbub topo",
    .summary = "a topology's degrees, diameter, spectral gap and picture",
    .usage = "[OPTIONS]",
    .examples = "  hubbub topo -n 64 --topology torus --svg torus.svg\n"
                "  hubbub topo -n 1000 --topology regular:4 --json\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

static int draw(const struct flags *f, const struct topology *t, const struct graph_facts *g,
                struct error *err)
{
    if (t->n > DRAWING_NODES_MAX || g->n_edges > DRAWING_EDGES_MAX)
        return error_set(err, ERR_USAGE,
                         "--svg of %" PRIu32 " nodes and %" PRIu64 " edges (right: at most %d and "
                         "%d)",
                         t->n, g->n_edges, DRAWING_NODES_MAX, DRAWING_EDGES_MAX);
    struct file_draft draft;
    int rc = file_draft_open(&draft, f->svg, err);
    if (rc != 0)
        return rc;
    drawing_write(draft.out, t);
    return file_draft_commit(&draft, err);
}

static void print(const struct flags *f, const struct mixing *m, const struct graph_facts *g,
                  const struct spectrum *s)
{
    uint32_t period = mixing_period(m);
    if (f->json) {
        json_t *diameter = g->connected ? json_integer(g->diameter) : json_null();
        json_t *o = json_pack(
            "{s:s, s:I, s:I, s:f, s:I, s:b, s:o, s:b, s:s, s:I, s:f, s:b}", "topology", f->topology,
            "nodes", (json_int_t)f->nodes, "degree_min", (json_int_t)g->degree_min, "degree_mean",
            g->degree_mean, "degree_max", (json_int_t)g->degree_max, "connected", g->connected,
            "diameter", diameter, "diameter_exact", g->diameter_is_exact, "mixing_matrix",
            mixing_kind_names[f->mixing], "period", (json_int_t)period, "spectral_gap", s->gap,
            "spectral_gap_exact", s->is_exact);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("%14" PRIu64 "  nodes, %s\n", f->nodes, f->topology);
    if (g->degree_min == g->degree_max)
        printf("%14" PRIu32 "  neighbours each\n", g->degree_min);
    else
        printf("%14.2f  neighbours in the mean (%" PRIu32 " to %" PRIu32 ")\n", g->degree_mean,
               g->degree_min, g->degree_max);
    if (g->connected)
        printf("%14" PRIu32 "  hops across%s\n", g->diameter,
               g->diameter_is_exact ? "" : " at least: too large to look from every node");
    else
        printf("%14s  connected: some never hear of others\n", "not");
    printf("%14.6g  spectral gap%s, ", s->gap, s->is_exact ? "" : " at most (not settled)");
    if (period == 0)
        printf("expected over random matchings\n");
    else if (period > 1)
        printf("over %" PRIu32 " rounds of one peer each\n", period);
    else
        printf("%s weights\n", mixing_kind_names[f->mixing]);
}

static int show(const struct flags *f, struct error *err)
{
    struct topology t;
    struct mixing m;
    struct spectrum s;
    int rc = topology_init(&t, f->topology, (uint32_t)f->nodes, f->seed, err);
    if (rc != 0)
        return rc;
    mixing_init(&m, &t, (enum mixing_kind)f->mixing, f->seed);
    rc = model_blas_setup(1, 0, err);
    if (rc == 0)
        rc = spectrum_find(&s, &m, err);
    struct graph_facts g = {0};
    if (rc == 0)
        g = graph_facts(&t);
    if (rc == 0 && f->svg[0] != '\0')
        rc = draw(f, &t, &g, err);
    if (rc == 0)
        print(f, &m, &g, &s);
    topology_close(&t);
    return rc;
}

int cmd_topo(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    int n_operands, rc = opts_parse(&cmd_topo_options, &flags, argc, argv, &n_operands, &err);
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub topo", argv[1]);
    if (rc == 0)
        rc = show(&flags, &err);
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}
