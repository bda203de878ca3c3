#include "model/model.h"

#include "base/check.h"
#include "base/parse.h"
#include "base/rng.h"

#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTHS_MAX = MODEL_LAYERS_MAX / 2 + 1 };

static void add_tensor(struct model *m, const char *name, uint32_t n_dims, uint64_t rows,
                       uint64_t columns)
{
    struct tensor_info *t = &m->tensors[m->n_tensors++];
    snprintf(t->name, sizeof t->name, "%" PRIu32 ".%s", m->n_layers, name);
    t->n_dims = n_dims;
    t->shape[0] = rows;
    t->shape[1] = n_dims > 1 ? columns : 0;
    t->offset = m->dim;
    m->dim += rows * columns;
}

static void add_layer(struct model *m, const struct layer_ops *ops, uint32_t n_in, uint32_t n_out)
{
    struct layer *l = &m->layers[m->n_layers];
    *l = (struct layer){.ops = ops, .n_in = n_in, .n_out = n_out, .offset = m->dim};
    if (ops == &layer_dense) {
        add_tensor(m, "weight", 2, n_out, n_in);
        add_tensor(m, "bias", 1, n_out, 1);
    }
    l->n_params = m->dim - l->offset;
    m->n_layers++;
}

/* "784-256-10" -> widths; 0 on anything else. */
static uint32_t parse_widths(const char *text, uint32_t widths[WIDTHS_MAX])
{
    char copy[MODEL_SPEC_MAX];
    uint32_t n = 0;
    uint64_t width;
    if (strlen(text) >= sizeof copy)
        return 0;
    strcpy(copy, text);
    for (char *rest = copy, *word; (word = strsep(&rest, "-")) != NULL;) {
        if (n == WIDTHS_MAX || !parse_u64(word, &width) || width < 1 || width > MODEL_WIDTH_MAX)
            return 0;
        widths[n++] = (uint32_t)width;
    }
    return n;
}

static int build(struct model *m, const char *spec, const uint32_t *widths, uint32_t n,
                 struct error *err)
{
    uint64_t dim = 0;
    for (uint32_t i = 0; i + 1 < n; i++)
        dim += (widths[i] + UINT64_C(1)) * widths[i + 1];
    if (dim > MODEL_DIM_MAX)
        return error_set(err, ERR_USAGE, "model '%s' has %" PRIu64 " parameters (at most %d)", spec,
                         dim, MODEL_DIM_MAX);
    *m = (struct model){.n_in = widths[0], .n_out = widths[n - 1]};
    int length = snprintf(m->spec, sizeof m->spec, "%s", n == 2 ? "softmax:" : "mlp:");
    for (uint32_t i = 0; i < n; i++)
        length += snprintf(m->spec + length, sizeof m->spec - (size_t)length, "%s%" PRIu32,
                           i > 0 ? "-" : "", widths[i]);
    CHECK(length < MODEL_SPEC_MAX);
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (i > 0)
            add_layer(m, &layer_relu, widths[i], widths[i]);
        add_layer(m, &layer_dense, widths[i], widths[i + 1]);
    }
    return 0;
}

int model_parse(struct model *m, const char *spec, struct data_shape data, struct error *err)
{
    uint32_t n_in = data.n_features, n_classes = data.n_classes;
    uint32_t widths[WIDTHS_MAX] = {n_in, n_classes}, n = 2;
    const char *colon = strchr(spec, ':');
    size_t kind = colon != NULL ? (size_t)(colon - spec) : strlen(spec);
    bool softmax = kind == 7 && memcmp(spec, "softmax", 7) == 0;
    bool mlp = kind == 3 && memcmp(spec, "mlp", 3) == 0;
    if (!softmax && !(mlp && colon != NULL))
        return error_set(err, ERR_USAGE,
                         "no model '%.200s' (right: softmax, or mlp:%" PRIu32 "-256-128-%" PRIu32
                         ")",
                         spec, n_in, n_classes);
    if (colon != NULL)
        n = parse_widths(colon + 1, widths);
    if (n < 2 || (softmax && n > 2))
        return error_set(
            err, ERR_USAGE,
            "model '%.200s': the part after ':' is not a list of 2 to %d sizes, each 1 "
            "to %d (right: %.3s%s:%" PRIu32 "-%s%" PRIu32 ")",
            spec, softmax ? 2 : WIDTHS_MAX, MODEL_WIDTH_MAX, spec, softmax ? "tmax" : "", n_in,
            softmax ? "" : "256-128-", n_classes);
    if (widths[0] != n_in || widths[n - 1] != n_classes)
        return error_set(err, ERR_USAGE,
                         "model '%.200s' goes from %" PRIu32 " to %" PRIu32
                         " but the data has %" PRIu32 " features and %" PRIu32 " classes",
                         spec, widths[0], widths[n - 1], n_in, n_classes);
    return build(m, spec, widths, n, err);
}

