#include "node/trainer.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/wire.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(trainer, .timeout = 120);

enum { BATCH = 16, JOBS_MAX = 64, GIVE_UP_S = 60 };

/* A trainer on blobs, and this thread in the place of the loop. */
struct bench {
    struct data_pair data;
    struct model model;
    struct shard shard;
    struct trainer_config config;
    struct handoff handoff;
    struct trainer trainer;
    struct trainer_report report; /* the latest */
    uint32_t n_reports, n_back;
    float moved;
    uint64_t sum;
    bool stopped;
};

static void ignore(void *ctx)
{
    (void)ctx;
}

static void prepare(struct bench *b)
{
    struct error err;
    *b = (struct bench){0};
    cr_assert_eq(data_open(&b->data, "blobs:train=1000,test=500,spread=0.3", NULL, &err), 0);
    cr_assert_eq(model_parse(&b->model, "softmax", data_flat(20, 10), &err), 0);
    cr_assert_eq(model_blas_setup(1, 1, &err), 0);
    cr_assert_eq(shard_make(&b->shard, &b->data.train, &partition_iid, 0, 2, 1, &err), 0);
    b->config = (struct trainer_config){
        .learner = {.model = &b->model,
                    .train = &b->data.train,
                    .optim = {.kind = OPTIM_SGD, .lr = 0.05f, .momentum = 0.9f},
                    .batch = BATCH,
                    .seed = 5},
        .part = &b->shard,
        .test = &b->data.test,
        .slow = 1};
}

static void start(struct bench *b)
{
    handoff_init(&b->handoff, JOBS_MAX, ignore, NULL);
    trainer_init(&b->trainer, &b->config, &b->handoff);
    trainer_start(&b->trainer);
}

static void give(struct bench *b, enum job_type type)
{
    handoff_give_job(&b->handoff, &(struct job){.type = type});
}

/* Takes in what the trainer says; true when something came. */
static bool listen(struct bench *b)
{
    struct completion c;
    if (!handoff_take_completion(&b->handoff, &c))
        return false;
    if (c.type == COMPLETED_JOB) {
        b->n_back++;
        b->moved = c.moved;
        b->sum = c.sum;
        return true;
    }
    b->report = c.report;
    b->n_reports++;
    b->stopped = c.type == COMPLETED_STOP;
    return true;
}

static bool is_met(const struct bench *b)
{
    return b->report.until_met;
}

static bool is_stopped(const struct bench *b)
{
    return b->stopped;
}

static bool has_stepped(const struct bench *b)
{
    return b->report.steps_done >= 3;
}

static bool is_back(const struct bench *b)
{
    return b->n_back > 0;
}

static void wait_for(struct bench *b, bool (*what)(const struct bench *))
{
    uint64_t give_up = clock_us() + GIVE_UP_S * SECOND_US;
    while (!what(b)) {
        cr_assert_lt(clock_us(), give_up);
        if (!listen(b))
            clock_sleep_until(clock_us() + 100);
    }
}

static void stop(struct bench *b)
{
    give(b, JOB_STOP);
    wait_for(b, is_stopped);
    trainer_join(&b->trainer);
    cr_assert_not(listen(b), "nothing comes after the stop");
}

/* After some steps. */
static void train_and_stop(struct bench *b)
{
    prepare(b);
    start(b);
    give(b, JOB_TRAIN);
    wait_for(b, has_stepped);
    stop(b);
}

static void finish(struct bench *b)
{
    trainer_close(&b->trainer);
    handoff_close(&b->handoff);
    shard_close(&b->shard);
    data_close(&b->data);
}

