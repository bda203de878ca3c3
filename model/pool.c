#include "model/shape.h"

#include <math.h>
#include <string.h>

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

/* What a window of an image over columns, [channels, height, width, batch], meets. */
static uint64_t place_of(const struct layer *l, const struct pass *p, uint64_t c, uint32_t y,
                         uint32_t x)
{
    return ((c * l->in.dims[1] + y) * l->in.dims[2] + x) * p->batch;
}

static uint64_t n_saved_max(const struct layer *l, uint32_t batch)
{
    return (uint64_t)l->n_out * batch;
}

static void take_larger(float *restrict best, uint32_t *restrict places, const float *restrict in,
                        uint32_t place, uint32_t batch)
{
    for (uint32_t b = 0; b < batch; b++) {
        bool larger = in[b] > best[b] || isnan(in[b]);
        best[b] = larger ? in[b] : best[b];
        places[b] = larger ? place : places[b];
    }
}

/* `saved` holds the place of the largest in its channel, as u32. */
static void max_forward(const struct layer *l, const struct pass *p, const float *params,
                        const float *in, float *out, float *saved)
{
    uint32_t *places = (uint32_t *)saved;
    (void)params;
    for (uint64_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++) {
                struct window w = window_at(l, y, x);
                for (uint32_t b = 0; b < p->batch; b++) {
                    out[b] = -INFINITY;
                    places[b] = w.top * l->in.dims[2] + w.left;
                }
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        take_larger(out, places, in + place_of(l, p, c, i, j),
                                    i * l->in.dims[2] + j, p->batch);
                out += p->batch;
                places += p->batch;
            }
}

static void give_back(float *restrict d_in, const float *restrict d_out,
                      const uint32_t *restrict places, uint32_t place, uint32_t batch)
{
    for (uint32_t b = 0; b < batch; b++)
        d_in[b] += places[b] == place ? d_out[b] : 0.0f;
}

static void max_backward(const struct layer *l, const struct pass *p, const float *params,
                         const float *in, const float *out, float *saved, float *d_out, float beta,
                         float *grads, float *d_in)
{
    const uint32_t *places = (const uint32_t *)saved;
    (void)params, (void)in, (void)out, (void)beta, (void)grads;
    grads_begin(d_in, 0.0f, (uint64_t)p->batch * l->n_in);
    for (uint64_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++) {
                struct window w = window_at(l, y, x);
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        give_back(d_in + place_of(l, p, c, i, j), d_out, places,
                                  i * l->in.dims[2] + j, p->batch);
                d_out += p->batch;
                places += p->batch;
            }
}

static void add_scaled(float *restrict to, float scale, const float *restrict from, uint32_t batch)
{
    for (uint32_t b = 0; b < batch; b++)
        to[b] = fmaf(scale, from[b], to[b]);
}

static void average_forward(const struct layer *l, const struct pass *p, const float *params,
                            const float *in, float *out, float *saved)
{
    float scale = 1.0f / (float)(l->kernel[0] * l->kernel[1]);
    (void)params, (void)saved;
    for (uint64_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++, out += p->batch) {
                struct window w = window_at(l, y, x);
                memset(out, 0, p->batch * sizeof *out);
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        add_scaled(out, scale, in + place_of(l, p, c, i, j), p->batch);
            }
}

static void average_backward(const struct layer *l, const struct pass *p, const float *params,
                             const float *in, const float *out, float *saved, float *d_out,
                             float beta, float *grads, float *d_in)
{
    float scale = 1.0f / (float)(l->kernel[0] * l->kernel[1]);
    (void)params, (void)in, (void)out, (void)saved, (void)beta, (void)grads;
    grads_begin(d_in, 0.0f, (uint64_t)p->batch * l->n_in);
    for (uint64_t c = 0; c < l->in.dims[0]; c++)
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++, d_out += p->batch) {
                struct window w = window_at(l, y, x);
                for (uint32_t i = w.top; i < w.bottom; i++)
                    for (uint32_t j = w.left; j < w.right; j++)
                        add_scaled(d_in + place_of(l, p, c, i, j), scale, d_out, p->batch);
            }
}

static bool wants_columns(const struct layer *l)
{
    (void)l;
    return true;
}

const struct layer_ops layer_maxpool = {.name = "pool",
                                        .args = ARGS_WINDOW,
                                        .layout = LAYOUT_CHOOSES,
                                        .plan = plan,
                                        .wants_columns = wants_columns,
                                        .n_saved = n_saved_max,
                                        .forward = max_forward,
                                        .backward = max_backward};
const struct layer_ops layer_avgpool = {.name = "avgpool",
                                        .args = ARGS_WINDOW,
                                        .args_optional = true,
                                        .layout = LAYOUT_CHOOSES,
                                        .plan = plan,
                                        .wants_columns = wants_columns,
                                        .forward = average_forward,
                                        .backward = average_backward};
