/* A chain: layers one after another, run as one. The whole model is one, so is a stage of it and
 * the body of a residual block.
 *
 * It is a range of nodes of a model; a residual block stands before its inner nodes, which are
 * stepped over. Parameters are those of the range alone: params points to the first float that
 * the first node owns. Pure; any thread.
 */
#ifndef HUBBUB_MODEL_CHAIN_H
#define HUBBUB_MODEL_CHAIN_H

#include "model/layer.h"

enum { CHAIN_MAX = 256 };

struct chain {
    const struct layer *first;
    uint32_t n; /* nodes, inner ones included; 1 to CHAIN_MAX */
};

/* Floats that a chain keeps from forward to backward, beyond its input and output; and floats of
 * the pass's scratch. */
uint64_t chain_saved(struct chain c, uint32_t batch);
uint64_t chain_scratch(struct chain c, uint32_t batch);

/* As struct layer_ops has them. The scratch of `p` is the chain's to use; saved [chain_saved] is
 * aligned to a cache line. */
void chain_forward(struct chain c, const struct pass *p, const float *params, const float *in,
                   float *out, float *saved);
void chain_backward(struct chain c, const struct pass *p, const float *params, const float *in,
                    const float *out, float *saved, float *d_out, float beta, float *grads,
                    float *d_in);

#endif
