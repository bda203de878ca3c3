/* Two sides of this process, a thread each, that move messages to each other over loopback: as
 * real peers, as peers without the gossip core, as a bare libuv stream, and as blocking sockets.
 *
 * A subject is opened, runs in windows and is closed; between windows it stands still with its
 * memory, sockets and threads in place. So subjects take turns of some hundredths of a second: a
 * shared machine changes its speed within tenths, by a factor of three.
 */
#ifndef HUBBUB_BENCH_STREAM_H
#define HUBBUB_BENCH_STREAM_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct stream_plan {
    uint32_t bytes;  /* of a message: a multiple of 4 */
    uint32_t flight; /* messages (exchanges) each side has under way */
    uint32_t chunk;  /* of stream_bare: bytes of a write, one at a time; 0: each message at once */
};

/* A subject; one is measured at a time. */
struct stream {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open, ending;
    uint64_t n_messages; /* received whole by both sides, while open */
    void *sides;         /* what the kind makes of it */
};

struct stream_kind {
    int (*open)(struct stream *s, const struct stream_plan *plan, struct error *err) MUST_USE;
    /* Ends both sides. ERR_FAILURE when what they did was not what was to be measured. */
    int (*close)(struct stream *s, struct error *err) MUST_USE;
};

/* Two nodes as `hubbub node` runs them, each a loop and a trainer: links, frames with checksums,
 * gossip core, jobs, quasi-global momentum. Their trainers take no steps (one a second); the first
 * asks for every slice again whenever its loop turns, the second answers. A slice is
 * NODE_SLICE_FLOATS whatever the plan says, and the model has 2 * flight of them. */
extern const struct stream_kind stream_nodes;

/* A struct tcp each, frames with checksums, bodies from a pool, pairwise exchanges that both ask
 * for, mixed on the loop's own thread. */
extern const struct stream_kind stream_exchange;

/* The same traffic without hubbub: each message goes back once it has come whole; read straight
 * into its memory. */
extern const struct stream_kind stream_bare;

/* A thread that sends and one that receives on each side, nothing else. `flight` has no meaning
 * here: what the sockets hold is under way. */
extern const struct stream_kind stream_blocking;

/* Lets it run for so long; messages a second, of both sides together. */
double stream_window(struct stream *s, uint64_t window_us);

/* The same in parts. */
void stream_set_open(struct stream *s, bool open);
uint64_t stream_count(struct stream *s); /* messages so far */

/* ---- for those ---- */

/* Storage of s is zeroed; closed at first. */
void stream_init(struct stream *s, void *sides);
void stream_end(struct stream *s); /* stream_pass is true from now on */

/* A side's thread, after n more messages: waits while s is closed. True: the end has come. */
bool stream_pass(struct stream *s, uint64_t n);

/* Keeps the calling thread on a processor of its own side (0 or 1), if there are two: left to
 * itself, the system puts a thread where the one that woke it runs, and then both share one. */
void stream_pin(int side);

/* A connection within this process: both its ends. */
int stream_connect(int fd[2], struct error *err) MUST_USE;

#endif
