#include "sim/network.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES_MIN = 1024 };

int netsplit_parse(const char *text, void *field, struct error *err)
{
    struct netsplit *s = field;
    char copy[100];
    uint64_t n_groups;
    *s = (struct netsplit){0};
    if (text[0] == '\0')
        return 0;
    snprintf(copy, sizeof copy, "%s", text);
    char *dots = strstr(copy, ".."), *colon = strchr(copy, ':');
    if (dots == NULL || colon == NULL || colon < dots)
        goto misunderstood;
    *dots = *colon = '\0';
    if (!parse_duration(copy, &s->from_us) || !parse_duration(dots + 2, &s->to_us) ||
        s->to_us <= s->from_us || !parse_u64(colon + 1, &n_groups) || n_groups < 2 ||
        n_groups > UINT32_MAX)
        goto misunderstood;
    s->n_groups = (uint32_t)n_groups;
    return 0;
misunderstood:
    *s = (struct netsplit){0};
    return error_set(err, ERR_USAGE, "'%.90s' is not FROM..TO:GROUPS, such as 10s..20s:2", text);
}

/* ---- times of links ------------------------------------------------------------------------ */

static void times_init(struct link_times *t, uint64_t lasting_us)
{
    *t = (struct link_times){.size = TIMES_MIN,
                             .table = MEM_NEW(struct link_time, TIMES_MIN),
                             .spare = MEM_NEW(struct link_time, TIMES_MIN),
                             .lasting_us = lasting_us};
}

static void times_close(struct link_times *t)
{
    free(t->table);
    free(t->spare);
}

