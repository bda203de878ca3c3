#include "base/vec.h"

#include "base/rng.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

TestSuite(vec, .timeout = 20);

enum { N_MAX = 5000 };
static const size_t sizes[] = {0, 1, 7, 15, 16, 17, 255, 4096, 4097, N_MAX};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static float x[N_MAX], y[N_MAX], z[N_MAX], before[N_MAX];

static void fill(uint64_t seed)
{
    struct rng r = rng_stream(seed, 0, RNG_TEST);
    for (int i = 0; i < N_MAX; i++) {
        x[i] = before[i] = (float)rng_normal(&r);
        y[i] = (float)rng_normal(&r);
        z[i] = (float)rng_normal(&r);
    }
}

/* Elements below n are as the formula says, the others untouched. */
static void check(const float *got, const double *expected, const float *old, size_t n)
{
    for (size_t i = 0; i < N_MAX; i++)
        cr_assert(fabs((double)got[i] - (i < n ? expected[i] : (double)old[i])) < 1e-6,
                  "n %zu, element %zu", n, i);
}

Test(vec, mixing)
{
    static double expected[N_MAX], left[N_MAX];
    static float old[N_MAX], both[2][N_MAX], difference[N_MAX];
    for (size_t s = 0; s < N_SIZES; s++) {
        size_t n = sizes[s];
        fill(s);
        for (size_t i = 0; i < N_MAX; i++)
            expected[i] = (double)x[i] + 0.25 * ((double)y[i] - (double)z[i]);
        vec_mix(x, 0.25f, y, z, n);
        check(x, expected, before, n);
        memcpy(both[0], before, sizeof before);
        memcpy(both[1], before, sizeof before);
        for (size_t i = 0; i < n; i++)
            difference[i] = y[i] - z[i];
        vec_add_scaled_two(both[0], 0.5f, both[1], 0.25f, difference, n);
        cr_assert_arr_eq(both[1], x, sizeof x);
        vec_add_scaled(before, 0.5f, difference, n);
        cr_assert_arr_eq(both[0], before, sizeof before);
        fill(s);
        for (size_t i = 0; i < N_MAX; i++) {
            expected[i] = (double)x[i] + 0.25 * ((double)y[i] - (double)x[i]);
            left[i] = (double)x[i] - (double)y[i];
        }
        vec_mix_current(x, 0.25f, y, n);
        check(x, expected, before, n);
        fill(s);
        memcpy(old, y, sizeof y);
        vec_answer(x, 0.25f, y, n);
        check(x, expected, before, n);
        check(y, left, old, n);
        memcpy(both[0], before, sizeof before);
        memcpy(both[1], z, sizeof z);
        memcpy(difference, y, sizeof y);
        vec_answer_two(both[0], 0.25f, both[1], 0.5f, old, n);
        cr_assert_arr_eq(both[0], x, sizeof x);
        cr_assert_arr_eq(old, y, sizeof y);
        vec_add_scaled(z, -0.5f, difference, n);
        cr_assert_arr_eq(both[1], z, sizeof z);
        fill(s);
        vec_mix_current(x, 1.0f, y, n);
        cr_assert_arr_eq(x, y, n * sizeof *x);
    }
}

Test(vec, add)
{
    static double expected[N_MAX];
    for (size_t s = 0; s < N_SIZES; s++) {
        fill(s);
        for (size_t i = 0; i < N_MAX; i++)
            expected[i] = (double)x[i] + (double)y[i];
        vec_add(x, y, sizes[s]);
        check(x, expected, before, sizes[s]);
    }
}

Test(vec, reductions)
{
    for (size_t s = 0; s < N_SIZES; s++) {
        double norm = 0, distance = 0;
        fill(s);
        for (size_t i = 0; i < sizes[s]; i++) {
            double d = (double)x[i] - (double)y[i];
            norm += (double)x[i] * (double)x[i];
            distance += d * d;
        }
        cr_assert(fabs(vec_norm_sq(x, sizes[s]) - norm) <= 1e-6 * norm);
        cr_assert(fabs(vec_distance_sq(x, y, sizes[s]) - distance) <= 1e-6 * distance);
    }
}

Test(vec, first_beyond)
{
    static const size_t places[] = {0, 16, 4095, 4096, N_MAX - 1};
    static const float maxima[] = {FLT_MAX, 1e6f};
    fill(1);
    for (size_t m = 0; m < 2; m++) {
        float max = maxima[m];
        const float bad[] = {
            NAN, -NAN, INFINITY, -INFINITY, nextafterf(max, INFINITY), nextafterf(-max, -INFINITY)};
        x[1] = max;
        x[2] = -max;
        x[3] = -0.0f;
        cr_assert_eq(vec_first_beyond(x, max, N_MAX), N_MAX);
        for (size_t p = 0; p < 5; p++)
            for (size_t b = 0; b < 6; b++) {
                fill(1);
                x[places[p]] = bad[b];
                x[N_MAX - 1] = bad[b];
                cr_assert_eq(vec_first_beyond(x, max, N_MAX), places[p]);
                cr_assert_eq(vec_first_beyond(x, max, places[p]), places[p]);
            }
        fill(1);
    }
}
