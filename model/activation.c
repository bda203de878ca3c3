/* Element by element, so in any layout. d_in may be d_out, and out may be in but for GELU. */
#include "base/lanes.h"
#include "model/shape.h"

#include <math.h>
#include <string.h>

static uint64_t n_of(const struct layer *l, const struct pass *p)
{
    return (uint64_t)p->batch * l->n_out;
}

#define UNUSED_FORWARD  (void)params, (void)saved
#define UNUSED_BACKWARD (void)params, (void)saved, (void)beta, (void)grads

static void relu_forward(const struct layer *l, const struct pass *p, const float *params,
                         const float *in, float *out, float *saved)
{
    UNUSED_FORWARD;
    uint64_t n = n_of(l, p), i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes x = lanes_load(in + i);
        lanes_store(out + i, lanes_where(x < lanes_all(0.0f), lanes_all(0.0f), x));
    }
    for (; i < n; i++)
        out[i] = in[i] < 0.0f ? 0.0f : in[i];
}

static void relu_backward(const struct layer *l, const struct pass *p, const float *params,
                          const float *in, const float *out, float *saved, float *d_out, float beta,
                          float *grads, float *d_in)
{
    UNUSED_BACKWARD, (void)in;
    uint64_t n = n_of(l, p), i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(d_in + i, lanes_where(lanes_load(out + i) > lanes_all(0.0f),
                                          lanes_load(d_out + i), lanes_all(0.0f)));
    for (; i < n; i++)
        d_in[i] = out[i] > 0.0f ? d_out[i] : 0.0f;
}

static void gelu_forward(const struct layer *l, const struct pass *p, const float *params,
                         const float *in, float *out, float *saved)
{
    UNUSED_FORWARD;
    uint64_t n = n_of(l, p);
    for (uint64_t i = 0; i < n; i++)
        out[i] = in[i] * (0.5f + 0.5f * erff(in[i] * 0.70710678f));
}

/* Phi(x) + x phi(x), with the normal distribution and its density. */
static void gelu_backward(const struct layer *l, const struct pass *p, const float *params,
                          const float *in, const float *out, float *saved, float *d_out, float beta,
                          float *grads, float *d_in)
{
    UNUSED_BACKWARD, (void)out;
    uint64_t n = n_of(l, p);
    for (uint64_t i = 0; i < n; i++) {
        float x = in[i], below = 0.5f + 0.5f * erff(x * 0.70710678f);
        d_in[i] = d_out[i] * (below + x * 0.39894228f * expf(-0.5f * x * x));
    }
}

static void tanh_forward(const struct layer *l, const struct pass *p, const float *params,
                         const float *in, float *out, float *saved)
{
    UNUSED_FORWARD;
    uint64_t n = n_of(l, p);
    for (uint64_t i = 0; i < n; i++)
        out[i] = tanhf(in[i]);
}

static void tanh_backward(const struct layer *l, const struct pass *p, const float *params,
                          const float *in, const float *out, float *saved, float *d_out, float beta,
                          float *grads, float *d_in)
{
    UNUSED_BACKWARD, (void)in;
    uint64_t n = n_of(l, p);
    for (uint64_t i = 0; i < n; i++)
        d_in[i] = d_out[i] * (1.0f - out[i] * out[i]);
}

static void sigmoid_forward(const struct layer *l, const struct pass *p, const float *params,
                            const float *in, float *out, float *saved)
{
    UNUSED_FORWARD;
    uint64_t n = n_of(l, p);
    for (uint64_t i = 0; i < n; i++)
        out[i] = 1.0f / (1.0f + expf(-in[i]));
}

static void sigmoid_backward(const struct layer *l, const struct pass *p, const float *params,
                             const float *in, const float *out, float *saved, float *d_out,
                             float beta, float *grads, float *d_in)
{
    UNUSED_BACKWARD, (void)in;
    uint64_t n = n_of(l, p);
    for (uint64_t i = 0; i < n; i++)
        d_in[i] = d_out[i] * out[i] * (1.0f - out[i]);
}

static void flatten_forward(const struct layer *l, const struct pass *p, const float *params,
                            const float *in, float *out, float *saved)
{
    UNUSED_FORWARD;
    memcpy(out, in, n_of(l, p) * sizeof *out);
}

static void flatten_backward(const struct layer *l, const struct pass *p, const float *params,
                             const float *in, const float *out, float *saved, float *d_out,
                             float beta, float *grads, float *d_in)
{
    UNUSED_BACKWARD, (void)in, (void)out;
    memcpy(d_in, d_out, n_of(l, p) * sizeof *d_in);
}

static int flatten_plan(struct layer *l, struct error *err)
{
    uint64_t n = shape_count(&l->in);
    (void)err;
    l->out = shape_flat((uint32_t)n);
    return 0;
}

const struct layer_ops layer_relu = {.name = "relu",
                                     .layout = LAYOUT_EITHER,
                                     .in_place = true,
                                     .needs = NEEDS_OUT,
                                     .plan = plan_same,
                                     .forward = relu_forward,
                                     .backward = relu_backward};
const struct layer_ops layer_gelu = {.name = "gelu",
                                     .layout = LAYOUT_EITHER,
                                     .needs = NEEDS_IN,
                                     .plan = plan_same,
                                     .forward = gelu_forward,
                                     .backward = gelu_backward};
const struct layer_ops layer_tanh = {.name = "tanh",
                                     .layout = LAYOUT_EITHER,
                                     .in_place = true,
                                     .needs = NEEDS_OUT,
                                     .plan = plan_same,
                                     .forward = tanh_forward,
                                     .backward = tanh_backward};
const struct layer_ops layer_sigmoid = {.name = "sigmoid",
                                        .layout = LAYOUT_EITHER,
                                        .in_place = true,
                                        .needs = NEEDS_OUT,
                                        .plan = plan_same,
                                        .forward = sigmoid_forward,
                                        .backward = sigmoid_backward};
const struct layer_ops layer_flatten = {.name = "flatten",
                                        .layout = LAYOUT_EITHER,
                                        .is_view = true,
                                        .plan = flatten_plan,
                                        .forward = flatten_forward,
                                        .backward = flatten_backward};
