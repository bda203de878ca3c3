/* Between the parts of the gossip core; not for others.
 *
 *   gossip.c      the step: what is offered, what comes in, what an answer means
 *   gossip_sum.c  the transfers of push-sum
 */
#ifndef HUBBUB_NET_GOSSIP_INNER_H
#define HUBBUB_NET_GOSSIP_INNER_H

#include "net/gossip.h"

#include "base/check.h"

#include <stddef.h>

/* An entry of the table is one exchange, mine or theirs. One with a job under way (TAKING, MIXING,
 * ANSWERING, COPYING and the DROPPED forms) stays occupied until its DONE, so that the table bounds
 * the buffers even when a step lasts for seconds. */
enum entry_state {
    FREE,
    /* mine */
    TAKING,    /* TAKE under way */
    OPEN,      /* sent, no answer yet */
    PARKED,    /* the same, but gave up its place */
    SENDING,   /* a push on its way out */
    HELD,      /* a transfer whose link died before it was answered */
    RESENDING, /* the same, the link being there again */
    RETURNING, /* a transfer that did not take place: its mass is to be taken back */
    MIXING,    /* MIX under way */
    DROPPED_TAKING,
    FORGOTTEN, /* over; the buffer is still to be given back */
    /* theirs */
    ANSWERING,
    COPYING, /* a pull */
    MERGING, /* a push */
    DROPPED_ANSWERING,
    DROPPED_COPYING,
    DROPPED_MERGING
};

/* Of 28 bytes: the least alignment that the storage has anyway between entries. */
struct __attribute__((packed, aligned(4))) entry {
    uint64_t id;
    uint32_t peer, slice;
    uint32_t buffer; /* mine while nobody else has it; a name, of a push that is SENDING */
    float weight;    /* w; of push-sum the mass */
    uint8_t state, mode, blocked, adopts;
};

struct gossip {
    const struct gossip_config *config;
    uint64_t draws; /* position in this node's RNG_GOSSIP stream; in_turn: peers asked for */
    uint64_t next_id, due_us, period_us;
    uint32_t self, n_peers;
    uint32_t every_steps, steps;  /* since the last offer by steps */
    uint32_t n_stepped;           /* since the start; stays at its greatest */
    uint32_t cursor, due;         /* next slice to offer; slices still to offer */
    uint32_t adopt_peer, adopted; /* from whom; slices that have come */
    float mass;
    uint16_t n_mine, n_theirs;
    uint8_t phase, adopt_broken;
    uint8_t clogged; /* how often the way out was not clear lately, of 255 */
    struct gossip_counts counts;
    struct entry entries[]; /* then, in a run that pushes, the lead of each slice's age; with
                               push-sum, the accounts */
};

enum { CLOGGED_LIMIT = 64 }; /* of `clogged`: from there on one exchange of a slice at once */

/* What a node of the simulator pays for its core (docs/DESIGN.md, section 3). */
enum { CORE_OF_ONE_SLICE = offsetof(struct gossip, entries) + 2 * sizeof(struct entry) + 4 };
_Static_assert(CORE_OF_ONE_SLICE <= 192, "core too large");

static inline uint32_t n_entries(const struct gossip *g)
{
    return (uint32_t)g->config->open_max + g->config->serve_max;
}

static inline uint32_t fanout(const struct gossip *g)
{
    return g->config->fanout > 0 ? g->config->fanout : 1;
}

static inline struct mass_book *book_of(const struct gossip *g)
{
    CHECK(g->config->mode == GOSSIP_PUSH_SUM);
    return (struct mass_book *)(void *)(uintptr_t)(g->entries + n_entries(g));
}

static inline bool is_mine(const struct entry *e)
{
    return e->state >= TAKING && e->state <= FORGOTTEN;
}

/* A transfer of mine that waits for its peer to be linked again. */
static inline bool is_held(const struct entry *e)
{
    return e->state == HELD || e->state == RESENDING;
}

/* Mine and still to be answered. */
static inline bool is_live(const struct entry *e)
{
    return e->state == TAKING || e->state == OPEN || e->state == PARKED || is_held(e);
}

static inline bool is_served(const struct entry *e)
{
    return e->state == ANSWERING || e->state == COPYING || e->state == MERGING;
}

/* A slice's age is 1 + the steps done here + what merging has put it ahead of them. */
static inline uint32_t *lead_of(struct gossip *g, uint32_t slice)
{
    return (uint32_t *)(g->entries + n_entries(g)) + slice;
}

