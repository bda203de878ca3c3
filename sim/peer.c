/* A node: its core, its jobs, its steps.
 *
 * As in a real peer, jobs wait while a step is being computed and run in order at its end, before
 * the next begins, and at once while the pace is waited out; they take no virtual time. */
#include "sim/check.h"
#include "sim/inner.h"

#include "base/check.h"
#include "base/prefetch.h"
#include "model/ahead.h"

#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert((int)WIRE_PAIRWISE == (int)GOSSIP_PAIRWISE && (int)WIRE_PULL == (int)GOSSIP_PULL &&
                   (int)WIRE_PUSH == (int)GOSSIP_PUSH && (int)WIRE_PUSH_SUM == (int)GOSSIP_PUSH_SUM,
               "modes have the same numbers in the core and on the wire");

/* ---- the trace ----------------------------------------------------------------------------- */

enum happening { CAME, BROKE, STEPPED }; /* and enum peer_happening */

/* No padding: all of it is hashed. n_steps: done until then, so a step of no length is seen in what
 * comes next. */
struct trace_item {
    uint64_t now_us, id;
    uint32_t what, kind, mode, peer, slice, n_steps;
    float weight, mass;
};
_Static_assert(sizeof(struct trace_item) == 48, "no padding");

static void trace(struct worker *w, const struct trace_item *item)
{
    w->node->trace = XXH3_64bits_withSeed(item, sizeof *item, w->node->trace);
    w->totals.events++;
}

void peer_trace(struct worker *w, enum peer_happening what, uint32_t n)
{
    trace(w, &(struct trace_item){.now_us = w->now_us, .what = what, .n_steps = n});
}

/* ---- steps --------------------------------------------------------------------------------- */

float peer_factor(const struct sim *s, uint32_t id, uint32_t n_samples)
{
    double samples = n_samples / s->mean_samples, speed = 0;
    if (s->mean_speed > 0)
        speed = speed_steps_a_us(&s->config.speed, s->config.seed, id) / s->mean_speed;
    return s->config.alone ? 1.0f
                           : objective_factor(s->config.objective, samples, speed, s->evenness);
}

static void learn(struct worker *w)
{
    struct sim *s = w->sim;
    w->learner.shard = split_shard(&s->split, w->id);
    w->learner.factor = s->factor > 0 ? s->factor : peer_factor(s, w->id, w->learner.shard.n);
    /* A peer's schedule stands where the median peer is, if that is further; and the median peer's
     * steps take the nominal time. */
    uint64_t nominal_us = speed_nominal_us(&s->config.speed);
    if (s->mean_speed > 0 && nominal_us > 0)
        w->learner.swarm_step = w->now_us / nominal_us;
    if (s->check != NULL)
        check_before(w);
    if (!isfinite(learner_step(&w->learner, &w->workspace)))
        w->totals.diverged++;
    if (s->check != NULL)
        check_changed(w);
    w->totals.node_updates++;
}

static void step(struct worker *w)
{
    uint64_t settle_us = w->sim->config.settle_us;
    if (settle_us == 0 || w->now_us < settle_us)
        learn(w);
}

/* Too large to be asked for as a whole just before: it is worth asking for during a step. */
static bool is_large(const struct worker *w, size_t bytes)
{
    return bytes > PREFETCH_MOST && !w->workspace.is_direct;
}

/* The parcels of the jobs that wait for the end of the step, which is computed now. Where there is
 * but one slice nothing is read of the last one: reading waits for the memory, and two jobs are all
 * that most have. */
static void want_parcels(const struct worker *w)
{
    const struct sim *s = w->sim;
    uint32_t last = w->node->last_job, job = w->node->first_job;
    if (last == PARCEL_NONE || !is_large(w, s->parcels.stride))
        return;
    for (;; job = parcel_at(&s->parcels, job)->next) {
        const struct parcel *parcel = parcel_at(&s->parcels, job);
        uint32_t slice = s->gossip_config.n_slices > 1 ? parcel->job.slice : 0;
        ahead_want(parcel, sizeof *parcel + slice_count(s, slice) * sizeof(float));
        if (job == last)
            return;
    }
}

static void end_step(struct worker *w)
{
    struct gossip_event event = {.type = GOSSIP_WAKE, .n_steps = 1};
    w->node->busy_us = SIM_NEVER;
    want_parcels(w);
    step(w);
    trace(w, &(struct trace_item){
                 .now_us = w->now_us, .what = STEPPED, .n_steps = (uint32_t)w->learner.step});
    peer_drive(w, &event);
}

