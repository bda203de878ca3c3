#include "model/layer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

/* Below this many multiplications a product costs less than asking the library for it. */
enum { FEW = 4096, LANES = 16 };

static bool is_small(const struct layer *l, uint32_t batch)
{
    return (uint64_t)batch * l->n_in * l->n_out <= FEW;
}

static float dot(const float *restrict x, const float *restrict y, uint32_t n)
{
    float lane[LANES] = {0}, sum = 0;
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (uint32_t k = 0; k < LANES; k++)
            lane[k] = fmaf(x[i + k], y[i + k], lane[k]);
    for (; i < n; i++)
        lane[i % LANES] = fmaf(x[i], y[i], lane[i % LANES]);
    for (uint32_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* y = beta * y + a * x; beta = 0 overwrites, whatever was there. */
static void add_scaled(float *restrict y, float beta, float a, const float *restrict x, uint32_t n)
{
    if (beta == 0.0f)
        for (uint32_t i = 0; i < n; i++)
            y[i] = a * x[i];
    else
        for (uint32_t i = 0; i < n; i++)
            y[i] = fmaf(a, x[i], beta * y[i]);
}

static void forward_small(const struct layer *l, const float *params, const float *in, float *out,
                          uint32_t batch)
{
    const float *bias = params + (uint64_t)l->n_out * l->n_in;
    for (uint64_t b = 0; b < batch; b++)
        for (uint64_t o = 0; o < l->n_out; o++)
            out[b * l->n_out + o] = bias[o] + dot(in + b * l->n_in, params + o * l->n_in, l->n_in);
}

static void backward_small(const struct layer *l, const float *params, const float *in,
                           const float *d_out, float beta, float *grads, float *d_in,
                           uint32_t batch)
{
    for (uint64_t b = 0; b < batch; b++)
        for (uint64_t o = 0; o < l->n_out; o++) {
            float d = d_out[b * l->n_out + o];
            add_scaled(grads + o * l->n_in, b == 0 ? beta : 1.0f, d, in + b * l->n_in, l->n_in);
            if (d_in != NULL)
                add_scaled(d_in + b * l->n_in, o == 0 ? 0.0f : 1.0f, d, params + o * l->n_in,
                           l->n_in);
        }
}

/* The product accumulates onto rows that hold the bias: adding it costs no pass of its own. */
static void forward(const struct layer *l, const float *params, const float *in, float *out,
                    uint32_t batch)
{
    if (is_small(l, batch)) {
        forward_small(l, params, in, out, batch);
        return;
    }
    int n_in = (int)l->n_in, n_out = (int)l->n_out;
    const float *bias = params + (uint64_t)l->n_out * l->n_in;
    for (uint64_t b = 0; b < batch; b++)
        memcpy(out + b * l->n_out, bias, l->n_out * sizeof *out);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)batch, n_out, n_in, 1.0f, in, n_in,
                params, n_in, 1.0f, out, n_out);
}

/* beta = 0 overwrites, whatever was there. */
static void add_rows(float *restrict sum, float beta, const float *restrict rows, uint32_t n,
                     uint32_t n_rows)
{
    for (uint32_t j = 0; j < n; j++)
        sum[j] = beta == 0.0f ? 0.0f : beta * sum[j];
    for (uint64_t b = 0; b < n_rows; b++)
        for (uint32_t j = 0; j < n; j++)
            sum[j] += rows[b * n + j];
}

static void backward(const struct layer *l, const float *params, const float *in, const float *out,
                     float *d_out, float beta, float *grads, float *d_in, uint32_t batch)
{
    (void)out;
    int n_in = (int)l->n_in, n_out = (int)l->n_out;
    add_rows(grads + (uint64_t)l->n_out * l->n_in, beta, d_out, l->n_out, batch);
    if (is_small(l, batch)) {
        backward_small(l, params, in, d_out, beta, grads, d_in, batch);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n_out, n_in, (int)batch, 1.0f, d_out,
                n_out, in, n_in, beta, grads, n_in);
    if (d_in != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)batch, n_in, n_out, 1.0f, d_out,
                    n_out, params, n_in, 0.0f, d_in, n_in);
}

const struct layer_ops layer_dense = {
    .name = "dense", .in_place = false, .forward = forward, .backward = backward};
