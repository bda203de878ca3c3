#include "base/vec.h"
#include "model/learner.h"

#include "base/mem.h"
#include "base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(learner, .timeout = 60);

enum { BATCH = 16 };

struct world {
    struct data_pair data;
    struct model m;
    struct shard shard;
    struct learner_config config;
    struct workspace workspace; /* all learners of a world take turns */
    float decay, clip;
    bool plain;       /* without momentum */
    const char *spec; /* NULL: an MLP */
    uint32_t batch;   /* 0: BATCH */
    float *storage[3];
    int n_learners;
};

static void make_world(struct world *w)
{
    struct error err;
    cr_assert_eq(data_open(&w->data, "blobs:train=1000,test=601,spread=0.5", NULL, &err), 0, "%s",
                 err.text);
    cr_assert_eq(
        model_parse(&w->m, w->spec != NULL ? w->spec : "mlp:20-16-10", data_flat(20, 10), &err), 0,
        "%s", err.text);
    cr_assert_eq(model_blas_setup(1, 0, &err), 0);
    cr_assert_eq(shard_make(&w->shard, &w->data.train, &partition_iid, 1, 3, 1, &err), 0);
}

static void close_world(struct world *w)
{
    workspace_close(&w->workspace);
    for (int i = 0; i < w->n_learners; i++)
        free(w->storage[i]);
    shard_close(&w->shard);
    data_close(&w->data);
}

/* All learners of a world have its kind and rate. */
static void make_learner(struct learner *l, struct world *w, enum optimizer kind, float lr)
{
    if (w->n_learners == 0) {
        w->config = (struct learner_config){.model = &w->m,
                                            .train = &w->data.train,
                                            .optim = optim_defaults(kind),
                                            .batch = w->batch > 0 ? w->batch : BATCH,
                                            .seed = 5};
        w->config.optim.lr = lr;
        w->config.optim.weight_decay = w->decay;
        w->config.optim.clip = w->clip;
        if (w->plain)
            w->config.optim.momentum = 0;
        workspace_init(&w->workspace, &w->config);
    }
    float *storage = MEM_NEW(float, learner_floats(&w->config));
    learner_init(l, &w->config, &w->shard, 2, storage);
    w->storage[w->n_learners++] = storage;
}

/* The parts of a batch add up to its gradient; whichever thread is first, the bits are the same. */
Test(learner, threads)
{
    for (int kind = 0; kind < N_OPTIMIZERS; kind++) {
        struct world w = {0};
        struct learner one, a, b;
        struct workspace many[2];
        make_world(&w);
        make_learner(&one, &w, (enum optimizer)kind, 0.01f);
        make_learner(&a, &w, (enum optimizer)kind, 0.01f);
        make_learner(&b, &w, (enum optimizer)kind, 0.01f);
        w.config.n_threads = 3;
        workspace_init(&many[0], &w.config);
        workspace_init(&many[1], &w.config);
        for (int i = 0; i < 20; i++) {
            double loss = learner_step(&one, &w.workspace);
            double parts = learner_step(&a, &many[0]);
            cr_assert_float_eq(parts, loss, 1e-5);
            learner_step(&b, &many[1]);
        }
        cr_assert_arr_eq(a.theta, b.theta, w.m.dim * sizeof(float));
        for (uint64_t i = 0; i < w.m.dim; i++)
            cr_assert_float_eq((double)one.theta[i], (double)a.theta[i], 1e-5);
        workspace_close(&many[0]);
        workspace_close(&many[1]);
        close_world(&w);
    }
}

