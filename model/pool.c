#include "model/shape.h"

#include <math.h>

static int plan(struct layer *l, struct error *err)
{
    uint32_t out[2];
    int rc = plan_image(l, err);
    if (rc == 0 && l->kernel[0] == 0) { /* no window given: the whole image */
        l->kernel[0] = l->in.dims[1];
        l->kernel[1] = l->in.dims[2];
        l->stride = 1;
    }
    if (rc == 0)
        rc = plan_window(l, out, err);
    if (rc == 0 && (2 * l->padding > l->kernel[0] || 2 * l->padding > l->kernel[1]))
        rc = error_set(err, ERR_USAGE, "padding %u is more than half of the window, %ux%u",
                       l->padding, l->kernel[0], l->kernel[1]);
    if (rc == 0)
        l->out = (struct shape){.n_dims = 3, .dims = {l->in.dims[0], out[0], out[1]}};
    return rc;
}

/* The part of a window that lies within the image. */
struct window {
    uint32_t top, bottom, left, right;
};

static void clip(uint32_t at, uint32_t kernel, const struct layer *l, uint32_t size,
                 uint32_t *start, uint32_t *end)
{
    uint32_t from = at * l->stride, to = from + kernel;
    *start = from > l->padding ? from - l->padding : 0;
    *end = to > l->padding ? to - l->padding : 0;
    *end = *end < size ? *end : size;
}

static struct window window_at(const struct layer *l, uint32_t y, uint32_t x)
{
    struct window w;
    clip(y, l->kernel[0], l, l->in.dims[1], &w.top, &w.bottom);
    clip(x, l->kernel[1], l, l->in.dims[2], &w.left, &w.right);
    return w;
}

static uint64_t n_saved_max(const struct layer *l, uint32_t batch)
{
    return (uint64_t)l->n_out * batch;
}

/* `saved` holds the place of the largest in its channel, as u32. */
static void max_forward(const struct layer *l, const struct pass *p, const float *params,
                        const float *in, float *out, float *saved)
{
    uint32_t width = l->in.dims[2], n_plane = l->in.dims[1] * width;
    uint32_t *places = (uint32_t *)saved;
    (void)params;
    for (uint64_t c = 0; c < (uint64_t)p->batch * l->in.dims[0]; c++, in += n_plane)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++) {
                struct window w = window_at(l, y, x);
                uint32_t best = w.top * width + w.left;
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        if (in[i * width + j] > in[best] || isnan(in[i * width + j]))
                            best = i * width + j;
                *out++ = in[best];
                *places++ = best;
            }
}

static void max_backward(const struct layer *l, const struct pass *p, const float *params,
                         const float *in, const float *out, float *saved, float *d_out, float beta,
                         float *grads, float *d_in)
{
    uint32_t n_plane = l->in.dims[1] * l->in.dims[2], n_out = l->out.dims[1] * l->out.dims[2];
    const uint32_t *places = (const uint32_t *)saved;
    (void)params, (void)in, (void)out, (void)beta, (void)grads;
    grads_begin(d_in, 0.0f, (uint64_t)p->batch * l->n_in);
    for (uint64_t c = 0; c < (uint64_t)p->batch * l->in.dims[0]; c++, d_in += n_plane)
        for (uint32_t i = 0; i < n_out; i++)
            d_in[*places++] += *d_out++;
}

static void average_forward(const struct layer *l, const struct pass *p, const float *params,
                            const float *in, float *out, float *saved)
{
    uint32_t width = l->in.dims[2], n_plane = l->in.dims[1] * width;
    float scale = 1.0f / (float)(l->kernel[0] * l->kernel[1]);
    (void)params, (void)saved;
    for (uint64_t c = 0; c < (uint64_t)p->batch * l->in.dims[0]; c++, in += n_plane)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++) {
                struct window w = window_at(l, y, x);
                float sum = 0;
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        sum += in[i * width + j];
                *out++ = sum * scale;
            }
}

static void average_backward(const struct layer *l, const struct pass *p, const float *params,
                             const float *in, const float *out, float *saved, float *d_out,
                             float beta, float *grads, float *d_in)
{
    uint32_t width = l->in.dims[2], n_plane = l->in.dims[1] * width;
    float scale = 1.0f / (float)(l->kernel[0] * l->kernel[1]);
    (void)params, (void)in, (void)out, (void)saved, (void)beta, (void)grads;
    grads_begin(d_in, 0.0f, (uint64_t)p->batch * l->n_in);
    for (uint64_t c = 0; c < (uint64_t)p->batch * l->in.dims[0]; c++, d_in += n_plane)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++) {
                struct window w = window_at(l, y, x);
                float d = *d_out++ * scale;
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        d_in[i * width + j] += d;
            }
}

const struct layer_ops layer_maxpool = {.name = "pool",
                                        .args = ARGS_WINDOW,
                                        .plan = plan,
                                        .n_saved = n_saved_max,
                                        .forward = max_forward,
                                        .backward = max_backward};
const struct layer_ops layer_avgpool = {.name = "avgpool",
                                        .args = ARGS_WINDOW,
                                        .args_optional = true,
                                        .plan = plan,
                                        .forward = average_forward,
                                        .backward = average_backward};
