/* Properties of the gossip core, over many seeds: a small deterministic world of real cores, with
 * virtual time, delays, dying links and jobs that wait for step boundaries.
 *
 * usage: gossip [FIRST_SEED [N_SEEDS [-v]]]       default: 0 1000
 *
 * Each seed draws a world. What holds, whatever it draws:
 *   - sum of m_i theta_i, plus the increments of open exchanges that only one side has applied, is
 *     kept to rounding (minus what was lost with a link, which the world adds up);
 *   - with lr = 0 and equal masses the distance to the mean is never above its start, whether the
 *     peers start at random or as two camps (as after a netsplit);
 *   - at the end nothing is open, and every buffer is back in its pool;
 *   - without delay, exchanges contract at no less than half the ideal rate;
 *   - a newcomer ends up with somebody's weights.
 */
#include "base/rng.h"
#include "base/vec.h"
#include "net/gossip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_MAX = 16,
    SLICES_MAX = 3,
    /* Floats in a slice. Staleness contracts in expectation only: in four dimensions one draw in
     * thirty rises above its start by some per cent, in many (as a model has) none does. */
    LEN = 64,
    DIM_MAX = SLICES_MAX * LEN,
    POOL_MAX = 64,
    JOBS_MAX = 128,
    QUEUE_MAX = 1 << 14,
    PENDING_MAX = 256,
    PERIOD = 1000 /* us between initiations, and between local steps */
};

struct job {
    enum gossip_action_type type;
    uint32_t exchange, slice, buffer, peer, epoch;
    float c;
    uint64_t id; /* of the exchange, where known */
};

struct peer {
    struct gossip *core;
    float theta[DIM_MAX];
    float mass;
    float pool[POOL_MAX][LEN];
    bool used[POOL_MAX];
    uint32_t n_lent; /* buffers lent to requests of others */
    bool lent[POOL_MAX];
    struct job jobs[JOBS_MAX];
    uint32_t n_jobs;
    uint32_t neighbours[N_MAX], n_neighbours;
    uint32_t served_for[POOL_MAX]; /* serving: whose request lies in this buffer */
    uint64_t served_id[POOL_MAX];
    bool joining, adopting, running_jobs;
};

/* An increment that the responder has applied and the initiator has not. */
struct pending {
    bool used, mix_queued;
    uint32_t initiator, responder, slice;
    uint64_t id;
    double delta[LEN]; /* what the initiator is going to add, times its mass */
};

enum what { STEP, ARRIVE, WAKE, CUT, HEAL };

struct happening {
    uint64_t time, seq;
    enum what what;
    uint32_t a, b, epoch;
    struct gossip_message message;
    float body[LEN];
};

struct world {
    uint64_t seed, now, seq, steps_end;
    uint32_t n, n_slices, delay_max;
    bool synchronous, boundary_jobs, cuts, unequal, learns, pulls, pushes, newcomer, camps, ending;
    struct gossip_config config;
    struct peer peers[N_MAX];
    bool up[N_MAX][N_MAX];
    uint32_t epoch[N_MAX][N_MAX];
    uint64_t last_arrival[N_MAX][N_MAX];
    struct happening *queue;
    uint32_t n_queue;
    struct pending pending[PENDING_MAX];
    double expected[DIM_MAX]; /* of sum m theta + pending */
    double start_distance, worst_ratio, lost_total;
    uint32_t slice_mixes[SLICES_MAX];
    uint64_t n_jobs_done;
    struct rng rng;
    const char *failed;
    char why[256];
};

static void fail(struct world *w, const char *property, double value, double bound)
{
    if (w->failed != NULL)
        return;
    w->failed = property;
    snprintf(w->why, sizeof w->why, "%.6g, bound %.6g, at %.2f periods", value, bound,
             (double)w->now / PERIOD);
}

static void demand(struct world *w, bool holds, const char *property)
{
    if (!holds)
        fail(w, property, 0, 0);
}

/* ---- the queue of happenings, by (time, sequence) ------------------------------------------ */

