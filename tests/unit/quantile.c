#include "base/quantile.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(quantile, .timeout = 20);

/* Expected: numpy.quantile(values, [0.25, 0.5, 0.75]). */
Test(quantile, quartiles)
{
    static struct {
        double values[6];
        size_t n;
        double q1, median, q3;
    } cases[] = {{{7}, 1, 7, 7, 7},
                 {{4, 1}, 2, 1.75, 2.5, 3.25},
                 {{3, 1, 2}, 3, 1.5, 2, 2.5},
                 {{5, -1, 2, 9}, 4, 1.25, 3.5, 6},
                 {{1, 1, 1, 1, 8}, 5, 1, 1, 1},
                 {{6, 5, 4, 3, 2, 1}, 6, 2.25, 3.5, 4.75},
                 {{INFINITY, 1, 2}, 3, 1.5, 2, INFINITY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quartiles q = quartiles_of(cases[i].values, cases[i].n);
        cr_assert_eq(q.q1, cases[i].q1, "case %zu: %g", i, q.q1);
        cr_assert_eq(q.median, cases[i].median, "case %zu: %g", i, q.median);
        cr_assert_eq(q.q3, cases[i].q3, "case %zu: %g", i, q.q3);
    }
}

Test(quantile, no_number)
{
    double values[] = {1, NAN, 2};
    struct quartiles q = quartiles_of(values, 3);
    cr_assert(isnan(q.q1) && isnan(q.median) && isnan(q.q3));
}
