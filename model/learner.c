#include "model/learner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

/* Where a range of n floats ends, rounded up to a cache line. */
static uint64_t aligned(uint64_t n)
{
    enum { LINE = MEM_ALIGN / sizeof(float) };
    return (n + LINE - 1) / LINE * LINE;
}

uint64_t learner_floats(const struct learner_config *config)
{
    return 2 * aligned(config->model->dim);
}

void learner_init(struct learner *l, const struct learner_config *config, const struct shard *shard,
                  uint32_t node, float *storage)
{
    const struct model *m = config->model;
    CHECK(config->batch > 0 && config->train->shape.n_features == m->n_in);
    *l = (struct learner){.config = config,
                          .shard = *shard,
                          .node = node,
                          .theta = storage,
                          .momentum = storage + aligned(m->dim),
                          .mix_rate = 1};
    memset(l->momentum, 0, m->dim * sizeof *l->momentum);
    model_init(m, config->seed, l->theta);
}

void workspace_init(struct workspace *w, const struct learner_config *config)
{
    const struct model *m = config->model;
    *w = (struct workspace){.x = MEM_NEW(float, (size_t)config->batch * m->n_in),
                            .scratch = MEM_NEW(float, model_scratch(m, config->batch)),
                            .y = MEM_NEW(union target, config->batch),
                            .rows = MEM_NEW(uint32_t, config->batch)};
    if (config->optim.kind == OPTIM_QGM)
        w->grad = MEM_NEW(float, m->dim);
}

void workspace_close(struct workspace *w)
{
    free(w->x);
    free(w->scratch);
    free(w->grad);
    free(w->y);
    free(w->rows);
    *w = (struct workspace){0};
}

static void next_rows(const struct learner *l, struct workspace *w)
{
    const struct learner_config *c = l->config;
    batches_rows(&l->shard, c->seed, l->node, l->step * c->batch, w->rows, c->batch);
}

/* Updates theta from its end to its start: the gradient of the last rows is what the backward pass
 * left in the cache, and the weights of the first layer are what the next forward pass asks for
 * first. An update keeps the caches busy and the memory idle, so the next batch is fetched
 * meanwhile: its rows lie anywhere, and waiting for them took three times as long as unpacking. */
static void update(struct learner *l, struct workspace *w, float lr)
{
    enum { PIECE = 32768 };
    const struct learner_config *c = l->config;
    uint64_t n_pieces = (c->model->dim + PIECE - 1) / PIECE, asked = 0;
    l->step++;
    next_rows(l, w);
    for (uint64_t k = 0; k < n_pieces; k++) {
        uint64_t at = (n_pieces - 1 - k) * PIECE, left = c->model->dim - at;
        uint64_t ask = c->batch * (k + 1) / n_pieces;
        dataset_prefetch(c->train, w->rows + asked, (uint32_t)(ask - asked));
        asked = ask;
        optim_step(&c->optim, lr, l->theta + at, l->momentum + at,
                   w->grad != NULL ? w->grad + at : NULL, left < PIECE ? left : PIECE);
    }
}

double learner_step(struct learner *l, struct workspace *w)
{
    const struct learner_config *c = l->config;
    bool qgm = c->optim.kind == OPTIM_QGM;
    float lr = lr_at(&c->optim, l->step > l->swarm_step ? l->step : l->swarm_step);
    next_rows(l, w);
    dataset_gather(c->train, w->rows, c->batch, w->x, w->y);
    double loss =
        model_loss_grad(c->model, l->theta, w->x, w->y, c->batch, qgm ? 0.0f : c->optim.momentum,
                        qgm ? w->grad : l->momentum, w->scratch);
    update(l, w, lr);
    l->mix_rate += 0.02 * (l->mixed - l->mix_rate);
    l->mixed = 0;
    l->last_lr = lr;
    return loss;
}

double learner_epochs(const struct learner *l)
{
    return (double)l->step * (double)l->config->batch / l->shard.n;
}

void learner_resume(struct learner *l, uint64_t step)
{
    l->step = step;
    l->last_lr = 0.0f;
    l->mixed = 0;
    l->mix_rate = 1;
    memset(l->momentum, 0, l->config->model->dim * sizeof *l->momentum);
}