/* The entry of a link, or the free one where it belongs. */
static struct link_time *find(const struct link_times *t, uint64_t link)
{
    size_t i = (size_t)((link * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (t->size - 1);
    while (t->table[i].time_us != 0 && t->table[i].link != link)
        i = (i + 1) & (t->size - 1);
    return &t->table[i];
}

static bool matters(const struct link_times *t, const struct link_time *entry, uint64_t now_us)
{
    return entry->time_us != 0 && entry->time_us + t->lasting_us > now_us;
}

/* Forgets what matters no more, and doubles the tables unless that made room enough. */
static void tidy(struct link_times *t, uint64_t now_us)
{
    struct link_time *old = t->table;
    size_t old_size = t->size;
    t->n = 0;
    for (size_t i = 0; i < old_size; i++)
        t->n += matters(t, &old[i], now_us);
    t->table = t->spare;
    t->spare = old;
    if (t->n > old_size / 4) {
        t->size = 2 * old_size;
        free(t->table);
        t->table = MEM_NEW(struct link_time, t->size);
    } else {
        memset(t->table, 0, t->size * sizeof *t->table);
    }
    for (size_t i = 0; i < old_size; i++)
        if (matters(t, &old[i], now_us))
            *find(t, old[i].link) = old[i];
    if (t->size != old_size) {
        free(t->spare);
        t->spare = MEM_NEW(struct link_time, t->size);
    }
}

static uint64_t *note(struct link_times *t, uint32_t self, uint32_t peer, uint64_t now_us)
{
    if (t->n > t->size / 2)
        tidy(t, now_us);
    uint64_t link = (uint64_t)self << 32 | peer;
    struct link_time *entry = find(t, link);
    t->n += entry->time_us == 0;
    entry->link = link;
    return &entry->time_us;
}

void flights_init(struct flights *f, const struct network *n)
{
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    times_init(&f->landing, 0);
    times_init(&f->breaks, dist_longest(&n->latency));
    times_init(&f->sending, 0);
}

void flights_close(struct flights *f)
{
    pthread_mutex_destroy(&f->lock);
    times_close(&f->landing);
    times_close(&f->breaks);
    times_close(&f->sending);
}

uint64_t flights_land(struct flights *f, uint32_t self, uint32_t peer, uint64_t now_us,
                      uint64_t arrival_us)
{
    pthread_mutex_lock(&f->lock);
    uint64_t *last_us = note(&f->landing, self, peer, now_us);
    if (*last_us < arrival_us)
        *last_us = arrival_us;
    arrival_us = *last_us;
    pthread_mutex_unlock(&f->lock);
    return arrival_us;
}

bool flights_break(struct flights *f, uint32_t self, uint32_t peer, uint64_t broken_us,
                   uint64_t now_us)
{
    uint64_t *last_us = note(&f->breaks, self, peer, now_us);
    if (*last_us >= broken_us)
        return false;
    *last_us = broken_us;
    return true;
}

void flights_prolong(struct flights *f, uint64_t longest_us)
{
    if (f->breaks.lasting_us < longest_us)
        f->breaks.lasting_us = longest_us;
}

bool flights_is_lost(const struct flights *f, uint32_t self, uint32_t peer, uint64_t sent_us)
{
    return sent_us < find(&f->breaks, (uint64_t)self << 32 | peer)->time_us;
}

/* ---- sending --------------------------------------------------------------------------------- */

static uint64_t transfer_us(uint64_t bytes, uint64_t bytes_per_s)
{
    return (bytes * 1000000 + bytes_per_s - 1) / bytes_per_s;
}

/* When the last byte has left, through the peer's way out and the link at once. */
static uint64_t leave(const struct network *n, struct flights *f, uint32_t src, uint32_t dst,
                      uint64_t bytes, uint64_t now_us, uint64_t *way_out_us)
{
    uint64_t starts_us = now_us, leaves_us = now_us;
    if (n->bytes_per_s > 0) {
        starts_us = clock_later(*way_out_us, now_us);
        leaves_us = *way_out_us = starts_us + transfer_us(bytes, n->bytes_per_s);
    }
    if (n->link_bytes_per_s > 0) {
        uint64_t *link_us = note(&f->sending, src, dst, now_us);
        uint64_t through_us =
            clock_later(*link_us, starts_us) + transfer_us(bytes, n->link_bytes_per_s);
        leaves_us = *link_us = clock_later(through_us, leaves_us);
    }
    return leaves_us;
}

uint64_t network_come_in(const struct network *n, uint64_t bytes, uint64_t arrival_us,
                         uint64_t *way_in_us)
{
    *way_in_us = clock_later(*way_in_us + transfer_us(bytes, n->bytes_per_s), arrival_us);
    return *way_in_us;
}

enum { DRAWS = 2 }; /* of one latency, at most */

uint64_t network_latency(const struct network *n, const struct outbox *box, uint32_t src)
{
    struct rng rng = rng_stream(n->seed, src, RNG_LATENCY);
    rng.index = (uint64_t)box->n_sent * DRAWS;
    return dist_draw(&n->latency, &rng, n->floor_us);
}

uint64_t network_word(const struct network *n, struct outbox *box, uint32_t src, uint64_t now_us)
{
    uint64_t latency_us = network_latency(n, box, src);
    box->n_sent++;
    return now_us + latency_us;
}

static bool is_split(const struct netsplit *s, uint32_t src, uint32_t dst, uint64_t now_us)
{
    return s->n_groups > 0 && now_us >= s->from_us && now_us < s->to_us &&
           src % s->n_groups != dst % s->n_groups;
}

/* No earlier than what src sent to dst before. */
static uint64_t land(struct flights *f, struct outbox *box, uint32_t src, uint32_t dst,
                     uint64_t now_us, uint64_t arrival_us)
{
    if (box->last_arrival_us > now_us) {
        flights_land(f, src, box->last_dst, now_us, box->last_arrival_us);
        box->is_noted = true;
    }
    if (box->is_noted)
        arrival_us = flights_land(f, src, dst, now_us, arrival_us);
    box->last_arrival_us = arrival_us;
    box->last_dst = dst;
    return arrival_us;
}

struct delivery network_send(const struct network *n, struct flights *f, struct outbox *box,
                             uint32_t src, uint32_t dst, uint64_t bytes, uint64_t latency_us,
                             uint64_t now_us, uint64_t *way_out_us)
{
    uint32_t number = box->n_sent++;
    uint64_t leaves_us = leave(n, f, src, dst, bytes, now_us, way_out_us);
    struct delivery d = {.leaves_us = leaves_us, .arrival_us = leaves_us + latency_us};
    if (n->latency.kind != DIST_CONST) /* else they keep their order anyway */
        d.arrival_us = land(f, box, src, dst, now_us, d.arrival_us);
    if (n->heal_us > 0 && now_us >= n->heal_us)
        return d;
    d.lost = is_split(&n->split, src, dst, now_us);
    if (n->drop > 0 && !d.lost) {
        struct rng drop = rng_stream(n->seed, src, RNG_DROP);
        drop.index = number;
        d.lost = rng_uniform(&drop) < n->drop;
    }
    return d;
}
