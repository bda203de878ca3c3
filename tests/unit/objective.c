#include "model/objective.h"

#include <criterion/criterion.h>

TestSuite(objective, .timeout = 30);

Test(objective, factors)
{
    static const struct {
        double samples, speed;
        float wanted[N_OBJECTIVES]; /* of samples, peers, steps */
    } cases[] = {{1, 1, {1, 1, 1}},      {0.5, 1, {0.5f, 1, 1}},  {3, 1, {3, 1, 1}},
                 {9, 1, {4, 1, 1}},      {1, 2, {0.5f, 0.5f, 1}}, {2, 0.25, {4, 4, 1}},
                 {0.5, 0.25, {2, 4, 1}}, {0, 2, {0.5f, 0.5f, 1}}, {0.5, 0, {0.5f, 1, 1}},
                 {0, 0, {1, 1, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int what = 0; what < N_OBJECTIVES; what++)
            cr_expect_float_eq(
                objective_factor((enum objective)what, cases[i].samples, cases[i].speed),
                cases[i].wanted[what], 1e-6, "case %zu, %s", i, objective_names[what]);
}
