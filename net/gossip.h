/* The gossip core: which slice is exchanged with whom, when, and what an answer means.
 *
 * A pure state machine: events in, actions out, one absolute deadline. It touches no socket, clock,
 * allocator or weight; real nodes and the simulator drive the same object code. Weights pass
 * through as opaque buffer handles. One thread at a time; it never blocks and never fails: what a
 * hostile peer sends is counted, dropped or punished.
 *
 * An exchange of a slice (docs/ALGORITHMS.md):
 *   initiator i: TAKE a = theta_i, SEND REQUEST(a, w) ................. ADD theta_i += c_i d
 *   responder j: ............. ANSWER: d = theta_j - a, theta_j -= c_j d, SEND REPLY(d)
 * with c_i = 2 w m_j / (m_i + m_j): the increments cancel, weighted by mass, so the mean over the
 * peers survives whatever either side did to its theta in between; and as the difference comes
 * back, neither keeps a copy of what it sent. The initiator asks for
 * w = 1/(2k), k its exchanges of that slice under way, this one included; the responder lowers it
 * by the same rule, and the reply says what it used.
 *
 * A push goes one way (Ormandi, Hegedus, Jelasity 2013, "Gossip learning with linear models on
 * fully distributed data"; merged by age as in Hegedus, Danner, Jelasity 2019):
 *   initiator i: TAKE a = theta_i, SEND REQUEST(a, w, age_i)
 *   responder j: ............. MIX theta_j += c_j (a - theta_j), age_j = max(age_j, age_i)
 * with the ages for masses: c_j = 2 w age_i / (age_i + age_j). The age of a slice is one more than
 * the local steps that its weights have seen. Nothing answers a push and none is sent again, so
 * each is applied at most once; the mean is not kept.
 *
 * Push-sum (Kempe, Dobra, Gehrke 2003; asynchronous and with values in theta, not sums):
 *   initiator i: m = w_i / 2, w_i -= m, TAKE a = theta_i, SEND REQUEST(a, m)
 *   responder j: ............. w_j += m, MIX theta_j += m / w_j (a - theta_j), SEND REPLY()
 * so sum w theta over peers and transfers under way is kept, whoever sends to whom, and sum w
 * exactly (net/mass.h). A transfer whose link died is sent again, under the same id, when the peer
 * is linked again, and taken in once. It is taken back when it was declined or never sent, or the
 * peer came back as another incarnation; one to a peer that stays away gives its place up to others
 * in the end, and counts as unknown.
 *
 * The driver promises: links are first-in first-out; jobs (TAKE, ANSWER, ADD, MIX) of a node run in
 * the order of their actions, each indivisibly, and each is answered by one DONE; a LINK event says
 * when a link died, after which nothing more comes from it. It needs at most 2 open_max + serve_max
 * buffers, lent ones included.
 */
#ifndef HUBBUB_NET_GOSSIP_H
#define HUBBUB_NET_GOSSIP_H

#include "net/mass.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOSSIP_NEVER UINT64_MAX
#define GOSSIP_NONE  UINT32_MAX /* no buffer, no peer */

enum {
    GOSSIP_SLICE_FLOATS = 65536,   /* in a slice; the last one of a model may be shorter */
    GOSSIP_OPEN_PER_SLICE_MAX = 4, /* with w = 1/(2k) more open exchanges only slow it down */
    GOSSIP_ACTIONS_MAX = 16,
    GOSSIP_PARK_AFTER = 4, /* initiations of its slice that an open exchange may hold up */
    /* A real peer's places for a slice: beside the open ones for those that are parked with a slow
     * peer, and for requests that it answers. */
    GOSSIP_PARKED_PER_SLICE = 3,
    GOSSIP_SERVE_PER_SLICE = 4
};

enum gossip_mode { GOSSIP_PAIRWISE, GOSSIP_PULL, GOSSIP_PUSH, GOSSIP_PUSH_SUM };

enum gossip_phase {
    GOSSIP_JOINING, /* adopts if told to; declines everybody */
    GOSSIP_ACTIVE,
    GOSSIP_ENDED,  /* as LEAVING, but answers pulls: of a peer that joins */
    GOSSIP_LEAVING /* initiates nothing, declines what is new, finishes what is open */
};

