/* Plain descent, where the gradient may be in registers still: what optim_step does of OPTIM_SGD
 * without momentum, and a kernel that ends in it (model/direct.c). Pure; any thread.
 */
#ifndef HUBBUB_MODEL_DESCENT_H
#define HUBBUB_MODEL_DESCENT_H

#include "base/lanes.h"
#include "model/optim.h"

/* theta -= lr (scale g + decay theta), g being the gradient */
struct descent {
    float lr, scale, decay;
};

static inline struct descent descent_of(const struct optim_config *c, const struct optim_rates *r)
{
    return (struct descent){.lr = r->lr, .scale = r->scale * r->factor, .decay = c->weight_decay};
}

/* Where theta goes: one float, and as many as a vector has, in the same arithmetic. */
static inline float descent_step(struct descent d, float theta, float g)
{
    return fmaf(-d.lr, fmaf(d.decay, theta, d.scale * g), theta);
}

LANES_INLINE lanes descent_step_lanes(struct descent d, lanes theta, lanes g)
{
    lanes sum = lanes_fma(lanes_all(d.decay), theta, lanes_all(d.scale) * g);
    return lanes_fma(lanes_all(-d.lr), sum, theta);
}

#endif
