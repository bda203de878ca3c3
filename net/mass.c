#include "net/mass.h"

#include <string.h>

/* The least alignment that the storage has. */
typedef uint64_t unit __attribute__((aligned(4)));

#define NOBODY UINT32_MAX

#define MASS_LEAST (UINT64_C(1) << 24) /* in a transfer: a slice never gives all it has */

enum { FLOAT_BITS = 24, TRANSFER_MAX_BITS = 60 };

struct mass_book {
    uint32_t n_slices, n_peers;
    uint32_t next; /* record that a new sender takes */
    struct mass_counts counts;
    uint32_t peers[]; /* [n_peers]; then the units, [n_slices], and the last ids, [n_peers,
                         n_slices] */
};

static size_t units_at(uint32_t n_peers)
{
    return offsetof(struct mass_book, peers) + n_peers * sizeof(uint32_t);
}

static unit *units_of(const struct mass_book *b)
{
    return (unit *)(void *)((char *)(uintptr_t)b + units_at(b->n_peers));
}

static unit *ids_of(const struct mass_book *b, uint32_t record)
{
    return units_of(b) + (size_t)(1 + record) * b->n_slices;
}

size_t mass_bytes(uint32_t n_slices, uint32_t n_peers)
{
    return units_at(n_peers) + (size_t)(1 + n_peers) * n_slices * sizeof(unit);
}

void mass_init(struct mass_book *b, uint32_t n_slices, uint32_t n_peers)
{
    memset(b, 0, mass_bytes(n_slices, n_peers));
    b->n_slices = n_slices;
    b->n_peers = n_peers;
    for (uint32_t i = 0; i < n_peers; i++)
        b->peers[i] = NOBODY;
    for (uint32_t i = 0; i < n_slices; i++)
        units_of(b)[i] = MASS_ONE;
}

uint64_t mass_units(const struct mass_book *b, uint32_t slice)
{
    return units_of(b)[slice];
}

struct mass_counts *mass_counts(struct mass_book *b)
{
    return &b->counts;
}

uint64_t mass_from_float(float mass)
{
    const float most = (float)(UINT64_C(1) << TRANSFER_MAX_BITS) / (float)MASS_ONE;
    return mass > 0 && mass <= most ? (uint64_t)(mass * (float)MASS_ONE) : 0;
}

/* Down to what a float holds. */
static uint64_t cut(uint64_t units)
{
    int32_t shift = 64 - __builtin_clzll(units | 1) - FLOAT_BITS;
    return shift > 0 ? units >> shift << shift : units;
}

bool mass_take(struct mass_book *b, uint32_t slice, uint32_t parts, float *mass)
{
    uint64_t units = cut(units_of(b)[slice] / parts);
    if (units < MASS_LEAST || units >> TRANSFER_MAX_BITS > 0)
        return false;
    units_of(b)[slice] -= units;
    *mass = (float)units / (float)MASS_ONE;
    return true;
}

bool mass_fits(const struct mass_book *b, uint32_t slice, float mass)
{
    uint64_t units = mass_from_float(mass);
    return units > 0 && units_of(b)[slice] + units <= MASS_MAX;
}

float mass_merge(struct mass_book *b, uint32_t slice, float mass)
{
    uint64_t units = mass_from_float(mass);
    units_of(b)[slice] += units;
    return (float)((double)units / (double)units_of(b)[slice]);
}

static uint32_t find(const struct mass_book *b, uint32_t peer)
{
    for (uint32_t i = 0; i < b->n_peers; i++)
        if (b->peers[i] == peer)
            return i;
    return NOBODY;
}

void mass_note(struct mass_book *b, uint32_t peer, uint32_t slice, uint64_t id)
{
    if (b->n_peers == 0)
        return;
    uint32_t record = find(b, peer);
    if (record == NOBODY) {
        record = b->next;
        b->next = (b->next + 1) % b->n_peers;
        b->peers[record] = peer;
        memset(ids_of(b, record), 0, b->n_slices * sizeof(unit));
    }
    ids_of(b, record)[slice] = id;
}

bool mass_is_noted(const struct mass_book *b, uint32_t peer, uint32_t slice, uint64_t id)
{
    uint32_t record = find(b, peer);
    return record != NOBODY && id <= ids_of(b, record)[slice];
}

void mass_forget(struct mass_book *b, uint32_t peer)
{
    uint32_t record = find(b, peer);
    if (record != NOBODY)
        memset(ids_of(b, record), 0, b->n_slices * sizeof(unit));
}
