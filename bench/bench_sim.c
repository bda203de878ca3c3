/* The simulator: node-updates a second of gossip learning, a model of 58 floats and one sample a
 * peer (the shape of logistic regression on Spambase), at two sizes, by one thread (on one
 * processor, then on the other) and by two, and beside the bare loop; a whole run of the larger
 * one; and where the time goes with a larger model.
 */
#include "bench/bench.h"
#include "bench/cmd_bench.h"

#include "base/clock.h"
#include "base/opts.h"
#include "bench/figures.h"
#include "bench/processors.h"
#include "bench/sim_bare.h"
#include "bench/sim_worlds.h"
#include "sim/sim.h"

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

struct options {
    const char *data, *model;
    uint64_t small, large, cycles, rounds, run, peers, every;
    double lr;
    bool json;
};

#define FIELD(name) offsetof(struct options, name)

static const struct opt table[] = {
    {"data", OPT_STRING, FIELD(data), "SPEC", "blobs:classes=2,features=28,train=4140,test=461",
     "what is trained on", "what is measured"},
    {"model", OPT_STRING, FIELD(model), "SPEC", "softmax", "what is trained"},
    {"small", OPT_U64, FIELD(small), "N", "100000", "peers", 0, 2, 1 << 28},
    {"large", OPT_U64, FIELD(large), "N", "1000000", "peers", 0, 2, 1 << 28},
    {"cycles", OPT_U64, FIELD(cycles), "N", "5", "gossip periods measured in a round, after one",
     "how", 1, 1000000},
    {"rounds", OPT_U64, FIELD(rounds), "N", "3", "of all, in turn; the medians are shown", 0, 1,
     99},
    {"run", OPT_U64, FIELD(run), "N", "0",
     "gossip periods of a whole run of the large world: seconds, memory, test error; 0: none",
     "a whole run", 0, 1000000},
    {"lr", OPT_F64, FIELD(lr), "X", "0.1", "its learning rate at the start, falling to 0", 0, 0,
     1000},
    {"peers", OPT_U64, FIELD(peers), "N", "1000",
     "of mlp:784-32-10 on Fashion-MNIST, to see where the time goes; 0: none", "a larger model", 0,
     1000000},
    {"every", OPT_U64, FIELD(every), "N", "1", "steps between their exchanges", 0, 1, 1000000},
    {"json", OPT_SWITCH, FIELD(json), 0, 0, "print one JSON object"},
};

