/* Convolutions over columns, [channels, height, width, batch]: what lies in a row of the output,
 * all its places for all samples, is contiguous, and so is what each weight meets there. So a row
 * of the output is one matrix product, weights [out, in kh kw] by rows of the padded input, and
 * nothing is copied. The gradient of the input is a convolution of that of the output, with
 * stride - 1 zeros put between its places and kernel - 1 - padding around it, and the weights
 * turned by half a circle. */
#include "base/lanes.h"
#include "base/mem.h"
#include "model/chain.h"
#include "model/product.h"
#include "model/shape.h"

#include <stdlib.h>

static int plan(struct layer *l, struct error *err)
{
    uint32_t out[2];
    int rc = plan_window(l, out, err);
    if (rc != 0)
        return rc;
    l->out = (struct shape){.n_dims = 3, .dims = {l->size, out[0], out[1]}};
    l->weight =
        (struct param){.n_dims = 4, .shape = {l->size, l->in.dims[0], l->kernel[0], l->kernel[1]}};
    l->bias = (struct param){.n_dims = 1, .shape = {l->size}};
    return 0;
}

static bool wants_columns(const struct layer *l)
{
    (void)l;
    return true;
}

static uint64_t n_patch(const struct layer *l)
{
    return (uint64_t)l->in.dims[0] * l->kernel[0] * l->kernel[1];
}

static void init(const struct layer *l, struct rng *rng, float *params)
{
    layer_init_uniform(l, n_patch(l), rng, params);
}

static double flops(const struct layer *l)
{
    return 2.0 * (double)n_patch(l) * l->n_out;
}

/* ---- images with zeros around ---------------------------------------------------------------- */

/* [channels, height, width, batch]. */
struct image {
    uint64_t channels, height, width, batch;
};

static uint64_t image_floats(struct image i)
{
    return i.channels * i.height * i.width * i.batch;
}

static struct image input_of(const struct layer *l, uint32_t batch)
{
    return (struct image){l->in.dims[0], l->in.dims[1], l->in.dims[2], batch};
}

static struct image output_of(const struct layer *l, uint32_t batch)
{
    return (struct image){l->out.dims[0], l->out.dims[1], l->out.dims[2], batch};
}

static struct image padded_input(const struct layer *l, uint32_t batch)
{
    return (struct image){l->in.dims[0], l->in.dims[1] + UINT64_C(2) * l->padding,
                          l->in.dims[2] + UINT64_C(2) * l->padding, batch};
}

/* The gradient of the output as the gradient of the input reads it. */
static struct image spread_output(const struct layer *l, uint32_t batch)
{
    return (struct image){l->out.dims[0], l->in.dims[1] + l->kernel[0] - UINT64_C(1),
                          l->in.dims[2] + l->kernel[1] - UINT64_C(1), batch};
}

/* to = zeros but for from, whose place (0, 0) comes to (top, left) and whose places are `stride`
 * apart; those that come to lie outside are left out. */
static void spread(struct image size, const float *from, struct image to_size, float *to,
                   int64_t top, int64_t left, uint32_t stride)
{
    memset(to, 0, image_floats(to_size) * sizeof *to);
    for (uint64_t c = 0; c < size.channels; c++)
        for (uint64_t y = 0; y < size.height; y++) {
            int64_t row = top + (int64_t)(y * stride);
            const float *line = from + (c * size.height + y) * size.width * size.batch;
            if (row < 0 || row >= (int64_t)to_size.height)
                continue;
            float *start = to + (c * to_size.height + (uint64_t)row) * to_size.width * size.batch;
            for (uint64_t x = 0; x < size.width; x++) {
                int64_t at = left + (int64_t)(x * stride);
                if (at >= 0 && at < (int64_t)to_size.width)
                    memcpy(start + (uint64_t)at * size.batch, line + x * size.batch,
                           size.batch * sizeof *to);
            }
        }
}

/* Where in the padded input each weight's row begins, for the first place of the output. */
static void patch_offsets(const struct layer *l, struct image in, uint64_t *offsets)
{
    for (uint64_t c = 0; c < in.channels; c++)
        for (uint64_t y = 0; y < l->kernel[0]; y++)
            for (uint64_t x = 0; x < l->kernel[1]; x++)
                *offsets++ = ((c * in.height + y) * in.width + x) * in.batch;
}

/* What lies contiguously in the input for a contiguous stretch of the output: a row, or, when
 * places are skipped, one place. */
static struct runs output_runs(const struct layer *l, struct image out, const float *at)
{
    uint64_t row = out.width * out.batch;
    (void)l;
    return (struct runs){{at, out.height * row, NULL}, {row, out.batch}};
}

