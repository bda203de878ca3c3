#include "model/shape.h"

#include <string.h>

static int plan(struct layer *l, struct error *err)
{
    char text[SHAPE_TEXT_MAX];
    if (l->n_tokens == 0)
        return error_set(err, ERR_USAGE, "takes the tokens of a text, as the first layer, not %s",
                         shape_name(&l->in, text));
    l->out = (struct shape){.n_dims = 2, .dims = {l->in.dims[0], l->size}};
    l->weight = (struct param){.n_dims = 2, .shape = {l->n_tokens, l->size}};
    return 0;
}

static void init(const struct layer *l, struct rng *rng, float *params)
{
    for (uint64_t i = 0; i < l->n_params; i++)
        params[i] = (float)rng_normal(rng);
}

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    uint64_t n = (uint64_t)p->batch * l->n_in;
    (void)saved;
    for (uint64_t i = 0; i < n; i++)
        memcpy(out + i * l->size, params + (uint64_t)in[i] * l->size, l->size * sizeof *out);
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    uint64_t n = (uint64_t)p->batch * l->n_in;
    (void)params, (void)out, (void)saved, (void)d_in;
    grads_begin(grads, beta, l->n_params);
    for (uint64_t i = 0; i < n; i++) {
        float *row = grads + (uint64_t)in[i] * l->size;
        for (uint32_t j = 0; j < l->size; j++)
            row[j] += d_out[i * l->size + j];
    }
}

const struct layer_ops layer_embed = {.name = "embed",
                                      .args = ARGS_SIZE,
                                      .needs = NEEDS_IN,
                                      .plan = plan,
                                      .init = init,
                                      .forward = forward,
                                      .backward = backward};
