#include "sim/check.h"
#include "sim/inner.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/calibrate.h"
#include "sim/details.h"
#include "sim/rounds.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A nominal core: what a step costs without --step-time or --calibrate. */
#define FLOPS_A_US UINT64_C(10000)

enum {
    NODES_MAX = 1 << 28,
    FLOPS_A_WEIGHT = 6, /* forward 2, backward 4, a sample */
    REMEMBERED = 64     /* senders of transfers; a link that broke is there again at once */
};

static uint32_t neighbour(const void *ctx, uint32_t self, uint32_t k)
{
    return topology_neighbour(&((const struct sim *)ctx)->topology, self, k);
}

static bool is_clear(const void *ctx, uint32_t self, uint64_t now_us)
{
    const struct sim *s = ctx;
    return s->way_out_us[self] <= now_us;
}

/* Of requests for a slice, as many as a real peer answers at once; where no step takes any time
 * none waits. */
static uint32_t serve_default(enum sim_train train)
{
    return train == SIM_ON_RECEIVE ? 1 : GOSSIP_SERVE_PER_SLICE;
}

static int open_data(struct sim *s, struct error *err)
{
    struct sim_config *c = &s->config;
    c->data.group = c->partition.kind == PARTITION_BY ? c->partition.column : NULL;
    int rc = data_open(&s->data, c->data.spec, &c->data, err);
    if (rc == 0)
        data_settle(&s->data);
    if (rc == 0)
        rc = model_parse(&s->model, c->model_spec, s->data.train.shape, err);
    if (rc == 0)
        rc = split_init(&s->split, &s->data.train, &c->partition, c->n_nodes, c->seed, err);
    if (rc == 0)
        rc = topology_init(&s->topology, c->topology, c->n_nodes, c->seed, err);
    if (rc == 0)
        rc = model_blas_setup(1, c->n_threads > 1, err);
    return rc;
}

static void measure_step(struct sim *s)
{
    struct sim_config *c = &s->config;
    struct learner_config config = s->learner_config;
    config.optim = c->optim;
    config.optim.schedule = LR_CONSTANT;
    struct shard shard = split_shard(&s->split, 0);
    struct calibration found = calibrate(&config, &shard, c->speed.pace_us);
    c->speed.step_us = found.median_us < 1 ? 1 : (uint64_t)(found.median_us + 0.5);
    log_info("--calibrate: a step took %.4g us here (median of %" PRIu32
             "; quartiles %.4g and %.4g); the result depends on this machine and moment: "
             "--step-time %" PRIu64 "us repeats it",
             found.median_us, found.n_steps, found.q1_us, found.q3_us, c->speed.step_us);
}

/* Times follow from one another: a step from the model, a cycle from the step, the network's floor
 * from the cycle, and no message is faster than the least that latency ever is. */
static void set_times(struct sim *s)
{
    struct sim_config *c = &s->config;
    c->speed.n_nodes = c->n_nodes;
    if (c->speed.step_us == 0)
        c->speed.step_us = FLOPS_A_WEIGHT * s->model.dim * c->batch / FLOPS_A_US;
    uint64_t nominal_us = speed_nominal_us(&c->speed), step_us = nominal_us > 0 ? nominal_us : 1;
    s->cycle_us = c->every_steps > 0 ? c->every_steps * step_us : c->every_us;
    c->optim.steps = c->train == SIM_ON_RECEIVE ? c->cycles : c->cycles * s->cycle_us / step_us;
    struct network *net = &c->network;
    net->seed = c->seed;
    if (net->floor_us == 0)
        net->floor_us = s->cycle_us / 1000 > 0 ? s->cycle_us / 1000 : 1;
    if (net->latency.kind != DIST_LOGNORMAL && net->latency.low_us > net->floor_us)
        net->floor_us = net->latency.low_us;
    s->day_us = net->floor_us;
    s->days_a_us = UINT64_MAX / s->day_us;
}

/* A real peer hears from the others how many samples they have and how fast they are. */
static void set_means(struct sim *s)
{
    const struct sim_config *c = &s->config;
    bool differ = c->train == SIM_CONTINUOUS && c->speed.kind != SPEED_CONST, alike = !differ;
    uint32_t first = split_shard(&s->split, 0).n;
    double roots = 0;
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        uint32_t n = split_shard(&s->split, i).n;
        alike = alike && n == first;
        s->mean_samples += (double)n / c->n_nodes;
        if (!differ)
            continue;
        double speed = speed_steps_a_us(&c->speed, c->seed, i);
        s->mean_speed += speed / c->n_nodes;
        roots += sqrt(speed) / c->n_nodes;
    }
    s->evenness = differ ? roots / sqrt(s->mean_speed) : 1;
    s->factor = alike ? peer_factor(s, 0, first) : 0;
}