/* Shared by the nodes of a run; outlives them. */
struct gossip_config {
    enum gossip_mode mode;
    uint32_t n_slices;       /* of the model */
    uint16_t open_max;       /* exchanges I initiated, open at once */
    uint16_t serve_max;      /* exchanges I answer, at once; above it: DECLINE */
    uint16_t open_per_slice; /* 1 to GOSSIP_OPEN_PER_SLICE_MAX */
    uint16_t fanout;         /* peers that an initiation of a slice goes to; 0 is 1 */
    uint16_t n_remembered;   /* of push-sum: senders whose last transfers are remembered; 0 where no
                                link ever dies */
    uint64_t seed;
    bool in_turn; /* k goes round 0, 1, ... n_peers - 1 for each slice, instead of being drawn */
    /* The peer that node `self` knows as number k, 0 <= k < n_peers. Pure. */
    uint32_t (*neighbour)(const void *ctx, uint32_t self, uint32_t k);
    /* Whether what node `self` sends would leave at once. Where that is often not so, a slice has
     * one exchange open, whatever open_per_slice allows. Pure; NULL: it always would. */
    bool (*is_clear)(const void *ctx, uint32_t self, uint64_t now_us);
    bool leaves_at_once; /* what is sent has left when the step is over: pushes need no SENT */
    const void *ctx;
};

enum gossip_event_type {
    GOSSIP_WAKE,     /* the deadline came, local steps were done, or neither: it does no harm */
    GOSSIP_DONE,     /* a job was done; the buffer of a TAKE or ANSWER is sealed */
    GOSSIP_SENT,     /* a push has left, or was lost with its link */
    GOSSIP_RECEIVED, /* a REQUEST, REPLY or DECLINE */
    GOSSIP_LINK,     /* a peer appeared or was lost, or the number of neighbours changed */
    GOSSIP_PHASE,    /* enter a phase */
    GOSSIP_ADOPT     /* while JOINING: take over the weights of a peer */
};

enum gossip_kind { GOSSIP_REQUEST, GOSSIP_REPLY, GOSSIP_DECLINE };

struct gossip_message {
    enum gossip_kind kind;
    enum gossip_mode mode; /* of the exchange; every run answers pulls */
    uint32_t peer;         /* slot: from whom, to whom */
    uint32_t slice;
    uint64_t id;     /* of the exchange, the initiator's */
    uint32_t buffer; /* the weights, of a pairwise REPLY the difference; or GOSSIP_NONE */
    float weight;    /* w: asked for in a REQUEST, used in a REPLY */
    float mass;      /* m of the sender, of a push the age of the slice, of push-sum what is
                        sent; REQUEST, REPLY */
};

struct gossip_event {
    uint64_t now_us;
    enum gossip_event_type type;
    uint32_t n_steps; /* local steps that were done, of any event: after the job of a DONE */
    union {
        struct {
            uint32_t exchange, buffer; /* of a TAKE or ANSWER */
        } done;
        uint32_t sent; /* the buffer that the push left in */
        struct {
            /* message.buffer: a REQUEST's (pairwise, push) or REPLY's weights, or of a pull's
             * REQUEST an empty buffer for the reply; GOSSIP_NONE when the driver had none to spare:
             * the request is then declined. A REPLY's is never NONE (see gossip_expects), but for
             * push-sum, whose reply has no weights. */
            struct gossip_message message;
            bool peer_is_smaller; /* its id is below mine: decides crossings */
        } received;
        struct {
            uint32_t peer; /* GOSSIP_NONE: only n_peers changed */
            bool up;
            uint32_t n_peers; /* neighbours that may be drawn now */
            /* The peer that was known under this number is gone: with up, this is another
             * incarnation of it; without, the number may be given to another peer. */
            bool gone;
        } link;
        enum gossip_phase phase;
        uint32_t adopt; /* from this peer */
    };
};

enum gossip_action_type {
    GOSSIP_TAKE,        /* job: copy the slice into a buffer (a new one when buffer is NONE) */
    GOSSIP_ANSWER,      /* job: buffer = theta - buffer, theta -= c buffer */
    GOSSIP_ADD,         /* job: theta += c buffer, which passes to the driver */
    GOSSIP_MIX,         /* job: theta += c (buffer - theta); the buffer passes to the driver */
    GOSSIP_SEND,        /* message. Its buffer passes to the driver, unless gossip_keeps it */
    GOSSIP_FORGET,      /* buffer: I am done with it */
    GOSSIP_PUNISH,      /* peer broke the protocol, reason says how: close its link */
    GOSSIP_ADOPTED,     /* every slice of the adopted peer was asked for, came and is in MIX */
    GOSSIP_ADOPT_FAILED /* declined or lost; ADOPT again, after a while if it is the same peer:
                           it resumes with the first slice that did not come */
};

