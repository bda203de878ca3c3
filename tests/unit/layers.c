/* Every layer and loss in float against central differences, in double, of a naive reference. */
#include "model/chain.h"

#include "base/mem.h"
#include "base/rng.h"
#include "model/stage.h"
#include "tests/support/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(layers, .timeout = 120);

enum { BATCH = 3 };

/* The layer under test is layer `at` of a model that may begin with others for the shape's sake. */
static const struct {
    const char *spec;
    struct data_shape data;
    uint32_t at;
} cases[] = {
    {"dense:5", {.n_features = 7, .n_classes = 5}, 0},
    {"relu", {.n_features = 6, .n_classes = 6}, 0},
    {"gelu", {.n_features = 6, .n_classes = 6}, 0},
    {"tanh", {.n_features = 6, .n_classes = 6}, 0},
    {"sigmoid", {.n_features = 6, .n_classes = 6}, 0},
    {"layernorm", {.n_features = 37, .n_classes = 37}, 0},
    {"embed:4,flatten,dense", {.n_features = 5, .n_tokens = 9, .n_classes = 3}, 0},
    {"embed:4,layernorm,flatten,dense", {.n_features = 5, .n_tokens = 9, .n_classes = 3}, 1},
    {"conv:4x3x3,flatten,dense", {50, {2, 5, 5}, 0, 3}, 0},
    {"conv:3x3x2s2p1,flatten,dense", {84, {2, 6, 7}, 0, 3}, 0},
    {"conv:5x1x1s2,flatten,dense", {75, {3, 5, 5}, 0, 3}, 0},
    {"conv:2x5x5p2,flatten,dense", {36, {1, 6, 6}, 0, 3}, 0},
    {"conv:7x3x3s2p1,flatten,dense", {256, {4, 8, 8}, 0, 3}, 0},
    {"pool:2,flatten,dense", {60, {2, 5, 6}, 0, 3}, 0},
    {"pool:3s2p1,flatten,dense", {84, {2, 6, 7}, 0, 3}, 0},
    {"pool:3x2s1,flatten,dense", {60, {2, 5, 6}, 0, 3}, 0},
    {"avgpool:2,flatten,dense", {60, {2, 5, 6}, 0, 3}, 0},
    {"avgpool:3s2p1,flatten,dense", {84, {2, 6, 7}, 0, 3}, 0},
    {"avgpool,flatten,dense", {84, {2, 6, 7}, 0, 3}, 0},
    {"flatten,dense", {84, {2, 6, 7}, 0, 3}, 0},
    {"layernorm,flatten,dense", {84, {2, 6, 7}, 0, 3}, 0},
    {"groupnorm:3,flatten,dense", {120, {6, 4, 5}, 0, 3}, 0},
    {"groupnorm:1,flatten,dense", {120, {6, 4, 5}, 0, 3}, 0},
    {"res(dense:6,tanh,dense:6)", {.n_features = 6, .n_classes = 6}, 0},
    {"res(tanh)", {.n_features = 6, .n_classes = 6}, 0},
    {"res(dense:4,relu,dense:3,tanh|dense:3,sigmoid)", {.n_features = 6, .n_classes = 3}, 0},
    {"res(conv:4x3x3s2p1,groupnorm:2,tanh,conv:4x3x3p1|conv:4x1x1s2),flatten,dense",
     {72, {2, 6, 6}, 0, 3},
     0},
    {"res(res(dense:6,tanh|dense:6),gelu)", {.n_features = 6, .n_classes = 6}, 0},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

struct probe {
    struct model m;
    struct stage s;
    const struct layer *l;
    struct pass pass;
    uint64_t n_in, n_out, n_params; /* of the whole batch */
    float *params, *in, *out, *saved, *d_out, *d_in, *grads;
    double *params_d, *in_d, *out_d, *weights;
};

static void open_probe(struct probe *p, size_t k)
{
    struct error err;
    struct rng r = rng_stream(k + 1, 0, RNG_TEST);
    int rc = model_parse(&p->m, cases[k].spec, cases[k].data, &err);
    cr_assert_eq(rc, 0, "%s: %s", cases[k].spec, err.text);
    p->s = model_stage(&p->m, cases[k].at, cases[k].at + 1);
    p->l = p->s.chain.first + (p->s.chain.first->ops == &layer_transpose);
    p->n_params = p->s.n_params;
    p->n_in = (uint64_t)BATCH * p->s.n_in;
    p->n_out = (uint64_t)BATCH * p->s.n_out;
    p->params = MEM_NEW(float, p->n_params);
    p->grads = MEM_NEW(float, p->n_params);
    p->in = MEM_NEW(float, p->n_in);
    p->d_in = MEM_NEW(float, p->n_in);
    p->out = MEM_NEW(float, p->n_out);
    p->d_out = MEM_NEW(float, p->n_out);
    p->saved = MEM_NEW(float, stage_saved(&p->s, BATCH));
    p->pass = (struct pass){.batch = BATCH, .scratch = MEM_NEW(float, stage_scratch(&p->s, BATCH))};
    p->params_d = MEM_NEW(double, p->n_params);
    p->in_d = MEM_NEW(double, p->n_in);
    p->out_d = MEM_NEW(double, p->n_out);
    p->weights = MEM_NEW(double, p->n_out);
    for (uint64_t i = 0; i < p->n_params; i++)
        p->params_d[i] = (double)(p->params[i] = 0.5f * (float)rng_normal(&r));
    for (uint64_t i = 0; i < p->n_in; i++) {
        p->in[i] =
            p->l->n_tokens > 0 ? (float)rng_below(&r, p->l->n_tokens) : (float)rng_normal(&r);
        p->in_d[i] = (double)p->in[i];
    }
    for (uint64_t i = 0; i < p->n_out; i++)
        p->weights[i] = (double)(p->d_out[i] = (float)rng_normal(&r));
}

static void close_probe(struct probe *p)
{
    void *all[] = {p->params, p->grads,        p->in,       p->d_in, p->out,   p->d_out,
                   p->saved,  p->pass.scratch, p->params_d, p->in_d, p->out_d, p->weights};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

/* The reference's outputs, and their sum weighted as the gradient that comes back is. */
static double weigh(struct probe *p)
{
    double sum = 0;
    for (uint64_t b = 0; b < BATCH; b++) {
        double *rows = p->out_d + b * p->s.n_out, row[512];
        cr_assert(p->s.n_out <= sizeof row / sizeof row[0]);
        reference_layer(p->l, p->params_d, p->in_d + b * p->s.n_in, p->l->columns ? row : rows);
        for (uint64_t i = 0; i < p->s.n_out && p->l->columns; i++)
            p->out_d[i * BATCH + b] = row[i];
    }
    for (uint64_t i = 0; i < p->n_out; i++)
        sum += p->weights[i] * p->out_d[i];
    return sum;
}

/* |got - difference quotient| / |difference quotient| over a vector of n. */
static double against_differences(struct probe *p, double *x, const float *got, uint64_t n)
{
    const double h = 1e-5;
    double *quotient = MEM_NEW(double, n), *got_d = MEM_NEW(double, n);
    for (uint64_t i = 0; i < n; i++) {
        double was = x[i];
        x[i] = was + h;
        double up = weigh(p);
        x[i] = was - h;
        quotient[i] = (up - weigh(p)) / (2 * h);
        x[i] = was;
        got_d[i] = (double)got[i];
    }
    double e = reference_error(got_d, quotient, n);
    free(quotient);
    free(got_d);
    return e;
}

Test(layers, gradients_against_differences)
{
    for (size_t k = 0; k < N_CASES; k++) {
        struct probe p;
        const float beta = 0.25f;
        open_probe(&p, k);
        bool of_tokens = p.l->n_tokens > 0;
        for (uint64_t i = 0; i < p.n_params; i++)
            p.grads[i] = NAN; /* overwritten */
        float *d_out = MEM_NEW(float, p.n_out), *again = MEM_NEW(float, p.n_params);
        memcpy(d_out, p.d_out, p.n_out * sizeof *d_out);
        stage_forward(&p.s, &p.pass, p.params, p.in, p.out, p.saved);
        weigh(&p);
        for (uint64_t i = 0; i < p.n_out; i++)
            cr_assert(fabs((double)p.out[i] - p.out_d[i]) < 2e-6 * (1 + fabs(p.out_d[i])),
                      "%s: output %d is %g, not %g", cases[k].spec, (int)i, (double)p.out[i],
                      p.out_d[i]);
        stage_backward(&p.s, &p.pass, p.params, p.in, p.out, p.saved, d_out, 0.0f, p.grads,
                       of_tokens ? NULL : p.d_in);
        double e = against_differences(&p, p.params_d, p.grads, p.n_params);
        cr_assert_lt(e, 1e-6, "%s: parameters: %g", cases[k].spec, e);
        e = of_tokens ? 0 : against_differences(&p, p.in_d, p.d_in, p.n_in);
        cr_assert_lt(e, 1e-6, "%s: input: %g", cases[k].spec, e);
        for (uint64_t i = 0; i < p.n_params; i++)
            again[i] = 2.0f;
        memcpy(d_out, p.d_out, p.n_out * sizeof *d_out);
        stage_backward(&p.s, &p.pass, p.params, p.in, p.out, p.saved, d_out, beta, again, NULL);
        for (uint64_t i = 0; i < p.n_params; i++)
            cr_assert(fabsf(again[i] - (p.grads[i] + beta * 2.0f)) < 1e-5f * (1 + fabsf(again[i])),
                      "%s: beta", cases[k].spec);
        free(d_out);
        free(again);
        close_probe(&p);
    }
}

Test(layers, losses_against_differences)
{
    static const struct {
        enum loss loss;
        uint32_t n;
    } losses[] = {
        {LOSS_SOFTMAX, 5}, {LOSS_LOGISTIC, 1}, {LOSS_HINGE, 1}, {LOSS_HINGE, 5}, {LOSS_MSE, 1}};
    enum { N = 40, WIDEST = 5 };
    for (size_t k = 0; k < sizeof losses / sizeof losses[0]; k++) {
        struct rng r = rng_stream(k, 1, RNG_TEST);
        uint32_t n = losses[k].n;
        float z[N * WIDEST], d[N * WIDEST];
        double got[N * WIDEST], quotient[N * WIDEST], sum = 0;
        union target y[N];
        for (uint32_t i = 0; i < N * n; i++)
            z[i] = 2 * (float)rng_normal(&r);
        for (int b = 0; b < N; b++)
            if (losses[k].loss == LOSS_MSE)
                y[b].real = (float)rng_normal(&r);
            else
                y[b].class = rng_below(&r, n > 1 ? n : 2);
        double loss = loss_gradient(losses[k].loss, z, y, N, n, d);
        for (uint32_t i = 0; i < N * n; i++) {
            double at[WIDEST], h = 1e-5;
            for (uint32_t j = 0; j < n; j++)
                at[j] = (double)z[i / n * n + j];
            sum += i % n == 0 ? reference_sample_loss(losses[k].loss, at, y[i / n], n) : 0;
            at[i % n] += h;
            double up = reference_sample_loss(losses[k].loss, at, y[i / n], n);
            at[i % n] -= 2 * h;
            quotient[i] =
                (up - reference_sample_loss(losses[k].loss, at, y[i / n], n)) / (2 * h) / N;
            got[i] = (double)d[i];
        }
        double e = reference_error(got, quotient, N * n);
        cr_assert_lt(e, 1e-6, "%s of %u: %g", loss_names[losses[k].loss], n, e);
        cr_assert(fabs(loss - sum / N) < 1e-6 * loss);
    }
}

Test(layers, which_answer_is_right)
{
    static const struct {
        enum loss loss;
        uint32_t n;
        float z[3];
        uint32_t class;
        bool right;
    } answers[] = {{LOSS_SOFTMAX, 3, {1, 2, 0}, 1, true}, {LOSS_SOFTMAX, 3, {2, 2, 0}, 1, false},
                   {LOSS_SOFTMAX, 3, {2, 2, 0}, 0, true}, {LOSS_SOFTMAX, 3, {0, 2, NAN}, 1, false},
                   {LOSS_LOGISTIC, 1, {0.1f}, 1, true},   {LOSS_LOGISTIC, 1, {0}, 1, false},
                   {LOSS_LOGISTIC, 1, {0}, 0, true},      {LOSS_HINGE, 1, {NAN}, 0, false},
                   {LOSS_HINGE, 1, {-1}, 0, true},        {LOSS_MSE, 1, {0}, 0, false}};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        cr_assert_eq(loss_is_correct(answers[i].loss, answers[i].z, answers[i].n, answers[i].class),
                     answers[i].right, "case %zu", i);
}

Test(layers, dropout)
{
    enum { N = 20000 };
    struct model m;
    struct error err;
    cr_assert_eq(model_parse(&m, "relu,dropout:0.3", data_flat(N, N), &err), 0, "%s", err.text);
    struct stage s = model_stage(&m, 1, 2);
    float *in = MEM_NEW(float, N), *out = MEM_NEW(float, N), *d = MEM_NEW(float, N);
    float *saved = MEM_NEW(float, N), *first = MEM_NEW(float, N), *back = MEM_NEW(float, N);
    struct pass passes[] = {{.batch = 1, .training = true, .seed = 1, .node = 2, .step = 3},
                            {.batch = 1, .training = true, .seed = 1, .node = 2, .step = 3},
                            {.batch = 1, .training = true, .seed = 2, .node = 2, .step = 3},
                            {.batch = 1, .training = true, .seed = 1, .node = 3, .step = 3},
                            {.batch = 1, .training = true, .seed = 1, .node = 2, .step = 4},
                            {.batch = 1, .seed = 1, .node = 2, .step = 3}};
    for (int i = 0; i < N; i++)
        in[i] = 1.0f + (float)i;
    for (size_t k = 0; k < sizeof passes / sizeof passes[0]; k++) {
        int n_kept = 0;
        stage_forward(&s, &passes[k], NULL, in, out, saved);
        for (int i = 0; i < N; i++) {
            n_kept += out[i] > 0.0f;
            d[i] = 1.0f;
            float scale = passes[k].training ? 1 / 0.7f : 1;
            cr_assert(out[i] == 0.0f || fabsf(out[i] - in[i] * scale) < 1e-6f * out[i]);
        }
        cr_assert(passes[k].training ? abs(n_kept - N * 7 / 10) < 300 : n_kept == N, "%d", n_kept);
        stage_backward(&s, &passes[k], NULL, in, out, saved, d, 0, NULL, back);
        for (int i = 0; i < N; i++)
            cr_assert(fabsf(back[i] * in[i] - out[i]) < 1e-6f * in[i] * 2);
        if (k == 0)
            memcpy(first, out, N * sizeof *out);
        else
            cr_assert_eq(memcmp(first, out, N * sizeof *out) == 0, k == 1, "case %zu", k);
    }
    void *all[] = {in, out, d, saved, first, back};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

Test(layers, transpose_to_columns_and_back)
{
    enum { N = 37, SAMPLES = 21 };
    struct pass pass = {.batch = SAMPLES};
    struct layer to = {.ops = &layer_transpose, .n_in = N, .n_out = N, .columns = true}, back = to;
    float x[SAMPLES * N], y[SAMPLES * N], z[SAMPLES * N];
    back.columns = false;
    for (int i = 0; i < SAMPLES * N; i++)
        x[i] = (float)i;
    to.ops->forward(&to, &pass, NULL, x, y, NULL);
    for (int b = 0; b < SAMPLES; b++)
        for (int i = 0; i < N; i++)
            cr_assert_eq(y[i * SAMPLES + b], x[b * N + i]);
    back.ops->forward(&back, &pass, NULL, y, z, NULL);
    cr_assert_arr_eq(z, x, sizeof x);
    to.ops->backward(&to, &pass, NULL, NULL, NULL, NULL, y, 0, NULL, z);
    cr_assert_arr_eq(z, x, sizeof x);
    back.ops->backward(&back, &pass, NULL, NULL, NULL, NULL, x, 0, NULL, z);
    cr_assert_arr_eq(z, y, sizeof y);
}

/* A backward pass that moves theta as it goes leaves the bits of one that is followed by the step.
 */
Test(layers, theta_moved_on_the_way_or_afterwards)
{
    static const char *const specs[] = {
        "flatten,dense:37,relu,dense", "conv:4x3x3,relu,flatten,dense:9,layernorm,dense",
        "conv:4x3x3p1,groupnorm:2,relu,res(conv:8x3x3s2p1,relu|conv:8x1x1s2),flatten,dense"};
    enum { N = 9, N_IN = 64 };
    for (size_t k = 0; k < sizeof specs / sizeof specs[0]; k++) {
        struct model m;
        struct error err;
        struct rng r = rng_stream(k, 3, RNG_TEST);
        cr_assert_eq(model_parse(&m, specs[k], (struct data_shape){N_IN, {1, 8, 8}, 0, 4}, &err), 0,
                     "%s", err.text);
        float *theta = MEM_NEW(float, m.dim), *moved = MEM_NEW(float, m.dim);
        float *v = MEM_NEW(float, m.dim), *moved_v = MEM_NEW(float, m.dim);
        float *x = MEM_NEW(float, N *N_IN), *scratch = MEM_NEW(float, model_scratch(&m, N));
        union target y[N];
        model_init(&m, 1, theta);
        for (int i = 0; i < N * N_IN; i++)
            x[i] = (float)rng_normal(&r);
        for (int i = 0; i < N; i++)
            y[i].class = rng_below(&r, 4);
        for (uint64_t i = 0; i < m.dim; i++)
            moved_v[i] = v[i] = (float)rng_normal(&r);
        memcpy(moved, theta, m.dim * sizeof *theta);
        struct pass pass = {.batch = N, .training = true};
        double loss = model_loss_grad(&m, &pass, theta, x, y, 0.9f, v, scratch);
        for (uint64_t i = 0; i < m.dim; i++)
            theta[i] = fmaf(-0.1f, v[i], theta[i]);
        pass.theta = moved;
        pass.lr = 0.1f;
        double same = model_loss_grad(&m, &pass, moved, x, y, 0.9f, moved_v, scratch);
        cr_assert(loss <= same && loss >= same, "%s", specs[k]);
        cr_assert_arr_eq(moved_v, v, m.dim * sizeof *v, "%s", specs[k]);
        cr_assert_arr_eq(moved, theta, m.dim * sizeof *v, "%s", specs[k]);
        void *all[] = {theta, moved, v, moved_v, x, scratch};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            free(all[i]);
    }
}

/* Every way to cut some models into two and three gives the loss and the gradient of the whole. */
Test(layers, stages_in_sequence_are_the_whole)
{
    static const char *const specs[] = {
        "conv:4x3x3,tanh,flatten,sigmoid,dense:12,relu,dropout:0.5,dense",
        "flatten,layernorm,dense:9,sigmoid,dense",
        "conv:4x3x3p1,groupnorm:2,relu,res(conv:8x3x3s2p1,relu|conv:8x1x1s2),flatten,dense"};
    enum { N = 5, N_IN = 64, WIDEST = 1024 };
    for (size_t k = 0; k < sizeof specs / sizeof specs[0]; k++) {
        struct model m;
        struct error err;
        struct rng r = rng_stream(k, 2, RNG_TEST);
        struct data_shape data = {N_IN, {1, 8, 8}, 0, 4};
        cr_assert_eq(model_parse(&m, specs[k], data, &err), 0, "%s", err.text);
        float *theta = MEM_NEW(float, m.dim), *grad = MEM_NEW(float, m.dim);
        float *x = MEM_NEW(float, N *N_IN), *got = MEM_NEW(float, m.dim);
        float *scratch = MEM_NEW(float, model_scratch(&m, N));
        float *act[4], *d[4], *saved[3];
        union target y[N];
        struct pass pass = {.batch = N, .training = true, .seed = 3};
        model_init(&m, 1, theta);
        for (int i = 0; i < N * N_IN; i++)
            x[i] = (float)rng_normal(&r);
        for (int i = 0; i < N; i++)
            y[i].class = rng_below(&r, 4);
        for (int i = 0; i < 4; i++) {
            act[i] = MEM_NEW(float, N *WIDEST);
            d[i] = MEM_NEW(float, N *WIDEST);
        }
        double whole = model_loss_grad(&m, &pass, theta, x, y, 0, grad, scratch);
        for (uint32_t a = 1; a < m.n_layers; a++)
            for (uint32_t b = a; b < m.n_layers; b++) {
                uint32_t cuts[4] = {0, a, b, m.n_layers}, n = 3;
                if (a == b) {
                    cuts[2] = m.n_layers;
                    n = 2;
                }
                struct stage s[3];
                memcpy(act[0], x, N * N_IN * sizeof *x);
                for (uint32_t i = 0; i < n; i++) {
                    s[i] = model_stage(&m, cuts[i], cuts[i + 1]);
                    cr_assert_eq(s[i].offset, i > 0 ? s[i - 1].offset + s[i - 1].n_params : 0);
                    saved[i] = MEM_NEW(float, stage_saved(&s[i], N));
                    pass.scratch = scratch;
                    stage_forward(&s[i], &pass, theta + s[i].offset, act[i], act[i + 1], saved[i]);
                }
                double loss = loss_gradient(m.loss, act[n], y, N, m.n_out, d[n]);
                cr_assert(loss <= whole && loss >= whole, "%s, %u, %u", specs[k], a, b);
                for (uint32_t i = n; i-- > 0;) {
                    stage_backward(&s[i], &pass, theta + s[i].offset, act[i], act[i + 1], saved[i],
                                   d[i + 1], 0, got + s[i].offset, i > 0 ? d[i] : NULL);
                    free(saved[i]);
                }
                cr_assert_arr_eq(got, grad, m.dim * sizeof *got, "%s, %u, %u", specs[k], a, b);
            }
        void *all[] = {theta,  grad,   x,    got,  scratch, act[0], act[1],
                       act[2], act[3], d[0], d[1], d[2],    d[3]};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            free(all[i]);
    }
}

Test(layers, cuts_are_balanced)
{
    static const double costs[] = {5, 1, 1, 1, 4, 3, 1, 6, 2};
    static const double dearest[] = {24, 12, 8, 8, 6, 6, 6, 6, 6};
    struct model m;
    struct error err;
    uint32_t cuts[10];
    cr_assert_eq(
        model_parse(&m, "relu,relu,relu,relu,relu,relu,relu,relu,relu", data_flat(3, 3), &err), 0);
    for (uint32_t n = 1; n <= 9; n++) {
        double most = 0;
        model_cut(&m, costs, n, cuts);
        cr_assert(cuts[0] == 0 && cuts[n] == 9);
        for (uint32_t k = 0; k < n; k++) {
            double sum = 0;
            cr_assert_lt(cuts[k], cuts[k + 1]);
            for (uint32_t i = cuts[k]; i < cuts[k + 1]; i++)
                sum += costs[i];
            most = fmax(most, sum);
        }
        cr_assert(fabs(most - dearest[n - 1]) < 1e-9, "%u stages: %g", n, most);
    }
}
