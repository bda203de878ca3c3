#include "model/model.h"

#include "base/mem.h"
#include "base/rng.h"
#include "tests/support/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(model, .timeout = 60);

Test(model, canonical_specs_and_tensors)
{
    static const struct {
        const char *spec, *canonical;
        uint32_t n_layers, n_tensors;
        uint64_t dim;
    } cases[] = {
        {"mlp:784-256-128-10", "mlp:784-256-128-10", 5, 6, 235146},
        {"mlp:0784-016-10", "mlp:784-16-10", 3, 4, 12730},
        {"softmax", "softmax:784-10", 1, 2, 7850},
        {"softmax:784-10", "softmax:784-10", 1, 2, 7850},
        {"mlp:784-10", "softmax:784-10", 1, 2, 7850},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        struct error err;
        cr_assert_eq(model_parse(&m, cases[i].spec, data_flat(784, 10), &err), 0, "%s", err.text);
        cr_assert_str_eq(m.spec, cases[i].canonical);
        cr_assert_eq(m.n_layers, cases[i].n_layers);
        cr_assert_eq(m.n_tensors, cases[i].n_tensors);
        cr_assert_eq(m.dim, cases[i].dim);
        uint64_t offset = 0;
        for (uint32_t t = 0; t < m.n_tensors; t++) {
            char name[32];
            snprintf(name, sizeof name, "%u.%s", t / 2 * 2, t % 2 == 0 ? "weight" : "bias");
            cr_assert_str_eq(m.tensors[t].name, name);
            cr_assert_eq(m.tensors[t].offset, offset);
            offset += m.tensors[t].shape[0] * (t % 2 == 0 ? m.tensors[t].shape[1] : 1);
        }
        cr_assert_eq(offset, m.dim);
    }
}

Test(model, specs_that_are_refused)
{
    static const struct {
        const char *spec, *texts[4];
    } cases[] = {
        {"mlp:256-128", {"256", "128", "784", "10"}},
        {"mlp:784-256-11", {"784", "11", "10 classes", ""}},
        {"softmax:20-10", {"20", "784", "", ""}},
        {"mlp:", {"list of 2", "", "", ""}},
        {"mlp:784", {"list of 2", "", "", ""}},
        {"mlp:784--10", {"list of 2", "", "", ""}},
        {"mlp:784-0-10", {"list of 2", "", "", ""}},
        {"mlp:784-65537-10", {"65536", "", "", ""}},
        {"mlp:784-256-10-", {"list of 2", "", "", ""}},
        {"mlp:784-65536-65536-10", {"parameters", "", "", ""}},
        {"softmax:784-20-10", {"right: softmax:784-10", "", "", ""}},
        {"mlp", {"right: mlp:784-256-128-10", "", "", ""}},
        {"cnn:3", {"'cnn' is no model", "", "", ""}},
        {"", {"a layer is missing", "", "", ""}},
    };
    struct model m;
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(model_parse(&m, cases[i].spec, data_flat(784, 10), &err), ERR_USAGE, "%s",
                     cases[i].spec);
        for (int t = 0; t < 4; t++)
            cr_assert_not_null(strstr(err.text, cases[i].texts[t]), "%s: %s", cases[i].spec,
                               err.text);
    }
    char deep[MODEL_SPEC_MAX + 100] = "mlp:784";
    while (strlen(deep) < MODEL_SPEC_MAX)
        strcat(deep, "-5");
    cr_assert_eq(model_parse(&m, deep, data_flat(784, 10), &err), ERR_USAGE);
}

Test(model, first_weights)
{
    struct model m;
    struct error err;
    cr_assert_eq(model_parse(&m, "mlp:784-256-10", data_flat(784, 10), &err), 0);
    float *a = MEM_NEW(float, m.dim), *b = MEM_NEW(float, m.dim);
    model_init(&m, 1, a);
    model_init(&m, 1, b);
    cr_assert_arr_eq(a, b, m.dim * sizeof *a);
    model_init(&m, 2, b);
    cr_assert_arr_neq(a, b, m.dim * sizeof *a);
    for (uint32_t i = 0; i < m.n_nodes; i++) {
        const struct layer *l = &m.nodes[i];
        double bound = 1.0 / sqrt(l->n_in), squares = 0;
        for (uint64_t p = 0; p < l->n_params; p++) {
            double w = (double)a[l->offset + p];
            cr_assert(fabs(w) <= bound);
            squares += w * w;
        }
        if (l->n_params > 1000)
            cr_assert(fabs(squares / (double)l->n_params / (bound * bound / 3) - 1) < 0.1);
    }
    free(a);
    free(b);
}