static struct runs input_runs(const struct layer *l, struct image in, const float *at,
                              const uint64_t *offsets)
{
    return (struct runs){{at, 0, offsets}, {in.width * in.batch * l->stride, in.batch * l->stride}};
}

static uint64_t n_saved(const struct layer *l, uint32_t batch)
{
    return l->padding > 0 ? image_floats(padded_input(l, batch)) : 0;
}

/* ---- scratch --------------------------------------------------------------------------------- */
enum { STRETCH = 1024 }; /* of the output's gradient, transposed at a time */

struct areas {
    uint64_t *offsets; /* [in kh kw], or of spread_output [kh out kw] */
    float *spread;     /* spread_output */
    float *turned;     /* weights [in, kh, out, kw] */
    float *stretch;    /* [STRETCH, out] */
    float *grads;      /* [in kh kw, out] */
    uint64_t n;
};

static struct areas place(const struct layer *l, uint32_t batch, float *scratch)
{
    enum { FLOATS_PER_OFFSET = sizeof(uint64_t) / sizeof(float) };
    struct areas a = {.offsets = (uint64_t *)scratch};
    uint64_t n_offsets = n_patch(l);
    uint64_t n_weights = n_offsets * l->size, n_turned = l->size * l->kernel[0] * l->kernel[1];
    if (n_turned > n_offsets)
        n_offsets = n_turned;
    uint64_t sizes[] = {n_offsets * FLOATS_PER_OFFSET, image_floats(spread_output(l, batch)),
                        n_weights, (uint64_t)STRETCH * l->size, n_weights};
    float *unused, **places[] = {&unused, &a.spread, &a.turned, &a.stretch, &a.grads};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        *places[i] = scratch != NULL ? scratch + a.n : NULL;
        a.n += mem_round_floats(sizes[i]);
    }
    return a;
}

static uint64_t n_scratch(const struct layer *l, uint32_t batch)
{
    return place(l, batch, NULL).n;
}

/* ---- forward --------------------------------------------------------------------------------- */
static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    struct image from = padded_input(l, p->batch), to = output_of(l, p->batch);
    uint64_t *offsets = place(l, p->batch, p->scratch).offsets, k = n_patch(l);
    uint64_t plane = to.height * to.width * to.batch;
    if (l->padding > 0) {
        spread(input_of(l, p->batch), in, from, saved, l->padding, l->padding, 1);
        in = saved;
    }
    patch_offsets(l, from, offsets);
    bool whole_rows = l->stride == 1;
    uint64_t n_runs = whole_rows ? 1 : to.width,
             length = whole_rows ? to.width * to.batch : to.batch;
    for (uint64_t y = 0; y < to.height; y++)
        for (uint64_t x = 0; x < n_runs; x++)
            product(l->size, length, k, (struct factor){params, k, 1},
                    (struct rows){in + (y * from.width + x) * l->stride * from.batch, 0, offsets},
                    0.0f, params + l->size * k, out + (y * to.width + x) * to.batch, plane);
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* grads [out, k]: by products whose result has the output's channels innermost; so a stretch of
 * d_out is transposed, which pays for itself when there are many weights for each. */
static void weights_by_stretches(const struct layer *l, const struct areas *a, struct image from,
                                 const float *in, struct image to, const float *d_out, float beta,
                                 float *grads)
{
    bool whole_rows = l->stride == 1, is_first = true;
    uint64_t n_runs = whole_rows ? 1 : to.width,
             length = whole_rows ? to.width * to.batch : to.batch;
    uint64_t plane = to.height * to.width * to.batch, k = n_patch(l);
    for (uint64_t run = 0; run < to.height * n_runs; run++) {
        uint64_t y = run / n_runs, x = run % n_runs;
        const float *row = in + (y * from.width + x) * l->stride * from.batch;
        const float *d = d_out + (y * to.width + x) * to.batch;
        for (uint64_t at = 0; at < length; at += STRETCH) {
            uint64_t n = length - at < STRETCH ? length - at : STRETCH;
            transpose(l->size, n, d + at, plane, a->stretch, l->size);
            product_of_rows(k, l->size, n, (struct rows){row + at, 0, a->offsets},
                            (struct rows){a->stretch, l->size, NULL}, is_first ? 0.0f : 1.0f,
                            a->grads, l->size);
            is_first = false;
        }
    }
    transpose(k, l->size, a->grads, l->size, a->turned, k);
    for (uint64_t i = 0; i < k * l->size; i++)
        grads[i] = beta == 0.0f ? a->turned[i] : fmaf(beta, grads[i], a->turned[i]);
}

