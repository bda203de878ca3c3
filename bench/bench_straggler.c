/* hubbub bench straggler: what one slow peer costs the others. Real processes over loopback, the
 * same run with and without it, and all-reduce with it, in turn. */
#include "bench/bench.h"
#include "bench/cmd_bench.h"
#include "bench/figures.h"
#include "bench/reach.h"

#include "base/log.h"
#include "base/opts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { REPEATS_MAX = 32, SNAPSHOT_MS = 100 };

struct options {
    uint64_t n, seed, repeats, pace;
    double slow, target, seconds, allreduce_seconds;
    const char *allreduce;
    bool json;
};

#define F(field) offsetof(struct options, field)

static const struct opt table[] = {
    {"nodes", OPT_U64, F(n), "N", "4", "peers; the last is the slow one", "options", 2, 16, 0, 0,
     'n'},
    {"slow", OPT_F64, F(slow), "X", "4", "how much slower it is", 0, 1, 1000},
    {"pace", OPT_DURATION, F(pace), "TIME", "10ms", "a step of the others"},
    {"target", OPT_F64, F(target), "ACC", "0.85", "test accuracy to reach", 0, 0, 1},
    {"seconds", OPT_F64, F(seconds), "S", "15", "length of a run", 0, 1, 3600},
    {"seed", OPT_U64, F(seed), "N", "1", "the first seed"},
    {"repeat", OPT_U64, F(repeats), "N", "5", "seeds; medians are shown", 0, 1, REPEATS_MAX},
    {"allreduce", OPT_STRING, F(allreduce), "PROGRAM", "",
     "also by synchronous all-reduce, with the slow one: what make bench-allreduce builds"},
    {"allreduce-seconds", OPT_F64, F(allreduce_seconds), "S", "40", "length of such a run", 0, 1,
     3600},
    {"json", OPT_SWITCH, F(json), 0, 0, "one JSON object on stdout"}};

