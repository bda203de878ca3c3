#include "net/gossip_inner.h"

#include "base/rng.h"

#include <string.h>

size_t gossip_size(const struct gossip_config *config)
{
    size_t of_slices = config->mode == GOSSIP_PUSH ? config->n_slices * sizeof(uint32_t)
                       : config->mode == GOSSIP_PUSH_SUM
                           ? mass_bytes(config->n_slices, config->n_remembered)
                           : 0;
    return offsetof(struct gossip, entries) +
           ((size_t)config->open_max + config->serve_max) * sizeof(struct entry) + of_slices;
}

void gossip_init(struct gossip *g, const struct gossip_config *config, uint32_t self)
{
    CHECK(config->n_slices > 0 && config->open_max > 0 && config->serve_max > 0);
    CHECK(config->open_per_slice >= 1 && config->open_per_slice <= GOSSIP_OPEN_PER_SLICE_MAX);
    memset(g, 0, gossip_size(config));
    g->config = config;
    g->self = self;
    g->next_id = 1;
    g->due_us = GOSSIP_NEVER;
    g->adopt_peer = GOSSIP_NONE;
    g->mass = 1;
    g->phase = GOSSIP_JOINING;
    if (config->mode == GOSSIP_PUSH_SUM)
        mass_init(book_of(g), config->n_slices, config->n_remembered);
}

void gossip_set_schedule(struct gossip *g, uint32_t n_steps, uint64_t period_us)
{
    g->every_steps = n_steps;
    if (period_us != g->period_us)
        g->due_us = period_us > 0 ? 0 : GOSSIP_NEVER; /* 0: from the next event on */
    g->period_us = period_us;
}

void gossip_set_mass(struct gossip *g, float mass)
{
    CHECK(mass > 0 && gossip_n_open(g) == 0);
    g->mass = mass;
}

const struct gossip_counts *gossip_counts(const struct gossip *g)
{
    return &g->counts;
}

uint32_t gossip_n_open(const struct gossip *g)
{
    return (uint32_t)g->n_mine + g->n_theirs;
}

bool gossip_remains(const struct gossip *g, uint32_t i, struct gossip_remains *r)
{
    const struct entry *e = &g->entries[i];
    bool keeps = e->state == OPEN || e->state == PARKED || e->state == FORGOTTEN;
    *r = (struct gossip_remains){.peer = e->peer, .buffer = keeps ? e->buffer : GOSSIP_NONE};
    return e->state != FREE;
}

/* ---- ages of slices, in a run that pushes -------------------------------------------------- */

static void raise_age(struct gossip *g, uint32_t slice, float age)
{
    uint64_t seen = age < (float)UINT32_MAX ? (uint64_t)age : UINT32_MAX;
    if (seen > UINT64_C(1) + g->n_stepped + *lead_of(g, slice))
        *lead_of(g, slice) = (uint32_t)(seen - 1 - g->n_stepped);
}

RARELY static void punish(struct gossip_update *out, const struct gossip_message *m,
                          const char *reason)
{
    struct gossip_action *action = add(out, GOSSIP_PUNISH);
    action->punish.peer = m->peer;
    action->punish.reason = reason;
    forget_buffer(out, m->buffer);
}

/* c_i = 2 w m_j / (m_i + m_j): with equal masses c = w. */
static float coefficient(float weight, float mass_mine, float mass_theirs)
{
    return 2 * weight * mass_theirs / (mass_mine + mass_theirs);
}

/* w = 1/(2k) for the k-th exchange of a slice that is under way. */
static float weight_among(uint32_t n_others)
{
    return 0.5f / (float)(n_others + 1);
}

/* ---- initiating ---------------------------------------------------------------------------- */

/* Live exchanges of mine on a slice; *oldest is the one longest in its place. */
static uint32_t count_slice(struct gossip *g, uint32_t slice, uint32_t *n_placed,
                            struct entry **oldest)
{
    uint32_t n = 0;
    *n_placed = 0;
    *oldest = NULL;
    if (g->n_mine == 0)
        return 0;
    for (uint32_t i = 0; i < n_entries(g); i++) {
        struct entry *e = &g->entries[i];
        if (e->slice != slice || !is_live(e) || e->adopts)
            continue;
        n++;
        if (e->state == PARKED || is_held(e))
            continue;
        ++*n_placed;
        if (*oldest == NULL || e->id < (*oldest)->id)
            *oldest = e;
    }
    return n;
}