static void check_range(const struct learner *l, uint64_t offset, uint64_t n)
{
    CHECK(offset <= l->config->model->dim && n <= l->config->model->dim - offset);
}

/* n weights are about to be mixed. Returns what their momentum gains for each unit added. */
static float note_mixing(struct learner *l, uint64_t n)
{
    l->mixed += (double)n / (double)l->config->model->dim;
    if (l->config->optim.kind != OPTIM_QGM)
        return 0.0f;
    return optim_qgm_mixing(l->last_lr, l->config->optim.momentum, l->mix_rate);
}

void learner_take(const struct learner *l, uint64_t offset, uint64_t n, float *out)
{
    check_range(l, offset, n);
    memcpy(out, l->theta + offset, n * sizeof *out);
}

/* Momentum and theta are mixed in turns of so many floats, so that what came is read from memory
 * once and from the cache the second time. */
enum { MIX_BLOCK = 1024 };

static size_t block_at(uint64_t i, uint64_t n)
{
    return (size_t)(n - i < MIX_BLOCK ? n - i : MIX_BLOCK);
}

void learner_mix(struct learner *l, uint64_t offset, uint64_t n, float c, const float *theirs,
                 const float *base)
{
    check_range(l, offset, n);
    float *theta = l->theta + offset, *momentum = l->momentum + offset;
    if (base == NULL && c == 1.0f) {
        memcpy(theta, theirs, n * sizeof *theta);
        memset(momentum, 0, n * sizeof *momentum);
        return;
    }
    float factor = note_mixing(l, n);
    for (uint64_t i = 0; i < n; i += MIX_BLOCK) {
        size_t k = block_at(i, n);
        const float *from = base != NULL ? base + i : theta + i;
        if (factor != 0.0f)
            vec_mix(momentum + i, factor * c, theirs + i, from, k);
        if (base != NULL)
            vec_mix(theta + i, c, theirs + i, from, k);
        else
            vec_mix_current(theta + i, c, theirs + i, k);
    }
}

void learner_swap_mix(struct learner *l, uint64_t offset, uint64_t n, float c, float *buffer)
{
    check_range(l, offset, n);
    float *theta = l->theta + offset, *momentum = l->momentum + offset;
    float factor = note_mixing(l, n);
    for (uint64_t i = 0; i < n; i += MIX_BLOCK) {
        size_t k = block_at(i, n);
        if (factor != 0.0f)
            vec_mix(momentum + i, factor * c, buffer + i, theta + i, k);
        vec_swap_mix(theta + i, c, buffer + i, k);
    }
}

/* ---- evaluation ---------------------------------------------------------------------------- */
enum { EVAL_BATCH = 250 };

void evaluator_init(struct evaluator *e, const struct model *model, const struct dataset *test)
{
    *e = (struct evaluator){.model = model, .test = test, .next = test->n_samples};
    e->theta = MEM_NEW(float, model->dim);
    e->x = MEM_NEW(float, (size_t)EVAL_BATCH * model->n_in);
    e->scratch = MEM_NEW(float, model_scratch(model, EVAL_BATCH));
    e->y = MEM_NEW(union target, EVAL_BATCH);
    e->rows = MEM_NEW(uint32_t, EVAL_BATCH);
}

void evaluator_close(struct evaluator *e)
{
    free(e->theta);
    free(e->x);
    free(e->scratch);
    free(e->y);
    free(e->rows);
    *e = (struct evaluator){0};
}

void evaluator_start(struct evaluator *e, const float *theta, uint64_t step)
{
    memcpy(e->theta, theta, e->model->dim * sizeof *theta);
    e->step = step;
    e->next = 0;
    e->sum = (struct evaluation){0};
}

int evaluator_run(struct evaluator *e)
{
    uint32_t left = e->test->n_samples - e->next;
    uint32_t n = left < EVAL_BATCH ? left : EVAL_BATCH;
    if (n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        e->rows[i] = e->next + i;
    dataset_gather(e->test, e->rows, n, e->x, e->y);
    model_evaluate(e->model, e->theta, e->x, e->y, n, e->scratch, &e->sum);
    e->next += n;
    return e->next < e->test->n_samples;
}