static void set_gossip(struct sim *s)
{
    const struct sim_config *c = &s->config;
    uint64_t n_slices = (s->model.dim + GOSSIP_SLICE_FLOATS - 1) / GOSSIP_SLICE_FLOATS;
    uint32_t fanout = c->fanout > 0 ? c->fanout : 1;
    uint32_t per_slice = c->open_per_slice > 0 ? c->open_per_slice : 1;
    uint32_t parked = c->gossip == GOSSIP_PUSH ? 0 : c->parked_per_slice; /* no push waits */
    uint32_t serves = c->serve_per_slice > 0 ? c->serve_per_slice : serve_default(c->train);
    uint64_t open = n_slices * (per_slice * fanout + parked), serve = n_slices * serves;
    s->gossip_config = (struct gossip_config){
        .mode = c->gossip,
        .n_slices = (uint32_t)n_slices,
        .open_max = (uint16_t)open,
        .serve_max = (uint16_t)serve,
        .open_per_slice = (uint16_t)per_slice,
        .fanout = (uint16_t)fanout,
        .n_remembered = network_breaks(&c->network) ? REMEMBERED : 0,
        .seed = c->seed,
        .in_turn = s->topology.kind == TOPOLOGY_ONE_PEER_EXPONENTIAL,
        .neighbour = neighbour,
        .is_clear = c->network.bytes_per_s > 0 ? is_clear : NULL,
        .leaves_at_once = c->network.bytes_per_s == 0 && c->network.link_bytes_per_s == 0,
        .ctx = s};
    s->foresees = c->gossip == GOSSIP_PUSH && c->every_steps == 0 && n_slices == 1 && fanout == 1 &&
                  s->gossip_config.leaves_at_once && s->lives == NULL;
    s->head_bytes = MEM_NEW(uint32_t, n_slices + 1);
    uint8_t *head = MEM_NEW(uint8_t, WIRE_HEAD_MAX);
    struct wire_message m = {.kind = WIRE_REQUEST, .id = 1};
    for (uint32_t i = 0; i < n_slices; i++) {
        m.tensor = (struct wire_tensor){.offset = slice_offset(i),
                                        .count = slice_count(s, i),
                                        .mode = WIRE_PULL,
                                        .weight = 1,
                                        .mass = 1};
        s->head_bytes[i] = (uint32_t)wire_encode(&m, 0, head);
    }
    m.kind = WIRE_DECLINE;
    s->head_bytes[n_slices] = (uint32_t)wire_encode(&m, 0, head);
    free(head);
}

/* Huge pages, where the system has them: a million nodes are visited in no order. */
static int make_arena(struct sim *s, struct error *err)
{
    s->core_offset = sizeof(struct node);
    s->floats_offset = mem_round(s->core_offset + gossip_size(&s->gossip_config), MEM_ALIGN);
    s->stride = s->floats_offset + learner_floats(&s->learner_config) * sizeof(float);
    s->arena_bytes = s->stride * s->config.n_nodes;
    s->arena = mmap(NULL, s->arena_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->arena == MAP_FAILED) {
        s->arena = NULL;
        return error_set(err, ERR_FAILURE, "no memory for %" PRIu32 " nodes of %zu bytes: %m",
                         s->config.n_nodes, s->stride);
    }
    madvise(s->arena, s->arena_bytes, MADV_HUGEPAGE);
    return 0;
}

/* All start from the same weights, each at a moment of its own within the first cycle. */
static void make_nodes(struct sim *s)
{
    float *theta = MEM_NEW(float, s->model.dim);
    model_init(&s->model, s->config.seed, theta);
    for (uint32_t id = 0; id < s->config.n_nodes; id++) {
        struct rng rng = rng_stream(s->config.seed, id, RNG_START);
        peer_init(s, id, (uint64_t)(rng_uniform(&rng) * (double)s->cycle_us));
        memcpy(node_floats(s, sim_node(s, id)), theta, s->model.dim * sizeof *theta);
    }
    free(theta);
}

