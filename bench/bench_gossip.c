/* hubbub bench gossip: what gossip costs the training, beside what a bare socket loop costs it that
 * moves the same bytes. */
#include "bench/bench.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opts.h"
#include "bench/cmd_bench.h"
#include "bench/figures.h"
#include "bench/stream_pair.h"
#include "bench/stream_paced.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
    const char *model, *data;
    uint64_t every;
    double seconds;
    bool json;
};

#define F(field) offsetof(struct options, field)

static const struct opt table[] = {
    {"every", OPT_U64, F(every), "N", "8", "steps between exchanges", "what is measured", 1, 4096},
    {"model", OPT_STRING, F(model), "SPEC", "mlp:784-256-128-10", "softmax or mlp:IN-...-OUT"},
    {"data", OPT_STRING, F(data), "SPEC", "fashion-mnist",
     "fashion-mnist, a directory of IDX files, or blobs:..."},
    {"seconds", OPT_F64, F(seconds), "S", "20", "how long to measure", "how", 2, 3600},
    {"json", OPT_SWITCH, F(json), 0, 0, "print one JSON object"},
};

const struct opts bench_gossip_options = {
    .command = "hubbub bench gossip",
    .summary = "what gossip costs two training peers, against a bare socket loop beside them",
    .usage = "[OPTIONS]",
    .examples = "  hubbub bench gossip\n"
                "  hubbub bench gossip --every 1 --seconds 60\n"
                "  hubbub bench gossip --data blobs:classes=10,features=784 --json\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

enum { ALONE, SOCKETS, GOSSIP, AUTO, N_MODES };
enum {
    WINDOW_US = 200000,
    REST_US = 10000, /* between modes: what was open ends in nobody's window */
    ADAPT_US = 4000000,
    ROUNDS_MAX = 1000,
    NEVER = 1 << 30
};

/* How a side stands between one mode and the next. */
struct mark {
    uint64_t us, steps, bytes_out, work_us; /* work: of its loop, and of its trainer in jobs */
    uint32_t every, n_mixed;
};

struct side {
    struct bench *bench;
    /* Under the bench's lock. */
    uint32_t ordered, done; /* numbers of the last order, and of the last one carried out */
    struct gossip_every every;
    struct mark mark;
    /* The loop thread's. */
    bool marking;
    uint64_t steps_before;
};

struct bench {
    struct pair pair;
    struct side sides[2];
    pthread_mutex_t lock;
    pthread_cond_t marked;
    bool ending;
    struct gossip_every modes[N_MODES][2]; /* of each side */
    struct paced *paced;
    size_t n_rounds;
    double steps_per_s[N_MODES][ROUNDS_MAX], bytes_per_s[N_MODES][ROUNDS_MAX];
    double slices_per_s[ROUNDS_MAX];  /* of GOSSIP: exchanges of a slice completed */
    double work[N_MODES][ROUNDS_MAX]; /* share of both processors' time */
};

/* ---- the loop threads ------------------------------------------------------------------------ */

/* Between two steps: the trainer reports after each until the mark is taken. */
static void take_mark(struct side *s, struct node *n)
{
    if (!s->marking) {
        s->marking = true;
        s->steps_before = n->report.steps_done;
        handoff_set_stride(&n->handoff, 1);
    } else if (n->report.steps_done > s->steps_before) {
        exchange_count(n);
        s->mark = (struct mark){.us = clock_us(),
                                .steps = n->report.steps_done,
                                .bytes_out = n->bytes_out,
                                .work_us = clock_thread_us() + n->report.job_us,
                                .every = n->config.every.steps,
                                .n_mixed = n->counts.mixed};
        s->marking = false;
        s->done = s->ordered;
        n->config.every = s->every;
        exchange_set_schedule(n);
        pthread_cond_signal(&s->bench->marked);
    }
}

static bool on_turn(struct pair_side *side)
{
    struct side *s = side->ctx;
    pthread_mutex_lock(&s->bench->lock);
    bool ending = s->bench->ending;
    if (!ending && s->ordered != s->done)
        take_mark(s, &side->node);
    pthread_mutex_unlock(&s->bench->lock);
    /* One after the other, so that no exchange is cut in two. */
    return !ending || (side->side == 1 && side->node.peers.n_linked > 0);
}

/* ---- modes ----------------------------------------------------------------------------------- */

/* Both sides change over; marks: how each stood then. */
static void change_to(struct bench *b, const struct gossip_every every[2], struct mark marks[2])
{
    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < 2; i++) {
        b->sides[i].every = every[i];
        b->sides[i].ordered++;
    }
    pthread_mutex_unlock(&b->lock);
    pair_wake(&b->pair);
    pthread_mutex_lock(&b->lock);
    while (b->sides[0].done != b->sides[0].ordered || b->sides[1].done != b->sides[1].ordered)
        pthread_cond_wait(&b->marked, &b->lock);
    for (int i = 0; i < 2; i++)
        marks[i] = b->sides[i].mark;
    pthread_mutex_unlock(&b->lock);
}