enum { BATCH = 9, N_IN = 13, N_CLASSES = 5 };

struct sample {
    struct model m;
    float *theta, *x, *grad, *scratch;
    double *theta_d, *x_d, *grad_d, *got;
    union target y[BATCH];
};

static void make_sample(struct sample *s, const char *spec)
{
    struct error err;
    struct rng r = rng_stream(11, 0, RNG_TEST);
    cr_assert_eq(model_parse(&s->m, spec, data_flat(N_IN, N_CLASSES), &err), 0, "%s", err.text);
    s->theta = MEM_NEW(float, s->m.dim);
    s->grad = MEM_NEW(float, s->m.dim);
    s->x = MEM_NEW(float, BATCH *N_IN);
    s->scratch = MEM_NEW(float, model_scratch(&s->m, BATCH));
    s->theta_d = MEM_NEW(double, s->m.dim);
    s->grad_d = MEM_NEW(double, s->m.dim);
    s->got = MEM_NEW(double, s->m.dim);
    s->x_d = MEM_NEW(double, BATCH *N_IN);
    model_init(&s->m, 3, s->theta);
    for (uint64_t i = 0; i < s->m.dim; i++)
        s->theta_d[i] = (double)s->theta[i];
    for (int i = 0; i < BATCH * N_IN; i++) {
        s->x[i] = (float)rng_normal(&r);
        s->x_d[i] = (double)s->x[i];
    }
    for (int i = 0; i < BATCH; i++)
        s->y[i].class = rng_below(&r, N_CLASSES);
}

