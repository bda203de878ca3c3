/* Convolutions as matrix products: `columns` [channels kh kw, oh ow] of one sample at a time. */
#include "model/shape.h"

#include <cblas.h>
#include <string.h>

static int plan(struct layer *l, struct error *err)
{
    uint32_t out[2];
    int rc = plan_window(l, out, err);
    if (rc != 0)
        return rc;
    l->out = (struct shape){.n_dims = 3, .dims = {l->size, out[0], out[1]}};
    l->weight =
        (struct param){.n_dims = 4, .shape = {l->size, l->in.dims[0], l->kernel[0], l->kernel[1]}};
    l->bias = (struct param){.n_dims = 1, .shape = {l->size}};
    return 0;
}

static uint64_t n_patch(const struct layer *l)
{
    return (uint64_t)l->in.dims[0] * l->kernel[0] * l->kernel[1];
}

static uint64_t n_places(const struct layer *l)
{
    return (uint64_t)l->out.dims[1] * l->out.dims[2];
}

static void init(const struct layer *l, struct rng *rng, float *params)
{
    layer_init_uniform(l, n_patch(l), rng, params);
}

static double flops(const struct layer *l)
{
    return 2.0 * (double)n_patch(l) * l->n_out;
}

static uint64_t n_scratch(const struct layer *l, uint32_t batch)
{
    (void)batch;
    return n_patch(l) * n_places(l);
}

/* Calls for every (row of columns, output row): the input row it reads, or NULL outside. */
static int64_t input_row(const struct layer *l, uint32_t y, uint32_t ky)
{
    int64_t row = (int64_t)y * l->stride + ky - l->padding;
    return row >= 0 && row < l->in.dims[1] ? row : -1;
}

static void unfold(const struct layer *l, const float *in, float *columns)
{
    uint32_t height = l->in.dims[1], width = l->in.dims[2], ow = l->out.dims[2];
    for (uint32_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t k = 0; k < l->kernel[0] * l->kernel[1]; k++)
            for (uint32_t y = 0; y < l->out.dims[1]; y++, columns += ow) {
                int64_t row = input_row(l, y, k / l->kernel[1]);
                const float *from =
                    in + ((uint64_t)c * height + (uint64_t)(row > 0 ? row : 0)) * width;
                for (uint32_t x = 0; x < ow; x++) {
                    int64_t at = (int64_t)x * l->stride + k % l->kernel[1] - l->padding;
                    columns[x] = row >= 0 && at >= 0 && at < width ? from[at] : 0.0f;
                }
            }
}

static void fold(const struct layer *l, const float *columns, float *d_in)
{
    uint32_t height = l->in.dims[1], width = l->in.dims[2], ow = l->out.dims[2];
    memset(d_in, 0, l->n_in * sizeof *d_in);
    for (uint32_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t k = 0; k < l->kernel[0] * l->kernel[1]; k++)
            for (uint32_t y = 0; y < l->out.dims[1]; y++, columns += ow) {
                int64_t row = input_row(l, y, k / l->kernel[1]);
                float *to = d_in + ((uint64_t)c * height + (uint64_t)(row > 0 ? row : 0)) * width;
                for (uint32_t x = 0; x < ow && row >= 0; x++) {
                    int64_t at = (int64_t)x * l->stride + k % l->kernel[1] - l->padding;
                    if (at >= 0 && at < width)
                        to[at] += columns[x];
                }
            }
}

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    int channels = (int)l->size, patch = (int)n_patch(l), places = (int)n_places(l);
    const float *bias = params + l->size * n_patch(l);
    (void)saved;
    for (uint64_t b = 0; b < p->batch; b++, in += l->n_in, out += l->n_out) {
        unfold(l, in, p->scratch);
        for (int c = 0; c < channels; c++)
            for (int i = 0; i < places; i++)
                out[(int64_t)c * places + i] = bias[c];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, channels, places, patch, 1.0f,
                    params, patch, p->scratch, places, 1.0f, out, places);
    }
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    int channels = (int)l->size, patch = (int)n_patch(l), places = (int)n_places(l);
    float *d_bias = grads + l->size * n_patch(l);
    (void)out, (void)saved;
    grads_begin(d_bias, beta, l->size);
    for (uint64_t b = 0; b < p->batch; b++, in += l->n_in, d_out += l->n_out) {
        unfold(l, in, p->scratch);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, channels, patch, places, 1.0f, d_out,
                    places, p->scratch, places, b == 0 ? beta : 1.0f, grads, patch);
        for (int c = 0; c < channels; c++) {
            float sum = 0;
            for (int i = 0; i < places; i++)
                sum += d_out[(int64_t)c * places + i];
            d_bias[c] += sum;
        }
        if (d_in == NULL)
            continue;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, patch, places, channels, 1.0f, params,
                    patch, d_out, places, 0.0f, p->scratch, places);
        fold(l, p->scratch, d_in + b * l->n_in);
    }
}

const struct layer_ops layer_conv = {.name = "conv",
                                     .args = ARGS_CONV,
                                     .needs = NEEDS_IN,
                                     .plan = plan,
                                     .init = init,
                                     .n_scratch = n_scratch,
                                     .flops = flops,
                                     .forward = forward,
                                     .backward = backward};