static bool before(const struct happening *a, const struct happening *b)
{
    return a->time != b->time ? a->time < b->time : a->seq < b->seq;
}

static struct happening *push(struct world *w, uint64_t time, enum what what, uint32_t a)
{
    demand(w, w->n_queue + 1 < QUEUE_MAX, "queue bounded");
    struct happening h = {.time = time, .seq = w->seq++, .what = what, .a = a};
    uint32_t i = w->n_queue < QUEUE_MAX - 1 ? w->n_queue++ : w->n_queue - 1;
    while (i > 0 && before(&h, &w->queue[(i - 1) / 2])) {
        w->queue[i] = w->queue[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->queue[i] = h;
    return &w->queue[i];
}

static struct happening pop(struct world *w)
{
    struct happening top = w->queue[0], last = w->queue[--w->n_queue];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= w->n_queue)
            break;
        if (child + 1 < w->n_queue && before(&w->queue[child + 1], &w->queue[child]))
            child++;
        if (!before(&w->queue[child], &last))
            break;
        w->queue[i] = w->queue[child];
        i = child;
    }
    w->queue[i] = last;
    return top;
}

/* ---- what is kept --------------------------------------------------------------------------- */

static struct pending *find_pending(struct world *w, uint32_t initiator, uint64_t id)
{
    for (uint32_t i = 0; i < PENDING_MAX; i++)
        if (w->pending[i].used && w->pending[i].initiator == initiator && w->pending[i].id == id)
            return &w->pending[i];
    return NULL;
}

static void lose(struct world *w, struct pending *p)
{
    for (uint32_t k = 0; k < LEN; k++) {
        w->expected[p->slice * LEN + k] -= p->delta[k];
        w->lost_total += fabs(p->delta[k]);
    }
    p->used = false;
}

static void check_sum(struct world *w)
{
    double sum[DIM_MAX] = {0};
    for (uint32_t i = 0; i < PENDING_MAX; i++)
        for (uint32_t k = 0; w->pending[i].used && k < LEN; k++)
            sum[w->pending[i].slice * LEN + k] += w->pending[i].delta[k];
    /* Each job rounds floats of magnitude a few, a few times. */
    double tolerance = 1e-6 * (10 + 2 * sqrt((double)w->n_jobs_done)) * (1 + w->n / 4.0);
    for (uint32_t d = 0; d < w->n_slices * LEN; d++) {
        for (uint32_t i = 0; i < w->n; i++)
            sum[d] += (double)w->peers[i].mass * (double)w->peers[i].theta[d];
        if (!(fabs(sum[d] - w->expected[d]) <= tolerance))
            fail(w, "sum of theta and open increments is kept", sum[d] - w->expected[d], tolerance);
    }
}

static double distance(const struct world *w)
{
    double total = 0;
    for (uint32_t d = 0; d < w->n_slices * LEN; d++) {
        double mean = 0;
        for (uint32_t i = 0; i < w->n; i++)
            mean += (double)w->peers[i].theta[d] / w->n;
        for (uint32_t i = 0; i < w->n; i++) {
            double x = (double)w->peers[i].theta[d] - mean;
            total += x * x;
        }
    }
    return total;
}

static void check_distance(struct world *w)
{
    if (w->learns || w->unequal || w->newcomer || w->pulls || w->pushes)
        return;
    /* A lost increment moves the mean: only worlds without any are held to their start. */
    double ratio = distance(w) / w->start_distance;
    if (ratio > w->worst_ratio)
        w->worst_ratio = ratio;
    if (w->lost_total == 0 && !(ratio <= 1 + 1e-5))
        fail(w, "distance never above its start", ratio, 1);
}

/* ---- drivers: what node/ and sim/ do for a core --------------------------------------------- */

static void drive(struct world *w, uint32_t i, struct gossip_event *event);

static uint32_t take_buffer(struct world *w, struct peer *p)
{
    for (uint32_t b = 0; b < 2u * w->config.open_max + w->config.serve_max; b++)
        if (!p->used[b]) {
            p->used[b] = true;
            return b;
        }
    fail(w, "pool is large enough", 0, 0);
    return 0;
}

