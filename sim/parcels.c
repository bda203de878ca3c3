#include "sim/parcels.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 1 << 20, BATCH_BYTES = BLOCK_BYTES / 8 };

void parcels_init(struct parcels *p, uint64_t slice_floats, uint32_t n_threads)
{
    size_t bytes = sizeof(struct parcel) + slice_floats * sizeof(float);
    *p = (struct parcels){.stride = (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN,
                          .store = PARCEL_NONE,
                          .is_shared = n_threads > 1};
    while (p->stride << (p->shift + 1) <= BLOCK_BYTES)
        p->shift++;
    p->batch = p->stride < BATCH_BYTES ? (uint32_t)(BATCH_BYTES / p->stride) : 1;
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
}

void parcels_close(struct parcels *p)
{
    for (uint32_t i = 0; i < p->n_blocks; i++)
        free(p->blocks[i]);
    pthread_mutex_destroy(&p->lock);
}

uint64_t parcels_count(const struct parcels *p)
{
    return (uint64_t)p->n_blocks << p->shift;
}

/* Cuts the first batch off a full shelf. */
static void give_batch(struct parcel_shelf *shelf)
{
    struct parcels *p = shelf->parcels;
    uint32_t first = shelf->first, last = first;
    for (uint32_t i = 1; i < p->batch; i++)
        last = parcel_at(p, last)->next;
    shelf->first = parcel_at(p, last)->next;
    shelf->n -= p->batch;
    parcel_at(p, last)->next = PARCEL_NONE;
    pthread_mutex_lock(&p->lock);
    parcel_at(p, first)->next_batch = p->store;
    p->store = first;
    pthread_mutex_unlock(&p->lock);
}

static void restock(struct parcel_shelf *shelf)
{
    struct parcels *p = shelf->parcels;
    pthread_mutex_lock(&p->lock);
    if (p->store != PARCEL_NONE) {
        shelf->first = p->store;
        shelf->n = p->batch;
        p->store = parcel_at(p, p->store)->next_batch;
        pthread_mutex_unlock(&p->lock);
        return;
    }
    CHECK(p->n_blocks < PARCEL_BLOCKS_MAX);
    uint32_t block = p->n_blocks++;
    p->blocks[block] = mem_alloc(1, p->stride << p->shift);
    pthread_mutex_unlock(&p->lock);
    shelf->n = UINT32_C(1) << p->shift;
    shelf->first = block << p->shift;
    for (uint32_t i = 0; i < shelf->n; i++)
        parcel_at(p, shelf->first + i)->next =
            i + 1 < shelf->n ? shelf->first + i + 1 : PARCEL_NONE;
}

uint32_t parcel_new(struct parcel_shelf *shelf)
{
    if (shelf->n == 0)
        restock(shelf);
    uint32_t handle = shelf->first;
    struct parcel *parcel = parcel_at(shelf->parcels, handle);
    shelf->first = parcel->next;
    shelf->n--;
    atomic_store_explicit(&parcel->refs, 1, memory_order_relaxed);
    return handle;
}

/* Gives a reference up; false when it was the last one, who has seen what the others did. */
static bool is_kept(struct parcel *parcel, bool is_shared)
{
    uint32_t refs = atomic_load_explicit(&parcel->refs, memory_order_acquire);
    if (refs == 1)
        return false;
    if (is_shared)
        return atomic_fetch_sub_explicit(&parcel->refs, 1, memory_order_acq_rel) > 1;
    atomic_store_explicit(&parcel->refs, refs - 1, memory_order_relaxed);
    return true;
}

void parcel_unref(struct parcel_shelf *shelf, uint32_t handle)
{
    if (handle == PARCEL_NONE)
        return;
    struct parcel *parcel = parcel_at(shelf->parcels, handle);
    if (is_kept(parcel, shelf->parcels->is_shared))
        return;
    parcel->next = shelf->first;
    shelf->first = handle;
    if (++shelf->n >= 2 * shelf->parcels->batch)
        give_batch(shelf);
}
