#include "tests/support/gossip_trace.h"

#include "net/gossip.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 16, PEERS = 64 };

struct trace {
    struct gossip_config config;
    struct gossip *core;
    char *text;
    size_t length;
    uint64_t now_us;
    uint32_t draw, n_up;
    bool up[PEERS];
};

static void print(struct trace *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->length, TEXT_MAX - t->length, format, args);
    va_end(args);
    t->length += (size_t)n;
    cr_assert(t->length < TEXT_MAX, "the trace is too long");
}

static uint32_t neighbour(const void *ctx, uint32_t self, uint32_t k)
{
    const struct trace *t = ctx;
    cr_assert_eq(self, 0);
    cr_assert_lt(k, t->n_up);
    return t->config.in_turn ? k : t->draw;
}

/* ---- what the core answers ----------------------------------------------------------------- */

static void print_buffer(struct trace *t, const char *before, uint32_t buffer)
{
    if (buffer != GOSSIP_NONE)
        print(t, "%sb%u", before, buffer);
}

static void print_job(struct trace *t, const char *name, const struct gossip_action *a)
{
    print(t, "%s e%u s%u", name, a->job.exchange, a->job.slice);
    print_buffer(t, " ", a->job.buffer);
    if (a->type != GOSSIP_TAKE)
        print(t, " c=%g", (double)a->job.c);
    print(t, " for %u\n", a->job.peer);
}

static void print_message(struct trace *t, const struct gossip_message *m)
{
    static const char *const kinds[] = {"request", "reply", "decline"};
    static const char *const modes[] = {"", " pull", " push", " push-sum"};
    print(t, "SEND %s%s #%llu", kinds[m->kind], modes[m->mode], (unsigned long long)m->id);
    if (m->kind != GOSSIP_DECLINE) {
        print(t, " s%u", m->slice);
        print_buffer(t, " ", m->buffer);
        print(t, " w=%g m=%g", (double)m->weight, (double)m->mass);
    }
    print(t, " -> %u\n", m->peer);
}

static void print_action(struct trace *t, const struct gossip_action *a)
{
    switch (a->type) {
    case GOSSIP_TAKE:
        print_job(t, "TAKE", a);
        break;
    case GOSSIP_ANSWER:
        print_job(t, "ANSWER", a);
        break;
    case GOSSIP_ADD:
        print_job(t, "ADD", a);
        break;
    case GOSSIP_MIX:
        print_job(t, "MIX", a);
        break;
    case GOSSIP_SEND:
        print_message(t, &a->send);
        break;
    case GOSSIP_FORGET:
        print(t, "FORGET b%u\n", a->buffer);
        break;
    case GOSSIP_PUNISH:
        print(t, "PUNISH %u: %s\n", a->punish.peer, a->punish.reason);
        break;
    case GOSSIP_ADOPTED:
        print(t, "ADOPTED\n");
        break;
    case GOSSIP_ADOPT_FAILED:
        print(t, "ADOPT_FAILED\n");
        break;
    }
}

static void feed(struct trace *t, struct gossip_event *event)
{
    struct gossip_update update;
    memset(&update, 0xa5, sizeof update);
    event->now_us = t->now_us;
    gossip_step(t->core, event, &update);
    for (uint32_t i = 0; i < update.n_actions; i++)
        print_action(t, &update.actions[i]);
    if (update.wake_us != GOSSIP_NEVER)
        print(t, "wake %llu\n", (unsigned long long)update.wake_us);
}

static void print_counts(struct trace *t)
{
    static const char *const names[] = {"initiated", "mixed",    "served", "crossed",
                                        "declined",  "refused",  "busy",   "parked",
                                        "lost",      "orphaned", "unknown"};
    enum { N = sizeof names / sizeof names[0] };
    _Static_assert(sizeof(struct gossip_counts) == N * sizeof(uint32_t), "a count has no name");
    uint32_t counts[N];
    memcpy(counts, gossip_counts(t->core), sizeof counts);
    const char *before = "";
    for (int i = 0; i < N; i++) {
        if (counts[i] == 0)
            continue;
        print(t, "%s%s=%u", before, names[i], counts[i]);
        before = " ";
    }
    print(t, *before == 0 ? "none\n" : "\n");
}

