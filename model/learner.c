#include "model/learner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/ahead.h"
#include "model/direct.h"

#include <stdlib.h>
#include <string.h>

uint64_t learner_floats(const struct learner_config *config)
{
    uint64_t of_qgm = config->optim.kind == OPTIM_QGM ? sizeof(struct qgm) / sizeof(float) : 0;
    return (1 + optim_n_states(&config->optim)) * mem_round_floats(config->model->dim) +
           mem_round_floats(of_qgm);
}

/* Zero for the optimiser's state of a range. */
static void forget(struct learner *l, uint64_t offset, uint64_t n)
{
    if (l->momentum != NULL)
        memset(l->momentum + offset, 0, n * sizeof *l->momentum);
    if (l->second != NULL)
        memset(l->second + offset, 0, n * sizeof *l->second);
}

void learner_move(struct learner *l, float *storage)
{
    uint64_t n = mem_round_floats(l->config->model->dim);
    uint32_t n_states = optim_n_states(&l->config->optim);
    l->theta = storage;
    l->momentum = n_states > 0 ? storage + n : NULL;
    l->second = n_states > 1 ? storage + 2 * n : NULL;
    void *behind = storage + (1 + n_states) * n;
    l->qgm = l->config->optim.kind == OPTIM_QGM ? behind : NULL;
}

void learner_forget(struct learner *l)
{
    l->age = 0;
    forget(l, 0, l->config->model->dim);
    if (l->qgm != NULL)
        *l->qgm = (struct qgm){0};
}

void learner_init(struct learner *l, const struct learner_config *config, const struct shard *shard,
                  uint32_t node, float *storage)
{
    const struct model *m = config->model;
    CHECK(config->batch > 0 && config->train->shape.n_features == m->n_in);
    *l = (struct learner){.config = config, .shard = *shard, .node = node, .factor = 1};
    learner_move(l, storage);
    learner_forget(l);
    if (config->first != NULL)
        memcpy(l->theta, config->first, m->dim * sizeof *l->theta);
    else
        model_init(m, config->seed, l->theta);
}

void workspace_init(struct workspace *w, const struct learner_config *config)
{
    const struct model *m = config->model;
    uint32_t n_threads = config->n_threads > 0 ? config->n_threads : 1;
    if (n_threads > config->batch)
        n_threads = config->batch;
    *w = (struct workspace){.team = team_new(n_threads), .y = MEM_NEW(union target, config->batch)};
    w->is_direct = n_threads == 1 && direct_suits(m, config->batch);
    for (uint32_t i = 0; i < 2; i++)
        w->drawn[i] = (struct drawn){.rows = MEM_NEW(uint32_t, config->batch), .step = UINT64_MAX};
    for (uint32_t i = 0; i < n_threads; i++) {
        struct workspace_part *part = &w->parts[i];
        part->first = (uint32_t)((uint64_t)config->batch * i / n_threads);
        part->n = (uint32_t)((uint64_t)config->batch * (i + 1) / n_threads) - part->first;
        part->x = MEM_NEW(float, (size_t)part->n * m->n_in);
        part->scratch = MEM_NEW(float, model_scratch(m, part->n));
        if (optim_wants_gradient(&config->optim) || n_threads > 1)
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
    free(w->drawn[0].rows);
    free(w->drawn[1].rows);
    *w = (struct workspace){0};
}

static const uint32_t *draw(const struct learner_config *c, const struct shard *shard,
                            uint32_t node, uint64_t step, struct workspace *w)
{
    w->last_drawn = !w->last_drawn;
    struct drawn *d = &w->drawn[w->last_drawn];
    d->shard_rows = shard->rows;
    d->step = step;
    d->node = node;
    batches_rows(shard, c->seed, node, step * c->batch, d->rows, c->batch);
    return d->rows;
}

static const uint32_t *next_rows(const struct learner *l, struct workspace *w)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct drawn *d = &w->drawn[i];
        if (d->step == l->step && d->node == l->node && d->shard_rows == l->shard.rows)
            return d->rows;
    }
    return draw(l->config, &l->shard, l->node, l->step, w);
}

