/* Parcels: a message on its way, and the slice in it.
 *
 * A slice is copied once, when it is taken from theta; the answer comes back in the same parcel.
 * What a transfer carries is sealed: its sender, who may have to take it back, shares it by
 * reference. A parcel waits in at most one list, of the jobs of a node or of free ones, and holds
 * the link itself. Who frees a parcel keeps it for its own next one; too many go to a common store,
 * so that memory follows the greatest number of parcels there ever was at once, whichever way they
 * travel.
 */
#ifndef HUBBUB_SIM_PARCELS_H
#define HUBBUB_SIM_PARCELS_H

#include "base/error.h"
#include "net/gossip.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARCEL_NONE GOSSIP_NONE

enum { PARCEL_HEAD_MAX = 88, JOB_EXCHANGE_MAX = (1 << 24) - 1 };

struct parcel {
    _Atomic uint32_t refs;
    uint32_t next; /* in its list */
    union {
        /* A job that waits on this parcel as its buffer. */
        struct {
            uint32_t type : 8, exchange : 24;
            uint32_t slice;
            float c;
        } job;
        /* While it is under way: bytes of the frame, steps of the sender (as a STATUS says). */
        struct {
            uint32_t bytes, n_steps;
        } flight;
        uint32_t next_batch; /* in the store, of the first one of a batch */
    };
    uint32_t taken_at;   /* local step of whose weights these are, when they were taken */
    uint32_t head_bytes; /* of the frame's head */
    union {
        struct gossip_message message; /* without frames; buffer NONE: it has no slice */
        uint8_t head[PARCEL_HEAD_MAX]; /* with frames */
    };
    uint64_t body_sum; /* with frames: of the slice, when it was sealed */
    _Alignas(64) float slice[];
};

_Static_assert(offsetof(struct parcel, slice) == 128, "two cache lines before the slice");

/* Parcel number i lies i strides after the first: addresses are reserved for as many as the machine
 * could ever hold, and get memory as they are needed. */
struct parcels {
    char *first;
    size_t stride;
    uint32_t batch; /* parcels that go to the store, and come from it, at a time */
    bool is_shared; /* by several threads */
    pthread_mutex_t lock;
    uint32_t n, n_max;                   /* there are; there is room for */
    size_t opened_bytes, reserved_bytes; /* with memory; in all */
    uint32_t store;                      /* the first batch of free ones */
};

/* The free parcels of one thread. */
struct parcel_shelf {
    struct parcels *parcels;
    uint32_t first, n;
};

/* slice_floats: of the largest slice. ERR_FAILURE: no addresses. */
int parcels_open(struct parcels *p, uint64_t slice_floats, uint32_t n_threads,
                 struct error *err) MUST_USE;
void parcels_close(struct parcels *p);

static inline struct parcel *parcel_at(const struct parcels *p, uint32_t handle)
{
    return (struct parcel *)(void *)(p->first + handle * p->stride);
}

/* With one reference. */
uint32_t parcel_new(struct parcel_shelf *shelf);

/* Of a parcel that the caller has a reference to; if it is the only one, nobody else can be
 * counting. */
static inline void parcel_ref(struct parcel *p)
{
    if (atomic_load_explicit(&p->refs, memory_order_relaxed) == 1)
        atomic_store_explicit(&p->refs, 2, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

/* Whether the caller's reference is the only one; then it has seen what the others did. */
static inline bool parcel_is_mine(const struct parcel *p)
{
    return atomic_load_explicit(&p->refs, memory_order_acquire) == 1;
}

/* NONE does nothing. */
void parcel_unref(struct parcel_shelf *shelf, uint32_t handle);

#endif