/* At most one exchange per (peer, slice), and none with a peer whose request for that slice I am
 * serving: two that ask each other in step would swap their models for ever. */
static bool is_engaged(const struct gossip *g, uint32_t peer, uint32_t slice)
{
    if (gossip_n_open(g) == 0)
        return false;
    for (uint32_t i = 0; i < n_entries(g); i++) {
        const struct entry *e = &g->entries[i];
        if (e->peer == peer && e->slice == slice && (is_live(e) || is_served(e)))
            return true;
    }
    return false;
}

/* Opens an exchange of mine and starts it: with a TAKE, or a pull by asking. */
static void open_exchange(struct gossip *g, struct gossip_update *out, uint32_t peer,
                          uint32_t slice, enum gossip_mode mode, float weight, bool adopts)
{
    struct entry *e = free_entry(g);
    *e = (struct entry){.id = g->next_id++,
                        .peer = peer,
                        .slice = slice,
                        .buffer = GOSSIP_NONE,
                        .weight = weight,
                        .state = mode == GOSSIP_PULL ? OPEN : TAKING,
                        .mode = (uint8_t)mode,
                        .blocked = 0,
                        .adopts = adopts};
    g->n_mine++;
    if (mode != GOSSIP_PULL) {
        add_job(g, out, GOSSIP_TAKE, e, GOSSIP_NONE, 0);
    } else {
        send_message(g, out, GOSSIP_REQUEST, e, GOSSIP_NONE);
        g->counts.initiated++;
    }
}

/* Whom to exchange the next slice with. Slices are offered one after another, so a turn is as many
 * offers as there are slices. */
static uint32_t next_peer(struct gossip *g)
{
    const struct gossip_config *c = g->config;
    if (c->in_turn)
        return c->neighbour(c->ctx, g->self, (uint32_t)(g->draws++ / c->n_slices % g->n_peers));
    struct rng rng = rng_stream(c->seed, g->self, RNG_GOSSIP);
    rng.index = g->draws;
    uint32_t k = rng_below(&rng, g->n_peers);
    g->draws = rng.index;
    return c->neighbour(c->ctx, g->self, k);
}

static bool is_clogged(const struct gossip *g)
{
    return g->clogged >= CLOGGED_LIMIT;
}

/* Exchanges of a slice that may be open at once. More than one hide the network's latency; where
 * its bandwidth is short they would only wait for one another. */
static uint32_t places(const struct gossip *g)
{
    return (is_clogged(g) ? 1 : g->config->open_per_slice) * fanout(g);
}

/* Looks at the way out when slices fall due: a mean over the last eight times or so. */
static void look_out(struct gossip *g, uint64_t now_us)
{
    const struct gossip_config *c = g->config;
    bool clear = c->is_clear == NULL || c->is_clear(c->ctx, g->self, now_us);
    g->clogged = (uint8_t)((7 * g->clogged + (clear ? 0 : UINT8_MAX + 7)) / 8);
}

/* Offers one slice; false when the table is full and the offer has to wait. */
static bool offer_slice(struct gossip *g, struct gossip_update *out, uint32_t slice)
{
    uint32_t n_placed;
    struct entry *oldest;
    uint32_t n = count_slice(g, slice, &n_placed, &oldest);
    if (n_placed >= places(g)) {
        bool waits_for_peer = oldest->state == OPEN && !is_clogged(g);
        if (waits_for_peer && ++oldest->blocked >= GOSSIP_PARK_AFTER) {
            oldest->state = PARKED;
            g->counts.parked++;
        } else {
            g->counts.busy++;
            return true;
        }
    }
    if (g->n_mine >= g->config->open_max && !sum_hold_no_longer(g))
        return false;
    if (g->n_mine >= g->config->open_max) {
        g->counts.busy++;
        return true;
    }
    uint32_t peer = next_peer(g);
    float weight = weight_among(n);
    bool sum = g->config->mode == GOSSIP_PUSH_SUM;
    uint32_t n_left = sum ? (g->due - 1) % fanout(g) + 1 : 0; /* initiations of it that are due */
    if (is_engaged(g, peer, slice) || (sum && !mass_take(book_of(g), slice, n_left + 1, &weight)))
        g->counts.busy++;
    else
        open_exchange(g, out, peer, slice, g->config->mode, weight, false);
    return true;
}

