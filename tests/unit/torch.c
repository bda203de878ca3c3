/* Ten steps of some models follow PyTorch's losses, as tests/torch/record_losses wrote them. */
#include "base/mem.h"
#include "model/model.h"
#include "model/optim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(torch, .timeout = 120);

enum { STEPS = 10, BATCH = 16, N_IN = 784 };

struct recorded {
    const char *spec;
    uint32_t n_classes;
    enum optimizer kind;
    float lr, decay, clip;
    double losses[STEPS];
};

#include "tests/unit/torch_losses.h"

/* The formulas of the script. */
static float uniform(uint64_t i, uint64_t salt)
{
    uint64_t h = (i + (salt << 32)) * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 32;
    h *= UINT64_C(0xD6E8FEB86659FD93);
    return (float)(h >> 40) / 8388608.0f - 1.0f;
}

static void set_weights(const struct model *m, float *theta)
{
    for (uint32_t k = 0; k < m->n_tensors; k++) {
        const struct tensor_info *t = &m->tensors[k];
        uint64_t fan_in = 1, n = t->shape[0];
        for (uint32_t d = 1; d < t->n_dims; d++)
            fan_in *= t->shape[d];
        n *= fan_in;
        fan_in = t->n_dims > 1 ? fan_in : 16;
        bool is_norm = t->n_dims == 1 && strstr(t->name, "weight") != NULL;
        for (uint64_t i = 0; i < n; i++) {
            float u = uniform(i, k + 1);
            theta[t->offset + i] = is_norm ? 1.0f + u / 4.0f : u / sqrtf((float)fan_in);
        }
    }
}

static void follow(const struct recorded *r)
{
    struct model m;
    struct error err;
    struct data_shape data = {N_IN, {1, 28, 28}, 0, r->n_classes};
    cr_assert_eq(model_parse(&m, r->spec, data, &err), 0, "%s", err.text);
    struct optim_config c = optim_defaults(r->kind);
    c.lr = r->lr;
    c.weight_decay = r->decay;
    c.clip = r->clip;
    float *theta = MEM_NEW(float, m.dim), *grad = MEM_NEW(float, m.dim),
          *x = MEM_NEW(float, BATCH *N_IN);
    float *momentum = MEM_NEW(float, m.dim), *second = MEM_NEW(float, m.dim);
    float *scratch = MEM_NEW(float, model_scratch(&m, BATCH));
    bool apart = optim_wants_gradient(&c);
    set_weights(&m, theta);
    for (uint32_t step = 0; step < STEPS; step++) {
        struct pass pass = {.batch = BATCH, .training = true, .step = step};
        union target y[BATCH];
        for (uint32_t b = 0; b < BATCH; b++)
            y[b].class = r->n_classes == 2 ? (b + step) % 2 : (7 * b + 3 * step) % 10;
        for (uint64_t i = 0; i < BATCH * N_IN; i++)
            x[i] = uniform(i, 1000 + step);
        double loss = model_loss_grad(&m, &pass, theta, x, y, apart ? 0 : c.momentum,
                                      apart ? grad : momentum, scratch);
        cr_assert(fabs(loss - r->losses[step]) < 1e-5, "%s, %s, step %u: %.9g, not %.9g", r->spec,
                  optimizer_names[r->kind], step, loss, r->losses[step]);
        struct optim_rates rates = {c.lr, apart ? optim_clip(&c, grad, m.dim) : 1.0f, step + 1,
                                    1.0f};
        optim_step(&c, &rates, theta, momentum, second, apart ? grad : NULL, m.dim);
    }
    void *all[] = {theta, grad, x, momentum, second, scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

Test(torch, ten_steps_follow_the_recorded_losses)
{
    cr_assert_geq(sizeof recorded / sizeof recorded[0], 10);
    for (size_t k = 0; k < sizeof recorded / sizeof recorded[0]; k++)
        follow(&recorded[k]);
}
