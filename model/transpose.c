/* From rows to columns and back: the model puts it where the layout changes. */
#include "model/product.h"
#include "model/shape.h"

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    (void)params, (void)saved;
    if (l->columns)
        transpose(p->batch, l->n_out, in, l->n_out, out, p->batch);
    else
        transpose(l->n_out, p->batch, in, p->batch, out, l->n_out);
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    (void)params, (void)in, (void)out, (void)saved, (void)beta, (void)grads;
    if (l->columns)
        transpose(l->n_out, p->batch, d_out, p->batch, d_in, l->n_out);
    else
        transpose(p->batch, l->n_out, d_out, l->n_out, d_in, p->batch);
}

const struct layer_ops layer_transpose = {.name = "transpose",
                                          .layout = LAYOUT_EITHER,
                                          .plan = plan_same,
                                          .forward = forward,
                                          .backward = backward};
