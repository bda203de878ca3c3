/* A model: a list of layers over one flat vector theta[dim].
 *
 * A table of tensors (name, shape, offset) carves the layers out of theta; the gradient has the
 * same layout. Each layer owns a contiguous range, so a model can be cut after any layer. The
 * struct is read-only once parsed: any thread may use it with its own theta and scratch.
 */
#ifndef HUBBUB_MODEL_MODEL_H
#define HUBBUB_MODEL_MODEL_H

#include "data/dataset.h"
#include "model/layer.h"

#include <stdint.h>

enum { MODEL_LAYERS_MAX = 64, MODEL_TENSORS_MAX = 2 * MODEL_LAYERS_MAX, MODEL_SPEC_MAX = 256 };

enum { MODEL_WIDTH_MAX = 65536, MODEL_DIM_MAX = 1 << 28 };

struct model {
    char spec[MODEL_SPEC_MAX]; /* canonical text: equal specs are equal models */
    uint32_t n_in, n_out;
    uint64_t dim; /* floats in theta */
    uint32_t n_layers, n_tensors;
    struct layer layers[MODEL_LAYERS_MAX];
    struct tensor_info tensors[MODEL_TENSORS_MAX]; /* PyTorch's state_dict names: "0.weight" */
};

/* spec: "softmax" or "mlp:784-256-128-10" (ReLU between; canonical text "softmax:784-10" when there
 * is no layer between, which is understood as well); "mlp:256-128" is refused when its ends
 * are not the data's features and classes, with both sizes in the message. ERR_USAGE. */
int model_parse(struct model *m, const char *spec, struct data_shape data,
                struct error *err) MUST_USE;

/* PyTorch's default for linear layers: U(-1/sqrt(n_in), 1/sqrt(n_in)) for weights and biases
 * (He et al. 2015 with a = sqrt 5), from rng_stream(seed, 0, RNG_INIT). */
void model_init(const struct model *m, uint64_t seed, float *theta);

/* Floats of scratch that the calls below need for `batch` samples. */
uint64_t model_scratch(const struct model *m, uint32_t batch);

/* Mean softmax cross-entropy of x [batch, n_in] with labels y [batch], and
 * grad = beta * grad + d(loss)/d(theta). beta > 0 accumulates for free inside the matrix product
 * (momentum); beta = 0 overwrites, whatever grad held. */
double model_loss_grad(const struct model *m, const float *theta, const float *x,
                       const union target *y, uint32_t batch, float beta, float *grad,
                       float *scratch);

/* Logits [batch, n_out]; they lie in scratch until its next use. */
const float *model_forward(const struct model *m, const float *theta, const float *x,
                           uint32_t batch, float *scratch);

/* Sum of losses and number of correct predictions over the batch. */
struct evaluation {
    double loss_sum;
    uint64_t n_correct, n;
};
void model_evaluate(const struct model *m, const float *theta, const float *x,
                    const union target *y, uint32_t batch, float *scratch, struct evaluation *sum);

/* Sets OpenBLAS to n threads. ERR_FAILURE when the library loaded is a build that computes wrong
 * results from several threads of ours (openblas_get_parallel() == 0) and `concurrent` says there
 * will be some; the message names the package to install. */
int model_blas_setup(int n_threads, int concurrent, struct error *err) MUST_USE;

#endif
