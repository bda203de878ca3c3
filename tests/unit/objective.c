#include "model/objective.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(objective, .timeout = 30);

Test(objective, factors)
{
    static const struct {
        double samples, speed;
        float wanted[N_OBJECTIVES]; /* of samples, peers, steps */
    } cases[] = {{1, 1, {1, 1, 1}},      {0.5, 1, {0.5f, 1, 1}},  {3, 1, {3, 1, 1}},
                 {9, 1, {4, 1, 1}},      {1, 4, {0.5f, 0.5f, 1}}, {3, 0.25, {4, 2, 1}},
                 {0.5, 0.25, {1, 2, 1}}, {0, 4, {0.5f, 0.5f, 1}}, {0.5, 0, {0.5f, 1, 1}},
                 {1, 0.01, {4, 4, 1}},   {0, 0, {1, 1, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int what = 0; what < N_OBJECTIVES; what++)
            cr_expect_float_eq(
                objective_factor((enum objective)what, cases[i].samples, cases[i].speed, 1),
                cases[i].wanted[what], 1e-6, "case %zu, %s", i, objective_names[what]);
}

/* However uneven the speeds are, what the steps count for is what they counted for anyway. */
Test(objective, keeps_the_steps)
{
    enum { N = 4 };
    static const double speeds[N] = {100, 100, 40, 25};
    double sum = 0, roots = 0, moved = 0;
    for (int i = 0; i < N; i++) {
        sum += speeds[i];
        roots += sqrt(speeds[i]);
    }
    for (int i = 0; i < N; i++)
        moved += speeds[i] * (double)objective_factor(OBJECTIVE_SAMPLES, 1, speeds[i] * N / sum,
                                                      roots / sqrt(N * sum));
    cr_expect_float_eq(moved, sum, 1e-4);
}
