#include "bench/bench.h"
#include "bench/cmd_bench.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/opts.h"
#include "bench/figures.h"
#include "data/batches.h"
#include "model/learner.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRECTORY "/usr/share/datasets/fashion-mnist"
#define UNPACK    "gzip -dc " DIRECTORY "/*.gz > /dev/null"

struct options {
    bool json;
};

static const struct opt table[] = {
    {.name = "json",
     .type = OPT_SWITCH,
     .offset = offsetof(struct options, json),
     .help = "print one JSON object"},
};

const struct opts bench_data_options = {
    .command = "hubbub bench data",
    .summary = "loading Fashion-MNIST against gzip -dc; gathering against training steps",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench data\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

enum { COLD_ROUNDS = 5, WARM_ROUNDS = 15, STEP_ROUNDS = 15, STEPS = 200, BATCH = 64 };

struct rounds {
    double cold[COLD_ROUNDS], gzip[COLD_ROUNDS], cold_over_gzip[COLD_ROUNDS];
    double warm[WARM_ROUNDS];
    double gather[STEP_ROUNDS], step[STEP_ROUNDS], gather_over_step[STEP_ROUNDS];
};

/* ---- loading --------------------------------------------------------------------------------- */

static void remove_cache(const char *base)
{
    char dir[64];
    snprintf(dir, sizeof dir, "%s/hubbub", base);
    bench_remove_folder(dir);
}

/* In ms. */
static int time_load(double *ms, struct error *err)
{
    struct data_pair data;
    uint64_t start = clock_us();
    int rc = data_open(&data, "fashion-mnist", NULL, err);
    *ms = (double)(clock_us() - start) * 1e-3;
    if (rc == 0)
        data_close(&data);
    return rc;
}

static int time_gzip(double *ms, struct error *err)
{
    uint64_t start = clock_us();
    int status = system(UNPACK);
    *ms = (double)(clock_us() - start) * 1e-3;
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(err, ERR_FAILURE, "'" UNPACK "' fails");
    return 0;
}

static int measure_loading(struct rounds *r, const char *cache, struct error *err)
{
    double ms;
    int rc = time_load(&ms, err);
    for (int i = 0; rc == 0 && i < COLD_ROUNDS; i++) {
        remove_cache(cache);
        rc = time_load(&r->cold[i], err);
        if (rc == 0)
            rc = time_gzip(&r->gzip[i], err);
        r->cold_over_gzip[i] = r->cold[i] / r->gzip[i];
    }
    for (int i = 0; rc == 0 && i < WARM_ROUNDS; i++)
        rc = time_load(&r->warm[i], err);
    return rc;
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void measure_gathering(struct rounds *r, const struct learner_config *config,
                              const struct shard *shard)
{
    struct learner learner;
    struct workspace workspace;
    float *storage = MEM_NEW(float, learner_floats(config));
    float *x = MEM_NEW(float, (size_t)BATCH * config->train->shape.n_features);
    uint64_t position = 0;
    learner_init(&learner, config, shard, 0, storage);
    workspace_init(&workspace, config);
    for (int round = 0; round < STEP_ROUNDS; round++) {
        uint64_t start = clock_us();
        for (int i = 0; i < STEPS; i++, position += BATCH) {
            uint32_t rows[BATCH];
            union target y[BATCH];
            batches_rows(shard, 1, 0, position, rows, BATCH);
            dataset_gather(config->train, rows, BATCH, x, y);
        }
        uint64_t between = clock_us();
        for (int i = 0; i < STEPS; i++)
            learner_step(&learner, &workspace);
        uint64_t end = clock_us();
        r->gather[round] = (double)(between - start) / STEPS;
        r->step[round] = (double)(end - between) / STEPS;
        r->gather_over_step[round] = r->gather[round] / r->step[round];
    }
    workspace_close(&workspace);
    free(storage);
    free(x);
}

static int measure_steps(struct rounds *r, struct error *err)
{
    struct data_pair data;
    struct model m;
    struct shard shard = {0};
    int rc = data_open(&data, "fashion-mnist", NULL, err);
    if (rc != 0)
        return rc;
    rc = model_parse(&m, "mlp:784-256-128-10", data.train.shape, err);
    if (rc == 0)
        rc = model_blas_setup(1, 0, err);
    if (rc == 0)
        rc = shard_make(&shard, &data.train, &partition_iid, 0, 1, 1, err);
    struct learner_config config = {.model = &m,
                                    .train = &data.train,
                                    .optim = optim_defaults(OPTIM_SGD),
                                    .batch = BATCH,
                                    .seed = 1,
                                    .n_threads = 1};
    if (rc == 0)
        measure_gathering(r, &config, &shard);
    shard_close(&shard);
    data_close(&data);
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

static int measure(struct rounds *r, struct error *err)
{
    char cache[] = "/tmp/hubbub-bench-XXXXXX";
    if (mkdtemp(cache) == NULL)
        return error_set(err, ERR_FAILURE, "%s: %s", cache, strerror(errno));
    int rc = setenv("XDG_CACHE_HOME", cache, 1);
    if (rc == 0)
        rc = measure_loading(r, cache, err);
    if (rc == 0)
        rc = measure_steps(r, err);
    remove_cache(cache);
    rmdir(cache);
    return rc;
}

static void report(const struct rounds *r, bool json)
{
    const struct figure figures[] = {
        {"cold_ms", "ms", "loading, with an empty cache", figures_median(r->cold, COLD_ROUNDS)},
        {"gzip_ms", "ms", "gzip -dc of the same files", figures_median(r->gzip, COLD_ROUNDS)},
        {"cold_over_gzip", "", "loading over gzip -dc",
         figures_median(r->cold_over_gzip, COLD_ROUNDS)},
        {"warm_ms", "ms", "loading, from the cache", figures_median(r->warm, WARM_ROUNDS)},
        {"gather_us", "us", "gathering a batch of 64", figures_median(r->gather, STEP_ROUNDS)},
        {"step_us", "us", "a training step of mlp:784-256-128-10",
         figures_median(r->step, STEP_ROUNDS)},
        {"gather_over_step", "", "gathering over a step",
         figures_median(r->gather_over_step, STEP_ROUNDS)},
    };
    if (!json)
        printf("fashion-mnist; medians of %d and %d alternating rounds\n\n", COLD_ROUNDS,
               STEP_ROUNDS);
    figures_print(figures, sizeof figures / sizeof figures[0], 1000, json ? json_object() : NULL);
}

int bench_data(int argc, char **argv)
{
    struct options o = {0};
    struct error err;
    struct rounds r = {0};
    int rc = bench_parse(&bench_data_options, &o, argc, argv, &err);
    if (rc == 0)
        rc = measure(&r, &err);
    if (rc == 0)
        report(&r, o.json);
    return bench_end(&bench_data_options, rc, &err);
}
