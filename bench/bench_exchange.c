/* hubbub bench exchange: slices between two peers over loopback, next to the same bytes over a bare
 * libuv stream. */
#include "bench/bench.h"

#include "base/log.h"
#include "base/opts.h"
#include "bench/cmd_bench.h"
#include "bench/figures.h"
#include "bench/stream.h"
#include "model/model.h"
#include "node/node.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
    uint64_t slice, flight;
    double seconds;
    bool floor, json;
};

#define FIELD(name) offsetof(struct options, name)

static const struct opt table[] = {
    {.name = "slice-floats",
     .type = OPT_U64,
     .offset = FIELD(slice),
     .arg = "N",
     .fallback = "65536",
     .help = "floats in a slice",
     .group = "what is measured",
     .min = 1024,
     .max = 4194304},
    {.name = "open",
     .type = OPT_U64,
     .offset = FIELD(flight),
     .arg = "N",
     .fallback = "2",
     .help = "exchanges open for each peer, of a slice each",
     .min = 1,
     .max = 32},
    {.name = "floor",
     .type = OPT_SWITCH,
     .offset = FIELD(floor),
     .help = "also bare sockets: blocking, a thread for each direction and side"},
    {.name = "seconds",
     .type = OPT_F64,
     .offset = FIELD(seconds),
     .arg = "S",
     .fallback = "10",
     .help = "how long to measure",
     .group = "how",
     .min = 0.5,
     .max = 3600},
    {.name = "json", .type = OPT_SWITCH, .offset = FIELD(json), .help = "print one JSON object"},
};

const struct opts bench_exchange_options = {
    .command = "hubbub bench exchange",
    .summary = "slices between two peers over loopback against bare libuv streams",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench exchange\n"
                "  hubbub bench exchange --floor --seconds 20\n"
                "  hubbub bench exchange --slice-floats 16384 --json\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
};

enum { WINDOW_US = 20000, ROUNDS_MAX = 10000, WARM_ROUNDS = 3, FLOATS_MAX = 1 << 22 };

enum subject { NODES, FRAMES, BARE, BARE_CHUNKS, BLOCKING, N_SUBJECTS };

static const struct stream_kind *const kinds[N_SUBJECTS] = {
    &stream_nodes, &stream_exchange, &stream_bare, &stream_bare, &stream_blocking};

struct bench {
    struct stream_plan plans[N_SUBJECTS];
    struct stream streams[N_SUBJECTS];
    bool measured[N_SUBJECTS];
    size_t n_rounds;
    double bytes_per_s[N_SUBJECTS][ROUNDS_MAX];
};

static void plan(struct bench *b, const struct options *o)
{
    uint32_t slice = (uint32_t)o->slice * (uint32_t)sizeof(float), n = 0;
    for (int s = 0; s < N_SUBJECTS; s++) {
        b->plans[s] = (struct stream_plan){.bytes = slice, .flight = (uint32_t)o->flight};
        b->measured[s] = true;
    }
    b->plans[BARE_CHUNKS].chunk = 64 << 10;
    b->measured[BLOCKING] = o->floor;
    b->measured[NODES] = o->slice == GOSSIP_SLICE_FLOATS;
    for (int s = 0; s < N_SUBJECTS; s++)
        n += b->measured[s];
    double rounds = o->seconds * 1e6 / (1.25 * WINDOW_US * n);
    b->n_rounds = rounds < 5 ? 5 : rounds > ROUNDS_MAX ? ROUNDS_MAX : (size_t)rounds;
}

/* Subjects take turns within a round, forwards and backwards, so that a change of the machine's
 * speed meets all of them. */
static void measure_round(struct bench *b, size_t round)
{
    for (int i = 0; i < N_SUBJECTS; i++) {
        int s = round % 2 == 0 ? i : N_SUBJECTS - 1 - i;
        if (b->measured[s])
            b->bytes_per_s[s][round] = stream_window(&b->streams[s], WINDOW_US) * b->plans[s].bytes;
    }
}

static int measure_all(struct bench *b, struct error *err)
{
    int rc = 0, n_open = 0;
    for (; rc == 0 && n_open < N_SUBJECTS; n_open++)
        if (b->measured[n_open])
            rc = kinds[n_open]->open(&b->streams[n_open], &b->plans[n_open], err);
    if (rc != 0)
        return rc;
    for (size_t round = 0; round < WARM_ROUNDS; round++)
        measure_round(b, round);
    for (size_t round = 0; round < b->n_rounds; round++)
        measure_round(b, round);
    for (int s = 0; rc == 0 && s < N_SUBJECTS; s++)
        if (b->measured[s])
            rc = kinds[s]->close(&b->streams[s], err);
    for (int s = 0; rc == 0 && s < N_SUBJECTS; s++)
        if (b->measured[s] && figures_quantile(b->bytes_per_s[s], b->n_rounds, 0.25) == 0)
            rc = error_set(err, ERR_FAILURE,
                           "hardly a message came within %d ms: these slices are "
                           "too large for it",
                           WINDOW_US / 1000);
    return rc;
}

