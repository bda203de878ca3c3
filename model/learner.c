#include "model/learner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

void learner_init(struct learner *l, const struct learner_config *config)
{
    const struct model *m = config->model;
    CHECK(config->batch > 0 && config->train->n_features == m->n_in);
    *l = (struct learner){.config = *config, .mix_rate = 1};
    l->theta = MEM_NEW(float, m->dim);
    l->momentum = MEM_NEW(float, m->dim);
    if (config->optim.kind == OPTIM_QGM)
        l->grad = MEM_NEW(float, m->dim);
    l->x = MEM_NEW(float, (size_t)config->batch * m->n_in);
    l->scratch = MEM_NEW(float, model_scratch(m, config->batch));
    l->y = MEM_NEW(uint8_t, config->batch);
    l->rows = MEM_NEW(uint32_t, config->batch);
    batches_init(&l->batches, config->shard, config->seed, config->node);
    batches_next(&l->batches, l->rows, config->batch);
    model_init(m, config->seed, l->theta);
}

void learner_close(struct learner *l)
{
    batches_close(&l->batches);
    free(l->theta);
    free(l->momentum);
    free(l->grad);
    free(l->x);
    free(l->scratch);
    free(l->y);
    free(l->rows);
    *l = (struct learner){0};
}

/* Updates theta from its end to its start: the gradient of the last rows is what the backward pass
 * left in the cache, and the weights of the first layer are what the next forward pass asks for
 * first. An update keeps the caches busy and the memory idle, so the next batch is fetched
 * meanwhile: its rows lie anywhere, and waiting for them took three times as long as unpacking. */
static void update(struct learner *l, float lr)
{
    enum { PIECE = 32768 };
    const struct learner_config *c = &l->config;
    uint64_t n_pieces = (c->model->dim + PIECE - 1) / PIECE, asked = 0;
    for (uint64_t k = 0; k < n_pieces; k++) {
        uint64_t at = (n_pieces - 1 - k) * PIECE, left = c->model->dim - at;
        uint64_t ask = c->batch * (k + 1) / n_pieces;
        dataset_prefetch(c->train, l->rows + asked, (uint32_t)(ask - asked));
        asked = ask;
        optim_step(&c->optim, lr, l->theta + at, l->momentum + at,
                   l->grad != NULL ? l->grad + at : NULL, left < PIECE ? left : PIECE);
    }
}

double learner_step(struct learner *l)
{
    const struct learner_config *c = &l->config;
    bool qgm = c->optim.kind == OPTIM_QGM;
    float lr = lr_at(&c->optim, l->step > l->swarm_step ? l->step : l->swarm_step);
    dataset_gather(c->train, l->rows, c->batch, l->x, l->y);
    batches_next(&l->batches, l->rows, c->batch);
    double loss =
        model_loss_grad(c->model, l->theta, l->x, l->y, c->batch, qgm ? 0.0f : c->optim.momentum,
                        qgm ? l->grad : l->momentum, l->scratch);
    update(l, lr);
    l->mix_rate += 0.02 * (l->mixed - l->mix_rate);
    l->mixed = 0;
    l->step++;
    l->last_lr = lr;
    return loss;
}

double learner_epochs(const struct learner *l)
{
    return (double)l->step * (double)l->config.batch / (double)l->config.shard->n;
}

void learner_resume(struct learner *l, uint64_t step)
{
    l->step = step;
    l->last_lr = 0.0f;
    l->mixed = 0;
    l->mix_rate = 1;
    memset(l->momentum, 0, l->config.model->dim * sizeof *l->momentum);
    batches_seek(&l->batches, step * l->config.batch);
    batches_next(&l->batches, l->rows, l->config.batch);
}

static void check_range(const struct learner *l, uint64_t offset, uint64_t n)
{
    CHECK(offset <= l->config.model->dim && n <= l->config.model->dim - offset);
}

/* n weights are about to be mixed. Returns what their momentum gains for each unit added. */
static float note_mixing(struct learner *l, uint64_t n)
{
    l->mixed += (double)n / (double)l->config.model->dim;
    if (l->config.optim.kind != OPTIM_QGM)
        return 0.0f;
    return optim_qgm_mixing(l->last_lr, l->config.optim.momentum, l->mix_rate);
}

void learner_take(const struct learner *l, uint64_t offset, uint64_t n, float *out)
{
    check_range(l, offset, n);
    memcpy(out, l->theta + offset, n * sizeof *out);
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
    if (factor != 0.0f)
        vec_mix(momentum, factor * c, theirs, base != NULL ? base : theta, n);
    if (base != NULL)
        vec_mix(theta, c, theirs, base, n);
    else
        vec_mix_current(theta, c, theirs, n);
}

void learner_swap_mix(struct learner *l, uint64_t offset, uint64_t n, float c, float *buffer)
{
    check_range(l, offset, n);
    float *theta = l->theta + offset, *momentum = l->momentum + offset;
    float factor = note_mixing(l, n);
    if (factor != 0.0f)
        vec_mix(momentum, factor * c, buffer, theta, n);
    vec_swap_mix(theta, c, buffer, n);
}

/* ---- evaluation ---------------------------------------------------------------------------- */
enum { EVAL_BATCH = 250 };

void evaluator_init(struct evaluator *e, const struct model *model, const struct dataset *test)
{
    *e = (struct evaluator){.model = model, .test = test, .next = test->n_samples};
    e->theta = MEM_NEW(float, model->dim);
    e->x = MEM_NEW(float, (size_t)EVAL_BATCH * model->n_in);
    e->scratch = MEM_NEW(float, model_scratch(model, EVAL_BATCH));
    e->y = MEM_NEW(uint8_t, EVAL_BATCH);
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
