#include "node/agree.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    TICK_MS = 100,
    TOLD_US = 1000000,   /* between two STATUS; with it go summaries that a peer lacks */
    DIAL_US = 1000000,   /* between two dials of an address */
    SHOWN_US = 10000000, /* between two lines on who is missing */
    LINGER_US = 2000000, /* after the end or a difference: so that others learn of it */
    BODIES_MAX = 8       /* summaries on their way in; what is thrown away comes again */
};

struct member {
    uint8_t id[SCHEMA_ID_BYTES];
    char *text; /* JSON, as it came */
    size_t n;
    struct summary summary;
};

struct link {
    struct tcp_link *tcp;
    int address; /* in config->addresses, or -1 */
    bool greeted, closing;
    bool done;        /* it has all, and what it made of it has this hash: */
    uint64_t hash;    /* or */
    uint64_t n_held;  /* how many it has */
    uint64_t told_us; /* all of mine were last sent to it */
    struct link *next;
};

struct agree {
    const struct agree_config *config;
    uint8_t self[WIRE_PEER_ID_BYTES]; /* of this process, for links */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t sigint, sigterm;
    struct tcp *tcp;
    struct link *links;
    struct {
        bool is_self, linked;
        uint64_t next_us;
    } addresses[NODE_ADDRESSES_MAX];
    struct member members[SCHEMA_PEERS_MAX];
    uint32_t n_members, n_bodies;
    bool complete, ended;
    uint64_t hash, started_us, status_us, shown_us, over_us;
    struct schema schema;
    struct error error; /* code 0: none */
};

/* ---- the set --------------------------------------------------------------------------------- */

static void make_id(const struct agree *a, const char *text, size_t n, uint8_t id[SCHEMA_ID_BYTES])
{
    uint64_t run = XXH3_64bits(a->config->run, strlen(a->config->run));
    for (uint64_t half = 0; half < 2; half++) {
        XXH128_canonical_t hash;
        XXH128_canonicalFromHash(&hash, XXH3_128bits_withSeed(text, n, run + half));
        memcpy(id + half * sizeof hash, &hash, sizeof hash);
    }
}

static void fail(struct agree *a, int code, const char *text)
{
    if (a->error.code != 0)
        return;
    error_set(&a->error, code, "%s", text);
    a->over_us = clock_us() + LINGER_US;
}

/* What can be made of the summaries so far: at the first that does not fit, in words. */
static void merge(struct agree *a)
{
    const struct summary *list[SCHEMA_PEERS_MAX];
    struct error err;
    for (uint32_t i = 0; i < a->n_members; i++)
        list[i] = &a->members[i].summary;
    schema_close(&a->schema);
    int rc = schema_merge(&a->schema, list, a->n_members, &err);
    if (rc == 0 && a->n_members == a->config->expect)
        rc = schema_check_target(&a->schema, &err);
    if (rc != 0) {
        fail(a, ERR_INCOMPATIBLE, err.text);
        return;
    }
    a->complete = a->n_members == a->config->expect;
    a->hash = schema_hash(&a->schema);
}

/* Takes text over (or frees it). True: it is new. */
static bool add_member(struct agree *a, char *text, size_t n, const char *name, struct error *err)
{
    struct member m = {.text = text, .n = n};
    make_id(a, text, n, m.id);
    for (uint32_t i = 0; i < a->n_members; i++)
        if (memcmp(a->members[i].id, m.id, SCHEMA_ID_BYTES) == 0) {
            free(text);
            return false;
        }
    if (a->n_members == SCHEMA_PEERS_MAX || summary_parse(&m.summary, text, n, err) != 0) {
        free(text);
        return false;
    }
    memcpy(m.summary.id, m.id, SCHEMA_ID_BYTES);
    snprintf(m.summary.name, sizeof m.summary.name, "%s", name);
    a->members[a->n_members++] = m;
    if (a->n_members > a->config->expect) {
        char why[120];
        snprintf(why, sizeof why, "%u peers hold data, --expect %u: is it right, and --run?",
                 a->n_members, a->config->expect);
        fail(a, ERR_INCOMPATIBLE, why);
    } else {
        merge(a);
    }
    return true;
}

/* ---- links ----------------------------------------------------------------------------------- */

static struct link *add_link(struct agree *a, struct tcp_link *tcp, int address)
{
    struct link *link = MEM_NEW(struct link, 1);
    *link = (struct link){.tcp = tcp, .address = address, .next = a->links};
    a->links = link;
    tcp_set_user(tcp, link);
    return link;
}

static void send_member(const struct link *link, struct member *m)
{
    struct wire_message message = {.kind = WIRE_SUMMARY, .body_bytes = (uint32_t)m->n};
    tcp_send_tensor(link->tcp, &message, m->text, wire_body_sum(m->text, m->n), m);
}

