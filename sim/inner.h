/* Between the parts of the simulator; not for other rooms.
 *
 *   engine.c   windows of virtual time, threads, what crosses between them
 *   peer.c     a node: drives its core, runs its jobs and steps
 *   sim.c      the start and the end
 *   measure.c  what is known of the nodes from outside
 *   record.c, details.c  what is noted on the way for a report, of a sample
 *
 * A node is one contiguous record of the arena: struct node, its core, its floats. */
#ifndef HUBBUB_SIM_INNER_H
#define HUBBUB_SIM_INNER_H

#include "base/mem.h"
#include "base/team.h"
#include "net/wire.h"
#include "sim/calendar.h"
#include "sim/churn.h"
#include "sim/parcels.h"
#include "sim/record.h"
#include "sim/sim.h"
#include "sim/topology.h"

#include <pthread.h>

#define SIM_NEVER UINT64_MAX

struct node {
    uint64_t trace;   /* hash chain over all that happened to it */
    uint64_t wake_us; /* when its core wants to be woken, or it starts */
    uint64_t busy_us; /* when the step under way, or the rest after it, ends; SIM_NEVER: none is */
    struct outbox outbox;
    uint64_t latency_us; /* where that is foreseen: of its next message */
    uint32_t first_job;  /* a parcel, in whose list the others are up to the last */
    uint32_t last_job;   /* PARCEL_NONE: none waits */
    uint32_t n_steps;    /* the learner's */
    uint16_t n_merged;   /* slices since the last step, on-receive */
    bool started, rests; /* rests: the step is computed, and its pace is waited out */
};
_Static_assert(sizeof(struct node) == 64, "with a core of 192 bytes, 256 in all");

/* A message on its way to dst; or, without a parcel, word that the link to src broke and what was
 * sent on it before sent_us is lost; or, from dst itself, word that a push has left. */
struct letter {
    uint64_t arrival_us, sent_us;
    uint32_t dst, src, number, parcel;
};

/* In its number: it has been through its receiver's way in. */
#define LETTER_IS_IN (UINT32_C(1) << 31)

struct timer {
    uint64_t day;
    uint32_t node, reach;
};

/* The days that are run next: in the first something happens, and nothing that happens in them
 * reaches another node before their end. */
struct window {
    uint64_t first, end;
};

/* What a thread has for the nodes of another: letters, and timers of those that it ran. */
struct mail {
    struct letter *letters;
    struct timer *timers;
    size_t n_letters, letters_max, n_timers, timers_max;
};

/* It is handed over between two windows, with the window that would be next for all that the thread
 * knows: in one line of memory, which the other waits for. */
struct handover {
    _Alignas(MEM_ALIGN) _Atomic uint64_t round; /* that the rest is of */
    struct window next;
    const struct letter *letters;
    const struct timer *timers;
    size_t n_letters, n_timers;
};
_Static_assert(sizeof(struct handover) == MEM_ALIGN, "one line");

/* Something that happens to a node in this window. */
struct visit {
    uint32_t node;
    uint32_t letter; /* number among those due; UINT32_MAX: a timer */
};

struct worker {
    _Alignas(MEM_ALIGN) struct sim *sim; /* no line of memory belongs to two workers */
    uint32_t index, first, end;          /* its nodes */
    pthread_t thread;

    struct calendar timers, letters; /* of uint32_t, of struct letter */
    struct calendar_items timers_due, letters_due;
    struct visit *visits, *apart;
    uint32_t *starts;
    size_t n_visits, visits_max;
    uint64_t *seen, *again; /* a bit a node: it is listed, twice or more */
    /* Visits listed above are run in portions, by whoever has time: the next one to be taken, and,
     * in the upper half, of which window they are. */
    _Alignas(MEM_ALIGN) _Atomic uint64_t ticket;
    /* To the others, in odd rounds and in even ones. */
    struct handover over[2][SIM_THREADS_MAX];
    struct mail out[2][SIM_THREADS_MAX];
    struct window next;  /* for all that is in the mail */
    uint64_t round;      /* in which all meet next, from 1 on */
    uint32_t days_ahead; /* how many the next window may have */

