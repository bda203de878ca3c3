/* Inverted dropout: in training x / (1 - rate), or 0 with probability rate; else x. `saved` holds
 * what each float was multiplied by. */
#include "model/shape.h"

#include <string.h>

static uint64_t n_saved(const struct layer *l, uint32_t batch)
{
    return (uint64_t)l->n_out * batch;
}

/* Philox with the counter (place, step, node, purpose and layer): four floats a block, each mask
 * named by where it is used, so that it does not depend on what was drawn before. */
static void draw(const struct layer *l, const struct pass *p, float *mask, uint64_t n)
{
    uint32_t key[2] = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)}, words[4];
    uint32_t dropped = (uint32_t)((double)l->rate * 0x1p32);
    float kept = 1.0f / (1.0f - l->rate);
    for (uint64_t i = 0; i < n; i += 4) {
        uint32_t counter[4] = {(uint32_t)(i / 4), (uint32_t)p->step, p->node,
                               RNG_DROPOUT | l->node << 8 | (uint32_t)(p->step >> 32) << 16};
        rng_philox(counter, key, words);
        for (uint64_t k = 0; k < 4 && i + k < n; k++)
            mask[i + k] = words[k] < dropped ? 0.0f : kept;
    }
}

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    uint64_t n = (uint64_t)l->n_out * p->batch;
    (void)params;
    if (!p->training) {
        if (out != in)
            memcpy(out, in, n * sizeof *out);
        return;
    }
    draw(l, p, saved, n);
    for (uint64_t i = 0; i < n; i++)
        out[i] = in[i] * saved[i];
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    uint64_t n = (uint64_t)l->n_out * p->batch;
    (void)params, (void)in, (void)out, (void)beta, (void)grads;
    for (uint64_t i = 0; i < n; i++)
        d_in[i] = p->training ? d_out[i] * saved[i] : d_out[i];
}

const struct layer_ops layer_dropout = {.name = "dropout",
                                        .args = ARGS_RATE,
                                        .layout = LAYOUT_EITHER,
                                        .in_place = true,
                                        .plan = plan_same,
                                        .n_saved = n_saved,
                                        .forward = forward,
                                        .backward = backward};
