#include "tests/support/cores.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 64, PENDING_MAX = 4096 };

#define PERIOD_US (UINT64_C(1) << 40) /* beyond any run: peers initiate when told */

struct job {
    enum gossip_action_type type;
    uint32_t exchange, buffer;
    float c;
};

struct peer {
    struct gossip *core;
    float *values;
    struct job jobs[JOBS_MAX];
    uint32_t n_jobs, initiations;
    bool running;
};

struct letter {
    uint64_t time, seq, sent;
    uint32_t to;
    struct gossip_message message; /* peer: from whom; the buffer is the letter's */
};

/* A transfer that was taken in, and whose sender does not know yet. */
struct pending {
    uint32_t from;
    uint64_t id, units;
};

struct cores {
    struct cores_config config;
    struct gossip_config gossip;
    struct peer *peers;
    float *buffers; /* [n_buffers, dim] */
    uint32_t *free_buffers, n_free, n_buffers;
    struct letter *heap;
    size_t n_heap, heap_max;
    uint64_t now, seq;
    uint64_t *last_arrival, *broken; /* [n, n], where messages take time or get lost */
    struct rng rng;
    struct pending pending[PENDING_MAX];
    uint32_t n_pending;
    struct cores_counts counts;
};

/* ---- buffers --------------------------------------------------------------------------------- */

static float *buffer_at(const struct cores *s, uint32_t b)
{
    return s->buffers + (size_t)b * s->config.dim;
}

static uint32_t buffer_new(struct cores *s)
{
    if (s->n_free == 0) {
        uint32_t more = s->n_buffers > 0 ? s->n_buffers : 64;
        s->buffers =
            realloc(s->buffers, (size_t)(s->n_buffers + more) * s->config.dim * sizeof(float));
        s->free_buffers = realloc(s->free_buffers, (s->n_buffers + more) * sizeof(uint32_t));
        CHECK(s->buffers != NULL && s->free_buffers != NULL);
        for (uint32_t i = 0; i < more; i++)
            s->free_buffers[s->n_free++] = s->n_buffers + i;
        s->n_buffers += more;
    }
    return s->free_buffers[--s->n_free];
}

static void buffer_free(struct cores *s, uint32_t b)
{
    if (b != GOSSIP_NONE)
        s->free_buffers[s->n_free++] = b;
}

/* ---- letters, by time and order of sending --------------------------------------------------- */

static bool before(const struct letter *a, const struct letter *b)
{
    return a->time != b->time ? a->time < b->time : a->seq < b->seq;
}

