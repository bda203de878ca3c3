#include "bench/reach.h"

#include "base/mem.h"
#include "base/vec.h"
#include "bench/bench.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEMPORARY "/tmp/hubbub-bench-XXXXXX"

extern char **environ;

int reach_init(struct reach *r, double target, uint64_t tick_ms, struct error *err)
{
    *r = (struct reach){.target = target, .tick_ms = tick_ms};
    int rc = data_open(&r->data, "fashion-mnist", NULL, err);
    if (rc == 0)
        rc = model_parse(&r->model, "mlp:784-256-128-10", r->data.train.shape, err);
    if (rc == 0)
        rc = model_blas_setup(1, 0, err);
    if (rc != 0) {
        data_close(&r->data);
        return rc;
    }
    r->theta = MEM_NEW(float, r->model.dim);
    r->mean = MEM_NEW(float, r->model.dim);
    evaluator_init(&r->evaluator, &r->model, &r->data.test);
    return 0;
}

void reach_close(struct reach *r)
{
    evaluator_close(&r->evaluator);
    free(r->theta);
    free(r->mean);
    data_close(&r->data);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static bool read_snapshot(struct reach *r, const char *dir, uint64_t tick, uint32_t peer)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%" PRIu64 "-%" PRIu32 ".f32", dir, tick, peer);
    FILE *f = fopen(path, "rb");
    size_t n = f == NULL ? 0 : fread(r->theta, sizeof(float), r->model.dim, f);
    if (f != NULL)
        fclose(f);
    return n == r->model.dim;
}

/* False unless all peers have a snapshot of that tick. */
static bool mean_of_tick(struct reach *r, const char *dir, uint64_t tick, uint32_t n)
{
    memset(r->mean, 0, r->model.dim * sizeof *r->mean);
    for (uint32_t i = 1; i <= n; i++) {
        if (!read_snapshot(r, dir, tick, i))
            return false;
        vec_add(r->mean, r->theta, r->model.dim);
    }
    for (uint64_t d = 0; d < r->model.dim; d++)
        r->mean[d] /= (float)n;
    return true;
}

static bool is_good(struct reach *r, const float *theta)
{
    evaluator_start(&r->evaluator, theta, 0);
    while (evaluator_run(&r->evaluator)) {
    }
    const struct evaluation *sum = &r->evaluator.sum;
    return (double)sum->n_correct / (double)sum->n >= r->target;
}

/* The last peers first: where one is slow it is the last. */
static bool all_are_good(struct reach *r, const char *dir, uint64_t tick, uint32_t n)
{
    for (uint32_t i = n; i >= 1; i--)
        if (!read_snapshot(r, dir, tick, i) || !is_good(r, r->theta))
            return false;
    return true;
}

static struct reached look(struct reach *r, const char *dir, uint32_t n)
{
    struct reached reached = {NAN, NAN};
    uint64_t first = UINT64_MAX, last = 0, tick;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
        if (sscanf(entry->d_name, "%" SCNu64 "-", &tick) == 1) {
            first = tick < first ? tick : first;
            last = tick > last ? tick : last;
        }
    if (d != NULL)
        closedir(d);
    for (tick = first; isnan(reached.worst) && tick <= last; tick++) {
        double at = (double)((tick - first) * r->tick_ms) / 1e3;
        if (isnan(reached.mean) && mean_of_tick(r, dir, tick, n) && is_good(r, r->mean))
            reached.mean = at;
        if (all_are_good(r, dir, tick, n))
            reached.worst = at;
    }
    return reached;
}

/* ---- runs ------------------------------------------------------------------------------------ */

int reach_swarm(struct reach *r, const struct swarm_plan *plan, double seconds,
                struct swarm_result *results, struct reached *reached, struct error *err)
{
    char dir[] = TEMPORARY, until[64], snapshot_dir[64], every[64];
    struct swarm_plan p = *plan;
    if (mkdtemp(dir) == NULL)
        return error_set(err, ERR_FAILURE, "%s: cannot make a folder: %m", dir);
    snprintf(until, sizeof until, "--until=seconds=%g", seconds);
    snprintf(snapshot_dir, sizeof snapshot_dir, "--snapshot-dir=%s", dir);
    snprintf(every, sizeof every, "--snapshot-every=%" PRIu64 "ms", r->tick_ms);
    const char *const flags[] = {until,       snapshot_dir, every,
                                 "--lr=0.05", "--quiet",    "--eval-every=0"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        p.flags[p.n_flags++] = flags[i];
    int rc = swarm_run(&p, results, err);
    if (rc == 0)
        rc = swarm_verdict(results, p.n, err);
    if (rc == 0)
        *reached = look(r, dir, p.n);
    bench_remove_folder(dir);
    return rc;
}

int reach_program(struct reach *r, char *const *argv, uint32_t n, struct reached *reached,
                  struct error *err)
{
    char dir[] = TEMPORARY, *args[64] = {NULL};
    pid_t pid;
    int status = -1;
    if (mkdtemp(dir) == NULL)
        return error_set(err, ERR_FAILURE, "%s: cannot make a folder: %m", dir);
    for (size_t i = 0; argv[i] != NULL && i + 1 < sizeof args / sizeof args[0]; i++)
        args[i] = strcmp(argv[i], "{dir}") == 0 ? dir : argv[i];
    int rc = 0, cause = posix_spawnp(&pid, args[0], NULL, NULL, args, environ);
    if (cause != 0)
        rc = error_set(err, ERR_FAILURE, "%s: cannot be started: %s", args[0], strerror(cause));
    else if (waitpid(pid, &status, 0) != pid || status != 0)
        rc = error_set(err, ERR_FAILURE, "%s ended with status %d", args[0], status);
    else
        *reached = look(r, dir, n);
    bench_remove_folder(dir);
    return rc;
}
