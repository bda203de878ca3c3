/* A model: a list of layers over one flat vector theta[dim].
 *
 * A table of tensors (name, shape, offset) carves the layers out of theta; the gradient has the
 * same layout. Each layer owns a contiguous range, so a model can be cut after any layer into
 * stages. The struct is read-only once parsed, and may be copied: any thread may use it with its
 * own theta and scratch.
 */
#ifndef HUBBUB_MODEL_MODEL_H
#define HUBBUB_MODEL_MODEL_H

#include "data/dataset.h"
#include "model/chain.h"
#include "model/loss.h"

#include <stddef.h>
#include <stdint.h>

enum { MODEL_NODES_MAX = CHAIN_MAX, MODEL_TENSORS_MAX = 2 * MODEL_NODES_MAX };

enum {
    MODEL_SPEC_MAX = 2048,    /* bytes of a model's text, with its NUL */
    MODEL_WIDTH_MAX = 65536,  /* channels, outputs of a dense layer */
    MODEL_AREA_MAX = 1 << 24, /* floats of one activation of one sample */
    MODEL_DIM_MAX = 1 << 28
};

struct model {
    char spec[MODEL_SPEC_MAX]; /* canonical text: with equal data shapes, equal specs are equal
                                  models */
    struct data_shape data;
    enum loss loss;
    uint32_t n_in, n_out; /* floats of a sample; logits */
    uint64_t dim;         /* floats in theta */

    /* Layers in order; a residual block is followed by its inner nodes. Layer i, as a user counts
     * them from 0 and as state_dict names them, is nodes [starts[i], starts[i + 1]), the last of
     * which that is no inner node may be preceded by a layer_transpose. */
    uint32_t n_nodes, n_layers;
    struct layer nodes[MODEL_NODES_MAX];
    uint32_t starts[MODEL_NODES_MAX + 1];

    uint32_t n_tensors;
    struct tensor_info tensors[MODEL_TENSORS_MAX]; /* PyTorch's state_dict names: "0.weight" */
};

/* spec: docs/MODELS.md has the grammar. "softmax", "linear", "logistic", "svm",
 * "mlp:784-256-128-10" (ReLU between; canonical text "softmax:784-10" when there is none between),
 * "lenet5", "resnet20"; a list of layers such as "conv:32x3x3,relu,pool:2,flatten,dense:10"; or
 * "@FILE", or a path with a '/' in it, of a file that holds one, on several lines with # comments.
 * What a model takes and gives must be what the data has: the message names both. ERR_USAGE;
 * ERR_DATA for what is wrong in a file. */
int model_parse(struct model *m, const char *spec, struct data_shape data,
                struct error *err) MUST_USE;

/* Equal for equal models on equal data shapes, on every machine. */
uint64_t model_fingerprint(const struct model *m);

/* The spec, or where it does not fit its start and the fingerprint: equal for equal models. */
void model_name(const struct model *m, char *text, size_t size);

/* PyTorch's defaults for each kind of layer, from rng_stream(seed, 0, RNG_INIT). */
void model_init(const struct model *m, uint64_t seed, float *theta);

/* Floats of scratch, aligned to a cache line, that the calls below need for `batch` samples. */
uint64_t model_scratch(const struct model *m, uint32_t batch);

/* Whether a pass over `batch` samples may leave it to the first layer to gather them (pass->gather,
 * whose x is then the x below). The bits of what comes out are the same. */
bool model_gathers(const struct model *m, uint32_t batch);

/* Mean loss of x [batch, n_in] with targets y [batch], and grad = beta * grad + d(loss)/d(theta).
 * beta > 0 accumulates for free inside the matrix product (momentum); beta = 0 overwrites,
 * whatever grad held. `pass` says the batch and names dropout's stream (its scratch is not looked
 * at); x is aligned to a cache line. */
double model_loss_grad(const struct model *m, const struct pass *pass, const float *theta,
                       const float *x, const union target *y, float beta, float *grad,
                       float *scratch);

/* Logits [batch, n_out], without dropout; they lie in scratch until its next use. */
const float *model_forward(const struct model *m, const struct pass *pass, const float *theta,
                           const float *x, float *scratch);

/* Sums over the samples evaluated. */
struct evaluation {
    double loss_sum;
    uint64_t n_correct, n;        /* n_correct: of classes */
    double target_sum, target_sq; /* of real targets */
};
void model_evaluate(const struct model *m, const struct pass *pass, const float *theta,
                    const float *x, const union target *y, float *scratch, struct evaluation *sum);

/* Of classes, the share predicted rightly; of real targets R^2 = 1 - squared error / variance, the
 * share of the variance that the model explains (below 0: the mean would be better). */
double evaluation_accuracy(const struct model *m, const struct evaluation *sum);

/* Sets OpenBLAS to n threads. ERR_FAILURE when the library loaded is a build that computes wrong
 * results from several threads of ours (openblas_get_parallel() == 0) and `concurrent` says there
 * will be some; the message names the package to install. */
int model_blas_setup(int n_threads, int concurrent, struct error *err) MUST_USE;

#endif
