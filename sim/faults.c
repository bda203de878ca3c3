#include "sim/faults.h"

#include "base/check.h"
#include "base/log.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    STEP_US = 1000,
    FRAME_BYTES = 1200,     /* of the small model, or so */
    EXCHANGES_TO_HEAL = 60, /* a node's, before and after */
    LEARNING_PERCENT = 25,  /* of the second half; then they settle */
    ARGS_MAX = 80,
    OTHERWISE = 4 /* one in so many is run once more, by two threads and without --check */
};

struct draw {
    struct rng rng;
    char *text;
    size_t at;
    uint32_t n;           /* nodes */
    bool hub;             /* one that all others talk to */
    bool sparse;          /* a star or a path */
    bool one_sided;       /* pushes or pulls, which do not keep the mean */
    bool on_receive;      /* a step for each model that comes */
    uint64_t exchange_us; /* what one takes, about */
    uint64_t half_us;     /* when the world heals */
};

static void say(struct draw *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct draw *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    d->at += (size_t)vsnprintf(d->text + d->at, FAULTS_TEXT - d->at, format, args);
    va_end(args);
    CHECK(d->at < FAULTS_TEXT);
}

static bool one_in(struct draw *d, uint32_t n)
{
    return rng_below(&d->rng, n) == 0;
}

static uint32_t between(struct draw *d, uint32_t low, uint32_t high)
{
    return low + rng_below(&d->rng, high - low + 1);
}

/* ---- what a world is made of ----------------------------------------------------------------- */

/* Sparse graphs are small: they need time to agree. */
static void draw_nodes(struct draw *d)
{
    static const struct {
        const char *name;
        uint32_t low, high, even;
    } shapes[] = {{"random", 2, 24, 0},
                  {"complete", 2, 16, 0},
                  {"ring", 3, 8, 0},
                  {"path", 2, 5, 0},
                  {"torus", 9, 16, 0},
                  {"star", 3, 10, 0},
                  {"exponential", 4, 20, 0},
                  {"regular:3", 6, 20, 1},
                  {"smallworld:4,0.3", 8, 16, 0},
                  {"one-peer-exponential", 4, 16, 0}};
    uint32_t shape = rng_below(&d->rng, sizeof shapes / sizeof shapes[0]);
    d->n = between(d, shapes[shape].low, shapes[shape].high);
    d->n += shapes[shape].even & d->n;
    if (strcmp(shapes[shape].name, "torus") == 0) /* of a prime number it would be a ring */
        d->n -= d->n % 4;
    d->hub = strcmp(shapes[shape].name, "star") == 0;
    d->sparse = d->hub || strcmp(shapes[shape].name, "path") == 0;
    say(d, " -n %" PRIu32 " --topology %s", d->n, shapes[shape].name);
}

static void draw_training(struct draw *d)
{
    static const char *const models[] = {"mlp:12-16-4", "softmax"};
    static const char *const partitions[] = {"iid", "dirichlet:1", "labels:2"};
    static const char *const optims[] = {"sgd --momentum 0", "sgd", "qgm", "adamw --lr 0.01"};
    say(d, " --data blobs:classes=4,features=12,train=1200,test=200 --model %s --batch 4",
        models[between(d, 0, 1)]);
    say(d, " --partition %s", partitions[between(d, 0, d->one_sided ? 0 : 2)]);
    say(d, " --optimizer %s", optims[between(d, 0, 3)]);
}

static uint64_t draw_gossip(struct draw *d)
{
    uint32_t every = between(d, 1, 4), mode = rng_below(&d->rng, 8);
    bool by_time = one_in(d, 3);
    /* Where few links carry everything, places taken first by the same ones, step after step, and
     * pushes refused would leave the others out. */
    uint32_t open = between(d, 1, 4), serve = between(d, 1, 6);
    if (d->hub && serve < d->n)
        serve = d->n;
    if (d->sparse && mode == 0)
        mode = 2;
    d->one_sided = mode < 2;
    say(d, " --gossip %s", mode == 0 ? "push" : mode == 1 ? "pull" : "pairwise");
    if (by_time)
        d->on_receive = one_in(d, 3);
    say(d, " --gossip-every %" PRIu32 "%s%s", every, by_time ? "ms" : "",
        d->on_receive ? " --train on-receive" : "");
    say(d, " --open %" PRIu32 " --serve %" PRIu32, open, serve);
    d->exchange_us = every * STEP_US;
    return every * STEP_US;
}