static inline float age_of(struct gossip *g, uint32_t slice)
{
    return (float)(UINT64_C(1) + g->n_stepped + *lead_of(g, slice));
}

static inline struct entry *free_entry(struct gossip *g)
{
    for (uint32_t i = 0; i < n_entries(g); i++)
        if (g->entries[i].state == FREE)
            return &g->entries[i];
    CHECK(false && "n_mine and n_theirs bound the table");
    return NULL;
}

static inline void release(struct gossip *g, struct entry *e)
{
    if (is_mine(e))
        g->n_mine--;
    else
        g->n_theirs--;
    e->state = FREE;
}

static inline struct gossip_action *add(struct gossip_update *out, enum gossip_action_type type)
{
    CHECK(out->n_actions < GOSSIP_ACTIONS_MAX);
    struct gossip_action *action = &out->actions[out->n_actions++];
    action->type = type;
    return action;
}

static inline void forget_buffer(struct gossip_update *out, uint32_t buffer)
{
    if (buffer != GOSSIP_NONE)
        add(out, GOSSIP_FORGET)->buffer = buffer;
}

static inline void send_message(struct gossip *g, struct gossip_update *out, enum gossip_kind kind,
                                const struct entry *e, uint32_t buffer)
{
    add(out, GOSSIP_SEND)->send =
        (struct gossip_message){.kind = kind,
                                .mode = (enum gossip_mode)e->mode,
                                .peer = e->peer,
                                .slice = e->slice,
                                .id = e->id,
                                .buffer = buffer,
                                .weight = e->mode == GOSSIP_PUSH_SUM ? 0.5f : e->weight,
                                .mass = e->mode == GOSSIP_PUSH       ? age_of(g, e->slice)
                                        : e->mode == GOSSIP_PUSH_SUM ? e->weight
                                                                     : g->mass};
}

static inline void add_job(struct gossip *g, struct gossip_update *out,
                           enum gossip_action_type type, const struct entry *e, uint32_t buffer,
                           float c)
{
    struct gossip_action *action = add(out, type);
    action->job.exchange = (uint32_t)(e - g->entries);
    action->job.slice = e->slice;
    action->job.buffer = buffer;
    action->job.peer = e->peer;
    action->job.c = c;
}

static inline void decline(struct gossip *g, struct gossip_update *out,
                           const struct gossip_message *m)
{
    struct gossip_action *action = add(out, GOSSIP_SEND);
    action->send = *m;
    action->send.kind = GOSSIP_DECLINE;
    action->send.buffer = GOSSIP_NONE;
    forget_buffer(out, m->buffer);
    g->counts.refused++;
}

static inline struct entry *serve(struct gossip *g, const struct gossip_message *m,
                                  enum entry_state state)
{
    struct entry *e = free_entry(g);
    *e = (struct entry){.id = m->id,
                        .peer = m->peer,
                        .slice = m->slice,
                        .buffer = m->buffer,
                        .weight = m->weight,
                        .state = (uint8_t)state,
                        .mode = (uint8_t)m->mode,
                        .blocked = 0,
                        .adopts = false};
    g->n_theirs++;
    return e;
}

static inline bool has_place(const struct gossip *g, const struct gossip_message *m)
{
    bool answers = g->phase == GOSSIP_ACTIVE ||
                   (g->phase == GOSSIP_ENDED && m->mode == GOSSIP_PULL);
    return answers && m->buffer != GOSSIP_NONE && g->n_theirs < g->config->serve_max;
}

/* ---- gossip_sum.c -------------------------------------------------------------------------- */

/* A request that has no fault. */
void sum_request(struct gossip *g, struct gossip_update *out, const struct gossip_message *m);

/* A transfer of mine whose link is lost, or all of mine that wait, when nobody waits any more. */
void sum_hold(struct gossip *g, struct entry *e, bool gone);
void sum_give_up(struct gossip *g);

/* Where a place is wanted: the transfer that is held longest keeps its own as long as parking would
 * take. False when none is held. */
bool sum_hold_no_longer(struct gossip *g);

/* The peer is linked again, or, gone, another incarnation of it. */
void sum_link_found(struct gossip *g, uint32_t peer, bool gone);

/* Sends again, or takes back. */
void sum_flush(struct gossip *g, struct gossip_update *out, struct entry *e);

#endif
