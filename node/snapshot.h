/* Weights at ticks of the wall clock, so that files of different processes on one machine with the
 * same tick can be averaged: for measurements, not for resuming. */
#ifndef HUBBUB_NODE_SNAPSHOT_H
#define HUBBUB_NODE_SNAPSHOT_H

#include <stdint.h>

struct snapshots {
    const char *dir;   /* NULL: none are written */
    uint64_t every_us; /* length of a tick */
    uint64_t tick;     /* of the last one */
};

/* Writes theta[dim] to DIR/TICK-PEER.f32 if this tick has none yet. A file that cannot be written
 * is warned of once, and ends them. The thread that owns theta. */
void snapshot_write(struct snapshots *s, uint32_t peer, const float *theta, uint64_t dim);

#endif
