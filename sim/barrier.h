/* A barrier for threads that meet every few microseconds: waits by looking, then gives way.
 *
 * What a thread wrote before it arrived is seen by all after they have passed. */
#ifndef HUBBUB_SIM_BARRIER_H
#define HUBBUB_SIM_BARRIER_H

#include <stdatomic.h>
#include <stdint.h>

struct barrier {
    uint32_t n; /* threads */
    _Alignas(64) _Atomic uint32_t n_arrived;
    _Alignas(64) _Atomic uint32_t generation;
};

void barrier_init(struct barrier *b, uint32_t n);

/* Returns when all n threads have called it. */
void barrier_wait(struct barrier *b);

#endif
