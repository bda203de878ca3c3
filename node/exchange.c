/* Drives the gossip core: frames and completions become events; actions become frames and jobs. */
#include "node/node.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPEN_MAX = 64,  /* exchanges of ours at once: bounds the memory in flight (two slices each) */
    SERVE_MAX = 32, /* of others at once (one slice each) */
    SETTLE_PERIOD_US = 2000,
    ADJUST_US = 250000,
    EVERY_MAX = 4096
};

_Static_assert((int)WIRE_PAIRWISE == (int)GOSSIP_PAIRWISE && (int)WIRE_PULL == (int)GOSSIP_PULL &&
                   (int)WIRE_PUSH == (int)GOSSIP_PUSH && (int)WIRE_PUSH_SUM == (int)GOSSIP_PUSH_SUM,
               "modes have the same numbers in the core and on the wire");
_Static_assert((int)GOSSIP_CHOICE_PAIRWISE == (int)GOSSIP_PAIRWISE &&
                   (int)GOSSIP_CHOICE_PULL == (int)GOSSIP_PULL &&
                   (int)GOSSIP_CHOICE_PUSH == (int)GOSSIP_PUSH &&
                   (int)GOSSIP_CHOICE_PUSH_SUM == (int)GOSSIP_PUSH_SUM,
               "and in the options");

#define BUDGET 0.10 /* of the trainer's time; --gossip-every auto stays below */
/* What is measured of it: the rest is caches that the trainer finds cold (bench gossip). */
#define BUDGET_MEASURED (0.7 * BUDGET)
#define SETTLE_SCHEDULE (&(struct gossip_every){.period_us = SETTLE_PERIOD_US})

static uint32_t neighbour(const void *ctx, uint32_t self, uint32_t k)
{
    (void)self;
    return ((const struct node *)ctx)->peers.neighbours[k];
}

static bool is_clear(const void *ctx, uint32_t self, uint64_t now_us)
{
    (void)self;
    (void)now_us;
    return ((const struct node *)ctx)->n_leaving == 0;
}

void exchange_init(struct node *n)
{
    const struct node_config *c = &n->config;
    uint64_t n_slices = (n->model.dim + GOSSIP_SLICE_FLOATS - 1) / GOSSIP_SLICE_FLOATS;
    enum gossip_mode mode =
        c->gossip == GOSSIP_CHOICE_OFF ? GOSSIP_PAIRWISE : (enum gossip_mode)c->gossip;
    uint64_t open = n_slices * (c->open_per_slice * c->fanout + GOSSIP_PARKED_PER_SLICE);
    uint64_t serve = n_slices * GOSSIP_SERVE_PER_SLICE;
    n->gossip_config =
        (struct gossip_config){.mode = mode,
                               .n_slices = (uint32_t)n_slices,
                               .open_max = (uint16_t)(open < OPEN_MAX ? open : OPEN_MAX),
                               .serve_max = (uint16_t)(serve < SERVE_MAX ? serve : SERVE_MAX),
                               .open_per_slice = (uint16_t)c->open_per_slice,
                               .fanout = (uint16_t)c->fanout,
                               .n_remembered = PEERS_MAX,
                               .seed = c->seed,
                               .neighbour = neighbour,
                               .is_clear = is_clear,
                               .ctx = n};
    uint32_t open_max = n->gossip_config.open_max, serve_max = n->gossip_config.serve_max;
    n->gossip = mem_alloc(1, gossip_size(&n->gossip_config));
    gossip_init(n->gossip, &n->gossip_config, c->shard);
    uint64_t floats = n->model.dim < GOSSIP_SLICE_FLOATS ? n->model.dim : GOSSIP_SLICE_FLOATS;
    /* For each exchange of ours one that a job or a link has, and two that are being written, or
     * three until the link that holds them has ended; one for each that we answer. */
    pool_init(&n->pool, 4 * open_max + serve_max, floats, serve_max);
    n->asking = MEM_NEW(uint16_t, n->pool.n);
    n->asked = MEM_NEW(uint32_t, n->pool.n);
    n->taken_at = MEM_NEW(uint64_t, open_max + serve_max);
    n->sums = MEM_NEW(uint64_t, n->pool.n);
}

void exchange_close(struct node *n)
{
    pool_close(&n->pool);
    free(n->asking);
    free(n->asked);
    free(n->taken_at);
    free(n->sums);
    free(n->gossip);
}

