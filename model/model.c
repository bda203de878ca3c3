#include "model/model.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "model/direct.h"
#include "model/spec.h"
#include "model/stage.h"

#include <cblas.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* ---- the table of tensors ------------------------------------------------------------------ */

static uint64_t add_tensor(struct model *m, const char *layer, const char *name,
                           const struct param *p, uint64_t offset)
{
    uint64_t n = 1;
    if (p->n_dims == 0)
        return offset;
    struct tensor_info *t = &m->tensors[m->n_tensors++];
    int length = snprintf(t->name, sizeof t->name, "%s.%s", layer, name);
    CHECK(length < (int)sizeof t->name);
    t->n_dims = p->n_dims;
    t->offset = offset;
    for (uint32_t d = 0; d < p->n_dims; d++)
        n *= t->shape[d] = p->shape[d];
    return offset + n;
}

/* Nodes [at, end), whose names begin with prefix. */
static void name_tensors(struct model *m, uint32_t at, uint32_t end, const char *prefix)
{
    for (uint32_t index = 0; at < end; at += 1 + m->nodes[at].n_inner) {
        const struct layer *l = &m->nodes[at];
        char name[TENSOR_NAME_MAX - 10], inner[TENSOR_NAME_MAX];
        if (l->ops == &layer_transpose)
            continue;
        int n = snprintf(name, sizeof name, "%s%" PRIu32, prefix, index++);
        CHECK(n < (int)sizeof name);
        add_tensor(m, name, "bias", &l->bias, add_tensor(m, name, "weight", &l->weight, l->offset));
        snprintf(inner, sizeof inner, "%s.body.", name);
        name_tensors(m, at + 1, at + 1 + l->n_body, inner);
        snprintf(inner, sizeof inner, "%s.shortcut.", name);
        name_tensors(m, at + 1 + l->n_body, at + 1 + l->n_inner, inner);
    }
}

int model_parse(struct model *m, const char *spec, struct data_shape data, struct error *err)
{
    int rc = spec_parse(m, spec, data, err);
    if (rc == 0)
        name_tensors(m, 0, m->n_nodes, "");
    return rc;
}

uint64_t model_fingerprint(const struct model *m)
{
    char text[MODEL_SPEC_MAX + 128];
    const struct data_shape *d = &m->data;
    int n = snprintf(text, sizeof text, "%s %u %ux%ux%u %u %u", m->spec, d->n_features, d->image[0],
                     d->image[1], d->image[2], d->n_tokens, d->n_classes);
    return XXH3_64bits(text, (size_t)n);
}

void model_name(const struct model *m, char *text, size_t size)
{
    enum { TAIL = 24 };
    if (strlen(m->spec) < size)
        snprintf(text, size, "%s", m->spec);
    else
        snprintf(text, size, "%.*s... #%016" PRIx64, (int)(size - TAIL), m->spec,
                 model_fingerprint(m));
}

void model_init(const struct model *m, uint64_t seed, float *theta)
{
    struct rng rng = rng_stream(seed, 0, RNG_INIT);
    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].ops->init != NULL)
            m->nodes[i].ops->init(&m->nodes[i], &rng, theta + m->nodes[i].offset);
}

/* ---- running -------------------------------------------------------------------------------
 * Scratch: logits and their gradient, what the layers keep, what they work in. */
struct areas {
    struct stage stage;
    float *logits, *d_logits, *saved;
    struct pass pass;
};

static struct areas place(const struct model *m, const struct pass *pass, float *scratch)
{
    struct areas a = {.stage = model_stage(m, 0, m->n_layers), .logits = scratch, .pass = *pass};
    uint64_t n = mem_round_floats((uint64_t)m->n_out * pass->batch);
    a.d_logits = a.logits + n;
    a.saved = a.d_logits + n;
    a.pass.scratch = a.saved + mem_round_floats(stage_saved(&a.stage, pass->batch));
    return a;
}

uint64_t model_scratch(const struct model *m, uint32_t batch)
{
    struct stage s = model_stage(m, 0, m->n_layers);
    return 2 * mem_round_floats((uint64_t)m->n_out * batch) +
           mem_round_floats(stage_saved(&s, batch)) + stage_scratch(&s, batch);
}

bool model_gathers(const struct model *m, uint32_t batch)
{
    const struct layer *first = m->nodes;
    while (first->ops->is_view && first < m->nodes + m->n_nodes - 1)
        first++;
    return first->ops->gathers && !direct_suits(m, batch);
}

double model_loss_grad(const struct model *m, const struct pass *pass, const float *theta,
                       const float *x, const union target *y, float beta, float *grad,
                       float *scratch)
{
    if (direct_suits(m, pass->batch)) {
        double loss = direct_loss_grad(m, theta, x, y, pass->batch, beta, grad);
        if (pass->theta != NULL)
            vec_add_scaled(pass->theta, -pass->lr, grad, m->dim);
        return loss;
    }
    struct areas a = place(m, pass, scratch);
    stage_forward(&a.stage, &a.pass, theta, x, a.logits, a.saved);
    double loss = loss_gradient(m->loss, a.logits, y, pass->batch, m->n_out, a.d_logits);
    stage_backward(&a.stage, &a.pass, theta, x, a.logits, a.saved, a.d_logits, beta, grad, NULL);
    return loss;
}

const float *model_forward(const struct model *m, const struct pass *pass, const float *theta,
                           const float *x, float *scratch)
{
    struct areas a = place(m, pass, scratch);
    stage_forward(&a.stage, &a.pass, theta, x, a.logits, a.saved);
    return a.logits;
}

void model_evaluate(const struct model *m, const struct pass *pass, const float *theta,
                    const float *x, const union target *y, float *scratch, struct evaluation *sum)
{
    uint32_t batch = pass->batch;
    struct areas a = place(m, pass, scratch);
    stage_forward(&a.stage, &a.pass, theta, x, a.logits, a.saved);
    sum->loss_sum += batch * loss_gradient(m->loss, a.logits, y, batch, m->n_out, a.d_logits);
    sum->n += batch;
    for (uint64_t b = 0; b < batch; b++)
        if (m->loss == LOSS_MSE) {
            sum->target_sum += (double)y[b].real;
            sum->target_sq += (double)y[b].real * (double)y[b].real;
        } else {
            sum->n_correct +=
                loss_is_correct(m->loss, a.logits + b * m->n_out, m->n_out, y[b].class);
        }
}

double evaluation_accuracy(const struct model *m, const struct evaluation *sum)
{
    double n = (double)sum->n,
           variance = sum->target_sq / n - sum->target_sum / n * sum->target_sum / n;
    if (m->loss != LOSS_MSE)
        return (double)sum->n_correct / n;
    return variance > 0 ? 1 - sum->loss_sum / n / variance : 0;
}

int model_blas_setup(int n_threads, int concurrent, struct error *err)
{
    if (concurrent && openblas_get_parallel() == 0)
        return error_set(err, ERR_FAILURE,
                         "this OpenBLAS (%s) computes wrong results when several threads call it: "
                         "apt-get install libopenblas0-pthread",
                         openblas_get_config());
    openblas_set_num_threads(n_threads);
    return 0;
}