/* A model that goes the direct way makes the step that its halves make, up to rounding. */
Test(learner, direct_steps)
{
    for (int k = 0; k <= N_OPTIMIZERS; k++)
        for (int clipped = 0; clipped < 2; clipped++) {
            struct world w = {.spec = "softmax", .batch = 4, .decay = 0.01f};
            struct learner whole, halves;
            float grad[210];
            int kind = k < N_OPTIMIZERS ? k : OPTIM_SGD;
            w.clip = clipped ? 0.5f : 0.0f;
            w.plain = k == N_OPTIMIZERS;
            make_world(&w);
            make_learner(&whole, &w, (enum optimizer)kind, 0.1f);
            make_learner(&halves, &w, (enum optimizer)kind, 0.1f);
            cr_assert(w.m.dim == 210 && w.workspace.is_direct);
            whole.factor = halves.factor = 1.5f;
            for (int i = 0; i < 40; i++) {
                double loss = learner_step(&whole, &w.workspace);
                cr_assert_float_eq(loss, learner_gradient(&halves, &w.workspace, grad), 1e-5);
                learner_update(&halves, grad);
            }
            for (uint64_t i = 0; i < w.m.dim; i++)
                cr_assert_float_eq((double)whole.theta[i], (double)halves.theta[i], 1e-5, "%s",
                                   optimizer_names[kind]);
            if (whole.qgm != NULL)
                cr_assert_arr_eq(whole.qgm, halves.qgm, sizeof *whole.qgm);
            close_world(&w);
        }
}

/* Whatever a workspace was used for before, a peer's first batch is its own: also that of peer 0,
 * and of a shard that is a function; and what was fetched for another one is no harm. */
Test(learner, first_batch_of_a_fresh_workspace)
{
    struct world w = {0};
    struct learner a, b, other;
    make_world(&w);
    make_learner(&a, &w, OPTIM_SGD, 0.1f);
    make_learner(&b, &w, OPTIM_SGD, 0.1f);
    make_learner(&other, &w, OPTIM_SGD, 0.1f);
    a.node = b.node = 0;
    other.node = 1;
    cr_assert_null(a.shard.rows);
    learner_step(&a, &w.workspace);
    learner_fetch(&w.config, &b.shard, b.node, b.step, &w.workspace);
    learner_fetch(&w.config, &other.shard, other.node, other.step, &w.workspace);
    learner_step(&other, &w.workspace);
    learner_step(&other, &w.workspace);
    learner_step(&b, &w.workspace);
    cr_assert_arr_eq(a.theta, b.theta, w.m.dim * sizeof *a.theta);
    close_world(&w);
}

/* Where a split is a function, the very first batch of node 0 is drawn too. */
Test(learner, first_batch)
{
    struct world w = {0};
    struct learner l;
    uint32_t rows[BATCH];
    make_world(&w);
    make_learner(&l, &w, OPTIM_SGD, 0.01f);
    l.node = 0;
    float *grad = MEM_NEW(float, w.m.dim);
    learner_gradient(&l, &w.workspace, grad);
    batches_rows(&w.shard, w.config.seed, 0, 0, rows, BATCH);
    cr_assert_null(w.shard.rows);
    cr_assert_arr_eq(w.workspace.drawn[w.workspace.last_drawn].rows, rows, sizeof rows);
    free(grad);
    close_world(&w);
}

/* Two halves make a step. */
Test(learner, gradient_and_update)
{
    for (int kind = 0; kind <= N_OPTIMIZERS; kind++) {
        struct world w = {.decay = 0.01f, .clip = kind == N_OPTIMIZERS ? 0.5f : 0};
        struct learner whole, halves;
        make_world(&w);
        make_learner(&whole, &w, (enum optimizer)(kind % N_OPTIMIZERS), 0.05f);
        make_learner(&halves, &w, (enum optimizer)(kind % N_OPTIMIZERS), 0.05f);
        float *grad = MEM_NEW(float, w.m.dim);
        for (int i = 0; i < 10; i++) {
            double loss = learner_step(&whole, &w.workspace);
            cr_assert_float_eq(learner_gradient(&halves, &w.workspace, grad), loss, 1e-5);
            learner_update(&halves, grad);
        }
        cr_assert_eq(halves.step, 10);
        if (whole.qgm != NULL)
            cr_assert_arr_eq(whole.qgm, halves.qgm, sizeof *whole.qgm);
        cr_assert_lt(vec_distance_sq(whole.theta, halves.theta, w.m.dim), 1e-10);
        free(grad);
        close_world(&w);
    }
}

