/* The trainer thread: owns theta, optimiser and shard; steps, and runs the jobs of exchanges
 * between two minibatches and between two pieces of an evaluation. While it sleeps, the loop's
 * thread may run them. */
#ifndef HUBBUB_NODE_TRAINER_H
#define HUBBUB_NODE_TRAINER_H

#include "model/learner.h"
#include "net/wire.h"
#include "node/handoff.h"
#include "node/snapshot.h"

/* --until: 0 stands for "not asked". Whichever is met first ends the training. */
struct until {
    double epochs, accuracy;
    uint64_t steps, duration_us;
};

struct trainer_config {
    struct learner_config learner;
    const struct shard *part; /* borrowed */
    const struct dataset *test;
    struct until until;
    bool alone;          /* no peer to train on for once --until is met: no step more */
    bool swarm_accuracy; /* --until acc= is the swarm's, not that on `test` */
    double eval_epochs;  /* epochs between evaluations; 0: only at the end */
    uint64_t pace_us;    /* least time a step takes, waiting idly; on average where it was late */
    double slow;         /* >= 1: each step takes so many times as long, as if computing */
    struct snapshots snapshots;
    uint32_t shard; /* names the sample order and the snapshots */
};

enum { TRAINER_MERGED_MAX = 16 };

/* A job that is done piece by piece, as the update of a step comes by. */
struct merged_job {
    struct job job;
    struct wire_sum sum; /* of its buffer, if it fills it */
};

struct trainer {
    struct trainer_config config;
    struct handoff *handoff;
    struct learner learner;
    struct workspace workspace;
    float *storage; /* the learner's */
    struct evaluator evaluator;
    struct wire_sum sum; /* of a buffer being filled */
    struct merged_job merged[TRAINER_MERGED_MAX];
    uint32_t n_merged;
    uint64_t merged_us;   /* processor time spent in them, of this step */
    struct job waiting;   /* that was taken, and is for after the step */
    bool is_taken, waits; /* jobs have been taken for this step; one is `waiting` */
    struct trainer_report report;
    pthread_t thread;
    bool evaluating, stepping;
    uint64_t started_us, stop_us, next_report_us, steps_reported;
    uint64_t step_end_us; /* by the pace: of the step under way, or the last one */
    double next_eval;
};

/* Prepares theta; the thread starts with trainer_start and ends after JOB_STOP, when its last
 * completion is COMPLETED_STOP. After trainer_join theta is the caller's to read. */
void trainer_init(struct trainer *t, const struct trainer_config *config, struct handoff *handoff);
void trainer_start(struct trainer *t);
void trainer_join(struct trainer *t);
void trainer_close(struct trainer *t);

/* Runs the jobs that wait, up to a JOB_STOP; false: none did. For the loop's thread too, between
 * handoff_borrow and handoff_return, and after trainer_join: then nothing changes theta any more.
 */
bool trainer_run_jobs(struct trainer *t);

/* When a step of the given length that starts now ends, if computing does not take longer. A wait
 * ends late by what the system takes to wake a thread, so steps are as long as they should be from
 * one end to the next: a late one is made up for, unless it was late by a whole step. last_end_us:
 * of the step before, 0 of the first. */
uint64_t trainer_step_end(uint64_t last_end_us, uint64_t start_us, uint64_t length_us);

/* The number of steps that --until comes to, or 0 when it names no epochs or steps. */
uint64_t until_steps(const struct until *until, uint32_t n_samples, uint32_t batch);

#endif
