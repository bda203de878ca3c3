#include "bench/stream_pair.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "bench/stream.h"

#include <string.h>

enum { LINK_S = 20 }; /* data is read, and the peers link, within that */

void pair_config(struct node_config *config, const char *data, const char *model)
{
    *config = (struct node_config){.run = "bench",
                                   .data = {.spec = data},
                                   .model_spec = model,
                                   .init = "",
                                   .n_shards = 2,
                                   .listens = true,
                                   .listen = {.host = "127.0.0.1"},
                                   .advertise = "",
                                   .peers_file = "",
                                   .optim = {.kind = OPTIM_QGM, .lr = 0.05f, .momentum = 0.9f},
                                   .batch = 64,
                                   .seed = 1,
                                   .every = {.steps = 8},
                                   .open_per_slice = 1,
                                   .end = END_OWN,
                                   .join_timeout_us = LINK_S * SECOND_US,
                                   .report_us = UINT64_MAX,
                                   .min_peers = 1,
                                   .slow = 1,
                                   .out = "",
                                   .metrics = ""};
}

static void add(struct pair *p, uint32_t *count)
{
    pthread_mutex_lock(&p->lock);
    ++*count;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void note_failure(struct pair *p, const struct error *err)
{
    pthread_mutex_lock(&p->lock);
    if (p->err.code == 0)
        p->err = *err;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static bool trains(const struct node *n)
{
    return n->state == PEER_TRAINING && n->peers.n_linked == 1;
}

static bool both_train(struct pair_side *s)
{
    if (s->both_train) /* asked once: the sides share a lock */
        return true;
    pthread_mutex_lock(&s->pair->lock);
    s->both_train = s->pair->n_training == 2;
    pthread_mutex_unlock(&s->pair->lock);
    return s->both_train;
}

static void on_wake(uv_async_t *wake)
{
    (void)wake; /* the loop has turned */
}

static void on_turn(uv_check_t *turn)
{
    struct pair_side *s = turn->data;
    struct node *n = &s->node;
    struct error err;
    if (!s->counted && trains(n)) {
        s->counted = true;
        add(s->pair, &s->pair->n_training);
    }
    if (n->tcp_closed) {
        uv_close((uv_handle_t *)&s->turn, NULL);
        uv_close((uv_handle_t *)&s->wake, NULL);
    } else if (n->state == PEER_TRAINING && both_train(s)) {
        if (!s->pair->turn(s)) {
            node_set_state(n, PEER_LEAVING);
        } else if (!trains(n)) {
            error_set(&err, ERR_FAILURE, "the link between the peers was lost");
            node_fail(n, &err);
        }
    }
}

static void *run(void *arg)
{
    struct pair_side *s = arg;
    struct pair *p = s->pair;
    struct error err;
    stream_pin(s->side); /* the trainer's thread inherits it */
    if (node_open(&s->node, &s->node.config, &err) != 0) {
        note_failure(p, &err);
        return NULL;
    }
    s->opened = true;
    CHECK(uv_check_init(&s->node.loop, &s->turn) == 0 &&
          uv_async_init(&s->node.loop, &s->wake, on_wake) == 0);
    s->turn.data = s;
    uv_check_start(&s->turn, on_turn);
    add(p, &p->n_opened);
    uv_run(&s->node.loop, UV_RUN_DEFAULT);
    if (s->node.error.code != 0)
        note_failure(p, &s->node.error);
    return NULL;
}

/* Until *count is there, or a side failed. */
static void wait_for(struct pair *p, const uint32_t *count, uint32_t n)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += LINK_S;
    int rc = 0;
    pthread_mutex_lock(&p->lock);
    while (rc == 0 && *count < n && p->err.code == 0)
        rc = pthread_cond_timedwait(&p->changed, &p->lock, &t);
    if (rc != 0 && p->err.code == 0)
        error_set(&p->err, ERR_FAILURE, "the peers did not link within %d s", LINK_S);
    pthread_mutex_unlock(&p->lock);
}

static bool has_port(const struct node *n, uint16_t *port)
{
    struct host_port at;
    bool known = parse_host_port(n->listen_name, &at);
    *port = at.port;
    return known;
}

int pair_open(struct pair *p, const struct node_config *config, bool (*turn)(struct pair_side *s),
              struct error *err)
{
    p->turn = turn;
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0 && pthread_cond_init(&p->changed, NULL) == 0);
    for (int i = 0; i < 2 && p->err.code == 0; i++) {
        struct pair_side *s = &p->sides[i];
        struct node_config *c = &s->node.config;
        s->pair = p;
        s->side = i;
        *c = *config;
        c->shard = (uint32_t)i;
        if (i == 1) {
            c->n_addresses = 1;
            c->addresses[0] = config->listen;
            CHECK(has_port(&p->sides[0].node, &c->addresses[0].port));
        }
        CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
        wait_for(p, &p->n_opened, (uint32_t)i + 1);
    }
    if (p->err.code == 0)
        wait_for(p, &p->n_training, 2);
    *err = p->err;
    return err->code;
}

void pair_wake(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        uv_async_send(&p->sides[i].wake);
}

int pair_join(struct pair *p, struct error *err)
{
    pair_wake(p);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(p->sides[i].thread, NULL) == 0);
    *err = p->err;
    return err->code;
}

void pair_close(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        node_close(&p->sides[i].node);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
}