static void give_buffer(struct world *w, struct peer *p, uint32_t b)
{
    if (b == GOSSIP_NONE)
        return;
    demand(w, p->used[b], "buffer given back once");
    p->used[b] = false;
    if (p->lent[b]) {
        p->lent[b] = false;
        p->n_lent--;
    }
}

/* The responder's increment is applied: the initiator's is now pending. */
static void note_answer(struct world *w, uint32_t i, const struct job *job,
                        const double *before_job)
{
    const struct peer *p = &w->peers[i];
    struct pending *free_slot = NULL;
    for (uint32_t k = 0; k < PENDING_MAX && free_slot == NULL; k++)
        if (!w->pending[k].used)
            free_slot = &w->pending[k];
    if (free_slot == NULL) {
        fail(w, "open increments bounded", PENDING_MAX, PENDING_MAX);
        return;
    }
    *free_slot = (struct pending){
        .used = true, .initiator = job->peer, .responder = i, .slice = job->slice, .id = job->id};
    for (uint32_t k = 0; k < LEN; k++)
        free_slot->delta[k] =
            -(double)p->mass * ((double)p->theta[job->slice * LEN + k] - before_job[k]);
    if (job->epoch != w->epoch[i][job->peer])
        lose(w, free_slot); /* the link died while the job waited */
}

static void run_job(struct world *w, uint32_t i, const struct job *job)
{
    struct peer *p = &w->peers[i];
    float *x = p->theta + job->slice * LEN;
    double before_job[LEN];
    for (uint32_t k = 0; k < LEN; k++)
        before_job[k] = (double)x[k];
    w->n_jobs_done++;
    struct gossip_event done = {.type = GOSSIP_DONE,
                                .done = {.exchange = job->exchange, .buffer = job->buffer}};
    if (job->type == GOSSIP_TAKE) {
        memcpy(p->pool[job->buffer], x, LEN * sizeof *x);
    } else if (job->type == GOSSIP_ANSWER) {
        vec_answer(x, job->c, p->pool[job->buffer], LEN);
        note_answer(w, i, job, before_job);
    } else {
        bool adds = job->type == GOSSIP_ADD;
        if (adds)
            vec_add_scaled(x, job->c, p->pool[job->buffer], LEN);
        else
            vec_mix_current(x, job->c, p->pool[job->buffer], LEN);
        struct pending *open = find_pending(w, i, job->id);
        if (!adds) /* a pull or a push: one-sided by design */
            for (uint32_t k = 0; k < LEN; k++)
                w->expected[job->slice * LEN + k] +=
                    (double)p->mass * ((double)x[k] - before_job[k]);
        else if (open != NULL)
            open->used = false;
        else
            fail(w, "an increment is applied on both sides", 0, 0);
        w->slice_mixes[job->slice]++;
        give_buffer(w, p, job->buffer);
    }
    drive(w, i, &done);
    check_distance(w);
    check_sum(w);
}

static void run_jobs(struct world *w, uint32_t i)
{
    struct peer *p = &w->peers[i];
    if (p->running_jobs)
        return;
    p->running_jobs = true;
    while (p->n_jobs > 0) {
        struct job job = p->jobs[0];
        memmove(p->jobs, p->jobs + 1, --p->n_jobs * sizeof p->jobs[0]);
        run_job(w, i, &job);
    }
    p->running_jobs = false;
}

static void queue_job(struct world *w, uint32_t i, const struct gossip_action *action)
{
    struct peer *p = &w->peers[i];
    if (p->n_jobs == JOBS_MAX) {
        fail(w, "jobs bounded", JOBS_MAX, JOBS_MAX);
        return;
    }
    struct job job = {.type = action->type,
                      .exchange = action->job.exchange,
                      .slice = action->job.slice,
                      .buffer = action->job.buffer,
                      .peer = action->job.peer,
                      .c = action->job.c,
                      .epoch = w->epoch[i][action->job.peer]};
    if (job.type == GOSSIP_TAKE && job.buffer == GOSSIP_NONE)
        job.buffer = take_buffer(w, p);
    if (job.type == GOSSIP_ANSWER)
        job.id = p->served_id[job.buffer];
    if (job.type == GOSSIP_ADD || job.type == GOSSIP_MIX) {
        job.id = p->served_id[job.buffer];
        struct pending *open = find_pending(w, i, job.id);
        if (open != NULL)
            open->mix_queued = true;
    }
    p->jobs[p->n_jobs++] = job;
}

