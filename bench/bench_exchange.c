/* hubbub bench exchange: slices between two peers over loopback, next to the same bytes over a bare
 * libuv stream. */
#include "bench/bench.h"

#include "base/opts.h"
#include "bench/cmd_bench.h"
#include "bench/figures.h"
#include "bench/stream.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
     .fallback = "4",
     .help = "exchanges each peer has open, of a slice each",
     .min = 1,
     .max = 64},
    {.name = "floor",
     .type = OPT_SWITCH,
     .offset = FIELD(floor),
     .help = "also blocking sockets, four threads"},
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

enum { ROUNDS = 15, WARM_MS = 20, FLOATS_MAX = 1 << 22 };

enum subject { EXCHANGE, BARE, BARE_CHUNKS, BARE_64K, BARE_1M, FLOOR, N_SUBJECTS };

struct bench {
    struct stream_plan plans[N_SUBJECTS];
    struct stream_outcome outcomes[N_SUBJECTS][ROUNDS];
    double bytes_per_s[N_SUBJECTS][ROUNDS];
    int n_subjects; /* FLOOR, the last, only when asked for */
};

static void plan(struct bench *b, const struct options *o)
{
    uint32_t slice = (uint32_t)o->slice * (uint32_t)sizeof(float), flight = (uint32_t)o->flight;
    uint32_t small = 64 << 10, n_small = (uint32_t)(o->slice * sizeof(float) * o->flight / small);
    b->n_subjects = o->floor ? N_SUBJECTS : FLOOR;
    for (int s = 0; s < N_SUBJECTS; s++)
        b->plans[s] = (struct stream_plan){
            .bytes = slice,
            .flight = flight,
            .warm_us = WARM_MS * 1000,
            .window_us = (uint64_t)(o->seconds * 1e6 / ROUNDS / b->n_subjects)};
    b->plans[BARE_CHUNKS].chunk = small;
    b->plans[BARE_64K].bytes = small; /* as many bytes under way */
    b->plans[BARE_64K].flight = n_small > flight ? n_small : flight;
    b->plans[BARE_1M].bytes = 1 << 20; /* as many messages */
}

static int measure(struct bench *b, enum subject s, int round, struct error *err)
{
    const struct stream_plan *p = &b->plans[s];
    struct stream_outcome *out = &b->outcomes[s][round];
    int rc = s == EXCHANGE ? stream_exchange(p, out, err)
             : s == FLOOR  ? stream_blocking(p, out, err)
                           : stream_bare(p, out, err);
    b->bytes_per_s[s][round] = out->messages_per_s * p->bytes;
    return rc;
}

static double median(const double *values)
{
    return figures_median(values, ROUNDS);
}

/* Subjects take turns within a round, forwards and backwards, so that a change of the machine's
 * speed meets all of them. */
static int measure_all(struct bench *b, struct error *err)
{
    int rc = 0;
    for (int round = 0; rc == 0 && round < ROUNDS; round++)
        for (int i = 0; rc == 0 && i < b->n_subjects; i++)
            rc = measure(b, (enum subject)(round % 2 == 0 ? i : b->n_subjects - 1 - i), round, err);
    for (int s = 0; rc == 0 && s < b->n_subjects; s++)
        if (median(b->bytes_per_s[s]) == 0)
            rc = error_set(err, ERR_FAILURE, "hardly a message came: it takes more --seconds");
    return rc;
}

static double gbytes(const struct bench *b, enum subject s)
{
    return median(b->bytes_per_s[s]) * 1e-9;
}

static double ratio(const struct bench *b, enum subject under)
{
    double ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        ratios[i] = b->bytes_per_s[EXCHANGE][i] / fmax(b->bytes_per_s[under][i], 1);
    return median(ratios);
}

/* Against whichever of the bare streams is the fastest here. */
static double ratio_to_best(const struct bench *b)
{
    double least = ratio(b, BARE);
    for (int s = BARE_CHUNKS; s < FLOOR; s++)
        least = fmin(least, ratio(b, (enum subject)s));
    return least;
}

