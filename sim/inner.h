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
#include "sim/barrier.h"
#include "sim/calendar.h"
#include "sim/parcels.h"
#include "sim/record.h"
#include "sim/sim.h"
#include "sim/topology.h"

#include <pthread.h>

#define SIM_NEVER UINT64_MAX

struct node {
    uint64_t trace;   /* hash chain over all that happened to it */
    uint64_t wake_us; /* when its core wants to be woken, or it starts */
    uint64_t busy_us; /* when the step under way ends; SIM_NEVER: none is */
    struct outbox outbox;
    uint32_t timer_window; /* of its valid entry among the timers */
    uint32_t last_job;     /* a parcel, and the one behind it the first; PARCEL_NONE: none waits */
    uint32_t n_steps;      /* from here on: the learner's */
    float mixed, mix_rate;
    uint16_t n_merged; /* slices since the last step, on-receive */
    bool started;
};
_Static_assert(sizeof(struct node) == 64, "with a core of 192 bytes, 256 in all");

/* A message on its way to dst, or, without a parcel, word that the link to src broke. */
struct letter {
    uint64_t arrival_us, sent_us;
    uint32_t dst, src, number, parcel;
};

struct letters {
    struct letter *items;
    size_t n, max;
};

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
    struct visit *visits, *unsorted;
    uint32_t *starts;
    size_t visits_max;
    /* Mail to the others, and when the next thing happens, for the next window and this one. */
    struct letters out[2][SIM_THREADS_MAX];
    uint64_t next[2];
    uint32_t turn;

    struct parcel_shelf shelf;
    struct flights flights;
    struct workspace workspace;
    struct wire_sum sum;
    uint8_t head[WIRE_HEAD_MAX];
    struct sim_totals totals;
    struct record *record; /* borrowed; NULL: nothing is noted */

    /* The node that is being run. */
    uint64_t now_us;
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
    struct topology topology;
    struct parcels parcels;
    uint32_t *head_bytes; /* [n_slices + 1] of a frame with that slice; the last: of a DECLINE */
    uint64_t *way_out_us; /* [n_nodes] with a limited bandwidth; else NULL */
    char *arena;
    size_t arena_bytes, stride, core_offset, floats_offset;
    uint64_t window_us, cycle_us, now_us, until_us;
    struct barrier barrier;
    pthread_barrier_t gate; /* the start and the end of a run_until */
    bool stop;
    struct worker *workers;       /* NULL in rounds */
    struct rounds *rounds;        /* NULL with gossip */
    struct team *team;            /* evaluates */
    struct evaluator *evaluators; /* [n_threads] */
    struct record_sample *sample; /* NULL: nothing is noted */
    struct record *records;       /* [n_threads], with the sample */
};

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

/* ---- peer.c -------------------------------------------------------------------------------- */

/* The record of a node that starts at start_us, with its first weights in place. */
void peer_init(struct sim *s, uint32_t id, uint64_t start_us);

/* All that happens to a node before end_us: its own deadlines, and n letters in order. */
void peer_run(struct worker *w, uint32_t id, const struct letter *letters,
              const struct visit *visits, size_t n, uint64_t end_us);

/* ---- engine.c ------------------------------------------------------------------------------ */

void engine_init(struct sim *s);
void engine_close(struct sim *s);

/* From a node of this worker. */
void engine_post(struct worker *w, const struct letter *letter);
void engine_set_timer(struct worker *w, uint32_t id, uint64_t window);

#endif
