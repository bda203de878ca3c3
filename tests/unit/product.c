#include "model/product.h"

#include "base/lanes.h"
#include "base/mem.h"
#include "base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

TestSuite(product, .timeout = 60);

static float *random_floats(uint64_t n, struct rng *rng)
{
    float *x = MEM_NEW(float, n);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)(2.0 * rng_uniform(rng) - 1.0);
    return x;
}

static void check(const float *c, const float *before, const double *right, float beta,
                  const float *bias, uint64_t m, uint64_t n, uint64_t k)
{
    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) {
            double want = right[i * n + j] + (bias != NULL ? (double)bias[i] : 0.0) +
                          (beta != 0.0f ? (double)beta * (double)before[i * n + j] : 0.0);
            cr_assert_float_eq((double)c[i * n + j], want, 1e-6 * (3.0 + sqrt((double)k) * 2.0),
                               "%lux%lux%lu, beta %g: (%lu, %lu) is %g, not %g", m, n, k,
                               (double)beta, i, j, (double)c[i * n + j], want);
        }
}

enum form { ROW_MAJOR, COLUMN_MAJOR, OFFSETS_OF_B, ROWS, OFFSETS_OF_A, DOT, DESCEND, N_FORMS };

/* One product in one form against the definition; what lies around c must stay as it is. */
static void one(enum form form, uint64_t m, uint64_t n, uint64_t k, float beta, struct rng *rng)
{
    float *a = random_floats(m * k, rng), *b = random_floats(k * n, rng);
    float *c = random_floats(m * n, rng), *before = MEM_NEW(float, m *n);
    float *bias = form == ROW_MAJOR ? random_floats(m, rng) : NULL;
    struct rng other = rng_stream(2, 0, RNG_TEST);
    float *x = random_floats(m * n, &other), *x_before = MEM_NEW(float, m *n);
    uint64_t *offsets = MEM_NEW(uint64_t, k + m);
    double *right = MEM_NEW(double, m *n);
    memcpy(before, c, m * n * sizeof *c);
    memcpy(x_before, x, m * n * sizeof *x);
    beta = form == DESCEND ? 0.9f : beta;
    if (beta == 0.0f)
        for (uint64_t i = 0; i < m * n; i++)
            c[i] = NAN;
    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++)
            for (uint64_t p = 0; p < k; p++)
                right[i * n + j] += (double)a[form == COLUMN_MAJOR ? p * m + i : i * k + p] *
                                    (double)b[form == DOT ? j * k + p : p * n + j];
    for (uint64_t i = 0; i < (form == OFFSETS_OF_A ? m : k); i++)
        offsets[i] = i * (form == OFFSETS_OF_A ? k : n);
    struct rows rows = {b, n, form == OFFSETS_OF_B ? offsets : NULL};
    if (form == ROWS || form == OFFSETS_OF_A)
        product_of_rows(m, n, k, (struct rows){a, k, form == ROWS ? NULL : offsets}, rows, beta, c,
                        n);
    else if (form == DOT)
        product_dot(m, n, (uint64_t[2]){1, 1}, k, (struct runs){{a, k, NULL}, {0, 0}},
                    (struct runs){{b, k, NULL}, {0, 0}}, beta, c, n);
    else if (form == DESCEND)
        product_descend(m, n, k, (struct factor){a, k, 1}, rows, beta, c, n, x, 0.1f);
    else
        product(m, n, k,
                (struct factor){a, form == COLUMN_MAJOR ? 1 : k, form == COLUMN_MAJOR ? m : 1},
                rows, beta, bias, c, n);
    check(c, before, right, beta, bias, m, n, k);
    for (uint64_t i = 0; i < m * n; i++) {
        float want = form == DESCEND ? fmaf(-0.1f, c[i], x_before[i]) : x_before[i];
        cr_assert(x[i] >= want && x[i] <= want, "%lux%lux%lu: %lu", m, n, k, i);
    }
    free(a), free(b), free(c), free(before), free(bias), free(offsets), free(right);
    free(x), free(x_before);
}

