#include "sim/rounds.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/team.h"
#include "base/vec.h"
#include "sim/inner.h"
#include "sim/mixing.h"
#include "sim/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { STAGES_MAX = 64, DRAWS = 2 /* of one latency, at most */ };

/* A thread and its nodes. */
struct portion {
    uint32_t first, end;
    struct workspace workspace;
    struct mixing_entry *row;
    float *mixed;                    /* [dim] */
    uint64_t longest_us[STAGES_MAX]; /* of the messages of a stage */
    struct sim_totals totals;
};

struct rounds {
    struct sim *sim;
    struct mixing mixing;
    struct team *team; /* borrowed from the sim */
    struct portion *parts;
    struct learner *learners; /* [n_nodes] */
    float *sent;              /* [n_nodes, dim]: of a round, weights or gradients; NULL: nothing */
    float *mean;              /* [dim]: gradient */
    uint64_t step_us;         /* of the slowest node */
    uint64_t n_done;
};

static const char *const algorithms[] = {"gossip", "dpsgd", "allreduce", "local"};

int rounds_check(const struct sim_config *c, struct error *err)
{
    const struct network *net = &c->network;
    const struct {
        bool wrong;
        const char *what;
    } rules[] = {
        {c->every_steps == 0, "--gossip-every of a time (right: a number of steps)"},
        {c->algorithm == SIM_ALLREDUCE && c->every_steps != 1,
         "--gossip-every other than 1: gradients are averaged at each step (right: 1, or dpsgd on "
         "--topology complete for local steps in between)"},
        {c->train == SIM_ON_RECEIVE, "--train on-receive (right: continuous)"},
        {c->gossip != GOSSIP_PAIRWISE || c->alone, "--gossip, which it does not do"},
        {net->drop > 0, "--drop: a round waits for each message (right: 0)"},
        {net->split.n_groups > 0, "--netsplit: a round waits for each message"},
        {net->link_bytes_per_s > 0, "--link-bandwidth (right: --bandwidth)"},
        {c->sessions.set || c->late.n > 0, "--churn or --join: a round waits for everybody"},
        {c->check || c->settle_us > 0, "--check or --settle, which are gossip's"},
        {c->open_per_slice > 1 || c->serve_per_slice > 0 ||
             (c->parked_per_slice > 0 && c->parked_per_slice != GOSSIP_PARKED_PER_SLICE),
         "--open, --parked or --serve, which are gossip's"},
    };
    if (c->algorithm != SIM_DPSGD &&
        (c->order != SIM_ADAPT_THEN_COMBINE || c->mixing != MIXING_METROPOLIS))
        return error_set(err, ERR_USAGE,
                         "--algorithm %s with --order or --mixing-matrix, which are dpsgd's",
                         algorithms[c->algorithm]);
    for (size_t i = 0; c->algorithm != SIM_GOSSIP && i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].wrong)
            return error_set(err, ERR_USAGE, "--algorithm %s goes in rounds of steps, not with %s",
                             algorithms[c->algorithm], rules[i].what);
    return 0;
}