struct gossip_action {
    enum gossip_action_type type;
    union {
        struct {
            uint32_t exchange; /* to be returned in DONE */
            uint32_t slice, buffer, peer;
            float c;
        } job;
        struct gossip_message send;
        uint32_t buffer; /* FORGET */
        struct {
            uint32_t peer;
            const char *reason;
        } punish;
    };
};

/* Whether the buffer of a message that is sent stays the core's, until FORGET or MIX: that of a
 * transfer, which may be sent again or taken back. A push, whose buffer does not, is answered by
 * SENT. */
static inline bool gossip_keeps(const struct gossip_message *m)
{
    return m->kind == GOSSIP_REQUEST && m->mode == GOSSIP_PUSH_SUM;
}

struct gossip_update {
    uint64_t wake_us; /* absolute; GOSSIP_NEVER if none */
    uint32_t n_actions;
    struct gossip_action actions[GOSSIP_ACTIONS_MAX];
};

/* Counts since the start. They wrap at 2^32: take differences. */
struct gossip_counts {
    uint32_t initiated; /* requests sent */
    uint32_t mixed;     /* replies applied: exchanges completed as initiator */
    uint32_t served;    /* replies sent, pushes merged: exchanges completed as responder */
    uint32_t crossed;   /* my own forgotten, or theirs ignored, because both asked at once */
    uint32_t declined;  /* my requests that were declined */
    uint32_t refused;   /* requests I declined, pushes I had no place for */
    uint32_t busy;      /* initiations skipped: no free place */
    uint32_t parked;
    uint32_t lost;     /* mine, open when the link died */
    uint32_t orphaned; /* theirs, applied here when the link was gone: shifts the mean */
    uint32_t unknown;  /* answers to nothing I asked */
};

struct gossip; /* storage is the caller's */

/* Bytes of a core: the header, one entry for each of open_max + serve_max exchanges, in a run that
 * pushes an age a slice, and with push-sum its accounts. */
size_t gossip_size(const struct gossip_config *config);

/* self: this node's number in the seed's streams. Starts in JOINING with no neighbour, mass 1 and
 * no schedule. `g` is 8-byte aligned. */
void gossip_init(struct gossip *g, const struct gossip_config *config, uint32_t self);

/* Every n_steps local steps (0: not by steps) and/or every period_us (0: not by time) each slice
 * is offered for an exchange. May be called at any time. */
void gossip_set_schedule(struct gossip *g, uint32_t n_steps, uint64_t period_us);

/* What this peer's weights count for in the mean that exchanges keep: sum m_i theta_i. Not while
 * exchanges are open. mass > 0. */
void gossip_set_mass(struct gossip *g, float mass);

void gossip_step(struct gossip *g, const struct gossip_event *event, struct gossip_update *out);

/* Whether a REPLY with this id from this peer would be taken: ask before lending it a buffer. */
bool gossip_expects(const struct gossip *g, uint32_t peer, uint64_t id);

/* Exchanges that are open or being served (0: nothing is in flight, all buffers are back). */
uint32_t gossip_n_open(const struct gossip *g);

/* For a driver that ends a core in the middle, as a crash does. */
struct gossip_remains {
    uint32_t peer;
    uint32_t buffer; /* still the core's: no job has it; or GOSSIP_NONE */
};

/* Of number i < open_max + serve_max of its places; false when that is free. */
bool gossip_remains(const struct gossip *g, uint32_t i, struct gossip_remains *r);

const struct gossip_counts *gossip_counts(const struct gossip *g);

/* Of push-sum (CHECK): the slice's mass, in units of 1/MASS_ONE; those that I sent or am about to,
 * not known to have arrived; and counts. */
uint64_t gossip_mass_units(const struct gossip *g, uint32_t slice);
uint64_t gossip_mass_under_way(const struct gossip *g, uint32_t slice);
const struct mass_counts *gossip_mass_counts(const struct gossip *g);

#endif
