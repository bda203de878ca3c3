/* hubbub bench scaling: the reason to use more than one machine. Peers on a processor each against
 * one process on one processor with all the data. */
#include "bench/bench.h"
#include "bench/cmd_bench.h"
#include "bench/figures.h"
#include "bench/processors.h"
#include "bench/reach.h"

#include "base/log.h"
#include "base/opts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { REPEATS_MAX = 64, SNAPSHOT_MS = 20 };

struct options {
    uint64_t n, repeats;
    double target, seconds;
    const char *every;
    bool json;
};

#define F(field) offsetof(struct options, field)

static const struct opt table[] = {
    {"nodes", OPT_U64, F(n), "N", "2", "peers, as many as processors", "options", 2, 16, 0, 0, 'n'},
    {"target", OPT_F64, F(target), "ACC", "0.85", "test accuracy of the mean model to reach", 0, 0,
     1},
    {"gossip-every", OPT_STRING, F(every), "N|TIME", "auto", "as of hubbub node"},
    {"seconds", OPT_F64, F(seconds), "S", "6", "length of a run", 0, 1, 3600},
    {"repeat", OPT_U64, F(repeats), "N", "10", "seeds; medians are shown", 0, 1, REPEATS_MAX},
    {"json", OPT_SWITCH, F(json), 0, 0, "one JSON object on stdout"}};

const struct opts bench_scaling_options = {
    .command = "hubbub bench scaling",
    .summary = "time to an accuracy by peers on a processor each, against one process on one",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench scaling\n"
                "  hubbub bench scaling --nodes 4 --repeat 3\n"
                "  hubbub bench scaling --repeat 1 --json > scaling.json\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

static int measure(struct reach *r, const struct options *o, uint64_t n, uint64_t seed,
                   double *seconds, struct error *err)
{
    char text[32], every[64];
    struct swarm_plan plan = {.n = (uint32_t)n};
    struct swarm_result results[SWARM_MAX];
    struct reached reached = {NAN, NAN};
    snprintf(text, sizeof text, "--seed=%" PRIu64, seed);
    snprintf(every, sizeof every, "--gossip-every=%.40s", o->every);
    plan.flags[plan.n_flags++] = text;
    if (n == 1)
        plan.flags[plan.n_flags++] = "--gossip=off";
    else
        plan.flags[plan.n_flags++] = every;
    int rc = reach_swarm(r, &plan, o->seconds, results, &reached, err);
    swarm_results_close(results, plan.n);
    if (rc == 0 && isnan(reached.mean))
        rc = error_set(err, ERR_UNREACHED, "%" PRIu64 " of them did not reach %g within %g s", n,
                       o->target, o->seconds);
    *seconds = reached.mean;
    return rc;
}

/* Children have the processors of who starts them. */
static int measure_alone(struct reach *r, const struct options *o, uint64_t seed, double *seconds,
                         struct error *err)
{
    struct processors p;
    int rc = processors_get(&p, err);
    if (rc == 0)
        rc = processors_use(&p, 0, err);
    if (rc != 0)
        return rc;
    rc = measure(r, o, 1, seed, seconds, err);
    processors_use_all(&p);
    return rc;
}

static int run(struct reach *r, const struct options *o, struct error *err)
{
    double ratios[REPEATS_MAX];
    for (uint64_t i = 0; i < o->repeats; i++) {
        double alone = NAN, together = NAN;
        int rc = measure_alone(r, o, i + 1, &alone, err);
        if (rc == 0)
            rc = measure(r, o, o->n, i + 1, &together, err);
        if (rc != 0)
            return rc;
        ratios[i] = together / alone;
        log_info("seed %" PRIu64 ": %.2f s alone, %.2f s together (%.3f)", i + 1, alone, together,
                 ratios[i]);
    }
    struct figure figure = figures_of(ratios, o->repeats, "time_ratio", "",
                                      "time of the mean model to the target, together over alone");
    if (!o->json)
        printf("\n%" PRIu64 " peers against one process, target %g %%; %" PRIu64 " seeds\n", o->n,
               100 * o->target, o->repeats);
    figures_print(&figure, 1, 1000,
                  o->json ? json_pack("{s:I}", "seeds", (json_int_t)o->repeats) : NULL);
    return 0;
}

int bench_scaling(int argc, char **argv)
{
    struct options o = {0};
    struct reach r;
    struct error err;
    int rc = bench_parse(&bench_scaling_options, &o, argc, argv, &err);
    if (rc == 0)
        rc = reach_init(&r, o.target, SNAPSHOT_MS, &err);
    if (rc == 0) {
        rc = run(&r, &o, &err);
        reach_close(&r);
    }
    return bench_end(&bench_scaling_options, rc, &err);
}