/* ---- what it is fed ------------------------------------------------------------------------ */

/* The word of a line that starts with `key`, without it; NULL if there is none. */
static const char *word(const char *line, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = strstr(line, key); at != NULL; at = strstr(at + 1, key))
        if (at[-1] == ' ')
            return at + n;
    return NULL;
}

static uint32_t number(const char *line, const char *key, uint32_t otherwise)
{
    const char *at = word(line, key);
    return at == NULL ? otherwise : (uint32_t)strtoul(at, NULL, 10);
}

static float real(const char *line, const char *key)
{
    const char *at = word(line, key);
    return at == NULL ? 0 : strtof(at, NULL);
}

static enum gossip_mode mode_of(const char *line)
{
    return strstr(line, "pull")       ? GOSSIP_PULL
           : strstr(line, "push-sum") ? GOSSIP_PUSH_SUM
           : strstr(line, "push")     ? GOSSIP_PUSH
                                      : GOSSIP_PAIRWISE;
}

static void print_masses(struct trace *t, const char *line)
{
    uint32_t slice = number(line, "s", 0);
    const struct mass_counts *c = gossip_mass_counts(t->core);
    print(t, "%g here, %g under way; resent=%u repeated=%u credited=%u unknown=%u\n",
          (double)gossip_mass_units(t->core, slice) / (double)MASS_ONE,
          (double)gossip_mass_under_way(t->core, slice) / (double)MASS_ONE, c->resent, c->repeated,
          c->credited, c->unknown);
}

static void make_core(struct trace *t, const char *line)
{
    free(t->core);
    *t = (struct trace){.text = t->text, .length = t->length, .now_us = 1};
    t->config = (struct gossip_config){.mode = mode_of(line),
                                       .n_slices = number(line, "slices=", 1),
                                       .open_max = (uint16_t)number(line, "open=", 1),
                                       .serve_max = (uint16_t)number(line, "serve=", 1),
                                       .open_per_slice = (uint16_t)number(line, "per=", 1),
                                       .fanout = (uint16_t)number(line, "fanout=", 0),
                                       .n_remembered = (uint16_t)number(line, "remembers=", 4),
                                       .seed = 1,
                                       .in_turn = strstr(line, "turns") != NULL,
                                       .leaves_at_once = strstr(line, "at-once") != NULL,
                                       .neighbour = neighbour,
                                       .ctx = t};
    t->core = malloc(gossip_size(&t->config));
    gossip_init(t->core, &t->config, 0);
}

static void feed_message(struct trace *t, const char *line, enum gossip_kind kind)
{
    struct gossip_event event = {
        .type = GOSSIP_RECEIVED,
        .received = {
            .message = {.kind = kind,
                        .mode = mode_of(line),
                        .peer = number(line, "from ", 0),
                        .slice = number(line, "s", 0),
                        .id = number(line, "#", 0),
                        .buffer = word(line, "b-") ? GOSSIP_NONE : number(line, "b", GOSSIP_NONE),
                        .weight = real(line, "w="),
                        .mass = real(line, "m=")},
            .peer_is_smaller = word(line, "smaller") != NULL}};
    feed(t, &event);
}

static void feed_link(struct trace *t, uint32_t peer, bool up, bool gone)
{
    if (t->up[peer] != up)
        t->n_up += up ? 1 : UINT32_MAX;
    t->up[peer] = up;
    t->draw = up ? peer : t->draw;
    struct gossip_event event = {
        .type = GOSSIP_LINK, .link = {.peer = peer, .up = up, .gone = gone, .n_peers = t->n_up}};
    feed(t, &event);
}

/* The usual start. */
static void make_pair(struct trace *t, const char *line)
{
    make_core(t, line);
    gossip_set_schedule(t->core, 1, 0);
    feed_link(t, 2, true, false);
    struct gossip_event event = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
    feed(t, &event);
}