static float *sent_by(const struct rounds *r, uint32_t node)
{
    return r->sent + (uint64_t)node * r->sim->model.dim;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* No padding: all of it is hashed. */
struct trace_item {
    uint64_t now_us, round, n_steps;
    double loss;
};

/* A node's half of a round that needs nobody else. */
static void compute(const struct rounds *r, struct portion *p, uint32_t node)
{
    struct sim *s = r->sim;
    const struct sim_config *c = &s->config;
    struct learner *l = &r->learners[node];
    uint64_t bytes = s->model.dim * sizeof(float);
    double loss = 0;
    bool sends = c->algorithm == SIM_DPSGD;
    if (sends && c->order == SIM_COMBINE_THEN_ADAPT)
        memcpy(sent_by(r, node), l->theta, bytes);
    if (c->algorithm == SIM_ALLREDUCE)
        loss = learner_gradient(l, &p->workspace, sent_by(r, node));
    else
        for (uint32_t i = 0; i < c->every_steps; i++)
            loss += learner_step(l, &p->workspace) / c->every_steps;
    if (sends && c->order == SIM_ADAPT_THEN_COMBINE)
        memcpy(sent_by(r, node), l->theta, bytes);
    p->totals.node_updates += c->every_steps;
    p->totals.events += c->every_steps;
    p->totals.diverged += isfinite(loss) ? 0 : 1;
    struct trace_item item = {s->now_us, r->n_done, l->step, loss};
    struct node *record = sim_node(s, node);
    record->trace = XXH3_64bits_withSeed(&item, sizeof item, record->trace);
    record->n_steps = (uint32_t)l->step;
}

static void part_compute(void *ctx, uint32_t i)
{
    const struct rounds *r = ctx;
    struct portion *p = &r->parts[i];
    for (uint32_t node = p->first; node < p->end; node++)
        compute(r, p, node);
}

/* ---- what is averaged ------------------------------------------------------------------------ */

/* In pieces, so that those that are summed stay in the cache. */
enum { PIECE = 2048 };

static uint64_t piece_at(uint64_t at, uint64_t end)
{
    return end - at < PIECE ? end - at : PIECE;
}

/* theta += W sent - sent: theta is sent, or the steps have moved it from there. W sent - sent is
 * summed from differences, so that the mean is kept whatever the rounding of weights. */
static void part_combine(void *ctx, uint32_t i)
{
    const struct rounds *r = ctx;
    struct portion *p = &r->parts[i];
    uint64_t dim = r->sim->model.dim;
    for (uint32_t node = p->first; node < p->end; node++) {
        uint32_t n = mixing_row(&r->mixing, r->n_done, node, p->row);
        const float *own = sent_by(r, node);
        memset(p->mixed, 0, dim * sizeof *p->mixed);
        for (uint64_t at = 0; at < dim; at += PIECE)
            for (uint32_t k = 1; k < n; k++)
                vec_mix(p->mixed + at, (float)p->row[k].weight, sent_by(r, p->row[k].node) + at,
                        own + at, piece_at(at, dim));
        learner_add(&r->learners[node], 0, dim, 1.0f, p->mixed);
    }
}

/* A thread's range of the mean gradient, summed in node order. */
static void part_average(void *ctx, uint32_t i)
{
    const struct rounds *r = ctx;
    uint64_t dim = r->sim->model.dim, n_threads = team_size(r->team);
    uint32_t n = r->sim->config.n_nodes;
    uint64_t end = dim * (i + 1) / n_threads;
    for (uint64_t at = dim * i / n_threads; at < end; at += PIECE) {
        double sum[PIECE] = {0};
        uint64_t count = piece_at(at, end);
        for (uint32_t node = 0; node < n; node++)
            for (uint64_t d = 0; d < count; d++)
                sum[d] += (double)sent_by(r, node)[at + d];
        for (uint64_t d = 0; d < count; d++)
            r->mean[at + d] = (float)(sum[d] / n);
    }
}

static void part_update(void *ctx, uint32_t i)
{
    const struct rounds *r = ctx;
    struct portion *p = &r->parts[i];
    for (uint32_t node = p->first; node < p->end; node++)
        learner_update(&r->learners[node], r->mean);
}

/* ---- messages -------------------------------------------------------------------------------- */

static uint64_t transfer_us(const struct network *net, uint64_t bytes)
{
    return net->bytes_per_s > 0 ? (bytes * 1000000 + net->bytes_per_s - 1) / net->bytes_per_s : 0;
}

static uint64_t latency_us(const struct rounds *r, uint32_t node, uint64_t number)
{
    const struct network *net = &r->sim->config.network;
    struct rng rng = rng_stream(net->seed, node, RNG_LATENCY);
    rng.index = number * DRAWS;
    return dist_draw(&net->latency, &rng, net->floor_us);
}

/* Of all slices of the model, with their heads. */
static uint64_t model_bytes(const struct sim *s)
{
    uint64_t bytes = s->model.dim * sizeof(float);
    for (uint32_t i = 0; i < s->gossip_config.n_slices; i++)
        bytes += s->head_bytes[i];
    return bytes;
}

/* Whole models, one after another, each to a node that averages with this one; noted the way they
 * go, from those whose model this one needs. */
static void send_models(const struct rounds *r, struct portion *p, uint32_t node)
{
    const struct sim *s = r->sim;
    uint64_t bytes = model_bytes(s), each_us = transfer_us(&s->config.network, bytes);
    uint32_t n = mixing_row(&r->mixing, r->n_done, node, p->row) - 1;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t us = (k + 1) * each_us + latency_us(r, node, r->n_done * r->mixing.degree_max + k);
        p->longest_us[0] = us > p->longest_us[0] ? us : p->longest_us[0];
        if (s->records != NULL)
            record_sent(&s->records[p - r->parts], p->row[1 + k].node, node, bytes);
    }
    p->totals.messages += (uint64_t)n * s->gossip_config.n_slices;
    p->totals.bytes += n * bytes;
}

static uint32_t n_stages(const struct rounds *r)
{
    uint32_t log2_up = 0;
    while (UINT64_C(1) << log2_up < r->sim->config.n_nodes)
        log2_up++;
    return r->sim->config.algorithm == SIM_ALLREDUCE ? 2 * log2_up : 1;
}

/* Recursive halving, then doubling (Rabenseifner 2004, "Optimization of collective reduction
 * operations"): half of the gradient to a first partner, a quarter to the next, and back. */
static void send_gradient(const struct rounds *r, struct portion *p, uint32_t node)
{
    const struct sim *s = r->sim;
    uint32_t n = n_stages(r);
    for (uint32_t stage = 0; stage < n; stage++) {
        uint32_t halvings = 1 + (stage < n / 2 ? stage : n - 1 - stage);
        uint64_t bytes = s->model.dim * sizeof(float) >> halvings;
        uint64_t us =
            transfer_us(&s->config.network, bytes) + latency_us(r, node, r->n_done * n + stage);
        p->longest_us[stage] = us > p->longest_us[stage] ? us : p->longest_us[stage];
        p->totals.bytes += bytes;
    }
    p->totals.messages += n;
}

