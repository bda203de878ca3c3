/* Convolution and pooling against their definitions, in double. */
#include "model/chain.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(images, .timeout = 120);

struct sizes {
    uint32_t channels, height, width, out, kernel[2], stride, padding, batch;
};

static float *random_floats(uint64_t n, struct rng *rng)
{
    float *x = MEM_NEW(float, n);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)(2.0 * rng_uniform(rng) - 1.0);
    return x;
}

static void plan(struct layer *l, const struct layer_ops *ops, struct sizes s)
{
    struct error err;
    *l = (struct layer){.ops = ops,
                        .in = {.n_dims = 3, .dims = {s.channels, s.height, s.width}},
                        .columns = true,
                        .size = s.out,
                        .kernel = {s.kernel[0], s.kernel[1]},
                        .stride = s.stride,
                        .padding = s.padding};
    cr_assert_eq(ops->plan(l, &err), 0);
    l->n_in = s.channels * s.height * s.width;
    l->n_out = l->out.dims[0] * l->out.dims[1] * l->out.dims[2];
    if (ops == &layer_conv)
        l->n_params = (uint64_t)s.out * (s.channels * s.kernel[0] * s.kernel[1] + 1);
}

struct run {
    float *params, *in, *out, *d_out, *grads, *d_in;
    double *right_out, *right_grads, *right_d_in;
};

/* Adds up what (o, y, x) of the output, tap (ky, kx) and channel c contribute. */
static void tap(const struct layer *l, struct sizes s, const struct run *r, const uint32_t at[6])
{
    uint32_t o = at[0], y = at[1], x = at[2], c = at[3], ky = at[4], kx = at[5];
    int64_t iy = (int64_t)y * s.stride + ky - s.padding,
            ix = (int64_t)x * s.stride + kx - s.padding;
    if (iy < 0 || ix < 0 || iy >= s.height || ix >= s.width)
        return;
    uint64_t w = ((uint64_t)(o * s.channels + c) * s.kernel[0] + ky) * s.kernel[1] + kx;
    uint64_t to = ((uint64_t)(o * l->out.dims[1] + y) * l->out.dims[2] + x) * s.batch;
    uint64_t from = ((uint64_t)(c * s.height + (uint32_t)iy) * s.width + (uint32_t)ix) * s.batch;
    for (uint32_t b = 0; b < s.batch; b++) {
        r->right_out[to + b] += (double)r->params[w] * (double)r->in[from + b];
        r->right_grads[w] += (double)r->d_out[to + b] * (double)r->in[from + b];
        r->right_d_in[from + b] += (double)r->params[w] * (double)r->d_out[to + b];
    }
}

static void right_conv(const struct layer *l, struct sizes s, const struct run *r)
{
    uint64_t n_weights = l->n_params - s.out, n_plane = (uint64_t)l->n_out / s.out * s.batch;
    for (uint64_t i = 0; i < l->n_params; i++)
        r->right_grads[i] = 0.5 * (double)r->grads[i];
    for (uint32_t o = 0; o < s.out; o++) {
        for (uint64_t i = 0; i < n_plane; i++) {
            r->right_out[o * n_plane + i] = (double)r->params[n_weights + o];
            r->right_grads[n_weights + o] += (double)r->d_out[o * n_plane + i];
        }
        for (uint32_t y = 0; y < l->out.dims[1]; y++)
            for (uint32_t x = 0; x < l->out.dims[2]; x++)
                for (uint32_t k = 0; k < s.channels * s.kernel[0] * s.kernel[1]; k++) {
                    uint32_t kx = k % s.kernel[1], ky = k / s.kernel[1] % s.kernel[0];
                    uint32_t at[6] = {o, y, x, k / s.kernel[1] / s.kernel[0], ky, kx};
                    tap(l, s, r, at);
                }
    }
}

static void close_to(const char *what, const float *x, const double *right, uint64_t n)
{
    double difference = 0, size = 0;
    for (uint64_t i = 0; i < n; i++) {
        difference += ((double)x[i] - right[i]) * ((double)x[i] - right[i]);
        size += right[i] * right[i];
    }
    cr_assert(sqrt(difference) <= 1e-6 * sqrt(size), "%s: relative error %g", what,
              sqrt(difference / size));
}

static void one_conv(struct sizes s, struct rng *rng)
{
    struct layer l;
    plan(&l, &layer_conv, s);
    uint64_t n_in = (uint64_t)l.n_in * s.batch, n_out = (uint64_t)l.n_out * s.batch;
    struct run r = {.params = random_floats(l.n_params, rng),
                    .in = random_floats(n_in, rng),
                    .out = random_floats(n_out, rng),
                    .d_out = random_floats(n_out, rng),
                    .grads = random_floats(l.n_params, rng),
                    .d_in = random_floats(n_in, rng),
                    .right_out = MEM_NEW(double, n_out),
                    .right_grads = MEM_NEW(double, l.n_params),
                    .right_d_in = MEM_NEW(double, n_in)};
    float *saved = MEM_NEW(float, l.ops->n_saved(&l, s.batch));
    struct pass pass = {.batch = s.batch,
                        .training = true,
                        .scratch = MEM_NEW(float, l.ops->n_scratch(&l, s.batch))};
    right_conv(&l, s, &r);
    l.ops->forward(&l, &pass, r.params, r.in, r.out, saved);
    close_to("out", r.out, r.right_out, n_out);
    l.ops->backward(&l, &pass, r.params, r.in, r.out, saved, r.d_out, 0.5f, r.grads, r.d_in);
    close_to("grads", r.grads, r.right_grads, l.n_params);
    close_to("d_in", r.d_in, r.right_d_in, n_in);
    free(r.params), free(r.in), free(r.out), free(r.d_out), free(r.grads), free(r.d_in);
    free(r.right_out), free(r.right_grads), free(r.right_d_in), free(saved), free(pass.scratch);
}

