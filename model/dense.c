#include "model/shape.h"

#include <cblas.h>
#include <string.h>

static int plan(struct layer *l, struct error *err)
{
    char text[SHAPE_TEXT_MAX];
    if (l->in.n_dims != 1)
        return error_set(err, ERR_USAGE, "takes a flat input, not %s (put flatten before it)",
                         shape_name(&l->in, text));
    l->out = shape_flat(l->size);
    l->weight = (struct param){.n_dims = 2, .shape = {l->size, l->in.dims[0]}};
    l->bias = (struct param){.n_dims = 1, .shape = {l->size}};
    return 0;
}

static void init(const struct layer *l, struct rng *rng, float *params)
{
    layer_init_uniform(l, l->n_in, rng, params);
}

static double flops(const struct layer *l)
{
    return 2.0 * l->n_in * l->n_out;
}

/* The product accumulates onto rows that hold the bias: adding it costs no pass of its own. */
static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    int n_in = (int)l->n_in, n_out = (int)l->n_out;
    const float *bias = params + (uint64_t)l->n_out * l->n_in;
    (void)saved;
    for (uint64_t b = 0; b < p->batch; b++)
        memcpy(out + b * l->n_out, bias, l->n_out * sizeof *out);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->batch, n_out, n_in, 1.0f, in, n_in,
                params, n_in, 1.0f, out, n_out);
}

static void add_rows(float *restrict sum, const float *restrict rows, uint32_t n, uint32_t n_rows)
{
    for (uint64_t b = 0; b < n_rows; b++)
        for (uint32_t j = 0; j < n; j++)
            sum[j] += rows[b * n + j];
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    int n_in = (int)l->n_in, n_out = (int)l->n_out, batch = (int)p->batch;
    float *d_bias = grads + (uint64_t)l->n_out * l->n_in;
    (void)out, (void)saved;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n_out, n_in, batch, 1.0f, d_out, n_out, in,
                n_in, beta, grads, n_in);
    grads_begin(d_bias, beta, l->n_out);
    add_rows(d_bias, d_out, l->n_out, p->batch);
    if (d_in != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, batch, n_in, n_out, 1.0f, d_out,
                    n_out, params, n_in, 0.0f, d_in, n_in);
}

const struct layer_ops layer_dense = {.name = "dense",
                                      .args = ARGS_SIZE,
                                      .args_optional = true,
                                      .needs = NEEDS_IN,
                                      .plan = plan,
                                      .init = init,
                                      .flops = flops,
                                      .forward = forward,
                                      .backward = backward};