static bool starts(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* Lines that are no event: settings and questions. False if it is none of them. */
static bool set_or_ask(struct trace *t, const char *line)
{
    if (starts(line, " core"))
        make_core(t, line);
    else if (starts(line, " pair"))
        make_pair(t, line);
    else if (starts(line, " schedule"))
        gossip_set_schedule(t->core, number(line, "steps=", 0), number(line, "us=", 0));
    else if (starts(line, " mass"))
        gossip_set_mass(t->core, real(line, "mass"));
    else if (starts(line, " draw"))
        t->draw = number(line, "draw", 0);
    else if (starts(line, " expects"))
        print(t, "%s\n",
              gossip_expects(t->core, number(strrchr(line, ' '), "", 0), number(line, "#", 0))
                  ? "yes"
                  : "no");
    else if (starts(line, " open"))
        print(t, "%u\n", gossip_n_open(t->core));
    else if (starts(line, " counts"))
        print_counts(t);
    else if (starts(line, " accounts"))
        print_masses(t, line);
    else
        return false;
    return true;
}

static void run_line(struct trace *t, const char *line)
{
    static const char *const phases[] = {" joining", " active", " ended", " leaving"};
    const char *at = strchr(line, '@');
    t->now_us = at == NULL ? t->now_us : strtoull(at + 1, NULL, 10);
    if (set_or_ask(t, line))
        return;
    struct gossip_event event = {.type = GOSSIP_WAKE};
    for (int i = 0; i < 4; i++)
        if (starts(line, phases[i])) {
            event.type = GOSSIP_PHASE;
            event.phase = (enum gossip_phase)i;
        }
    if (starts(line, " steps")) {
        event.n_steps = number(line, "steps", 0);
    } else if (starts(line, " done")) {
        event.type = GOSSIP_DONE;
        event.done.exchange = number(line, "e", 0);
        event.done.buffer = number(line, "b", GOSSIP_NONE);
    } else if (starts(line, " sent")) {
        event.type = GOSSIP_SENT;
        event.sent = number(line, "b", GOSSIP_NONE);
    } else if (starts(line, " adopt")) {
        event.type = GOSSIP_ADOPT;
        event.adopt = number(line, "adopt", 0);
    }
    if (starts(line, " request"))
        feed_message(t, line, GOSSIP_REQUEST);
    else if (starts(line, " reply"))
        feed_message(t, line, GOSSIP_REPLY);
    else if (starts(line, " decline"))
        feed_message(t, line, GOSSIP_DECLINE);
    else if (starts(line, " up") || starts(line, " down"))
        feed_link(t, number(strchr(line + 1, ' '), "", 0), starts(line, " up"),
                  word(line, "gone") != NULL);
    else if (event.type != GOSSIP_WAKE || starts(line, " wake") || starts(line, " steps"))
        feed(t, &event);
    else
        cr_assert_fail("no such line: >%s", line);
}

char *trace_run(const char *golden)
{
    struct trace t = {.text = calloc(1, TEXT_MAX)};
    for (const char *line = golden; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (line[0] == '>') {
            char copy[256];
            cr_assert_lt(n, sizeof copy);
            memcpy(copy, line, n);
            copy[n] = '\0';
            print(&t, "%s\n", copy);
            run_line(&t, copy + 1);
        }
        line += n + (line[n] == '\n');
    }
    free(t.core);
    return t.text;
}

void trace_check(const char *golden)
{
    char *actual = trace_run(golden);
    size_t at = 0, line = 0;
    while (golden[at] == actual[at] && golden[at] != '\0') {
        at++;
        if (golden[at - 1] == '\n')
            line = at;
    }
    cr_assert(golden[at] == actual[at], "after\n%.*s-- expected: %.*s\n-- came:     %.*s",
              (int)line, golden, (int)strcspn(golden + line, "\n"), golden + line,
              (int)strcspn(actual + line, "\n"), actual + line);
    free(actual);
}
