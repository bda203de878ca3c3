#include "model/start.h"

#include "base/mem.h"
#include "base/vec.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(start, .timeout = 20);

/* Every layer gets the norm of the other weights, and keeps its direction; zeros stay. */
Test(start, rescale)
{
    struct error err;
    struct model m;
    double factors[MODEL_NODES_MAX];
    cr_assert_eq(model_parse(&m, "mlp:6-5-4-3", data_flat(6, 3), &err), 0);
    cr_assert_eq(m.n_layers, 5);
    float *initial = MEM_NEW(float, m.dim), *theta = MEM_NEW(float, m.dim);
    model_init(&m, 1, initial);
    memcpy(theta, initial, m.dim * sizeof *theta);
    uint64_t second = 6 * 5 + 5, third = second + 5 * 4 + 4;
    for (uint64_t i = 0; i < m.dim; i++)
        theta[i] *= i < second ? 4.0f : i < third ? 0.0f : 0.125f;
    start_rescale(&m, initial, theta, factors);
    static const double wanted[] = {0.25, 1, 0, 1, 8};
    for (uint32_t i = 0; i < 5; i++)
        cr_expect_float_eq(factors[i], wanted[i], 1e-6, "%u", i);
    for (uint64_t i = 0; i < m.dim; i++) {
        float right = i >= second && i < third ? 0.0f : initial[i];
        cr_assert(fabsf(theta[i] - right) <= 1e-6f * fabsf(right), "%lu", (unsigned long)i);
    }
    free(initial);
    free(theta);
}
