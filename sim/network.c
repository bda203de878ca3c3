#include "sim/network.h"

#include "base/mem.h"
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLIGHTS_MIN = 1024 };

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

void flights_init(struct flights *f, const struct network *n)
{
    *f = (struct flights){.size = FLIGHTS_MIN,
                          .table = MEM_NEW(struct flight, FLIGHTS_MIN),
                          .longest_us = dist_longest(&n->latency)};
}

void flights_close(struct flights *f)
{
    free(f->table);
}

/* The entry of a link, or the free one where it belongs. */
static struct flight *find(const struct flights *f, uint64_t link)
{
    size_t i = (size_t)((link * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (f->size - 1);
    while (f->table[i].arrival_us != 0 && f->table[i].link != link)
        i = (i + 1) & (f->size - 1);
    return &f->table[i];
}

static bool matters(const struct flights *f, const struct flight *flight, uint64_t now_us)
{
    return flight->arrival_us > now_us ||
           (flight->broken_us > 0 && flight->broken_us + f->longest_us > now_us);
}

/* Forgets what matters no more, and doubles the table unless that made room enough. */
static void tidy(struct flights *f, uint64_t now_us)
{
    struct flights old = *f;
    f->n = 0;
    for (size_t i = 0; i < old.size; i++)
        f->n += matters(&old, &old.table[i], now_us);
    f->size = f->n > old.size / 4 ? 2 * old.size : old.size;
    f->table = MEM_NEW(struct flight, f->size);
    for (size_t i = 0; i < old.size; i++)
        if (matters(&old, &old.table[i], now_us))
            *find(f, old.table[i].link) = old.table[i];
    free(old.table);
}

static struct flight *note(struct flights *f, uint32_t self, uint32_t peer, uint64_t now_us)
{
    if (f->n > f->size / 2)
        tidy(f, now_us);
    uint64_t link = (uint64_t)self << 32 | peer;
    struct flight *flight = find(f, link);
    if (flight->arrival_us == 0) {
        *flight = (struct flight){.link = link, .arrival_us = 1};
        f->n++;
    }
    return flight;
}

uint64_t flights_land(struct flights *f, uint32_t self, uint32_t peer, uint64_t now_us,
                      uint64_t arrival_us)
{
    struct flight *flight = note(f, self, peer, now_us);
    if (flight->arrival_us < arrival_us)
        flight->arrival_us = arrival_us;
    return flight->arrival_us;
}

void flights_break(struct flights *f, uint32_t self, uint32_t peer, uint64_t now_us)
{
    note(f, self, peer, now_us)->broken_us = now_us;
}

bool flights_is_lost(const struct flights *f, uint32_t self, uint32_t peer, uint64_t sent_us)
{
    const struct flight *flight = find(f, (uint64_t)self << 32 | peer);
    return flight->arrival_us != 0 && sent_us < flight->broken_us;
}

static bool is_split(const struct netsplit *s, uint32_t src, uint32_t dst, uint64_t now_us)
{
    return s->n_groups > 0 && now_us >= s->from_us && now_us < s->to_us &&
           src % s->n_groups != dst % s->n_groups;
}

struct delivery network_send(const struct network *n, struct flights *f, uint32_t src, uint32_t dst,
                             uint32_t number, uint64_t bytes, uint64_t now_us,
                             uint64_t *way_out_us)
{
    enum { DRAWS = 2 }; /* of one latency, at most */
    uint64_t leaves_us = now_us;
    if (n->bytes_per_s > 0) {
        leaves_us = *way_out_us > now_us ? *way_out_us : now_us;
        leaves_us += (bytes * 1000000 + n->bytes_per_s - 1) / n->bytes_per_s;
        *way_out_us = leaves_us;
    }
    struct rng rng = rng_stream(n->seed, src, RNG_LATENCY);
    rng.index = (uint64_t)number * DRAWS;
    struct delivery d = {.arrival_us = leaves_us + dist_draw(&n->latency, &rng, n->floor_us)};
    if (n->latency.kind != DIST_CONST) /* else they keep their order anyway */
        d.arrival_us = flights_land(f, src, dst, now_us, d.arrival_us);
    d.lost = is_split(&n->split, src, dst, now_us);
    if (n->drop > 0 && !d.lost) {
        struct rng drop = rng_stream(n->seed, src, RNG_DROP);
        drop.index = number;
        d.lost = rng_uniform(&drop) < n->drop;
    }
    return d;
}