static void post(struct world *w, uint32_t from, const struct gossip_message *m)
{
    uint32_t to = m->peer;
    if (!w->up[from][to]) {
        fail(w, "nothing is sent to a lost peer", from, to);
        return;
    }
    uint64_t arrival = w->now + rng_below(&w->rng, w->delay_max * PERIOD + 1);
    if (arrival < w->last_arrival[from][to])
        arrival = w->last_arrival[from][to];
    w->last_arrival[from][to] = arrival;
    struct happening *h = push(w, arrival, ARRIVE, to);
    h->b = from;
    h->epoch = w->epoch[from][to];
    h->message = *m;
    h->message.peer = from;
    if (m->buffer != GOSSIP_NONE)
        memcpy(h->body, w->peers[from].pool[m->buffer], sizeof h->body);
}

static void start_adoption(struct world *w, uint32_t i)
{
    if (!w->peers[i].joining || w->peers[i].adopting || w->peers[i].n_neighbours == 0)
        return;
    w->peers[i].adopting = true;
    struct gossip_event event = {
        .type = GOSSIP_ADOPT,
        .adopt = w->peers[i].neighbours[rng_below(&w->rng, w->peers[i].n_neighbours)]};
    drive(w, i, &event);
}

static void act(struct world *w, uint32_t i, const struct gossip_action *action)
{
    struct peer *p = &w->peers[i];
    switch (action->type) {
    case GOSSIP_TAKE:
    case GOSSIP_ANSWER:
    case GOSSIP_ADD:
    case GOSSIP_MIX:
        queue_job(w, i, action);
        break;
    case GOSSIP_SEND:
        post(w, i, &action->send);
        if (action->send.kind == GOSSIP_REQUEST && action->send.mode == GOSSIP_PUSH) {
            struct gossip_event sent = {.type = GOSSIP_SENT, .sent = action->send.buffer};
            drive(w, i, &sent);
        }
        if (!gossip_keeps(&action->send))
            give_buffer(w, p, action->send.buffer);
        break;
    case GOSSIP_FORGET:
        give_buffer(w, p, action->buffer);
        break;
    case GOSSIP_PUNISH:
        fail(w, action->punish.reason, i, action->punish.peer);
        break;
    case GOSSIP_ADOPTED: {
        p->joining = false;
        struct gossip_event event = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
        drive(w, i, &event);
        break;
    }
    case GOSSIP_ADOPT_FAILED:
        p->adopting = false; /* again at the next step */
        break;
    }
}

static void drive(struct world *w, uint32_t i, struct gossip_event *event)
{
    event->now_us = w->now;
    struct gossip_update update;
    gossip_step(w->peers[i].core, event, &update);
    for (uint32_t k = 0; k < update.n_actions; k++)
        act(w, i, &update.actions[k]);
    if (update.wake_us <= w->now && w->failed == NULL)
        push(w, w->now, WAKE, i);
    if (!w->boundary_jobs)
        run_jobs(w, i);
}

static void arrive(struct world *w, const struct happening *h)
{
    uint32_t i = h->a, from = h->b;
    struct peer *p = &w->peers[i];
    if (h->epoch != w->epoch[from][i])
        return; /* the link died under it */
    struct gossip_event event = {.type = GOSSIP_RECEIVED,
                                 .received = {.message = h->message, .peer_is_smaller = from < i}};
    struct gossip_message *m = &event.received.message;
    m->buffer = GOSSIP_NONE;
    bool request = m->kind == GOSSIP_REQUEST;
    if ((request && p->n_lent < w->config.serve_max) ||
        (m->kind == GOSSIP_REPLY && gossip_expects(p->core, from, m->id))) {
        m->buffer = take_buffer(w, p);
        memcpy(p->pool[m->buffer], h->body, sizeof h->body);
        p->served_id[m->buffer] = m->id;
        p->lent[m->buffer] = request;
        p->n_lent += request;
    } else if (m->kind == GOSSIP_REPLY) {
        fail(w, "no reply comes unasked", (double)m->id, 0);
    }
    drive(w, i, &event);
}

