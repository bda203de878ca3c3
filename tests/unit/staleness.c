#include "net/staleness.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(staleness, .timeout = 20);

Test(staleness, quantiles)
{
    static const struct {
        uint64_t steps[6];
        uint32_t n, q1, median, q3, max;
    } cases[] = {{{0}, 0, 0, 0, 0, 0},
                 {{7}, 1, 7, 7, 7, 7},
                 {{3, 1, 0, 2}, 4, 0, 1, 2, 3},
                 {{5, 5, 5, 5, 1000, 1 << 20}, 6, 5, 5, 255, 255}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct staleness s = {0};
        for (uint32_t k = 0; k < cases[i].n; k++)
            staleness_add(&s, cases[i].steps[k]);
        cr_assert_eq(staleness_quantile(&s, 0.25), cases[i].q1, "case %zu", i);
        cr_assert_eq(staleness_quantile(&s, 0.5), cases[i].median, "case %zu", i);
        cr_assert_eq(staleness_quantile(&s, 0.75), cases[i].q3, "case %zu", i);
        cr_assert_eq(staleness_quantile(&s, 1), cases[i].max, "case %zu", i);
    }
}

Test(staleness, merge)
{
    struct staleness a = {0}, b = {0};
    staleness_add(&a, 1);
    staleness_add(&b, 1);
    staleness_add(&b, 300);
    staleness_merge(&a, &b);
    cr_assert_eq(a.n, 3);
    cr_assert_eq(a.counts[1], 2);
    cr_assert_eq(a.counts[STALENESS_MAX], 1);
}

Test(staleness, mean_of_late)
{
    struct staleness s = {0};
    staleness_add(&s, 2);
    staleness_add(&s, 4);
    cr_assert(fabs(s.lately - 3) < 1e-12, "an average at first");
    for (int i = 0; i < 1000; i++)
        staleness_add(&s, 8);
    cr_assert(fabs(s.lately - 8) < 1e-6, "then the last ones");
}
