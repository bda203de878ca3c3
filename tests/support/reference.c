#include "tests/support/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void dense(const struct layer *l, const double *w, const double *in, double *out)
{
    for (uint32_t o = 0; o < l->n_out; o++) {
        out[o] = w[(size_t)l->n_out * l->n_in + o];
        for (uint32_t i = 0; i < l->n_in; i++)
            out[o] += w[(size_t)o * l->n_in + i] * in[i];
    }
}

/* A pixel, or `outside` beyond the image. */
static double pixel(const struct layer *l, const double *in, uint32_t c, int64_t y, int64_t x,
                    double outside)
{
    int64_t h = l->in.dims[1], w = l->in.dims[2];
    return y < 0 || x < 0 || y >= h || x >= w ? outside : in[(c * h + y) * w + x];
}

static double convolved(const struct layer *l, const double *w, const double *in, uint32_t o,
                        int64_t y, int64_t x)
{
    size_t patch = (size_t)l->in.dims[0] * l->kernel[0] * l->kernel[1];
    double sum = w[l->size * patch + o];
    const double *k = w + o * patch;
    for (uint32_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t i = 0; i < l->kernel[0]; i++)
            for (uint32_t j = 0; j < l->kernel[1]; j++)
                sum += *k++ * pixel(l, in, c, y + i, x + j, 0);
    return sum;
}

static double pooled(const struct layer *l, const double *in, uint32_t c, int64_t y, int64_t x)
{
    bool largest = l->ops == &layer_maxpool;
    double sum = 0, max = -INFINITY;
    for (uint32_t i = 0; i < l->kernel[0]; i++)
        for (uint32_t j = 0; j < l->kernel[1]; j++) {
            sum += pixel(l, in, c, y + i, x + j, 0);
            max = fmax(max, pixel(l, in, c, y + i, x + j, -INFINITY));
        }
    return largest ? max : sum / (l->kernel[0] * l->kernel[1]);
}

static void windows(const struct layer *l, const double *w, const double *in, double *out)
{
    for (uint32_t c = 0; c < l->out.dims[0]; c++)
        for (uint32_t i = 0; i < l->out.dims[1]; i++)
            for (uint32_t j = 0; j < l->out.dims[2]; j++) {
                int64_t y = (int64_t)i * l->stride - l->padding;
                int64_t x = (int64_t)j * l->stride - l->padding;
                *out++ =
                    l->ops == &layer_conv ? convolved(l, w, in, c, y, x) : pooled(l, in, c, y, x);
            }
}

/* Over `groups` runs of floats of equal length; each weight serves n_in / n_weights floats in a
 * row of group norm, and one float of every run in layer norm. */
static void norm(const struct layer *l, const double *w, const double *in, double *out)
{
    bool is_group = l->ops == &layer_groupnorm;
    size_t n_weights = l->n_params / 2, groups = is_group ? l->size : l->n_in / n_weights;
    size_t n = l->n_in / groups;
    for (size_t g = 0; g < groups; g++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++)
            mean += in[g * n + i] / (double)n;
        for (size_t i = 0; i < n; i++)
            variance += (in[g * n + i] - mean) * (in[g * n + i] - mean) / (double)n;
        for (size_t i = g * n; i < (g + 1) * n; i++) {
            size_t k = is_group ? i / (l->n_in / n_weights) : i % n_weights;
            out[i] = (in[i] - mean) / sqrt(variance + 1e-5) * w[k] + w[n_weights + k];
        }
    }
}

static void embed(const struct layer *l, const double *w, const double *in, double *out)
{
    for (uint32_t i = 0; i < l->n_in; i++)
        memcpy(out + (size_t)i * l->size, w + (size_t)in[i] * l->size, l->size * sizeof *out);
}

static double activated(const struct layer_ops *ops, double x)
{
    if (ops == &layer_relu)
        return x > 0 ? x : 0;
    if (ops == &layer_gelu)
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    if (ops == &layer_tanh)
        return tanh(x);
    if (ops == &layer_sigmoid)
        return 1 / (1 + exp(-x));
    return x; /* flatten, transpose, and dropout in evaluation */
}

/* Nodes [first, first + n): what the last gives, to be freed. */
static double *run(const struct layer *first, uint32_t n, const double *params, const double *in)
{
    double *x = malloc(first->n_in * sizeof *x);
    memcpy(x, in, first->n_in * sizeof *x);
    for (uint32_t i = 0; i < n; i += 1 + first[i].n_inner) {
        double *y = malloc(first[i].n_out * sizeof *y);
        reference_layer(&first[i], params + (first[i].offset - first->offset), x, y);
        free(x);
        x = y;
    }
    return x;
}

static void residual(const struct layer *l, const double *params, const double *in, double *out)
{
    const struct layer *other = l + 1 + l->n_body;
    uint32_t n_other = l->n_inner - l->n_body;
    double *body = run(l + 1, l->n_body, params, in), *side = NULL;
    if (n_other > 0)
        side = run(other, n_other, params + (other->offset - l->offset), in);
    for (uint32_t i = 0; i < l->n_out; i++)
        out[i] = body[i] + (side != NULL ? side[i] : in[i]);
    free(body);
    free(side);
}

void reference_layer(const struct layer *l, const double *params, const double *in, double *out)
{
    const struct layer_ops *ops = l->ops;
    if (ops == &layer_dense)
        dense(l, params, in, out);
    else if (ops == &layer_embed)
        embed(l, params, in, out);
    else if (ops == &layer_conv || ops == &layer_maxpool || ops == &layer_avgpool)
        windows(l, params, in, out);
    else if (ops == &layer_layernorm || ops == &layer_groupnorm)
        norm(l, params, in, out);
    else if (ops == &layer_res)
        residual(l, params, in, out);
    else
        for (uint32_t i = 0; i < l->n_out; i++)
            out[i] = activated(ops, in[i]);
}

double reference_sample_loss(enum loss loss, const double *z, union target y, uint32_t n)
{
    double sum = 0, side = y.class == 1 ? 1 : -1;
    switch (loss) {
    case LOSS_SOFTMAX:
        for (uint32_t j = 0; j < n; j++)
            sum += exp(z[j] - z[y.class]);
        return log(sum);
    case LOSS_LOGISTIC:
        return log(1 + exp(-side * z[0]));
    case LOSS_HINGE:
        if (n == 1)
            return fmax(0, 1 - side * z[0]);
        for (uint32_t j = 0; j < n; j++)
            sum += j == y.class ? 0 : fmax(0, 1 - z[y.class] + z[j]);
        return sum / n;
    case LOSS_MSE:
        return (z[0] - (double)y.real) * (z[0] - (double)y.real);
    case N_LOSSES:
        break;
    }
    return NAN;
}

double reference_loss(const struct model *m, const double *theta, const double *x,
                      const union target *y, uint32_t batch)
{
    double sum = 0;
    for (size_t b = 0; b < batch; b++) {
        double *z = run(m->nodes, m->n_nodes, theta, x + b * m->n_in);
        sum += reference_sample_loss(m->loss, z, y[b], m->n_out);
        free(z);
    }
    return sum / batch;
}

double reference_error(const double *a, const double *b, uint64_t n)
{
    double difference = 0, norm_sq = 0;
    for (uint64_t i = 0; i < n; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm_sq += b[i] * b[i];
    }
    return sqrt(difference / (norm_sq > 0 ? norm_sq : 1));
}
