/* The gossip core on quadratics f_i = 1/2 ||x - b_i||^2: rounds of one gradient step of every peer,
 * then one exchange initiated by each, in order, with a neighbour drawn by the core.
 *
 *   X_t+1 = W_t ((1 - eta) X_t + eta B),  W_t = E_n ... E_2 E_1,  E_i an exchange between i and j_i
 * W_t does not depend on X_t, so the mean over time comes to eta (I - (1 - eta) W)^-1 W B with
 * W = E[W_t] = E[E_n] ... E[E_1], E[E_i] = I - 1/2 mean_j (e_i - e_j)(e_i - e_j)' over the
 * neighbours j of i (w = 1/2). Measured within its Monte-Carlo error, that of means over batches of
 * rounds. The deployed objects: net/gossip, base/vec, sim/topology. */
#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "net/gossip.h"
#include "sim/topology.h"
#include "tests/support/bounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 8, BATCHES = 50, BURN_IN = 500, BUFFERS = 8 };

#define ETA 0.1f

struct world {
    struct topology topology;
    struct gossip_config config;
    struct gossip *cores[N];
    float x[N], b[N];
    float buffers[N][BUFFERS];
    bool used[N][BUFFERS];
    uint64_t now_us;
};

static void drive(struct world *w, uint32_t i, struct gossip_event *event);

static uint32_t neighbour(const void *ctx, uint32_t self, uint32_t k)
{
    const struct world *w = ctx;
    return topology_neighbour(&w->topology, self, k);
}

static uint32_t take_buffer(struct world *w, uint32_t i)
{
    uint32_t b = 0;
    while (w->used[i][b])
        b++;
    CHECK(b < BUFFERS);
    w->used[i][b] = true;
    return b;
}

static void give_buffer(struct world *w, uint32_t i, uint32_t b)
{
    if (b != GOSSIP_NONE)
        w->used[i][b] = false;
}

/* Arrives at once; what it carries is copied into a buffer of the receiver's. */
static void deliver(struct world *w, uint32_t from, const struct gossip_message *m)
{
    struct gossip_event event = {.type = GOSSIP_RECEIVED,
                                 .received = {.message = *m, .peer_is_smaller = from < m->peer}};
    uint32_t to = m->peer;
    event.received.message.peer = from;
    event.received.message.buffer = take_buffer(w, to);
    w->buffers[to][event.received.message.buffer] = w->buffers[from][m->buffer];
    give_buffer(w, from, m->buffer);
    drive(w, to, &event);
}

static void run_job(struct world *w, uint32_t i, const struct gossip_action *a)
{
    struct gossip_event done = {.type = GOSSIP_DONE,
                                .done = {.exchange = a->job.exchange, .buffer = a->job.buffer}};
    float *own = w->buffers[i];
    if (a->type == GOSSIP_TAKE) {
        if (done.done.buffer == GOSSIP_NONE)
            done.done.buffer = take_buffer(w, i);
        own[done.done.buffer] = w->x[i];
    } else if (a->type == GOSSIP_ANSWER) {
        vec_answer(&w->x[i], a->job.c, &own[a->job.buffer], 1);
    } else {
        CHECK(a->type == GOSSIP_ADD);
        vec_add_scaled(&w->x[i], a->job.c, &own[a->job.buffer], 1);
        give_buffer(w, i, a->job.buffer);
    }
    drive(w, i, &done);
}

static void drive(struct world *w, uint32_t i, struct gossip_event *event)
{
    struct gossip_update update;
    event->now_us = w->now_us;
    gossip_step(w->cores[i], event, &update);
    for (uint32_t k = 0; k < update.n_actions; k++)
        if (update.actions[k].type == GOSSIP_SEND)
            deliver(w, i, &update.actions[k].send);
        else
            run_job(w, i, &update.actions[k]);
}

static void open_world(struct world *w, const char *topology)
{
    struct error err;
    struct rng rng = rng_stream(4, 0, RNG_TEST);
    memset(w, 0, sizeof *w);
    CHECK(topology_init(&w->topology, topology, N, 1, &err) == 0);
    w->config = (struct gossip_config){.mode = GOSSIP_PAIRWISE,
                                       .n_slices = 1,
                                       .open_max = 1,
                                       .serve_max = 1,
                                       .open_per_slice = 1,
                                       .seed = 1,
                                       .neighbour = neighbour,
                                       .ctx = w};
    for (uint32_t i = 0; i < N; i++) {
        struct gossip_event link = {
            .type = GOSSIP_LINK,
            .link = {.peer = GOSSIP_NONE, .n_peers = topology_degree(&w->topology, i)}};
        struct gossip_event phase = {.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE};
        w->b[i] = (float)rng_normal(&rng);
        w->cores[i] = mem_alloc(1, gossip_size(&w->config));
        gossip_init(w->cores[i], &w->config, i);
        gossip_set_schedule(w->cores[i], 1, 0);
        drive(w, i, &link);
        drive(w, i, &phase);
    }
}