static double cpu_us_per_mbyte(const struct bench *b, enum subject s)
{
    double us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        us[i] = b->outcomes[s][i].cpu_us * 1e6 / b->plans[s].bytes;
    return median(us);
}

static void print_figures(const struct options *o, const struct figure *figures, size_t n)
{
    json_t *json = NULL;
    if (o->json)
        json = json_pack("{s:I, s:I, s:f}", "slice_floats", (json_int_t)o->slice, "open",
                         (json_int_t)o->flight, "seconds", o->seconds);
    else
        printf("slices of %d floats, %d exchanges open on each side, two threads; medians of %d "
               "alternating rounds\n\n",
               (int)o->slice, (int)o->flight, ROUNDS);
    figures_print(figures, n, 100, json);
}

static void report(const struct bench *b, const struct options *o)
{
    double slices = median(b->bytes_per_s[EXCHANGE]) / b->plans[EXCHANGE].bytes;
    struct figure figures[] = {
        {"slices_per_s", "slices/s", "slices mixed, by both peers", slices},
        {"exchanges_per_s", "exchanges/s", "two slices each", slices / 2},
        {"exchange_gbytes_per_s", "GB/s", "of slices, both directions", gbytes(b, EXCHANGE)},
        {"bare_gbytes_per_s", "GB/s", "bare libuv, messages of a slice's size", gbytes(b, BARE)},
        {"bare_chunks_gbytes_per_s", "GB/s", "the same, in chunks of 64 KiB",
         gbytes(b, BARE_CHUNKS)},
        {"bare_64k_gbytes_per_s", "GB/s", "bare libuv, messages of 64 KiB", gbytes(b, BARE_64K)},
        {"bare_1m_gbytes_per_s", "GB/s", "bare libuv, messages of 1 MiB", gbytes(b, BARE_1M)},
        {"exchange_over_best_bare", "", "exchange over the fastest of these", ratio_to_best(b)},
        {"exchange_over_bare", "", "exchange over bare, same size", ratio(b, BARE)},
        {"exchange_over_bare_chunks", "", "exchange over bare, in chunks", ratio(b, BARE_CHUNKS)},
        {"exchange_over_bare_64k", "", "exchange over bare, 64 KiB", ratio(b, BARE_64K)},
        {"exchange_over_bare_1m", "", "exchange over bare, 1 MiB", ratio(b, BARE_1M)},
        {"exchange_cpu_us_per_mbyte", "us/MB", "processor time, exchange",
         cpu_us_per_mbyte(b, EXCHANGE)},
        {"bare_cpu_us_per_mbyte", "us/MB", "processor time, bare, same size",
         cpu_us_per_mbyte(b, BARE)},
        {"bare_chunks_cpu_us_per_mbyte", "us/MB", "processor time, bare, in chunks",
         cpu_us_per_mbyte(b, BARE_CHUNKS)},
        /* The last two only with --floor. */
        {"floor_gbytes_per_s", "GB/s", "blocking sockets", o->floor ? gbytes(b, FLOOR) : 0},
        {"exchange_over_floor", "", "exchange over blocking", o->floor ? ratio(b, FLOOR) : 0},
    };
    size_t n = sizeof figures / sizeof figures[0];
    print_figures(o, figures, o->floor ? n : n - 2);
}

int bench_exchange(int argc, char **argv)
{
    static struct bench b;
    struct options o = {0};
    struct error err;
    int n_operands = 0;
    int rc = opts_parse(&bench_exchange_options, &o, argc, argv, &n_operands, &err);
    if (rc == OPTS_DONE)
        return 0;
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "no operand is expected, but '%s' stands there", argv[1]);
    if (rc == 0 && o.slice * o.flight > FLOATS_MAX)
        rc = error_set(&err, ERR_USAGE, "--slice-floats times --open is at most %d floats",
                       FLOATS_MAX);
    if (rc == 0) {
        plan(&b, &o);
        rc = measure_all(&b, &err);
    }
    if (rc == 0)
        report(&b, &o);
    else
        fprintf(stderr, "hubbub bench exchange: %s\n", err.text);
    return -rc;
}
