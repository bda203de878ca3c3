#include "model/direct.h"

#include "base/mem.h"
#include "base/rng.h"
#include "model/stage.h"
#include "tests/support/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(direct, .timeout = 60);

Test(direct, models_that_it_suits)
{
    static const struct {
        const char *spec;
        uint32_t n_features, n_classes, batch;
        bool suits;
    } cases[] = {{"softmax", 28, 2, 1, true},     {"logistic", 57, 2, 8, true},
                 {"svm", 57, 3, 4, true},         {"linear", 10, 0, 1, true},
                 {"softmax", 28, 2, 9, false},    {"softmax", 784, 10, 1, false},
                 {"mlp:28-2-2", 28, 2, 1, false}, {"softmax", 20, 10, 7, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        struct error err;
        struct data_shape shape = data_flat(cases[i].n_features, cases[i].n_classes);
        cr_assert_eq(model_parse(&m, cases[i].spec, shape, &err), 0, "%s", err.text);
        cr_assert_eq(direct_suits(&m, cases[i].batch), cases[i].suits, "%s, %u", cases[i].spec,
                     cases[i].batch);
    }
}

/* Loss and gradient as the chain of layers has them, which goes the same way for every model. */
static double by_chain(const struct model *m, const float *theta, const float *x,
                       const union target *y, uint32_t batch, float beta, float *grad)
{
    struct stage s = model_stage(m, 0, m->n_layers);
    float *scratch = MEM_NEW(float, stage_scratch(&s, batch) + 1);
    float *saved = MEM_NEW(float, stage_saved(&s, batch) + 1);
    float *logits = MEM_NEW(float, batch * m->n_out), *d_logits = MEM_NEW(float, batch * m->n_out);
    struct pass pass = {.batch = batch, .training = true, .scratch = scratch};
    stage_forward(&s, &pass, theta, x, logits, saved);
    double loss = loss_gradient(m->loss, logits, y, batch, m->n_out, d_logits);
    stage_backward(&s, &pass, theta, x, logits, saved, d_logits, beta, grad, NULL);
    free(scratch);
    free(saved);
    free(logits);
    free(d_logits);
    return loss;
}

static void compare(const char *spec, uint32_t n_features, uint32_t n_classes, uint32_t batch,
                    float beta)
{
    struct model m;
    struct error err;
    struct rng r = rng_stream(n_features, batch, RNG_TEST);
    cr_assert_eq(model_parse(&m, spec, data_flat(n_features, n_classes), &err), 0, "%s", err.text);
    cr_assert(direct_suits(&m, batch));
    float *theta = MEM_NEW(float, m.dim), *x = MEM_NEW(float, batch *n_features);
    float *got = MEM_NEW(float, m.dim), *due = MEM_NEW(float, m.dim);
    union target *y = MEM_NEW(union target, batch);
    double *got_d = MEM_NEW(double, m.dim), *due_d = MEM_NEW(double, m.dim);
    for (uint64_t i = 0; i < m.dim; i++) {
        theta[i] = (float)rng_normal(&r);
        got[i] = due[i] = beta > 0 ? (float)rng_normal(&r) : NAN; /* 0 overwrites */
    }
    for (uint32_t i = 0; i < batch * n_features; i++)
        x[i] = (float)rng_normal(&r);
    for (uint32_t i = 0; i < batch; i++)
        if (n_classes > 0)
            y[i].class = rng_below(&r, n_classes);
        else
            y[i].real = (float)rng_normal(&r);
    double loss = by_chain(&m, theta, x, y, batch, beta, due);
    double direct = direct_loss_grad(&m, theta, x, y, batch, beta, got);
    cr_assert(fabs(direct - loss) <= 1e-5 * (1 + loss), "%s: %g, %g", spec, direct, loss);
    for (uint64_t i = 0; i < m.dim; i++) {
        got_d[i] = (double)got[i];
        due_d[i] = (double)due[i];
        cr_assert(isfinite(got[i]));
    }
    double size = 0;
    for (uint64_t i = 0; i < m.dim; i++)
        size += due_d[i] * due_d[i];
    double e = size > 0 ? reference_error(got_d, due_d, m.dim) : 0;
    cr_assert(e < 1e-5, "%s, %u features, batch %u, beta %g: %g", spec, n_features, batch,
              (double)beta, e);
    void *all[] = {theta, x, got, due, y, got_d, due_d};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

Test(direct, as_the_chain_has_it)
{
    static const struct {
        const char *spec;
        uint32_t n_classes;
    } models[] = {{"softmax", 2}, {"softmax", 3}, {"logistic", 2},
                  {"svm", 2},     {"svm", 5},     {"linear", 0}};
    static const uint32_t features[] = {1, 7, 16, 28, 57, 64}, batches[] = {1, 3, 8};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        for (size_t f = 0; f < sizeof features / sizeof features[0]; f++)
            for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
                compare(models[i].spec, features[f], models[i].n_classes, batches[b], 0.0f);
                compare(models[i].spec, features[f], models[i].n_classes, batches[b], 0.9f);
            }
}

/* A descent as the gradient is computed has the bits of one that has it first. */
Test(direct, descends)
{
    static const char *const specs[] = {"softmax", "logistic", "svm", "linear"};
    static const uint32_t features[] = {1, 7, 16, 28, 57}, batches[] = {1, 2, 8};
    enum { SPECS = 4, FEATURES = 5, BATCHES = 3, WIDTH_MAX = 57, BATCH_MAX = 8 };
    for (uint32_t k = 0; k < SPECS * FEATURES * BATCHES * 2; k++) {
        struct model m;
        struct error err;
        const char *spec = specs[k % SPECS];
        uint32_t n = features[k / SPECS % FEATURES],
                 batch = batches[k / SPECS / FEATURES % BATCHES];
        uint32_t n_classes = strcmp(spec, "linear") == 0 ? 0 : 2;
        struct optim_config c = optim_defaults(OPTIM_SGD);
        struct optim_rates rates = {.lr = 0.3f, .scale = 1.0f, .age = 1, .factor = 1.7f};
        struct rng r = rng_stream(k, 0, RNG_TEST);
        float x[WIDTH_MAX * BATCH_MAX], theta[2 * WIDTH_MAX + 2], due[2 * WIDTH_MAX + 2];
        float grad[2 * WIDTH_MAX + 2];
        union target y[BATCH_MAX];
        c.momentum = 0.0f;
        c.weight_decay = k % 2 == 0 ? 0.0f : 0.01f;
        cr_assert_eq(model_parse(&m, spec, data_flat(n, n_classes), &err), 0, "%s", err.text);
        cr_assert(direct_suits(&m, batch) && optim_is_plain(&c));
        for (uint64_t i = 0; i < m.dim; i++)
            theta[i] = due[i] = (float)rng_normal(&r);
        for (uint32_t i = 0; i < n * batch; i++)
            x[i] = (float)rng_normal(&r);
        for (uint32_t i = 0; i < batch; i++)
            y[i].class = n_classes > 0 ? rng_below(&r, 2) : 0;
        double loss = direct_loss_grad(&m, due, x, y, batch, 0.0f, grad);
        optim_step(&c, &rates, due, NULL, NULL, grad, m.dim);
        cr_assert_eq(direct_descend(&m, theta, x, y, batch, &c, &rates), loss);
        cr_assert_arr_eq(theta, due, m.dim * sizeof *theta, "%s, %u features, batch %u", spec, n,
                         batch);
    }
}

/* Where the backward pass is to move theta, it does. */
Test(direct, moves_theta)
{
    struct model m;
    struct error err;
    float theta[22], moved[22], grad[22], x[10];
    cr_assert_eq(model_parse(&m, "softmax", data_flat(10, 2), &err), 0, "%s", err.text);
    cr_assert(m.dim == 22 && direct_suits(&m, 1));
    float *scratch = MEM_NEW(float, model_scratch(&m, 1));
    model_init(&m, 1, theta);
    memcpy(moved, theta, sizeof moved);
    for (int i = 0; i < 10; i++)
        x[i] = (float)i - 4.5f;
    struct pass pass = {.batch = 1, .training = true, .theta = moved, .lr = 0.5f};
    model_loss_grad(&m, &pass, moved, x, &(union target){.class = 1}, 0.0f, grad, scratch);
    for (int i = 0; i < 22; i++)
        cr_assert(grad[i] != 0 && moved[i] == fmaf(-0.5f, grad[i], theta[i]));
    free(scratch);
}