/* ---- links ---------------------------------------------------------------------------------- */

static uint32_t neighbour(const void *ctx, uint32_t self, uint32_t k)
{
    return ((const struct world *)ctx)->peers[self].neighbours[k];
}

static void tell_link(struct world *w, uint32_t i, uint32_t other, bool up)
{
    struct peer *p = &w->peers[i];
    p->n_neighbours = 0;
    for (uint32_t j = 0; j < w->n; j++)
        if (j != i && w->up[i][j])
            p->neighbours[p->n_neighbours++] = j;
    struct gossip_event event = {.type = GOSSIP_LINK,
                                 .link = {.peer = other, .up = up, .n_peers = p->n_neighbours}};
    drive(w, i, &event);
}

static void set_link(struct world *w, uint32_t a, uint32_t b, bool up)
{
    if (w->up[a][b] == up)
        return;
    w->up[a][b] = w->up[b][a] = up;
    w->epoch[a][b]++;
    w->epoch[b][a]++;
    w->last_arrival[a][b] = w->last_arrival[b][a] = w->now;
    for (uint32_t i = 0; !up && i < PENDING_MAX; i++) {
        struct pending *p = &w->pending[i];
        bool between =
            (p->initiator == a && p->responder == b) || (p->initiator == b && p->responder == a);
        if (p->used && between && !p->mix_queued)
            lose(w, p);
    }
    tell_link(w, a, b, up);
    tell_link(w, b, a, up);
}

/* ---- a run ---------------------------------------------------------------------------------- */

/* Something is open, with a request on its way perhaps to a peer that rests. */
static bool is_busy(const struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (gossip_n_open(w->peers[i].core) > 0 || w->peers[i].n_jobs > 0)
            return true;
    return false;
}

static void local_step(struct world *w, uint32_t i)
{
    struct peer *p = &w->peers[i];
    run_jobs(w, i);
    start_adoption(w, i);
    for (uint32_t d = 0; w->learns && d < w->n_slices * LEN; d++) {
        double old = (double)p->theta[d];
        p->theta[d] += 0.01f * (float)rng_normal(&w->rng);
        w->expected[d] += (double)p->mass * ((double)p->theta[d] - old);
    }
    struct gossip_event event = {.type = GOSSIP_WAKE, .n_steps = 1};
    drive(w, i, &event);
    uint64_t length = w->synchronous ? PERIOD : PERIOD / 2 + rng_below(&w->rng, PERIOD + 1);
    if (!w->ending || is_busy(w))
        push(w, w->now + length, STEP, i);
}

static void happen(struct world *w, const struct happening *h)
{
    struct gossip_event wake = {.type = GOSSIP_WAKE};
    w->now = h->time;
    switch (h->what) {
    case STEP:
        local_step(w, h->a);
        break;
    case ARRIVE:
        arrive(w, h);
        break;
    case WAKE:
        drive(w, h->a, &wake);
        break;
    case CUT: {
        struct happening *heal = push(w, w->now + PERIOD * (1 + rng_below(&w->rng, 6)), HEAL, h->a);
        heal->b = h->b;
        set_link(w, h->a, h->b, false);
        break;
    }
    case HEAL:
        set_link(w, h->a, h->b, true);
        break;
    }
}