/* ---- report -------------------------------------------------------------------------------- */

static struct figure gbytes(const struct bench *b, enum subject s, const char *name,
                            const char *what)
{
    double scaled[ROUNDS_MAX];
    for (size_t i = 0; i < b->n_rounds; i++)
        scaled[i] = b->bytes_per_s[s][i] * 1e-9;
    return figures_of(scaled, b->n_rounds, name, "GB/s", what);
}

/* Of two windows of one round. */
static struct figure ratio(const struct bench *b, enum subject over, enum subject under,
                           const char *name, const char *what)
{
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < b->n_rounds; i++)
        ratios[i] = b->bytes_per_s[over][i] / fmax(b->bytes_per_s[under][i], 1);
    return figures_of(ratios, b->n_rounds, name, "", what);
}

static double median(const struct bench *b, enum subject s)
{
    return figures_median(b->bytes_per_s[s], b->n_rounds);
}

static size_t list(const struct bench *b, struct figure *f)
{
    bool nodes = b->measured[NODES];
    enum subject ours = nodes ? NODES : FRAMES;
    double slices = median(b, ours) / b->plans[ours].bytes;
    size_t n = 0;
    f[n++] = (struct figure){"slices_per_s", "slices/s", "slices mixed, by both peers", slices};
    f[n++] = (struct figure){"exchanges_per_s", "exchanges/s", "two slices each", slices / 2};
    if (nodes)
        f[n++] = gbytes(b, NODES, "nodes_gbytes_per_s", "two nodes: gossip core, jobs, momentum");
    f[n++] = gbytes(b, FRAMES, "frames_gbytes_per_s", "frames, checksums and mixing alone");
    f[n++] = gbytes(b, BARE, "bare_gbytes_per_s", "bare libuv stream, each message at once");
    f[n++] = gbytes(b, BARE_CHUNKS, "bare_chunks_gbytes_per_s", "the same, in chunks of 64 KiB");
    if (b->measured[BLOCKING])
        f[n++] = gbytes(b, BLOCKING, "blocking_gbytes_per_s", "blocking sockets, four threads");
    if (nodes) {
        f[n++] = ratio(b, NODES, BARE, "nodes_over_bare", "nodes over the bare stream");
        f[n++] = ratio(b, NODES, BARE_CHUNKS, "nodes_over_chunks", "nodes over the one in chunks");
    }
    f[n++] = ratio(b, FRAMES, BARE, "frames_over_bare", "frames over the bare stream");
    f[n++] = ratio(b, FRAMES, BARE_CHUNKS, "frames_over_chunks", "frames over the one in chunks");
    if (b->measured[BLOCKING])
        f[n++] = ratio(b, ours, BLOCKING, "exchange_over_blocking",
                       nodes ? "nodes over blocking sockets" : "frames over blocking sockets");
    return n;
}

static void report(const struct bench *b, const struct options *o)
{
    struct figure figures[16];
    size_t n = list(b, figures);
    json_t *json = NULL;
    if (o->json)
        json = json_pack("{s:I, s:I, s:f, s:I}", "slice_floats", (json_int_t)o->slice, "open",
                         (json_int_t)o->flight, "seconds", o->seconds, "rounds",
                         (json_int_t)b->n_rounds);
    else
        printf("slices of %d floats, %d exchanges open on each side, each side on a processor;\n"
               "GB/s of slices in both directions; medians (and quartiles) of %zu rounds of %d ms "
               "each\n\n",
               (int)o->slice, (int)o->flight, b->n_rounds, WINDOW_US / 1000);
    figures_print(figures, n, 100, json);
}

int bench_exchange(int argc, char **argv)
{
    static struct bench b;
    struct options o = {0};
    struct error err;
    int rc = bench_parse(&bench_exchange_options, &o, argc, argv, &err);
    if (rc == 0 && o.slice * o.flight > FLOATS_MAX)
        rc = error_set(&err, ERR_USAGE, "--slice-floats times --open is at most %d floats",
                       FLOATS_MAX);
    if (rc == 0)
        rc = model_blas_setup(1, 1, &err);
    if (rc == 0) {
        log_set_level(LOG_WARN);
        plan(&b, &o);
        rc = measure_all(&b, &err);
    }
    if (rc == 0)
        report(&b, &o);
    return bench_end(&bench_exchange_options, rc, &err);
}
