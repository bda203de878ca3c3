/* Two nodes in this process, as `hubbub node` runs them, linked over loopback: each a thread for
 * its loop and one for its trainer, both on the side's processor. */
#ifndef HUBBUB_BENCH_STREAM_PAIR_H
#define HUBBUB_BENCH_STREAM_PAIR_H

#include "node/node.h"

struct pair;

struct pair_side {
    struct pair *pair;
    int side;
    struct node node; /* the loop thread's, while it runs */
    uv_check_t turn;
    uv_async_t wake;
    pthread_t thread;
    bool opened, counted, both_train;
    void *ctx; /* the owner's */
};

struct pair {
    struct pair_side sides[2];
    /* On a side's loop thread, whenever its loop turns, once both train: false to leave. */
    bool (*turn)(struct pair_side *s);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t n_opened, n_training, n_ended;
    struct error err; /* of the first that failed; code 0: none did */
};

/* What a node of `hubbub node` without flags has, but for --gossip-every and the end: it trains
 * until it is told to leave, evaluates nothing, writes nothing. `config` is filled for side 0; the
 * pair sets addresses and shards. */
void pair_config(struct node_config *config, const char *data, const char *model);

/* Returns once both train and are linked. *p and its ctx stay where they are until pair_close.
 * ERR_*: then there is nothing to close. */
int pair_open(struct pair *p, const struct node_config *config, bool (*turn)(struct pair_side *s),
              struct error *err) MUST_USE;

/* Lets the loops turn, for something that `turn` looks at. Any thread. */
void pair_wake(struct pair *p);

/* Once `turn` has said false, or says so soon. Afterwards the nodes are as they ended: to be read
 * until pair_close. ERR_FAILURE when a link was lost or a node failed. */
int pair_join(struct pair *p, struct error *err) MUST_USE;
void pair_close(struct pair *p);

#endif
