/* Synchronous algorithms against their definitions. */
#include "sim/rounds.h"

#include "base/mem.h"
#include "base/vec.h"
#include "sim/inner.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(rounds, .timeout = 60);

enum { N = 8, BATCH = 4, ROUNDS = 30 };

static struct sim_config config(enum sim_algorithm algorithm, const char *topology)
{
    return (struct sim_config){
        .algorithm = algorithm,
        .n_nodes = N,
        .n_threads = 1,
        .topology = topology,
        .model_spec = "mlp:6-5-3",
        .data = {.spec = "blobs:classes=3,features=6,train=200,test=50"},
        .partition = partition_iid,
        .optim = optim_defaults(OPTIM_SGD),
        .batch = BATCH,
        .seed = 3,
        .cycles = ROUNDS,
        .every_steps = 1,
        .open_per_slice = 1,
        .serve_per_slice = 1,
    };
}

static struct sim *open_sim(const struct sim_config *c)
{
    struct sim *s;
    struct error err = {0};
    cr_assert_eq(sim_open(&s, c, &err), 0, "%s", err.text);
    return s;
}

static double distance(const float *a, const float *b, uint64_t n)
{
    return sqrt(vec_distance_sq(a, b, n) / vec_norm_sq(b, n));
}

/* One learner that takes, at each step, the minibatches of all nodes as one batch. */
static float *train_joined(struct sim *s)
{
    const struct model *m = &s->model;
    uint64_t dim = m->dim;
    struct learner_config c = s->learner_config;
    struct learner l;
    struct shard shard = split_shard(&s->split, 0);
    float *storage = MEM_NEW(float, learner_floats(&c));
    learner_init(&l, &c, &shard, 0, storage);
    float *x = MEM_NEW(float, N *BATCH * m->n_in), *grad = MEM_NEW(float, dim);
    float *scratch = MEM_NEW(float, model_scratch(m, N * BATCH));
    union target y[N * BATCH];
    uint32_t rows[N * BATCH];
    for (uint32_t step = 0; step < ROUNDS; step++) {
        for (uint32_t node = 0; node < N; node++) {
            shard = split_shard(&s->split, node);
            batches_rows(&shard, c.seed, node, (uint64_t)step * BATCH, rows + node * BATCH, BATCH);
        }
        struct pass pass = {.batch = N * BATCH, .training = true, .seed = c.seed, .step = step};
        dataset_gather(&s->data.train, rows, N * BATCH, x, y);
        model_loss_grad(m, &pass, l.theta, x, y, 0.0f, grad, scratch);
        learner_update(&l, grad);
    }
    free(x);
    free(grad);
    free(scratch);
    return storage;
}

Test(rounds, allreduce_is_training_on_the_joined_batch)
{
    for (int kind = 0; kind <= N_OPTIMIZERS; kind++) {
        struct sim_config c = config(SIM_ALLREDUCE, "random");
        bool clips = kind == N_OPTIMIZERS;
        c.optim = optim_defaults(clips ? OPTIM_SGD : (enum optimizer)kind);
        c.optim.clip = clips ? 0.1f : 0;
        struct sim *s = open_sim(&c);
        float *first = MEM_NEW(float, s->model.dim);
        memcpy(first, sim_theta(s, 0), s->model.dim * sizeof *first);
        sim_run_cycles(s, ROUNDS);
        float *joined = train_joined(s);
        for (uint32_t node = 0; node < N; node++)
            cr_assert_lt(distance(sim_theta(s, node), joined, s->model.dim), 1e-5,
                         "optimizer %d, node %u: %g", kind, node,
                         distance(sim_theta(s, node), joined, s->model.dim));
        cr_assert_gt(distance(first, joined, s->model.dim), 0.01, "it has learnt something");
        free(first);
        free(joined);
        sim_close(s);
    }
}

