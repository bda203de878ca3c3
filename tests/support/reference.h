/* Naive references in double precision. Written for being right, not fast. */
#ifndef HUBBUB_TESTS_REFERENCE_H
#define HUBBUB_TESTS_REFERENCE_H

#include "model/model.h"

/* What a layer gives for one sample, its inner nodes included; in evaluation (no dropout).
 * params: from the layer's own offset on. */
void reference_layer(const struct layer *l, const double *params, const double *in, double *out);

/* Loss of one sample's logits [n]. */
double reference_sample_loss(enum loss loss, const double *logits, union target y, uint32_t n);

/* Mean loss of a model over x [batch, n_in]. */
double reference_loss(const struct model *m, const double *theta, const double *x,
                      const union target *y, uint32_t batch);

/* |a - b| / |b|, Euclidean. */
double reference_error(const double *a, const double *b, uint64_t n);

#endif
