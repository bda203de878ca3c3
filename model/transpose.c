/* From rows to columns and back: the model puts it where the layout changes. */
#include "model/shape.h"

/* to [n_columns, n_rows] = from [n_rows, n_columns], in tiles that stay in the cache. */
static void transpose(const float *restrict from, float *restrict to, uint64_t n_rows,
                      uint64_t n_columns)
{
    enum { TILE = 16 };
    for (uint64_t r = 0; r < n_rows; r += TILE)
        for (uint64_t c = 0; c < n_columns; c += TILE)
            for (uint64_t j = c; j < c + TILE && j < n_columns; j++)
                for (uint64_t i = r; i < r + TILE && i < n_rows; i++)
                    to[j * n_rows + i] = from[i * n_columns + j];
}

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    (void)params, (void)saved;
    if (l->columns)
        transpose(in, out, p->batch, l->n_out);
    else
        transpose(in, out, l->n_out, p->batch);
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    (void)params, (void)in, (void)out, (void)saved, (void)beta, (void)grads;
    if (l->columns)
        transpose(d_out, d_in, l->n_out, p->batch);
    else
        transpose(d_out, d_in, p->batch, l->n_out);
}

const struct layer_ops layer_transpose = {.name = "transpose",
                                          .layout = LAYOUT_EITHER,
                                          .plan = plan_same,
                                          .forward = forward,
                                          .backward = backward};
