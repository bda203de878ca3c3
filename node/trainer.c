#include "node/trainer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "net/gossip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_US = 100000 };

uint64_t until_steps(const struct until *until, uint32_t n_samples, uint32_t batch)
{
    uint64_t steps = until->steps;
    if (until->epochs > 0) {
        uint64_t n = (uint64_t)ceil(until->epochs * n_samples / batch);
        steps = steps == 0 || n < steps ? n : steps;
    }
    return steps;
}

static void on_moved(void *ctx, uint64_t offset, uint64_t n);

void trainer_init(struct trainer *t, const struct trainer_config *config, struct handoff *handoff)
{
    *t = (struct trainer){.config = *config, .handoff = handoff};
    t->storage = MEM_NEW(float, learner_floats(&t->config.learner));
    learner_init(&t->learner, &t->config.learner, config->part, config->shard, t->storage);
    workspace_init(&t->workspace, &t->config.learner);
    evaluator_init(&t->evaluator, config->learner.model, config->test);
    wire_sum_init(&t->sum);
    for (int i = 0; i < TRAINER_MERGED_MAX; i++)
        wire_sum_init(&t->merged[i].sum);
    t->workspace.moved = on_moved;
    t->workspace.moved_ctx = t;
}

void trainer_close(struct trainer *t)
{
    workspace_close(&t->workspace);
    free(t->storage);
    evaluator_close(&t->evaluator);
    wire_sum_close(&t->sum);
    for (int i = 0; i < TRAINER_MERGED_MAX; i++)
        wire_sum_close(&t->merged[i].sum);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

/* How far an exchange moves theta, relative to it. */
static float relative_move(const struct learner *l, const struct job *job)
{
    const float *x = l->theta + job->offset;
    double moved = job->type == JOB_ADD ? vec_norm_sq(job->data, job->count)
                                        : vec_distance_sq(job->data, x, job->count);
    double norm = vec_norm_sq(x, job->count);
    return moved == 0 ? 0 : (float)(fabs((double)job->c) * sqrt(moved / (norm > 0 ? norm : 1)));
}

static void start_training(struct trainer *t, uint64_t step)
{
    if (step > 0)
        learner_resume(&t->learner, step);
    t->stepping = true;
    t->started_us = clock_us();
    double every = t->config.eval_epochs;
    t->next_eval = every > 0 ? floor(learner_epochs(&t->learner) / every + 1) * every : 0;
}

/* A job's work on theta[at, at + n), a part of its range; of one that fills its buffer, with the
 * sum of that: in pieces, so that it is read out of the nearest cache. */
static void run_range(struct trainer *t, const struct job *job, struct wire_sum *sum, uint64_t at,
                      uint64_t n)
{
    enum { PIECE = 2048 };
    struct learner *l = &t->learner;
    float *data = job->data + (at - job->offset);
    if (job->type == JOB_ADD) {
        learner_add(l, at, n, job->c, data);
        return;
    }
    if (job->type == JOB_MIX) {
        learner_mix(l, at, n, job->c, data);
        return;
    }
    for (uint64_t i = 0; i < n; i += PIECE) {
        uint64_t k = n - i < PIECE ? n - i : PIECE;
        if (job->type == JOB_TAKE)
            learner_take(l, at + i, k, data + i);
        else
            learner_answer(l, at + i, k, job->c, data + i);
        wire_sum_add(sum, data + i, k * sizeof(float));
    }
}

static bool fills_buffer(const struct job *job)
{
    return job->type == JOB_TAKE || job->type == JOB_ANSWER;
}

/* sum: of its buffer, if it fills it. */
static void complete_job(struct trainer *t, const struct job *job, const struct wire_sum *sum,
                         float moved)
{
    struct completion c = {
        .type = COMPLETED_JOB, .job = *job, .step = t->learner.step, .moved = moved};
    if (fills_buffer(job))
        c.sum = wire_sum_get(sum);
    handoff_complete(t->handoff, &c);
}

static void run_job(struct trainer *t, const struct job *job)
{
    float moved = 0;
    switch (job->type) {
    case JOB_TAKE:
    case JOB_ANSWER:
    case JOB_ADD:
    case JOB_MIX:
        if (t->stop_us > 0 && job->type != JOB_TAKE)
            break; /* what was tested last is what is saved */
        if (job->measure && job->type != JOB_TAKE)
            moved = relative_move(&t->learner, job);
        wire_sum_start(&t->sum);
        run_range(t, job, &t->sum, job->offset, job->count);
        break;
    case JOB_COPY:
        learner_take(&t->learner, job->offset, job->count, job->data);
        break;
    case JOB_TRAIN:
        start_training(t, job->step);
        return;
    case JOB_SETTLE:
        t->stepping = false;
        return;
    case JOB_STOP:
        t->stepping = false;
        t->stop_us = clock_us();
        return;
    }
    complete_job(t, job, &t->sum, moved);
}

static bool take_job(struct trainer *t, struct job *job)
{
    if (!t->waits)
        return handoff_take_job(t->handoff, job);
    *job = t->waiting;
    t->waits = false;
    return true;
}

bool trainer_run_jobs(struct trainer *t)
{
    struct job job = {.type = JOB_TAKE};
    bool some = false;
    while (job.type != JOB_STOP && take_job(t, &job)) {
        run_job(t, &job);
        some = true;
    }
    return some;
}

static void run_jobs(struct trainer *t)
{
    if (!t->waits && !handoff_has_job(t->handoff))
        return;
    uint64_t start = clock_thread_us();
    if (!trainer_run_jobs(t))
        return;
    t->report.job_us += clock_thread_us() - start;
    handoff_notify(t->handoff);
}

/* ---- jobs that are merged into a step ------------------------------------------------------- */

_Static_assert((int)LEARNER_BLOCK == (int)GOSSIP_SLICE_FLOATS,
               "a slice is updated from its start to its end");

/* An exchange's, of one block, so that its buffer is filled from its start to its end. */
static bool can_be_merged(const struct job *job)
{
    bool exchanges = fills_buffer(job) || job->type == JOB_ADD || job->type == JOB_MIX;
    return exchanges && !job->measure && job->count > 0 &&
           job->offset / LEARNER_BLOCK == (job->offset + job->count - 1) / LEARNER_BLOCK;
}

/* Jobs keep their order, so those behind one that has to wait do, too. */
static void take_jobs_to_merge(struct trainer *t)
{
    struct job job;
    t->is_taken = true;
    while (!t->waits && handoff_take_job(t->handoff, &job)) {
        if (t->n_merged == TRAINER_MERGED_MAX || !can_be_merged(&job)) {
            t->waiting = job;
            t->waits = true;
            return;
        }
        struct merged_job *m = &t->merged[t->n_merged++];
        m->job = job;
        wire_sum_start(&m->sum);
    }
}

/* A range of theta has been updated, and is in the cache: the turn of the jobs that came during the
 * step. */
static void on_moved(void *ctx, uint64_t offset, uint64_t n)
{
    struct trainer *t = ctx;
    if (!t->is_taken)
        take_jobs_to_merge(t);
    if (t->n_merged == 0)
        return;
    uint64_t start = clock_thread_us();
    for (uint32_t i = 0; i < t->n_merged; i++) {
        const struct job *job = &t->merged[i].job;
        uint64_t end = job->offset + job->count;
        uint64_t from = offset > job->offset ? offset : job->offset;
        uint64_t to = offset + n < end ? offset + n : end;
        if (from < to)
            run_range(t, job, &t->merged[i].sum, from, to - from);
    }
    t->merged_us += clock_thread_us() - start;
}

/* The step is over, and with it the jobs that were merged into it. Returns what they took. */
static uint64_t complete_merged(struct trainer *t)
{
    uint64_t took_us = t->merged_us;
    for (uint32_t i = 0; i < t->n_merged; i++)
        complete_job(t, &t->merged[i].job, &t->merged[i].sum, 0);
    if (t->n_merged > 0)
        handoff_notify(t->handoff);
    t->report.job_us += took_us;
    t->n_merged = 0;
    t->merged_us = 0;
    t->is_taken = false;
    return took_us;
}

/* Runs jobs as they come until the deadline. */
static void serve_until(struct trainer *t, uint64_t deadline_us)
{
    while (t->stop_us == 0 && clock_us() < deadline_us) {
        handoff_wait(t->handoff, deadline_us);
        run_jobs(t);
    }
}

/* ---- steps --------------------------------------------------------------------------------- */

static void check_until(struct trainer *t)
{
    const struct until *u = &t->config.until;
    struct trainer_report *r = &t->report;
    double accuracy = t->config.swarm_accuracy ? handoff_swarm_accuracy(t->handoff) : r->accuracy;
    r->target_met |= u->accuracy > 0 && r->n_evaluations > 0 && accuracy >= u->accuracy;
    uint64_t steps = until_steps(u, t->config.part->n, t->config.learner.batch);
    bool over = (steps > 0 && r->step >= steps) ||
                (u->duration_us > 0 && t->stepping && clock_us() - t->started_us >= u->duration_us);
    r->until_met |= r->target_met || over;
    r->until_failed = r->until_met && u->accuracy > 0 && !r->target_met;
}

static void report(struct trainer *t, bool now)
{
    struct trainer_report *r = &t->report;
    bool met_before = r->until_met;
    r->step = t->learner.step;
    r->epochs = learner_epochs(&t->learner);
    check_until(t);
    bool due = r->steps_done - t->steps_reported >= handoff_stride(t->handoff) ||
               clock_us() >= t->next_report_us;
    if ((due || now || r->until_met != met_before) && handoff_report(t->handoff, r)) {
        t->steps_reported = r->steps_done;
        t->next_report_us = clock_us() + REPORT_US;
    }
}

static void evaluate_piece(struct trainer *t)
{
    t->evaluating = evaluator_run(&t->evaluator);
    if (t->evaluating)
        return;
    const struct evaluation *sum = &t->evaluator.sum;
    t->report.accuracy = evaluation_accuracy(t->config.learner.model, sum);
    t->report.test_loss = sum->loss_sum / (double)sum->n;
    t->report.eval_step = t->evaluator.step;
    t->report.n_evaluations++;
    report(t, true);
}

static void start_evaluation(struct trainer *t)
{
    evaluator_start(&t->evaluator, t->learner.theta, t->learner.step);
    t->evaluating = true;
}

uint64_t trainer_step_end(uint64_t last_end_us, uint64_t start_us, uint64_t length_us)
{
    bool keeps_up = start_us < last_end_us + length_us;
    return (keeps_up ? last_end_us : start_us) + length_us;
}

/* One step takes max(compute, pace) * slow. The pace is waited out idly, jobs run as they come and
 * the evaluation goes on; the slow-down is time in which nothing else happens, like computing. */
static void step(struct trainer *t)
{
    const struct trainer_config *c = &t->config;
    struct trainer_report *r = &t->report;
    uint64_t start = clock_us(), length = (uint64_t)(c->slow * (double)c->pace_us);
    uint64_t deadline = t->step_end_us = trainer_step_end(t->step_end_us, start, length);
    /* At rest: the jobs that waited for the last step have run. */
    snapshot_write(&t->config.snapshots, c->shard + 1, t->learner.theta, c->learner.model->dim);
    /* A slow peer whose learning rate is still high while that of the others has decayed would
     * pull the swarm to its own shard. */
    t->learner.swarm_step = handoff_swarm_step(t->handoff);
    t->learner.factor = handoff_factor(t->handoff);
    double loss = learner_step(&t->learner, &t->workspace);
    uint64_t jobs_us = complete_merged(t);
    r->steps_done++;
    r->diverged = !isfinite(loss);
    if (r->diverged) {
        t->stepping = false;
        report(t, true);
        return;
    }
    r->loss += (loss - r->loss) / (double)(r->steps_done < 100 ? r->steps_done : 100);
    if (c->slow > 1) {
        uint64_t took = clock_us() - start - jobs_us;
        uint64_t least = took > c->pace_us ? took : c->pace_us;
        clock_sleep_until(start + jobs_us + took + (uint64_t)((c->slow - 1) * (double)least));
    }
    r->step_us += clock_us() - start - jobs_us;
    report(t, false);
    if (c->eval_epochs > 0 && r->epochs >= t->next_eval && !t->evaluating) {
        t->next_eval += c->eval_epochs;
        start_evaluation(t);
    }
    run_jobs(t);
    if (t->evaluating)
        evaluate_piece(t);
    /* In the idle time of the pace, while a piece (some milliseconds at most) still fits. */
    while (t->evaluating && clock_us() + c->pace_us / 2 < deadline) {
        run_jobs(t);
        evaluate_piece(t);
    }
    serve_until(t, deadline);
    uint64_t total = clock_us() - start;
    if (total > r->step_max_us)
        r->step_max_us = total;
}

static void *run(void *arg)
{
    struct trainer *t = arg;
    while (t->stop_us == 0) {
        run_jobs(t);
        if (t->stop_us > 0)
            break;
        bool rests = t->config.alone && t->report.until_met;
        if (t->stepping && !rests) {
            step(t);
            continue;
        }
        handoff_wait(t->handoff, clock_us() + SECOND_US);
        if (t->stepping) /* the loop may have missed that --until is met */
            report(t, true);
    }
    start_evaluation(t);
    while (t->evaluating)
        evaluate_piece(t);
    struct completion c = {.type = COMPLETED_STOP, .report = t->report};
    handoff_complete(t->handoff, &c);
    handoff_notify(t->handoff);
    return NULL;
}

void trainer_start(struct trainer *t)
{
    CHECK(pthread_create(&t->thread, NULL, run, t) == 0);
}

void trainer_join(struct trainer *t)
{
    CHECK(pthread_join(t->thread, NULL) == 0);
}
