/* A real trainer thread and a thread in the place of the loop, with the handoff between them, under
 * load for some seconds. Under TSan (make VARIANT=tsan test-race) every float that crosses is
 * watched; in any build it is checked that
 *   - each job is completed exactly once, in the order in which it was given, many times around the
 *     rings, also when the thread is told to stop in the middle of them;
 *   - the same of jobs that this thread does itself, while the trainer sleeps;
 *   - buffers hold what was promised: with lr = 0 only jobs move theta, so this side keeps a copy
 *     of it, bit for bit, by applying to it what it gave (an ANSWER leaves the difference, for
 * one);
 *   - theta is finite at the end, and the same as the copy.
 *
 * usage: handoff [SECONDS [SEED]]       default: 5 1
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "node/trainer.h"

#include <float.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { JOBS_MAX = 8, SLOTS = 6, SLICES = 3, BATCH = 16, GIVE_UP_S = 60 };

struct phase {
    const char *name;
    float lr;
    uint64_t pace_us;
    bool settles; /* training is switched off and on */
};

static const struct phase phases[] = {
    {"no pace, lr 0", 0, 0, false},      {"no pace, lr 0.01", 0.01f, 0, false},
    {"paced, lr 0", 0, 1000, false},     {"paced, lr 0.01", 0.01f, 1000, false},
    {"on and off, lr 0", 0, 1000, true}, {"on and off, lr 0.01", 0.01f, 0, true},
};
enum { N_PHASES = sizeof phases / sizeof phases[0] };

/* A job under way, with what it should leave behind. */
struct slot {
    bool used;
    struct job job;
    float *data, *sent; /* sent: a copy of what data held when it was given */
};

struct loop {
    const struct phase *phase;
    struct data_pair data;
    struct model model;
    struct shard shard;
    struct handoff handoff;
    struct trainer trainer;
    int wake;
    struct rng rng;
    struct slot slots[SLOTS];
    float *copy, *scratch; /* of theta, while lr = 0 */
    uint32_t n_given, n_back, n_types[JOB_MIX + 1];
    uint32_t n_borrowed; /* times that jobs were done here */
    uint32_t control_at; /* jobs given when the last TRAIN or SETTLE was */
    bool training;
    uint64_t n_reports, step, steps_done;
    bool stopped;
    const char *failed;
};

static void notify(void *ctx)
{
    uint64_t one = 1;
    if (write(((struct loop *)ctx)->wake, &one, sizeof one) != sizeof one)
        abort();
}

