#include "sim/record.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void add(struct record_sample *s, uint32_t id)
{
    if (s->n == RECORD_PEERS_MAX || s->places[id] != RECORD_NOBODY)
        return;
    s->places[id] = (uint8_t)s->n;
    s->ids[s->n++] = id;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Breadth first from peer 0, then, where that part is cut off, from the least one left. */
void record_sample_init(struct record_sample *s, const struct topology *t)
{
    *s = (struct record_sample){.places = MEM_NEW(uint8_t, t->n)};
    memset(s->places, RECORD_NOBODY, t->n);
    uint32_t wanted = t->n < RECORD_PEERS_MAX ? t->n : RECORD_PEERS_MAX;
    for (uint32_t next = 0, id = 0; s->n < wanted;) {
        while (next == s->n && s->places[id] != RECORD_NOBODY)
            id++;
        if (next == s->n)
            add(s, id);
        uint32_t from = s->ids[next++], degree = topology_degree(t, from);
        for (uint32_t k = 0; k < degree && s->n < wanted; k++)
            add(s, topology_neighbour(t, from, k));
    }
    qsort(s->ids, s->n, sizeof *s->ids, compare_ids);
    for (uint32_t i = 0; i < s->n; i++)
        s->places[s->ids[i]] = (uint8_t)i;
}

void record_sample_close(struct record_sample *s)
{
    free(s->places);
}

void record_init(struct record *r, const struct record_sample *sample)
{
    *r = (struct record){.sample = sample,
                         .links = MEM_NEW(struct record_link, 2 * RECORD_LINKS_MAX),
                         .ages = MEM_NEW(uint64_t, RECORD_AGES_MAX)};
}

void record_close(struct record *r)
{
    free(r->links);
    free(r->ages);
}

void record_sent(struct record *r, uint32_t from, uint32_t to, uint64_t bytes)
{
    if (r->sample->places[from] == RECORD_NOBODY)
        return;
    uint64_t key = ((uint64_t)from << 32 | to) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t at = key >> 49;; at = (at + 1) % (2 * RECORD_LINKS_MAX)) {
        struct record_link *l = &r->links[at];
        if (l->bytes == 0 && r->n_links == RECORD_LINKS_MAX) {
            r->bytes_unlisted += bytes;
            return;
        }
        if (l->bytes == 0) {
            *l = (struct record_link){.from = from, .to = to};
            r->n_links++;
        }
        if (l->from == from && l->to == to) {
            l->bytes += bytes;
            return;
        }
    }
}
_Static_assert(2 * RECORD_LINKS_MAX == 1 << 15, "the hash has 15 bits");

/* Exact below 2^RECORD_AGE_BITS; from there on the leading bits of the age. */
static uint32_t age_bin(uint64_t age_us)
{
    uint32_t shift = 0;
    while (age_us >> shift >= UINT64_C(2) << RECORD_AGE_BITS)
        shift++;
    return (shift << RECORD_AGE_BITS) + (uint32_t)(age_us >> shift);
}

uint64_t record_age_us(uint32_t bin)
{
    if (bin < UINT32_C(2) << RECORD_AGE_BITS)
        return bin;
    uint32_t shift = (bin >> RECORD_AGE_BITS) - 1;
    return (uint64_t)(bin - (shift << RECORD_AGE_BITS)) << shift;
}

void record_came(struct record *r, uint32_t node, uint32_t handle, uint64_t sent_us)
{
    if (r->sample->places[node] == RECORD_NOBODY)
        return;
    r->slices[handle % RECORD_SLICES].handle = handle;
    r->slices[handle % RECORD_SLICES].sent_us = sent_us;
}

void record_mixed(struct record *r, uint32_t node, uint32_t handle, uint64_t now_us)
{
    if (r->sample->places[node] == RECORD_NOBODY ||
        r->slices[handle % RECORD_SLICES].handle != handle)
        return;
    r->ages[age_bin(now_us - r->slices[handle % RECORD_SLICES].sent_us)]++;
}