static void part_send(void *ctx, uint32_t i)
{
    const struct rounds *r = ctx;
    struct portion *p = &r->parts[i];
    memset(p->longest_us, 0, sizeof p->longest_us);
    for (uint32_t node = p->first; node < p->end; node++)
        (r->sim->config.algorithm == SIM_ALLREDUCE ? send_gradient : send_models)(r, p, node);
}

/* Until the last message of each stage has come. */
static uint64_t sending_us(const struct rounds *r)
{
    uint64_t sum_us = 0;
    for (uint32_t stage = 0; stage < n_stages(r); stage++) {
        uint64_t longest_us = 0;
        for (uint32_t i = 0; i < team_size(r->team); i++)
            if (r->parts[i].longest_us[stage] > longest_us)
                longest_us = r->parts[i].longest_us[stage];
        sum_us += longest_us;
    }
    return sum_us;
}

/* ---- rounds ------------------------------------------------------------------------------------
 */

void rounds_run(struct rounds *r, uint64_t n_rounds)
{
    struct sim *s = r->sim;
    while (r->n_done < n_rounds) {
        team_run(r->team, part_compute, r);
        s->now_us += s->config.every_steps * r->step_us;
        if (s->config.algorithm == SIM_DPSGD) {
            team_run(r->team, part_combine, r);
        } else if (s->config.algorithm == SIM_ALLREDUCE) {
            team_run(r->team, part_average, r);
            team_run(r->team, part_update, r);
        }
        if (r->sent != NULL) {
            team_run(r->team, part_send, r);
            s->now_us += sending_us(r);
        }
        r->n_done++;
    }
}

uint64_t rounds_done(const struct rounds *r)
{
    return r->n_done;
}

struct sim_totals rounds_totals(const struct rounds *r)
{
    struct sim_totals sum = {0};
    for (uint32_t i = 0; i < team_size(r->team); i++) {
        const struct sim_totals *t = &r->parts[i].totals;
        sum.events += t->events + t->messages;
        sum.node_updates += t->node_updates;
        sum.messages += t->messages;
        sum.bytes += t->bytes;
        sum.diverged += t->diverged;
    }
    return sum;
}

uint64_t rounds_node_bytes(const struct rounds *r)
{
    return r->sim->floats_offset + sizeof(struct learner) +
           (r->sent != NULL ? r->sim->model.dim * sizeof(float) : 0);
}

/* ---- start and end ------------------------------------------------------------------------------
 */

static void make_learners(struct rounds *r)
{
    struct sim *s = r->sim;
    const struct sim_config *c = &s->config;
    r->learners = MEM_NEW(struct learner, c->n_nodes);
    for (uint32_t node = 0; node < c->n_nodes; node++) {
        struct learner *l = &r->learners[node];
        *l = (struct learner){.config = &s->learner_config,
                              .factor = 1,
                              .shard = split_shard(&s->split, node),
                              .node = node};
        learner_move(l, node_floats(s, sim_node(s, node)));
        uint64_t step_us = speed_step_us(&c->speed, c->seed, node);
        r->step_us = step_us > r->step_us ? step_us : r->step_us;
    }
}

struct rounds *rounds_new(struct sim *s)
{
    const struct sim_config *c = &s->config;
    struct rounds *r = MEM_NEW(struct rounds, 1);
    uint64_t dim = s->model.dim;
    *r = (struct rounds){.sim = s,
                         .team = s->team,
                         .parts = MEM_NEW(struct portion, c->n_threads),
                         .mean = MEM_NEW(float, dim)};
    mixing_init(&r->mixing, &s->topology, c->mixing, c->seed);
    make_learners(r);
    if (c->algorithm != SIM_LOCAL)
        r->sent = MEM_NEW(float, c->n_nodes *dim);
    for (uint32_t i = 0; i < c->n_threads; i++) {
        struct portion *p = &r->parts[i];
        p->first = (uint32_t)((uint64_t)c->n_nodes * i / c->n_threads);
        p->end = (uint32_t)((uint64_t)c->n_nodes * (i + 1) / c->n_threads);
        p->row = MEM_NEW(struct mixing_entry, (size_t)r->mixing.degree_max + 1);
        p->mixed = MEM_NEW(float, dim);
        workspace_init(&p->workspace, &s->learner_config);
    }
    return r;
}

void rounds_free(struct rounds *r)
{
    for (uint32_t i = 0; i < team_size(r->team); i++) {
        free(r->parts[i].row);
        free(r->parts[i].mixed);
        workspace_close(&r->parts[i].workspace);
    }
    free(r->parts);
    free(r->learners);
    free(r->sent);
    free(r->mean);
    free(r);
}