static void send_all(struct agree *a, struct link *link)
{
    link->told_us = clock_us();
    for (uint32_t i = 0; i < a->n_members; i++)
        send_member(link, &a->members[i]);
}

/* State JOINING: step summaries held; DONE: all, and step is the hash of the schema. */
static void send_status(struct agree *a)
{
    struct wire_message m = {.kind = WIRE_STATUS,
                             .status = {.state = a->complete ? PEER_DONE : PEER_JOINING,
                                        .step = a->complete ? a->hash : a->n_members}};
    a->status_us = clock_us();
    for (struct link *l = a->links; l != NULL; l = l->next)
        if (l->greeted && !l->closing)
            tcp_send_control(l->tcp, &m);
}

static void say_bye(struct link *link, enum wire_bye why, const char *text)
{
    struct wire_message m = {.kind = WIRE_BYE, .bye.reason = why};
    if (link->closing)
        return;
    link->closing = true;
    snprintf(m.bye.text, sizeof m.bye.text, "%.255s", text);
    tcp_send_control(link->tcp, &m);
    tcp_close(link->tcp, true, text);
}

static void on_opened(void *ctx, struct tcp_link *tcp)
{
    struct agree *a = ctx;
    struct wire_message m = {.kind = WIRE_HELLO};
    struct wire_hello *h = &m.hello;
    if (tcp_user(tcp) == NULL)
        add_link(a, tcp, -1);
    memcpy(h->id, a->self, sizeof h->id);
    h->incarnation = a->started_us;
    h->protocol_min = h->protocol_max = WIRE_PROTOCOL;
    snprintf(h->run, sizeof h->run, "%s", a->config->run);
    snprintf(h->model, sizeof h->model, AGREE_MODEL);
    snprintf(h->data, sizeof h->data, "expect %u", a->config->expect);
    h->dim = h->slice = h->n_shards = 1;
    tcp_send_control(tcp, &m);
}

static void on_hello(struct agree *a, struct link *link, const struct wire_hello *h)
{
    char text[WIRE_TEXT_MAX] = "", data[WIRE_TEXT_MAX];
    snprintf(data, sizeof data, "expect %u", a->config->expect);
    if (memcmp(h->id, a->self, sizeof h->id) == 0) {
        if (link->address >= 0)
            a->addresses[link->address].is_self = true;
        say_bye(link, WIRE_BYE_SELF, "this is the same peer");
        return;
    }
    bool same_run = strcmp(h->run, a->config->run) == 0;
    if (same_run && a->complete && strcmp(h->model, AGREE_MODEL) != 0) {
        say_bye(link, WIRE_BYE_BUSY, "the schema is agreed on and will be written: come back");
        return;
    }
    if (!same_run)
        snprintf(text, sizeof text, "run differs: '%.80s' here, '%.80s' there", a->config->run,
                 h->run);
    else if (strcmp(h->model, AGREE_MODEL) != 0)
        snprintf(text, sizeof text,
                 "here data are agreed on, there '%.80s' is trained already: "
                 "take the schema file of another peer",
                 h->model);
    else if (strcmp(h->data, data) != 0)
        snprintf(text, sizeof text, "--expect differs: %.20s here, %.40s there", data, h->data);
    if (text[0] != '\0') {
        log_warn("%s cannot take part: %s", tcp_remote(link->tcp), text);
        say_bye(link, WIRE_BYE_INCOMPATIBLE, text);
        return;
    }
    link->greeted = true;
    send_all(a, link);
    send_status(a);
}

static void *on_body(void *ctx, struct tcp_link *tcp, const struct wire_message *m)
{
    struct agree *a = ctx;
    const struct link *link = tcp_user(tcp);
    if (m->kind != WIRE_SUMMARY || !link->greeted || a->n_bodies == BODIES_MAX)
        return NULL;
    a->n_bodies++;
    return MEM_NEW(char, m->body_bytes);
}

static void on_dropped(void *ctx, struct tcp_link *tcp, void *body)
{
    struct agree *a = ctx;
    (void)tcp;
    a->n_bodies--;
    free(body);
}

static void on_summary(struct agree *a, struct link *from, const struct wire_message *m, char *body)
{
    struct error err = {0};
    if (body == NULL)
        return;
    a->n_bodies--;
    if (!add_member(a, body, m->body_bytes, tcp_remote(from->tcp), &err)) {
        if (err.code != 0) {
            log_warn("%s broke the protocol: %s", tcp_remote(from->tcp), err.text);
            say_bye(from, WIRE_BYE_PROTOCOL, err.text);
        }
        return;
    }
    struct member *new = &a->members[a->n_members - 1];
    log_info("%s: %" PRIu64 " rows of a peer's data; %u of %u peers", tcp_remote(from->tcp),
             new->summary.n_rows, a->n_members, a->config->expect);
    for (struct link *l = a->links; l != NULL; l = l->next)
        if (l->greeted && !l->closing && l != from)
            send_member(l, new);
    send_status(a);
}