static void offer_slices(struct gossip *g, struct gossip_update *out)
{
    if (g->phase != GOSSIP_ACTIVE || g->n_peers == 0)
        g->due = 0;
    while (g->due > 0 && out->n_actions < GOSSIP_ACTIONS_MAX) {
        if (!offer_slice(g, out, g->cursor))
            return;
        if (--g->due % fanout(g) == 0)
            g->cursor = g->cursor + 1 < g->config->n_slices ? g->cursor + 1 : 0;
    }
}

/* Slices are asked for in order, so with first-in first-out links they come in order: those that
 * came are a prefix, and the number that is open tells the next one. After a decline no more are
 * asked for; once the rest has been answered (and copied, though it counts for nothing beyond the
 * gap), the adoption has failed. */
RARELY static void adopt_slices(struct gossip *g, struct gossip_update *out)
{
    uint32_t n_asked = 0;
    for (uint32_t i = 0; i < n_entries(g); i++)
        n_asked += g->entries[i].adopts && is_live(&g->entries[i]);
    if (g->adopt_broken) {
        if (n_asked > 0 || out->n_actions == GOSSIP_ACTIONS_MAX)
            return;
        g->adopt_peer = GOSSIP_NONE;
        g->adopt_broken = false;
        add(out, GOSSIP_ADOPT_FAILED);
        return;
    }
    while (g->adopted + n_asked < g->config->n_slices && g->n_mine < g->config->open_max &&
           out->n_actions < GOSSIP_ACTIONS_MAX)
        open_exchange(g, out, g->adopt_peer, g->adopted + n_asked++, GOSSIP_PULL, 1, true);
}

/* ---- what comes in ------------------------------------------------------------------------- */

static struct entry *find_mine(const struct gossip *g, uint32_t peer, uint64_t id)
{
    for (uint32_t i = 0; i < n_entries(g); i++) {
        const struct entry *e = &g->entries[i];
        if ((e->state == OPEN || e->state == PARKED) && e->peer == peer && e->id == id)
            return (struct entry *)e;
    }
    return NULL;
}

bool gossip_expects(const struct gossip *g, uint32_t peer, uint64_t id)
{
    return find_mine(g, peer, id) != NULL;
}

/* Ends an exchange of mine that did not and will not take place; its buffer goes back, or its mass
 * is taken back, with the next flush. */
static void drop_mine(struct entry *e)
{
    e->state = e->state == TAKING           ? DROPPED_TAKING
               : e->mode == GOSSIP_PUSH_SUM ? RETURNING
                                            : FORGOTTEN;
}

/* Nothing more of the adoption is to come: its pulls are dropped. */
static void drop_adoption(struct gossip *g)
{
    for (uint32_t i = 0; i < n_entries(g); i++)
        if (g->entries[i].adopts && is_live(&g->entries[i]))
            drop_mine(&g->entries[i]);
}

/* Both asked each other for the same slice at once. The smaller id's request stands: it ignores
 * the other's, and the larger forgets its own and serves. Each knows what the other will do: a
 * request is sent before the other's is served, and links keep their order, so each meets the
 * other's request while its own is open. True when theirs is to be ignored. */
static bool resolve_crossing(struct gossip *g, const struct gossip_message *m, bool peer_is_smaller)
{
    for (uint32_t i = 0; i < n_entries(g); i++) {
        struct entry *e = &g->entries[i];
        if (!is_live(e) || e->peer != m->peer || e->slice != m->slice || e->mode != GOSSIP_PAIRWISE)
            continue;
        g->counts.crossed++;
        if (!peer_is_smaller)
            return true;
        drop_mine(e);
    }
    return false;
}