Test(trainer, until_steps_is_the_least)
{
    static const struct {
        struct until until;
        uint64_t steps;
    } cases[] = {
        {{.epochs = 0}, 0},
        {{.steps = 7}, 7},
        {{.epochs = 2}, 63}, /* 1000 / 16 = 62.5 */
        {{.epochs = 0.01}, 1},
        {{.epochs = 2, .steps = 62}, 62},
        {{.epochs = 2, .steps = 64}, 63},
        {{.accuracy = 0.5, .duration_us = 5}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(until_steps(&cases[i].until, 500, BATCH), cases[i].steps, "case %zu", i);
}

/* What ends a training, and what it is called. An accuracy of 2 is out of reach. */
Test(trainer, until)
{
    static const struct {
        const char *name;
        struct until until;
        uint64_t steps_min, steps_max, least_us;
        bool target_met, failed;
    } cases[] = {
        {"steps", {.steps = 40}, 40, 40, 0, false, false},
        {"epochs", {.epochs = 2}, 63, 63, 0, false, false},
        {"seconds", {.duration_us = 200000}, 1, UINT64_MAX, 200000, false, false},
        {"acc", {.accuracy = 0.9}, 1, UINT64_MAX, 0, true, false},
        {"acc before steps", {.accuracy = 0.9, .steps = 1u << 30}, 1, 1u << 29, 0, true, false},
        {"steps before acc", {.accuracy = 2, .steps = 100}, 100, 100, 0, false, true},
        {"seconds before acc",
         {.accuracy = 2, .duration_us = 100000},
         1,
         UINT64_MAX,
         100000,
         false,
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        prepare(&b);
        b.config.until = cases[i].until;
        b.config.eval_epochs = 1;
        start(&b);
        handoff_set_stride(&b.handoff, 1u << 30); /* a full ring would delay the one that counts */
        uint64_t begin = clock_us();
        give(&b, JOB_TRAIN);
        while (!b.report.until_met) {
            cr_assert_leq(b.report.step, cases[i].steps_max, "%s", cases[i].name);
            wait_for(&b, is_met);
        }
        cr_assert_geq(clock_us() - begin, cases[i].least_us, "%s", cases[i].name);
        cr_assert(b.report.step >= cases[i].steps_min && b.report.step <= cases[i].steps_max,
                  "%s: met at step %llu", cases[i].name, (unsigned long long)b.report.step);
        cr_assert_eq(b.report.target_met, cases[i].target_met, "%s", cases[i].name);
        cr_assert_eq(b.report.until_failed, cases[i].failed, "%s", cases[i].name);
        stop(&b);
        cr_assert(b.report.until_met && b.report.until_failed == cases[i].failed);
        finish(&b);
    }
}

/* An accuracy that only the evaluation at the end sees is reached all the same. */
Test(trainer, target_met_by_the_last_evaluation)
{
    struct bench b;
    prepare(&b);
    b.config.until = (struct until){.accuracy = 0.9, .steps = 200};
    start(&b);
    give(&b, JOB_TRAIN);
    wait_for(&b, is_met);
    cr_assert_eq(b.report.n_evaluations, 0);
    cr_assert(b.report.until_failed, "for all it knows");
    stop(&b);
    cr_assert_gt(b.report.accuracy, 0.9);
    cr_assert(b.report.target_met && b.report.until_met);
    cr_assert_not(b.report.until_failed);
    finish(&b);
}

/* Who never began has trained for no time. */
Test(trainer, stopped_before_it_began)
{
    struct bench b;
    prepare(&b);
    b.config.until = (struct until){.duration_us = 1000};
    start(&b);
    stop(&b);
    cr_assert_eq(b.report.n_evaluations, 1);
    cr_assert_eq(b.report.steps_done, 0);
    cr_assert_not(b.report.until_met);
    finish(&b);
}

Test(trainer, stop_evaluates)
{
    struct bench b;
    train_and_stop(&b);
    struct evaluator e;
    evaluator_init(&e, &b.model, &b.data.test);
    evaluator_start(&e, b.trainer.learner.theta, 0);
    while (evaluator_run(&e))
        ;
    cr_assert_eq(b.report.n_evaluations, 1);
    cr_assert_eq(b.report.eval_step, b.report.step);
    cr_assert_eq(b.report.step, b.trainer.learner.step);
    cr_assert(fabs(b.report.accuracy - (double)e.sum.n_correct / (double)e.sum.n) < 1e-12);
    cr_assert(fabs(b.report.test_loss - e.sum.loss_sum / (double)e.sum.n) < 1e-12);
    evaluator_close(&e);
    finish(&b);
}

/* Jobs that come after the stop are the loop's to run: a peer that joins may still take the
 * weights, but what was tested is what stays. */
Test(trainer, jobs_after_the_stop)
{
    enum { N = 200 };
    float *buffer = MEM_NEW(float, N), *before = MEM_NEW(float, N);
    static const enum job_type types[] = {JOB_TAKE, JOB_ADD, JOB_MIX, JOB_ANSWER, JOB_TAKE};
    struct bench b;
    train_and_stop(&b);
    memcpy(before, b.trainer.learner.theta, N * sizeof(float));
    cr_assert_not(trainer_run_jobs(&b.trainer), "nothing waits");
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        for (int i = 0; i < N; i++)
            buffer[i] = 7;
        handoff_leave_job(&b.handoff,
                          &(struct job){.type = types[t], .data = buffer, .count = N, .c = 0.5f});
        b.n_back = 0;
        cr_assert(trainer_run_jobs(&b.trainer));
        wait_for(&b, is_back);
        cr_assert_eq(memcmp(b.trainer.learner.theta, before, N * sizeof(float)), 0, "job %zu", t);
        if (types[t] == JOB_TAKE)
            cr_assert_eq(memcmp(buffer, before, N * sizeof(float)), 0);
    }
    free(buffer);
    free(before);
    finish(&b);
}

/* While it waits for a pace of minutes a job is served at once, and so are settle and stop. */
Test(trainer, jobs_while_paced)
{
    struct bench b;
    prepare(&b);
    b.config.pace_us = 600 * SECOND_US;
    start(&b);
    give(&b, JOB_TRAIN);
    float *buffer = MEM_NEW(float, b.model.dim);
    for (uint32_t i = 0; i < 10; i++) {
        b.n_back = 0;
        clock_sleep_until(clock_us() + 2 * MS_US);
        handoff_give_job(&b.handoff,
                         &(struct job){.type = JOB_TAKE, .data = buffer, .count = b.model.dim});
        wait_for(&b, is_back);
    }
    stop(&b);
    cr_assert_eq(b.report.steps_done, 1);
    cr_assert_arr_eq(buffer, b.trainer.learner.theta, b.model.dim * sizeof(float));
    free(buffer);
    finish(&b);
}

/* Whether one of the snapshots in the folder is these weights. */
static bool holds_snapshot(const char *folder, const float *theta, uint64_t dim)
{
    float *read = MEM_NEW(float, dim);
    bool found = false;
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *f = fopen(path, "rb");
        cr_assert(f != NULL && fread(read, sizeof *read, dim, f) == dim);
        fclose(f);
        found |= memcmp(read, theta, dim * sizeof *read) == 0;
    }
    closedir(dir);
    free(read);
    return found;
}

/* What an exchange made of the weights is in a snapshot before the next step moves them on. */
Test(trainer, snapshots_are_taken_at_rest)
{
    struct bench b;
    char folder[FILES_DIR_MAX];
    files_begin(folder);
    prepare(&b);
    b.config.pace_us = 50 * MS_US;
    b.config.snapshots = (struct snapshots){.dir = folder, .every_us = 1};
    start(&b);
    give(&b, JOB_TRAIN);
    float *mixed = MEM_NEW(float, b.model.dim);
    for (uint64_t i = 0; i < b.model.dim; i++)
        mixed[i] = sinf((float)i);
    handoff_give_job(&b.handoff,
                     &(struct job){.type = JOB_MIX, .data = mixed, .count = b.model.dim, .c = 1});
    wait_for(&b, is_back);
    wait_for(&b, has_stepped);
    stop(&b);
    cr_expect(holds_snapshot(folder, mixed, b.model.dim));
    files_end(folder);
    free(mixed);
    finish(&b);
}

/* A step takes at least the pace, and `slow` times that. */
Test(trainer, pace_and_slow)
{
    static const double slow[] = {1, 3};
    for (int i = 0; i < 2; i++) {
        struct bench b;
        prepare(&b);
        b.config.pace_us = 5 * MS_US;
        b.config.slow = slow[i];
        b.config.until.steps = 11;
        start(&b);
        uint64_t begin = clock_us();
        give(&b, JOB_TRAIN);
        wait_for(&b, is_met);
        cr_assert_geq(clock_us() - begin, (uint64_t)(10 * slow[i] * 5000));
        stop(&b);
        cr_assert_geq(b.trainer.step_end_us - begin, (uint64_t)(10 * slow[i] * 5000));
        cr_assert_geq(b.report.step_max_us, (uint64_t)(slow[i] * 5000));
        cr_assert_geq(b.report.step_us, (uint64_t)(10 * (slow[i] - 1) * 5000), "not idle");
        finish(&b);
    }
}

/* Threads wake up late; that does not add up. Who is late by a whole step has lost it. */
Test(trainer, late_steps_are_made_up_for)
{
    enum { PACE_US = 5000, STEPS = 400, BEGIN_US = 1000000 };
    uint64_t end = 0, now = BEGIN_US;
    for (uint64_t i = 1; i <= STEPS; i++) {
        end = trainer_step_end(end, now, PACE_US);
        cr_assert_eq(end, BEGIN_US + i * PACE_US, "step %llu", (unsigned long long)i);
        now = end + i % PACE_US; /* the wait ended so late */
    }
    now = end + PACE_US - 1;
    end = trainer_step_end(end, now, PACE_US);
    cr_assert_eq(end, now + 1, "almost nothing left of it");
    now = end + PACE_US;
    end = trainer_step_end(end, now, PACE_US);
    cr_assert_eq(end, now + PACE_US, "a step was lost");
    cr_assert_eq(trainer_step_end(end, end + 7, 0), end + 7, "without a pace");
}

Test(trainer, settle_stops_stepping)
{
    struct bench b;
    prepare(&b);
    start(&b);
    give(&b, JOB_TRAIN);
    wait_for(&b, has_stepped);
    give(&b, JOB_SETTLE);
    float *was = MEM_NEW(float, b.model.dim), *is = MEM_NEW(float, b.model.dim);
    for (int i = 0; i < 2; i++) {
        b.n_back = 0;
        clock_sleep_until(clock_us() + (uint64_t)i * 50 * MS_US);
        handoff_give_job(
            &b.handoff,
            &(struct job){.type = JOB_TAKE, .data = i == 0 ? was : is, .count = b.model.dim});
        wait_for(&b, is_back);
    }
    cr_assert_arr_eq(was, is, b.model.dim * sizeof(float));
    uint64_t steps = b.trainer.learner.step;
    stop(&b);
    cr_assert_eq(b.report.step, steps);
    free(was);
    free(is);
    finish(&b);
}

/* After an adoption it goes on at the step that was adopted, and counts its own apart. */
Test(trainer, trains_on_from_an_adopted_step)
{
    struct bench b;
    prepare(&b);
    b.config.until.steps = 1010;
    start(&b);
    handoff_give_job(&b.handoff, &(struct job){.type = JOB_TRAIN, .step = 1000});
    wait_for(&b, is_met);
    cr_assert_eq(b.report.step, 1010);
    cr_assert_eq(b.report.steps_done, 10);
    cr_assert(fabs(b.report.epochs - 1010.0 * BATCH / 500) < 1e-9);
    stop(&b);
    finish(&b);
}

/* Exchanges with a buffer in the place of another peer: ANSWER moves what it takes from the one to
 * the other, and ADD what was agreed, so the sum over both stays. Its move is reported. */
Test(trainer, jobs_keep_the_sum)
{
    struct bench b;
    prepare(&b);
    start(&b);
    uint64_t n = b.model.dim / 2, offset = b.model.dim / 3;
    float *mine = b.trainer.learner.theta + offset; /* the trainer waits: nothing else moves it */
    float *theirs = MEM_NEW(float, n), *buffer = MEM_NEW(float, n), *before = MEM_NEW(float, n);
    for (uint64_t i = 0; i < n; i++)
        theirs[i] = sinf((float)i);
    memcpy(before, mine, n * sizeof(float));
    for (int round = 0; round < 50; round++) {
        const float c = 0.125f;
        memcpy(buffer, theirs, n * sizeof(float));
        b.n_back = 0;
        struct job job = {.type = JOB_ANSWER,
                          .data = buffer,
                          .offset = offset,
                          .count = n,
                          .c = c,
                          .measure = true};
        handoff_give_job(&b.handoff, &job);
        wait_for(&b, is_back);
        double moved = 0, norm = 0, sum = 0;
        for (uint64_t i = 0; i < n; i++) {
            double mine_before = (double)buffer[i] + (double)theirs[i];
            moved += pow((double)(c * buffer[i]), 2);
            norm += mine_before * mine_before;
            theirs[i] += c * buffer[i]; /* the other side's ADD */
            sum = (double)mine[i] + (double)theirs[i];
            cr_assert_lt(fabs(sum - (double)before[i] - (double)sinf((float)i)), 1e-5);
        }
        cr_assert_lt(fabs((double)b.moved - sqrt(moved / norm)), 1e-4 * sqrt(moved / norm) + 1e-7);
    }
    for (uint64_t i = 0; i < n; i++)
        cr_assert_lt(fabs((double)mine[i] - (double)theirs[i]), 1e-4, "and they agree");
    stop(&b);
    free(theirs);
    free(buffer);
    free(before);
    finish(&b);
}

/* ADD adds c buffer, MIX moves towards the buffer. */
Test(trainer, add_and_mix)
{
    enum { N = 100 };
    float buffer[N], before[N];
    struct bench b;
    prepare(&b);
    start(&b);
    for (int k = 0; k < 2; k++) {
        float *x = b.trainer.learner.theta + 7;
        memcpy(before, x, sizeof before);
        for (int i = 0; i < N; i++)
            buffer[i] = cosf((float)i);
        b.n_back = 0;
        handoff_give_job(&b.handoff, &(struct job){.type = k == 0 ? JOB_ADD : JOB_MIX,
                                                   .data = buffer,
                                                   .offset = 7,
                                                   .count = N,
                                                   .c = 0.25f});
        wait_for(&b, is_back);
        for (int i = 0; i < N; i++) {
            float from = k == 0 ? 0 : before[i];
            cr_assert_lt(fabsf(x[i] - (before[i] + 0.25f * (buffer[i] - from))), 1e-6f);
        }
        cr_assert_eq(b.moved, 0, "not asked to measure");
    }
    stop(&b);
    finish(&b);
}

/* With the buffer of a TAKE or ANSWER comes the sum of what is in it now. */
Test(trainer, sums_what_it_fills)
{
    enum { N = 200 };
    static const enum job_type types[] = {JOB_TAKE, JOB_ANSWER};
    float buffer[N] = {0};
    struct bench b;
    prepare(&b);
    start(&b);
    for (int t = 0; t < 2; t++) {
        b.n_back = 0;
        struct job job = {.type = types[t], .data = buffer, .offset = 3, .count = N, .c = 0.5f};
        handoff_give_job(&b.handoff, &job);
        wait_for(&b, is_back);
        cr_assert_eq(b.sum, wire_body_sum(buffer, sizeof buffer), "job %d", t);
        memset(buffer, 0, sizeof buffer);
    }
    stop(&b);
    finish(&b);
}

/* Reports come by the stride when it is short, else by the clock, and never stop training. */
Test(trainer, reports_by_stride)
{
    for (int k = 0; k < 2; k++) {
        struct bench b;
        prepare(&b);
        b.config.until.steps = 50;
        b.config.pace_us = 100;
        start(&b);
        handoff_set_stride(&b.handoff, k == 0 ? 1 : 1u << 30);
        give(&b, JOB_TRAIN);
        wait_for(&b, is_met);
        cr_assert(k == 0 ? b.n_reports == 50 : b.n_reports < 25, "%u reports", b.n_reports);
        stop(&b);
        finish(&b);
    }
}