void learner_fetch(const struct learner_config *c, const struct shard *shard, uint32_t node,
                   uint64_t step, struct workspace *w)
{
    enum { BYTES_MAX = 16384 };
    const uint32_t *rows = draw(c, shard, node, step, w);
    if (c->batch * array_width(&c->train->x) <= BYTES_MAX)
        dataset_prefetch(c->train, rows, c->batch);
}

struct step {
    struct learner *learner;
    struct workspace *workspace;
    struct optim_rates rates;
    const uint32_t *rows; /* of this batch */
    const uint32_t *next; /* of the next, to be fetched while updating; NULL where all rows have
                             just been here, or the next step is another learner's */
    bool moves;           /* theta, during the backward pass */
};

/* The batch of a pass and its targets: gathered into x, or to be gathered there by the model. */
static void take_batch(struct pass *pass, const struct model *m, const struct dataset *set,
                       const uint32_t *samples, float *x, union target *y)
{
    if (!model_gathers(m, pass->batch)) {
        dataset_gather(set, samples, pass->batch, x, y);
        return;
    }
    pass->gather = (struct gather){set, samples, x};
    dataset_targets(set, samples, pass->batch, y);
}

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
                        .step = l->step,
                        .theta = s->moves ? l->theta : NULL,
                        .lr = s->rates.lr * s->rates.factor};
    take_batch(&pass, c->model, c->train, s->rows + part->first, part->x, y);
    part->loss = model_loss_grad(c->model, &pass, l->theta, part->x, y,
                                 part->grad != NULL ? 0.0f : c->optim.momentum,
                                 part->grad != NULL ? part->grad : l->momentum, part->scratch);
}

/* A thread's range of theta. */
static void own_range(const struct step *s, uint32_t i, uint64_t *start, uint64_t *end)
{
    uint64_t n_threads = team_size(s->workspace->team), dim = s->learner->config->model->dim;
    *start = 0;
    *end = dim;
    if (n_threads == 1)
        return;
    *start = i == 0 ? 0 : mem_round_floats(dim * i / n_threads);
    *end = i + 1 == n_threads ? dim : mem_round_floats(dim * (i + 1) / n_threads);
    *start = *start < dim ? *start : dim;
    *end = *end < dim ? *end : dim;
}

/* The gradient of the whole batch from those of its parts, where optim_step looks for it: in the
 * first part's, or added to the momentum. */
static void part_sum(void *ctx, uint32_t i)
{
    const struct step *s = ctx;
    const struct learner_config *c = s->learner->config;
    const struct workspace_part *parts = s->workspace->parts;
    uint64_t at, end;
    own_range(s, i, &at, &end);
    bool apart = optim_wants_gradient(&c->optim);
    float *sum = apart ? parts[0].grad + at : s->learner->momentum + at;
    vec_scale_add(sum, apart ? (float)parts[0].n / (float)c->batch : c->optim.momentum,
                  apart ? 0.0f : (float)parts[0].n / (float)c->batch, parts[0].grad + at, end - at);
    for (uint32_t k = 1; k < team_size(s->workspace->team); k++)
        vec_scale_add(sum, 1.0f, (float)parts[k].n / (float)c->batch, parts[k].grad + at, end - at);
}

/* Theta is updated from its last block to its first: the gradient of the last rows is what the
 * backward pass left in the cache, and the weights of the first layer are what the next forward
 * pass asks for first. An update keeps the caches busy and the memory idle, so the next batch is
 * fetched meanwhile: its rows lie anywhere, and waiting for them took three times as long as
 * unpacking. */
