#include "bench/sim_worlds.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/sim_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

int gossip_learning(struct sim_config *c, const char *data, const char *model, uint32_t n_nodes,
                    uint32_t n_threads, struct error *err)
{
    *c = (struct sim_config){
        .n_nodes = n_nodes,
        .n_threads = n_threads,
        .topology = "random",
        .data = {.spec = data},
        .model_spec = model,
        .optim = {.kind = OPTIM_SGD, .lr = 0.01f},
        .batch = 1,
        .seed = 1,
        .gossip = GOSSIP_PUSH,
        .every_us = SECOND_US,
        .open_per_slice = 1,
        .serve_per_slice = 1,
        .train = SIM_ON_RECEIVE,
        .network = {.latency = {.kind = DIST_UNIFORM, .low_us = 1000, .high_us = 100000}}};
    return partition_parse("sample:0.0001", &c->partition, err);
}

/* ---- a whole run ----------------------------------------------------------------------------- */

/* The test error of one learner that has everything. */
static double central_error(const struct model *m, const struct data_pair *data)
{
    enum { BATCH = 16, EPOCHS = 100 };
    struct learner_config config = {.model = m,
                                    .train = &data->train,
                                    .optim = optim_defaults(OPTIM_SGD),
                                    .batch = BATCH,
                                    .seed = 1};
    config.optim.momentum = 0;
    config.optim.schedule = LR_COSINE;
    config.optim.steps = (uint64_t)EPOCHS * data->train.n_samples / BATCH;
    struct shard all = {.kind = PARTITION_NONE, .n = data->train.n_samples};
    float *storage = MEM_NEW(float, learner_floats(&config));
    struct learner learner;
    struct workspace workspace;
    struct evaluator evaluator;
    learner_init(&learner, &config, &all, 0, storage);
    workspace_init(&workspace, &config);
    evaluator_init(&evaluator, m, &data->test);
    while (learner.step < config.optim.steps)
        (void)learner_step(&learner, &workspace);
    evaluator_start(&evaluator, learner.theta, learner.step);
    while (evaluator_run(&evaluator)) {
    }
    double error = 1 - evaluation_accuracy(m, &evaluator.sum);
    evaluator_close(&evaluator);
    workspace_close(&workspace);
    free(storage);
    return error;
}

int run_to_the_end(const char *data, const char *model, double lr, uint32_t n_nodes,
                   uint64_t cycles, struct figure figures[FIGURES_RUN], struct error *err)
{
    enum { THREADS = 2, EVALUATED = 1000 };
    struct sim_config c;
    struct sim *sim;
    struct rusage usage;
    int rc = gossip_learning(&c, data, model, n_nodes, THREADS, err);
    c.cycles = cycles;
    c.optim.lr = (float)lr;
    c.optim.schedule = LR_COSINE;
    uint64_t start = clock_us();
    if (rc == 0)
        rc = sim_open(&sim, &c, err);
    if (rc != 0)
        return rc;
    sim_run_until(sim, cycles * sim_cycle_us(sim));
    double seconds = (double)(clock_us() - start) / SECOND_US;
    getrusage(RUSAGE_SELF, &usage);
    double error = 1 - sim_measure(sim, EVALUATED).acc_mean;
    double central = central_error(sim_model(sim), sim_data(sim));
    sim_close(sim);
    figures[0] =
        (struct figure){"run_s", "s", "a whole run, two threads, from its start on", seconds};
    figures[1] = (struct figure){"run_rss_mb", "MB", "resident until its end, at most",
                                 (double)usage.ru_maxrss / 1024};
    figures[2] = (struct figure){"run_error", "", "mean test error of its peers", error};
    figures[3] =
        (struct figure){"central_error", "", "of one learner that has all the samples", central};
    figures[4] = (struct figure){"run_excess", "", "the difference", error - central};
    return 0;
}

/* ---- where the time goes --------------------------------------------------------------------- */

#define MLP "mlp:784-32-10"

enum { WARM_UP = 3 }; /* cycles: all have started, and as many messages as ever are under way */

struct profile {
    double wall_us, wall_ticks;
    struct sim_totals totals;
    double model_bytes, parcels_bytes;
};