Test(images, convolution_against_the_definition)
{
    static const struct sizes cases[] = {
        {1, 28, 28, 6, {5, 5}, 1, 2, 64},  {6, 14, 14, 16, {5, 5}, 1, 0, 7},
        {32, 7, 9, 64, {3, 3}, 1, 0, 16},  {3, 8, 8, 16, {3, 3}, 2, 1, 250},
        {16, 9, 7, 32, {3, 3}, 2, 1, 64},  {2, 5, 6, 3, {1, 1}, 1, 0, 1},
        {4, 8, 8, 8, {1, 1}, 2, 0, 7},     {3, 11, 10, 5, {3, 2}, 3, 2, 7},
        {1, 5, 5, 1, {5, 5}, 1, 0, 1},     {2, 4, 4, 16, {2, 2}, 1, 2, 64},
        {2, 6, 6, 2, {1, 1}, 1, 2, 3},     {7, 9, 9, 48, {3, 3}, 1, 1, 33},
        {140, 3, 3, 16, {3, 3}, 1, 1, 16},
    };
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        one_conv(cases[i], &rng);
}

static double of_window(const struct layer *l, struct sizes s, const float *in, uint64_t c,
                        const uint32_t at[2], uint32_t b, uint64_t *best)
{
    double sum = 0;
    float most = 0;
    *best = UINT64_MAX;
    for (uint32_t k = 0; k < s.kernel[0] * s.kernel[1]; k++) {
        int64_t y = (int64_t)at[0] * s.stride + k / s.kernel[1] - s.padding;
        int64_t x = (int64_t)at[1] * s.stride + k % s.kernel[1] - s.padding;
        if (y < 0 || x < 0 || y >= s.height || x >= s.width)
            continue;
        uint64_t from = ((c * s.height + (uint64_t)y) * s.width + (uint64_t)x) * s.batch + b;
        sum += (double)in[from];
        if (*best == UINT64_MAX || in[from] > most) {
            *best = from;
            most = in[from];
        }
    }
    return l->ops == &layer_maxpool ? (double)most : sum / (s.kernel[0] * s.kernel[1]);
}

static void one_pool(const struct layer_ops *ops, struct sizes s, struct rng *rng)
{
    struct layer l;
    plan(&l, ops, s);
    uint64_t n_in = (uint64_t)l.n_in * s.batch, n_out = (uint64_t)l.n_out * s.batch, best;
    float *in = random_floats(n_in, rng), *out = MEM_NEW(float, n_out);
    float *d_out = random_floats(n_out, rng), *d_in = random_floats(n_in, rng);
    float *saved = MEM_NEW(float, ops->n_saved != NULL ? ops->n_saved(&l, s.batch) : 0);
    double *right = MEM_NEW(double, n_out), *d_right = MEM_NEW(double, n_in);
    struct pass pass = {.batch = s.batch, .training = true};
    for (uint64_t i = 0; i < n_in; i++)
        in[i] = roundf(in[i] * 4.0f); /* so that some are equal */
    for (uint64_t i = 0; i < n_out; i++) {
        uint32_t b = (uint32_t)(i % s.batch), x = (uint32_t)(i / s.batch % l.out.dims[2]);
        uint32_t y = (uint32_t)(i / s.batch / l.out.dims[2] % l.out.dims[1]);
        right[i] = of_window(&l, s, in, i / s.batch / l.out.dims[2] / l.out.dims[1],
                             (uint32_t[2]){y, x}, b, &best);
        if (ops == &layer_maxpool)
            d_right[best] += (double)d_out[i];
    }
    ops->forward(&l, &pass, NULL, in, out, saved);
    close_to("out", out, right, n_out);
    ops->backward(&l, &pass, NULL, in, out, saved, d_out, 0.0f, NULL, d_in);
    if (ops == &layer_maxpool) {
        close_to("d_in", d_in, d_right, n_in);
    } else { /* the adjoint of a linear map: <out, d_out> = <in, d_in> */
        double given = 0, taken = 0;
        for (uint64_t i = 0; i < n_out; i++)
            given += right[i] * (double)d_out[i];
        for (uint64_t i = 0; i < n_in; i++)
            taken += (double)in[i] * (double)d_in[i];
        cr_assert_float_eq(given, taken, 1e-4);
    }
    free(in), free(out), free(d_out), free(d_in), free(saved), free(right), free(d_right);
}

Test(images, pooling_against_the_definition)
{
    static const struct sizes cases[] = {
        {6, 28, 28, 0, {2, 2}, 2, 0, 64}, {3, 7, 9, 0, {3, 3}, 2, 1, 7},
        {2, 8, 8, 0, {3, 2}, 1, 0, 250},  {1, 5, 5, 0, {5, 5}, 1, 0, 1},
        {4, 9, 9, 0, {2, 2}, 3, 1, 33},
    };
    struct rng rng = rng_stream(3, 0, RNG_TEST);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        one_pool(&layer_maxpool, cases[i], &rng);
        one_pool(&layer_avgpool, cases[i], &rng);
    }
}

Test(images, the_largest_of_a_window_with_a_nan_is_nan)
{
    struct layer l;
    plan(&l, &layer_maxpool, (struct sizes){1, 2, 2, 0, {2, 2}, 2, 0, 1});
    float in[4] = {1, NAN, 3, 2}, out, saved;
    struct pass pass = {.batch = 1};
    l.ops->forward(&l, &pass, NULL, in, &out, &saved);
    cr_assert(isnan(out));
}