Test(learner, same_seed_same_bits)
{
    enum { STEPS = 1000 };
    for (int kind = 0; kind < N_OPTIMIZERS; kind++) {
        struct world w = {0};
        struct learner a, b;
        make_world(&w);
        make_learner(&a, &w, (enum optimizer)kind, 0.05f);
        make_learner(&b, &w, (enum optimizer)kind, 0.05f);
        for (int i = 0; i < STEPS; i++) {
            double loss = learner_step(&a, &w.workspace);
            cr_assert(loss >= learner_step(&b, &w.workspace) && isfinite(loss));
        }
        cr_assert_arr_eq(a.theta, b.theta, w.m.dim * sizeof(float));
        cr_assert_arr_eq(a.momentum, b.momentum, w.m.dim * sizeof(float));
        cr_assert_eq(a.step, STEPS);
        cr_assert(fabs(learner_epochs(&a) - (double)STEPS * BATCH / w.shard.n) < 1e-12);
        close_world(&w);
    }
}

/* theta and momentum of the update rules as written, in double, fed with gradients that the model
 * gives at the learner's own theta. */
struct naive {
    double *x, *start, *m, *s; /* weights, weights before this step, first and second moment */
    float *grad, *scratch, *in;
    union target y[BATCH];
    uint64_t position;
};

static void naive_open(struct naive *n, const struct world *w, const struct learner *l)
{
    n->x = MEM_NEW(double, w->m.dim);
    n->start = MEM_NEW(double, w->m.dim);
    n->m = MEM_NEW(double, w->m.dim);
    n->s = MEM_NEW(double, w->m.dim);
    n->grad = MEM_NEW(float, w->m.dim);
    n->scratch = MEM_NEW(float, model_scratch(&w->m, BATCH));
    n->in = MEM_NEW(float, BATCH * w->m.n_in);
    for (uint64_t i = 0; i < w->m.dim; i++)
        n->x[i] = (double)l->theta[i];
}