static void free_sample(struct sample *s)
{
    void *all[] = {s->theta, s->x, s->grad, s->scratch, s->theta_d, s->x_d, s->grad_d, s->got};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

static const char *const specs[] = {"softmax", "mlp:13-8-5", "mlp:13-40-5", "mlp:13-9-7-6-5"};
enum { N_SPECS = sizeof specs / sizeof specs[0] };

/* Central differences of the reference's loss. */
static void differences(struct sample *s, double *grad)
{
    const double h = 1e-5;
    for (uint64_t i = 0; i < s->m.dim; i++) {
        double w = s->theta_d[i];
        s->theta_d[i] = w + h;
        double up = reference_loss(&s->m, s->theta_d, s->x_d, s->y, BATCH);
        s->theta_d[i] = w - h;
        double down = reference_loss(&s->m, s->theta_d, s->x_d, s->y, BATCH);
        s->theta_d[i] = w;
        grad[i] = (up - down) / (2 * h);
    }
}

Test(model, gradients_against_differences)
{
    static const float betas[] = {0.0f, 0.9f};
    for (size_t k = 0; k < N_SPECS * 2; k++) {
        struct sample s;
        float beta = betas[k % 2];
        make_sample(&s, specs[k / 2]);
        differences(&s, s.grad_d);
        double expected = reference_loss(&s.m, s.theta_d, s.x_d, s.y, BATCH);
        for (uint64_t i = 0; i < s.m.dim; i++) {
            s.grad[i] = beta > 0 ? 0.5f : NAN; /* beta = 0 overwrites whatever was there */
            s.grad_d[i] += beta > 0 ? (double)beta * 0.5 : 0;
        }
        double loss = model_loss_grad(&s.m, &(struct pass){.batch = BATCH}, s.theta, s.x, s.y, beta,
                                      s.grad, s.scratch);
        cr_assert(fabs(loss - expected) < 1e-6 * expected);
        for (uint64_t i = 0; i < s.m.dim; i++)
            s.got[i] = (double)s.grad[i];
        double e = reference_error(s.got, s.grad_d, s.m.dim);
        cr_assert_lt(e, 1e-6, "%s, beta %g: %g", specs[k / 2], (double)beta, e);
        free_sample(&s);
    }
}

Test(model, loss_of_extreme_logits)
{
    static const float logits[] = {1000, 0, 0, -1000, -1000, -1000, 0, 80, 1000};
    static const union target y[] = {{0}, {1}, {0}};
    float d[9];
    double loss = loss_gradient(LOSS_SOFTMAX, logits, y, 3, 3, d);
    cr_assert(fabs(loss - (0 + log(3) + 1000) / 3) < 1e-3, "%g", loss);
    for (int i = 0; i < 9; i++)
        cr_assert(isfinite(d[i]));
    float poisoned[] = {0, NAN, 0};
    cr_assert(isnan(loss_gradient(LOSS_SOFTMAX, poisoned, y, 1, 3, d)));
}

Test(model, softmax_of_two_classes)
{
    static const float logits[][2] = {{0, 0},    {1, -2},         {-3, 0.5f}, {80, 0},
                                      {-70, 40}, {1e-3f, -1e-3f}, {20, 20.5f}};
    for (size_t i = 0; i < sizeof logits / sizeof logits[0]; i++)
        for (uint32_t truth = 0; truth < 2; truth++) {
            double z[2] = {(double)logits[i][0], (double)logits[i][1]},
                   p = 1 / (1 + exp(z[1] - z[0]));
            union target y = {.class = truth};
            float d[2];
            double loss = loss_gradient(LOSS_SOFTMAX, logits[i], &y, 1, 2, d);
            double due = reference_sample_loss(LOSS_SOFTMAX, z, y, 2);
            cr_assert(fabs(loss - due) < 1e-6 * (1 + due), "%zu: %g, %g", i, loss, due);
            cr_assert(fabs((double)d[0] - (p - (truth == 0))) < 1e-6, "%zu: %g", i, (double)d[0]);
            cr_assert_eq(d[0], -d[1]);
        }
    float poisoned[] = {NAN, 0}, d[2];
    cr_assert(isnan(loss_gradient(LOSS_SOFTMAX, poisoned, &(union target){0}, 1, 2, d)));
}

Test(model, evaluation)
{
    struct sample s;
    struct evaluation sum = {0};
    make_sample(&s, "mlp:13-8-5");
    const float *z = model_forward(&s.m, &(struct pass){.batch = BATCH}, s.theta, s.x, s.scratch);
    for (uint32_t b = 0; b < BATCH; b++) {
        uint32_t best = 0;
        for (uint32_t j = 1; j < N_CLASSES; j++)
            best = z[b * N_CLASSES + j] > z[b * N_CLASSES + best] ? j : best;
        s.y[b].class = (best + (b % 3 == 0)) % N_CLASSES;
    }
    model_evaluate(&s.m, &(struct pass){.batch = BATCH}, s.theta, s.x, s.y, s.scratch, &sum);
    model_evaluate(&s.m, &(struct pass){.batch = BATCH}, s.theta, s.x, s.y, s.scratch, &sum);
    double loss = reference_loss(&s.m, s.theta_d, s.x_d, s.y, BATCH);
    cr_assert_eq(sum.n, 2 * BATCH);
    cr_assert_eq(sum.n_correct, 2 * BATCH * 2 / 3);
    cr_assert(fabs(sum.loss_sum - 2 * BATCH * loss) < 1e-4 * sum.loss_sum);
    for (uint64_t i = 0; i < s.m.dim; i++)
        s.theta[i] = NAN;
    sum = (struct evaluation){0};
    model_evaluate(&s.m, &(struct pass){.batch = BATCH}, s.theta, s.x, s.y, s.scratch, &sum);
    cr_assert_eq(sum.n_correct, 0, "a model of NaN knows nothing");
    free_sample(&s);
}

/* ---- a first layer that gathers -------------------------------------------------------------- */

enum { LYING = 300, LYING_IN = 48, GATHERED_MAX = 70 };

/* Bytes, images whose channels lie last, and floats that are shifted and scaled. */
static struct dataset lying(int kind)
{
    static uint8_t bytes[LYING * LYING_IN], classes[LYING];
    static float floats[LYING * LYING_IN], shift[LYING_IN], scale[LYING_IN];
    for (int i = 0; i < LYING * LYING_IN; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
        floats[i] = (float)bytes[i] - 100;
    }
    for (int i = 0; i < LYING_IN; i++) {
        shift[i] = (float)i;
        scale[i] = 0.01f * (float)(i + 1);
    }
    for (int i = 0; i < LYING; i++)
        classes[i] = (uint8_t)(i % 3);
    return (struct dataset){.n_samples = LYING,
                            .shape = {LYING_IN, {3, 4, 4}, 0, 3},
                            .x = kind == 2 ? array_of(floats, LYING_IN, ELEMENT_F32)
                                           : array_of(bytes, LYING_IN, ELEMENT_U8),
                            .y = array_of(classes, 1, ELEMENT_U8),
                            .channels_last = kind == 1,
                            .shift = kind == 2 ? shift : NULL,
                            .scale = kind == 2 ? scale : NULL,
                            .scale_all = 1.0f / 255.0f};
}

/* With samples that the first layer gathers everything is as with floats, bit for bit; after
 * training the floats are there, too. */
static void gathers_the_same(const struct model *m, const struct dataset *set, uint32_t batch)
{
    uint32_t samples[GATHERED_MAX];
    union target y[GATHERED_MAX];
    uint64_t n = (uint64_t)batch * LYING_IN, n_logits = (uint64_t)batch * m->n_out;
    float *x = MEM_NEW(float, n), *own = MEM_NEW(float, n), *theta = MEM_NEW(float, m->dim);
    float *grad = MEM_NEW(float, m->dim), *got = MEM_NEW(float, m->dim);
    float *scratch = MEM_NEW(float, model_scratch(m, batch)), *logits = MEM_NEW(float, n_logits);
    struct pass plain = {.batch = batch, .training = true}, lazy = plain;
    for (uint32_t i = 0; i < batch; i++)
        samples[i] = (i * 131 + 17) % LYING;
    for (uint64_t i = 0; i < n; i++)
        own[i] = NAN;
    dataset_gather(set, samples, batch, x, y);
    model_init(m, 1, theta);
    lazy.gather = (struct gather){set, samples, own};
    double loss = model_loss_grad(m, &plain, theta, x, y, 0, grad, scratch);
    double same = model_loss_grad(m, &lazy, theta, own, y, 0, got, scratch);
    cr_assert(loss <= same && loss >= same, "%s, %u", m->spec, batch);
    cr_assert_arr_eq(got, grad, m->dim * sizeof *got, "%s, %u", m->spec, batch);
    cr_assert_arr_eq(own, x, n * sizeof *x, "%s, %u", m->spec, batch);
    plain.training = lazy.training = false;
    memcpy(logits, model_forward(m, &plain, theta, x, scratch), n_logits * sizeof *logits);
    cr_assert_arr_eq(model_forward(m, &lazy, theta, own, scratch), logits,
                     n_logits * sizeof *logits);
    void *all[] = {x, own, theta, grad, got, scratch, logits};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

Test(model, first_layer_gathers)
{
    static const char *const texts[] = {"dense:20,relu,dense",
                                        "flatten,dense:7,relu,dense:5,dense"};
    static const uint32_t batches[] = {1, 7, 8, 16, 29, 64, GATHERED_MAX};
    for (int kind = 0; kind < 3; kind++)
        for (int k = 0; k < 2; k++) {
            struct model m;
            struct error err;
            struct dataset set = lying(kind);
            struct data_shape shape = k == 0 ? data_flat(LYING_IN, 3) : set.shape;
            cr_assert_eq(model_parse(&m, texts[k], shape, &err), 0, "%s", err.text);
            for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
                cr_assert(model_gathers(&m, batches[b]));
                gathers_the_same(&m, &set, batches[b]);
            }
        }
}

Test(model, who_gathers)
{
    static const struct {
        const char *spec;
        uint32_t batch;
        bool gathers;
    } cases[] = {{"dense", 9, true},
                 {"dense", 8, false}, /* goes the direct way */
                 {"flatten,dense", 8, true},
                 {"flatten,relu,dense", 64, false},
                 {"conv:4x3x3,flatten,dense", 64, false},
                 {"relu", 64, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        struct error err;
        struct data_shape data = {LYING_IN, {3, 4, 4}, 0, 3};
        if (strchr(cases[i].spec, ',') == NULL)
            data = data_flat(LYING_IN, strcmp(cases[i].spec, "relu") == 0 ? LYING_IN : 3);
        cr_assert_eq(model_parse(&m, cases[i].spec, data, &err), 0, "%s", err.text);
        cr_assert_eq(model_gathers(&m, cases[i].batch), cases[i].gathers, "%s, %u", cases[i].spec,
                     cases[i].batch);
    }
}
