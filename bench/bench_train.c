#include "bench/bench.h"
#include "bench/cmd_bench.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/vec.h"
#include "bench/figures.h"
#include "bench/kernels.h"
#include "model/learner.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *model;
    struct data_options data;
    uint64_t batch, threads;
    int optimizer;
    double seconds;
    bool json;
};

#define FIELD(name) offsetof(struct options, name)

static const struct opt table[] = {
    {.name = "model",
     .type = OPT_STRING,
     .offset = FIELD(model),
     .arg = "SPEC",
     .fallback = "mlp:784-256-128-10",
     .help = "softmax, mlp:784-256-128-10, lenet5, or a list of layers",
     .group = "what is measured"},
    DATA_OPTIONS(struct options, data),
    {.name = "batch",
     .type = OPT_U64,
     .offset = FIELD(batch),
     .arg = "N",
     .fallback = "64",
     .help = "samples of a minibatch",
     .group = "training",
     .alias = "batch-size",
     .min = 1,
     .max = 65536},
    {.name = "optimizer",
     .type = OPT_CHOICE,
     .offset = FIELD(optimizer),
     .arg = "NAME",
     .fallback = "sgd",
     .help = "sgd, qgm, nesterov or adamw",
     .choices = optimizer_names},
    {.name = "threads",
     .type = OPT_U64,
     .offset = FIELD(threads),
     .arg = "N",
     .fallback = "1",
     .help = "threads of a training step",
     .min = 1,
     .max = TEAM_MAX},
    {.name = "seconds",
     .type = OPT_F64,
     .offset = FIELD(seconds),
     .arg = "S",
     .fallback = "10",
     .help = "how long to measure",
     .group = "how",
     .min = 0.1,
     .max = 3600},
    {.name = "json", .type = OPT_SWITCH, .offset = FIELD(json), .help = "print one JSON object"},
};

const struct opts bench_train_options = {
    .command = "hubbub bench train",
    .summary = "training steps against their bare matrix products, the mixing kernel",
    .usage = "[OPTIONS]",
    .examples = "  taskset -c 1 hubbub bench train\n"
                "  taskset -c 1 hubbub bench train --optimizer qgm --seconds 30\n"
                "  hubbub bench train --data blobs:classes=3,features=8 --model softmax --json\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

enum { ROUNDS = 25, SLICE = 65536 };

/* Everything that is measured: a rate is calls a second. */
enum subject { FULL, BARE, PEAK, MIX, PLAIN, SAXPBY, N_SUBJECTS };

struct bench {
    struct learner learner;
    struct workspace workspace;
    struct products products;
    float *x, *theirs, *base, sink;
    uint64_t calls[N_SUBJECTS]; /* a measurement of each is about equally long */
    double rate[N_SUBJECTS][ROUNDS];
};

enum { PEAK_CALLS = 10000 };

static void run(struct bench *b, enum subject s, uint64_t calls)
{
    for (uint64_t i = 0; i < calls; i++)
        switch (s) {
        case FULL:
            learner_step(&b->learner, &b->workspace);
            break;
        case BARE:
            products_step(&b->products);
            break;
        case PEAK:
            kernel_peak(PEAK_CALLS, &b->sink);
            break;
        case MIX:
            vec_mix(b->x, 0.5f, b->theirs, b->base, SLICE);
            break;
        case PLAIN:
            kernel_plain_mix(b->x, 0.5f, b->theirs, b->base, SLICE);
            break;
        case SAXPBY:
            kernel_saxpby(0.5f, b->theirs, 0.5f, b->x, SLICE);
            break;
        case N_SUBJECTS:
            break;
        }
}

static double measure(struct bench *b, enum subject s)
{
    uint64_t start = clock_us();
    run(b, s, b->calls[s]);
    uint64_t end = clock_us();
    return (double)b->calls[s] * 1e6 / (double)(end > start ? end - start : 1);
}

static void calibrate(struct bench *b, enum subject s, double slice_us)
{
    uint64_t took = 0;
    for (b->calls[s] = 1; took < (uint64_t)(slice_us / 4); b->calls[s] *= 2) {
        uint64_t start = clock_us();
        run(b, s, b->calls[s]);
        took = clock_us() - start;
    }
    double calls = (double)b->calls[s] / 2 * slice_us / (double)(took > 0 ? took : 1);
    b->calls[s] = calls > 1 ? (uint64_t)calls : 1;
}

/* Subjects take turns within a round, forwards and backwards, so that a change of the machine's
 * speed meets all of them. */
static void measure_all(struct bench *b, double seconds)
{
    double slice_us = seconds * 1e6 / (ROUNDS * N_SUBJECTS);
    for (int s = 0; s < N_SUBJECTS; s++)
        calibrate(b, (enum subject)s, slice_us);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < N_SUBJECTS; i++) {
            int s = round % 2 == 0 ? i : N_SUBJECTS - 1 - i;
            b->rate[s][round] = measure(b, (enum subject)s);
        }
}

static double median(const double *values)
{
    return figures_median(values, ROUNDS);
}

