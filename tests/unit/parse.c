#include "base/parse.h"

#include <criterion/criterion.h>

TestSuite(parse, .timeout = 20);

Test(parse, u64)
{
    static const char *const bad[] = {"",   " 1",  "1 ",  "-1",
                                      "+1", "0x1", "1.0", "18446744073709551616"};
    uint64_t v = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(parse_u64(bad[i], &v), "%s", bad[i]);
    cr_assert_eq(v, 7);
    cr_assert(parse_u64("18446744073709551615", &v) && v == UINT64_MAX);
    cr_assert(parse_u64("0", &v) && v == 0);
}

Test(parse, f64)
{
    static const char *const bad[] = {"", "nan", "inf", "1e999", "1x", " 1", "0x10"};
    double v;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(parse_f64(bad[i], &v), "%s", bad[i]);
    cr_assert(parse_f64("-2.5e-1", &v) && v > -0.2500001 && v < -0.2499999);
}

Test(parse, duration)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {{"250us", 250},     {"10ms", 10000}, {"1.5s", 1500000}, {"2m", 120000000},
                {"1h", 3600000000}, {"0", 0},        {"0s", 0}};
    static const char *const bad[] = {"", "1", "-1s", "1 s", "s", "1sec", "1e300h"};
    uint64_t v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert(parse_duration(good[i].text, &v) && v == good[i].us, "%s", good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(parse_duration(bad[i], &v), "%s", bad[i]);
}

Test(parse, host_port)
{
    static const char *const bad[] = {"",        "host",   ":1",    "host:",  "host:65536",
                                      "host:-1", "::1:80", "[]:80", "host:8x"};
    struct host_port v;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(parse_host_port(bad[i], &v), "%s", bad[i]);
    cr_assert(parse_host_port("[::1]:80", &v));
    cr_assert_str_eq(v.host, "::1");
    cr_assert_eq(v.port, 80);
    cr_assert(parse_host_port("node-1.example:65535", &v));
    cr_assert_str_eq(v.host, "node-1.example");
    cr_assert_eq(v.port, 65535);
}

Test(parse, names)
{
    static const char *const names[] = {"pairwise", "push", "push-sum", "pull"};
    cr_assert_eq(parse_choice("push-sum", names, 4), 2);
    cr_assert_eq(parse_choice("Push", names, 4), 4);
    cr_assert_str_eq(parse_nearest("pairwse", names, 4), "pairwise");
    cr_assert_str_eq(parse_nearest("pus", names, 4), "push");
    cr_assert_null(parse_nearest("gradient", names, 4));
}