const struct opts bench_sim_options = {
    .command = "hubbub bench sim",
    .summary = "node-updates a second of the simulator",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench sim\n"
                "  hubbub bench sim --small 1000 --large 10000 --cycles 50 --rounds 1\n"
                "  hubbub bench sim --data spambase.csv --model logistic --run 100 --lr 4\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

enum { ROUNDS_MAX = 99 };

static struct variant {
    const char *name, *what;
    bool large, frames;
    uint32_t n_threads; /* 0: the bare loop */
    double rates[ROUNDS_MAX];
    double unequal[ROUNDS_MAX]; /* of one thread: the slower processor against the faster */
} variants[] = {
    {"small_1", "small, one thread", false, false, 1, {0}, {0}},
    {"small_2", "small, two threads", false, false, 2, {0}, {0}},
    {"small_frames",
     "small, one thread, every message encoded, checked and decoded",
     false,
     true,
     1,
     {0},
     {0}},
    {"large_1", "large, one thread", true, false, 1, {0}, {0}},
    {"large_2", "large, two threads", true, false, 2, {0}, {0}},
    {"small_bare", "small, the bare loop in plain C, one thread", false, false, 0, {0}, {0}},
    {"large_bare", "large, the bare loop", true, false, 0, {0}, {0}},
};
enum { SMALL_1, SMALL_2, SMALL_FRAMES, LARGE_1, LARGE_2, SMALL_BARE, LARGE_BARE, N_VARIANTS };

/* Million node-updates a second. */
static int measure_once(const struct options *o, const struct variant *v, double *rate,
                        struct error *err)
{
    struct sim_config c;
    struct sim *sim;
    uint32_t n_nodes = (uint32_t)(v->large ? o->large : o->small);
    if (v->n_threads == 0) {
        *rate = sim_bare_rate(n_nodes, o->cycles);
        return 0;
    }
    int rc = gossip_learning(&c, o->data, o->model, n_nodes, v->n_threads, err);
    c.frames = v->frames;
    if (rc == 0)
        rc = sim_open(&sim, &c, err);
    if (rc != 0)
        return rc;
    sim_run_until(sim, SECOND_US);
    uint64_t before = sim_totals(sim).node_updates, start = clock_us();
    sim_run_until(sim, (1 + o->cycles) * SECOND_US);
    *rate = (double)(sim_totals(sim).node_updates - before) / (double)(clock_us() - start);
    sim_close(sim);
    return 0;
}

/* Two processors of a virtual machine need not be equally fast: what one thread does is the mean of
 * what it does on each, or two threads could gain less than twice that of the faster, or more. */
static int measure(const struct options *o, struct variant *v, uint64_t round, struct error *err)
{
    struct processors p;
    if (v->n_threads > 1)
        return measure_once(o, v, &v->rates[round], err);
    int rc = processors_get(&p, err);
    if (rc != 0)
        return rc;
    uint32_t n = p.n < 2 ? p.n : 2;
    double sum = 0, least = INFINITY, most = 0;
    for (uint32_t k = 0; rc == 0 && k < n; k++) {
        double rate = 0;
        rc = processors_use(&p, k, err);
        if (rc == 0)
            rc = measure_once(o, v, &rate, err);
        sum += rate;
        least = fmin(least, rate);
        most = fmax(most, rate);
    }
    processors_use_all(&p);
    v->rates[round] = sum / n;
    v->unequal[round] = least / most;
    return rc;
}

/* One variant against another, of each round. */
static struct figure ratio(const struct options *o, const char *name, const char *what, int of,
                           int to)
{
    double ratios[ROUNDS_MAX];
    for (uint64_t i = 0; i < o->rounds; i++)
        ratios[i] = variants[of].rates[i] / variants[to].rates[i];
    return figures_of(ratios, o->rounds, name, "x", what);
}

enum { N_COMPARED = 7 };

/* Returns how many there are. */
static size_t compare(const struct options *o, struct figure *figures)
{
    struct rusage usage = {0};
    size_t n = 0;
    getrusage(RUSAGE_SELF, &usage);
    for (; n < N_VARIANTS; n++)
        figures[n] = (struct figure){variants[n].name, "M/s", variants[n].what,
                                     figures_median(variants[n].rates, o->rounds)};
    figures[n++] = ratio(o, "small_threads", "two threads against one, small", SMALL_2, SMALL_1);
    figures[n++] = ratio(o, "large_threads", "two threads against one, large", LARGE_2, LARGE_1);
    figures[n++] = ratio(o, "frames", "with frames against without", SMALL_FRAMES, SMALL_1);
    figures[n++] =
        ratio(o, "small_of_bare", "one thread against the bare loop, small", SMALL_1, SMALL_BARE);
    figures[n++] =
        ratio(o, "large_of_bare", "one thread against the bare loop, large", LARGE_1, LARGE_BARE);
    figures[n++] = figures_of(variants[SMALL_1].unequal, o->rounds, "processors", "x",
                              "the slower processor against the faster, small, one thread");
    figures[n++] = (struct figure){"rss_mb", "MB", "at most", (double)usage.ru_maxrss / 1024};
    return n;
}

static int measure_all(const struct options *o, struct error *err)
{
    struct figure figures[N_VARIANTS + N_COMPARED + FIGURES_RUN + FIGURES_MEMORY + FIGURES_PROFILE];
    int rc = 0;
    for (uint64_t round = 0; rc == 0 && round < o->rounds; round++)
        for (int i = 0; rc == 0 && i < N_VARIANTS; i++)
            rc = measure(o, &variants[i], round, err);
    if (rc != 0)
        return rc;
    size_t n = compare(o, figures);
    rc = memory_of_push(o->data, o->model, (uint32_t)o->small, figures + n, err);
    n += FIGURES_MEMORY;
    if (rc == 0 && o->run > 0) {
        rc = run_to_the_end(o->data, o->model, o->lr, (uint32_t)o->large, o->run, figures + n, err);
        n += FIGURES_RUN;
    }
    if (rc == 0 && o->peers > 0) {
        enum { CYCLES = 5 };
        rc = profile_mlp((uint32_t)o->peers, (uint32_t)o->every, CYCLES, figures + n, err);
        n += FIGURES_PROFILE;
    }
    if (rc != 0)
        return rc;
    if (!o->json)
        printf("node-updates, %llu and %llu peers, %s, %s; medians of %llu\n",
               (unsigned long long)o->small, (unsigned long long)o->large, o->data, o->model,
               (unsigned long long)o->rounds);
    figures_print(figures, n, 100, o->json ? json_object() : NULL);
    return 0;
}

int bench_sim(int argc, char **argv)
{
    struct options o = {0};
    struct error err;
    int rc = bench_parse(&bench_sim_options, &o, argc, argv, &err);
    if (rc == 0)
        rc = measure_all(&o, &err);
    return bench_end(&bench_sim_options, rc, &err);
}