static void on_bye(struct agree *a, struct link *link, const struct wire_bye_message *bye)
{
    if (bye->reason == WIRE_BYE_SELF && link->address >= 0)
        a->addresses[link->address].is_self = true;
    else if (bye->reason == WIRE_BYE_INCOMPATIBLE)
        log_warn("%s refuses us: %s", tcp_remote(link->tcp), bye->text);
    link->closing = true;
    tcp_close(link->tcp, false, bye->text);
}

static void on_received(void *ctx, struct tcp_link *tcp, const struct wire_message *m, void *body)
{
    struct agree *a = ctx;
    struct link *link = tcp_user(tcp);
    if (link->closing) {
        if (body != NULL)
            on_dropped(a, tcp, body);
        return;
    }
    switch (m->kind) {
    case WIRE_HELLO:
        if (link->greeted)
            say_bye(link, WIRE_BYE_PROTOCOL, "a second HELLO");
        else
            on_hello(a, link, &m->hello);
        return;
    case WIRE_BYE:
        on_bye(a, link, &m->bye);
        return;
    case WIRE_STATUS:
        link->done = m->status.state == PEER_DONE;
        link->hash = m->status.step;
        link->n_held = m->status.step;
        break;
    case WIRE_SUMMARY:
        on_summary(a, link, m, body);
        break;
    case WIRE_SCORE:
    case WIRE_REQUEST:
    case WIRE_REPLY:
    case WIRE_DECLINE:
        say_bye(link, WIRE_BYE_PROTOCOL, "weights, before there is a model");
        return;
    }
    if (!link->greeted)
        say_bye(link, WIRE_BYE_PROTOCOL, "HELLO must come first");
}

static void on_released(void *ctx, struct tcp_link *tcp, void *token, bool sent)
{
    (void)ctx;
    (void)tcp;
    (void)token;
    (void)sent;
}

static void on_closed(void *ctx, struct tcp_link *tcp, const char *reason)
{
    struct agree *a = ctx;
    struct link *link = tcp_user(tcp);
    if (link == NULL)
        return;
    if (link->greeted && !link->closing)
        log_warn("lost %s: %s", tcp_remote(tcp), reason);
    if (link->address >= 0) {
        a->addresses[link->address].linked = false;
        a->addresses[link->address].next_us = clock_us() + DIAL_US;
    }
    struct link **at = &a->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    free(link);
}

static const struct tcp_ops ops = {.opened = on_opened,
                                   .body = on_body,
                                   .received = on_received,
                                   .dropped = on_dropped,
                                   .released = on_released,
                                   .closed = on_closed};

/* ---- the end --------------------------------------------------------------------------------- */

static void on_freed(void *ctx)
{
    struct agree *a = ctx;
    uv_close((uv_handle_t *)&a->tick, NULL);
    uv_close((uv_handle_t *)&a->sigint, NULL);
    uv_close((uv_handle_t *)&a->sigterm, NULL);
}

static void end(struct agree *a)
{
    bool done = a->error.code == 0;
    for (struct link *l = a->links; l != NULL; l = l->next)
        say_bye(l, done ? WIRE_BYE_DONE : WIRE_BYE_LEAVING, done ? "agreed" : a->error.text);
    a->ended = true;
    uv_timer_stop(&a->tick);
    tcp_free(a->tcp, on_freed);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct agree *a = handle->data;
    (void)signum;
    if (a->ended)
        return;
    error_set(&a->error, ERR_INTERRUPTED, "stopped by a signal");
    end(a);
}

/* ---- the tick -------------------------------------------------------------------------------- */

static bool is_linked_with_all(const struct agree *a)
{
    const struct node_config *c = a->config->addresses;
    for (uint32_t i = 0; i < c->n_addresses; i++)
        if (!a->addresses[i].is_self && !a->addresses[i].linked)
            return false;
    return true;
}

/* Every peer that is linked has what I have. */
static bool all_have_it(const struct agree *a)
{
    uint32_t n = 0;
    for (const struct link *l = a->links; l != NULL; l = l->next) {
        if (!l->greeted || l->closing)
            continue;
        if (!l->done || l->hash != a->hash)
            return false;
        n++;
    }
    return n > 0 || a->config->expect == 1;
}

