/* Who is there: dialling, HELLO, one link per pair of peers, STATUS, goodbyes. */
#include "node/agree.h"
#include "node/node.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKOFF_MIN_US = 500000, /* between dials of an address: doubling, jittered by a quarter */
    BACKOFF_MAX_US = 30000000,
    STATUS_US = 1000000,
    ALIVE_US = 3000000, /* a link on which something came within three statuses is alive */
    STRANGERS_US = 10000000,
    STRANGERS_TOLD = 10 /* warnings of links that never became peers, in each such time */
};

/* A flood of them must not fill the log (and the disk): what goes beyond is counted. */
static PRINTF(2, 3) void warn_of_stranger(struct node *n, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n->strangers.n_warnings++ < STRANGERS_TOLD)
        log_warn("%s", text);
    else
        log_debug("%s", text);
}

static void count_strangers(struct node *n, uint64_t now_us)
{
    if (now_us - n->strangers.since_us < STRANGERS_US)
        return;
    if (n->strangers.n_warnings > STRANGERS_TOLD)
        log_warn("%u more links that never became peers (--verbose shows each)",
                 n->strangers.n_warnings - STRANGERS_TOLD);
    n->strangers.n_warnings = 0;
    n->strangers.since_us = now_us;
}

/* ---- dialling ------------------------------------------------------------------------------ */

void peering_init(struct node *n)
{
    n->backoff = rng_stream(clock_wall_us(), n->config.shard, RNG_BACKOFF);
    peering_take_addresses(n);
}

void peering_take_addresses(struct node *n)
{
    for (; n->n_addresses < n->config.n_addresses; n->n_addresses++)
        n->addresses[n->n_addresses].at = n->config.addresses[n->n_addresses];
}

static bool is_linked(const struct node *n, const struct address *a)
{
    return a->has_served && peers_find(&n->peers, a->served_by) != PEERS_MAX;
}

bool peering_all_tried(const struct node *n)
{
    for (uint32_t i = 0; i < n->n_addresses; i++)
        if (!n->addresses[i].tried && !n->addresses[i].is_self)
            return false;
    return true;
}

uint32_t peering_n_refused(const struct node *n)
{
    uint32_t n_refused = 0;
    for (uint32_t i = 0; i < n->n_addresses; i++)
        n_refused += n->addresses[i].refused;
    return n_refused;
}

bool peering_all_answered(const struct node *n)
{
    for (uint32_t i = 0; i < n->n_addresses; i++)
        if (!n->addresses[i].has_served && !n->addresses[i].refused && !n->addresses[i].is_self)
            return false;
    return true;
}

void peering_log_table(const struct node *n)
{
    log_info("me: shard %u/%u, %s, step %llu; %u peers", n->config.shard + 1, n->config.n_shards,
             peer_state_names[n->state], (unsigned long long)n->report.step, n->peers.n_linked);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *p = &n->peers.slots[i];
        if (p->link != NULL)
            log_info("  %s: %s, step %llu, heard %.1f s ago, link %s", p->name,
                     peer_state_names[p->state], (unsigned long long)p->step,
                     (double)(clock_us() - p->heard_us) / 1e6,
                     tcp_is_dialled(p->link) ? "dialled by us" : "dialled by them");
    }
    for (uint32_t i = 0; i < n->n_addresses; i++) {
        const struct address *a = &n->addresses[i];
        if (!is_linked(n, a))
            log_info("  %s:%u: %s", a->at.host, a->at.port,
                     a->is_self   ? "myself"
                     : a->refused ? "incompatible"
                                  : "does not answer");
    }
}

static void set_backoff(struct node *n, struct address *a, uint64_t now_us)
{
    uint32_t doublings = a->n_failures < 6 ? a->n_failures : 6;
    uint64_t us = (uint64_t)BACKOFF_MIN_US << doublings;
    us = us < BACKOFF_MAX_US ? us : BACKOFF_MAX_US;
    a->next_dial_us = now_us + (uint64_t)((double)us * (0.75 + 0.5 * rng_uniform(&n->backoff)));
    a->n_failures++;
}

