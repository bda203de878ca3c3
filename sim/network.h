/* The simulated network: when a message arrives, if it does.
 *
 * Each sender's messages are the business of the thread that runs the sender; a struct flights is
 * one thread's. The stream of a message's draws is named by its sender and its number.
 */
#ifndef HUBBUB_SIM_NETWORK_H
#define HUBBUB_SIM_NETWORK_H

#include "base/error.h"
#include "sim/dist.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define NETWORK_NEVER UINT64_MAX

struct netsplit {
    uint64_t from_us, to_us; /* [from, to) */
    uint32_t n_groups;       /* peers i with equal i mod n_groups reach each other; 0: no split */
};

struct network {
    struct dist latency;
    uint64_t floor_us;         /* no message is faster: the look-ahead */
    double drop;               /* of messages */
    uint64_t bytes_per_s;      /* of a peer's ways out and in, each one message after another; */
    uint64_t link_bytes_per_s; /* and of either direction of a link; 0: no limit */
    struct netsplit split;
    uint64_t heal_us; /* from then on nothing is lost; 0: never */
    uint64_t seed;
};

/* Whether messages may be lost on their way, and their link with them. */
static inline bool network_breaks(const struct network *n)
{
    return n->drop > 0 || n->split.n_groups > 0;
}

/* "10s..20s:2". For OPT_CUSTOM: field is a struct netsplit *. ERR_USAGE. */
int netsplit_parse(const char *text, void *field, struct error *err) MUST_USE;

/* A time for each link, as long as it matters: a table that forgets. */
struct link_time {
    uint64_t link; /* self << 32 | peer */
    uint64_t time_us;
};

struct link_times {
    struct link_time *table, *spare; /* open addressing; time 0: free */
    size_t n, size;                  /* size: a power of two */
    uint64_t lasting_us;             /* how long a time matters after it has come */
};

/* What one thread's nodes must remember of their links. Others may run them, but only where nothing
 * breaks and links have all the bandwidth they want: landing alone is under the lock. */
struct flights {
    pthread_mutex_t lock;
    struct link_times landing; /* when what self sent last arrives */
    struct link_times breaks;  /* when the link broke last */
    struct link_times sending; /* until when the link is sending what self sent */
};

void flights_init(struct flights *f, const struct network *n);
void flights_close(struct flights *f);

/* No earlier than any arrival noted for that link: a link never overtakes itself. Notes it. */
uint64_t flights_land(struct flights *f, uint32_t self, uint32_t peer, uint64_t now_us,
                      uint64_t arrival_us);

/* The link broke: what peer sent before broken_us, at most now_us, is lost with it. False: that is
 * known, from another message that was lost with it. */
bool flights_break(struct flights *f, uint32_t self, uint32_t peer, uint64_t broken_us,
                   uint64_t now_us);

/* A message may be under way for so long; at first dist_longest of the latency. */
void flights_prolong(struct flights *f, uint64_t longest_us);
bool flights_is_lost(const struct flights *f, uint32_t self, uint32_t peer, uint64_t sent_us);

struct delivery {
    uint64_t leaves_us;  /* when the last byte has left */
    uint64_t arrival_us; /* or, if lost, when both ends learn that their link is broken */
    bool lost;
};

/* What a sender knows of its own messages. Most have none under way when they send the next, and
 * need no table. */
struct outbox {
    uint64_t last_arrival_us; /* of the last one, which went to last_dst */
    uint32_t last_dst;
    uint32_t n_sent : 31;
    uint32_t is_noted : 1; /* earlier ones may stand in the table of flights */
};

/* What the latency of the next message of src will be, before any queue; at least the floor. */
uint64_t network_latency(const struct network *n, const struct outbox *box, uint32_t src);

/* The next message of src, with that latency. way_out_us: until when src is sending earlier ones;
 * moved on. NULL where bandwidth has no limit. */
struct delivery network_send(const struct network *n, struct flights *f, struct outbox *box,
                             uint32_t src, uint32_t dst, uint64_t bytes, uint64_t latency_us,
                             uint64_t now_us, uint64_t *way_out_us);

/* When a message whose last byte is at the door of its receiver has come in. way_in_us: until when
 * earlier ones come in; moved on. A message that need not wait has come in when it arrives: the way
 * in takes bytes while the way out still sends others. */
uint64_t network_come_in(const struct network *n, uint64_t bytes, uint64_t arrival_us,
                         uint64_t *way_in_us);

/* When dst learns that src has crashed: a latency later, past all queues. */
uint64_t network_word(const struct network *n, struct outbox *box, uint32_t src, uint64_t now_us);

#endif