/* The responder may lower w, by the same rule as the initiator: what is under way on a slice, here
 * as there, adds up to a half at most. The reply carries the w that was used. */
static float responder_weight(struct gossip *g, const struct gossip_message *m)
{
    uint32_t n_placed;
    struct entry *oldest;
    float w = weight_among(count_slice(g, m->slice, &n_placed, &oldest));
    return w < m->weight ? w : m->weight;
}

static void on_push(struct gossip *g, struct gossip_update *out, const struct gossip_message *m)
{
    if (!has_place(g, m)) {
        forget_buffer(out, m->buffer);
        g->counts.refused++;
        return;
    }
    float c = coefficient(m->weight, age_of(g, m->slice), m->mass);
    raise_age(g, m->slice, m->mass);
    add_job(g, out, GOSSIP_MIX, serve(g, m, MERGING), m->buffer, c);
}

/* Whether m asks again for what e, being served, already asked for. Pushes wait for no answer, so
 * several of a slice may be on their way. */
static bool repeats(const struct gossip_message *m, const struct entry *e)
{
    return is_served(e) && e->peer == m->peer &&
           (e->id == m->id ||
            (e->slice == m->slice && e->mode == m->mode && m->mode != GOSSIP_PUSH));
}

/* Why a request is none that this run answers, or NULL. */
static const char *find_fault(const struct gossip *g, const struct gossip_message *m)
{
    bool pull = m->mode == GOSSIP_PULL, sum = m->mode == GOSSIP_PUSH_SUM;
    if (m->slice >= g->config->n_slices)
        return "a request for a slice that the model does not have";
    if (!(m->weight > 0 && m->weight <= (pull ? 1.0f : 0.5f)) || !(m->mass > 0))
        return "a request with a weight or mass out of range";
    if (m->mode == GOSSIP_PUSH && g->config->mode != GOSSIP_PUSH)
        return "a push to a run that does not merge by age";
    if (!pull && sum != (g->config->mode == GOSSIP_PUSH_SUM))
        return sum ? "a push-sum transfer to a run that keeps no mass"
                   : "an exchange without mass in a push-sum run";
    if (sum && !mass_fits(book_of(g), m->slice, m->mass))
        return "a push-sum transfer whose mass is out of range";
    return NULL;
}

static void on_request(struct gossip *g, struct gossip_update *out, const struct gossip_message *m,
                       bool peer_is_smaller)
{
    bool pull = m->mode == GOSSIP_PULL, push = m->mode == GOSSIP_PUSH;
    const char *fault = find_fault(g, m);
    if (fault != NULL) {
        punish(out, m, fault);
        return;
    }
    if (m->mode == GOSSIP_PUSH_SUM) {
        sum_request(g, out, m);
        return;
    }
    if (!pull && !push && resolve_crossing(g, m, peer_is_smaller)) {
        forget_buffer(out, m->buffer);
        return;
    }
    for (uint32_t i = 0; g->n_theirs > 0 && i < n_entries(g); i++) {
        if (repeats(m, &g->entries[i])) {
            punish(out, m, "a second request while the first is being served");
            return;
        }
    }
    if (push) {
        on_push(g, out, m);
        return;
    }
    if (!has_place(g, m)) {
        decline(g, out, m);
        return;
    }
    struct entry *e = serve(g, m, pull ? COPYING : ANSWERING);
    e->weight = pull ? m->weight : responder_weight(g, m);
    add_job(g, out, pull ? GOSSIP_TAKE : GOSSIP_ANSWER, e, m->buffer,
            pull ? 0 : coefficient(e->weight, g->mass, m->mass));
}

