#include "sim/sweep.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(sweep, .timeout = 20);

static int parse(struct sweep *s, struct error *err, const char *first, const char *second)
{
    struct opt_list said = {.n = second != NULL  ? 2
                                 : first != NULL ? 1
                                                 : 0,
                            .values = {first, second}};
    return sweep_parse(s, &said, err);
}

Test(sweep, settings)
{
    static const struct {
        const char *first, *second;
        uint32_t n;
        const char *labels[6];
    } cases[] = {{NULL, NULL, 1, {""}},
                 {"partition=dirichlet:1 dirichlet:0.1",
                  NULL,
                  2,
                  {"partition=dirichlet:1", "partition=dirichlet:0.1"}},
                 {"a=1 2 3 b=x y",
                  NULL,
                  6,
                  {"a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y", "a=3 b=x", "a=3 b=y"}},
                 {" a=1\t2 ", "b=x y", 4, {"a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y"}},
                 {"data=blobs:classes=2,features=3 blobs:classes=4",
                  NULL,
                  2,
                  {"data=blobs:classes=2,features=3", "data=blobs:classes=4"}},
                 {"gossip-every=5 1s beta2=0.9",
                  NULL,
                  2,
                  {"gossip-every=5 beta2=0.9", "gossip-every=1s beta2=0.9"}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sweep s;
        struct error err = {0};
        cr_assert_eq(parse(&s, &err, cases[i].first, cases[i].second), 0, "%s", err.text);
        cr_assert_eq(sweep_settings(&s), cases[i].n, "case %zu: %u", i, sweep_settings(&s));
        for (uint32_t k = 0; k < cases[i].n; k++) {
            char *label = sweep_label(&s, k);
            cr_assert_str_eq(label, cases[i].labels[k]);
            free(label);
        }
        sweep_close(&s);
    }
}

Test(sweep, refused)
{
    static const struct {
        const char *first, *second, *fragment;
    } cases[] = {{"", NULL, "nothing"},
                 {"  ", NULL, "nothing"},
                 {"iid labels", NULL, "--sweep iid: begins with no option"},
                 {"=1", NULL, "begins with no option"},
                 {"lr=", NULL, "--sweep lr=: has no value"},
                 {"lr= batch=1", NULL, "--sweep lr=: has no value"},
                 {"lr=1 2 1", NULL, "--sweep lr=1: stands twice"},
                 {"lr=1", "lr=2", "--sweep lr: stands twice"},
                 {"json=true", NULL, "--sweep json: is no setting"},
                 {"sweep=a=1", NULL, "--sweep sweep: is no setting"},
                 {"a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1", NULL, "--sweep i: more than 8 options"},
                 {"a=1 2 3 4 5 6 7 8 9 10 11 b=1 2 3 4 5 6 7 8 9 10 c=1 2 3 4 5 6 7 8 9 10", NULL,
                  "more than 1000 settings"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sweep s;
        struct error err = {0};
        cr_assert_eq(parse(&s, &err, cases[i].first, cases[i].second), ERR_USAGE, "case %zu", i);
        cr_assert(strstr(err.text, cases[i].fragment) != NULL, "case %zu: %s", i, err.text);
        sweep_close(&s);
    }
}
