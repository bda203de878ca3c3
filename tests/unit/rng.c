#include "base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(rng, .timeout = 20);

Test(rng, philox_known_answers)
{
    static const struct {
        uint32_t word, out[4];
    } cases[] = {
        {0x00000000, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {0xffffffff, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    };
    for (size_t i = 0; i < 2; i++) {
        uint32_t w = cases[i].word, counter[4] = {w, w, w, w}, key[2] = {w, w}, out[4];
        rng_philox(counter, key, out);
        cr_assert_arr_eq(out, cases[i].out, sizeof out);
    }
}

Test(rng, streams_are_named)
{
    struct rng a = rng_stream(1, 2, RNG_TEST), b = rng_stream(1, 2, RNG_TEST);
    uint64_t first = rng_u64(&a);
    cr_assert_eq(rng_u64(&b), first);
    a.index = 0;
    cr_assert_eq(rng_u64(&a), first);
    struct rng others[] = {rng_stream(2, 2, RNG_TEST), rng_stream(1, 3, RNG_TEST),
                           rng_stream(1, 2, RNG_INIT)};
    for (size_t i = 0; i < 3; i++)
        cr_assert_neq(rng_u64(&others[i]), first);
}

Test(rng, below_is_even)
{
    enum { N = 7, DRAWS = 70000 };
    uint32_t counts[N] = {0};
    struct rng r = rng_stream(3, 0, RNG_TEST);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t v = rng_below(&r, N);
        cr_assert_lt(v, N);
        counts[v]++;
    }
    for (int v = 0; v < N; v++)
        cr_assert(fabs((double)counts[v] - DRAWS / N) < 500, "%d: %u", v, counts[v]);
    cr_assert_eq(rng_below(&r, 1), 0);
}

Test(rng, moments)
{
    enum { N = 100000 };
    struct rng r = rng_stream(4, 0, RNG_TEST);
    double sum = 0, squares = 0, uniform = 0;
    for (int i = 0; i < N; i++) {
        double z = rng_normal(&r), u = rng_uniform(&r);
        cr_assert(u >= 0 && u < 1);
        uniform += u;
        sum += z;
        squares += z * z;
    }
    cr_assert(fabs(uniform / N - 0.5) < 0.005);
    cr_assert(fabs(sum / N) < 0.015);
    cr_assert(fabs(squares / N - 1) < 0.02);
}

Test(rng, shuffle_permutes)
{
    enum { N = 1000 };
    uint32_t x[N], seen[N] = {0}, moved = 0;
    for (uint32_t i = 0; i < N; i++)
        x[i] = i;
    struct rng r = rng_stream(5, 0, RNG_TEST);
    rng_shuffle(&r, x, N);
    for (uint32_t i = 0; i < N; i++) {
        seen[x[i]]++;
        moved += x[i] != i;
    }
    for (uint32_t i = 0; i < N; i++)
        cr_assert_eq(seen[i], 1);
    cr_assert_gt(moved, N * 9 / 10);
}
