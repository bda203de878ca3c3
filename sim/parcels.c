#include "sim/parcels.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/prefetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { BATCH_BYTES = 1 << 17, OPEN_BYTES = 1 << 21 };

static char *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

/* As much as there can be; where addresses are limited (ulimit -v), a part of those that are left.
 * Returns how many bytes, 0 for none. */
static size_t reserve_most(char **first, size_t most)
{
    size_t bytes = most;
    while ((*first = reserve(bytes)) == NULL && bytes >= 2 * OPEN_BYTES)
        bytes /= 2;
    if (*first != NULL && bytes < most) {
        munmap(*first, bytes);
        bytes /= 2;
        *first = reserve(bytes);
    }
    return *first != NULL ? bytes : 0;
}

/* On huge pages, where the system has them: parcels are met in no order. */
int parcels_open(struct parcels *p, uint64_t slice_floats, uint32_t n_threads, struct error *err)
{
    size_t stride = mem_round(sizeof(struct parcel) + slice_floats * sizeof(float), MEM_ALIGN);
    *p = (struct parcels){.stride = stride,
                          .batch = stride < BATCH_BYTES ? (uint32_t)(BATCH_BYTES / stride) : 1,
                          .is_shared = n_threads > 1,
                          .store = PARCEL_NONE};
    p->reserved_bytes = reserve_most(&p->first, mem_round(mem_physical(), OPEN_BYTES));
    if (p->reserved_bytes == 0)
        return error_set(err, ERR_FAILURE, "no addresses left for messages: %m (see ulimit -v)");
    size_t most = p->reserved_bytes / OPEN_BYTES * OPEN_BYTES / stride;
    p->n_max = most < PARCEL_NONE ? (uint32_t)most : PARCEL_NONE;
    (void)madvise(p->first, p->reserved_bytes, MADV_HUGEPAGE);
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    return 0;
}

void parcels_close(struct parcels *p)
{
    if (p->first == NULL)
        return;
    munmap(p->first, p->reserved_bytes);
    pthread_mutex_destroy(&p->lock);
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

/* Returns the first of a new batch. */
static uint32_t make_batch(struct parcels *p)
{
    uint32_t first = p->n;
    bool has_room = p->n_max - p->n >= p->batch;
    size_t needed = has_room ? mem_round((p->n + p->batch) * p->stride, OPEN_BYTES) : 0;
    if (!has_room ||
        (needed > p->opened_bytes && mprotect(p->first + p->opened_bytes, needed - p->opened_bytes,
                                              PROT_READ | PROT_WRITE) != 0)) {
        fprintf(stderr, "hubbub: out of memory: %" PRIu32 " messages of %zu bytes under way\n",
                p->n, p->stride);
        exit(1);
    }
    p->opened_bytes = needed > p->opened_bytes ? needed : p->opened_bytes;
    p->n += p->batch;
    return first;
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
    uint32_t first = make_batch(p);
    pthread_mutex_unlock(&p->lock);
    shelf->n = p->batch;
    shelf->first = first;
    for (uint32_t i = 0; i < shelf->n; i++)
        parcel_at(p, first + i)->next = i + 1 < shelf->n ? first + i + 1 : PARCEL_NONE;
}

uint32_t parcel_new(struct parcel_shelf *shelf)
{
    if (shelf->n == 0)
        restock(shelf);
    uint32_t handle = shelf->first;
    struct parcel *parcel = parcel_at(shelf->parcels, handle);
    shelf->first = parcel->next;
    if (--shelf->n > 0) /* long out of the nearest cache, or in that of another thread */
        prefetch(parcel_at(shelf->parcels, shelf->first), shelf->parcels->stride, true);
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
