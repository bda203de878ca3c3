#include "node/handoff.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

enum { N_REPORTS = 64 }; /* room for reports beyond that for jobs */

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p *= 2;
    return p;
}

void handoff_init(struct handoff *h, uint32_t n_jobs, void (*notify)(void *), void *notify_ctx)
{
    *h = (struct handoff){
        .n_jobs_max = power_of_two(n_jobs), .notify = notify, .notify_ctx = notify_ctx};
    h->n_completions_max = power_of_two(h->n_jobs_max + N_REPORTS);
    h->jobs = MEM_NEW(struct job, h->n_jobs_max);
    h->completions = MEM_NEW(struct completion, h->n_completions_max);
    atomic_init(&h->stride, 1);
    atomic_init(&h->swarm_step, 0);
    atomic_init(&h->factor, 1000000);
    pthread_condattr_t attr;
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&h->wake, &attr) == 0);
    CHECK(pthread_mutex_init(&h->lock, NULL) == 0);
    pthread_condattr_destroy(&attr);
}

void handoff_close(struct handoff *h)
{
    free(h->jobs);
    free(h->completions);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
}

void handoff_leave_job(struct handoff *h, const struct job *job)
{
    unsigned tail = atomic_load_explicit(&h->job_tail, memory_order_relaxed);
    CHECK(tail - atomic_load_explicit(&h->job_head, memory_order_acquire) < h->n_jobs_max);
    h->jobs[tail & (h->n_jobs_max - 1)] = *job;
    /* Sequentially consistent with `sleeping`: either we see that the trainer sleeps, or it sees
     * the job before it does. */
    atomic_store(&h->job_tail, tail + 1);
}

void handoff_wake(struct handoff *h)
{
    if (atomic_exchange(&h->sleeping, false)) {
        /* Once the lock was ours, the trainer is waiting or will see the job. It wakes up where
         * this thread runs, so it must not find the lock taken. */
        pthread_mutex_lock(&h->lock);
        pthread_mutex_unlock(&h->lock);
        pthread_cond_signal(&h->wake);
    }
}

void handoff_give_job(struct handoff *h, const struct job *job)
{
    handoff_leave_job(h, job);
    handoff_wake(h);
}

bool handoff_borrow(struct handoff *h)
{
    if (!atomic_load(&h->sleeping))
        return false;
    pthread_mutex_lock(&h->lock);
    if (atomic_load(&h->sleeping)) /* then it waits for the lock or for a signal */
        return true;
    pthread_mutex_unlock(&h->lock);
    return false;
}

void handoff_return(struct handoff *h)
{
    pthread_mutex_unlock(&h->lock);
}

bool handoff_has_job(const struct handoff *h)
{
    return atomic_load(&h->job_tail) != atomic_load_explicit(&h->job_head, memory_order_relaxed);
}

bool handoff_take_job(struct handoff *h, struct job *job)
{
    if (!handoff_has_job(h))
        return false;
    unsigned head = atomic_load_explicit(&h->job_head, memory_order_relaxed);
    *job = h->jobs[head & (h->n_jobs_max - 1)];
    atomic_store_explicit(&h->job_head, head + 1, memory_order_release);
    return true;
}

static uint32_t n_waiting(struct handoff *h)
{
    return atomic_load_explicit(&h->completion_tail, memory_order_relaxed) -
           atomic_load_explicit(&h->completion_head, memory_order_acquire);
}

static void push_completion(struct handoff *h, const struct completion *c)
{
    unsigned tail = atomic_load_explicit(&h->completion_tail, memory_order_relaxed);
    h->completions[tail & (h->n_completions_max - 1)] = *c;
    atomic_store_explicit(&h->completion_tail, tail + 1, memory_order_release);
}

void handoff_complete(struct handoff *h, const struct completion *c)
{
    CHECK(n_waiting(h) < h->n_completions_max);
    push_completion(h, c);
}

void handoff_notify(struct handoff *h)
{
    h->notify(h->notify_ctx);
}

bool handoff_report(struct handoff *h, const struct trainer_report *report)
{
    if (n_waiting(h) + h->n_jobs_max >= h->n_completions_max)
        return false;
    struct completion c = {.type = COMPLETED_REPORT, .report = *report};
    push_completion(h, &c);
    handoff_notify(h);
    return true;
}

bool handoff_take_completion(struct handoff *h, struct completion *c)
{
    unsigned head = atomic_load_explicit(&h->completion_head, memory_order_relaxed);
    if (head == atomic_load_explicit(&h->completion_tail, memory_order_acquire))
        return false;
    *c = h->completions[head & (h->n_completions_max - 1)];
    atomic_store_explicit(&h->completion_head, head + 1, memory_order_release);
    return true;
}

void handoff_set_stride(struct handoff *h, uint32_t n_steps)
{
    atomic_store_explicit(&h->stride, n_steps, memory_order_relaxed);
}

void handoff_set_swarm_step(struct handoff *h, uint64_t step)
{
    atomic_store_explicit(&h->swarm_step, step, memory_order_relaxed);
}

uint64_t handoff_swarm_step(const struct handoff *h)
{
    return atomic_load_explicit(&h->swarm_step, memory_order_relaxed);
}

uint32_t handoff_stride(const struct handoff *h)
{
    return atomic_load_explicit(&h->stride, memory_order_relaxed);
}

void handoff_wait(struct handoff *h, uint64_t deadline_us)
{
    struct timespec t = {.tv_sec = (time_t)(deadline_us / SECOND_US),
                         .tv_nsec = (long)(deadline_us % SECOND_US) * 1000};
    pthread_mutex_lock(&h->lock);
    atomic_store(&h->sleeping, true);
    while (!handoff_has_job(h) && clock_us() < deadline_us) {
        pthread_cond_timedwait(&h->wake, &h->lock, &t);
        atomic_store(&h->sleeping, true); /* until a job is seen */
    }
    atomic_store(&h->sleeping, false);
    pthread_mutex_unlock(&h->lock);
}

void handoff_set_swarm_accuracy(struct handoff *h, double accuracy)
{
    atomic_store_explicit(&h->swarm_accuracy, (unsigned)(accuracy * 1e6 + 0.5),
                          memory_order_relaxed);
}

double handoff_swarm_accuracy(const struct handoff *h)
{
    return atomic_load_explicit(&h->swarm_accuracy, memory_order_relaxed) / 1e6;
}

void handoff_set_factor(struct handoff *h, float factor)
{
    atomic_store_explicit(&h->factor, (unsigned)((double)factor * 1e6 + 0.5), memory_order_relaxed);
}

float handoff_factor(const struct handoff *h)
{
    return (float)(atomic_load_explicit(&h->factor, memory_order_relaxed) / 1e6);
}