static void part_update(void *ctx, uint32_t i)
{
    enum { PIECE = 16384 };
    const struct step *s = ctx;
    const struct learner *l = s->learner;
    const struct learner_config *c = l->config;
    const struct workspace *w = s->workspace;
    struct workspace_part *part = &s->workspace->parts[i];
    const float *grad = optim_wants_gradient(&c->optim) ? w->parts[0].grad : NULL;
    bool looks = w->moved != NULL && team_size(w->team) == 1;
    uint64_t start, end, n, n_done = 0;
    uint32_t asked = 0;
    own_range(s, i, &start, &end);
    for (uint64_t block_end = end, block; block_end > start; block_end = block) {
        block = (block_end - 1) / LEARNER_BLOCK * LEARNER_BLOCK;
        block = block > start ? block : start;
        for (uint64_t at = block; at < block_end; at += n) {
            n = block_end - at < PIECE ? block_end - at : PIECE;
            n_done += n;
            if (s->next != NULL) {
                uint32_t ask = (uint32_t)(part->n * n_done / (end - start));
                dataset_prefetch(c->train, s->next + part->first + asked, ask - asked);
                asked = ask;
            }
            if (!s->moves)
                optim_step(&c->optim, &s->rates, l->theta + at,
                           l->momentum != NULL ? l->momentum + at : NULL,
                           l->second != NULL ? l->second + at : NULL,
                           grad != NULL ? grad + at : NULL, n);
            if (looks)
                w->moved(w->moved_ctx, at, n);
        }
    }
}

/* Of the step that begins. */
static struct optim_rates next_rates(struct learner *l)
{
    uint64_t at = l->step > l->swarm_step ? l->step : l->swarm_step;
    return (struct optim_rates){
        .lr = lr_at(&l->config->optim, at), .scale = 1.0f, .age = ++l->age, .factor = l->factor};
}

static void note_step(struct learner *l, const struct optim_rates *rates)
{
    if (l->qgm != NULL)
        optim_qgm_note(l->qgm, rates->lr, l->config->model->dim);
}

static bool fetches_next(const struct learner *l, const struct workspace *w)
{
    return l->shard.n > l->config->batch && !w->is_shared;
}

/* The kernels of a step on x, which return the loss: the gradient as it is computed moves theta
 * where that is all, else it is kept for optim_step. */
static double move_directly(struct learner *l, struct workspace *w, const float *x,
                            struct optim_rates *rates)
{
    const struct learner_config *c = l->config;
    const struct model *m = c->model;
    if (optim_is_plain(&c->optim))
        return direct_descend(m, l->theta, x, w->y, c->batch, &c->optim, rates);
    float *grad = w->parts[0].grad;
    double loss =
        direct_loss_grad(m, l->theta, x, w->y, c->batch, grad != NULL ? 0.0f : c->optim.momentum,
                         grad != NULL ? grad : l->momentum);
    if (grad != NULL)
        rates->scale = optim_clip(&c->optim, grad, m->dim);
    optim_step(&c->optim, rates, l->theta, l->momentum, l->second, grad, m->dim);
    return loss;
}

/* The same in one piece, of a model that goes the direct way, whose kernels take less time than
 * handing out their parts. */
static double step_directly(struct learner *l, struct workspace *w, const uint32_t *rows)
{
    const struct learner_config *c = l->config;
    struct optim_rates rates = next_rates(l);
    const float *x = dataset_read(c->train, rows, c->batch, w->parts[0].x, w->y);
    l->step++;
    if (fetches_next(l, w))
        learner_fetch(c, &l->shard, l->node, l->step, w);
    double loss = move_directly(l, w, x, &rates);
    note_step(l, &rates);
    if (w->moved != NULL)
        w->moved(w->moved_ctx, 0, c->model->dim);
    return loss;
}

static double step_in_parts(struct learner *l, struct workspace *w, const uint32_t *rows)
{
    const struct learner_config *c = l->config;
    struct step s = {.learner = l,
                     .workspace = w,
                     .rows = rows,
                     .moves = team_size(w->team) == 1 && optim_descends(&c->optim),
                     .rates = next_rates(l)};
    double loss = 0;
    ahead_begin();
    team_run(w->team, part_gradient, &s);
    ahead_end();
    if (team_size(w->team) > 1)
        team_run(w->team, part_sum, &s);
    for (uint32_t i = 0; i < team_size(w->team); i++)
        loss += w->parts[i].loss * w->parts[i].n / c->batch;
    if (optim_wants_gradient(&c->optim))
        s.rates.scale = optim_clip(&c->optim, w->parts[0].grad, c->model->dim);
    l->step++;
    if (fetches_next(l, w))
        s.next = next_rows(l, w);
    note_step(l, &s.rates);
    team_run(w->team, part_update, &s);
    return loss;
}