static void draw_network(struct draw *d)
{
    static const struct {
        const char *text;
        uint64_t typical_us;
    } latencies[] = {{"0", 0},
                     {"const:2ms", 2000},
                     {"uniform:100us,5ms", 3000},
                     {"uniform:1ms,20ms", 12000},
                     {"lognormal:1ms,0.8", 3000}};
    uint32_t kind = between(d, 0, 4);
    say(d, " --latency %s", latencies[kind].text);
    d->exchange_us += 2 * latencies[kind].typical_us;
    if (one_in(d, 3)) {
        uint32_t rate = between(d, 150, 3000);
        say(d, " --bandwidth %" PRIu32 "000", rate);
        d->exchange_us += 4 * FRAME_BYTES * 1000 / rate;
    }
    if (one_in(d, 4)) {
        uint32_t rate = between(d, 150, 3000);
        say(d, " --link-bandwidth %" PRIu32 "000", rate);
        d->exchange_us += 2 * FRAME_BYTES * 1000 / rate;
    }
    if (one_in(d, 2))
        say(d, " --tick %" PRIu32 "us", between(d, 1, 500));
}

static void draw_speed(struct draw *d)
{
    static const struct {
        const char *text;
        uint32_t slowest;
    } speeds[] = {{"const", 1}, {"lognormal:0.5", 3}, {"stragglers:0.2,4x", 4}};
    uint32_t kind = between(d, 0, 2);
    say(d, " --step-time 1ms --speed %s", speeds[kind].text);
    d->exchange_us += 2 * speeds[kind].slowest * STEP_US;
}

static uint64_t part_ms(struct draw *d, uint32_t low_percent, uint32_t high_percent)
{
    return d->half_us * between(d, low_percent, high_percent) / 100 / 1000 + 1;
}

static void draw_faults(struct draw *d)
{
    static const char *const drops[] = {"0.005", "0.02", "0.1", "0.3"};
    say(d, " --heal %" PRIu64 "us", d->half_us);
    if (one_in(d, 2))
        say(d, " --drop %s", drops[between(d, 0, 3)]);
    if (one_in(d, 4)) {
        uint64_t from = part_ms(d, 0, 60), to = from + part_ms(d, 5, 60);
        say(d, " --netsplit %" PRIu64 "ms..%" PRIu64 "ms:%" PRIu32, from, to, between(d, 2, 3));
    }
    if (one_in(d, 2)) {
        uint64_t session = part_ms(d, 5, 60), gap = part_ms(d, 1, 20);
        if (one_in(d, 2))
            say(d, " --churn lognormal:%" PRIu64 "ms,1,uniform:0,%" PRIu64 "ms", session, gap);
        else
            say(d, " --churn uniform:1ms,%" PRIu64 "ms,%" PRIu64 "ms", 2 * session, gap);
        say(d, " --churn-state %s", one_in(d, 2) ? "lost" : "kept");
    }
    if (d->n > 2 && one_in(d, 5))
        say(d, " --join %" PRIu64 "ms:%" PRIu32, part_ms(d, 5, 90), between(d, 1, d->n / 2));
}

/* Drawn last, so that the rest of a world is as it is without them. A step takes no longer.
 * One-sided worlds are left as they are: what they learn is chance enough. */
static void draw_rests(struct draw *d)
{
    if (d->one_sided)
        return;
    if (one_in(d, 3))
        say(d, " --parked %" PRIu32, between(d, 1, 3));
    if (!d->on_receive && one_in(d, 3))
        say(d, " --step-time %" PRIu32 "us --pace 1ms", between(d, 100, 900));
}

void faults_draw(uint64_t seed, char text[FAULTS_TEXT])
{
    struct draw d = {.rng = rng_stream(seed, 0, RNG_FAULTS), .text = text};
    say(&d, "sim --quiet --check --seed %" PRIu64, seed);
    draw_nodes(&d);
    uint64_t cycle_us = draw_gossip(&d);
    draw_training(&d);
    draw_network(&d);
    draw_speed(&d);
    d.half_us = EXCHANGES_TO_HEAL * d.exchange_us;
    draw_faults(&d);
    say(&d, " --settle %" PRIu64 "us --cycles %" PRIu64,
        d.half_us + LEARNING_PERCENT * d.half_us / 100, 2 * d.half_us / cycle_us + 1);
    say(&d, " --frames %s", one_in(&d, 2) ? "on" : "off");
    draw_rests(&d);
}

/* ---- judging one ------------------------------------------------------------------------------
 */

struct verdict {
    struct sim_measure half, end;
    struct sim_totals totals;
    char trace[SIM_HASH_TEXT], weights[SIM_HASH_TEXT];
};

static int parse(char *text, int (*parse_args)(int, char **, struct sim_config *, struct error *),
                 struct sim_config *config, struct error *err)
{
    char *args[ARGS_MAX], *rest = text;
    int n = 0;
    for (char *arg; (arg = strsep(&rest, " ")) != NULL && n < ARGS_MAX;)
        args[n++] = arg;
    return parse_args(n, args, config, err);
}

