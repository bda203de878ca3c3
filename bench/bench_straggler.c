/* hubbub bench straggler: what one slow peer costs the others. Real processes over loopback, the
 * same run with and without it, in turn. */
#include "bench/bench.h"
#include "bench/cmd_bench.h"
#include "bench/figures.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/vec.h"
#include "model/learner.h"
#include "node/swarm.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPEATS_MAX = 32, SNAPSHOT_MS = 100 };

struct options {
    uint64_t n, repeats, pace;
    double slow, target, seconds;
    bool json;
};

#define F(field) offsetof(struct options, field)

static const struct opt table[] = {
    {"nodes", OPT_U64, F(n), "N", "4", "peers; the last is the slow one", "options", 2, 16, 0, 0,
     'n'},
    {"slow", OPT_F64, F(slow), "X", "4", "how much slower it is", 0, 1, 1000},
    {"pace", OPT_DURATION, F(pace), "TIME", "10ms", "a step of the others"},
    {"target", OPT_F64, F(target), "ACC", "0.85", "test accuracy of the mean model to reach", 0, 0,
     1},
    {"seconds", OPT_F64, F(seconds), "S", "15", "length of a run", 0, 1, 3600},
    {"repeat", OPT_U64, F(repeats), "N", "5", "seeds; medians are shown", 0, 1, REPEATS_MAX},
    {"json", OPT_SWITCH, F(json), 0, 0, "one JSON object on stdout"}};