/* What both sides did between two marks, a second. */
struct rates {
    double steps, bytes_out, slices, work;
};

static struct rates rates(const struct mark from[2], const struct mark to[2])
{
    struct rates r = {0};
    for (int i = 0; i < 2; i++) {
        double s = (double)(to[i].us - from[i].us) * 1e-6;
        r.steps += (double)(to[i].steps - from[i].steps) / s;
        r.bytes_out += (double)(to[i].bytes_out - from[i].bytes_out) / s;
        r.slices += (to[i].n_mixed - from[i].n_mixed) / s;
        r.work += (double)(to[i].work_us - from[i].work_us) * 1e-6 / s;
    }
    return r;
}

static void measure_mode(struct bench *b, int m, size_t round)
{
    struct stream *sockets = paced_stream(b->paced);
    struct mark from[2], to[2];
    clock_sleep_until(clock_us() + REST_US);
    change_to(b, b->modes[m], from);
    uint64_t came = stream_count(sockets), work_us = paced_work_us(b->paced);
    stream_set_open(sockets, m == SOCKETS);
    clock_sleep_until(clock_us() + WINDOW_US);
    stream_set_open(sockets, false);
    change_to(b, b->modes[ALONE], to);
    struct rates r = rates(from, to);
    if (m == SOCKETS) {
        double s = (double)(to[0].us - from[0].us + to[1].us - from[1].us) * 0.5e-6;
        r.bytes_out = (double)(stream_count(sockets) - came) / s;
        r.work += (double)(paced_work_us(b->paced) - work_us) * 1e-6 / s;
    }
    if (m == GOSSIP)
        b->slices_per_s[round] = r.slices;
    b->steps_per_s[m][round] = r.steps;
    b->bytes_per_s[m][round] = r.bytes_out;
    b->work[m][round] = r.work / 2;
}

/* Each mode for a window, forwards and backwards in turn, so that a change of the machine's speed
 * meets all of them. */
static void measure_round(struct bench *b, size_t round)
{
    for (int i = 0; i < N_MODES; i++)
        measure_mode(b, round % 2 == 0 ? i : N_MODES - 1 - i, round);
}

/* Finds what "auto" comes to, and how many bytes a second the exchanges are. */
static int prepare(struct bench *b, const struct options *o, struct error *err)
{
    struct mark from[2], to[2];
    struct gossip_every automatic[2] = {{.automatic = true, .steps = (uint32_t)o->every},
                                        {.automatic = true, .steps = (uint32_t)o->every}};
    for (int i = 0; i < 2; i++) {
        b->modes[ALONE][i].steps = b->modes[SOCKETS][i].steps = NEVER;
        b->modes[GOSSIP][i].steps = (uint32_t)o->every;
    }
    change_to(b, automatic, from);
    clock_sleep_until(clock_us() + ADAPT_US);
    change_to(b, b->modes[GOSSIP], from);
    for (int i = 0; i < 2; i++)
        b->modes[AUTO][i].steps = from[i].every;
    clock_sleep_until(clock_us() + 4 * WINDOW_US);
    change_to(b, b->modes[ALONE], to);
    double bytes_per_s = rates(from, to).bytes_out;
    if (bytes_per_s == 0)
        return error_set(err, ERR_FAILURE, "no exchange within %d ms", 4 * WINDOW_US / 1000);
    /* A side's bursts are a model each: twice as often as it exchanges, for it asks and answers. */
    double model = (double)b->pair.sides[0].node.model.dim * sizeof(float);
    b->paced = paced_new((uint32_t)model, (uint64_t)(1e6 * model / (bytes_per_s / 2)), err);
    return b->paced == NULL ? err->code : 0;
}

