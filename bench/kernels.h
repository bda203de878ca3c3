/* What the benchmarks measure against: bare matrix products, the core's peak, a plain loop. */
#ifndef HUBBUB_BENCH_KERNELS_H
#define HUBBUB_BENCH_KERNELS_H

#include "model/model.h"

#include <stddef.h>
#include <stdint.h>

/* The matrix products of one training step of a model, and nothing else: the same calls, shapes
 * and betas as model_loss_grad with `beta`, on buffers of their own. */
struct products {
    const struct model *model;
    uint32_t batch;
    float beta;
    float *theta, *grad;                                  /* [dim] */
    float *in[MODEL_NODES_MAX];                           /* [batch, n_in] of dense layers */
    float *out[MODEL_NODES_MAX], *d_out[MODEL_NODES_MAX]; /* [batch, n_out] of dense layers */
    uint32_t n_dense;
    const struct layer *dense[MODEL_NODES_MAX];
};

void products_init(struct products *p, const struct model *m, uint32_t batch, float beta);
void products_close(struct products *p);
void products_step(struct products *p);

/* Floating-point operations of one call. */
double products_flops(const struct products *p);

/* Useful floating-point operations of one training step: those of all products of the model, but
 * for the gradient of its input. */
double model_step_flops(const struct model *m, uint32_t batch);

/* Runs n rounds of independent multiply-adds in registers; returns the operations done. *sink
 * keeps the compiler from leaving them out. */
double kernel_peak(uint64_t n, float *sink);

/* x += c * (theirs - base), as anyone would write it. */
void kernel_plain_mix(float *x, float c, const float *theirs, const float *base, size_t n);

/* y = a * x + b * y by the BLAS library. */
void kernel_saxpby(float a, const float *x, float b, float *y, size_t n);

#endif
