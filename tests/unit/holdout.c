#include "data/holdout.h"

#include <criterion/criterion.h>

TestSuite(holdout, .timeout = 20);

/* Test and training rows are disjoint and together all; training rows keep their order, and every
 * stretch of the file gives its part. */
Test(holdout, disjoint_complete_in_order_and_even)
{
    static const uint32_t sizes[] = {2, 3, 10, 99, 100, 1003};
    static const double fractions[] = {1e-9, 0.1, 0.25, 1.0 / 3, 0.5};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t f = 0; f < sizeof fractions / sizeof fractions[0]; f++)
            for (uint64_t seed = 0; seed < 20; seed++) {
                struct holdout h = holdout_of(sizes[s], fractions[f], seed);
                uint8_t seen[1003] = {0};
                uint32_t last = 0;
                cr_assert(h.m >= 1 && h.m <= sizes[s] / 2);
                for (uint32_t i = 0; i < h.m; i++) {
                    uint32_t row = holdout_test_row(&h, i);
                    cr_assert(row >= (uint64_t)h.n * i / h.m &&
                              row < (uint64_t)h.n * (i + 1) / h.m);
                    seen[row]++;
                }
                for (uint32_t i = 0; i < h.n - h.m; i++) {
                    uint32_t row = holdout_train_row(&h, i);
                    cr_assert(row < h.n && (i == 0 || row > last));
                    last = row;
                    seen[row]++;
                }
                for (uint32_t r = 0; r < h.n; r++)
                    cr_assert_eq(seen[r], 1, "n %u, m %u: row %u", h.n, h.m, r);
            }
}

Test(holdout, as_large_as_rows_go)
{
    struct holdout h = holdout_of(4000000000, 0.1, 1);
    uint32_t i = h.n - h.m - 1;
    cr_assert_eq(h.m, 400000000);
    cr_assert_geq(holdout_train_row(&h, i), i);
    cr_assert_lt(holdout_train_row(&h, i), h.n);
}

Test(holdout, seeds_differ)
{
    struct holdout a = holdout_of(1000, 0.1, 1), b = holdout_of(1000, 0.1, 2);
    uint32_t n_equal = 0;
    for (uint32_t i = 0; i < 100; i++)
        n_equal += holdout_test_row(&a, i) == holdout_test_row(&b, i);
    cr_assert_lt(n_equal, 40);
}
