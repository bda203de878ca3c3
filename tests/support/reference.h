/* Naive references in double precision. Written for being right, not fast. */
#ifndef HUBBUB_TESTS_REFERENCE_H
#define HUBBUB_TESTS_REFERENCE_H

#include "model/model.h"

/* Mean softmax cross-entropy of a model of dense and ReLU layers, straight from its tensors; and,
 * unless grad is NULL, its gradient [dim] by the chain rule, sample by sample. */
double reference_loss(const struct model *m, const double *theta, const double *x, const union target *y,
                      uint32_t batch, double *grad);

/* |a - b| / |b|, Euclidean. */
double reference_error(const double *a, const double *b, uint64_t n);

#endif