    struct parcel_shelf shelf;
    struct flights flights; /* of its nodes */
    struct workspace workspace;
    uint8_t head[WIRE_HEAD_MAX];
    struct sim_totals totals;
    struct sim_counts counts; /* of cores that have ended */
    struct staleness staleness;
    struct record *record; /* borrowed; NULL: nothing is noted */

    /* The node that is being run, and whose it is. */
    struct worker *owner;
    uint64_t now_us;
    uint64_t timer_us; /* its deadline when it was picked up, which it has a timer for */
    struct node *node;
    uint32_t id;
    struct learner learner;
    bool in_jobs;
};

struct rounds;

struct sim {
    struct sim_config config;
    struct data_pair data;
    struct model model;
    struct learner_config learner_config;
    struct gossip_config gossip_config;
    struct split split;
    double mean_samples, mean_speed; /* of a peer; steps a us, 0: all are as fast as each other */
    double evenness;                 /* of their speeds (model/objective.h) */
    float factor;                    /* of every peer's gradients; 0: it differs */
    struct topology topology;
    struct parcels parcels;
    uint32_t *head_bytes; /* [n_slices + 1] of a frame with that slice; the last: of a DECLINE */
    uint64_t *way_out_us, *way_in_us; /* [n_nodes] with a limited bandwidth; else NULL */
    _Atomic uint64_t longest_us;      /* that a message took; kept with a limited bandwidth */
    struct churn churn;
    struct life *lives; /* [n_nodes] where nodes come and go; else NULL */
    float *first;       /* [dim] the first weights, with lives */
    char *arena;
    size_t arena_bytes, stride, core_offset, floats_offset;
    uint64_t day_us, days_a_us; /* the floor of latencies; its inverse, 2^64 times */
    uint64_t cycle_us, now_us, until_us;
    pthread_barrier_t gate; /* the start and the end of a run_until */
    bool stop;
    bool shares;   /* threads run each other's nodes */
    bool foresees; /* a node sends nothing but what its deadlines say: reach_of in peer.c */
    struct worker *workers;       /* NULL in rounds */
    struct rounds *rounds;        /* NULL with gossip */
    struct team *team;            /* evaluates */
    struct evaluator *evaluators; /* [n_threads] */
    struct record_sample *sample; /* NULL: nothing is noted */
    struct record *records;       /* [n_threads], with the sample */
    struct check *check;          /* NULL without --check */
};

/* Which day that is: time_us / day_us, by the inverse. What that lost on being rounded down is one
 * at most. */
static inline uint64_t sim_day(const struct sim *s, uint64_t time_us)
{
    uint64_t day = (uint64_t)((unsigned __int128)time_us * s->days_a_us >> 64);
    return day + (time_us - day * s->day_us >= s->day_us);
}

static inline struct node *sim_node(const struct sim *s, uint32_t id)
{
    return (struct node *)(void *)(s->arena + id * s->stride);
}

static inline struct gossip *node_core(const struct sim *s, struct node *node)
{
    return (struct gossip *)(void *)((char *)node + s->core_offset);
}

static inline float *node_floats(const struct sim *s, struct node *node)
{
    return (float *)(void *)((char *)node + s->floats_offset);
}

static inline uint64_t slice_offset(uint32_t slice)
{
    return (uint64_t)slice * GOSSIP_SLICE_FLOATS;
}

static inline uint32_t slice_count(const struct sim *s, uint32_t slice)
{
    uint64_t left = s->model.dim - slice_offset(slice);
    return (uint32_t)(left < GOSSIP_SLICE_FLOATS ? left : GOSSIP_SLICE_FLOATS);
}

/* ---- measure.c ----------------------------------------------------------------------------- */

void sim_add_counts(struct sim_counts *sum, const struct sim_counts *c);
struct sim_counts sim_counts_of(const struct gossip *core);