static uint64_t slice_offset(uint32_t slice)
{
    return (uint64_t)slice * GOSSIP_SLICE_FLOATS;
}

static uint32_t slice_count(const struct node *n, uint32_t slice)
{
    uint64_t left = n->model.dim - slice_offset(slice);
    return (uint32_t)(left < GOSSIP_SLICE_FLOATS ? left : GOSSIP_SLICE_FLOATS);
}

/* ---- actions ------------------------------------------------------------------------------- */

static void give_job(struct node *n, const struct gossip_action *action)
{
    uint32_t buffer = action->job.buffer;
    if (action->type == GOSSIP_TAKE && buffer == GOSSIP_NONE)
        buffer = pool_take(&n->pool);
    struct job job = {.type = action->type == GOSSIP_TAKE     ? JOB_TAKE
                              : action->type == GOSSIP_ANSWER ? JOB_ANSWER
                              : action->type == GOSSIP_ADD    ? JOB_ADD
                                                              : JOB_MIX,
                      .exchange = action->job.exchange,
                      .buffer = buffer,
                      .peer = action->job.peer,
                      .peer_serial = n->peers.slots[action->job.peer].serial,
                      .data = pool_data(&n->pool, buffer),
                      .offset = slice_offset(action->job.slice),
                      .count = slice_count(n, action->job.slice),
                      .c = action->job.c,
                      .measure = n->state == PEER_SETTLING};
    handoff_leave_job(&n->handoff, &job);
    n->jobs_left = true;
}

/* Requests whose exchange is over wait to be written still, and fill the pool: the peer that most
 * of them are for takes none. One whose link ends already gives them back soon. */
static void cut_who_does_not_read(struct node *n)
{
    uint32_t counts[PEERS_MAX] = {0}, total = 0, most = 0;
    for (uint32_t b = 0; b < n->pool.n; b++) {
        if (n->asking[b] == 0 || peering_ends(n, n->asked[b]))
            continue;
        total += n->asking[b];
        counts[n->asked[b]] += n->asking[b];
        most = counts[n->asked[b]] > counts[most] ? n->asked[b] : most;
    }
    if (total > 2u * n->gossip_config.open_max)
        peering_punish(n, most, "it does not read what we send");
}

static void send_message(struct node *n, const struct gossip_message *g)
{
    const struct peer *peer = &n->peers.slots[g->peer];
    struct wire_message m = {.id = g->id};
    bool has_body = g->buffer != GOSSIP_NONE;
    switch (g->kind) {
    case GOSSIP_DECLINE:
        m.kind = WIRE_DECLINE;
        break;
    case GOSSIP_REQUEST:
    case GOSSIP_REPLY:
        m.kind = g->kind == GOSSIP_REQUEST ? WIRE_REQUEST : WIRE_REPLY;
        m.tensor = (struct wire_tensor){.offset = slice_offset(g->slice),
                                        .count = slice_count(n, g->slice),
                                        .codec = WIRE_F32,
                                        .mode = (enum wire_mode)g->mode,
                                        .weight = g->weight,
                                        .mass = g->mass};
        m.body_bytes = has_body ? m.tensor.count * (uint32_t)sizeof(float) : 0;
        break;
    }
    bool asks = has_body && g->kind == GOSSIP_REQUEST;
    if (asks && gossip_keeps(g))
        pool_ref(&n->pool, g->buffer);
    CHECK(peer->link != NULL);
    float *body = has_body ? pool_data(&n->pool, g->buffer) : NULL;
    n->n_leaving += has_body;
    if (asks) {
        n->asking[g->buffer]++;
        n->asked[g->buffer] = g->peer;
        n->n_asking++;
    }
    tcp_send_tensor(peer->link, &m, body, has_body ? n->sums[g->buffer] : 0, body);
    if (asks && n->n_asking > 2u * n->gossip_config.open_max)
        cut_who_does_not_read(n);
}

static void act(struct node *n, const struct gossip_action *action)
{
    switch (action->type) {
    case GOSSIP_TAKE:
    case GOSSIP_ANSWER:
    case GOSSIP_ADD:
    case GOSSIP_MIX:
        give_job(n, action);
        break;
    case GOSSIP_SEND:
        send_message(n, &action->send);
        break;
    case GOSSIP_FORGET:
        pool_unref(&n->pool, action->buffer);
        break;
    case GOSSIP_PUNISH:
        peering_punish(n, action->punish.peer, action->punish.reason);
        break;
    case GOSSIP_ADOPTED:
        log_info("took over the weights of %s at step %llu", n->peers.slots[n->adopt_slot].name,
                 (unsigned long long)n->adopt_step);
        metrics_write(&n->metrics, "adopt",
                      json_pack("{s:s, s:I}", "peer", n->peers.slots[n->adopt_slot].name, "step",
                                (json_int_t)n->adopt_step));
        n->adopting = false;
        node_adopted(n);
        break;
    case GOSSIP_ADOPT_FAILED:
        n->adopting = false;
        n->adopt_retry_us = clock_us() + 100 * MS_US;
        break;
    }
}

