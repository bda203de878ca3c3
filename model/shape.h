/* What the files of layers share. Pure; any thread. */
#ifndef HUBBUB_MODEL_SHAPE_H
#define HUBBUB_MODEL_SHAPE_H

#include "model/layer.h"

/* plan: out = in. */
int plan_same(struct layer *l, struct error *err);

/* ERR_USAGE, with the shape, unless in is [channels, height, width]. */
int plan_image(const struct layer *l, struct error *err) MUST_USE;

/* Height and width of what a window that moves over the image gives, rounded down; ERR_USAGE when
 * in is no image or smaller than the window. */
int plan_window(const struct layer *l, uint32_t out[2], struct error *err) MUST_USE;

/* U(-1/sqrt(fan_in), 1/sqrt(fan_in)) over all parameters: PyTorch's default for dense and conv
 * (He et al. 2015 with a = sqrt 5). */
void layer_init_uniform(const struct layer *l, uint64_t fan_in, struct rng *rng, float *params);

/* grads *= beta, and 0 for beta = 0, whatever was there. */
void grads_begin(float *grads, float beta, uint64_t n);

#endif