static double median_ratio(const struct bench *b, enum subject over, enum subject under)
{
    double ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        ratios[i] = b->rate[over][i] / b->rate[under][i];
    return median(ratios);
}

static void print_figures(const struct options *o, const struct data_pair *data,
                          const struct model *m, const struct figure *figures, size_t n)
{
    const char *optimizer = optimizer_names[o->optimizer];
    json_t *json = NULL;
    if (o->json)
        json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "model", m->spec, "data", data->name,
                         "optimizer", optimizer, "batch", (json_int_t)o->batch, "threads",
                         (json_int_t)o->threads, "seconds", o->seconds);
    else
        printf("%s, %s, batch %d, %s, threads %d; medians of %d alternating rounds\n\n", m->spec,
               optimizer, (int)o->batch, data->name, (int)o->threads, ROUNDS);
    figures_print(figures, n, 10, json);
}

static void report(const struct bench *b, const struct options *o, const struct data_pair *data,
                   const struct model *m)
{
    double batch = (double)o->batch, peak = 2.0 * PEAK_CALLS;
    double flops = model_step_flops(m, (uint32_t)o->batch), mix = median(b->rate[MIX]) * SLICE;
    peak = kernel_peak(PEAK_CALLS, &(float){0}) * median(b->rate[PEAK]) * 1e-9;
    double full = median(b->rate[FULL]), bare = median(b->rate[BARE]);
    double bare_flops = products_flops(&b->products);
    struct figure figures[] = {
        {"samples_per_s", "samples/s", "full training steps", full * batch},
        {"bare_samples_per_s", "samples/s", "bare matrix products of its dense layers",
         bare * batch},
        {"full_over_bare", "", "full over bare", median_ratio(b, FULL, BARE)},
        {"useful_gflops", "GF/s", "full training steps, useful operations", full * flops * 1e-9},
        {"bare_gflops", "GF/s", "bare matrix products", bare * bare_flops * 1e-9},
        {"fma_peak_gflops", "GF/s", "multiply-add peak of one core", peak},
        {"full_of_peak", "", "full over peak", full * flops * 1e-9 / peak},
        {"bare_of_peak", "", "bare over peak", bare * bare_flops * 1e-9 / peak},
        {"mix_elements_per_s", "floats/s", "mixing kernel, one slice of 65536", mix},
        {"mix_gbytes_per_s", "GB/s", "mixing kernel (three reads, one write)", mix * 16e-9},
        {"plain_gbytes_per_s", "GB/s", "plain loop of the same",
         median(b->rate[PLAIN]) * SLICE * 16e-9},
        {"mix_over_plain", "", "mixing kernel over plain loop", median_ratio(b, MIX, PLAIN)},
        {"saxpby_gbytes_per_s", "GB/s", "cblas_saxpby (two reads, one write), for scale",
         median(b->rate[SAXPBY]) * SLICE * 12e-9},
    };
    print_figures(o, data, m, figures, sizeof figures / sizeof figures[0]);
}

static void run_bench(const struct options *o, const struct data_pair *data, const struct model *m,
                      const struct shard *shard)
{
    struct learner_config config = {
        .model = m,
        .train = &data->train,
        .optim = optim_defaults((enum optimizer)o->optimizer),
        .batch = (uint32_t)o->batch,
        .seed = 1,
        .n_threads = (uint32_t)o->threads,
    };
    config.optim.lr *= 0.2f; /* no divergence, however long it runs */
    struct bench *b = MEM_NEW(struct bench, 1);
    float *storage = MEM_NEW(float, learner_floats(&config));
    learner_init(&b->learner, &config, shard, 0, storage);
    workspace_init(&b->workspace, &config);
    products_init(&b->products, m, config.batch,
                  config.optim.kind == OPTIM_SGD ? config.optim.momentum : 0.0f);
    b->x = MEM_NEW(float, SLICE);
    b->theirs = MEM_NEW(float, SLICE);
    b->base = MEM_NEW(float, SLICE);
    measure_all(b, o->seconds);
    report(b, o, data, m);
    free(b->x);
    free(b->theirs);
    free(b->base);
    products_close(&b->products);
    workspace_close(&b->workspace);
    free(storage);
    free(b);
}

int bench_train(int argc, char **argv)
{
    struct options o = {0};
    struct error err;
    struct data_pair data = {0};
    struct model m;
    struct shard shard = {0};
    int rc = bench_parse(&bench_train_options, &o, argc, argv, &err);
    if (rc == 0)
        rc = data_open(&data, o.data.spec, &o.data, &err);
    if (rc == 0)
        rc = model_parse(&m, o.model, data.train.shape, &err);
    if (rc == 0)
        rc = model_blas_setup(1, o.threads > 1, &err);
    if (rc == 0)
        rc = shard_make(&shard, &data.train, &partition_iid, 0, 1, 1, &err);
    if (rc == 0)
        run_bench(&o, &data, &m, &shard);
    shard_close(&shard);
    data_close(&data);
    return bench_end(&bench_train_options, rc, &err);
}
