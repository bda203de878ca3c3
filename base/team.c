#include "base/team.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct member {
    struct team *team;
    uint32_t i;
    pthread_t thread;
};

struct team {
    uint32_t n;
    struct member members[TEAM_MAX]; /* from 1 on */
    pthread_mutex_t lock;
    pthread_cond_t begun, done;
    uint64_t round; /* pieces of work begun */
    uint32_t n_busy;
    bool is_over;
    void (*work)(void *ctx, uint32_t i);
    void *ctx;
};

static void *serve(void *argument)
{
    struct member *m = argument;
    struct team *t = m->team;
    pthread_mutex_lock(&t->lock);
    for (uint64_t seen = 0;;) {
        while (t->round == seen && !t->is_over)
            pthread_cond_wait(&t->begun, &t->lock);
        if (t->is_over)
            break;
        seen = t->round;
        pthread_mutex_unlock(&t->lock);
        t->work(t->ctx, m->i);
        pthread_mutex_lock(&t->lock);
        if (--t->n_busy == 0)
            pthread_cond_signal(&t->done);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct team *team_new(uint32_t n)
{
    struct team *t = MEM_NEW(struct team, 1);
    CHECK(n >= 1 && n <= TEAM_MAX);
    t->n = n;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->begun, NULL);
    pthread_cond_init(&t->done, NULL);
    for (uint32_t i = 1; i < n; i++) {
        t->members[i] = (struct member){.team = t, .i = i};
        CHECK(pthread_create(&t->members[i].thread, NULL, serve, &t->members[i]) == 0);
    }
    return t;
}

void team_free(struct team *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->is_over = true;
    pthread_cond_broadcast(&t->begun);
    pthread_mutex_unlock(&t->lock);
    for (uint32_t i = 1; i < t->n; i++)
        pthread_join(t->members[i].thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->begun);
    pthread_cond_destroy(&t->done);
    free(t);
}

uint32_t team_size(const struct team *t)
{
    return t->n;
}

void team_run(struct team *t, void (*work)(void *ctx, uint32_t i), void *ctx)
{
    if (t->n > 1) {
        pthread_mutex_lock(&t->lock);
        t->work = work;
        t->ctx = ctx;
        t->n_busy = t->n - 1;
        t->round++;
        pthread_cond_broadcast(&t->begun);
        pthread_mutex_unlock(&t->lock);
    }
    work(ctx, 0);
    if (t->n > 1) {
        pthread_mutex_lock(&t->lock);
        while (t->n_busy > 0)
            pthread_cond_wait(&t->done, &t->lock);
        pthread_mutex_unlock(&t->lock);
    }
}
