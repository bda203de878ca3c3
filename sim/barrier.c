#include "sim/barrier.h"

#include <sched.h>

enum { LOOKS = 4000 }; /* some ten microseconds, then the processor is offered to others */

void barrier_init(struct barrier *b, uint32_t n)
{
    b->n = n;
    atomic_init(&b->n_arrived, 0);
    atomic_init(&b->generation, 0);
}

void barrier_wait(struct barrier *b)
{
    if (b->n == 1)
        return;
    uint32_t generation = atomic_load_explicit(&b->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->n_arrived, 1, memory_order_acq_rel) + 1 == b->n) {
        atomic_store_explicit(&b->n_arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&b->generation, generation + 1, memory_order_release);
        return;
    }
    uint32_t looks = 0;
    while (atomic_load_explicit(&b->generation, memory_order_acquire) == generation)
        if (++looks > LOOKS)
            sched_yield();
}