static int run(const struct sim_config *config, struct verdict *v, struct error *err)
{
    struct sim *sim;
    int rc = sim_open(&sim, config, err);
    if (rc != 0)
        return rc;
    for (uint64_t cycle = 1; cycle <= config->cycles && sim_violation(sim) == NULL; cycle++) {
        sim_run_until(sim, cycle * sim_cycle_us(sim));
        if (cycle == config->cycles / 2)
            v->half = sim_measure(sim, UINT32_MAX);
    }
    v->end = sim_measure(sim, UINT32_MAX);
    v->totals = sim_totals(sim);
    sim_trace_sha256(sim, v->trace);
    sim_weights_sha256(sim, v->weights);
    if (sim_violation(sim) != NULL)
        rc = error_set(err, ERR_FAILURE, "%s", sim_violation(sim));
    sim_close(sim);
    return rc;
}

static int judge(const struct sim_config *config, const struct verdict *v, struct error *err)
{
    enum { ACCURATE_PERCENT = 60 };
    static const double agreed = 0.05; /* the weights' own distance from zero is about 5 */
    if (v->totals.punished > 0 || v->totals.diverged > 0)
        return error_set(err, ERR_FAILURE,
                         "%" PRIu64 " messages punished, %" PRIu64 " steps diverged",
                         v->totals.punished, v->totals.diverged);
    if (v->end.n_evaluated != config->n_nodes)
        return error_set(err, ERR_FAILURE, "%" PRIu32 " of %" PRIu32 " nodes train at the end",
                         v->end.n_evaluated, config->n_nodes);
    if (!(v->end.consensus <= agreed))
        return error_set(err, ERR_FAILURE, "consensus distance %.4f at the end, of %.4f at most",
                         v->end.consensus, agreed);
    if (!(100 * v->end.acc_min >= ACCURATE_PERCENT))
        return error_set(err, ERR_FAILURE, "accuracy %.2f %% at the end, of %d %% at least",
                         100 * v->end.acc_min, ACCURATE_PERCENT);
    return 0;
}

/* The same world by two threads, with frames where there were none. */
static int run_otherwise(const struct sim_config *config, const struct verdict *v,
                         struct error *err)
{
    struct sim_config other = *config;
    struct verdict w;
    other.n_threads = 2;
    other.check = false;
    other.frames = !config->frames;
    int rc = run(&other, &w, err);
    if (rc == 0 && (strcmp(v->trace, w.trace) != 0 || strcmp(v->weights, w.weights) != 0))
        return error_set(err, ERR_FAILURE, "two threads come to another result");
    return rc;
}

/* ---- many of them ------------------------------------------------------------------------------
 */

static volatile uint64_t seed_now;

/* A CHECK that fails ends the program: at least it says where. */
static void on_abort(int signal_number)
{
    char text[60];
    int n = snprintf(text, sizeof text, "  with --faults 1 --seed %" PRIu64 "\n", seed_now);
    if (write(STDERR_FILENO, text, (size_t)n) == n)
        signal(signal_number, SIG_DFL);
}

int faults_run(uint64_t first, uint64_t n, bool verbose,
               int (*parse_args)(int argc, char **argv, struct sim_config *c, struct error *err),
               struct error *err)
{
    uint64_t n_failed = 0;
    signal(SIGABRT, on_abort);
    for (uint64_t seed = first; seed < first + n; seed++) {
        struct sim_config config;
        struct verdict v = {0};
        struct error why = {0};
        char text[FAULTS_TEXT], args[FAULTS_TEXT];
        seed_now = seed;
        faults_draw(seed, text);
        memcpy(args, text, sizeof args);
        int rc = parse(args, parse_args, &config, &why);
        if (rc == 0)
            rc = run(&config, &v, &why);
        if (rc == 0)
            rc = judge(&config, &v, &why);
        if (rc == 0 && seed % OTHERWISE == 0)
            rc = run_otherwise(&config, &v, &why);
        n_failed += rc != 0;
        if (rc != 0 || verbose)
            printf("seed %" PRIu64 ": %s (consensus %.4f, then %.4f; accuracy %.2f %%; %" PRIu64
                   " messages, %" PRIu64 " lost, %" PRIu64 " crashes)\n  hubbub %s\n",
                   seed, rc != 0 ? why.text : "holds", v.half.consensus, v.end.consensus,
                   100 * v.end.acc_min, v.totals.messages, v.totals.lost, v.totals.crashes, text);
        fflush(stdout);
    }
    printf("%" PRIu64 " worlds of faults, seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " failed\n",
           n, first, first + n - 1, n_failed);
    if (n_failed > 0)
        return error_set(err, ERR_FAILURE, "%" PRIu64 " worlds of faults failed", n_failed);
    return 0;
}