static void on_reply(struct gossip *g, struct gossip_update *out, const struct gossip_message *m)
{
    struct entry *e = find_mine(g, m->peer, m->id);
    bool sum = e != NULL && e->mode == GOSSIP_PUSH_SUM;
    if (sum && m->slice == e->slice && m->mode == GOSSIP_PUSH_SUM) {
        forget_buffer(out, m->buffer);
        e->state = FORGOTTEN;
        g->counts.mixed++;
        return;
    }
    if (e == NULL || (m->buffer == GOSSIP_NONE && !sum)) {
        g->counts.unknown++;
        forget_buffer(out, m->buffer);
        return;
    }
    if (m->slice != e->slice || m->mode != (enum gossip_mode)e->mode || !(m->mass > 0) ||
        !(m->weight > 0 && m->weight <= e->weight)) {
        punish(out, m, "a reply that does not fit its request");
        return;
    }
    bool pull = e->mode == GOSSIP_PULL;
    add_job(g, out, pull ? GOSSIP_MIX : GOSSIP_ADD, e, m->buffer,
            pull ? e->weight : coefficient(m->weight, g->mass, m->mass));
    e->state = MIXING;
    g->counts.mixed++;
    if (e->adopts && e->slice == g->adopted && ++g->adopted == g->config->n_slices) {
        g->adopt_peer = GOSSIP_NONE;
        add(out, GOSSIP_ADOPTED);
    }
}

static void on_decline(struct gossip *g, const struct gossip_message *m)
{
    struct entry *e = find_mine(g, m->peer, m->id);
    if (e == NULL) {
        g->counts.unknown++;
        return;
    }
    g->counts.declined++;
    g->adopt_broken |= e->adopts;
    drop_mine(e);
}

static void on_done(struct gossip *g, struct gossip_update *out, uint32_t exchange, uint32_t buffer)
{
    CHECK(exchange < n_entries(g));
    struct entry *e = &g->entries[exchange];
    switch ((enum entry_state)e->state) {
    case TAKING:
        if (e->mode != GOSSIP_PAIRWISE) /* else it is the driver's from here on */
            e->buffer = buffer;
        e->state = e->mode == GOSSIP_PUSH ? SENDING : OPEN;
        send_message(g, out, GOSSIP_REQUEST, e, buffer);
        g->counts.initiated++;
        if (e->state == SENDING && g->config->leaves_at_once)
            release(g, e);
        return;
    case ANSWERING:
    case COPYING:
        send_message(g, out, GOSSIP_REPLY, e, buffer);
        g->counts.served++;
        break;
    case MERGING:
        if (e->mode == GOSSIP_PUSH_SUM)
            send_message(g, out, GOSSIP_REPLY, e, GOSSIP_NONE);
        g->counts.served++;
        break;
    case DROPPED_MERGING:
        g->counts.served++;
        break;
    case DROPPED_ANSWERING:
        g->counts.orphaned++;
        forget_buffer(out, buffer);
        break;
    case DROPPED_TAKING:
        if (e->mode == GOSSIP_PUSH_SUM) {
            e->buffer = buffer;
            e->state = RETURNING;
            return;
        }
        forget_buffer(out, buffer);
        break;
    case DROPPED_COPYING:
        forget_buffer(out, buffer);
        break;
    case MIXING:
        break;
    case FREE:
    case OPEN:
    case PARKED:
    case SENDING:
    case HELD:
    case RESENDING:
    case RETURNING:
    case FORGOTTEN:
        CHECK(false && "DONE answers a job under way");
    }
    release(g, e);
}

static void on_sent(struct gossip *g, uint32_t buffer)
{
    for (uint32_t i = 0; i < n_entries(g); i++)
        if (g->entries[i].state == SENDING && g->entries[i].buffer == buffer) {
            release(g, &g->entries[i]);
            return;
        }
}

static void on_link_lost(struct gossip *g, uint32_t peer, bool gone)
{
    for (uint32_t i = 0; i < n_entries(g); i++) {
        struct entry *e = &g->entries[i];
        if (e->state == FREE || e->peer != peer)
            continue;
        if (e->mode == GOSSIP_PUSH_SUM && is_live(e) && e->state != TAKING) {
            sum_hold(g, e, gone);
        } else if (e->mode == GOSSIP_PUSH_SUM && e->state == MERGING) {
            e->state = DROPPED_MERGING;
        } else if (e->state == ANSWERING) {
            e->state = DROPPED_ANSWERING;
        } else if (e->state == COPYING) {
            e->state = DROPPED_COPYING;
        } else if (is_live(e)) {
            g->counts.lost += e->state != TAKING;
            drop_mine(e);
        }
    }
    g->adopt_broken |= g->adopt_peer == peer;
    if (gone && g->config->mode == GOSSIP_PUSH_SUM)
        mass_forget(book_of(g), peer);
}