static void draw_world(struct world *w, uint64_t seed)
{
    static const uint32_t sizes[] = {2, 3, 4, 16}, delays[] = {0, 0, 1, 3, 5, 10};
    static const uint16_t rooms[] = {1, 2, 8};
    w->seed = seed;
    w->rng = rng_stream(seed, 0, RNG_TEST);
    w->n = sizes[rng_below(&w->rng, 4)];
    w->n_slices = 1 + rng_below(&w->rng, SLICES_MAX);
    w->delay_max = delays[rng_below(&w->rng, 6)];
    w->synchronous = rng_below(&w->rng, 2);
    w->boundary_jobs = rng_below(&w->rng, 2);
    w->cuts = rng_below(&w->rng, 4) == 0;
    w->unequal = rng_below(&w->rng, 8) == 0;
    w->learns = rng_below(&w->rng, 4) == 0;
    w->pulls = rng_below(&w->rng, 10) == 0;
    w->newcomer = rng_below(&w->rng, 6) == 0;
    w->camps = rng_below(&w->rng, 3) == 0;
    struct rng more = rng_stream(seed, 1, RNG_TEST);
    w->pushes = !w->pulls && rng_below(&more, 8) == 0;
    uint16_t per_slice = (uint16_t)(1 + rng_below(&w->rng, GOSSIP_OPEN_PER_SLICE_MAX));
    w->config = (struct gossip_config){
        .mode = w->pulls    ? GOSSIP_PULL
                : w->pushes ? GOSSIP_PUSH
                            : GOSSIP_PAIRWISE,
        .n_slices = w->n_slices,
        .open_max = (uint16_t)(w->n_slices * per_slice + rng_below(&w->rng, 4)),
        .serve_max = rooms[rng_below(&w->rng, 3)],
        .open_per_slice = per_slice,
        .seed = seed,
        .neighbour = neighbour,
        .ctx = w};
}

static void start_peers(struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        struct peer *p = &w->peers[i];
        p->core = calloc(1, gossip_size(&w->config));
        gossip_init(p->core, &w->config, i);
        gossip_set_schedule(p->core, 1, 0);
        p->mass = w->unequal ? 0.5f + (float)rng_below(&w->rng, 8) : 1.0f;
        gossip_set_mass(p->core, p->mass);
        p->joining = w->newcomer && i == w->n - 1;
        for (uint32_t d = 0; d < w->n_slices * LEN; d++) {
            p->theta[d] = w->camps ? (i % 2 ? 1.0f : -1.0f) : (float)rng_normal(&w->rng);
            w->expected[d] += (double)p->mass * (double)p->theta[d];
        }
    }
    w->start_distance = distance(w);
    for (uint32_t i = 0; i < w->n; i++) {
        struct gossip_event active = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
        if (!w->peers[i].joining)
            drive(w, i, &active);
        for (uint32_t j = 0; j < i; j++)
            set_link(w, i, j, true);
        push(w, w->synchronous ? PERIOD : PERIOD / 2 + rng_below(&w->rng, PERIOD), STEP, i);
    }
}

static void run_until(struct world *w, uint64_t end)
{
    while (w->n_queue > 0 && w->queue[0].time <= end && w->failed == NULL) {
        struct happening h = pop(w);
        happen(w, &h);
    }
}

/* Everybody leaves, links stay: what is open must finish, and nothing may be left over. */
static void finish(struct world *w)
{
    w->ending = true;
    for (uint32_t i = 0; i < w->n; i++) {
        struct gossip_event leave = {.type = GOSSIP_PHASE,
                                     .phase = i % 2 == 0 ? GOSSIP_ENDED : GOSSIP_LEAVING};
        drive(w, i, &leave);
    }
    run_until(w, w->now + 400ull * PERIOD);
    for (uint32_t i = 0; i < w->n && w->failed == NULL; i++) {
        demand(w, gossip_n_open(w->peers[i].core) == 0, "nothing open at the end");
        for (uint32_t b = 0; b < POOL_MAX; b++)
            demand(w, !w->peers[i].used[b], "pools full again at the end");
    }
    for (uint32_t k = 0; k < PENDING_MAX && w->failed == NULL; k++)
        demand(w, !w->pending[k].used, "no increment left on one side only");
}