static void dial(struct node *n, struct address *a)
{
    struct contact *contact = MEM_NEW(struct contact, 1);
    contact->link = a->link = tcp_dial(n->tcp, &a->at);
    contact->address = a;
    contact->slot = PEERS_MAX;
    tcp_set_user(a->link, contact);
}

void peering_tick(struct node *n, uint64_t now_us)
{
    bool leaving = n->state >= PEER_ENDED;
    count_strangers(n, now_us);
    for (uint32_t i = 0; i < n->n_addresses && !leaving; i++) {
        struct address *a = &n->addresses[i];
        if (a->link == NULL && !a->is_self && now_us >= a->next_dial_us && !is_linked(n, a))
            dial(n, a);
    }
    scores_tick(n, now_us);
    if (now_us - n->status_us >= STATUS_US) {
        peering_send_status(n);
        weigh_tick(n, now_us);
        handoff_set_swarm_step(&n->handoff, peers_median_step(&n->peers, n->report.step));
    }
}

/* ---- what we say --------------------------------------------------------------------------- */

static void send_hello(struct node *n, struct tcp_link *link)
{
    struct wire_message m = {.kind = WIRE_HELLO};
    struct wire_hello *h = &m.hello;
    memcpy(h->id, n->peers.self, WIRE_PEER_ID_BYTES);
    h->incarnation = n->started_us;
    h->protocol_min = h->protocol_max = WIRE_PROTOCOL;
    snprintf(h->run, sizeof h->run, "%s", n->config.run);
    model_name(&n->model, h->model, sizeof h->model);
    snprintf(h->data, sizeof h->data, "%s", n->data_name);
    snprintf(h->fingerprint, sizeof h->fingerprint, "%s", n->fingerprint);
    snprintf(h->init, sizeof h->init, "%s", n->init);
    snprintf(h->address, sizeof h->address, "%.255s",
             n->config.advertise[0] != '\0' ? n->config.advertise : n->listen_name);
    h->dim = n->model.dim;
    h->slice = GOSSIP_SLICE_FLOATS;
    h->shard = n->config.shard;
    h->n_shards = n->config.n_shards;
    h->stage_last = n->model.n_layers - 1;
    h->state = n->state;
    h->step = n->report.step;
    h->n_samples = n->part.n;
    tcp_send_control(link, &m);
}

void peering_send_status(struct node *n)
{
    struct wire_message m = {.kind = WIRE_STATUS,
                             .status = {.state = n->state, .step = n->report.step}};
    n->status_us = clock_us();
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (n->peers.slots[i].link != NULL)
            tcp_send_control(n->peers.slots[i].link, &m);
}

/* Ends a link with a BYE that says why. */
static void say_bye(struct contact *c, enum wire_bye reason, const char *text)
{
    struct wire_message m = {.kind = WIRE_BYE, .bye.reason = reason};
    if (c->closing)
        return;
    c->closing = true;
    snprintf(m.bye.text, sizeof m.bye.text, "%s", text);
    tcp_send_control(c->link, &m);
    tcp_close(c->link, true, text);
}

void peering_say_goodbye(struct node *n, enum wire_bye reason, const char *text)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (n->peers.slots[i].link != NULL)
            say_bye(tcp_user(n->peers.slots[i].link), reason, text);
}

bool peering_ends(const struct node *n, uint32_t slot)
{
    const struct tcp_link *link = n->peers.slots[slot].link;
    return link == NULL || ((const struct contact *)tcp_user(link))->closing;
}

void peering_punish(struct node *n, uint32_t slot, const char *reason)
{
    struct peer *peer = &n->peers.slots[slot];
    if (peer->link == NULL)
        return;
    log_warn("%s broke the protocol: %s; closing its link", peer->name, reason);
    say_bye(tcp_user(peer->link), WIRE_BYE_PROTOCOL, reason);
}

/* ---- HELLO --------------------------------------------------------------------------------- */

/* The first difference that rules out training together, in words; false if there is none. Both
 * sides compare the same fields, so both give the same verdict. */
