#include "sim/speed.h"

#include <criterion/criterion.h>

TestSuite(speed, .timeout = 20);

static struct speed speed_of(const char *text, uint64_t step_us, uint64_t pace_us)
{
    struct speed s = {.step_us = step_us, .pace_us = pace_us, .n_nodes = 4};
    struct error err = {0};
    cr_assert_eq(speed_parse(text, &s, &err), 0, "%s", err.text);
    return s;
}

/* As trainer.c: a step takes max(compute, pace) * slow, and idles pace - compute of it. */
Test(speed, pace)
{
    static const struct {
        const char *text;
        uint64_t step_us, pace_us, length_us, rest_us;
    } cases[] = {{"const", 700, 0, 700, 0},
                 {"const", 700, 10000, 10000, 9300},
                 {"const", 700, 700, 700, 0},
                 {"const", 700, 300, 700, 0},
                 {"const", 0, 0, 0, 0},
                 {"const", 0, 5, 5, 4},
                 {"stragglers:1,4x", 700, 10000, 40000, 9300},
                 {"stragglers:1,4x", 700, 300, 2800, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct speed s = speed_of(cases[i].text, cases[i].step_us, cases[i].pace_us);
        cr_assert_eq(speed_step_us(&s, 1, 0), cases[i].length_us, "case %zu", i);
        cr_assert_eq(speed_rest_us(&s, 1, 0), cases[i].rest_us, "case %zu", i);
    }
}

/* A faster one computes faster and rests less, in the same proportion. */
Test(speed, faster)
{
    struct speed s = speed_of("lognormal:0.5", 2000, 10000);
    int n_faster = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint64_t length = speed_step_us(&s, seed, 1), rest = speed_rest_us(&s, seed, 1);
        n_faster += length < 10000;
        cr_assert_float_eq((double)rest, length < 10000 ? 0.8 * (double)length : 8000, 1,
                           "seed %llu", (unsigned long long)seed);
    }
    cr_assert(n_faster > 30 && n_faster < 70);
}