static void dial(struct agree *a, uint64_t now)
{
    const struct node_config *c = a->config->addresses;
    for (uint32_t i = 0; i < c->n_addresses; i++) {
        if (a->addresses[i].is_self || a->addresses[i].linked || now < a->addresses[i].next_us)
            continue;
        a->addresses[i].linked = true;
        add_link(a, tcp_dial(a->tcp, &c->addresses[i]), (int)i);
    }
}

static void show(struct agree *a, uint64_t now)
{
    uint32_t n = 0;
    if (now - a->shown_us < SHOWN_US || a->error.code != 0)
        return;
    a->shown_us = now;
    for (const struct link *l = a->links; l != NULL; l = l->next)
        n += l->greeted;
    if (a->complete)
        log_info("all %u summaries are here; waiting until the others have them",
                 a->config->expect);
    else
        log_info("%u of %u peers have told of their data; %u links; waiting for the others",
                 a->n_members, a->config->expect, n);
}

static void on_tick(uv_timer_t *timer)
{
    struct agree *a = timer->data;
    uint64_t now = clock_us();
    if (a->over_us == 0)
        dial(a, now);
    if (now - a->status_us >= TOLD_US) {
        send_status(a);
        for (struct link *l = a->links; l != NULL; l = l->next)
            if (l->greeted && !l->closing && !l->done && l->n_held < a->n_members &&
                now - l->told_us >= 3 * TOLD_US)
                send_all(a, l);
    }
    /* All have it: once more a moment, for those whose link to me is a detour. */
    if (a->complete && a->error.code == 0 && a->over_us == 0 && all_have_it(a))
        a->over_us = now + (is_linked_with_all(a) ? TOLD_US : LINGER_US);
    if (a->over_us == 0 && now - a->started_us > a->config->timeout_us) {
        char text[120];
        snprintf(text, sizeof text, "%u of %u peers have told of their data within --timeout",
                 a->n_members, a->config->expect);
        fail(a, ERR_ALONE, text);
    }
    show(a, now);
    if (a->over_us > 0 && now >= a->over_us)
        end(a);
}

static int start(struct agree *a, struct error *err)
{
    const struct node_config *c = a->config->addresses;
    uint16_t port;
    json_t *json = summary_to_json(a->config->own);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    json_decref(json);
    CHECK(text != NULL);
    if (strlen(text) > SCHEMA_SUMMARY_BYTES_MAX) {
        free(text);
        return error_set(err, ERR_DATA,
                         "the summary of this file is larger than %d bytes: too "
                         "many columns",
                         SCHEMA_SUMMARY_BYTES_MAX);
    }
    if (!add_member(a, text, strlen(text), "this peer", err) || a->error.code != 0) {
        if (a->error.code != 0)
            *err = a->error;
        return err->code;
    }
    if (!c->listens)
        return 0;
    int rc = tcp_listen(a->tcp, &c->listen, &port, err);
    if (rc == 0)
        log_info("run '%s': listening on %s:%u; %" PRIu64 " rows, %u columns; 1 of %u peers",
                 a->config->run, c->listen.host, port, a->config->own->n_rows,
                 a->config->own->n_columns, a->config->expect);
    return rc;
}

int agree_run(struct schema *schema, const struct agree_config *config, struct error *err)
{
    struct agree *a = MEM_NEW(struct agree, 1);
    a->config = config;
    a->started_us = a->shown_us = clock_us();
    CHECK(getrandom(a->self, sizeof a->self, 0) == (ssize_t)sizeof a->self);
    CHECK(uv_loop_init(&a->loop) == 0);
    uv_timer_init(&a->loop, &a->tick);
    uv_signal_init(&a->loop, &a->sigint);
    uv_signal_init(&a->loop, &a->sigterm);
    a->tick.data = a->sigint.data = a->sigterm.data = a;
    a->tcp = tcp_new(&a->loop, &ops, a, SCHEMA_SUMMARY_BYTES_MAX);
    int rc = start(a, err);
    if (rc == 0) {
        uv_signal_start(&a->sigint, on_signal, SIGINT);
        uv_signal_start(&a->sigterm, on_signal, SIGTERM);
        uv_timer_start(&a->tick, on_tick, 0, TICK_MS);
    } else {
        a->error = *err;
        end(a);
    }
    uv_run(&a->loop, UV_RUN_DEFAULT);
    uv_loop_close(&a->loop);
    *schema = a->schema;
    if (a->error.code != 0) {
        *err = a->error;
        schema_close(schema);
    }
    rc = a->error.code;
    for (uint32_t i = 0; i < a->n_members; i++) {
        summary_close(&a->members[i].summary);
        free(a->members[i].text);
    }
    free(a);
    return rc;
}
