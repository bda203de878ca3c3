/* Stages: a model cut after some of its layers. Each holds a contiguous range of theta and nothing
 * else; activations go in and out, and their gradients back. Stages run one after another give
 * what the whole gives, bit for bit. Pure but for model_measure; any thread.
 */
#ifndef HUBBUB_MODEL_STAGE_H
#define HUBBUB_MODEL_STAGE_H

#include "model/model.h"

struct stage {
    struct chain chain;
    uint64_t offset, n_params; /* its range of theta */
    uint32_t n_in, n_out;      /* floats of one sample that go in and out, in the layout of the
                                  nodes at the cut (struct layer's columns) */
};

/* Layers [first, end) of the model, first < end <= n_layers. */
struct stage model_stage(const struct model *m, uint32_t first, uint32_t end);

/* Floats that a stage keeps from forward to backward, and of the pass's scratch. */
uint64_t stage_saved(const struct stage *s, uint32_t batch);
uint64_t stage_scratch(const struct stage *s, uint32_t batch);

/* out [n_out * batch] from in [n_in * batch]. params, grads: the stage's range alone. */
void stage_forward(const struct stage *s, const struct pass *pass, const float *params,
                   const float *in, float *out, float *saved);

/* grads = beta * grads + d/d(params), and d_in unless it is NULL; d_out may be changed. */
void stage_backward(const struct stage *s, const struct pass *pass, const float *params,
                    const float *in, const float *out, float *saved, float *d_out, float beta,
                    float *grads, float *d_in);

/* cuts[n + 1], from 0 to n_layers: stage k is layers [cuts[k], cuts[k + 1]), such that the costs
 * [n_layers] of the dearest stage are as low as can be. 1 <= n <= n_layers. */
void model_cut(const struct model *m, const double *costs, uint32_t n, uint32_t *cuts);

/* Seconds that each layer [n_layers] takes for a batch, forward and backward: the least of some
 * runs, on this machine. Allocates. */
void model_measure(const struct model *m, uint32_t batch, double *costs);

/* Floating-point operations of the products of layer i for one sample, forward alone. */
double model_flops(const struct model *m, uint32_t i);

#endif