static float sum_of(const float *x, uint64_t n)
{
    lanes sums[4] = {{0}, {0}, {0}, {0}};
    uint64_t i = 0;
    float rest = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (int k = 0; k < 4; k++)
            sums[k] += lanes_load(x + i + k * LANES);
    for (; i < n; i++)
        rest += x[i];
    return lanes_sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

static void backward_weights(const struct layer *l, const struct areas *a, struct image from,
                             const float *in, struct image to, const float *d_out, float beta,
                             float *grads)
{
    enum { WEIGHTS_MIN = 64, LENGTH_MIN = 32 };
    bool whole_rows = l->stride == 1;
    uint64_t k = n_patch(l), length = whole_rows ? to.width * to.batch : to.batch;
    float *d_bias = grads + l->size * k;
    patch_offsets(l, from, a->offsets);
    if (l->size % LANES == 0 && k >= WEIGHTS_MIN && length >= LENGTH_MIN)
        weights_by_stretches(l, a, from, in, to, d_out, beta, grads);
    else
        product_dot(l->size, k, (uint64_t[2]){to.height, whole_rows ? 1 : to.width}, length,
                    output_runs(l, to, d_out), input_runs(l, from, in, a->offsets), beta, grads, k);
    grads_begin(d_bias, beta, l->size);
    for (uint64_t c = 0; c < l->size; c++)
        d_bias[c] +=
            sum_of(d_out + c * to.height * to.width * to.batch, to.height * to.width * to.batch);
}

/* Weights [out, in, kh, kw] turned: [in, kh, out, kw], so that a row of the input's gradient needs
 * a contiguous part of them when some rows of the output lie outside. */
static void turn_weights(const struct layer *l, const float *weights, float *turned)
{
    uint64_t n_in = l->in.dims[0], height = l->kernel[0], width = l->kernel[1];
    for (uint64_t c = 0; c < n_in; c++)
        for (uint64_t y = 0; y < height; y++)
            for (uint64_t o = 0; o < l->size; o++)
                for (uint64_t x = 0; x < width; x++)
                    *turned++ =
                        weights[((o * n_in + c) * height + height - 1 - y) * width + width - 1 - x];
}

static void backward_input(const struct layer *l, const struct areas *a, const float *weights,
                           struct image to, const float *d_out, float *d_in)
{
    struct image from = spread_output(l, (uint32_t)to.batch);
    int64_t top = (int64_t)l->kernel[0] - 1 - l->padding, height = l->in.dims[1];
    int64_t left = (int64_t)l->kernel[1] - 1 - l->padding;
    int64_t bottom = top + (int64_t)((to.height - 1) * l->stride);
    uint64_t *offset = a->offsets, width = l->in.dims[2] * to.batch, k_row = l->size * l->kernel[1];
    spread(to, d_out, from, a->spread, top, left, l->stride);
    turn_weights(l, weights, a->turned);
    for (uint64_t y = 0; y < l->kernel[0]; y++)
        for (uint64_t o = 0; o < l->size; o++)
            for (uint64_t x = 0; x < l->kernel[1]; x++)
                *offset++ = ((o * from.height + y) * from.width + x) * from.batch;
    for (int64_t y = 0; y < height; y++) {
        /* Rows y to y + kh - 1 of `spread`, of which [top, bottom] hold anything. */
        int64_t skip = y < top ? top - y : 0, end = bottom + 1 - y;
        end = end < (int64_t)l->kernel[0] ? end : (int64_t)l->kernel[0];
        skip = skip < end ? skip : 0;
        end = end > skip ? end : skip;
        uint64_t k = (uint64_t)skip * k_row;
        product(l->in.dims[0], width, (uint64_t)(end - skip) * k_row,
                (struct factor){a->turned + k, l->kernel[0] * k_row, 1},
                (struct rows){a->spread + (uint64_t)y * from.width * from.batch, 0, a->offsets + k},
                0.0f, NULL, d_in + (uint64_t)y * width, (uint64_t)height * width);
    }
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    struct areas a = place(l, p->batch, p->scratch);
    struct image to = output_of(l, p->batch);
    (void)out;
    backward_weights(l, &a, padded_input(l, p->batch), l->padding > 0 ? saved : in, to, d_out, beta,
                     grads);
    if (d_in != NULL)
        backward_input(l, &a, params, to, d_out, d_in);
}

const struct layer_ops layer_conv = {.name = "conv",
                                     .args = ARGS_CONV,
                                     .layout = LAYOUT_CHOOSES,
                                     .needs = NEEDS_IN,
                                     .plan = plan,
                                     .wants_columns = wants_columns,
                                     .init = init,
                                     .n_saved = n_saved,
                                     .n_scratch = n_scratch,
                                     .flops = flops,
                                     .forward = forward,
                                     .backward = backward};
