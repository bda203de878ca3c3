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
    uint32_t n_threads = config->n_threads > 0 ? config->n_threads : 1;
    if (n_threads > config->batch)
        n_threads = config->batch;
    *w = (struct workspace){.team = team_new(n_threads),
                            .y = MEM_NEW(union target, config->batch),
                            .rows = MEM_NEW(uint32_t, config->batch)};
    for (uint32_t i = 0; i < n_threads; i++) {
        struct workspace_part *part = &w->parts[i];
        part->first = (uint32_t)((uint64_t)config->batch * i / n_threads);
        part->n = (uint32_t)((uint64_t)config->batch * (i + 1) / n_threads) - part->first;
        part->x = MEM_NEW(float, (size_t)part->n * m->n_in);
        part->scratch = MEM_NEW(float, model_scratch(m, part->n));
        if (config->optim.kind == OPTIM_QGM || n_threads > 1)
            part->grad = MEM_NEW(float, m->dim);
    }
}

void workspace_close(struct workspace *w)
{
    for (uint32_t i = 0; i < TEAM_MAX; i++) {
        free(w->parts[i].x);
        free(w->parts[i].scratch);
        free(w->parts[i].grad);
    }
    team_free(w->team);
    free(w->y);
    free(w->rows);
    *w = (struct workspace){0};
}

static void next_rows(const struct learner *l, struct workspace *w)
{
    const struct learner_config *c = l->config;
    if (w->drawn == l->shard.rows && w->drawn_step == l->step && w->drawn_node == l->node)
        return;
    batches_rows(&l->shard, c->seed, l->node, l->step * c->batch, w->rows, c->batch);
    w->drawn = l->shard.rows;
    w->drawn_step = l->step;
    w->drawn_node = l->node;
}

struct step {
    struct learner *learner;
    struct workspace *workspace;
    float lr;
};

static void part_gradient(void *ctx, uint32_t i)
{
    const struct step *s = ctx;
    const struct learner *l = s->learner;
    const struct learner_config *c = l->config;
    struct workspace_part *part = &s->workspace->parts[i];
    union target *y = s->workspace->y + part->first;
    struct pass pass = {.batch = part->n,
                        .training = true,
                        .seed = c->seed + i, /* dropout differs from part to part */
                        .node = l->node,
                        .step = l->step};
    dataset_gather(c->train, s->workspace->rows + part->first, part->n, part->x, y);
    part->loss = model_loss_grad(c->model, &pass, l->theta, part->x, y,
                                 part->grad != NULL ? 0.0f : c->optim.momentum,
                                 part->grad != NULL ? part->grad : l->momentum, part->scratch);
}

/* The gradient of the whole batch, from those of its parts, as optim_step wants it: in the first
 * part's for OPTIM_QGM, added to the momentum for OPTIM_SGD. */
static void add_parts(const struct learner *l, struct workspace *w, uint64_t at, uint64_t n)
{
    const struct optim_config *optim = &l->config->optim;
    uint32_t n_parts = team_size(w->team);
    float *sum = optim->kind == OPTIM_QGM ? w->parts[0].grad + at : l->momentum + at;
    float weight = (float)w->parts[0].n / (float)l->config->batch;
    if (n_parts == 1)
        return;
    if (optim->kind == OPTIM_QGM)
        vec_scale_add(sum, weight, 0.0f, sum, n);
    else
        vec_scale_add(sum, optim->momentum, weight, w->parts[0].grad + at, n);
    for (uint32_t i = 1; i < n_parts; i++)
        vec_scale_add(sum, 1.0f, (float)w->parts[i].n / (float)l->config->batch,
                      w->parts[i].grad + at, n);
}

/* Updates theta from its end to its start: the gradient of the last rows is what the backward pass
 * left in the cache, and the weights of the first layer are what the next forward pass asks for
 * first. An update keeps the caches busy and the memory idle, so the next batch is fetched
 * meanwhile: its rows lie anywhere, and waiting for them took three times as long as unpacking. */
static void part_update(void *ctx, uint32_t i)
{
    enum { PIECE = 32768 };
    const struct step *s = ctx;
    const struct learner *l = s->learner;
    const struct learner_config *c = l->config;
    const struct workspace_part *part = &s->workspace->parts[i];
    const float *grad = c->optim.kind == OPTIM_QGM ? s->workspace->parts[0].grad : NULL;
    uint64_t n_all = (c->model->dim + PIECE - 1) / PIECE, n_threads = team_size(s->workspace->team);
    uint64_t start = n_all * i / n_threads, n_pieces = n_all * (i + 1) / n_threads - start;
    uint32_t asked = 0;
    for (uint64_t k = 0; k < n_pieces; k++) {
        uint64_t at = (start + n_pieces - 1 - k) * PIECE, left = c->model->dim - at;
        uint64_t n = left < PIECE ? left : PIECE;
        uint32_t ask = (uint32_t)(part->n * (k + 1) / n_pieces);
        dataset_prefetch(c->train, s->workspace->rows + part->first + asked, ask - asked);
        asked = ask;
        add_parts(l, s->workspace, at, n);
        optim_step(&c->optim, s->lr, l->theta + at, l->momentum + at,
                   grad != NULL ? grad + at : NULL, n);
    }
}

double learner_step(struct learner *l, struct workspace *w)
{
    struct step s = {
        .learner = l,
        .workspace = w,
        .lr = lr_at(&l->config->optim, l->step > l->swarm_step ? l->step : l->swarm_step)};
    double loss = 0;
    next_rows(l, w);
    team_run(w->team, part_gradient, &s);
    for (uint32_t i = 0; i < team_size(w->team); i++)
        loss += w->parts[i].loss * w->parts[i].n / l->config->batch;
    l->step++;
    next_rows(l, w);
    team_run(w->team, part_update, &s);
    l->mix_rate += 0.02 * (l->mixed - l->mix_rate);
    l->mixed = 0;
    l->last_lr = s.lr;
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