static void close_world(struct world *w)
{
    for (uint32_t i = 0; i < N; i++) {
        CHECK(gossip_n_open(w->cores[i]) == 0);
        free(w->cores[i]);
    }
    topology_close(&w->topology);
}

static void run_round(struct world *w)
{
    w->now_us++;
    for (uint32_t i = 0; i < N; i++)
        w->x[i] -= ETA * (w->x[i] - w->b[i]);
    for (uint32_t i = 0; i < N; i++) {
        struct gossip_event stepped = {.type = GOSSIP_WAKE, .n_steps = 1};
        drive(w, i, &stepped);
    }
}

/* ---- theory ---------------------------------------------------------------------------------- */

/* w = E[E_i] w. */
static void exchange(const struct world *world, uint32_t i, double w[N][N])
{
    double before[N][N];
    uint32_t degree = topology_degree(&world->topology, i);
    memcpy(before, w, sizeof before);
    for (uint32_t k = 0; k < degree; k++) {
        uint32_t j = topology_neighbour(&world->topology, i, k);
        for (uint32_t column = 0; column < N; column++) {
            double half = (before[i][column] - before[j][column]) / (2.0 * degree);
            w[i][column] -= half;
            w[j][column] += half;
        }
    }
}

static void fixed_point(const struct world *world, double x[N])
{
    double w[N][N] = {{0}}, a[N][N];
    const double eta = (double)ETA;
    for (uint32_t i = 0; i < N; i++)
        w[i][i] = 1;
    for (uint32_t i = 0; i < N; i++)
        exchange(world, i, w);
    for (uint32_t i = 0; i < N; i++) {
        x[i] = 0;
        for (uint32_t j = 0; j < N; j++) {
            a[i][j] = (i == j) - (1 - eta) * w[i][j];
            x[i] += eta * w[i][j] * (double)world->b[j];
        }
    }
    bounds_solve(&a[0][0], x, N, 1);
}

/* The error of the mean over time that is the largest in its standard errors, over the peers. */
static void time_average(const char *topology, uint32_t n_rounds)
{
    struct world w;
    double sums[N] = {0}, squares[N] = {0}, x[N], worst = 0, apart = 0, error = 0;
    open_world(&w, topology);
    for (uint32_t t = 0; t < BURN_IN; t++)
        run_round(&w);
    for (uint32_t batch = 0; batch < BATCHES; batch++) {
        double mean[N] = {0};
        for (uint32_t t = 0; t < n_rounds / BATCHES; t++) {
            run_round(&w);
            for (uint32_t i = 0; i < N; i++)
                mean[i] += (double)w.x[i] * BATCHES / n_rounds;
        }
        for (uint32_t i = 0; i < N; i++) {
            sums[i] += mean[i];
            squares[i] += mean[i] * mean[i];
        }
    }
    fixed_point(&w, x);
    for (uint32_t i = 0; i < N; i++) {
        double mean = sums[i] / BATCHES;
        double standard = sqrt((squares[i] / BATCHES - mean * mean) / (BATCHES - 1));
        worst = fmax(worst, fabs(mean - x[i]) / standard);
        error = fmax(error, standard);
        apart = fmax(apart, fabs(x[i] - x[0]));
    }
    bounds_below(0, worst, 4.5,
                 "core on quadratics, %s of %d: time average off its theory, in standard errors",
                 topology, N);
    bounds_below(0.03, error / apart, 0,
                 "core on quadratics, %s of %d: a standard error over what sets peers apart",
                 topology, N);
    close_world(&w);
}

int main(void)
{
    static const char *const topologies[] = {"random", "ring", "path", "star", "hypercube"};
    for (size_t i = 0; i < sizeof topologies / sizeof topologies[0]; i++)
        time_average(topologies[i], bounds_full() ? 2000000 : 200000);
    return bounds_end();
}
