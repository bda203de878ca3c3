/* The peer table: who is linked, how far they are, and the vote on ending.
 *
 * A peer has a slot while it is linked, and the same one when it comes back, unless more peers than
 * there are slots have come meanwhile; the gossip core knows it by that number. Pure bookkeeping:
 * links are opaque pointers. One thread at a time.
 */
#ifndef HUBBUB_NET_PEERS_H
#define HUBBUB_NET_PEERS_H

#include "net/peer_state.h"
#include "net/wire.h"

#include <stdbool.h>

enum { PEERS_MAX = 256 };

/* Steps a second, from how many were done at what times: over a second and a half at least, and
 * averaged over the last ten seconds or so. The first interval does not count: who took over a
 * peer's weights has taken over its steps in it. */
struct pace {
    uint64_t step, at_us;
    bool runs;    /* the first interval is over */
    double per_s; /* 0: not known yet */
};

void pace_note(struct pace *p, uint64_t step, uint64_t now_us);

struct peer {
    void *link;      /* NULL: the slot is free */
    uint32_t serial; /* of this peer's stay: another one in the slot has another */
    uint8_t id[WIRE_PEER_ID_BYTES];
    uint64_t incarnation;
    bool replaced; /* the link was lost to another one of the same pair, which is to come */
    enum peer_state state;
    uint64_t step;
    struct pace pace;
    uint64_t n_samples; /* 0: not known */
    uint32_t shard, n_shards;
    uint64_t heard_us; /* when a frame last came */
    uint32_t n_calm;   /* exchanges in a row, while settling, that hardly moved this peer */
    char name[80];     /* "shard 2/5 at 10.0.0.2:7700", for messages */
};

struct peers {
    uint8_t self[WIRE_PEER_ID_BYTES];
    struct peer slots[PEERS_MAX];
    uint32_t n_linked, n_added;
    uint32_t n_goodbyes; /* peers that left because their training was over */
    uint32_t neighbours[PEERS_MAX], n_neighbours; /* slots to draw from */
};

void peers_init(struct peers *p, const uint8_t self[WIRE_PEER_ID_BYTES]);

/* The slot of a linked id, or PEERS_MAX. */
uint32_t peers_find(const struct peers *p, const uint8_t id[WIRE_PEER_ID_BYTES]);

/* Whether that id lost its link to another one, which has not come yet. */
bool peers_is_replaced(const struct peers *p, const uint8_t id[WIRE_PEER_ID_BYTES]);

/* What a slot stood for before. */
enum peers_before {
    PEERS_BEFORE_SAME,   /* this very incarnation of the peer, or nobody yet */
    PEERS_BEFORE_OLDER,  /* an earlier one, or one whose clock was ahead */
    PEERS_BEFORE_ANOTHER /* another peer, which may come back in another slot */
};

/* A slot for a peer that said HELLO: the one it had before, a fresh one, or that of whom nothing
 * was heard longest; PEERS_MAX when the table is full. */
uint32_t peers_add(struct peers *p, void *link, const struct wire_hello *hello, const char *remote,
                   uint64_t now_us, enum peers_before *before);

/* Its link is gone. goodbye: it left because its training was over, which counts in the vote. */
void peers_remove(struct peers *p, uint32_t slot, bool goodbye);

void peers_set_status(struct peers *p, uint32_t slot, enum peer_state state, uint64_t step,
                      uint64_t now_us);

/* Whether id of the peer is below mine: decides crossings and which of two links stays. */
bool peers_is_smaller(const struct peers *p, uint32_t slot);

/* Whose weights one that joins takes over: of the linked peers that train with more than `lead`
 * steps, or are done with any, the one with most; one that has ended only where there is no other.
 * `except` is passed over. PEERS_MAX if there is none. */
uint32_t peers_furthest(const struct peers *p, uint64_t lead, uint32_t except);

uint32_t peers_n_joining(const struct peers *p);

/* The lower median of my steps and those of the neighbours. */
uint64_t peers_median_step(const struct peers *p, uint64_t mine);

/* My samples, and my steps a second, over their means over me and the neighbours who say theirs; 0
 * where I do not say mine. */
double peers_share_samples(const struct peers *p, uint64_t mine);
double peers_share_speed(const struct peers *p, double mine);

/* How alike my steps a second and those that are known of the neighbours are: the mean of their
 * roots over the root of their mean. 1: alike, or not known. */
double peers_evenness(const struct peers *p, double mine);

/* The vote: more than half of the peers known to live, with me and with those that said goodbye,
 * are done. */
bool peers_most_are_done(const struct peers *p, bool i_am_done);

/* Every linked peer settles, has ended or leaves, and the last n_calm exchanges with each of those
 * that settle were calm. */
bool peers_all_settled(const struct peers *p, uint32_t n_calm);

/* An exchange with the peer moved me by `moved` relative to my weights, while settling. */
void peers_note_move(struct peers *p, uint32_t slot, float moved);

#define PEERS_CALM 1e-4f /* relative move below which an exchange is calm */

#endif
