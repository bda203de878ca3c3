#include "model/layer.h"

#include <stddef.h>

static void forward(const struct layer *l, const float *params, const float *in, float *out,
                    uint32_t batch)
{
    (void)params;
    uint64_t n = (uint64_t)batch * l->n_out;
    for (uint64_t i = 0; i < n; i++)
        out[i] = in[i] < 0.0f ? 0.0f : in[i];
}

static void backward(const struct layer *l, const float *params, const float *in, const float *out,
                     float *d_out, float beta, float *grads, float *d_in, uint32_t batch)
{
    (void)params, (void)in, (void)beta, (void)grads;
    uint64_t n = (uint64_t)batch * l->n_out;
    if (d_in != NULL)
        for (uint64_t i = 0; i < n; i++)
            d_in[i] = out[i] > 0.0f ? d_out[i] : 0.0f;
}

const struct layer_ops layer_relu = {
    .name = "relu", .in_place = true, .forward = forward, .backward = backward};
