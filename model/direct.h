/* Models that are one small dense layer, such as logistic regression, on a few samples at a time:
 * what the chain does, without asking what the layers are. A step of such a model takes less than
 * finding out. Pure; any thread.
 */
#ifndef HUBBUB_MODEL_DIRECT_H
#define HUBBUB_MODEL_DIRECT_H

#include "model/model.h"
#include "model/optim.h"

/* Whether `batch` samples of the model go this way: it has few weights, and the batch few samples.
 */
bool direct_suits(const struct model *m, uint32_t batch);

/* model_loss_grad of such a model and batch, but for moving theta; sums run in another order. */
double direct_loss_grad(const struct model *m, const float *theta, const float *x,
                        const union target *y, uint32_t batch, float beta, float *grad);

/* The same, and theta moves by the gradient, which is kept nowhere; the bits are those of
 * optim_step with it. */
double direct_descend(const struct model *m, float *theta, const float *x, const union target *y,
                      uint32_t batch, const struct optim_config *c,
                      const struct optim_rates *rates);

#endif