/* Learners of their own, a matrix product in double precision. */
static void dpsgd_by_hand(struct sim *s, uint32_t n_rounds, float *storage[N])
{
    uint64_t dim = s->model.dim;
    struct learner_config c = s->learner_config;
    struct learner l[N];
    struct workspace w;
    struct mixing m;
    struct mixing_entry row[N];
    float *before = MEM_NEW(float, N *dim), *moved = MEM_NEW(float, N *dim);
    bool combine_first = s->config.order == SIM_COMBINE_THEN_ADAPT;
    workspace_init(&w, &c);
    mixing_init(&m, &s->topology, s->config.mixing, c.seed);
    for (uint32_t i = 0; i < N; i++) {
        struct shard shard = split_shard(&s->split, i);
        storage[i] = MEM_NEW(float, learner_floats(&c));
        learner_init(&l[i], &c, &shard, i, storage[i]);
    }
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t i = 0; i < N; i++) {
            memcpy(before + i * dim, l[i].theta, dim * sizeof(float));
            for (uint32_t step = 0; step < s->config.every_steps; step++)
                learner_step(&l[i], &w);
            memcpy(moved + i * dim, l[i].theta, dim * sizeof(float));
        }
        const float *mixed = combine_first ? before : moved;
        for (uint32_t i = 0; i < N; i++) {
            uint32_t n = mixing_row(&m, round, i, row);
            for (uint64_t d = 0; d < dim; d++) {
                double x = 0;
                for (uint32_t k = 0; k < n; k++)
                    x += row[k].weight * (double)mixed[row[k].node * dim + d];
                if (combine_first)
                    x += (double)moved[i * dim + d] - (double)before[i * dim + d];
                l[i].theta[d] = (float)x;
            }
        }
    }
    workspace_close(&w);
    free(before);
    free(moved);
}

