/* A learner: theta and the optimiser's state, a shard and the place in it.
 *
 * The node's trainer thread and the simulator run the same one. A learner is small and takes its
 * floats from the caller; what a step works in is a workspace, one a thread. Nothing here
 * allocates but workspace_init and evaluator_init. One thread at a time.
 */
#ifndef HUBBUB_MODEL_LEARNER_H
#define HUBBUB_MODEL_LEARNER_H

#include "base/clock.h"
#include "base/team.h"
#include "data/batches.h"
#include "model/model.h"
#include "model/optim.h"

/* What the learners of a run share. */
struct learner_config {
    const struct model *model; /* borrowed, as is train */
    const struct dataset *train;
    struct optim_config optim;
    uint32_t batch;
    uint64_t seed;      /* first weights and sample order */
    const float *first; /* [dim]: first weights, read by learner_init; NULL: from the seed */
    /* Each takes its part of a batch, or of theta. The result depends on their number, not on
     * which is faster. 0 is 1; never more than batch. */
    uint32_t n_threads;
};

struct learner {
    const struct learner_config *config; /* borrowed, as are the rows of the shard */
    struct shard shard;
    uint32_t node;   /* names this peer's sample order */
    float factor;    /* what its gradient counts for (model/objective.h); 1, the owner's to set */
    float *theta;    /* [dim], in the caller's storage like momentum */
    float *momentum; /* [dim]: v, m-hat of OPTIM_QGM, m of OPTIM_ADAMW; NULL: no state is kept */
    float *second;   /* [dim]: s of OPTIM_ADAMW; else NULL */
    struct qgm *qgm; /* among those floats; NULL unless OPTIM_QGM */
    uint64_t age;    /* steps since the optimiser's state was zero */
    uint64_t step;   /* steps done */
    uint64_t swarm_step; /* where the schedule stands, if further than step; the owner's to set */
};

/* What one thread of a step works in. */
struct workspace_part {
    uint32_t first, n; /* its samples of the batch */
    float *x, *scratch;
    float *grad; /* [dim]; NULL on one thread where optim_wants_gradient says no */
    double loss; /* mean over its samples */
};

/* Rows of a minibatch: of which step, node and shard. */
struct drawn {
    uint32_t *rows;
    const uint32_t *shard_rows;
    uint64_t step; /* UINT64_MAX: of none */
    uint32_t node;
};

enum { LEARNER_BLOCK = 65536 };

/* What a step works in. */
struct workspace {
    struct team *team;
    struct workspace_part parts[TEAM_MAX];
    union target *y;
    struct drawn drawn[2];  /* of this step, and what was fetched for a later one */
    uint32_t last_drawn;    /* 0 or 1 */
    bool is_direct;         /* one thread, and the model goes the direct way (model/direct.h) */
    uint64_t kernels_ticks; /* in gathering batches, model and optimiser, where is_timed */
    bool is_timed;          /* the owner's to set */
    bool is_shared; /* the owner's to set: learners take turns, so one's next batch is not fetched
                       while it updates */
    /* The owner's to set; NULL: nobody looks. Called in a step of one thread for each range of
     * theta once it has moved, and while it is in the cache: blocks of LEARNER_BLOCK floats from
     * the last to the first, each from its start to its end. What it does to the range, by the
     * jobs of an exchange, is as if it were done after the step. */
    void (*moved)(void *ctx, uint64_t offset, uint64_t n);
    void *moved_ctx;
};

void workspace_init(struct workspace *w, const struct learner_config *config);

/* To time what is done in it; 0 where that is not wanted. */
static inline uint64_t workspace_ticks(const struct workspace *w)
{
    return w->is_timed ? clock_ticks() : 0;
}

void workspace_close(struct workspace *w);

/* Floats of theta and the optimiser's state, if it has any. */
uint64_t learner_floats(const struct learner_config *config);

/* storage [learner_floats], aligned to MEM_ALIGN, stays the caller's and holds the learner's
 * floats from here on. */
void learner_init(struct learner *l, const struct learner_config *config, const struct shard *shard,
                  uint32_t node, float *storage);

/* Goes on in other floats of the same layout, as they are. */
void learner_move(struct learner *l, float *storage);

/* The optimiser's state is as before the first step. */
void learner_forget(struct learner *l);

/* Draws what a learner's step (from 0) will gather, and asks the memory for it if it is little, for
 * who has something else to do before it, such as a step of another one: that drives a batch of
 * 50 KB out of the cache again, and to ask for it twice takes 1.5 % of an mlp:784-32-10's step. */
void learner_fetch(const struct learner_config *config, const struct shard *shard, uint32_t node,
                   uint64_t step, struct workspace *w);

/* One minibatch: gather, gradient, update. Returns the batch's mean loss before the update. */
double learner_step(struct learner *l, struct workspace *w);

/* learner_step in two halves, for a gradient that is averaged with those of others in between.
 * First the next minibatch's, into grad [dim], on a workspace of one thread; returns its mean loss.
 * Then the step with grad. */
double learner_gradient(struct learner *l, struct workspace *w, float *grad);
void learner_update(struct learner *l, const float *grad);

/* Samples drawn so far over the size of the shard. */
double learner_epochs(const struct learner *l);

/* Goes on as if `step` steps had been done: schedule and sample order follow; the optimiser's state
 * is zero. For a newcomer that took over a peer's weights. */
void learner_resume(struct learner *l, uint64_t step);

/* The jobs of an exchange on theta[offset, offset + n). They keep the optimiser's state true
 * to the mixing (OPTIM_QGM takes its momentum from the displacement of theta, mixing included);
 * the state of the others speaks of this peer's own gradients and stays. Taking over weights as
 * they are (learner_mix with c = 1) sets it to zero. */

/* out = theta. */
void learner_take(const struct learner *l, uint64_t offset, uint64_t n, float *out);

/* The responder's half, indivisible: buffer = theta - buffer, theta -= c * buffer. */
void learner_answer(struct learner *l, uint64_t offset, uint64_t n, float c, float *buffer);

/* The initiator's: theta += c * difference. */
void learner_add(struct learner *l, uint64_t offset, uint64_t n, float c, const float *difference);

/* One-sided: theta += c * (theirs - theta); c = 1 copies. */
void learner_mix(struct learner *l, uint64_t offset, uint64_t n, float c, const float *theirs);

/* An evaluation in pieces, on a snapshot, so that training and exchanges go on in between. */
struct evaluator {
    const struct model *model;
    const struct dataset *test;
    float *theta; /* snapshot [dim]; owned */
    float *x, *scratch;
    union target *y;
    uint32_t *rows;
    uint32_t next; /* next sample; n_samples when finished */
    uint64_t step; /* of the snapshot */
    struct evaluation sum;
};

void evaluator_init(struct evaluator *e, const struct model *model, const struct dataset *test);
void evaluator_close(struct evaluator *e);
void evaluator_start(struct evaluator *e, const float *theta, uint64_t step);

/* Evaluates the next 250 samples or so; true while some remain. */
int evaluator_run(struct evaluator *e);

#endif