static void on_link(struct gossip *g, const struct gossip_event *event)
{
    g->n_peers = event->link.n_peers;
    if (event->link.peer == GOSSIP_NONE)
        return;
    if (event->link.up)
        sum_link_found(g, event->link.peer, event->link.gone);
    else
        on_link_lost(g, event->link.peer, event->link.gone);
}

static void on_phase(struct gossip *g, enum gossip_phase phase)
{
    g->phase = (uint8_t)phase;
    g->adopt_peer = GOSSIP_NONE;
    g->adopt_broken = false;
    drop_adoption(g);
    if (phase >= GOSSIP_ENDED)
        sum_give_up(g);
}

/* ---- the step ------------------------------------------------------------------------------ */

static void on_received(struct gossip *g, const struct gossip_event *event,
                        struct gossip_update *out)
{
    const struct gossip_message *m = &event->received.message;
    switch (m->kind) {
    case GOSSIP_REQUEST:
        on_request(g, out, m, event->received.peer_is_smaller);
        break;
    case GOSSIP_REPLY:
        on_reply(g, out, m);
        break;
    case GOSSIP_DECLINE:
        on_decline(g, m);
        break;
    }
}

/* Gives back the buffers of exchanges that are over, and sends again or takes back transfers; false
 * when there was no room for them all. */
static bool flush_entries(struct gossip *g, struct gossip_update *out)
{
    for (uint32_t i = 0; g->n_mine > 0 && i < n_entries(g); i++) {
        struct entry *e = &g->entries[i];
        if (e->state != FORGOTTEN && e->state != RESENDING && e->state != RETURNING)
            continue;
        if (out->n_actions == GOSSIP_ACTIONS_MAX)
            return false;
        if (e->state == FORGOTTEN) {
            forget_buffer(out, e->buffer);
            release(g, e);
        } else {
            sum_flush(g, out, e);
        }
    }
    return true;
}

/* An exchange of every slice falls due; what was left over from the last time is not added up. */
static void fall_due(struct gossip *g, uint64_t now_us)
{
    look_out(g, now_us);
    g->due = g->config->n_slices * fanout(g);
}

static void count_steps(struct gossip *g, uint32_t n, uint64_t now_us)
{
    g->steps += n;
    g->n_stepped += n < UINT32_MAX - g->n_stepped ? n : UINT32_MAX - g->n_stepped;
    if (g->every_steps > 0 && g->steps >= g->every_steps) {
        g->steps = 0;
        fall_due(g, now_us);
    }
}

static void check_period(struct gossip *g, uint64_t now_us)
{
    if (g->period_us == 0 || now_us < g->due_us)
        return;
    fall_due(g, now_us);
    bool late = g->due_us == 0 || now_us - g->due_us >= g->period_us;
    g->due_us = (late ? now_us : g->due_us) + g->period_us;
}

void gossip_step(struct gossip *g, const struct gossip_event *event, struct gossip_update *out)
{
    out->n_actions = 0;
    switch (event->type) {
    case GOSSIP_WAKE:
        break;
    case GOSSIP_DONE:
        on_done(g, out, event->done.exchange, event->done.buffer);
        break;
    case GOSSIP_SENT:
        on_sent(g, event->sent);
        break;
    case GOSSIP_RECEIVED:
        on_received(g, event, out);
        break;
    case GOSSIP_LINK:
        on_link(g, event);
        break;
    case GOSSIP_PHASE:
        on_phase(g, event->phase);
        break;
    case GOSSIP_ADOPT:
        g->adopt_peer = event->adopt;
        break;
    }
    if (event->n_steps > 0)
        count_steps(g, event->n_steps, event->now_us);
    check_period(g, event->now_us);
    bool all_flushed = flush_entries(g, out);
    if (g->adopt_peer != GOSSIP_NONE)
        adopt_slices(g, out);
    if (g->due > 0)
        offer_slices(g, out);
    bool full = out->n_actions == GOSSIP_ACTIONS_MAX;
    out->wake_us = !all_flushed || full ? event->now_us : g->due_us;
}
