#include "node/pool.h"
#include "tests/support/death.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>

TestSuite(pool, .timeout = 30);

enum { N = 8, LENT = 3, FLOATS = 100 };

Test(pool, buffers_are_apart)
{
    struct pool p;
    pool_init(&p, N, FLOATS, LENT);
    float *data[N];
    for (uint32_t i = 0; i < N; i++) {
        uint32_t buffer = pool_take(&p);
        cr_assert_lt(buffer, N);
        data[i] = pool_data(&p, buffer);
        cr_assert_eq(pool_handle(&p, data[i]), buffer);
        cr_assert_eq((uintptr_t)data[i] % 64, 0);
        for (int k = 0; k < FLOATS; k++)
            data[i][k] = (float)(i + 1);
    }
    cr_assert_eq(p.n_free, 0);
    for (uint32_t i = 0; i < N; i++)
        for (int k = 0; k < FLOATS; k++)
            cr_assert_eq(data[i][k], (float)(i + 1));
    pool_close(&p);
}

/* Three lent at once; those lent stay lent until their last reference goes. */
Test(pool, lend_limit)
{
    struct pool p;
    uint32_t lent[LENT];
    pool_init(&p, N, FLOATS, LENT);
    for (int i = 0; i < LENT; i++)
        lent[i] = pool_lend(&p, (uint32_t)i);
    cr_assert_eq(pool_lend(&p, 9), POOL_NONE);
    for (int i = 0; i < N - LENT; i++)
        cr_assert_neq(pool_take(&p), POOL_NONE);
    cr_assert_eq(pool_lend(&p, 9), POOL_NONE);
    pool_ref(&p, lent[1]);
    pool_unref(&p, lent[1]);
    cr_assert_eq(pool_lend(&p, 9), POOL_NONE, "a write still holds it");
    pool_unref(&p, lent[1]);
    cr_assert_eq(pool_lend(&p, 9), lent[1]);
    cr_assert_eq(pool_lend(&p, 9), POOL_NONE);
    pool_close(&p);
}

/* Half of them to one peer at the most. */
Test(pool, lend_limit_of_a_peer)
{
    struct pool p;
    pool_init(&p, N, FLOATS, LENT);
    uint32_t first = pool_lend(&p, 1);
    for (int i = 1; i < (LENT + 1) / 2; i++)
        cr_assert_neq(pool_lend(&p, 1), POOL_NONE);
    cr_assert_eq(pool_lend(&p, 1), POOL_NONE);
    cr_assert_neq(pool_lend(&p, 2), POOL_NONE);
    pool_unref(&p, first);
    cr_assert_neq(pool_lend(&p, 1), POOL_NONE);
    pool_close(&p);
}

Test(pool, taken_is_not_lent)
{
    struct pool p;
    pool_init(&p, N, FLOATS, LENT);
    for (int round = 0; round < 3; round++) {
        uint32_t lent = pool_lend(&p, 9);
        pool_unref(&p, lent);
        uint32_t taken = pool_take(&p);
        cr_assert_eq(taken, lent, "the same buffer");
        pool_unref(&p, taken);
        cr_assert_eq(p.n_lent, 0);
        cr_assert_eq(p.n_free, N);
    }
    pool_close(&p);
}

/* Bugs of the caller stop the program. */
Test(pool, one_too_many, .signal = SIGABRT)
{
    struct pool p;
    expect_abort();
    pool_init(&p, N, FLOATS, LENT);
    for (int i = 0; i <= N; i++)
        pool_take(&p);
}

Test(pool, unref_of_a_free_one, .signal = SIGABRT)
{
    struct pool p;
    expect_abort();
    pool_init(&p, N, FLOATS, LENT);
    pool_unref(&p, 0);
}

Test(pool, ref_of_a_free_one, .signal = SIGABRT)
{
    struct pool p;
    expect_abort();
    pool_init(&p, N, FLOATS, LENT);
    pool_ref(&p, 0);
}

Test(pool, data_of_none, .signal = SIGABRT)
{
    struct pool p;
    expect_abort();
    pool_init(&p, N, FLOATS, LENT);
    pool_data(&p, POOL_NONE);
}
