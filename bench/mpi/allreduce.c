/* Synchronous all-reduce over MPI, with hubbub's own kernels: what gossip is measured against.
 * Every rank takes the gradient of a batch of its shard, all average them (MPI_Allreduce), each
 * takes the same step. Started by mpirun; rank 0 writes snapshots as hubbub node does, and the last
 * rank may be slow. Stderr: errors; stdout: one JSON object. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/opts.h"
#include "model/learner.h"
#include "node/snapshot.h"

#include <inttypes.h>
#include <jansson.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS_A_LOOK = 8 }; /* steps between two looks at the clock that all agree on */

struct options {
    uint64_t seed, batch, pace, snapshot_every;
    double slow, lr, seconds;
    const char *snapshot_dir;
};

#define F(field) offsetof(struct options, field)

static const struct opt table[] = {
    {"seed", OPT_U64, F(seed), "N", "1", "of first weights, split and order", "options"},
    {"batch", OPT_U64, F(batch), "N", "64", "samples in a minibatch of a rank", 0, 1, 65536},
    {"lr", OPT_F64, F(lr), "X", "0.05", "learning rate; momentum is 0.9", 0, 0, 1000},
    {"pace", OPT_DURATION, F(pace), "TIME", "0", "least time a step takes"},
    {"slow", OPT_F64, F(slow), "X", "1", "how much slower the last rank is", 0, 1, 1000},
    {"seconds", OPT_F64, F(seconds), "S", "30", "length of the run", 0, 0.1, 3600},
    {"snapshot-dir", OPT_STRING, F(snapshot_dir), "DIR", "", "where rank 0 writes its weights"},
    {"snapshot-every", OPT_DURATION, F(snapshot_every), "TIME", "100ms", "length of a tick"}};

static const struct opts options = {.command = "allreduce",
                                    .summary = "synchronous all-reduce over MPI",
                                    .usage = "[OPTIONS]",
                                    .examples = "  mpirun -n 4 allreduce --pace 10ms --slow 4\n",
                                    .table = table,
                                    .n = sizeof table / sizeof table[0],
                                    .no_environment = true};

/* Whether rank 0's time is up; the same answer on all ranks. */
static bool is_over(uint64_t end_us, uint64_t step)
{
    int over = clock_us() >= end_us;
    if (step % STEPS_A_LOOK != 0)
        return false;
    MPI_Bcast(&over, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return over != 0;
}

static void train(const struct options *o, struct learner *l, struct workspace *w, int rank, int n)
{
    struct snapshots snapshots = {.dir = rank == 0 && o->snapshot_dir[0] ? o->snapshot_dir : NULL,
                                  .every_us = o->snapshot_every};
    double slow = rank == n - 1 ? o->slow : 1;
    uint64_t dim = l->config->model->dim;
    float *grad = MEM_NEW(float, dim);
    MPI_Barrier(MPI_COMM_WORLD);
    uint64_t begin = clock_us(), end = begin + (uint64_t)(o->seconds * 1e6);
    while (!is_over(end, l->step)) {
        uint64_t start = clock_us();
        snapshot_write(&snapshots, (uint32_t)rank + 1, l->theta, dim);
        learner_gradient(l, w, grad);
        uint64_t took = clock_us() - start, least = took > o->pace ? took : o->pace;
        clock_sleep_until(start + (uint64_t)(slow * (double)least));
        MPI_Allreduce(MPI_IN_PLACE, grad, (int)dim, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        for (uint64_t i = 0; i < dim; i++)
            grad[i] /= (float)n;
        learner_update(l, grad);
    }
    double seconds = (double)(clock_us() - begin) / 1e6;
    free(grad);
    if (rank == 0)
        printf("{\"ranks\": %d, \"steps\": %" PRIu64 ", \"steps_per_s\": %.3f}\n", n, l->step,
               (double)l->step / seconds);
}

static int run(const struct options *o, int rank, int n, struct error *err)
{
    struct data_pair data = {0};
    struct model model;
    struct shard shard = {0};
    int rc = data_open(&data, "fashion-mnist", NULL, err);
    if (rc == 0)
        rc = model_parse(&model, "mlp:784-256-128-10", data.train.shape, err);
    if (rc == 0)
        rc = model_blas_setup(1, 0, err);
    if (rc == 0)
        rc = shard_make(&shard, &data.train, &partition_iid, (uint32_t)rank, (uint32_t)n, o->seed,
                        err);
    if (rc == 0) {
        struct learner_config config = {.model = &model,
                                        .train = &data.train,
                                        .optim = optim_defaults(OPTIM_SGD),
                                        .batch = (uint32_t)o->batch,
                                        .seed = o->seed};
        struct learner learner;
        struct workspace workspace;
        config.optim.lr = (float)o->lr;
        float *storage = MEM_NEW(float, learner_floats(&config));
        learner_init(&learner, &config, &shard, (uint32_t)rank, storage);
        workspace_init(&workspace, &config);
        train(o, &learner, &workspace, rank, n);
        workspace_close(&workspace);
        free(storage);
    }
    shard_close(&shard);
    data_close(&data);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o;
    struct error err;
    int rank, n, n_operands;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    int rc = opts_parse(&options, &o, argc, argv, &n_operands, &err);
    if (rc == 0)
        rc = run(&o, rank, n, &err);
    if (rc < 0) {
        fprintf(stderr, "allreduce: rank %d: %s\n", rank, err.text);
        MPI_Abort(MPI_COMM_WORLD, -rc);
    }
    MPI_Finalize();
    return 0;
}
