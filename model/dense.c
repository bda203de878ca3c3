#include "base/mem.h"
#include "base/vec.h"
#include "model/chain.h"
#include "model/product.h"
#include "model/shape.h"

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

/* ---- forward ---------------------------------------------------------------------------------
 * Weights' rows run along the sum, so the batch has to lie innermost. It is transposed a panel of
 * samples at a time, as many as a product is wide: what was gathered is in the cache when it is
 * transposed, and what was transposed when it is multiplied. */

static uint64_t panel_of(uint64_t batch)
{
    uint64_t width = product_width();
    return batch < width ? batch : width;
}

/* A panel, transposed, and its output before it is. */
static uint64_t n_scratch(const struct layer *l, uint32_t batch)
{
    uint64_t panel = panel_of(batch);
    return mem_round_floats(l->n_in * panel) + l->n_out * panel;
}

/* Samples [first, end) of the input, [end - first, n_in]; backward will read all that are gathered,
 * where there is one. */
static const float *take_rows(const struct layer *l, const struct pass *p, const float *in,
                              uint32_t first, uint32_t end)
{
    const struct gather *g = &p->gather;
    uint64_t at = (uint64_t)first * l->n_in;
    if (g->set == NULL)
        return in + at;
    float *x = p->training ? g->x + at : g->x;
    dataset_rows(g->set, g->samples, p->batch, first, end, x);
    return x;
}

/* A batch too small to lie innermost is multiplied along its own rows. */
static void forward_small(const struct layer *l, const struct pass *p, const float *params,
                          const float *in, float *out)
{
    uint64_t n_in = l->n_in, n_out = l->n_out;
    in = take_rows(l, p, in, 0, p->batch);
    for (uint64_t b = 0; b < p->batch; b++)
        memcpy(out + b * n_out, params + n_out * n_in, n_out * sizeof *out);
    product_dot(p->batch, n_out, (uint64_t[2]){1, 1}, n_in, (struct runs){{in, n_in, NULL}, {0, 0}},
                (struct runs){{params, n_in, NULL}, {0, 0}}, 1.0f, out, n_out);
}

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    enum { BATCH_MIN = 8 };
    uint64_t n_in = l->n_in, n_out = l->n_out, panel = panel_of(p->batch);
    float *columns = p->scratch, *out_columns = columns + mem_round_floats(n_in * panel);
    (void)saved;
    if (p->batch < BATCH_MIN) {
        forward_small(l, p, params, in, out);
        return;
    }
    for (uint32_t at = 0, n; at < p->batch; at += n) {
        n = p->batch - at < panel ? p->batch - at : (uint32_t)panel;
        transpose(n, n_in, take_rows(l, p, in, at, at + n), n_in, columns, n);
        product(n_out, n, n_in, (struct factor){params, n_in, 1}, (struct rows){columns, n, NULL},
                0.0f, params + n_out * n_in, out_columns, n);
        transpose(n_out, n, out_columns, n, out + at * n_out, n_out);
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

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
    uint64_t n_in = l->n_in, n_out = l->n_out, batch = p->batch;
    float *d_bias = grads + n_out * n_in;
    (void)out, (void)saved;
    if (d_in != NULL)
        product(batch, n_in, n_out, (struct factor){d_out, n_out, 1},
                (struct rows){params, n_in, NULL}, 0.0f, NULL, d_in, n_in);
    float *theta = p->theta != NULL ? p->theta + l->offset : NULL;
    product_descend(n_out, n_in, batch, (struct factor){d_out, 1, n_out},
                    (struct rows){in, n_in, NULL}, beta, grads, n_in, theta, p->lr);
    grads_begin(d_bias, beta, n_out);
    add_rows(d_bias, d_out, l->n_out, p->batch);
    if (theta != NULL)
        vec_add_scaled(theta + n_out * n_in, -p->lr, d_bias, n_out);
}

const struct layer_ops layer_dense = {.name = "dense",
                                      .args = ARGS_SIZE,
                                      .args_optional = true,
                                      .gathers = true,
                                      .moves = true,
                                      .needs = NEEDS_IN,
                                      .plan = plan,
                                      .init = init,
                                      .n_scratch = n_scratch,
                                      .flops = flops,
                                      .forward = forward,
                                      .backward = backward};