int sim_open(struct sim **sim, const struct sim_config *config, struct error *err)
{
    CHECK(config->n_nodes >= 2 && config->n_nodes <= NODES_MAX && config->n_threads >= 1 &&
          config->n_threads <= SIM_THREADS_MAX);
    struct sim *s = *sim = MEM_NEW(struct sim, 1);
    s->config = *config;
    if (s->config.n_threads > s->config.n_nodes)
        s->config.n_threads = s->config.n_nodes;
    int rc = rounds_check(config, err);
    if (rc == 0)
        rc = open_data(s, err);
    s->learner_config = (struct learner_config){.model = &s->model,
                                                .train = &s->data.train,
                                                .batch = s->config.batch,
                                                .seed = s->config.seed};
    if (rc == 0) {
        struct sim_config *c = &s->config;
        if (c->calibrate)
            measure_step(s);
        set_times(s);
        rc = training_set_lengths(&c->optim, &c->warmup, &c->step_size, split_shard(&s->split, 0).n,
                                  c->batch, "--cycles", err);
        s->learner_config.optim = c->optim;
    }
    if (rc == 0)
        rc = life_open(s, err);
    if (rc == 0) {
        set_gossip(s);
        set_means(s);
        rc = make_arena(s, err);
    }
    if (rc == 0)
        rc = parcels_open(&s->parcels, slice_count(s, 0), s->config.n_threads, err);
    if (rc != 0) {
        sim_close(s);
        *sim = NULL;
        return rc;
    }
    if (s->config.network.bytes_per_s > 0) {
        s->way_out_us = MEM_NEW(uint64_t, s->config.n_nodes);
        s->way_in_us = MEM_NEW(uint64_t, s->config.n_nodes);
    }
    s->team = team_new(s->config.n_threads);
    s->evaluators = MEM_NEW(struct evaluator, s->config.n_threads);
    for (uint32_t i = 0; i < s->config.n_threads; i++)
        evaluator_init(&s->evaluators[i], &s->model, &s->data.test);
    make_nodes(s);
    if (s->config.algorithm == SIM_GOSSIP)
        engine_init(s);
    else
        s->rounds = rounds_new(s);
    if (s->config.check)
        s->check = check_open(s);
    return 0;
}

void sim_close(struct sim *s)
{
    if (s->workers != NULL)
        engine_close(s);
    if (s->rounds != NULL)
        rounds_free(s->rounds);
    if (s->workers != NULL || s->rounds != NULL) {
        team_free(s->team);
        for (uint32_t i = 0; i < s->config.n_threads; i++)
            evaluator_close(&s->evaluators[i]);
        free(s->evaluators);
    }
    parcels_close(&s->parcels);
    if (s->arena != NULL)
        munmap(s->arena, s->arena_bytes);
    if (s->sample != NULL)
        sim_forget_records(s);
    free(s->head_bytes);
    free(s->way_out_us);
    free(s->way_in_us);
    life_close(s);
    check_close(s->check);
    topology_close(&s->topology);
    split_close(&s->split);
    data_close(&s->data);
    free(s);
}

uint64_t sim_cycle_us(const struct sim *s)
{
    return s->cycle_us;
}

struct speed sim_speed(const struct sim *s)
{
    return s->config.speed;
}

uint64_t sim_end_us(const struct sim *s)
{
    if (s->rounds != NULL)
        return SIM_NEVER;
    return SIM_DAYS_MAX * s->day_us;
}

void sim_run_cycles(struct sim *s, uint64_t n_cycles)
{
    if (s->rounds != NULL)
        rounds_run(s->rounds, n_cycles);
    else
        sim_run_until(s, n_cycles * s->cycle_us);
}

uint64_t sim_cycles(const struct sim *s)
{
    return s->rounds != NULL ? rounds_done(s->rounds) : s->now_us / s->cycle_us;
}

uint64_t sim_now_us(const struct sim *s)
{
    return s->now_us;
}

const char *sim_violation(const struct sim *s)
{
    return check_failed_text(s->check);
}

const struct model *sim_model(const struct sim *s)
{
    return &s->model;
}

const struct data_pair *sim_data(const struct sim *s)
{
    return &s->data;
}

const float *sim_theta(const struct sim *s, uint32_t node)
{
    return node_floats(s, sim_node(s, node));
}

struct sim_memory sim_memory(const struct sim *s)
{
    if (s->rounds != NULL)
        return (struct sim_memory){.node_bytes = rounds_node_bytes(s->rounds)};
    return (struct sim_memory){
        .node_bytes = s->floats_offset, .parcels = s->parcels.n, .parcel_bytes = s->parcels.stride};
}