/* ---- peer.c -------------------------------------------------------------------------------- */

/* The record of a node that starts at start_us, with its first weights in place. */
void peer_init(struct sim *s, uint32_t id, uint64_t start_us);

/* What a peer's gradients count for (model/objective.h). */
float peer_factor(const struct sim *s, uint32_t id, uint32_t n_samples);

/* Its first deadline. */
void peer_set_timer(struct worker *w, uint32_t id);

/* A node will make a step next: its samples are asked for, and during the step of the one before
 * its weights, if they are many. */
void peer_expect(struct worker *w, uint32_t id);

/* All that happens to a node before end_us: its own deadlines, and n letters in order. */
void peer_run(struct worker *w, uint32_t id, const struct letter *letters,
              const struct visit *visits, size_t n, uint64_t end_us);

/* The core of the node that is being run. */
void peer_drive(struct worker *w, struct gossip_event *event);

/* Its core and its training begin. */
void peer_start(struct worker *w, enum gossip_phase phase);
void peer_begin_step(struct worker *w);

/* Something that only its life knows happens to it; n: of its kind. */
enum peer_happening { PEER_CRASHED = 16, PEER_STARTED, PEER_ADOPTED };
void peer_trace(struct worker *w, enum peer_happening what, uint32_t n);

/* Jobs that wait, and what they hold, are gone. */
void peer_drop_jobs(struct worker *w);

/* ---- life.c: nodes that come and go ---------------------------------------------------------- */

/* Beside struct node, so that a node that always is costs nothing for it. */
struct life {
    uint64_t change_us, retry_us; /* the next crash or start; when to ask again for weights */
    uint64_t draws;
    uint32_t n_tries, resumed; /* attempts at adopting; steps taken over */
    uint32_t heard_steps;      /* of the peer that is being adopted */
    bool down, joining;
};

/* ERR_USAGE. The schedule of all nodes, and their lives if any changes. */
int life_open(struct sim *s, struct error *err) MUST_USE;
void life_close(struct sim *s);

/* When its life changes or wants something next; SIM_NEVER without lives. */
static inline uint64_t life_next_us(const struct sim *s, uint32_t id)
{
    const struct life *l = s->lives + id;
    if (s->lives == NULL)
        return SIM_NEVER;
    return l->change_us < l->retry_us ? l->change_us : l->retry_us;
}

/* That moment has come for the node that is being run. */
RARELY void life_happen(struct worker *w);

/* What its core says of an adoption. */
RARELY void life_adopted(struct worker *w);
RARELY void life_adopt_failed(struct worker *w);

/* The other end learns that src, the node that is being run, crashed at crash_us. */
void life_tell(struct worker *w, uint32_t dst, uint64_t crash_us);

/* ---- way_in.c: the bandwidth of a receiver ----------------------------------------------------
 */

/* Of the n letters that are at the door of a node: those that come in before end_us, in the order
 * in which they do. The others wait for a later window. Returns how many. */
size_t way_in_pass(struct worker *w, uint32_t id, struct letter *letters, struct visit *visits,
                   size_t n, uint64_t end_us);

/* The order in which nodes meet what happens to them; letters: the array that visits point into. */
int visit_compare(const void *a, const void *b, void *letters);

/* A message may be under way for so long. */
static inline void way_note_longest(struct sim *s, uint64_t us)
{
    uint64_t longest = atomic_load_explicit(&s->longest_us, memory_order_relaxed);
    while (us > longest &&
           !atomic_compare_exchange_weak_explicit(&s->longest_us, &longest, us,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* ---- engine.c ------------------------------------------------------------------------------ */

void engine_init(struct sim *s);
void engine_close(struct sim *s);

/* From the node that is being run. reach: as calendar_place has it. */
void engine_post(struct worker *w, const struct letter *letter);
void engine_set_timer(struct worker *w, uint32_t id, uint64_t day, uint32_t reach);

#endif
