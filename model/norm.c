/* Normalisation within a sample: y = (x - mean) / sqrt(var + 1e-5) * weight + bias, mean and
 * variance over a row (layer norm; Ba et al. 2016, arXiv 1607.06450) or over the channels of a
 * group (group norm; Wu and He 2018, arXiv 1803.08494). No batch norm: its running statistics
 * belong to the data of one peer, so those of two peers do not average to anything.
 *
 * `saved` holds mean and 1/sqrt(var + 1e-5) of each row or group. */
#include "model/shape.h"

#include <math.h>
#include <stddef.h>

#define EPSILON 1e-5

enum { LANES = 16 };

struct sums {
    double a, b;
};

/* Sums of a and of a * (x - mean), in lanes, so that every compiler adds in the same order. */
static struct sums sum_both(const float *a, const float *x, float mean, uint64_t n)
{
    float lanes_a[LANES] = {0}, lanes_b[LANES] = {0};
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (uint64_t k = 0; k < LANES; k++) {
            lanes_a[k] += a[i + k];
            lanes_b[k] = fmaf(a[i + k], x[i + k] - mean, lanes_b[k]);
        }
    for (uint64_t k = 0; i < n; i++, k++) {
        lanes_a[k] += a[i];
        lanes_b[k] = fmaf(a[i], x[i] - mean, lanes_b[k]);
    }
    struct sums s = {0};
    for (int k = 0; k < LANES; k++) {
        s.a += (double)lanes_a[k];
        s.b += (double)lanes_b[k];
    }
    return s;
}

/* Mean and 1/deviation of x; the variance from the distances to the mean. */
static void measure(const float *x, uint64_t n, float stats[2])
{
    float mean = (float)(sum_both(x, x, 0.0f, n).a / (double)n), lanes[LANES] = {0};
    uint64_t i = 0;
    double squares = 0;
    for (; i + LANES <= n; i += LANES)
        for (uint64_t k = 0; k < LANES; k++)
            lanes[k] = fmaf(x[i + k] - mean, x[i + k] - mean, lanes[k]);
    for (uint64_t k = 0; i < n; i++, k++)
        lanes[k] = fmaf(x[i] - mean, x[i] - mean, lanes[k]);
    for (int k = 0; k < LANES; k++)
        squares += (double)lanes[k];
    stats[0] = mean;
    stats[1] = (float)(1.0 / sqrt(squares / (double)n + EPSILON));
}

static void init(const struct layer *l, struct rng *rng, float *params)
{
    uint64_t half = l->n_params / 2;
    (void)rng;
    for (uint64_t i = 0; i < half; i++) {
        params[i] = 1.0f;
        params[half + i] = 0.0f;
    }
}

/* ---- layer norm ---------------------------------------------------------------------------- */

static int layer_plan(struct layer *l, struct error *err)
{
    uint32_t last = l->in.n_dims == 2 ? 1 : 0;
    (void)err;
    l->out = l->in;
    l->weight.n_dims = l->in.n_dims - last;
    for (uint32_t d = last; d < l->in.n_dims; d++)
        l->weight.shape[d - last] = l->in.dims[d];
    l->bias = l->weight;
    return 0;
}

/* Rows of the whole batch, each as wide as weight. */
static uint64_t n_rows(const struct layer *l, uint32_t batch)
{
    return (uint64_t)batch * l->n_in / (l->n_params / 2);
}

static uint64_t layer_saved(const struct layer *l, uint32_t batch)
{
    return 2 * n_rows(l, batch);
}

static void layer_forward(const struct layer *l, const struct pass *p, const float *params,
                          const float *in, float *out, float *saved)
{
    uint64_t n = l->n_params / 2, rows = n_rows(l, p->batch);
    const float *weight = params, *bias = params + n;
    for (uint64_t r = 0; r < rows; r++, in += n, out += n, saved += 2) {
        measure(in, n, saved);
        for (uint64_t i = 0; i < n; i++)
            out[i] = fmaf((in[i] - saved[0]) * saved[1], weight[i], bias[i]);
    }
}

/* With z = (x - mean) / deviation and g = weight * dL/dy:
 * dL/dx = (g - mean(g) - z mean(g z)) / deviation. */