static void naive_close(struct naive *n)
{
    void *all[] = {n->x, n->start, n->m, n->s, n->grad, n->scratch, n->in};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

static void naive_gradient(struct naive *n, const struct world *w, const struct learner *l)
{
    uint32_t rows[BATCH];
    batches_rows(&w->shard, 5, 2, n->position, rows, BATCH);
    n->position += BATCH;
    dataset_gather(&w->data.train, rows, BATCH, n->in, n->y);
    model_loss_grad(&w->m, &(struct pass){.batch = BATCH}, l->theta, n->in, n->y, 0.0f, n->grad,
                    n->scratch);
}

static double distance(const struct naive *n, const struct learner *l, uint64_t dim)
{
    double sum = 0, norm = 0;
    for (uint64_t i = 0; i < dim; i++) {
        sum += (n->x[i] - (double)l->theta[i]) * (n->x[i] - (double)l->theta[i]);
        norm += n->x[i] * n->x[i];
    }
    return sqrt(sum / norm);
}

/* The update rules of PyTorch's SGD, SGD(nesterov) and AdamW and of its clip_grad_norm_; with a
 * factor for the loss, or, of AdamW, for the step. */
static void naive_step(struct naive *n, const struct optim_config *c, double factor, uint64_t dim,
                       int t)
{
    double mu = (double)c->momentum, b2 = (double)c->beta2, lr = (double)c->lr, norm = 0, scale = 1;
    double decay = (double)c->weight_decay;
    for (uint64_t i = 0; i < dim; i++)
        norm += (double)n->grad[i] * (double)n->grad[i];
    if (c->clip > 0)
        scale = fmin(1, (double)c->clip / (sqrt(norm) + 1e-6));
    for (uint64_t i = 0; i < dim; i++) {
        double g = scale * (double)n->grad[i];
        if (c->kind == OPTIM_ADAMW) {
            n->x[i] -= lr * decay * n->x[i];
            n->m[i] = mu * n->m[i] + (1 - mu) * g;
            n->s[i] = b2 * n->s[i] + (1 - b2) * g * g;
            n->x[i] -= factor * lr * n->m[i] / (1 - pow(mu, t)) /
                       (sqrt(n->s[i] / (1 - pow(b2, t))) + (double)c->epsilon);
            continue;
        }
        g = factor * g + decay * n->x[i];
        n->m[i] = mu * n->m[i] + g;
        n->x[i] -= lr * (c->kind == OPTIM_NESTEROV ? g + mu * n->m[i] : n->m[i]);
    }
}

Test(learner, update_rules_as_written)
{
    static const struct {
        enum optimizer kind;
        float lr, decay, clip;
    } cases[] = {{OPTIM_SGD, 0.05f, 0, 0},
                 {OPTIM_SGD, 0.05f, 0.1f, 0},
                 {OPTIM_SGD, 0.05f, 0.1f, 0.5f},
                 {OPTIM_NESTEROV, 0.05f, 0, 0},
                 {OPTIM_NESTEROV, 0.05f, 0.1f, 0.5f},
                 {OPTIM_ADAMW, 0.002f, 0, 0},
                 {OPTIM_ADAMW, 0.002f, 0.5f, 0.5f}};
    static const float factors[] = {1, 0.3f, 2.5f};
    for (size_t k = 0; k < 3 * sizeof cases / sizeof cases[0]; k++) {
        struct world w = {.decay = cases[k / 3].decay, .clip = cases[k / 3].clip};
        struct learner l;
        struct naive n = {0};
        make_world(&w);
        make_learner(&l, &w, cases[k / 3].kind, cases[k / 3].lr);
        l.factor = factors[k % 3];
        naive_open(&n, &w, &l);
        for (int step = 0; step < 50; step++) {
            naive_gradient(&n, &w, &l);
            learner_step(&l, &w.workspace);
            naive_step(&n, &w.config.optim, (double)l.factor, w.m.dim, step + 1);
            cr_assert_lt(distance(&n, &l, w.m.dim), 1e-5, "case %zu, factor %g, step %d: %g", k / 3,
                         (double)l.factor, step, distance(&n, &l, w.m.dim));
        }
        naive_close(&n);
        close_world(&w);
    }
}

/* Quasi-global momentum, unmixed: m = mu m^ + f g. */
Test(learner, factor_of_qgm)
{
    struct world w = {0};
    struct learner l, once;
    make_world(&w);
    make_learner(&l, &w, OPTIM_QGM, 0.05f);
    make_learner(&once, &w, OPTIM_QGM, 0.05f);
    l.factor = 3;
    float *start = MEM_NEW(float, w.m.dim);
    memcpy(start, l.theta, w.m.dim * sizeof *start);
    learner_step(&l, &w.workspace);
    learner_step(&once, &w.workspace);
    for (uint64_t i = 0; i < w.m.dim; i++) {
        cr_assert_float_eq(l.theta[i] - start[i], 3 * (once.theta[i] - start[i]), 1e-6);
        cr_assert_float_eq(l.momentum[i], 3 * once.momentum[i], 1e-6);
    }
    free(start);
    close_world(&w);
}

/* Weights taken over as they are: the state of both moments and the age begin anew. */
Test(learner, adopted_weights_forget_the_moments)
{
    struct world w = {0};
    struct learner a, b;
    make_world(&w);
    make_learner(&a, &w, OPTIM_ADAMW, 0.01f);
    make_learner(&b, &w, OPTIM_ADAMW, 0.01f);
    learner_step(&a, &w.workspace);
    for (int i = 0; i < 3; i++)
        learner_step(&b, &w.workspace);
    learner_mix(&a, 0, w.m.dim, 1.0f, b.theta);
    learner_resume(&a, 3);
    learner_mix(&b, 0, w.m.dim, 1.0f, a.theta);
    learner_resume(&b, 3);
    for (int i = 0; i < 3; i++) {
        learner_step(&a, &w.workspace);
        learner_step(&b, &w.workspace);
    }
    cr_assert_arr_eq(a.theta, b.theta, w.m.dim * sizeof(float));
    cr_assert_arr_eq(a.second, b.second, w.m.dim * sizeof(float));
    cr_assert_eq(a.age, 3);
    close_world(&w);
}

/* Three ways in which an exchange moves theta between two steps. */
static void mix_somehow(struct learner *l, int how, const float *theirs, const float *base,
                        float *buffer, uint64_t dim)
{
    if (how == 0) {
        for (uint64_t i = 0; i < dim; i++)
            buffer[i] = theirs[i] - base[i];
        learner_add(l, 0, dim, 0.5f, buffer);
    }
    if (how == 1)
        learner_mix(l, 0, dim, 0.25f, theirs);
    if (how == 2) {
        memcpy(buffer, theirs, dim * sizeof *buffer);
        learner_answer(l, 0, dim, 0.5f, buffer);
    }
}

/* Algorithm 1 of arXiv 2102.04761 with x_t - x_{t+1} taken literally, x_{t+1} after mixing. */
Test(learner, qgm_as_written)
{
    const double lr = (double)0.05f, mu = (double)0.9f;
    struct world w = {0};
    struct learner l;
    struct naive n = {0};
    struct rng r = rng_stream(9, 0, RNG_TEST);
    make_world(&w);
    make_learner(&l, &w, OPTIM_QGM, 0.05f);
    naive_open(&n, &w, &l);
    float *theirs = MEM_NEW(float, w.m.dim), *base = MEM_NEW(float, w.m.dim);
    float *buffer = MEM_NEW(float, w.m.dim);
    for (int step = 0; step < 60; step++) {
        naive_gradient(&n, &w, &l);
        learner_step(&l, &w.workspace);
        for (uint64_t i = 0; i < w.m.dim; i++) {
            n.start[i] = n.x[i];
            n.x[i] -= lr * (mu * n.m[i] + (double)n.grad[i]);
            theirs[i] = l.theta[i] + 0.02f * (float)rng_normal(&r);
            base[i] = l.theta[i] + 0.01f * (float)rng_normal(&r);
        }
        for (int how = 0; how < 3 && step % 3 == 1; how++) {
            for (uint64_t i = 0; i < w.m.dim; i++)
                n.x[i] += how == 0 ? 0.5 * ((double)theirs[i] - (double)base[i])
                                   : (how == 1 ? 0.25 : 0.5) * ((double)theirs[i] - n.x[i]);
            mix_somehow(&l, how, theirs, base, buffer, w.m.dim);
        }
        for (uint64_t i = 0; i < w.m.dim; i++)
            n.m[i] = mu * n.m[i] + (1 - mu) * (n.start[i] - n.x[i]) / lr;
        cr_assert_lt(distance(&n, &l, w.m.dim), 1e-5, "step %d: %g", step,
                     distance(&n, &l, w.m.dim));
    }
    free(theirs);
    free(base);
    free(buffer);
    naive_close(&n);
    close_world(&w);
}

/* Two peers that meet in the middle every 32 steps, taking the whole displacement for momentum,
 * diverge within 600 steps (see optim.c); the damped correction keeps them together. */
Test(learner, qgm_with_rare_mixing_stays_together)
{
    struct world w = {0};
    struct learner a, b;
    make_world(&w);
    make_learner(&a, &w, OPTIM_QGM, 0.05f);
    make_learner(&b, &w, OPTIM_QGM, 0.05f);
    b.node = 3; /* the same shard in another order */
    float *buffer = MEM_NEW(float, w.m.dim);
    double apart = 0;
    for (int step = 1; step <= 960; step++) {
        learner_step(&a, &w.workspace);
        learner_step(&b, &w.workspace);
        if (step % 32 != 0)
            continue;
        apart = vec_distance_sq(a.theta, b.theta, w.m.dim) / vec_norm_sq(a.theta, w.m.dim);
        learner_take(&a, 0, w.m.dim, buffer);
        learner_answer(&b, 0, w.m.dim, 0.5f, buffer);
        learner_add(&a, 0, w.m.dim, 0.5f, buffer);
    }
    cr_assert_lt(sqrt(apart), 0.5, "relative distance before the last mixing: %g", sqrt(apart));
    free(buffer);
    close_world(&w);
}

/* What is done to the ranges of theta as a step moves them. */
struct passer_by {
    struct learner *learner;
    const float *difference;
    float *answers;
    uint64_t offsets[64], counts[64];
    int n;
};

static void exchange(struct passer_by *p, int k)
{
    uint64_t at = p->offsets[k], n = p->counts[k];
    learner_add(p->learner, at, n, 0.25f, p->difference + at);
    learner_answer(p->learner, at, n, 0.5f, p->answers + at);
}

static void on_moved(void *ctx, uint64_t offset, uint64_t n)
{
    struct passer_by *p = ctx;
    cr_assert_lt(p->n, 64);
    p->offsets[p->n] = offset;
    p->counts[p->n] = n;
    exchange(p, p->n++);
}

/* Each range comes once, blocks from the last to the first, and exchanges with it are as good as
 * after the step. */
Test(learner, exchanges_within_a_step)
{
    static const enum optimizer kinds[] = {OPTIM_SGD, OPTIM_QGM, OPTIM_ADAMW};
    for (int k = 0; k < 4; k++) {
        struct world w = {
            .spec = k < 3 ? "mlp:20-4096-10" : "softmax", .plain = k == 0, .batch = 4};
        struct learner a, b;
        make_world(&w);
        make_learner(&a, &w, kinds[k % 3], 0.01f);
        make_learner(&b, &w, kinds[k % 3], 0.01f);
        cr_assert(k == 3 || (w.m.dim > LEARNER_BLOCK && w.m.dim < 2 * LEARNER_BLOCK));
        uint64_t bytes = w.m.dim * sizeof(float);
        float *difference = MEM_NEW(float, w.m.dim), *answers[2];
        for (int i = 0; i < 2; i++)
            answers[i] = MEM_NEW(float, w.m.dim);
        for (uint64_t i = 0; i < w.m.dim; i++)
            difference[i] = answers[0][i] = answers[1][i] = 1e-3f * (float)(i % 13);
        for (int step = 0; step < 5; step++) {
            struct passer_by p = {.learner = &a, .difference = difference, .answers = answers[0]};
            w.workspace.moved = on_moved;
            w.workspace.moved_ctx = &p;
            learner_step(&a, &w.workspace);
            uint64_t sum = 0, next = w.m.dim > LEARNER_BLOCK ? LEARNER_BLOCK : 0;
            for (int i = 0; i < p.n; i++, sum += p.counts[i - 1]) {
                next = next == w.m.dim ? 0 : next;
                cr_assert_eq(p.offsets[i], next);
                next += p.counts[i];
            }
            cr_assert_eq(sum, w.m.dim);
            w.workspace.moved = NULL;
            learner_step(&b, &w.workspace);
            p.learner = &b;
            p.answers = answers[1];
            for (int i = 0; i < p.n; i++)
                exchange(&p, i);
        }
        cr_assert_arr_eq(a.theta, b.theta, bytes);
        cr_assert_arr_eq(answers[0], answers[1], bytes);
        if (a.momentum != NULL)
            cr_assert_arr_eq(a.momentum, b.momentum, bytes);
        if (a.qgm != NULL)
            cr_assert_arr_eq(a.qgm, b.qgm, sizeof *a.qgm);
        for (int i = 0; i < 2; i++)
            free(answers[i]);
        free(difference);
        close_world(&w);
    }
}

Test(learner, exchanges_move_their_range_alone)
{
    enum { AT = 100, N = 50 };
    for (int kind = 0; kind < N_OPTIMIZERS; kind++) {
        struct world w = {0};
        struct learner l;
        make_world(&w);
        float before[1000], momentum[1000], theirs[N], base[N], out[N];
        make_learner(&l, &w, (enum optimizer)kind, 0.05f);
        cr_assert(w.m.dim <= 1000);
        learner_step(&l, &w.workspace);
        memcpy(before, l.theta, w.m.dim * sizeof(float));
        memcpy(momentum, l.momentum, w.m.dim * sizeof(float));
        for (int i = 0; i < N; i++) {
            theirs[i] = (float)i + 1;
            base[i] = (float)i - 0.5f;
        }
        learner_take(&l, AT, N, out);
        cr_assert_arr_eq(out, before + AT, sizeof out);
        learner_add(&l, AT, N, 0.5f, theirs);
        for (uint64_t i = 0; i < w.m.dim; i++) {
            bool inside = i >= AT && i < AT + N;
            cr_assert_eq(memcmp(&l.theta[i], &before[i], 4) != 0, inside);
            cr_assert_eq(memcmp(&l.momentum[i], &momentum[i], 4) != 0, inside && kind == OPTIM_QGM);
        }
        learner_take(&l, AT, N, before);
        for (int i = 0; i < N; i++)
            out[i] = before[i] - theirs[i];
        learner_answer(&l, AT, N, 0.5f, theirs);
        cr_assert_arr_eq(theirs, out, sizeof out);
        learner_mix(&l, AT, N, 1.0f, base);
        cr_assert_arr_eq(l.theta + AT, base, sizeof base);
        for (int i = 0; i < N; i++)
            cr_assert_eq(fpclassify(l.momentum[AT + i]), FP_ZERO);
        close_world(&w);
    }
}

/* A newcomer that takes over weights and step goes on as the other would with no momentum. */
Test(learner, resume_follows_schedule_and_order)
{
    struct world w = {0};
    make_world(&w);
    struct learner a, b;
    make_learner(&a, &w, OPTIM_SGD, 0.05f);
    make_learner(&b, &w, OPTIM_SGD, 0.05f);
    w.config.optim.schedule = LR_COSINE;
    w.config.optim.steps = 100;
    for (int i = 0; i < 37; i++)
        learner_step(&a, &w.workspace);
    memset(a.momentum, 0, w.m.dim * sizeof(float));
    learner_step(&b, &w.workspace);
    learner_mix(&b, 0, w.m.dim, 1.0f, a.theta);
    learner_resume(&b, 37);
    cr_assert(fabs(learner_epochs(&b) - learner_epochs(&a)) < 1e-12);
    for (int i = 0; i < 10; i++) {
        learner_step(&a, &w.workspace);
        learner_step(&b, &w.workspace);
    }
    cr_assert_arr_eq(a.theta, b.theta, w.m.dim * sizeof(float));
    close_world(&w);
}

Test(learner, evaluator_and_training)
{
    for (int kind = 0; kind < N_OPTIMIZERS; kind++) {
        struct world w = {0};
        struct learner l;
        struct evaluator e;
        int pieces = 1;
        make_world(&w);
        make_learner(&l, &w, (enum optimizer)kind, 0.05f);
        evaluator_init(&e, &w.m, &w.data.test);
        cr_assert_eq(evaluator_run(&e), 0, "nothing to do before the start");
        for (int i = 0; i < 600; i++)
            learner_step(&l, &w.workspace);
        evaluator_start(&e, l.theta, l.step);
        memset(l.theta, 0, w.m.dim * sizeof(float)); /* it works on a snapshot */
        while (evaluator_run(&e))
            pieces++;
        cr_assert_gt(pieces, 1);
        cr_assert_eq(e.sum.n, 601);
        cr_assert_eq(e.step, 600);
        cr_assert_gt(e.sum.n_correct, 601 * 98 / 100, "%d of 601", (int)e.sum.n_correct);
        evaluator_close(&e);
        close_world(&w);
    }
}

Test(learner, schedules)
{
    struct optim_config c = {.schedule = LR_COSINE, .lr = 0.2f, .steps = 100};
    static const struct {
        uint64_t step;
        double lr;
    } cases[] = {{0, 0.2}, {50, 0.1}, {25, 0.1 * (1 + 0.70710678)}, {100, 0}, {150, 0}, {1000, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert(fabs((double)lr_at(&c, cases[i].step) - cases[i].lr) < 1e-7);
    c.warmup = 20;
    static const struct {
        enum lr_schedule schedule;
        uint64_t step;
        double lr;
    } warm[] = {{LR_COSINE, 0, 0.01}, {LR_COSINE, 19, 0.2},  {LR_COSINE, 20, 0.2},
                {LR_COSINE, 60, 0.1}, {LR_CONSTANT, 9, 0.1}, {LR_CONSTANT, 1000, 0.2},
                {LR_STEP, 4, 0.05},   {LR_STEP, 29, 0.2},    {LR_STEP, 30, 0.1},
                {LR_STEP, 89, 0.05},  {LR_STEP, 90, 0.025}};
    c.step_size = 30;
    c.gamma = 0.5f;
    for (size_t i = 0; i < sizeof warm / sizeof warm[0]; i++) {
        c.schedule = warm[i].schedule;
        cr_assert(fabs((double)lr_at(&c, warm[i].step) - warm[i].lr) < 1e-7, "case %zu", i);
    }
}

Test(learner, schedule_follows_the_swarm_when_it_is_ahead)
{
    struct world w = {0};
    struct learner l;
    make_world(&w);
    make_learner(&l, &w, OPTIM_QGM, 0.1f);
    w.config.optim.schedule = LR_COSINE;
    w.config.optim.steps = 100;
    learner_step(&l, &w.workspace);
    cr_assert_eq(l.qgm->last_lr, lr_at(&w.config.optim, 0));
    l.swarm_step = 60;
    learner_step(&l, &w.workspace);
    cr_assert_eq(l.qgm->last_lr, lr_at(&w.config.optim, 60));
    cr_assert_eq(l.step, 2, "its own count stays its own");
    l.step = 70;
    learner_step(&l, &w.workspace);
    cr_assert_eq(l.qgm->last_lr, lr_at(&w.config.optim, 70), "the further of the two");
    close_world(&w);
}

/* Whichever path a model of one layer takes: from rest, theta moves by -lr times what momentum
 * then is. */
Test(learner, one_layer_moves)
{
    static const uint32_t batches[] = {1, 2, 8, 9, 16, 64};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        struct world w = {0};
        struct error err;
        make_world(&w);
        cr_assert_eq(model_parse(&w.m, "softmax", data_flat(20, 10), &err), 0, "%s", err.text);
        w.config = (struct learner_config){.model = &w.m,
                                           .train = &w.data.train,
                                           .optim = optim_defaults(OPTIM_SGD),
                                           .batch = batches[b],
                                           .seed = 5};
        w.config.optim.lr = 0.1f;
        workspace_init(&w.workspace, &w.config);
        struct learner l;
        w.storage[w.n_learners++] = MEM_NEW(float, learner_floats(&w.config));
        learner_init(&l, &w.config, &w.shard, 2, w.storage[0]);
        float *before = MEM_NEW(float, w.m.dim);
        memcpy(before, l.theta, w.m.dim * sizeof *before);
        learner_step(&l, &w.workspace);
        cr_assert_gt(vec_distance_sq(l.theta, before, w.m.dim), 0, "batch %u", batches[b]);
        for (uint64_t d = 0; d < w.m.dim; d++)
            cr_assert_float_eq(l.theta[d], before[d] - 0.1f * l.momentum[d], 1e-6, "batch %u: %lu",
                               batches[b], d);
        free(before);
        close_world(&w);
    }
}