static void begin_step(struct worker *w, uint64_t length)
{
    const struct sim_config *c = &w->sim->config;
    uint64_t computing = length - speed_rest_us(&c->speed, c->seed, w->id);
    w->node->rests = false;
    w->node->busy_us = w->now_us + (computing > 0 ? computing : 1);
}

void peer_begin_step(struct worker *w)
{
    const struct sim_config *c = &w->sim->config;
    begin_step(w, speed_step_us(&c->speed, c->seed, w->id));
}

/* On-receive: where all slices have been merged since the last step, the next one begins, or, of no
 * length, is done at once. Returns how many were done. */
static uint32_t step_if_merged(struct worker *w)
{
    const struct sim_config *c = &w->sim->config;
    if (w->node->n_merged < w->sim->gossip_config.n_slices)
        return 0;
    uint64_t length = speed_step_us(&c->speed, c->seed, w->id);
    w->node->n_merged = 0;
    if (length > 0) {
        begin_step(w, length);
        return 0;
    }
    step(w);
    w->totals.events++;
    return 1;
}

/* What is left of a step that is over, or the next one. */
static void go_on(struct worker *w)
{
    const struct sim_config *c = &w->sim->config;
    uint64_t rest = speed_rest_us(&c->speed, c->seed, w->id);
    if (rest == 0) {
        peer_begin_step(w);
        return;
    }
    w->node->rests = true;
    w->node->busy_us = w->now_us + rest;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

/* A slice that came has been mixed into theta. */
static void note_merge(struct worker *w, uint32_t handle)
{
    if (w->record != NULL)
        record_mixed(w->record, w->id, handle, w->now_us);
    if (w->sim->config.train == SIM_ON_RECEIVE)
        w->node->n_merged++;
}

/* Something to be done to theta, with a parcel as its buffer. */
struct job {
    enum gossip_action_type type;
    uint32_t exchange, slice, handle;
    float c;
};

static bool is_job(const struct gossip_action *action)
{
    return action->type == GOSSIP_TAKE || action->type == GOSSIP_ANSWER ||
           action->type == GOSSIP_ADD || action->type == GOSSIP_MIX;
}

static struct job job_of(struct worker *w, const struct gossip_action *action)
{
    bool has_buffer = action->job.buffer != GOSSIP_NONE;
    if (w->sim->check != NULL && action->type == GOSSIP_ANSWER)
        check_weight(w, action->job.peer, action->job.slice, action->job.c);
    return (struct job){.type = action->type,
                        .exchange = action->job.exchange,
                        .slice = action->job.slice,
                        .handle = has_buffer ? action->job.buffer : parcel_new(&w->shelf),
                        .c = action->job.c};
}

/* Does it, and, on-receive, the step that it was the last to wait for. Sets what the core is told.
 */
static void run_job(struct worker *w, const struct job *job, struct gossip_event *done)
{
    const struct sim *s = w->sim;
    struct parcel *parcel = parcel_at(&s->parcels, job->handle);
    uint32_t n = slice_count(s, job->slice);
    uint64_t offset = slice_offset(job->slice);
    if (s->check != NULL)
        check_before(w);
    uint64_t began = workspace_ticks(&w->workspace);
    switch (job->type) {
    case GOSSIP_TAKE:
        learner_take(&w->learner, offset, n, parcel->slice);
        parcel->taken_at = (uint32_t)w->learner.step;
        break;
    case GOSSIP_ANSWER:
        learner_answer(&w->learner, offset, n, job->c, parcel->slice);
        note_merge(w, job->handle);
        if (s->check != NULL)
            check_answered(w, job->handle);
        break;
    case GOSSIP_ADD:
        learner_add(&w->learner, offset, n, job->c, parcel->slice);
        staleness_add(&w->staleness, w->learner.step - parcel->taken_at);
        note_merge(w, job->handle);
        if (s->check != NULL)
            check_added(w, job->handle);
        parcel_unref(&w->shelf, job->handle);
        break;
    case GOSSIP_MIX:
        learner_mix(&w->learner, offset, n, job->c, parcel->slice);
        note_merge(w, job->handle);
        if (s->check != NULL)
            check_mixed(w, job->handle);
        parcel_unref(&w->shelf, job->handle);
        break;
    case GOSSIP_SEND:
    case GOSSIP_FORGET:
    case GOSSIP_PUNISH:
    case GOSSIP_ADOPTED:
    case GOSSIP_ADOPT_FAILED:
        CHECK(false && "no job");
    }
    w->totals.mixing_ticks += workspace_ticks(&w->workspace) - began;
    done->type = GOSSIP_DONE;
    done->n_steps = step_if_merged(w);
    done->done.exchange = job->exchange;
    done->done.buffer = job->handle;
}

static void queue_job(struct worker *w, const struct job *job)
{
    struct parcel *parcel = parcel_at(&w->sim->parcels, job->handle);
    parcel->job.type = job->type & UINT8_MAX;
    parcel->job.exchange = job->exchange & JOB_EXCHANGE_MAX;
    parcel->job.slice = job->slice;
    parcel->job.c = job->c;
    if (w->node->last_job == PARCEL_NONE)
        w->node->first_job = job->handle;
    else
        parcel_at(&w->sim->parcels, w->node->last_job)->next = job->handle;
    w->node->last_job = job->handle;
}

static bool runs_jobs(const struct node *node)
{
    return node->busy_us == SIM_NEVER || node->rests;
}

/* The parcel of the first job that waits, which there is. */
static uint32_t unqueue_job(const struct worker *w)
{
    struct node *node = w->node;
    uint32_t handle = node->first_job;
    if (handle == node->last_job)
        node->last_job = PARCEL_NONE;
    else
        node->first_job = parcel_at(&w->sim->parcels, handle)->next;
    return handle;
}

/* The first job that waits, if it can be run now. */
static bool next_job(struct worker *w, struct job *job)
{
    if (w->node->last_job == PARCEL_NONE || !runs_jobs(w->node))
        return false;
    uint32_t handle = unqueue_job(w);
    const struct parcel *first = parcel_at(&w->sim->parcels, handle);
    *job = (struct job){.type = (enum gossip_action_type)first->job.type,
                        .exchange = first->job.exchange,
                        .slice = first->job.slice,
                        .handle = handle,
                        .c = first->job.c};
    return true;
}

void peer_drop_jobs(struct worker *w)
{
    while (w->node->last_job != PARCEL_NONE)
        parcel_unref(&w->shelf, unqueue_job(w));
}

/* ---- messages ------------------------------------------------------------------------------ */

static uint64_t body_sum(const struct parcel *parcel, uint32_t body_bytes)
{
    return body_bytes > 0 ? wire_body_sum(parcel->slice, body_bytes) : 0;
}

/* Puts the message into its parcel; returns the bytes of its frame. */
static uint64_t pack(struct worker *w, struct parcel *parcel, const struct gossip_message *g)
{
    const struct sim *s = w->sim;
    bool has_body = g->buffer != GOSSIP_NONE;
    uint32_t count = slice_count(s, g->slice);
    uint32_t body_bytes = has_body ? count * (uint32_t)sizeof(float) : 0;
    if (!s->config.frames) {
        parcel->message = *g;
        parcel->head_bytes =
            s->head_bytes[g->kind == GOSSIP_DECLINE ? s->gossip_config.n_slices : g->slice];
        return parcel->head_bytes + body_bytes;
    }
    struct wire_message m;
    m.id = g->id;
    m.body_bytes = body_bytes;
    m.kind = g->kind == GOSSIP_DECLINE   ? WIRE_DECLINE
             : g->kind == GOSSIP_REQUEST ? WIRE_REQUEST
                                         : WIRE_REPLY;
    m.tensor = (struct wire_tensor){.offset = slice_offset(g->slice),
                                    .count = count,
                                    .codec = WIRE_F32,
                                    .mode = (enum wire_mode)g->mode,
                                    .weight = g->weight,
                                    .mass = g->mass};
    parcel->body_sum = body_sum(parcel, body_bytes);
    parcel->head_bytes = (uint32_t)wire_encode(&m, parcel->body_sum, w->head);
    CHECK(parcel->head_bytes <= PARCEL_HEAD_MAX);
    memcpy(parcel->head, w->head, parcel->head_bytes);
    return parcel->head_bytes + body_bytes;
}

/* The message as it came; its buffer is set where there is a slice. A frame of ours that does not
 * decode is a bug of ours. That what is sealed stays as it was when it was summed is
 * looked at with --check. */
static struct gossip_message unpack(struct worker *w, uint32_t handle)
{
    const struct parcel *parcel = parcel_at(&w->sim->parcels, handle);
    if (!w->sim->config.frames)
        return parcel->message;
    struct wire_header header;
    struct wire_message m;
    struct error err;
    CHECK(wire_decode_header(parcel->head, WIRE_BODY_MAX, &header, &err) == 0);
    CHECK(WIRE_HEADER_BYTES + header.map_bytes == parcel->head_bytes);
    uint64_t sum = w->sim->check == NULL ? parcel->body_sum : body_sum(parcel, header.body_bytes);
    CHECK(wire_frame_sum(&header, parcel->head, sum) == header.checksum);
    CHECK(wire_decode_map(&header, parcel->head + WIRE_HEADER_BYTES, &m, &err) == 0);
    struct gossip_message g = {.kind = GOSSIP_DECLINE, .id = m.id, .buffer = GOSSIP_NONE};
    if (m.kind == WIRE_DECLINE)
        return g;
    g.kind = m.kind == WIRE_REQUEST ? GOSSIP_REQUEST : GOSSIP_REPLY;
    g.mode = (enum gossip_mode)m.tensor.mode;
    g.slice = (uint32_t)(m.tensor.offset / GOSSIP_SLICE_FLOATS);
    g.buffer = m.body_bytes > 0 ? handle : GOSSIP_NONE;
    g.weight = m.tensor.weight;
    g.mass = m.tensor.mass;
    return g;
}

/* Where bandwidth is short: word that a push has left comes when it has, but not within this
 * day. Its reference keeps the parcel's name from being used again, whatever happens. */
static void note_leaving(struct worker *w, uint32_t handle, uint64_t leaves_us)
{
    const struct sim *s = w->sim;
    uint64_t end_us = (sim_day(s, w->now_us) + 1) * s->day_us;
    struct letter word = {.arrival_us = leaves_us > end_us ? leaves_us : end_us,
                          .sent_us = w->now_us,
                          .dst = w->id,
                          .src = w->id,
                          .number = w->node->outbox.n_sent,
                          .parcel = handle};
    parcel_ref(parcel_at(&s->parcels, handle));
    engine_post(w, &word);
}

/* The parcel that a message leaves in. That of a transfer stays the core's; one that is sent again,
 * while what went out before may still wait for its receiver's step, leaves as a copy. */
static uint32_t parcel_to_send(struct worker *w, const struct gossip_message *g)
{
    const struct sim *s = w->sim;
    if (g->buffer == GOSSIP_NONE)
        return parcel_new(&w->shelf);
    struct parcel *parcel = parcel_at(&s->parcels, g->buffer);
    if (!gossip_keeps(g))
        return g->buffer;
    if (parcel_is_mine(parcel)) {
        parcel_ref(parcel);
        return g->buffer;
    }
    uint32_t copy = parcel_new(&w->shelf);
    memcpy(parcel_at(&s->parcels, copy)->slice, parcel->slice,
           slice_count(s, g->slice) * sizeof(float));
    return copy;
}

/* Draws the latency of its next message ahead. */
static void foresee(const struct sim *s, struct node *node, uint32_t id)
{
    if (s->foresees)
        node->latency_us = network_latency(&s->config.network, &node->outbox, id);
}

static uint64_t next_latency_us(const struct sim *s, const struct node *node, uint32_t id)
{
    return s->foresees ? node->latency_us : network_latency(&s->config.network, &node->outbox, id);
}

static void post(struct worker *w, const struct gossip_message *g)
{
    struct sim *s = w->sim;
    uint32_t handle = parcel_to_send(w, g);
    struct parcel *parcel = parcel_at(&s->parcels, handle);
    uint64_t began = workspace_ticks(&w->workspace), bytes = pack(w, parcel, g);
    w->totals.frames_ticks += workspace_ticks(&w->workspace) - began;
    parcel->flight.bytes = (uint32_t)bytes;
    parcel->flight.n_steps = (uint32_t)w->learner.step;
    struct letter letter = {.sent_us = w->now_us,
                            .dst = g->peer,
                            .src = w->id,
                            .number = w->node->outbox.n_sent,
                            .parcel = handle};
    struct delivery d =
        network_send(&s->config.network, &w->owner->flights, &w->node->outbox, w->id, g->peer,
                     bytes, next_latency_us(s, w->node, w->id), w->now_us,
                     s->way_out_us != NULL ? &s->way_out_us[w->id] : NULL);
    foresee(s, w->node, w->id);
    letter.arrival_us = d.arrival_us;
    w->totals.messages++;
    w->totals.bytes += bytes;
    if (s->check != NULL && g->kind == GOSSIP_REQUEST)
        check_request(w, g, handle);
    else if (s->check != NULL)
        check_answer(w, g);
    if (s->way_out_us != NULL || s->config.network.link_bytes_per_s > 0 || s->check != NULL)
        way_note_longest(s, d.arrival_us - w->now_us);
    if (s->lives != NULL && !churn_stays_up(&s->churn, g->peer, w->now_us, d.arrival_us))
        d.lost = true;
    if (w->record != NULL)
        record_sent(w->record, w->id, g->peer, bytes);
    if (g->kind == GOSSIP_REQUEST && g->mode == GOSSIP_PUSH && !s->gossip_config.leaves_at_once)
        note_leaving(w, handle, d.leaves_us);
    if (d.lost) { /* and the link with it, as both ends will learn */
        letter.sent_us = d.arrival_us;
        w->totals.lost++;
        if (s->check != NULL)
            check_lost(w, handle);
        parcel_unref(&w->shelf, handle);
        letter.parcel = PARCEL_NONE;
        struct letter mine = letter;
        mine.dst = w->id;
        mine.src = g->peer;
        engine_post(w, &mine);
    }
    engine_post(w, &letter);
}

static void receive_own(struct worker *w, const struct letter *letter)
{
    struct gossip_event sent = {.type = GOSSIP_SENT, .sent = letter->parcel};
    if (w->sim->lives == NULL || !w->sim->lives[w->id].down)
        peer_drive(w, &sent);
    parcel_unref(&w->shelf, letter->parcel);
}

static void receive(struct worker *w, const struct letter *letter)
{
    struct sim *s = w->sim;
    bool fragile = s->lives != NULL || network_breaks(&s->config.network);
    struct trace_item item = {.now_us = w->now_us,
                              .what = BROKE,
                              .peer = letter->src,
                              .n_steps = (uint32_t)w->learner.step};
    if (letter->src == w->id) {
        receive_own(w, letter);
        return;
    }
    if (s->lives != NULL && s->lives[w->id].down) {
        CHECK(letter->parcel == PARCEL_NONE && "nothing comes to who is away");
        return;
    }
    if (letter->parcel == PARCEL_NONE) {
        if (s->check != NULL)
            check_broke(w, letter->src);
        trace(w, &item);
        flights_prolong(&w->owner->flights,
                        atomic_load_explicit(&s->longest_us, memory_order_relaxed));
        if (!flights_break(&w->owner->flights, w->id, letter->src, letter->sent_us, w->now_us))
            return;
        struct gossip_event event = {
            .type = GOSSIP_LINK,
            .link = {.peer = letter->src, .n_peers = topology_degree(&s->topology, w->id)}};
        peer_drive(w, &event);
        event.link.up = true;
        peer_drive(w, &event);
        return;
    }
    if (fragile && flights_is_lost(&w->owner->flights, w->id, letter->src, letter->sent_us)) {
        parcel_unref(&w->shelf, letter->parcel);
        w->totals.lost++;
        return;
    }
    if (s->check != NULL)
        check_letter(w, letter);
    uint64_t began = workspace_ticks(&w->workspace);
    struct gossip_event event = {
        .type = GOSSIP_RECEIVED,
        .received = {.message = unpack(w, letter->parcel), .peer_is_smaller = letter->src < w->id}};
    w->totals.frames_ticks += workspace_ticks(&w->workspace) - began;
    struct gossip_message *g = &event.received.message;
    g->peer = letter->src;
    item.what = CAME;
    item.id = g->id;
    if (g->kind != GOSSIP_DECLINE) {
        item.kind = 1 + (uint32_t)g->kind;
        item.mode = g->mode;
        item.slice = g->slice;
        item.weight = g->weight;
        item.mass = g->mass;
    }
    trace(w, &item);
    if (s->lives != NULL && g->kind == GOSSIP_REPLY)
        s->lives[w->id].heard_steps = parcel_at(&s->parcels, letter->parcel)->flight.n_steps;
    if (g->kind == GOSSIP_REQUEST) /* a pull's own parcel will take the reply */
        g->buffer = letter->parcel;
    else if (g->kind == GOSSIP_DECLINE || !gossip_expects(node_core(s, w->node), g->peer, g->id))
        g->buffer = GOSSIP_NONE;
    if (g->buffer == GOSSIP_NONE) {
        if (s->check != NULL && g->kind == GOSSIP_REPLY)
            check_forgotten(w, letter->parcel);
        parcel_unref(&w->shelf, letter->parcel);
    } else if (w->record != NULL) {
        record_came(w->record, w->id, letter->parcel, letter->sent_us);
    }
    peer_drive(w, &event);
}

/* ---- the core ------------------------------------------------------------------------------ */

static void act(struct worker *w, const struct gossip_action *action)
{
    switch (action->type) {
    case GOSSIP_SEND:
        post(w, &action->send);
        break;
    case GOSSIP_FORGET:
        if (w->sim->check != NULL)
            check_forgotten(w, action->buffer);
        parcel_unref(&w->shelf, action->buffer);
        break;
    case GOSSIP_PUNISH:
        if (w->sim->check != NULL)
            check_punished(w, action->punish.peer, action->punish.reason);
        w->totals.punished++;
        break;
    case GOSSIP_ADOPTED:
        life_adopted(w);
        break;
    case GOSSIP_ADOPT_FAILED:
        life_adopt_failed(w);
        break;
    case GOSSIP_TAKE:
    case GOSSIP_ANSWER:
    case GOSSIP_ADD:
    case GOSSIP_MIX:
        CHECK(false && "a job");
    }
}

/* Tells the core, and does what it asks for. True where the last of that is a job that need not
 * wait in line: it is in at_once then, where that is not NULL. */
static bool step_core(struct worker *w, struct gossip_event *event, struct job *at_once)
{
    struct gossip_update update;
    bool is_at_once = false;
    event->now_us = w->now_us;
    gossip_step(node_core(w->sim, w->node), event, &update);
    if (w->node->started) /* else it still waits for its start */
        w->node->wake_us = update.wake_us;
    for (uint32_t i = 0; i < update.n_actions; i++) {
        const struct gossip_action *action = &update.actions[i];
        if (!is_job(action)) {
            act(w, action);
            continue;
        }
        struct job job = job_of(w, action);
        is_at_once = at_once != NULL && i + 1 == update.n_actions &&
                     w->node->last_job == PARCEL_NONE && runs_jobs(w->node);
        if (is_at_once)
            *at_once = job;
        else
            queue_job(w, &job);
    }
    if (w->sim->check != NULL)
        check_event(w);
    return is_at_once;
}

/* Jobs are run here, one after another. What is driven from within this leaves its own in line. */
void peer_drive(struct worker *w, struct gossip_event *event)
{
    struct gossip_event done;
    struct job job;
    bool nested = w->in_jobs, has_job = step_core(w, event, nested ? NULL : &job);
    if (nested)
        return;
    w->in_jobs = true;
    while (has_job || next_job(w, &job)) {
        run_job(w, &job, &done);
        has_job = step_core(w, &done, &job);
    }
    w->in_jobs = false;
}

/* ---- a node's time --------------------------------------------------------------------------- */

void peer_start(struct worker *w, enum gossip_phase phase)
{
    const struct sim *s = w->sim;
    struct gossip *core = node_core(s, w->node);
    struct gossip_event enter = {.type = GOSSIP_PHASE, .phase = phase};
    struct gossip_event link = {
        .type = GOSSIP_LINK,
        .link = {.peer = GOSSIP_NONE, .n_peers = topology_degree(&s->topology, w->id)}};
    w->node->started = true;
    if (s->config.train == SIM_CONTINUOUS && phase == GOSSIP_ACTIVE)
        peer_begin_step(w);
    if (!s->config.alone)
        gossip_set_schedule(core, s->config.every_steps, s->config.every_us);
    peer_drive(w, &enter);
    peer_drive(w, &link);
}

static void wake(struct worker *w)
{
    if (!w->node->started) {
        peer_start(w, GOSSIP_ACTIVE);
        return;
    }
    struct gossip_event event = {.type = GOSSIP_WAKE};
    peer_drive(w, &event);
}

/* The next of a node's own deadlines; SIM_NEVER: it has none. */
static uint64_t deadline_us(const struct sim *s, const struct node *node, uint32_t id)
{
    uint64_t own_us = node->busy_us <= node->wake_us ? node->busy_us : node->wake_us;
    uint64_t life_us = life_next_us(s, id);
    return life_us < own_us ? life_us : own_us;
}

/* How many days on from its deadline anything that the node does reaches another, at least. Where
 * that is foreseen, each wake sends one message, then or after the step under way; it may be woken
 * again a period later. */
static uint32_t reach_of(const struct sim *s, const struct node *node, uint64_t day)
{
    if (!s->foresees || node->last_job != PARCEL_NONE)
        return 1;
    if (node->wake_us == SIM_NEVER)
        return CALENDAR_FAR;
    uint64_t latency_us = node->latency_us, again_us = s->config.every_us + s->day_us;
    uint64_t soonest_us = node->wake_us + (latency_us < again_us ? latency_us : again_us);
    uint64_t reach = sim_day(s, soonest_us) - day;
    return (uint32_t)(reach < CALENDAR_FAR ? reach : CALENDAR_FAR);
}

static void set_timer(struct worker *w, uint32_t id, uint64_t us)
{
    const struct sim *s = w->sim;
    uint64_t day = sim_day(s, us);
    if (day < SIM_DAYS_MAX) /* else beyond the end of any run */
        engine_set_timer(w, id, day, reach_of(s, sim_node(s, id), day));
}

void peer_set_timer(struct worker *w, uint32_t id)
{
    set_timer(w, id, deadline_us(w->sim, sim_node(w->sim, id), id));
}

void peer_init(struct sim *s, uint32_t id, uint64_t start_us)
{
    struct node *node = sim_node(s, id);
    bool late = s->lives != NULL && s->lives[id].down;
    *node = (struct node){
        .wake_us = late ? SIM_NEVER : start_us, .busy_us = SIM_NEVER, .last_job = PARCEL_NONE};
    gossip_init(node_core(s, node), &s->gossip_config, id);
    foresee(s, node, id);
}

void peer_expect(struct worker *w, uint32_t id)
{
    const struct sim *s = w->sim;
    struct shard shard = split_shard(&s->split, id);
    learner_fetch(&s->learner_config, &shard, id, sim_node(s, id)->n_steps, &w->workspace);
    if (is_large(w, s->stride))
        ahead_want(node_floats(s, sim_node(s, id)), s->stride - s->floats_offset);
}

static void pick_up(struct worker *w, uint32_t id)
{
    const struct sim *s = w->sim;
    struct node *node = sim_node(s, id);
    w->id = id;
    w->node = node;
    w->timer_us = deadline_us(s, node, id);
    struct learner *l = &w->learner;
    l->node = id;
    learner_move(l, node_floats(s, node));
    l->step = l->age = node->n_steps;
    if (s->lives != NULL)
        l->age -= s->lives[id].resumed;
}

static void lay_down(struct worker *w)
{
    struct node *node = w->node;
    const struct learner *l = &w->learner;
    node->n_steps = (uint32_t)l->step;
    uint64_t timer_us = deadline_us(w->sim, node, w->id);
    if (timer_us != w->timer_us)
        set_timer(w, w->id, timer_us);
}

/* At the same time word of broken links comes first, so that what is sent then goes over the new
 * link; then a node's life; its own deadlines, the end of a step before the core's; what arrives.
 */
void peer_run(struct worker *w, uint32_t id, const struct letter *letters,
              const struct visit *visits, size_t n, uint64_t end_us)
{
    pick_up(w, id);
    struct node *node = w->node;
    for (size_t i = 0;;) {
        uint64_t arrival_us = i < n ? letters[visits[i].letter].arrival_us : SIM_NEVER;
        bool is_word = i < n && letters[visits[i].letter].parcel == PARCEL_NONE;
        uint64_t own_us = deadline_us(w->sim, node, id);
        w->now_us = own_us <= arrival_us ? own_us : arrival_us;
        if (w->now_us >= end_us)
            break;
        if (own_us > arrival_us || (own_us == arrival_us && is_word)) {
            receive(w, &letters[visits[i++].letter]);
        } else if (own_us == life_next_us(w->sim, id)) {
            life_happen(w);
        } else if (own_us == node->busy_us && node->rests) {
            peer_begin_step(w);
        } else if (own_us == node->busy_us) {
            end_step(w);
            if (w->sim->config.train == SIM_CONTINUOUS)
                go_on(w);
        } else {
            wake(w);
        }
    }
    lay_down(w);
}
