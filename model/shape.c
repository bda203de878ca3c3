#include "model/shape.h"

#include <math.h>
#include <stdio.h>

uint64_t shape_count(const struct shape *s)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < s->n_dims; d++)
        n *= s->dims[d];
    return n;
}

const char *shape_name(const struct shape *s, char text[SHAPE_TEXT_MAX])
{
    int n = 0;
    text[0] = '\0';
    for (uint32_t d = 0; d < s->n_dims; d++)
        n += snprintf(text + n, SHAPE_TEXT_MAX - (size_t)n, "%s%u", d > 0 ? "x" : "", s->dims[d]);
    return text;
}

int plan_same(struct layer *l, struct error *err)
{
    (void)err;
    l->out = l->in;
    return 0;
}

int plan_image(const struct layer *l, struct error *err)
{
    char text[SHAPE_TEXT_MAX];
    if (l->in.n_dims == 3)
        return 0;
    return error_set(err, ERR_USAGE, "takes an image (channels x height x width), not %s",
                     shape_name(&l->in, text));
}

int plan_window(const struct layer *l, uint32_t out[2], struct error *err)
{
    char text[SHAPE_TEXT_MAX];
    if (plan_image(l, err) != 0)
        return err->code;
    for (int d = 0; d < 2; d++) {
        uint64_t size = l->in.dims[d + 1] + UINT64_C(2) * l->padding;
        if (size < l->kernel[d])
            return error_set(err, ERR_USAGE, "a window of %ux%u is larger than its input, %s%s",
                             l->kernel[0], l->kernel[1], shape_name(&l->in, text),
                             l->padding > 0 ? " with its padding" : "");
        out[d] = (uint32_t)((size - l->kernel[d]) / l->stride + 1);
    }
    return 0;
}

void layer_init_uniform(const struct layer *l, uint64_t fan_in, struct rng *rng, float *params)
{
    double bound = 1.0 / sqrt((double)fan_in);
    for (uint64_t i = 0; i < l->n_params; i++)
        params[i] = (float)((2.0 * rng_uniform(rng) - 1.0) * bound);
}

void grads_begin(float *grads, float beta, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        grads[i] = beta == 0.0f ? 0.0f : beta * grads[i];
}
