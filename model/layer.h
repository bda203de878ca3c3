/* Layers: pure functions over raw pointers, with one small table of operations each. Any thread.
 *
 * A layer maps a batch of activations to another. Its parameters are a contiguous range of theta,
 * in PyTorch's order and layout. Activations lie in one of two layouts:
 *   rows     [batch, n]: a sample after the other; n is channels, height, width, row-major
 *   columns  [n, batch]: the batch innermost, so that small images fill whole vectors
 * A layer has one layout for what it takes and gives; where they change from one layer to the
 * next, the model puts a layer_transpose between. Inputs and logits of a model are rows.
 */
#ifndef HUBBUB_MODEL_LAYER_H
#define HUBBUB_MODEL_LAYER_H

#include "base/rng.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

/* Of one sample: [n], [tokens, width] or [channels, height, width]. */
struct shape {
    uint32_t n_dims; /* 1 to 3 */
    uint32_t dims[3];
};

enum { SHAPE_TEXT_MAX = 48 };

static inline struct shape shape_flat(uint32_t n)
{
    return (struct shape){.n_dims = 1, .dims = {n}};
}
uint64_t shape_count(const struct shape *s);
const char *shape_name(const struct shape *s, char text[SHAPE_TEXT_MAX]); /* "32x26x26" */

enum { TENSOR_NAME_MAX = 48 };

struct tensor_info {
    char name[TENSOR_NAME_MAX]; /* "0.weight", "3.body.0.bias" */
    uint32_t n_dims;
    uint64_t shape[4];
    uint64_t offset; /* first float in theta */
};

/* A batch that the first layer of a pass is to gather itself, some samples at a time, so that it
 * works on them while they are in the cache. */
struct gather {
    const struct dataset *set; /* NULL: the batch has been gathered */
    const uint32_t *samples;
    float *x; /* [batch, n_in], where they come to lie, which is `in` */
};

/* What all layers of one pass over a batch share. */
struct pass {
    uint32_t batch; /* samples */
    bool training;  /* dropout is on; backward comes after */
    uint64_t seed;  /* names dropout's stream, with the layer: (seed, node, step, layer) */
    uint32_t node;
    uint64_t step;
    /* Where backward is to move the whole model's theta, of which params are a part: by -lr times
     * each layer's grads, as soon as those are known, for beta > 0; else NULL. */
    float *theta;
    float lr;
    struct gather gather; /* for a first layer that gathers (model_gathers) */
    float *scratch;       /* room for what the layer asked; holds nothing between two calls. Set by
                             chain_forward and chain_backward */
};

struct layer;

/* What may stand after "name:" in a model's text. */
enum layer_args {
    ARGS_NONE,
    ARGS_SIZE,   /* 128 */
    ARGS_CONV,   /* 32x3x3, 32x3x3s2p1: channels, kernel, stride (1), padding (0) */
    ARGS_WINDOW, /* 2, 3x3s2p1: kernel, stride (the kernel), padding (0) */
    ARGS_RATE,   /* 0.5 */
    ARGS_INNER   /* a residual block: lists of layers in brackets */
};

enum layer_needs {
    NEEDS_IN = 1, /* backward reads `in` */
    NEEDS_OUT = 2 /* backward reads `out` */
};

enum layer_layout {
    LAYOUT_ROWS,   /* works on rows only */
    LAYOUT_EITHER, /* takes what it is given */
    LAYOUT_CHOOSES /* asks wants_columns */
};

struct layer_ops {
    const char *name;
    enum layer_args args;
    bool args_optional; /* may stand without any */
    bool in_place;      /* forward with out == in and backward with d_in == d_out are right, too */
    bool is_view;       /* gives what it takes: forward and backward are skipped, mostly */
    bool gathers;       /* forward does what the pass's gather asks; in training x holds all of the
                           batch after it, else it holds nothing */
    bool moves;         /* backward does what the pass's theta asks; else chain_backward does */
    enum layer_layout layout;
    int needs; /* NEEDS_* */

    /* From in and the arguments: out, weight and bias; what is wrong otherwise, with both shapes,
     * as ERR_USAGE. size is 0 where the argument was left out. */
    int (*plan)(struct layer *l, struct error *err);
    bool (*wants_columns)(const struct layer *l);
    /* PyTorch's default initialisation of params [n_params]; NULL without parameters. */
    void (*init)(const struct layer *l, struct rng *rng, float *params);
    /* Floats of `saved`, from forward to backward, and of the pass's scratch; NULL: none. Both are
     * aligned to a cache line. */
    uint64_t (*n_saved)(const struct layer *l, uint32_t batch);
    uint64_t (*n_scratch)(const struct layer *l, uint32_t batch);
    /* Floating-point operations of forward for one sample, where they count (products); or NULL. */
    double (*flops)(const struct layer *l);

    /* out [batch, n_out] = f(params, in [batch, n_in]), or both [n, batch] if l->columns. */
    void (*forward)(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved);
    /* Given d_out = dL/d(out): grads = beta * grads + dL/d(params), and d_in = dL/d(in) unless
     * d_in is NULL. `in`, `out` and `saved` are those of the forward pass, in and out only as far
     * as `needs` says; d_out may be changed. beta = 0 overwrites, whatever grads held. */
    void (*backward)(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in);
};

/* A parameter: n_dims 0 where a layer has none. */
struct param {
    uint32_t n_dims;
    uint64_t shape[4];
};

struct layer {
    const struct layer_ops *ops;
    struct shape in, out;
    uint32_t n_in, n_out; /* floats of one sample */
    bool columns;         /* layout of in and out; of layer_transpose: of out alone */
    struct param weight, bias;
    uint64_t offset; /* of its parameters in theta: weight, then bias */
    uint64_t n_params;

    uint32_t size;                       /* of ARGS_SIZE; channels of ARGS_CONV */
    uint32_t kernel[2], stride, padding; /* height, width */
    float rate;
    uint32_t n_tokens; /* embed: rows of the table */

    uint32_t node;    /* its place in the model */
    uint32_t n_inner; /* res: nodes after it that are part of it: body, then shortcut */
    uint32_t n_body;
};

extern const struct layer_ops layer_dense; /* weight [n_out, n_in], bias [n_out] */
extern const struct layer_ops layer_embed; /* weight [n_tokens, size]; in: token numbers */
extern const struct layer_ops layer_conv;  /* weight [out, in, kh, kw], bias [out]; zeros around */
extern const struct layer_ops layer_maxpool; /* the first largest; outside is -infinity */
extern const struct layer_ops layer_avgpool; /* zeros around, which count; no window: all */
extern const struct layer_ops layer_relu;    /* NaN stays NaN, in all activations */
extern const struct layer_ops layer_gelu;    /* x Phi(x), exact */
extern const struct layer_ops layer_tanh;
extern const struct layer_ops layer_sigmoid;
extern const struct layer_ops layer_flatten;
extern const struct layer_ops layer_dropout;   /* x / (1 - rate), or 0 with probability rate */
extern const struct layer_ops layer_layernorm; /* over the last dimension; of an image over all */
extern const struct layer_ops
    layer_groupnorm;                     /* size groups of channels; weight, bias [channels] */
extern const struct layer_ops layer_res; /* body(x) + shortcut(x), which is x if empty */
extern const struct layer_ops layer_transpose; /* between layouts; never in a text */

#endif