static int measure(struct bench *b, const struct options *o, struct error *err)
{
    struct node_config config;
    pair_config(&config, o->data, o->model);
    CHECK(pthread_mutex_init(&b->lock, NULL) == 0 && pthread_cond_init(&b->marked, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        b->sides[i].bench = b;
        b->pair.sides[i].ctx = &b->sides[i];
    }
    double rounds = o->seconds * 1e6 / (N_MODES * (WINDOW_US + REST_US));
    b->n_rounds = rounds < 3 ? 3 : rounds > ROUNDS_MAX ? ROUNDS_MAX : (size_t)rounds;
    int rc = pair_open(&b->pair, &config, on_turn, err);
    if (rc != 0)
        return rc;
    rc = prepare(b, o, err);
    if (rc == 0)
        measure_round(b, 0); /* to warm up: written over */
    for (size_t round = 0; rc == 0 && round < b->n_rounds; round++)
        measure_round(b, round);
    pthread_mutex_lock(&b->lock);
    b->ending = true;
    pthread_mutex_unlock(&b->lock);
    if (rc == 0)
        rc = pair_join(&b->pair, err);
    if (b->paced != NULL)
        paced_free(b->paced);
    return rc;
}

/* ---- report ---------------------------------------------------------------------------------- */

static struct figure cost(const struct bench *b, int mode, const char *name, const char *what)
{
    double percent[ROUNDS_MAX];
    for (size_t i = 0; i < b->n_rounds; i++)
        percent[i] = 100 * (1 - b->steps_per_s[mode][i] / b->steps_per_s[ALONE][i]);
    return figures_of(percent, b->n_rounds, name, "%", what);
}

/* More than without exchanges: a share of both processors. It leaves out what the trainer's caches
 * lose, and hardly changes from round to round. */
static struct figure work(const struct bench *b, int mode, const char *name, const char *what)
{
    double percent[ROUNDS_MAX];
    for (size_t i = 0; i < b->n_rounds; i++)
        percent[i] = 100 * (b->work[mode][i] - b->work[ALONE][i]);
    return figures_of(percent, b->n_rounds, name, "%", what);
}

static void report(const struct bench *b, const struct options *o)
{
    double alone = figures_median(b->steps_per_s[ALONE], b->n_rounds);
    double moved = figures_median(b->bytes_per_s[GOSSIP], b->n_rounds),
           moved_bare = figures_median(b->bytes_per_s[SOCKETS], b->n_rounds);
    double every = (b->modes[AUTO][0].steps + b->modes[AUTO][1].steps) / 2.0;
    double models =
        figures_median(b->slices_per_s, b->n_rounds) / b->pair.sides[0].node.gossip_config.n_slices;
    struct figure gossip = cost(b, GOSSIP, "gossip_cost_percent", "exchanges cost"),
                  sockets = cost(b, SOCKETS, "sockets_cost_percent", "those cost"),
                  gossip_work = work(b, GOSSIP, "gossip_work_percent",
                                     "of the processors' time: jobs, the loops' threads"),
                  sockets_work = work(b, SOCKETS, "sockets_work_percent",
                                      "of the processors' time: the sockets' threads");
    struct figure figures[] = {
        {"alone_steps_per_s", "steps/s", "both peers, without exchanges", alone},
        {"gossip_mbytes_per_s", "MB/s", "exchanges move, both directions", moved * 1e-6},
        {"gossip_models_per_s", "1/s", "exchanges of a whole model, completed", models},
        {"sockets_mbytes_per_s", "MB/s", "bare socket loops move", moved_bare * 1e-6},
        gossip,
        gossip_work,
        sockets,
        sockets_work,
        {"gossip_over_sockets", "", "exchanges over sockets, a byte",
         gossip.value / moved / (sockets.value / moved_bare)},
        {"gossip_work_over_sockets", "", "the same of the processors' time",
         gossip_work.value / moved / (sockets_work.value / moved_bare)},
        {"model_cost_ms", "ms", "of training an exchange of a model costs, both peers together",
         2 * 10 * gossip.value / models},
        {"auto_every_steps", "steps", "between exchanges, with --gossip-every auto", every},
        cost(b, AUTO, "auto_cost_percent", "exchanges cost then"),
    };
    json_t *json = NULL;
    if (o->json)
        json = json_pack("{s:s, s:s, s:I, s:f, s:I}", "model", o->model, "data", o->data, "every",
                         (json_int_t)o->every, "seconds", o->seconds, "rounds",
                         (json_int_t)b->n_rounds);
    else
        printf("%s, %s; two training peers, each on a processor, exchanges every %d steps;\n"
               "costs in training steps; medians (and quartiles) of %zu rounds of %d ms each\n\n",
               o->model, o->data, (int)o->every, b->n_rounds, WINDOW_US / 1000);
    figures_print(figures, sizeof figures / sizeof figures[0], 100, json);
    if (gossip.low <= 0 || sockets.low <= 0)
        log_warn(
            "other work took the processors away: a quarter of the rounds shows no cost at all, "
            "so these figures say little; measure again");
}

int bench_gossip(int argc, char **argv)
{
    struct options o = {0};
    struct error err;
    struct bench *b = MEM_NEW(struct bench, 1);
    int rc = bench_parse(&bench_gossip_options, &o, argc, argv, &err);
    if (rc == 0)
        rc = model_blas_setup(1, 1, &err);
    if (rc == 0) {
        log_set_level(LOG_WARN);
        rc = measure(b, &o, &err);
        if (rc == 0) {
            report(b, &o);
            pair_close(&b->pair);
        }
    }
    free(b);
    return bench_end(&bench_gossip_options, rc, &err);
}