static int profile(uint32_t n_nodes, uint32_t every, uint64_t cycles, bool frames,
                   struct profile *p, struct error *err)
{
    struct sim_config c = {.n_nodes = n_nodes,
                           .n_threads = 1,
                           .topology = "random",
                           .data = {.spec = "fashion-mnist"},
                           .model_spec = MLP,
                           .partition = partition_iid,
                           .optim = optim_defaults(OPTIM_QGM),
                           .batch = 64,
                           .seed = 1,
                           .gossip = GOSSIP_PAIRWISE,
                           .every_steps = every,
                           .open_per_slice = 1,
                           .serve_per_slice = 1,
                           .train = SIM_CONTINUOUS,
                           .frames = frames,
                           .profile = true};
    struct sim *sim;
    int rc = sim_open(&sim, &c, err);
    if (rc != 0)
        return rc;
    sim_run_until(sim, WARM_UP * sim_cycle_us(sim));
    struct sim_totals start = sim_totals(sim);
    uint64_t began_us = clock_us(), began = clock_ticks();
    sim_run_until(sim, (WARM_UP + cycles) * sim_cycle_us(sim));
    p->wall_ticks = (double)(clock_ticks() - began);
    p->wall_us = (double)(clock_us() - began_us);
    p->totals = sim_totals(sim);
    p->totals.node_updates -= start.node_updates;
    p->totals.kernels_ticks -= start.kernels_ticks;
    p->totals.mixing_ticks -= start.mixing_ticks;
    p->totals.frames_ticks -= start.frames_ticks;
    struct sim_memory memory = sim_memory(sim);
    p->parcels_bytes = (double)memory.parcels * (double)memory.parcel_bytes;
    p->model_bytes = (double)sim_model(sim)->dim * sizeof(float) * (1 + optim_n_states(&c.optim));
    sim_close(sim);
    return 0;
}

int profile_mlp(uint32_t n_nodes, uint32_t every, uint64_t cycles,
                struct figure figures[FIGURES_PROFILE], struct error *err)
{
    struct profile p, plain;
    char steps[16], length[16];
    const char *const flags[] = {"--data",
                                 "fashion-mnist",
                                 "--model",
                                 MLP,
                                 "--cycles",
                                 length,
                                 "--gossip-every",
                                 steps,
                                 "--eval-nodes",
                                 "1",
                                 "--open",
                                 "1",
                                 "--parked",
                                 "0",
                                 "--serve",
                                 "1",
                                 NULL};
    double bytes;
    snprintf(steps, sizeof steps, "%" PRIu32, every);
    snprintf(length, sizeof length, "%" PRIu64, cycles);
    int rc = profile(n_nodes, every, cycles, true, &p, err);
    if (rc == 0)
        rc = profile(n_nodes, every, cycles, false, &plain, err);
    if (rc == 0)
        rc = sim_memory_a_peer(flags, n_nodes, &bytes, err);
    if (rc != 0)
        return rc;
    const struct sim_totals *t = &p.totals;
    figures[0] = (struct figure){"mlp_every", "", "steps between a peer's exchanges", every};
    figures[1] = (struct figure){"mlp_step_us", "us", "a step of a peer, all in all",
                                 p.wall_us / (double)t->node_updates};
    figures[2] = (struct figure){
        "mlp_kernels", "",
        "of it in the kernels of model (gathering the batch included) and optimiser",
        (double)t->kernels_ticks / p.wall_ticks};
    figures[3] = (struct figure){"mlp_mixing", "", "of it in copying and mixing slices",
                                 (double)t->mixing_ticks / p.wall_ticks};
    figures[4] = (struct figure){"mlp_frames", "", "of it in encoding, checking, decoding frames",
                                 (double)t->frames_ticks / p.wall_ticks};
    figures[5] =
        (struct figure){"mlp_peer_bytes", "bytes",
                        "resident a peer, beyond weights and optimiser (huge pages: to 3 KB)",
                        bytes - p.model_bytes};
    figures[6] = (struct figure){"mlp_message_bytes", "bytes",
                                 "of it messages, most at once: slices and their heads",
                                 p.parcels_bytes / n_nodes};
    figures[7] = (struct figure){"mlp_kernels_without_frames", "",
                                 "in the kernels, with messages handed over as they are",
                                 (double)plain.totals.kernels_ticks / plain.wall_ticks};
    return 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

int memory_of_push(const char *data, const char *model, uint32_t n_nodes,
                   struct figure figures[FIGURES_MEMORY], struct error *err)
{
    static const char *const names[FIGURES_MEMORY] = {"peer_bytes", "peer_frames_bytes"};
    static const char *const what[FIGURES_MEMORY] = {"resident a peer, all in all, small",
                                                     "the same with frames"};
    for (int i = 0; i < FIGURES_MEMORY; i++) {
        const char *const flags[] = {"--data",
                                     data,
                                     "--model",
                                     model,
                                     "--partition",
                                     "sample:0.0001",
                                     "--batch",
                                     "1",
                                     "--optimizer",
                                     "sgd",
                                     "--momentum",
                                     "0",
                                     "--gossip",
                                     "push",
                                     "--gossip-every",
                                     "1s",
                                     "--train",
                                     "on-receive",
                                     "--latency",
                                     "uniform:1ms,100ms",
                                     "--cycles",
                                     "5",
                                     "--eval-nodes",
                                     "1",
                                     "--frames",
                                     i == 0 ? "off" : "on",
                                     NULL};
        double bytes;
        int rc = sim_memory_a_peer(flags, n_nodes, &bytes, err);
        if (rc != 0)
            return rc;
        figures[i] = (struct figure){names[i], "bytes", what[i], bytes};
    }
    return 0;
}
