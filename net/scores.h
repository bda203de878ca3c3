/* Scores: how each peer's model does on its own test data, by peer id, and all of them together.
 *
 * Where every peer tests on data that nobody else has, the swarm's accuracy is the sum over peers.
 * Scores are passed on from peer to peer; the one with the greater beat is newer, so that hearing
 * one twice is harmless. Pure bookkeeping. One thread at a time.
 */
#ifndef HUBBUB_NET_SCORES_H
#define HUBBUB_NET_SCORES_H

#include "net/wire.h"

#include <stdbool.h>

enum {
    SCORES_MAX = 1024,          /* peers; more are not counted */
    SCORES_STALE_US = 60000000, /* unless final: not heard of for so long, a peer is gone */
    SCORES_PASSED = 4           /* of other peers, sent to each link with each STATUS */
};

struct scores {
    uint32_t n, next; /* entry 0 is mine */
    struct {
        struct wire_score score;
        uint64_t heard_us;
    } entries[SCORES_MAX];
};

struct scores_sum {
    uint64_t n, n_correct;
    double loss; /* mean over all samples */
    uint32_t n_peers;
};

void scores_init(struct scores *s, const uint8_t self[WIRE_PEER_ID_BYTES]);

/* What another peer said, of itself or of a third. Of me I know better. */
void scores_put(struct scores *s, const struct wire_score *score, uint64_t now_us);

/* Mine; the beat goes on. */
void scores_set_own(struct scores *s, uint64_t n, uint64_t n_correct, double loss, bool final);

/* Mine once more, a beat later. NULL before there is one. */
const struct wire_score *scores_own(struct scores *s);
/* The next of the others in turn; NULL: there is none that is not stale. */
const struct wire_score *scores_next(struct scores *s, uint64_t now_us);

/* The entry of a peer, or NULL. */
const struct wire_score *scores_of(const struct scores *s, const uint8_t id[WIRE_PEER_ID_BYTES]);

/* Of all that are not stale. */
struct scores_sum scores_sum(const struct scores *s, uint64_t now_us);

#endif