/* Random pairwise exchange contracts E||x - mean||^2 by 1 - 1/(n-1) (Boyd et al. 2006). */
static void check_contraction(struct world *w)
{
    bool ideal = w->delay_max == 0 && !w->boundary_jobs && !w->learns && !w->unequal && !w->cuts &&
                 !w->pulls && !w->pushes && !w->newcomer && w->config.serve_max > 1;
    double ratio = distance(w) / w->start_distance, mixes = 0;
    for (uint32_t s = 0; s < w->n_slices; s++)
        mixes += (double)w->slice_mixes[s] / w->n_slices;
    if (ideal) {
        double rate = w->n > 2 ? log(1 - 1.0 / (w->n - 1)) : -20;
        double bound = exp(0.5 * rate * mixes);
        if (!(ratio <= bound + 1e-11))
            fail(w, "contracts at half the ideal rate or better", ratio, bound);
    }
    /* Exchanges happen: on average a peer completes one per slice in 4 (delay + 1) periods. */
    double least = floor(20.0 * w->n / (4.0 * (2 * w->delay_max + 1 + w->boundary_jobs)));
    if (w->config.serve_max > 1 && !w->cuts && !w->newcomer && mixes < least)
        fail(w, "exchanges happen", mixes, least);
}

static bool run_seed(struct world *w, uint64_t seed, bool verbose)
{
    struct happening *queue = w->queue;
    memset(w, 0, sizeof *w);
    w->queue = queue;
    draw_world(w, seed);
    start_peers(w);
    run_until(w, 20ull * PERIOD);
    check_contraction(w);
    for (uint32_t k = 0; w->cuts && k < 3 * w->n; k++) {
        uint32_t a = rng_below(&w->rng, w->n), b = (a + 1 + rng_below(&w->rng, w->n - 1)) % w->n;
        struct happening *cut = push(w, w->now + rng_below(&w->rng, 40 * PERIOD), CUT, a);
        cut->b = b;
    }
    run_until(w, (60ull + 10 * w->delay_max) * PERIOD);
    double ratio = distance(w) / w->start_distance;
    if (!w->learns && !w->cuts && w->config.serve_max > 1 && ratio > 0.05)
        fail(w, "converges", ratio, 0.05);
    if (w->newcomer)
        demand(w, !w->peers[w->n - 1].joining, "a newcomer adopts");
    finish(w);
    for (uint32_t i = 0; i < w->n; i++)
        free(w->peers[i].core);
    if (w->failed != NULL || verbose)
        printf("seed %llu: %s%s%s%s (%u peers, %u slices, delay %u, %u open, %u "
               "served%s%s%s%s%s%s%s%s)"
               " ratio %.3g worst %.6g\n",
               (unsigned long long)seed, w->failed ? "FAILED: " : "ok", w->failed ? w->failed : "",
               w->failed ? ": " : "", w->failed ? w->why : "", w->n, w->n_slices, w->delay_max,
               w->config.open_per_slice, w->config.serve_max, w->synchronous ? ", in step" : "",
               w->boundary_jobs ? ", jobs at steps" : "", w->cuts ? ", cuts" : "",
               w->unequal ? ", masses" : "", w->learns ? ", learns" : "",
               w->pulls    ? ", pull"
               : w->pushes ? ", push"
                           : "",
               w->newcomer ? ", newcomer" : "", w->camps ? ", camps" : "", ratio, w->worst_ratio);
    return w->failed == NULL;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000, n_failed = 0;
    struct world *w = calloc(1, sizeof *w);
    w->queue = calloc(QUEUE_MAX, sizeof *w->queue);
    for (uint64_t seed = first; seed < first + n; seed++)
        n_failed += !run_seed(w, seed, argc > 3);
    printf("gossip core, seeds %llu to %llu\n%llu passed, %llu failed\n", (unsigned long long)first,
           (unsigned long long)(first + n - 1), (unsigned long long)(n - n_failed),
           (unsigned long long)n_failed);
    free(w->queue);
    free(w);
    return n_failed > 0 || n == 0;
}