static bool is_incompatible(const struct node *n, const struct wire_hello *h, char *text,
                            size_t size)
{
    char model[WIRE_TEXT_MAX];
    model_name(&n->model, model, sizeof model);
    if (h->protocol_min > WIRE_PROTOCOL || h->protocol_max < WIRE_PROTOCOL)
        snprintf(text, size, "protocol differs: %d here, %u to %u there", WIRE_PROTOCOL,
                 h->protocol_min, h->protocol_max);
    else if (strcmp(h->run, n->config.run) != 0)
        snprintf(text, size, "run differs: '%s' here, '%.100s' there", n->config.run, h->run);
    else if (strcmp(h->model, model) != 0)
        snprintf(text, size, "model differs: %.100s here, %.100s there", model, h->model);
    else if (h->dim != n->model.dim)
        snprintf(text, size, "model size differs: %llu weights here, %llu there",
                 (unsigned long long)n->model.dim, (unsigned long long)h->dim);
    else if (strcmp(h->data, n->data_name) != 0)
        snprintf(text, size, "data differs: %.100s here, %.100s there", n->data_name, h->data);
    else if (strcmp(h->fingerprint, n->fingerprint) != 0)
        snprintf(
            text, size,
            "fingerprint of model, preprocessing, columns and labels differs: %s here, %.40s there",
            n->fingerprint, h->fingerprint);
    else if (strcmp(h->init, n->init) != 0)
        snprintf(text, size,
                 "first weights differ: %s here, %.40s there; all peers need the same --init, or "
                 "none",
                 n->init, h->init);
    else if (h->slice != GOSSIP_SLICE_FLOATS)
        snprintf(text, size, "slice differs: %d floats here, %u there", GOSSIP_SLICE_FLOATS,
                 h->slice);
    else
        return false;
    return true;
}

/* Two links to one peer: which stays. Both sides decide alike: of two that were dialled from
 * either side, the one dialled by the smaller id; of two from the same side, the older one, unless
 * nothing comes over it any more (then its dialler has given it up). */
static bool new_link_wins(const struct node *n, const struct contact *old,
                          const struct contact *fresh, uint32_t slot)
{
    bool old_dialled = tcp_is_dialled(old->link), new_dialled = tcp_is_dialled(fresh->link);
    if (old_dialled != new_dialled)
        return new_dialled == !peers_is_smaller(&n->peers, slot);
    return !new_dialled && clock_us() - n->peers.slots[slot].heard_us > ALIVE_US;
}

static void lose_peer(struct node *n, struct contact *c, bool goodbye)
{
    uint32_t slot = c->slot;
    c->slot = PEERS_MAX;
    peers_remove(&n->peers, slot, goodbye);
    exchange_peer(n, slot, false, false);
}

static void welcome(struct node *n, struct contact *c, const struct wire_hello *h)
{
    uint32_t slot = peers_find(&n->peers, h->id);
    bool is_known = slot != PEERS_MAX || peers_is_replaced(&n->peers, h->id);
    if (slot != PEERS_MAX) {
        struct contact *old = tcp_user(n->peers.slots[slot].link);
        if (!new_link_wins(n, old, c, slot)) {
            say_bye(c, WIRE_BYE_DUPLICATE, "there is a link already");
            return;
        }
        lose_peer(n, old, false);
        say_bye(old, WIRE_BYE_DUPLICATE, "replaced by another link");
    }
    enum peers_before before;
    c->slot = peers_add(&n->peers, c->link, h, tcp_remote(c->link), clock_us(), &before);
    if (c->slot == PEERS_MAX) {
        say_bye(c, WIRE_BYE_BUSY, "too many peers");
        return;
    }
    if (before == PEERS_BEFORE_ANOTHER)
        exchange_peer(n, c->slot, false, true);
    n->ever_linked = true;
    const struct peer *peer = &n->peers.slots[c->slot];
    if (!is_known)
        log_info("linked with %s (%s, step %llu); %u peer%s", peer->name,
                 peer_state_names[peer->state], (unsigned long long)peer->step, n->peers.n_linked,
                 n->peers.n_linked == 1 ? "" : "s");
    if (!is_known)
        metrics_write(&n->metrics, "linked",
                      json_pack("{s:s, s:I, s:s}", "peer", peer->name, "step",
                                (json_int_t)peer->step, "state", peer_state_names[peer->state]));
    if (!is_known && peer->shard == n->config.shard && n->config.partition.kind != PARTITION_NONE)
        log_warn("%s trains on the same shard as this peer: is --shard right on both?", peer->name);
    exchange_peer(n, c->slot, true, before == PEERS_BEFORE_OLDER);
}

