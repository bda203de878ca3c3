#include "node/handoff.h"
#include "tests/support/death.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>

TestSuite(handoff, .timeout = 60);

static unsigned n_notified;

static void notify(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void start(struct handoff *h, uint32_t n_jobs)
{
    n_notified = 0;
    handoff_init(h, n_jobs, notify, &n_notified);
}

/* In order, many times around both rings, with any number under way. */
Test(handoff, factor)
{
    struct handoff h;
    start(&h, 1);
    cr_assert_eq(handoff_factor(&h), 1.0f);
    handoff_set_factor(&h, 2.75f);
    cr_assert_float_eq(handoff_factor(&h), 2.75f, 1e-6);
    handoff_close(&h);
}

Test(handoff, order)
{
    struct handoff h;
    start(&h, 5); /* the ring has 8 */
    uint32_t given = 0, run = 0, back = 0;
    for (uint32_t round = 0; round < 1000; round++) {
        for (uint32_t i = 0; i <= round % 8; i++)
            handoff_give_job(&h, &(struct job){.exchange = given++, .type = JOB_MIX});
        struct completion c = {.type = COMPLETED_JOB};
        while (handoff_take_job(&h, &c.job)) {
            cr_assert_eq(c.job.exchange, run++);
            handoff_complete(&h, &c);
        }
        handoff_notify(&h);
        while (handoff_take_completion(&h, &c)) {
            cr_assert_eq(c.type, COMPLETED_JOB);
            cr_assert_eq(c.job.exchange, back++);
        }
        cr_assert(run == given && back == given);
    }
    cr_assert_eq(n_notified, 1000, "once a round");
    handoff_close(&h);
}

Test(handoff, full_ring)
{
    struct handoff h;
    start(&h, 8);
    for (uint32_t i = 0; i < 8; i++)
        handoff_give_job(&h, &(struct job){.exchange = i});
    struct job job;
    cr_assert(handoff_take_job(&h, &job) && job.exchange == 0);
    handoff_give_job(&h, &(struct job){.exchange = 8});
    for (uint32_t i = 1; i <= 8; i++)
        cr_assert(handoff_take_job(&h, &job) && job.exchange == i);
    cr_assert_not(handoff_take_job(&h, &job));
    handoff_close(&h);
}

Test(handoff, a_job_too_many, .signal = SIGABRT)
{
    struct handoff h;
    expect_abort();
    start(&h, 8);
    for (uint32_t i = 0; i < 9; i++)
        handoff_give_job(&h, &(struct job){.exchange = i});
}

/* A loop that is behind loses reports, never a job: all jobs fit beside them. */
Test(handoff, reports_dropped_when_behind)
{
    enum { JOBS = 16 };
    struct handoff h;
    start(&h, JOBS);
    uint32_t n_reports = 0;
    while (handoff_report(&h, &(struct trainer_report){.step = n_reports}))
        cr_assert_lt(++n_reports, 1000);
    cr_assert_geq(n_reports, 64);
    for (uint32_t i = 0; i < JOBS; i++)
        handoff_complete(&h, &(struct completion){.type = COMPLETED_JOB, .job.exchange = i});
    cr_assert_not(handoff_report(&h, &(struct trainer_report){0}));
    struct completion c;
    for (uint32_t i = 0; i < n_reports; i++)
        cr_assert(handoff_take_completion(&h, &c) && c.type == COMPLETED_REPORT &&
                  c.report.step == i);
    cr_assert(handoff_report(&h, &(struct trainer_report){.step = 7}), "there is room again");
    for (uint32_t i = 0; i < JOBS; i++)
        cr_assert(handoff_take_completion(&h, &c) && c.type == COMPLETED_JOB &&
                  c.job.exchange == i);
    cr_assert(handoff_take_completion(&h, &c) && c.report.step == 7);
    cr_assert_not(handoff_take_completion(&h, &c));
    cr_assert_eq(n_notified, n_reports + 1, "not for the dropped ones");
    handoff_close(&h);
}

Test(handoff, stride)
{
    struct handoff h;
    start(&h, 4);
    cr_assert_eq(handoff_stride(&h), 1);
    handoff_set_stride(&h, 1u << 30);
    cr_assert_eq(handoff_stride(&h), 1u << 30);
    handoff_close(&h);
}

Test(handoff, wait_returns_at_the_deadline)
{
    struct handoff h;
    start(&h, 4);
    static const uint64_t waits_us[] = {0, 1000, 50000};
    for (int i = 0; i < 3; i++) {
        uint64_t deadline = clock_us() + waits_us[i], busy = clock_thread_us();
        handoff_wait(&h, deadline);
        cr_assert_geq(clock_us(), deadline);
        cr_assert_lt(clock_us(), deadline + 5 * SECOND_US);
        cr_assert_lt(clock_thread_us() - busy, 15 * MS_US, "asleep");
    }
    handoff_wait(&h, 0); /* long ago */
    handoff_give_job(&h, &(struct job){0});
    handoff_wait(&h, clock_us() + 100 * SECOND_US); /* a job is there already */
    handoff_close(&h);
}

static void *give_later(void *arg)
{
    struct handoff *h = arg;
    clock_sleep_until(clock_us() + 20 * MS_US);
    handoff_give_job(h, &(struct job){.exchange = 42});
    return NULL;
}

Test(handoff, wait_returns_on_a_job)
{
    struct handoff h;
    start(&h, 4);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        uint64_t begin = clock_us();
        cr_assert_eq(pthread_create(&thread, NULL, give_later, &h), 0);
        handoff_wait(&h, begin + 100 * SECOND_US);
        cr_assert_lt(clock_us() - begin, 20 * SECOND_US);
        struct job job;
        cr_assert(handoff_take_job(&h, &job) && job.exchange == 42);
        pthread_join(thread, NULL);
    }
    handoff_close(&h);
}