static void heap_add(struct cores *s, const struct letter *letter)
{
    if (s->n_heap == s->heap_max) {
        s->heap_max = s->heap_max > 0 ? 2 * s->heap_max : 256;
        s->heap = realloc(s->heap, s->heap_max * sizeof *s->heap);
        CHECK(s->heap != NULL);
    }
    size_t i = s->n_heap++;
    for (; i > 0 && before(letter, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = *letter;
}

static struct letter heap_take(struct cores *s)
{
    struct letter top = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = last;
    return top;
}

static uint64_t *of_link(const struct cores *s, uint64_t *table, uint32_t from, uint32_t to)
{
    return &table[(size_t)from * s->config.n + to];
}

static void post(struct cores *s, uint32_t from, const struct gossip_message *m)
{
    struct letter letter = {
        .time = s->now, .seq = s->seq++, .sent = s->now, .to = m->peer, .message = *m};
    letter.message.peer = from;
    if (s->config.delay_max_us > 0) {
        letter.time += rng_below(&s->rng, (uint32_t)s->config.delay_max_us + 1);
        uint64_t *last = of_link(s, s->last_arrival, from, m->peer);
        letter.time = letter.time > *last ? letter.time : *last;
        *last = letter.time;
    }
    if (m->buffer != GOSSIP_NONE) {
        letter.message.buffer = buffer_new(s);
        memcpy(buffer_at(s, letter.message.buffer), buffer_at(s, m->buffer),
               s->config.dim * sizeof(float));
    }
    heap_add(s, &letter);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void check_mass(struct cores *s)
{
    uint64_t units = 0;
    if (s->config.mode != GOSSIP_PUSH_SUM)
        return;
    for (uint32_t i = 0; i < s->config.n; i++)
        units +=
            gossip_mass_units(s->peers[i].core, 0) + gossip_mass_under_way(s->peers[i].core, 0);
    for (uint32_t i = 0; i < s->n_pending; i++)
        units -= s->pending[i].units;
    s->counts.checks++;
    s->counts.misses += units != s->config.n * MASS_ONE;
}

static void note_taken_in(struct cores *s, const struct gossip_message *m, uint64_t units)
{
    CHECK(s->n_pending < PENDING_MAX);
    if (units > 0)
        s->pending[s->n_pending++] = (struct pending){.from = m->peer, .id = m->id, .units = units};
}

static void note_known(struct cores *s, uint32_t from, uint64_t id)
{
    for (uint32_t i = 0; i < s->n_pending; i++)
        if (s->pending[i].from == from && s->pending[i].id == id)
            s->pending[i--] = s->pending[--s->n_pending];
}

/* ---- a peer ---------------------------------------------------------------------------------- */

static void drive(struct cores *s, uint32_t i, struct gossip_event *event);

static void run_job(struct cores *s, uint32_t i, const struct job *job)
{
    float *x = s->peers[i].values;
    uint32_t dim = s->config.dim;
    struct gossip_event done = {.type = GOSSIP_DONE,
                                .done = {.exchange = job->exchange, .buffer = job->buffer}};
    if (job->type == GOSSIP_TAKE) {
        memcpy(buffer_at(s, job->buffer), x, dim * sizeof *x);
    } else if (job->type == GOSSIP_ANSWER) {
        vec_answer(x, job->c, buffer_at(s, job->buffer), dim);
    } else {
        if (job->type == GOSSIP_ADD)
            vec_add_scaled(x, job->c, buffer_at(s, job->buffer), dim);
        else
            vec_mix_current(x, job->c, buffer_at(s, job->buffer), dim);
        buffer_free(s, job->buffer);
    }
    drive(s, i, &done);
}

static void run_jobs(struct cores *s, uint32_t i)
{
    struct peer *p = &s->peers[i];
    if (p->running)
        return;
    p->running = true;
    while (p->n_jobs > 0) {
        struct job job = p->jobs[0];
        memmove(p->jobs, p->jobs + 1, --p->n_jobs * sizeof p->jobs[0]);
        run_job(s, i, &job);
    }
    p->running = false;
}

static void act(struct cores *s, uint32_t i, const struct gossip_action *a)
{
    struct peer *p = &s->peers[i];
    switch (a->type) {
    case GOSSIP_TAKE:
    case GOSSIP_ANSWER:
    case GOSSIP_ADD:
    case GOSSIP_MIX:
        CHECK(p->n_jobs < JOBS_MAX);
        p->jobs[p->n_jobs++] =
            (struct job){.type = a->type,
                         .exchange = a->job.exchange,
                         .buffer = a->job.buffer != GOSSIP_NONE ? a->job.buffer : buffer_new(s),
                         .c = a->job.c};
        break;
    case GOSSIP_SEND:
        post(s, i, &a->send);
        if (!gossip_keeps(&a->send))
            buffer_free(s, a->send.buffer);
        if (a->send.kind == GOSSIP_REQUEST && a->send.mode == GOSSIP_PUSH) {
            struct gossip_event sent = {.type = GOSSIP_SENT, .sent = a->send.buffer};
            drive(s, i, &sent);
        }
        break;
    case GOSSIP_FORGET:
        buffer_free(s, a->buffer);
        break;
    case GOSSIP_PUNISH:
    case GOSSIP_ADOPTED:
    case GOSSIP_ADOPT_FAILED:
        CHECK(false && "nobody breaks the protocol here, or adopts");
    }
}

static void drive(struct cores *s, uint32_t i, struct gossip_event *event)
{
    struct gossip_update update;
    event->now_us = s->now;
    gossip_step(s->peers[i].core, event, &update);
    for (uint32_t k = 0; k < update.n_actions; k++)
        act(s, i, &update.actions[k]);
    run_jobs(s, i);
}

static uint32_t degree(const struct cores *s, uint32_t i)
{
    uint32_t n = 0;
    if (s->config.graph == NULL)
        return s->config.n - 1;
    while (s->config.graph[i][n] != GOSSIP_NONE)
        n++;
    return n;
}

static uint32_t neighbour(const void *ctx, uint32_t self, uint32_t k)
{
    const struct cores *s = ctx;
    return s->config.graph == NULL ? k + (k >= self) : s->config.graph[self][k];
}

static void tell_link(struct cores *s, uint32_t i, uint32_t other, bool up)
{
    struct gossip_event event = {.type = GOSSIP_LINK,
                                 .link = {.peer = other, .up = up, .n_peers = degree(s, i)}};
    drive(s, i, &event);
}

static void break_link(struct cores *s, uint32_t a, uint32_t b)
{
    *of_link(s, s->broken, a, b) = *of_link(s, s->broken, b, a) = s->seq++;
    for (int up = 0; up < 2; up++) {
        tell_link(s, a, b, up);
        tell_link(s, b, a, up);
    }
}

static void arrive(struct cores *s, const struct letter *letter)
{
    const struct gossip_message *m = &letter->message;
    uint32_t i = letter->to;
    if (s->config.loss > 0) {
        bool late = letter->seq < *of_link(s, s->broken, m->peer, i);
        bool lost = !late && rng_uniform(&s->rng) < s->config.loss;
        if (late || lost) {
            s->counts.lost++;
            buffer_free(s, m->buffer);
            if (lost)
                break_link(s, m->peer, i);
            check_mass(s);
            return;
        }
    }
    struct gossip_event event = {.type = GOSSIP_RECEIVED,
                                 .received = {.message = *m, .peer_is_smaller = m->peer < i}};
    bool sum = s->config.mode == GOSSIP_PUSH_SUM;
    struct gossip *core = s->peers[i].core;
    uint64_t units = sum ? gossip_mass_units(core, 0) : 0;
    if (sum && m->kind == GOSSIP_REPLY && gossip_expects(core, m->peer, m->id))
        note_known(s, i, m->id);
    drive(s, i, &event);
    if (sum && m->kind == GOSSIP_REQUEST)
        note_taken_in(s, m, gossip_mass_units(core, 0) - units);
    check_mass(s);
}

/* ---- the swarm ------------------------------------------------------------------------------- */

struct cores *cores_new(const struct cores_config *config)
{
    struct cores *s = MEM_NEW(struct cores, 1);
    uint32_t n = config->n;
    uint16_t per_slice = config->open_per_slice > 0 ? config->open_per_slice : 1;
    s->config = *config;
    s->rng = rng_stream(config->seed, 0, RNG_TEST);
    s->gossip = (struct gossip_config){.mode = config->mode,
                                       .n_slices = 1,
                                       .open_max = (uint16_t)(2 * per_slice),
                                       .serve_max = 8,
                                       .open_per_slice = per_slice,
                                       .n_remembered = config->loss > 0 ? (uint16_t)n : 0,
                                       .seed = config->seed,
                                       .neighbour = neighbour,
                                       .ctx = s};
    if (config->delay_max_us > 0 || config->loss > 0) {
        s->last_arrival = MEM_NEW(uint64_t, (size_t)n * n);
        s->broken = MEM_NEW(uint64_t, (size_t)n * n);
    }
    s->peers = MEM_NEW(struct peer, n);
    s->seq = 1;
    for (uint32_t i = 0; i < n; i++) {
        struct peer *p = &s->peers[i];
        p->core = mem_alloc(1, gossip_size(&s->gossip));
        p->values = MEM_NEW(float, config->dim);
        gossip_init(p->core, &s->gossip, i);
        struct gossip_event active = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
        drive(s, i, &active);
        tell_link(s, i, GOSSIP_NONE, true);
    }
    return s;
}

void cores_free(struct cores *s)
{
    for (uint32_t i = 0; i < s->config.n; i++) {
        free(s->peers[i].core);
        free(s->peers[i].values);
    }
    free(s->peers);
    free(s->buffers);
    free(s->free_buffers);
    free(s->heap);
    free(s->last_arrival);
    free(s->broken);
    free(s);
}

float *cores_values(struct cores *s, uint32_t peer)
{
    return s->peers[peer].values;
}

void cores_initiate(struct cores *s, uint32_t peer)
{
    struct peer *p = &s->peers[peer];
    struct gossip_event wake = {.type = GOSSIP_WAKE};
    /* A new period begins at once. */
    gossip_set_schedule(p->core, 0, PERIOD_US + (++p->initiations & 1));
    drive(s, peer, &wake);
    check_mass(s);
}

void cores_run(struct cores *s, uint64_t until_us)
{
    while (s->n_heap > 0 && s->heap[0].time <= until_us) {
        struct letter letter = heap_take(s);
        s->now = letter.time > s->now ? letter.time : s->now;
        arrive(s, &letter);
    }
    s->now = until_us > s->now ? until_us : s->now;
}

uint64_t cores_now(const struct cores *s)
{
    return s->now;
}

void cores_drain(struct cores *s)
{
    while (s->n_heap > 0)
        cores_run(s, s->heap[0].time);
}

double cores_mass(const struct cores *s, uint32_t peer)
{
    return s->config.mode == GOSSIP_PUSH_SUM
               ? (double)gossip_mass_units(s->peers[peer].core, 0) / (double)MASS_ONE
               : 1;
}

struct cores_counts cores_counts(const struct cores *s)
{
    struct cores_counts c = s->counts;
    for (uint32_t i = 0; i < s->config.n; i++) {
        const struct gossip *core = s->peers[i].core;
        c.exchanges += s->config.mode == GOSSIP_PUSH ? gossip_counts(core)->served
                                                     : gossip_counts(core)->mixed;
        if (s->config.mode != GOSSIP_PUSH_SUM)
            continue;
        const struct mass_counts *m = gossip_mass_counts(core);
        c.resent += m->resent;
        c.repeated += m->repeated;
        c.credited += m->credited;
        c.unknown += m->unknown;
    }
    return c;
}