double learner_step(struct learner *l, struct workspace *w)
{
    const uint32_t *rows = next_rows(l, w);
    uint64_t began = workspace_ticks(w);
    double loss = w->is_direct ? step_directly(l, w, rows) : step_in_parts(l, w, rows);
    w->kernels_ticks += workspace_ticks(w) - began;
    return loss;
}

double learner_gradient(struct learner *l, struct workspace *w, float *grad)
{
    struct step s = {.learner = l, .workspace = w, .rows = next_rows(l, w)};
    float *own = w->parts[0].grad;
    CHECK(team_size(w->team) == 1);
    w->parts[0].grad = grad;
    part_gradient(&s, 0);
    w->parts[0].grad = own;
    return w->parts[0].loss;
}

void learner_update(struct learner *l, const float *grad)
{
    const struct optim_config *c = &l->config->optim;
    uint64_t dim = l->config->model->dim;
    struct optim_rates rates = next_rates(l);
    bool apart = optim_wants_gradient(c);
    if (apart)
        rates.scale = optim_clip(c, grad, dim);
    else
        vec_scale_add(l->momentum, c->momentum, 1.0f, grad, dim);
    l->step++;
    optim_step(c, &rates, l->theta, l->momentum, l->second, apart ? grad : NULL, dim);
    note_step(l, &rates);
}

double learner_epochs(const struct learner *l)
{
    return (double)l->step * (double)l->config->batch / l->shard.n;
}

void learner_resume(struct learner *l, uint64_t step)
{
    l->step = step;
    learner_forget(l);
}

static void check_range(const struct learner *l, uint64_t offset, uint64_t n)
{
    CHECK(offset <= l->config->model->dim && n <= l->config->model->dim - offset);
}

/* n weights are about to be mixed. Returns what their momentum gains for each unit added. */
static float note_mixing(struct learner *l, uint64_t n)
{
    if (l->qgm == NULL)
        return 0.0f;
    l->qgm->n_mixed += n;
    return optim_qgm_mixing(l->qgm, l->config->optim.momentum);
}

void learner_take(const struct learner *l, uint64_t offset, uint64_t n, float *out)
{
    check_range(l, offset, n);
    memcpy(out, l->theta + offset, n * sizeof *out);
}

void learner_mix(struct learner *l, uint64_t offset, uint64_t n, float c, const float *theirs)
{
    check_range(l, offset, n);
    float *theta = l->theta + offset;
    if (c == 1.0f) {
        memcpy(theta, theirs, n * sizeof *theta);
        forget(l, offset, n);
        return;
    }
    float factor = note_mixing(l, n);
    if (factor == 0.0f) {
        vec_mix_current(theta, c, theirs, n);
        return;
    }
    /* Momentum and theta in turns, so that what came is read from memory once and from the cache
     * the second time. */
    enum { MIX_BLOCK = 1024 };
    for (uint64_t i = 0; i < n; i += MIX_BLOCK) {
        size_t k = (size_t)(n - i < MIX_BLOCK ? n - i : MIX_BLOCK);
        vec_mix(l->momentum + offset + i, factor * c, theirs + i, theta + i, k);
        vec_mix_current(theta + i, c, theirs + i, k);
    }
}

void learner_add(struct learner *l, uint64_t offset, uint64_t n, float c, const float *difference)
{
    check_range(l, offset, n);
    float factor = note_mixing(l, n);
    if (factor != 0.0f)
        vec_add_scaled_two(l->theta + offset, c, l->momentum + offset, factor * c, difference, n);
    else
        vec_add_scaled(l->theta + offset, c, difference, n);
}

void learner_answer(struct learner *l, uint64_t offset, uint64_t n, float c, float *buffer)
{
    check_range(l, offset, n);
    float factor = note_mixing(l, n);
    if (factor != 0.0f)
        vec_answer_two(l->theta + offset, c, l->momentum + offset, factor * c, buffer, n);
    else
        vec_answer(l->theta + offset, c, buffer, n);
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
    struct pass pass = {.batch = n};
    take_batch(&pass, e->model, e->test, e->rows, e->x, e->y);
    model_evaluate(e->model, &pass, e->theta, e->x, e->y, e->scratch, &e->sum);
    e->next += n;
    return e->next < e->test->n_samples;
}