static void on_wake(uv_timer_t *timer)
{
    struct gossip_event event = {.type = GOSSIP_WAKE};
    exchange_drive(timer->data, &event);
}

void exchange_drive(struct node *n, struct gossip_event *event)
{
    struct gossip_update update;
    event->now_us = clock_us();
    gossip_step(n->gossip, event, &update);
    for (uint32_t i = 0; i < update.n_actions; i++)
        act(n, &update.actions[i]);
    if (update.wake_us == GOSSIP_NEVER) {
        uv_timer_stop(&n->wake);
        return;
    }
    uint64_t now = clock_us();
    uint64_t ms = update.wake_us > now ? (update.wake_us - now + MS_US - 1) / MS_US : 0;
    uv_timer_start(&n->wake, on_wake, ms, 0);
}

/* A trainer that rests is not woken up for jobs: two switches of threads for each would cost more
 * than most of them do. */
void exchange_turn(void *ctx)
{
    struct node *n = ctx;
    while (n->jobs_left && (n->stopped_us > 0 || handoff_borrow(&n->handoff))) {
        n->jobs_left = false;
        trainer_run_jobs(&n->trainer);
        if (n->stopped_us == 0)
            handoff_return(&n->handoff);
        node_take_completions(n);
    }
    n->jobs_left = false; /* those of a trainer that is awake are in its hands */
}

void exchange_peer(struct node *n, uint32_t slot, bool up, bool gone)
{
    struct gossip_event event = {.type = GOSSIP_LINK,
                                 .link = {.peer = slot == PEERS_MAX ? GOSSIP_NONE : slot,
                                          .up = up,
                                          .gone = gone,
                                          .n_peers = n->peers.n_neighbours}};
    exchange_drive(n, &event);
}

void exchange_phase(struct node *n, enum gossip_phase phase)
{
    struct gossip_event event = {.type = GOSSIP_PHASE, .phase = phase};
    exchange_drive(n, &event);
}

void exchange_steps(struct node *n, uint32_t n_steps)
{
    struct gossip_event event = {.type = GOSSIP_WAKE, .n_steps = n_steps};
    exchange_drive(n, &event);
}

void exchange_completed(struct node *n, const struct completion *c)
{
    const struct job *job = &c->job;
    if (job->type == JOB_TAKE)
        n->taken_at[job->exchange] = c->step;
    if (job->type == JOB_TAKE || job->type == JOB_ANSWER)
        n->sums[job->buffer] = c->sum;
    if (job->type == JOB_ADD)
        staleness_add(&n->staleness, c->step - n->taken_at[job->exchange]);
    if (job->type == JOB_ADD || job->type == JOB_MIX)
        pool_unref(&n->pool, job->buffer);
    const struct peer *peer = &n->peers.slots[job->peer];
    bool still_there = peer->link != NULL && peer->serial == job->peer_serial;
    if (job->measure && job->type != JOB_TAKE && still_there)
        peers_note_move(&n->peers, job->peer, c->moved);
    struct gossip_event event = {.type = GOSSIP_DONE,
                                 .done = {.exchange = job->exchange, .buffer = job->buffer}};
    exchange_drive(n, &event);
}

/* ---- frames -------------------------------------------------------------------------------- */

static bool fits(const struct node *n, const struct wire_tensor *t)
{
    return t->offset % GOSSIP_SLICE_FLOATS == 0 && t->offset < n->model.dim &&
           t->count == slice_count(n, (uint32_t)(t->offset / GOSSIP_SLICE_FLOATS));
}

void *exchange_body(struct node *n, uint32_t slot, const struct wire_message *m)
{
    uint32_t buffer = POOL_NONE;
    if (!fits(n, &m->tensor))
        return NULL;
    if (m->kind == WIRE_REQUEST)
        buffer = pool_lend(&n->pool, slot);
    else if (gossip_expects(n->gossip, slot, m->id))
        buffer = pool_take(&n->pool);
    return buffer == POOL_NONE ? NULL : pool_data(&n->pool, buffer);
}