/* The entry of our list that a peer says it listens at, if that is where it came from: a stranger
 * elsewhere cannot speak for a peer of ours. NULL: none, or the text does not tell. */
static struct address *find_address(struct node *n, const struct tcp_link *link, const char *text)
{
    struct host_port at, from;
    if (!parse_host_port(text, &at) || !parse_host_port(tcp_remote(link), &from) ||
        strcmp(at.host, from.host) != 0)
        return NULL;
    for (uint32_t i = 0; i < n->n_addresses; i++)
        if (n->addresses[i].at.port == at.port && strcmp(n->addresses[i].at.host, at.host) == 0)
            return &n->addresses[i];
    return NULL;
}

static void on_hello(struct node *n, struct contact *c, const struct wire_hello *h)
{
    char text[WIRE_TEXT_MAX];
    struct address *a = c->address;
    if (c->greeted) {
        say_bye(c, WIRE_BYE_PROTOCOL, "a second HELLO");
        return;
    }
    c->greeted = true;
    if (a != NULL) {
        a->tried = true;
        a->has_served = true;
        memcpy(a->served_by, h->id, WIRE_PEER_ID_BYTES);
    }
    if (memcmp(h->id, n->peers.self, WIRE_PEER_ID_BYTES) == 0) {
        if (a != NULL)
            a->is_self = true;
        say_bye(c, WIRE_BYE_SELF, "this is the same peer");
        return;
    }
    /* Who has the schema earlier trains earlier: the others follow. */
    if (strcmp(h->model, AGREE_MODEL) == 0 && strcmp(h->run, n->config.run) == 0) {
        log_debug("%s still agrees on the schema", tcp_remote(c->link));
        say_bye(c, WIRE_BYE_BUSY, "the schema is agreed on: here it is trained already");
        return;
    }
    if (is_incompatible(n, h, text, sizeof text)) {
        warn_of_stranger(n, "%s cannot take part: %s", tcp_remote(c->link), text);
        if (a == NULL)
            a = find_address(n, c->link, h->address);
        if (a != NULL)
            a->refused = true;
        say_bye(c, WIRE_BYE_INCOMPATIBLE, text);
        return;
    }
    if (a != NULL) {
        a->refused = false;
        a->n_failures = 0;
    }
    welcome(n, c, h);
}

/* ---- callbacks of net/tcp ------------------------------------------------------------------ */

static void on_opened(void *ctx, struct tcp_link *link)
{
    struct node *n = ctx;
    if (tcp_user(link) == NULL) {
        struct contact *contact = MEM_NEW(struct contact, 1);
        contact->link = link;
        contact->slot = PEERS_MAX;
        tcp_set_user(link, contact);
    }
    send_hello(n, link);
}

static void *on_body(void *ctx, struct tcp_link *link, const struct wire_message *m)
{
    const struct contact *c = tcp_user(link);
    bool wanted = c->slot != PEERS_MAX && m->kind != WIRE_SUMMARY;
    return wanted ? exchange_body(ctx, c->slot, m) : NULL;
}

static void on_bye(struct node *n, struct contact *c, const struct wire_bye_message *bye)
{
    const char *who = c->slot < PEERS_MAX ? n->peers.slots[c->slot].name : tcp_remote(c->link);
    c->said_goodbye = true;
    c->goodbye_done = bye->reason == WIRE_BYE_DONE;
    if (bye->reason == WIRE_BYE_INCOMPATIBLE) {
        log_warn("%s refuses us: %s", who, bye->text);
        if (c->address != NULL)
            c->address->refused = c->address->tried = true;
    } else if (bye->reason == WIRE_BYE_SELF && c->address != NULL) {
        c->address->is_self = true;
    } else if (bye->reason == WIRE_BYE_DUPLICATE && c->slot < PEERS_MAX) {
        n->peers.slots[c->slot].replaced = true;
    } else if (bye->reason == WIRE_BYE_PROTOCOL || bye->reason == WIRE_BYE_BUSY) {
        log_warn("%s closes the link: %s", who, bye->text);
    } else if (bye->reason == WIRE_BYE_DONE || bye->reason == WIRE_BYE_LEAVING) {
        log_info("%s says goodbye: %s", who, bye->text);
    }
    c->closing = true;
    tcp_close(c->link, false, bye->text);
}

