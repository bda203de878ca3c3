/* Everything that the trainer and the loop thread share: two bounded single-producer
 * single-consumer rings. Atomics live here alone.
 *
 *   loop    --- struct job ---------> trainer      handoff_give_job / handoff_take_job
 *   trainer --- struct completion --> loop         handoff_complete / handoff_take_completion
 *
 * What a job's buffers point to belongs to the trainer from give to completion. Neither side ever
 * waits for the other, but for the trainer when it has nothing to do: handoff_wait. Meanwhile the
 * loop may borrow what the trainer owns, and do its jobs without waking it up.
 */
#ifndef HUBBUB_NODE_HANDOFF_H
#define HUBBUB_NODE_HANDOFF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum job_type {
    JOB_TAKE,   /* buffer = theta slice */
    JOB_ANSWER, /* buffer = theta - buffer, theta -= c buffer */
    JOB_ADD,    /* theta += c buffer */
    JOB_MIX,    /* theta += c (buffer - theta) */
    JOB_COPY,   /* data = theta, for the model file */
    JOB_TRAIN,  /* start stepping at `step` (0: from the start; else weights were adopted) */
    JOB_SETTLE, /* stop stepping; exchanges go on */
    JOB_STOP    /* evaluate what is there and end the thread */
};

struct job {
    enum job_type type;
    uint32_t exchange; /* the gossip core's, for the completion */
    uint32_t buffer;   /* its handle, for the completion */
    uint32_t peer, peer_serial;
    float *data;
    uint64_t offset, count; /* range of theta, floats */
    float c;
    bool measure; /* report moved */
    uint64_t step;
};

/* What the trainer says of itself; everything counts from the start of the thread. */
struct trainer_report {
    uint64_t step, steps_done; /* of the schedule (adopted ones included); done here */
    double epochs, loss;       /* loss: mean over the last 100 steps or so */
    uint64_t step_max_us;      /* longest step, its jobs and pace included */
    uint64_t step_us, job_us;  /* in steps (without jobs); processor time of its own in jobs */
    uint64_t n_evaluations, eval_step;
    double accuracy, test_loss; /* of the last evaluation; 0 before the first */
    bool until_met, target_met; /* some --until; its acc= */
    bool until_failed;          /* met, but acc= was asked for and not reached */
    bool diverged;              /* the loss is no finite number: it steps no more */
};

enum completion_type { COMPLETED_JOB, COMPLETED_REPORT, COMPLETED_STOP };

struct completion {
    enum completion_type type;
    struct job job;
    uint64_t step;                /* of the trainer when the job ran */
    float moved;                  /* relative: |c| ||difference|| / ||theta slice|| */
    uint64_t sum;                 /* of a TAKE or ANSWER: wire_body_sum of what is in the buffer */
    struct trainer_report report; /* of COMPLETED_REPORT and COMPLETED_STOP */
};

struct handoff {
    uint32_t n_jobs_max, n_completions_max; /* powers of two */
    struct job *jobs;
    struct completion *completions;
    _Alignas(64) atomic_uint job_head;
    _Alignas(64) atomic_uint job_tail;
    _Alignas(64) atomic_uint completion_head;
    _Alignas(64) atomic_uint completion_tail;
    _Alignas(64) atomic_bool sleeping;
    atomic_ullong swarm_step;
    atomic_uint swarm_accuracy; /* in millionths */
    atomic_uint factor;         /* in millionths */
    atomic_uint stride;         /* report at least every so many steps */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    void (*notify)(void *); /* wakes the loop; any thread, coalescing allowed */
    void *notify_ctx;
};

/* Up to n_jobs jobs may be under way (given and not yet taken back as completions). */
void handoff_init(struct handoff *h, uint32_t n_jobs, void (*notify)(void *), void *notify_ctx);
void handoff_close(struct handoff *h);

/* Loop thread. CHECKs that there is room: the gossip core's table bounds the jobs. */
void handoff_give_job(struct handoff *h, const struct job *job);
/* The same in two parts. What was left must be seen to before the loop sleeps: handoff_borrow, or
 * handoff_wake. */
void handoff_leave_job(struct handoff *h, const struct job *job);
void handoff_wake(struct handoff *h);
bool handoff_take_completion(struct handoff *h, struct completion *c);
/* True: the trainer sleeps in handoff_wait, and until handoff_return (no handoff_give_job or
 * handoff_wake before it) goes on to do so; all that it owns, its side of the rings too, is the
 * caller's. False: it is awake, and looks for jobs before it sleeps. */
bool handoff_borrow(struct handoff *h);
void handoff_return(struct handoff *h);
void handoff_set_stride(struct handoff *h, uint32_t n_steps);
void handoff_set_swarm_step(struct handoff *h, uint64_t step);
void handoff_set_swarm_accuracy(struct handoff *h, double accuracy);
void handoff_set_factor(struct handoff *h, float factor);

/* Trainer thread. */
bool handoff_has_job(const struct handoff *h);
bool handoff_take_job(struct handoff *h, struct job *job);
/* The loop looks for it after the next handoff_notify, or sooner. Waking it up for each would let
 * every slice leave alone, and wake up the peer's side for each too. */
void handoff_complete(struct handoff *h, const struct completion *c);
void handoff_notify(struct handoff *h);
/* Dropped, false, when the loop is behind: reports are cumulative. */
bool handoff_report(struct handoff *h, const struct trainer_report *report);
uint32_t handoff_stride(const struct handoff *h);
/* How far most peers are, as last heard. */
uint64_t handoff_swarm_step(const struct handoff *h);
/* What a gradient counts for, as last said; 1 before. */
float handoff_factor(const struct handoff *h);
/* Over the test data of all peers, as last heard; 0 before. */
double handoff_swarm_accuracy(const struct handoff *h);
/* Sleeps until a job is there or clock_us() >= deadline_us. */
void handoff_wait(struct handoff *h, uint64_t deadline_us);

#endif