void exchange_dropped(struct node *n, void *body)
{
    pool_unref(&n->pool, pool_handle(&n->pool, body));
}

void exchange_released(struct node *n, void *token)
{
    struct gossip_event event = {.type = GOSSIP_SENT, .sent = pool_handle(&n->pool, token)};
    n->n_leaving--;
    if (n->state == PEER_ENDED)
        n->sent_us = clock_us();
    if (n->asking[event.sent] > 0) {
        n->asking[event.sent]--;
        n->n_asking--;
    }
    pool_unref(&n->pool, event.sent);
    if (n->gossip_config.mode != GOSSIP_PUSH)
        return;
    exchange_drive(n, &event);
    if (n->jobs_left) /* this may come from within the end of a turn, after exchange_turn */
        handoff_wake(&n->handoff);
    n->jobs_left = false;
}

void exchange_received(struct node *n, uint32_t slot, const struct wire_message *m, void *body)
{
    uint32_t buffer = body == NULL ? GOSSIP_NONE : pool_handle(&n->pool, body);
    struct gossip_event event = {.type = GOSSIP_RECEIVED,
                                 .received.peer_is_smaller = peers_is_smaller(&n->peers, slot)};
    struct gossip_message *g = &event.received.message;
    *g = (struct gossip_message){.peer = slot, .id = m->id, .buffer = buffer};
    if (m->kind == WIRE_DECLINE) {
        g->kind = GOSSIP_DECLINE;
        exchange_drive(n, &event);
        return;
    }
    if (!fits(n, &m->tensor)) {
        peering_punish(n, slot, "a tensor that is no slice of the model");
        return;
    }
    g->kind = m->kind == WIRE_REQUEST ? GOSSIP_REQUEST : GOSSIP_REPLY;
    g->mode = (enum gossip_mode)m->tensor.mode;
    g->slice = (uint32_t)(m->tensor.offset / GOSSIP_SLICE_FLOATS);
    g->weight = m->tensor.weight;
    g->mass = m->tensor.mass;
    if (m->kind == WIRE_REQUEST && g->mode == GOSSIP_PULL) {
        uint32_t lent = pool_lend(&n->pool, slot);
        g->buffer = lent == POOL_NONE ? GOSSIP_NONE : lent;
    }
    exchange_drive(n, &event);
}

/* ---- how often ----------------------------------------------------------------------------- */

void exchange_set_schedule(struct node *n)
{
    const struct gossip_every *every =
        n->state == PEER_SETTLING ? SETTLE_SCHEDULE : &n->config.every;
    gossip_set_schedule(n->gossip, every->steps, every->period_us);
    handoff_set_stride(&n->handoff, every->steps > 0 ? every->steps : 1u << 30);
    struct gossip_event event = {.type = GOSSIP_WAKE};
    exchange_drive(n, &event);
}

/* Gossip costs the trainer what its jobs take, and what the loop's thread takes, which on a busy
 * machine comes out of somebody's training too. The period follows the share of both. */
void exchange_adjust(struct node *n, uint64_t now_us)
{
    uint64_t elapsed = now_us - n->budget.adjusted_us;
    if (elapsed < ADJUST_US)
        return;
    uint64_t job_us = n->report.job_us, loop_us = clock_thread_us();
    double cost = (double)(job_us - n->budget.job_us + loop_us - n->budget.loop_us);
    n->budget.share += 0.4 * (cost / (double)elapsed - n->budget.share);
    n->budget.adjusted_us = now_us;
    n->budget.job_us = job_us;
    n->budget.loop_us = loop_us;
    bool steady = n->state == PEER_TRAINING || n->state == PEER_DONE;
    if (!n->config.every.automatic || !steady)
        return;
    double factor = n->budget.share / BUDGET_MEASURED;
    factor = factor > 1.5 ? 1.5 : factor < 0.75 ? 0.75 : factor;
    double steps = (double)n->config.every.steps * factor + 0.5;
    n->config.every.steps = steps < 1 ? 1 : steps > EVERY_MAX ? EVERY_MAX : (uint32_t)steps;
    exchange_set_schedule(n);
}

void exchange_count(struct node *n)
{
    struct tcp_traffic t = tcp_traffic(n->tcp);
    n->counts = *gossip_counts(n->gossip);
    n->bytes_in = t.bytes_in;
    n->bytes_out = t.bytes_out;
}