static void on_received(void *ctx, struct tcp_link *link, const struct wire_message *m, void *body)
{
    struct node *n = ctx;
    struct contact *c = tcp_user(link);
    /* A link that is ending, or was superseded, has nothing more to say. */
    bool serves = c->slot != PEERS_MAX && !c->closing;
    if (serves)
        n->peers.slots[c->slot].heard_us = clock_us();
    if (c->closing) {
        if (body != NULL)
            exchange_dropped(n, body);
        return;
    }
    switch (m->kind) {
    case WIRE_HELLO:
        on_hello(n, c, &m->hello);
        return;
    case WIRE_BYE:
        on_bye(n, c, &m->bye);
        return;
    case WIRE_STATUS:
        if (serves) {
            bool changed = n->peers.slots[c->slot].state != m->status.state;
            peers_set_status(&n->peers, c->slot, m->status.state, m->status.step, clock_us());
            if (changed)
                exchange_peer(n, PEERS_MAX, true, false);
        }
        break;
    case WIRE_SCORE:
        if (serves)
            scores_received(n, &m->score);
        break;
    case WIRE_SUMMARY: /* of `hubbub data agree`: nothing to a node */
        CHECK(body == NULL);
        break;
    case WIRE_REQUEST:
    case WIRE_REPLY:
    case WIRE_DECLINE:
        if (serves)
            exchange_received(n, c->slot, m, body);
        else if (body != NULL)
            exchange_dropped(n, body);
        break;
    }
    if (!c->greeted) {
        warn_of_stranger(n, "%s broke the protocol: HELLO must come first", tcp_remote(link));
        say_bye(c, WIRE_BYE_PROTOCOL, "HELLO must come first");
    }
}

static void on_dropped(void *ctx, struct tcp_link *link, void *body)
{
    (void)link;
    exchange_dropped(ctx, body);
}

static void on_released(void *ctx, struct tcp_link *link, void *token, bool sent)
{
    (void)link;
    (void)sent;
    exchange_released(ctx, token);
}

static void on_closed(void *ctx, struct tcp_link *link, const char *reason)
{
    struct node *n = ctx;
    struct contact *c = tcp_user(link);
    if (c == NULL)
        return;
    if (c->slot != PEERS_MAX) {
        if (!c->said_goodbye && n->state < PEER_ENDED)
            log_warn("lost %s: %s; %u left", n->peers.slots[c->slot].name, reason,
                     n->peers.n_linked - 1);
        if (n->state < PEER_ENDED)
            metrics_write(&n->metrics, "lost",
                          json_pack("{s:s, s:s, s:b}", "peer", n->peers.slots[c->slot].name,
                                    "reason", reason, "goodbye", (int)c->goodbye_done));
        lose_peer(n, c, c->goodbye_done);
    } else if (!c->greeted && c->address == NULL && !c->closing) {
        warn_of_stranger(n, "%s: link closed: %s", tcp_remote(link), reason);
    } else if (c->address == NULL) {
        log_debug("%s: link closed: %s", tcp_remote(link), reason);
    }
    struct address *a = c->address;
    if (a != NULL) {
        bool first = !a->tried && !c->greeted;
        a->link = NULL;
        a->tried = true;
        if (!c->greeted)
            log_debug("%s:%u: %s", a->at.host, a->at.port, reason);
        if (first && !c->said_goodbye)
            log_info("%s:%u does not answer yet: %s; trying again", a->at.host, a->at.port, reason);
        set_backoff(n, a, clock_us());
    }
    free(c);
}

const struct tcp_ops peering_ops = {.opened = on_opened,
                                    .body = on_body,
                                    .received = on_received,
                                    .dropped = on_dropped,
                                    .released = on_released,
                                    .closed = on_closed};
