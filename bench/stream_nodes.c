#include "bench/stream.h"
#include "bench/stream_pair.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NEVER = 1 << 30 };

struct nodes {
    struct pair pair;
    struct stream *stream;
    uint32_t counted[2]; /* slices mixed by a side */
    char model[64];
};

/* The first side asks for every slice whose exchange is over, as if a step had been taken. */
static bool on_turn(struct pair_side *side)
{
    struct nodes *b = side->ctx;
    struct node *n = &side->node;
    const struct gossip_counts *c = gossip_counts(n->gossip);
    uint32_t mixed = c->mixed + c->served, fresh = mixed - b->counted[side->side];
    b->counted[side->side] = mixed;
    bool ending = stream_pass(b->stream, fresh), asks = side->side == 0;
    /* Who asks leaves first, with all its exchanges answered. */
    if (ending && (asks || n->peers.n_linked == 0))
        return false;
    if (asks && !ending) {
        exchange_steps(n, 1);
    } else if (!asks && n->config.every.steps == 1) {
        n->config.every.steps = NEVER;
        exchange_set_schedule(n);
    }
    return true;
}

static int nodes_open(struct stream *s, const struct stream_plan *plan, struct error *err)
{
    enum { N_IN = 784, N_OUT = 10 };
    struct nodes *b = MEM_NEW(struct nodes, 1);
    struct node_config config;
    /* Weights of mlp:784-H-10 are 795 H + 10: as near as can be below the last slice's end. */
    uint32_t floats = 2 * plan->flight * GOSSIP_SLICE_FLOATS;
    snprintf(b->model, sizeof b->model, "mlp:%d-%u-%d", N_IN, (floats - N_OUT) / (N_IN + 1 + N_OUT),
             N_OUT);
    b->stream = s;
    stream_init(s, b);
    pair_config(&config, "blobs:classes=10,features=784,train=1000,test=100", b->model);
    config.every.steps = 1;
    config.pace_us = SECOND_US;
    config.optim.lr = 1e-5f; /* a step after the last exchange hardly moves the weights apart */
    b->pair.sides[0].ctx = b->pair.sides[1].ctx = b;
    return pair_open(&b->pair, &config, on_turn, err);
}

/* That it was averaging: the two have nearly the same weights, and nothing was lost. */
static int verify(struct nodes *b, struct error *err)
{
    const struct node *a = &b->pair.sides[0].node, *z = &b->pair.sides[1].node;
    double norm = sqrt(vec_norm_sq(a->trainer.learner.theta, a->model.dim));
    double distance =
        sqrt(vec_distance_sq(a->trainer.learner.theta, z->trainer.learner.theta, a->model.dim));
    if (!(distance < 0.01 * norm) || a->counts.lost + z->counts.lost > 0)
        return error_set(err, ERR_FAILURE,
                         "the exchanges did not average: the weights are %.3g apart of %.3g, %u "
                         "exchanges were lost",
                         distance, norm, a->counts.lost + z->counts.lost);
    return 0;
}

static int nodes_close(struct stream *s, struct error *err)
{
    struct nodes *b = s->sides;
    stream_end(s);
    int rc = pair_join(&b->pair, err);
    if (rc == 0)
        rc = verify(b, err);
    pair_close(&b->pair);
    free(b);
    return rc;
}

const struct stream_kind stream_nodes = {nodes_open, nodes_close};
