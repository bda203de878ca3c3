/* Two threads of this process that move messages to each other over loopback: as peers that
 * exchange slices, as a bare libuv stream, and as blocking sockets. One call is one measurement.
 */
#ifndef HUBBUB_BENCH_STREAM_H
#define HUBBUB_BENCH_STREAM_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct stream_plan {
    uint32_t bytes;  /* of a message: a multiple of 4 */
    uint32_t flight; /* messages (exchanges) each side has under way */
    uint32_t chunk;  /* of stream_bare: bytes of a write, one at a time; 0: each message at once */
    uint64_t warm_us, window_us;
};

/* Of both sides together. */
struct stream_outcome {
    double messages_per_s; /* received whole */
    double cpu_us;         /* processor time of the threads, a message */
};

/* Pairwise exchanges: a struct tcp each, frames with checksums, bodies from a pool, the kernels
 * that a trainer runs, here on the loop's own thread. ERR_FAILURE when the link fails, or when the
 * weights show afterwards that something else than averaging took place. */
int stream_exchange(const struct stream_plan *plan, struct stream_outcome *out,
                    struct error *err) MUST_USE;

/* The same traffic without hubbub: each message goes back once it has come whole; read straight
 * into its memory. */
int stream_bare(const struct stream_plan *plan, struct stream_outcome *out,
                struct error *err) MUST_USE;

/* A thread that sends and one that receives on each side, nothing else. `flight` has no meaning
 * here: what the sockets hold is under way. */
int stream_blocking(const struct stream_plan *plan, struct stream_outcome *out,
                    struct error *err) MUST_USE;

/* ---- for those three ---- */

/* Keeps the calling thread on a processor of its own side (0 or 1), if there are two: left to
 * itself, the system puts a thread where the one that woke it runs, and then both share one. */
void stream_pin(int side);

/* Messages within the window; one thread. */
struct stream_meter {
    uint64_t start_us, stop_us; /* the window */
    uint64_t first_us, last_us; /* the first message in it is where counting starts */
    uint64_t n, n_all;
};

/* A message has come; true when the window is over. */
bool stream_meter_count(struct stream_meter *m);

/* Both sides have ended, after so much processor time. */
struct stream_outcome stream_sum(const struct stream_meter meters[2], uint64_t cpu_us);

#endif