static void fail(struct loop *l, const char *why)
{
    if (l->failed == NULL)
        printf("%s: job %u: %s\n", l->phase->name, l->n_back, why);
    l->failed = why;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static void fill(struct loop *l, float *x, uint64_t n)
{
    float at = (float)rng_uniform(&l->rng) - 0.5f;
    for (uint64_t i = 0; i < n; i++)
        x[i] = at + 1e-3f * (float)(i % 7);
}

static void give_one(struct loop *l, struct slot *s)
{
    uint64_t length = l->model.dim / SLICES;
    uint32_t slice = rng_below(&l->rng, SLICES);
    s->used = true;
    s->job = (struct job){.type = (enum job_type)rng_below(&l->rng, JOB_MIX + 1),
                          .exchange = l->n_given++,
                          .buffer = (uint32_t)(s - l->slots),
                          .data = s->data,
                          .offset = slice * length,
                          .count = length,
                          .c = 0.5f,
                          .measure = rng_below(&l->rng, 2)};
    fill(l, s->data, length);
    memcpy(s->sent, s->data, length * sizeof(float));
    l->n_types[s->job.type]++;
    handoff_leave_job(&l->handoff, &s->job);
}

/* Of the jobs that were left: mostly they are done here, if the trainer sleeps. */
static void see_to_jobs(struct loop *l)
{
    if (rng_below(&l->rng, 4) == 0) {
        handoff_wake(&l->handoff);
    } else if (handoff_borrow(&l->handoff)) {
        l->n_borrowed += trainer_run_jobs(&l->trainer);
        handoff_return(&l->handoff);
    }
}

/* TRAIN and SETTLE have no completion: the next is given when a job behind the last is back. */
static void give_control(struct loop *l)
{
    if (!l->phase->settles || l->n_back <= l->control_at || rng_below(&l->rng, 50) > 0)
        return;
    l->training = !l->training;
    l->control_at = l->n_given;
    handoff_give_job(&l->handoff, &(struct job){.type = l->training ? JOB_TRAIN : JOB_SETTLE});
}

/* What the job did, done again on the copy; the buffer must hold what it left there. */
static void check_job(struct loop *l, const struct slot *s)
{
    const struct job *job = &s->job;
    size_t bytes = job->count * sizeof(float);
    float *x = l->copy + job->offset;
    if (job->type == JOB_ADD || job->type == JOB_MIX) {
        if (memcmp(s->data, s->sent, bytes) != 0)
            fail(l, "ADD or MIX wrote into its buffer");
        if (job->type == JOB_ADD)
            vec_add_scaled(x, job->c, s->data, job->count);
        else
            vec_mix_current(x, job->c, s->data, job->count);
        return;
    }
    if (vec_first_beyond(s->data, FLT_MAX, job->count) < job->count)
        fail(l, "a buffer is not finite");
    if (l->phase->lr > 0)
        return;
    memcpy(l->scratch, s->sent, bytes);
    if (job->type == JOB_ANSWER)
        vec_answer(x, job->c, l->scratch, job->count);
    else
        memcpy(l->scratch, x, bytes);
    if (memcmp(l->scratch, s->data, bytes) != 0)
        fail(l,
             job->type == JOB_ANSWER ? "ANSWER did not leave the difference" : "TAKE took another");
}

static void on_completion(struct loop *l, const struct completion *c)
{
    if (l->stopped)
        fail(l, "something came after the stop");
    if (c->type == COMPLETED_JOB) {
        struct slot *s = &l->slots[c->job.buffer % SLOTS];
        if (c->job.exchange != l->n_back || !s->used || s->job.exchange != c->job.exchange ||
            s->job.type != c->job.type || c->job.data != s->data)
            fail(l, "completed twice, out of order or changed");
        l->n_back++;
        check_job(l, s);
        s->used = false;
        return;
    }
    if (c->report.step < l->step || c->report.steps_done < l->steps_done)
        fail(l, "a report went back");
    l->n_reports++;
    l->step = c->report.step;
    l->steps_done = c->report.steps_done;
    l->stopped = c->type == COMPLETED_STOP;
}

static void drain(struct loop *l, int wait_ms)
{
    struct pollfd p = {.fd = l->wake, .events = POLLIN};
    uint64_t n;
    if (poll(&p, 1, wait_ms) == 1 && read(l->wake, &n, sizeof n) != sizeof n)
        abort();
    struct completion c;
    while (handoff_take_completion(&l->handoff, &c))
        on_completion(l, &c);
}

/* ---- a phase ------------------------------------------------------------------------------- */

static bool open_loop(struct loop *l, const struct phase *phase, uint64_t seed)
{
    struct error err;
    *l = (struct loop){.phase = phase, .rng = rng_stream(seed, 0, RNG_TEST), .control_at = 0};
    l->wake = eventfd(0, EFD_CLOEXEC);
    if (l->wake < 0 || data_open(&l->data, "blobs:train=500,test=100", NULL, &err) != 0 ||
        model_parse(&l->model, "mlp:20-16-10", data_flat(20, 10), &err) != 0 ||
        shard_make(&l->shard, &l->data.train, &partition_iid, 0, 1, 1, &err) != 0)
        return false;
    struct trainer_config config = {.learner = {.model = &l->model,
                                                .train = &l->data.train,
                                                .optim = {.lr = phase->lr, .momentum = 0.9f},
                                                .batch = BATCH,
                                                .seed = seed},
                                    .part = &l->shard,
                                    .test = &l->data.test,
                                    .eval_epochs = 2,
                                    .pace_us = phase->pace_us,
                                    .slow = 1};
    handoff_init(&l->handoff, JOBS_MAX, notify, l);
    trainer_init(&l->trainer, &config, &l->handoff);
    l->copy = MEM_NEW(float, l->model.dim);
    l->scratch = MEM_NEW(float, l->model.dim);
    memcpy(l->copy, l->trainer.learner.theta, l->model.dim * sizeof(float));
    for (int i = 0; i < SLOTS; i++) {
        l->slots[i].data = MEM_NEW(float, l->model.dim);
        l->slots[i].sent = MEM_NEW(float, l->model.dim);
    }
    return true;
}

static void close_loop(struct loop *l)
{
    for (int i = 0; i < SLOTS; i++) {
        free(l->slots[i].data);
        free(l->slots[i].sent);
    }
    free(l->copy);
    free(l->scratch);
    trainer_close(&l->trainer);
    handoff_close(&l->handoff);
    shard_close(&l->shard);
    data_close(&l->data);
    close(l->wake);
}

/* Around the ring of jobs, and around that of completions, with nothing given or taken on the other
 * ring that would order the two threads by chance. Jobs without a completion: what is so already.
 */
static void run_around(struct loop *l)
{
    for (int i = 0; i < 2 * JOBS_MAX; i++) {
        handoff_give_job(&l->handoff, &(struct job){.type = l->training ? JOB_TRAIN : JOB_SETTLE});
        uint64_t give_up = clock_us() + GIVE_UP_S * SECOND_US;
        while (atomic_load_explicit(&l->handoff.job_head, memory_order_relaxed) !=
                   atomic_load_explicit(&l->handoff.job_tail, memory_order_relaxed) &&
               clock_us() < give_up)
            clock_sleep_until(clock_us() + 50);
    }
    for (uint64_t end = clock_us() + 30 * MS_US; clock_us() < end;)
        drain(l, 1);
}

/* Bursts of jobs, mostly as many as there are slots; now and then a rest, so that the trainer falls
 * asleep where it can. */
static void load(struct loop *l, uint64_t until_us)
{
    while (clock_us() < until_us && l->failed == NULL) {
        uint32_t n = rng_below(&l->rng, SLOTS + 1);
        for (int i = 0; i < SLOTS; i++)
            if (!l->slots[i].used && n > 0) {
                give_one(l, &l->slots[i]);
                n--;
            }
        see_to_jobs(l);
        give_control(l);
        if (rng_below(&l->rng, 20) == 0)
            clock_sleep_until(clock_us() + 2 * MS_US);
        if (rng_below(&l->rng, 100) == 0)
            run_around(l);
        drain(l, (int)rng_below(&l->rng, 2));
    }
}

static void check_end(struct loop *l)
{
    const float *theta = l->trainer.learner.theta;
    if (l->n_back != l->n_given)
        fail(l, "a job given before the stop was not completed");
    if (vec_first_beyond(theta, FLT_MAX, l->model.dim) < l->model.dim)
        fail(l, "theta is not finite");
    if (l->phase->lr == 0 && memcmp(theta, l->copy, l->model.dim * sizeof(float)) != 0)
        fail(l, "theta differs from the copy");
    if (l->n_back < 5 * JOBS_MAX || l->steps_done == 0 || l->n_reports == 0)
        fail(l, "not much was tested");
    if ((l->n_borrowed > 0) != (l->phase->pace_us > 0 || l->phase->settles))
        fail(l, l->n_borrowed > 0 ? "the trainer slept without a pace"
                                  : "no job was done while the trainer slept");
    for (int type = 0; type <= JOB_MIX; type++)
        if (l->n_types[type] == 0)
            fail(l, "a type of job was never given");
}

static bool run_phase(const struct phase *phase, uint64_t seed, uint64_t duration_us)
{
    static struct loop l;
    if (!open_loop(&l, phase, seed)) {
        printf("%s: cannot be set up\n", phase->name);
        return false;
    }
    trainer_start(&l.trainer);
    handoff_give_job(&l.handoff, &(struct job){.type = JOB_TRAIN});
    l.training = true;
    load(&l, clock_us() + duration_us);
    for (int i = 0; i < SLOTS && l.failed == NULL; i++)
        if (!l.slots[i].used)
            give_one(&l, &l.slots[i]);
    see_to_jobs(&l);
    handoff_give_job(&l.handoff, &(struct job){.type = JOB_STOP});
    uint64_t give_up = clock_us() + GIVE_UP_S * SECOND_US;
    while (!l.stopped && clock_us() < give_up)
        drain(&l, 10);
    if (!l.stopped) {
        printf("%s: it did not stop\n", phase->name);
        exit(1);
    }
    trainer_join(&l.trainer);
    drain(&l, 0);
    check_end(&l);
    printf("%-20s %7u jobs (%u times done here), %7llu steps, %6llu reports: %s\n", phase->name,
           l.n_back, l.n_borrowed, (unsigned long long)l.steps_done,
           (unsigned long long)l.n_reports, l.failed == NULL ? "ok" : "FAILED");
    bool ok = l.failed == NULL;
    close_loop(&l);
    return ok;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    int n_passed = 0;
    struct error err;
    if (model_blas_setup(1, 1, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (int i = 0; i < N_PHASES; i++)
        n_passed += run_phase(&phases[i], seed + (uint64_t)i, (uint64_t)(seconds * 1e6 / N_PHASES));
    printf("%d passed, %d failed\n", n_passed, N_PHASES - n_passed);
    return n_passed == N_PHASES ? 0 : 1;
}
