/* Nodes that come and go.
 *
 * A crash ends what a node had open. Whoever it had an exchange with learns that a latency later,
 * as from a connection that closes: what was sent before still arrives. Whoever sends to a node
 * that is away learns when the message should have arrived, as of any lost message (peer.c). A node
 * stays away longer than any latency, so everybody knows before it is back. */
#include "sim/check.h"
#include "sim/inner.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    ADOPT_TRIES = 16, /* peers that a newcomer asks before it trains on its own */
    RETRIES_A_CYCLE = 4,
    LOOKS = 4 /* at neighbours before it asks one */
};

int life_open(struct sim *s, struct error *err)
{
    const struct sim_config *c = &s->config;
    struct churn_config churn = {.sessions = c->sessions,
                                 .late = c->late,
                                 .heal_us = c->network.heal_us,
                                 .least_gap_us = dist_longest(&c->network.latency),
                                 .end_us = c->cycles * s->cycle_us};
    if (churn.least_gap_us < c->network.floor_us)
        churn.least_gap_us = c->network.floor_us;
    churn.least_gap_us++;
    int rc = churn_init(&s->churn, &churn, c->n_nodes, c->seed, err);
    if (rc != 0 || s->churn.firsts == NULL)
        return rc;
    s->first = MEM_NEW(float, s->model.dim);
    model_init(&s->model, c->seed, s->first);
    s->lives = MEM_NEW(struct life, c->n_nodes);
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        bool down = !churn_is_up(&s->churn, i, 0);
        s->lives[i] = (struct life){
            .change_us = churn_next_us(&s->churn, i, 0), .retry_us = SIM_NEVER, .down = down};
    }
    return 0;
}

void life_close(struct sim *s)
{
    churn_close(&s->churn);
    free(s->lives);
    free(s->first);
}

static struct life *life_of(const struct worker *w)
{
    return &w->sim->lives[w->id];
}

void life_tell(struct worker *w, uint32_t dst, uint64_t crash_us)
{
    struct letter word = {.sent_us = crash_us + 1,
                          .dst = dst,
                          .src = w->id,
                          .number = w->node->outbox.n_sent,
                          .parcel = PARCEL_NONE};
    word.arrival_us = network_word(&w->sim->config.network, &w->node->outbox, w->id, crash_us);
    engine_post(w, &word);
}

/* ---- a crash --------------------------------------------------------------------------------- */

static void crash(struct worker *w)
{
    struct sim *s = w->sim;
    struct node *node = w->node;
    const struct gossip *core = node_core(s, node);
    uint32_t n = (uint32_t)s->gossip_config.open_max + s->gossip_config.serve_max;
    peer_trace(w, PEER_CRASHED, w->sim->lives[w->id].n_tries);
    if (s->check != NULL)
        check_crashed(w);
    peer_drop_jobs(w);
    for (uint32_t i = 0; i < n; i++) {
        struct gossip_remains r, earlier;
        if (!gossip_remains(core, i, &r))
            continue;
        parcel_unref(&w->shelf, r.buffer);
        bool told = false;
        for (uint32_t k = 0; k < i && !told; k++)
            told = gossip_remains(core, k, &earlier) && earlier.peer == r.peer;
        if (!told)
            life_tell(w, r.peer, w->now_us);
    }
    node->started = node->rests = false;
    node->wake_us = node->busy_us = SIM_NEVER;
    node->n_merged = 0;
    w->totals.crashes++;
}

/* ---- a start --------------------------------------------------------------------------------- */

static void lose_state(struct worker *w)
{
    const struct sim *s = w->sim;
    memcpy(w->learner.theta, s->first, s->model.dim * sizeof *s->first);
    learner_resume(&w->learner, 0);
    life_of(w)->resumed = 0;
}

/* Nobody is further, or nobody answered: it trains from where it is. */
static void stop_joining(struct worker *w)
{
    struct gossip_event active = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
    life_of(w)->joining = false;
    life_of(w)->retry_us = SIM_NEVER;
    peer_drive(w, &active);
    if (w->sim->config.train == SIM_CONTINUOUS)
        peer_begin_step(w);
}

/* Of some neighbours the one that has been there longest. A real peer knows who is linked, and how
 * far each is, and asks the furthest. */
static uint32_t choose_neighbour(const struct worker *w, uint32_t degree)
{
    const struct sim *s = w->sim;
    struct life *life = life_of(w);
    struct rng rng = rng_stream(s->config.seed, w->id, RNG_ADOPT);
    uint32_t best = GOSSIP_NONE;
    uint64_t best_us = SIM_NEVER;
    rng.index = life->draws;
    for (uint32_t i = 0; i < LOOKS; i++) {
        uint32_t peer = topology_neighbour(&s->topology, w->id, rng_below(&rng, degree));
        uint64_t since_us = churn_since_us(&s->churn, peer, w->now_us);
        if (since_us < best_us) {
            best = peer;
            best_us = since_us;
        }
    }
    life->draws = rng.index;
    return best;
}

static void try_to_adopt(struct worker *w)
{
    const struct sim *s = w->sim;
    struct life *life = life_of(w);
    uint32_t degree = topology_degree(&s->topology, w->id);
    life->retry_us = SIM_NEVER;
    if (degree == 0 || life->n_tries++ == ADOPT_TRIES) {
        stop_joining(w);
        return;
    }
    struct gossip_event adopt = {.type = GOSSIP_ADOPT, .adopt = choose_neighbour(w, degree)};
    if (adopt.adopt == GOSSIP_NONE)
        life_adopt_failed(w);
    else
        peer_drive(w, &adopt);
}

static void come(struct worker *w)
{
    const struct sim *s = w->sim;
    struct life *life = life_of(w);
    bool was_there = life->resumed > 0 || w->learner.step > 0;
    life->joining = !s->config.alone && (!was_there || !s->config.state_is_kept);
    life->n_tries = 0;
    if (s->check != NULL)
        check_before(w);
    if (!s->config.state_is_kept)
        lose_state(w);
    if (s->check != NULL)
        check_changed(w);
    struct sim_counts before = sim_counts_of(node_core(s, w->node));
    sim_add_counts(&w->counts, &before);
    gossip_init(node_core(s, w->node), &s->gossip_config, w->id);
    peer_trace(w, PEER_STARTED, life->joining);
    peer_start(w, life->joining ? GOSSIP_JOINING : GOSSIP_ACTIVE);
    if (life->joining)
        try_to_adopt(w);
}

void life_happen(struct worker *w)
{
    struct life *life = life_of(w);
    if (life->change_us > w->now_us) {
        try_to_adopt(w);
        return;
    }
    life->change_us = churn_next_us(&w->sim->churn, w->id, w->now_us);
    life->retry_us = SIM_NEVER;
    life->down = !life->down;
    if (life->down)
        crash(w);
    else
        come(w);
}

void life_adopted(struct worker *w)
{
    struct life *life = life_of(w);
    /* The last slices are still to be copied, and that sets the optimiser's state to zero. */
    struct gossip_event active = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
    life->joining = false;
    peer_drive(w, &active);
    learner_resume(&w->learner, life->heard_steps);
    life->resumed = life->heard_steps;
    peer_trace(w, PEER_ADOPTED, life->heard_steps);
    if (w->sim->config.train == SIM_CONTINUOUS)
        peer_begin_step(w);
}

void life_adopt_failed(struct worker *w)
{
    struct sim *s = w->sim;
    life_of(w)->retry_us = w->now_us + s->cycle_us / RETRIES_A_CYCLE + 1;
}