const struct opts bench_straggler_options = {
    .command = "hubbub bench straggler",
    .summary = "time to an accuracy, with and without a slow peer, and by all-reduce",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench straggler\n"
                "  hubbub bench straggler --nodes 8 --slow 10 --seconds 30\n"
                "  hubbub bench straggler --repeat 1 --json > straggler.json\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

struct outcome {
    struct reached reached;
    double fast_steps_per_s; /* mean over the peers that are never slow */
    double all_steps_per_s;  /* sum over all */
};

static int measure(struct reach *r, const struct options *o, uint64_t seed, bool with_slow,
                   struct outcome *outcome, struct error *err)
{
    char text[3][64];
    struct swarm_plan plan = {.n = (uint32_t)o->n};
    struct swarm_result results[SWARM_MAX];
    snprintf(text[0], sizeof text[0], "--seed=%" PRIu64, seed);
    snprintf(text[1], sizeof text[1], "--pace=%" PRIu64 "us", o->pace);
    snprintf(text[2], sizeof text[2], "--slow=%g", o->slow);
    plan.flags[plan.n_flags++] = text[0];
    plan.flags[plan.n_flags++] = text[1];
    if (with_slow)
        plan.extra[o->n - 1] = text[2];
    *outcome = (struct outcome){{NAN, NAN}};
    int rc = reach_swarm(r, &plan, o->seconds, results, &outcome->reached, err);
    for (uint32_t i = 0; rc == 0 && i < plan.n; i++) {
        double steps = swarm_number(&results[i], "steps_per_s");
        outcome->all_steps_per_s += steps;
        outcome->fast_steps_per_s += i + 1 < plan.n ? steps / (plan.n - 1) : 0;
    }
    swarm_results_close(results, plan.n);
    if (rc == 0 && isnan(outcome->reached.mean))
        rc = error_set(err, ERR_UNREACHED, "the mean model did not reach %g within %g s", o->target,
                       o->seconds);
    return rc;
}

static int measure_allreduce(struct reach *r, const struct options *o, uint64_t seed,
                             struct reached *reached, struct error *err)
{
    char n[32], flags[5][64];
    snprintf(n, sizeof n, "%" PRIu64, o->n);
    snprintf(flags[0], sizeof flags[0], "--seed=%" PRIu64, seed);
    snprintf(flags[1], sizeof flags[1], "--pace=%" PRIu64 "us", o->pace);
    snprintf(flags[2], sizeof flags[2], "--slow=%g", o->slow);
    snprintf(flags[3], sizeof flags[3], "--seconds=%g", o->allreduce_seconds);
    snprintf(flags[4], sizeof flags[4], "--snapshot-every=%dms", SNAPSHOT_MS);
    /* Ranks that wait give their processor away: there may be more of them than processors. */
    char *argv[] = {"mpirun",
                    "--allow-run-as-root",
                    "--oversubscribe",
                    "--mca",
                    "mpi_yield_when_idle",
                    "1",
                    "-n",
                    n,
                    (char *)o->allreduce,
                    flags[0],
                    flags[1],
                    flags[2],
                    flags[3],
                    flags[4],
                    "--snapshot-dir",
                    "{dir}",
                    NULL};
    int rc = reach_program(r, argv, 1, reached, err);
    if (rc == 0 && isnan(reached->mean))
        rc = error_set(err, ERR_UNREACHED, "all-reduce did not reach %g within %g s", o->target,
                       o->allreduce_seconds);
    return rc;
}

enum ratio { TIME, SPEED, KEPT, MEAN_OVER_ALLREDUCE, WORST_OVER_ALLREDUCE, N_RATIOS };

static void print(const struct options *o, double ratios[N_RATIOS][REPEATS_MAX])
{
    static const char *const names[N_RATIOS][2] = {
        [TIME] = {"time_ratio",
                  "time until the mean model reaches the target, with it over without"},
        [SPEED] = {"fast_steps_ratio", "steps/s of the others, with it over without"},
        [KEPT] = {"throughput_kept", "steps/s of all, with it over without"},
        [MEAN_OVER_ALLREDUCE] = {"mean_over_allreduce", "time of the mean model over all-reduce's"},
        [WORST_OVER_ALLREDUCE] = {"worst_over_allreduce",
                                  "time of the worst peer over all-reduce's"}};
    struct figure figures[N_RATIOS];
    size_t n = o->allreduce[0] != '\0' ? N_RATIOS : MEAN_OVER_ALLREDUCE;
    for (size_t i = 0; i < n; i++)
        figures[i] = figures_of(ratios[i], o->repeats, names[i][0], "", names[i][1]);
    if (!o->json)
        printf("\n%" PRIu64 " peers, one %g times slower, target %g %%; medians of %" PRIu64
               " seeds; %.3f of the throughput would be ideal\n",
               o->n, o->slow, 100 * o->target, o->repeats,
               ((double)o->n - 1 + 1 / o->slow) / (double)o->n);
    figures_print(figures, n, 1000,
                  o->json ? json_pack("{s:I}", "seeds", (json_int_t)o->repeats) : NULL);
}

static int run(struct reach *r, const struct options *o, struct error *err)
{
    double ratios[N_RATIOS][REPEATS_MAX] = {0};
    for (uint64_t i = 0; i < o->repeats; i++) {
        struct outcome even, slow;
        struct reached all = {NAN, NAN};
        uint64_t seed = o->seed + i;
        int rc = measure(r, o, seed, false, &even, err);
        if (rc == 0)
            rc = measure(r, o, seed, true, &slow, err);
        if (rc == 0 && o->allreduce[0] != '\0')
            rc = measure_allreduce(r, o, seed, &all, err);
        if (rc != 0)
            return rc;
        ratios[TIME][i] = slow.reached.mean / even.reached.mean;
        ratios[SPEED][i] = slow.fast_steps_per_s / even.fast_steps_per_s;
        ratios[KEPT][i] = slow.all_steps_per_s / even.all_steps_per_s;
        ratios[MEAN_OVER_ALLREDUCE][i] = slow.reached.mean / all.mean;
        ratios[WORST_OVER_ALLREDUCE][i] =
            (isnan(slow.reached.worst) ? o->seconds : slow.reached.worst) / all.mean;
        log_info("seed %" PRIu64 ": the mean model at the target after %.1f s without, %.1f s with "
                 "it (worst peer %.1f s), all-reduce %.1f s; steps/s of the others %.2f and %.2f",
                 seed, even.reached.mean, slow.reached.mean, slow.reached.worst, all.mean,
                 even.fast_steps_per_s, slow.fast_steps_per_s);
    }
    print(o, ratios);
    return 0;
}

int bench_straggler(int argc, char **argv)
{
    struct options o = {0};
    struct reach r;
    struct error err;
    int rc = bench_parse(&bench_straggler_options, &o, argc, argv, &err);
    if (rc == 0)
        rc = reach_init(&r, o.target, SNAPSHOT_MS, &err);
    if (rc == 0) {
        rc = run(&r, &o, &err);
        reach_close(&r);
    }
    return bench_end(&bench_straggler_options, rc, &err);
}