Test(rounds, dpsgd_as_written)
{
    static const struct {
        const char *topology;
        enum mixing_kind mixing;
        uint32_t every;
    } cases[] = {
        {"ring", MIXING_METROPOLIS, 1},   {"star", MIXING_METROPOLIS, 1},
        {"path", MIXING_UNIFORM, 3},      {"exponential", MIXING_METROPOLIS, 1},
        {"random", MIXING_METROPOLIS, 2}, {"one-peer-exponential", MIXING_METROPOLIS, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int order = 0; order < 2; order++) {
            struct sim_config c = config(SIM_DPSGD, cases[i].topology);
            c.order = (enum sim_order)order;
            c.mixing = cases[i].mixing;
            c.every_steps = cases[i].every;
            struct sim *s = open_sim(&c);
            float *storage[N];
            dpsgd_by_hand(s, 10, storage);
            sim_run_cycles(s, 10);
            for (uint32_t node = 0; node < N; node++) {
                double d = distance(sim_theta(s, node), storage[node], s->model.dim);
                cr_assert_lt(d, 2e-6, "%s, order %d, node %u: %g", cases[i].topology, order, node,
                             d);
                free(storage[node]);
            }
            sim_close(s);
        }
}

Test(rounds, any_number_of_threads)
{
    char trace[3][SIM_HASH_TEXT], weights[3][SIM_HASH_TEXT];
    for (int a = SIM_DPSGD; a <= SIM_LOCAL; a++) {
        for (uint32_t i = 0; i < 3; i++) {
            struct sim_config c = config((enum sim_algorithm)a, "random");
            c.n_threads = i + 1;
            c.network.latency = (struct dist){DIST_UNIFORM, 100, 9000, 0};
            struct sim *s = open_sim(&c);
            sim_run_cycles(s, ROUNDS);
            sim_trace_sha256(s, trace[i]);
            sim_weights_sha256(s, weights[i]);
            cr_assert_str_eq(trace[i], trace[0]);
            cr_assert_str_eq(weights[i], weights[0]);
            sim_close(s);
        }
    }
}

static bool is_slow(const struct sim_config *c, uint32_t node)
{
    return speed_step_us(&c->speed, c->seed, node) > c->speed.step_us;
}

/* A round: the slowest node's steps, then the slowest message. */
Test(rounds, time_and_bytes)
{
    static const struct {
        enum sim_algorithm algorithm;
        const char *topology;
        uint32_t every;
        uint64_t us, messages;
    } cases[] = {
        {SIM_LOCAL, "ring", 3, 3 * 8000, 0},
        {SIM_DPSGD, "ring", 3, 3 * 8000 + 2 * 1000 + 5000, 2 * N},
        {SIM_DPSGD, "star", 1, 8000 + 7 * 1000 + 5000, 2 * (N - 1)},
        {SIM_DPSGD, "one-peer-exponential", 1, 8000 + 1000 + 5000, N},
        {SIM_ALLREDUCE, "ring", 1, 8000 + 6 * 5000 + 2 * 875, 6 * N},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim_config c = config(cases[i].algorithm, cases[i].topology);
        c.every_steps = cases[i].every;
        c.speed = (struct speed){SPEED_STRAGGLERS, .fraction = 0.5, .factor = 4, .step_us = 2000,
                                 .n_nodes = N};
        c.network.latency = (struct dist){.kind = DIST_CONST, .low_us = 5000};
        while (is_slow(&c, 0) || is_slow(&c, N - 1) || !is_slow(&c, N / 2))
            c.seed++;
        struct sim *s = open_sim(&c);
        uint64_t body = s->model.dim * sizeof(float);
        bool dpsgd = cases[i].algorithm == SIM_DPSGD;
        uint64_t bytes = dpsgd ? cases[i].messages * (body + s->head_bytes[0])
                               : cases[i].messages / 6 * (2 * body - body / 4);
        s->config.network.bytes_per_s = 1000 * (body + (dpsgd ? s->head_bytes[0] : 0));
        sim_run_cycles(s, 1);
        uint64_t us = sim_now_us(s), first = sim_totals(s).bytes;
        cr_assert(us + 20 > cases[i].us && us < cases[i].us + 20, "case %zu: %lu us", i, us);
        cr_assert_eq(sim_totals(s).messages, cases[i].messages, "case %zu", i);
        cr_assert(first + 6 * N * 4 > bytes && first <= bytes, "case %zu: %lu bytes, not %lu", i,
                  first, bytes);
        sim_run_cycles(s, 3);
        cr_assert_eq(sim_now_us(s), 3 * us);
        cr_assert_eq(sim_totals(s).node_updates, 3 * N * cases[i].every);
        sim_close(s);
    }
}

Test(rounds, refused_in_words)
{
    static const char *const expected[] = {
        "--algorithm dpsgd goes in rounds of steps, not with --gossip-every of a time",
        "--algorithm allreduce goes in rounds of steps, not with --gossip-every other than 1",
        "not with --train on-receive",
        "not with --gossip, which it does not do",
        "not with --gossip, which it does not do",
        "not with --drop",
        "not with --netsplit",
        "not with --open, --parked or --serve",
        "--algorithm gossip with --order or --mixing-matrix, which are dpsgd's",
        "--algorithm local with --order or --mixing-matrix, which are dpsgd's",
    };
    struct sim_config cases[sizeof expected / sizeof expected[0]];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cases[i] = config(SIM_DPSGD, "ring");
    cases[0].every_steps = 0;
    cases[1].algorithm = SIM_ALLREDUCE;
    cases[1].every_steps = 2;
    cases[2].train = SIM_ON_RECEIVE;
    cases[3].gossip = GOSSIP_PUSH;
    cases[4].alone = true;
    cases[5].network.drop = 0.1;
    cases[6].network.split.n_groups = 2;
    cases[7].serve_per_slice = 2;
    cases[8].algorithm = SIM_GOSSIP;
    cases[8].mixing = MIXING_UNIFORM;
    cases[9].algorithm = SIM_LOCAL;
    cases[9].order = SIM_COMBINE_THEN_ADAPT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim *s;
        struct error err = {0};
        cr_assert_eq(sim_open(&s, &cases[i], &err), ERR_USAGE, "case %zu", i);
        cr_assert(strstr(err.text, expected[i]), "\"%s\" lacks \"%s\"", err.text, expected[i]);
    }
}

/* Gossip goes round the offsets too. */
Test(rounds, one_peer_exponential_gossip_takes_turns)
{
    static const char *const topologies[] = {"one-peer-exponential", "exponential"};
    for (int i = 0; i < 2; i++) {
        struct sim_config c = config(SIM_GOSSIP, topologies[i]);
        c.frames = true;
        struct sim *s = open_sim(&c);
        cr_assert_eq(s->gossip_config.in_turn, i == 0);
        sim_run_cycles(s, 3);
        cr_assert_eq(sim_cycles(s), 3);
        sim_close(s);
    }
}
