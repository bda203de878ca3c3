/* Layers: pure functions over raw pointers, with one small table of operations each. Any thread. */
#ifndef HUBBUB_MODEL_LAYER_H
#define HUBBUB_MODEL_LAYER_H

#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

struct tensor_info {
    char name[32]; /* "0.weight" */
    uint32_t n_dims;
    uint64_t shape[4];
    uint64_t offset; /* first float in theta */
};

struct layer;

struct layer_ops {
    const char *name;
    bool in_place; /* forward with out == in and backward with d_in == d_out are right, too */
    /* out [batch, n_out] = f(params, in [batch, n_in]). */
    void (*forward)(const struct layer *l, const float *params, const float *in, float *out,
                    uint32_t batch);
    /* Given d_out = dL/d(out): grads = beta * grads + dL/d(params), and d_in = dL/d(in) unless
     * d_in is NULL. `in` and `out` are those of the forward pass; d_out may be changed. */
    void (*backward)(const struct layer *l, const float *params, const float *in, const float *out,
                     float *d_out, float beta, float *grads, float *d_in, uint32_t batch);
};

struct layer {
    const struct layer_ops *ops;
    uint32_t n_in, n_out;
    uint64_t offset; /* of its parameters in theta */
    uint64_t n_params;
};

extern const struct layer_ops layer_dense; /* weight [n_out, n_in] row-major, then bias [n_out] */
extern const struct layer_ops layer_relu;  /* NaN stays NaN */

/* Mean softmax cross-entropy over the batch; d_logits [batch, n] = its gradient. */
double loss_softmax_xent(const float *logits, const union target *y, uint32_t batch, uint32_t n,
                         float *d_logits);

#endif