const struct opts bench_straggler_options = {
    .command = "hubbub bench straggler",
    .summary = "time to an accuracy of the mean model, with and without a slow peer",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench straggler\n"
                "  hubbub bench straggler --nodes 8 --slow 10 --seconds 30\n"
                "  hubbub bench straggler --repeat 1 --json > straggler.json\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

struct bench {
    struct options o;
    struct data_pair data;
    struct model model;
    struct evaluator evaluator;
    float *theta, *mean;
};

struct outcome {
    double seconds_to_target; /* NAN: not reached */
    double fast_steps_per_s;  /* mean over the peers that are never slow */
    double all_steps_per_s;   /* sum over all */
};

/* The mean of the snapshots of one tick; false unless all peers have one. */
static bool mean_of_tick(struct bench *b, const char *dir, unsigned long long tick)
{
    memset(b->mean, 0, b->model.dim * sizeof *b->mean);
    for (uint64_t i = 1; i <= b->o.n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%llu-%llu.f32", dir, tick, (unsigned long long)i);
        FILE *f = fopen(path, "rb");
        size_t n = f == NULL ? 0 : fread(b->theta, sizeof(float), b->model.dim, f);
        if (f != NULL)
            fclose(f);
        if (n != b->model.dim)
            return false;
        vec_add(b->mean, b->theta, n);
    }
    for (uint64_t d = 0; d < b->model.dim; d++)
        b->mean[d] /= (float)b->o.n;
    return true;
}

static double accuracy(struct bench *b)
{
    evaluator_start(&b->evaluator, b->mean, 0);
    while (evaluator_run(&b->evaluator)) {
    }
    return (double)b->evaluator.sum.n_correct / (double)b->evaluator.sum.n;
}

/* Seconds from the first tick to the first whose mean model reaches the target. Removes the
 * snapshots. */
static double time_to_target(struct bench *b, const char *dir)
{
    unsigned long long first = UINT64_MAX, last = 0, tick;
    double seconds = NAN;
    struct dirent *entry;
    DIR *d = opendir(dir);
    while (d != NULL && (entry = readdir(d)) != NULL)
        if (sscanf(entry->d_name, "%llu-", &tick) == 1) {
            first = tick < first ? tick : first;
            last = tick > last ? tick : last;
        }
    for (tick = first; isnan(seconds) && tick <= last; tick++)
        if (mean_of_tick(b, dir, tick) && accuracy(b) >= b->o.target)
            seconds = (double)(tick - first) * SNAPSHOT_MS / 1e3;
    if (d != NULL)
        rewinddir(d);
    while (d != NULL && (entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d != NULL)
        closedir(d);
    rmdir(dir);
    return seconds;
}

static int measure(struct bench *b, uint64_t seed, bool with_slow, struct outcome *outcome,
                   struct error *err)
{
    char dir[] = "/tmp/hubbub-bench-XXXXXX", text[6][128];
    struct swarm_plan plan = {.n = (uint32_t)b->o.n};
    struct swarm_result results[SWARM_MAX];
    if (mkdtemp(dir) == NULL)
        return error_set(err, ERR_FAILURE, "%s: cannot make a folder: %m", dir);
    snprintf(text[0], sizeof text[0], "--seed=%llu", (unsigned long long)seed);
    snprintf(text[1], sizeof text[1], "--pace=%lluus", (unsigned long long)b->o.pace);
    snprintf(text[2], sizeof text[2], "--until=seconds=%g", b->o.seconds);
    snprintf(text[3], sizeof text[3], "--snapshot-dir=%s", dir);
    snprintf(text[4], sizeof text[4], "--snapshot-every=%dms", SNAPSHOT_MS);
    snprintf(text[5], sizeof text[5], "--slow=%g", b->o.slow);
    for (int i = 0; i < 5; i++)
        plan.flags[plan.n_flags++] = text[i];
    plan.flags[plan.n_flags++] = "--quiet";
    plan.flags[plan.n_flags++] = "--eval-every=0";
    if (with_slow)
        plan.extra[b->o.n - 1] = text[5];
    int rc = swarm_run(&plan, results, err);
    if (rc == 0)
        rc = swarm_verdict(results, plan.n, err);
    *outcome = (struct outcome){.seconds_to_target = time_to_target(b, dir)};
    for (uint32_t i = 0; rc == 0 && i < plan.n; i++) {
        double steps = swarm_number(&results[i], "steps_per_s");
        outcome->all_steps_per_s += steps;
        outcome->fast_steps_per_s += i + 1 < plan.n ? steps / (plan.n - 1) : 0;
    }
    swarm_results_close(results, plan.n);
    return rc;
}

static void print(const struct bench *b, const double *time_ratio, const double *speed_ratio,
                  const double *kept)
{
    uint64_t n = b->o.repeats;
    double time = figures_median(time_ratio, n), speed = figures_median(speed_ratio, n),
           share = figures_median(kept, n);
    if (b->o.json) {
        json_t *o = json_pack("{s:f, s:f, s:f, s:i}", "time_ratio", time, "fast_steps_ratio", speed,
                              "throughput_kept", share, "seeds", (int)n);
        json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("\n%llu peers, one %g times slower; medians of %llu seeds, with it over without it:\n"
           "%8.3f  time until the mean model reaches %.0f %%\n"
           "%8.3f  steps/s of the others\n"
           "%8.3f  steps/s of all (%.3f would be ideal)\n",
           (unsigned long long)b->o.n, b->o.slow, (unsigned long long)n, time, 100 * b->o.target,
           speed, share, ((double)b->o.n - 1 + 1 / b->o.slow) / (double)b->o.n);
}

static int run(struct bench *b, struct error *err)
{
    double time_ratio[REPEATS_MAX], speed_ratio[REPEATS_MAX], kept[REPEATS_MAX];
    for (uint64_t i = 0; i < b->o.repeats; i++) {
        struct outcome even, slow;
        int rc = measure(b, i + 1, false, &even, err);
        if (rc == 0)
            rc = measure(b, i + 1, true, &slow, err);
        if (rc != 0)
            return rc;
        if (isnan(even.seconds_to_target) || isnan(slow.seconds_to_target))
            return error_set(err, ERR_UNREACHED, "the mean model did not reach %g within %g s",
                             b->o.target, b->o.seconds);
        time_ratio[i] = slow.seconds_to_target / even.seconds_to_target;
        speed_ratio[i] = slow.fast_steps_per_s / even.fast_steps_per_s;
        kept[i] = slow.all_steps_per_s / even.all_steps_per_s;
        log_info("seed %llu: to the target %.1f s without, %.1f s with (%.3f); steps/s of the "
                 "others %.2f and %.2f",
                 (unsigned long long)i + 1, even.seconds_to_target, slow.seconds_to_target,
                 time_ratio[i], even.fast_steps_per_s, slow.fast_steps_per_s);
    }
    print(b, time_ratio, speed_ratio, kept);
    return 0;
}

int bench_straggler(int argc, char **argv)
{
    struct bench b = {0};
    struct error err;
    int n_operands, rc = opts_parse(&bench_straggler_options, &b.o, argc, argv, &n_operands, &err);
    if (rc == OPTS_DONE)
        return 0;
    if (rc == 0)
        rc = data_open(&b.data, "fashion-mnist", NULL, &err);
    if (rc == 0)
        rc = model_parse(&b.model, "mlp:784-256-128-10", data_flat(784, 10), &err);
    if (rc == 0)
        rc = model_blas_setup(1, 0, &err);
    if (rc == 0) {
        b.theta = MEM_NEW(float, b.model.dim);
        b.mean = MEM_NEW(float, b.model.dim);
        evaluator_init(&b.evaluator, &b.model, &b.data.test);
        rc = run(&b, &err);
        evaluator_close(&b.evaluator);
        free(b.theta);
        free(b.mean);
    }
    data_close(&b.data);
    if (rc != 0)
        log_error("%s", err.text);
    return -rc;
}