Test(product, against_the_definition)
{
    static const uint64_t ms[] = {1, 2, 5, 6, 7, 10, 13, 33}, ns[] = {1, 7, 16, 31, 64, 85, 250},
                          ks[] = {1, 3, 25, 64, 1030};
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    for (int form = 0; form < N_FORMS; form++)
        for (size_t m = 0; m < sizeof ms / sizeof *ms; m++)
            for (size_t n = 0; n < sizeof ns / sizeof *ns; n++)
                for (size_t k = 0; k < sizeof ks / sizeof *ks; k++)
                    one((enum form)form, ms[m], ns[n], ks[k], (m + n + k) % 2 == 0 ? 0.0f : 0.9f,
                        &rng);
}

Test(product, of_nothing_is_the_bias)
{
    float c[3] = {NAN, NAN, NAN}, bias[3] = {1, 2, 3};
    product(3, 1, 0, (struct factor){bias, 1, 1}, (struct rows){bias, 1, NULL}, 0.0f, bias, c, 1);
    cr_assert(c[0] == 1 && c[1] == 2 && c[2] == 3);
}

Test(product, dot_over_runs)
{
    enum { ROWS_A = 5, ROWS_B = 7, DOWN = 3, ACROSS = 4, LENGTH = 21, STEP = 90, WIDE = 400 };
    struct rng rng = rng_stream(2, 0, RNG_TEST);
    float *a = random_floats(ROWS_A * WIDE, &rng), *b = random_floats(ROWS_B * WIDE, &rng);
    float c[ROWS_A][ROWS_B];
    product_dot(ROWS_A, ROWS_B, (uint64_t[2]){DOWN, ACROSS}, LENGTH,
                (struct runs){{a, WIDE, NULL}, {STEP, LENGTH}},
                (struct runs){{b, WIDE, NULL}, {STEP + 1, LENGTH + 1}}, 0.0f, c[0], ROWS_B);
    for (uint64_t i = 0; i < ROWS_A; i++)
        for (uint64_t j = 0; j < ROWS_B; j++) {
            double sum = 0;
            for (uint64_t y = 0; y < DOWN; y++)
                for (uint64_t x = 0; x < ACROSS; x++)
                    for (uint64_t p = 0; p < LENGTH; p++)
                        sum += (double)a[i * WIDE + y * STEP + x * LENGTH + p] *
                               (double)b[j * WIDE + y * (STEP + 1) + x * (LENGTH + 1) + p];
            cr_assert_float_eq((double)c[i][j], sum, 1e-5);
        }
    free(a), free(b);
}

Test(product, transpose)
{
    static const uint64_t sizes[] = {1, 3, 8, 9, 16, 24, 31, 64, 70};
    enum { N = sizeof sizes / sizeof *sizes, WIDE = 80 };
    static float from[WIDE * WIDE], to[WIDE * WIDE];
    for (int i = 0; i < WIDE * WIDE; i++)
        from[i] = (float)i;
    for (int m = 0; m < N; m++)
        for (int n = 0; n < N; n++) {
            for (int i = 0; i < WIDE * WIDE; i++)
                to[i] = -1.0f;
            transpose(sizes[m], sizes[n], from, WIDE, to, WIDE);
            for (uint64_t i = 0; i < WIDE; i++)
                for (uint64_t j = 0; j < WIDE; j++)
                    cr_assert(to[j * WIDE + i] ==
                              (i < sizes[m] && j < sizes[n] ? from[i * WIDE + j] : -1.0f));
        }
}

Test(product, exponential)
{
    float in[LANES], out[LANES];
    for (int i = 0; i <= 870000; i += LANES) {
        for (int v = 0; v < LANES; v++)
            in[v] = -(float)(i + v) * 1e-4f;
        lanes_store(out, lanes_exp(lanes_load(in)));
        for (int v = 0; v < LANES && in[v] >= -87.0f; v++) {
            float right = (float)exp((double)in[v]);
            cr_assert(fabsf(out[v] - right) <= 2.0f * (nextafterf(right, 2.0f) - right),
                      "e^%.9g: %.9g, not %.9g", (double)in[v], (double)out[v], (double)right);
        }
    }
    for (int v = 0; v < LANES; v++)
        in[v] = v == 0 ? 0.0f : v == 1 ? NAN : v == 2 ? -INFINITY : -100.0f;
    lanes_store(out, lanes_exp(lanes_load(in)));
    cr_assert(out[0] == 1.0f && isnan(out[1]) && out[2] == 0.0f && out[3] == 0.0f);
}