struct sleeper {
    struct handoff h;
    _Atomic bool over;
    bool woken_early;
};

/* In the place of a trainer without anything to do, for 200 ms. */
static void *sleep_long(void *arg)
{
    struct sleeper *s = arg;
    uint64_t deadline = clock_us() + 200 * MS_US;
    while (clock_us() < deadline) {
        handoff_wait(&s->h, deadline);
        s->woken_early |= clock_us() < deadline;
    }
    s->over = true;
    return NULL;
}

Test(handoff, what_a_sleeper_owns_is_borrowed)
{
    static struct sleeper s;
    struct job job;
    pthread_t thread;
    start(&s.h, 4);
    cr_assert_not(handoff_borrow(&s.h), "nobody sleeps");
    cr_assert_eq(pthread_create(&thread, NULL, sleep_long, &s), 0);
    while (!handoff_borrow(&s.h))
        clock_sleep_until(clock_us() + 100);
    handoff_return(&s.h);
    handoff_leave_job(&s.h, &(struct job){.exchange = 7});
    cr_assert(handoff_borrow(&s.h), "what is left wakes nobody up");
    cr_assert(handoff_take_job(&s.h, &job) && job.exchange == 7);
    clock_sleep_until(clock_us() + 300 * MS_US);
    cr_assert_not(s.over, "it stays asleep beyond its deadline");
    handoff_return(&s.h);
    pthread_join(thread, NULL);
    cr_assert_not(s.woken_early);
    cr_assert_not(handoff_borrow(&s.h), "it is awake");
    handoff_close(&s.h);
}

Test(handoff, what_was_left_is_woken_up_for)
{
    struct handoff h;
    start(&h, 4);
    handoff_leave_job(&h, &(struct job){.exchange = 3});
    handoff_wait(&h, clock_us() + 100 * SECOND_US); /* sees it before it sleeps */
    struct job job;
    cr_assert(handoff_take_job(&h, &job) && job.exchange == 3);
    handoff_close(&h);
}