static void layer_backward(const struct layer *l, const struct pass *p, const float *params,
                           const float *in, const float *out, float *saved, float *d_out,
                           float beta, float *grads, float *d_in)
{
    uint64_t n = l->n_params / 2, rows = n_rows(l, p->batch);
    (void)out;
    grads_begin(grads, beta, l->n_params);
    for (uint64_t r = 0; r < rows; r++, in += n, d_out += n, saved += 2) {
        float mean = saved[0], scale = saved[1];
        for (uint64_t i = 0; i < n; i++) {
            grads[i] = fmaf(d_out[i], (in[i] - mean) * scale, grads[i]);
            grads[n + i] += d_out[i];
            d_out[i] *= params[i];
        }
        if (d_in == NULL)
            continue;
        struct sums s = sum_both(d_out, in, mean, n);
        float a = (float)(s.a / (double)n), b = (float)(s.b / (double)n) * scale * scale;
        for (uint64_t i = 0; i < n; i++)
            d_in[i] = scale * (d_out[i] - a - (in[i] - mean) * b);
        d_in += n;
    }
}

/* ---- group norm ---------------------------------------------------------------------------- */

static int group_plan(struct layer *l, struct error *err)
{
    char text[SHAPE_TEXT_MAX];
    int rc = plan_image(l, err);
    if (rc == 0 && (l->size > l->in.dims[0] || l->in.dims[0] % l->size != 0))
        rc = error_set(err, ERR_USAGE, "%u groups do not divide the %u channels of %s", l->size,
                       l->in.dims[0], shape_name(&l->in, text));
    l->out = l->in;
    l->weight = l->bias = (struct param){.n_dims = 1, .shape = {l->in.dims[0]}};
    return rc;
}

static uint64_t group_saved(const struct layer *l, uint32_t batch)
{
    return UINT64_C(2) * batch * l->size;
}

static void group_forward(const struct layer *l, const struct pass *p, const float *params,
                          const float *in, float *out, float *saved)
{
    uint32_t channels = l->in.dims[0], a_group = channels / l->size;
    uint64_t plane = l->n_in / channels;
    const float *weight = params, *bias = params + channels;
    for (uint64_t g = 0; g < (uint64_t)p->batch * l->size; g++, saved += 2) {
        measure(in, a_group * plane, saved);
        for (uint32_t k = 0; k < a_group; k++, in += plane, out += plane) {
            uint64_t c = g % l->size * a_group + k;
            float scale = saved[1] * weight[c], shift = fmaf(-saved[0], scale, bias[c]);
            for (uint64_t i = 0; i < plane; i++)
                out[i] = fmaf(in[i], scale, shift);
        }
    }
}

/* As in layer_backward; the sums over a group come from those over its channels. */
static void group_backward(const struct layer *l, const struct pass *p, const float *params,
                           const float *in, const float *out, float *saved, float *d_out,
                           float beta, float *grads, float *d_in)
{
    uint32_t channels = l->in.dims[0], a_group = channels / l->size;
    uint64_t plane = l->n_in / channels, n = plane * a_group;
    (void)out;
    grads_begin(grads, beta, l->n_params);
    for (uint64_t g = 0; g < (uint64_t)p->batch * l->size; g++, in += n, d_out += n) {
        float mean = saved[2 * g], scale = saved[2 * g + 1];
        uint64_t first = g % l->size * a_group;
        struct sums of_group = {0};
        for (uint32_t k = 0; k < a_group; k++) {
            struct sums s = sum_both(d_out + k * plane, in + k * plane, mean, plane);
            grads[first + k] += (float)s.b * scale;
            grads[channels + first + k] += (float)s.a;
            of_group.a += s.a * (double)params[first + k];
            of_group.b += s.b * (double)params[first + k];
        }
        if (d_in == NULL)
            continue;
        float a = (float)(of_group.a / (double)n);
        float b = (float)(of_group.b / (double)n) * scale * scale;
        for (uint32_t k = 0; k < a_group; k++)
            for (uint64_t i = k * plane; i < (k + 1) * plane; i++)
                d_in[i] = scale * (params[first + k] * d_out[i] - a - (in[i] - mean) * b);
        d_in += n;
    }
}

const struct layer_ops layer_layernorm = {.name = "layernorm",
                                          .needs = NEEDS_IN,
                                          .plan = layer_plan,
                                          .init = init,
                                          .n_saved = layer_saved,
                                          .forward = layer_forward,
                                          .backward = layer_backward};
const struct layer_ops layer_groupnorm = {.name = "groupnorm",
                                          .args = ARGS_SIZE,
                                          .needs = NEEDS_IN,
                                          .plan = group_plan,
                                          .init = init,
                                          .n_saved = group_saved,
                                          .forward = group_forward,
                                          .backward = group_backward};
