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

/* Every n has its bijection, and each index lands everywhere about equally often. */
Test(rng, permutations)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 16, 17, 1000, 65536, 65537, 100003};
    static uint8_t seen[100003];
    static uint32_t all[100003];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct rng r = rng_stream(s, 1, RNG_TEST);
        struct rng_permutation p = rng_permutation(&r, sizes[s]);
        memset(seen, 0, sizeof seen);
        for (uint32_t i = 0; i < sizes[s]; i++) {
            uint32_t to = rng_permute(&p, i);
            cr_assert(to < sizes[s] && !seen[to], "%u of %u", i, sizes[s]);
            seen[to] = 1;
            all[i] = i;
        }
        rng_permute_all(&p, all, sizes[s]);
        for (uint32_t i = 0; i < sizes[s]; i++)
            cr_assert_eq(all[i], rng_permute(&p, i), "%u of %u", i, sizes[s]);
    }
    enum { N = 10, DRAWS = 20000 };
    uint32_t counts[N][N] = {0}, pairs[N][N] = {0};
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        struct rng r = rng_stream(5, 0, RNG_TEST);
        r.index = draw << 32;
        struct rng_permutation p = rng_permutation(&r, N);
        for (uint32_t i = 0; i < N; i++)
            counts[i][rng_permute(&p, i)]++;
        pairs[rng_permute(&p, 0)][rng_permute(&p, 1)]++;
    }
    double chi = 0, chi_pairs = 0, expected = DRAWS / N, expected_pair = DRAWS / (N * (N - 1.0));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            chi += (counts[i][j] - expected) * (counts[i][j] - expected) / expected;
            double off = pairs[i][j] - (i == j ? 0 : expected_pair);
            chi_pairs += off * off / expected_pair;
        }
    cr_assert_lt(chi, 150, "%g (81 expected, 12.7 is a standard deviation)", chi);
    cr_assert_lt(chi_pairs, 150, "%g (89 expected)", chi_pairs);
}

Test(rng, permute_back)
{
    static const uint32_t sizes[] = {1, 2, 3, 64, 65, 1000};
    for (uint32_t i = 0; i < 6; i++) {
        struct rng r = rng_stream(3, i, RNG_TEST);
        struct rng_permutation p = rng_permutation(&r, sizes[i]);
        for (uint32_t k = 0; k < sizes[i]; k++)
            cr_assert_eq(rng_permute_back(&p, rng_permute(&p, k)), k, "%u of %u", k, sizes[i]);
    }
}