void model_init(const struct model *m, uint64_t seed, float *theta)
{
    struct rng rng = rng_stream(seed, 0, RNG_INIT);
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->layers[i];
        double bound = 1.0 / sqrt(l->n_in);
        for (uint64_t p = 0; p < l->n_params; p++)
            theta[l->offset + p] = (float)((2.0 * rng_uniform(&rng) - 1.0) * bound);
    }
}

/* ---- scratch -------------------------------------------------------------------------------
 * The outputs of all layers one after another (an in-place layer shares that of the layer before),
 * then two gradients of activations, which take turns. All begin on a cache line. */
enum { ALIGN_FLOATS = 16 };

static uint64_t area(uint32_t width, uint32_t batch)
{
    return ((uint64_t)width * batch + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

static uint64_t area_max(const struct model *m, uint32_t batch)
{
    uint64_t max = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        uint64_t a = area(m->layers[i].n_out, batch);
        max = a > max ? a : max;
    }
    return max;
}

static float *place_outputs(const struct model *m, uint32_t batch, float *scratch,
                            float *outputs[MODEL_LAYERS_MAX])
{
    for (uint32_t i = 0; i < m->n_layers; i++) {
        if (i > 0 && m->layers[i].ops->in_place) {
            outputs[i] = outputs[i - 1];
        } else {
            outputs[i] = scratch;
            scratch += area(m->layers[i].n_out, batch);
        }
    }
    return scratch;
}

uint64_t model_scratch(const struct model *m, uint32_t batch)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (i == 0 || !m->layers[i].ops->in_place)
            n += area(m->layers[i].n_out, batch);
    return n + 2 * area_max(m, batch);
}

/* ---- running ------------------------------------------------------------------------------- */
static void run_forward(const struct model *m, const float *theta, const float *x, uint32_t batch,
                        float *const *outputs)
{
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->layers[i];
        l->ops->forward(l, theta + l->offset, i > 0 ? outputs[i - 1] : x, outputs[i], batch);
    }
}

double model_loss_grad(const struct model *m, const float *theta, const float *x,
                       const union target *y, uint32_t batch, float beta, float *grad,
                       float *scratch)
{
    float *outputs[MODEL_LAYERS_MAX];
    float *d_out = place_outputs(m, batch, scratch, outputs);
    float *spare = d_out + area_max(m, batch);
    run_forward(m, theta, x, batch, outputs);
    double loss = loss_softmax_xent(outputs[m->n_layers - 1], y, batch, m->n_out, d_out);
    for (uint32_t i = m->n_layers; i-- > 0;) {
        const struct layer *l = &m->layers[i];
        float *d_in = i == 0 ? NULL : l->ops->in_place ? d_out : spare;
        l->ops->backward(l, theta + l->offset, i > 0 ? outputs[i - 1] : x, outputs[i], d_out, beta,
                         grad + l->offset, d_in, batch);
        if (d_in == spare) {
            spare = d_out;
            d_out = d_in;
        }
    }
    return loss;
}

const float *model_forward(const struct model *m, const float *theta, const float *x,
                           uint32_t batch, float *scratch)
{
    float *outputs[MODEL_LAYERS_MAX];
    place_outputs(m, batch, scratch, outputs);
    run_forward(m, theta, x, batch, outputs);
    return outputs[m->n_layers - 1];
}

/* Written so that a NaN anywhere makes the prediction wrong. */
static bool is_correct(const float *z, uint32_t label, uint32_t n)
{
    bool correct = true;
    for (uint32_t j = 0; j < n; j++)
        correct = correct && (j == label || z[label] > z[j] || (z[label] == z[j] && label < j));
    return correct && !isnan(z[label]);
}

void model_evaluate(const struct model *m, const float *theta, const float *x,
                    const union target *y, uint32_t batch, float *scratch, struct evaluation *sum)
{
    float *outputs[MODEL_LAYERS_MAX];
    float *unused = place_outputs(m, batch, scratch, outputs);
    run_forward(m, theta, x, batch, outputs);
    const float *logits = outputs[m->n_layers - 1];
    sum->loss_sum += loss_softmax_xent(logits, y, batch, m->n_out, unused) * batch;
    for (uint64_t b = 0; b < batch; b++)
        sum->n_correct += is_correct(logits + b * m->n_out, y[b].class, m->n_out);
    sum->n += batch;
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
