#include "model/layer.h"

#include <cblas.h>
#include <string.h>

/* The product accumulates onto rows that hold the bias: adding it costs no pass of its own. */
static void forward(const struct layer *l, const float *params, const float *in, float *out,
                    uint32_t batch)
{
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
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n_out, n_in, (int)batch, 1.0f, d_out,
                n_out, in, n_in, beta, grads, n_in);
    add_rows(grads + (uint64_t)l->n_out * l->n_in, beta, d_out, l->n_out, batch);
    if (d_in != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)batch, n_in, n_out, 1.0f, d_out,
                    n_out, params, n_in, 0.0f, d_in, n_in);
}

const struct layer_ops layer_dense = {
    .name = "dense", .in_place = false, .forward = forward, .backward = backward};
