#include "model/dtype.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(dtype, .timeout = 20);

static double decoded(enum dtype d, uint16_t bits)
{
    double x;
    dtype_decode(d, &bits, &x, 1);
    return x;
}

static int encoded(enum dtype d, double x)
{
    uint16_t bits;
    return dtype_encode(d, &x, &bits, 1) == 1 ? bits : -1;
}

/* Values of IEEE 754 binary16 and of bfloat16, from their definitions. */
Test(dtype, known_values)
{
    static const struct {
        enum dtype d;
        uint16_t bits;
        double x;
    } cases[] = {
        {DTYPE_F16, 0x3c00, 1},           {DTYPE_F16, 0xc000, -2},
        {DTYPE_F16, 0x7bff, 65504},       {DTYPE_F16, 0x0400, 0x1p-14},
        {DTYPE_F16, 0x0001, 0x1p-24},     {DTYPE_F16, 0x03ff, 0x3ffp-24},
        {DTYPE_F16, 0x3555, 0x1.554p-2},  {DTYPE_F16, 0x0000, 0},
        {DTYPE_BF16, 0x3f80, 1},          {DTYPE_BF16, 0x4049, 3.140625},
        {DTYPE_BF16, 0x7f7f, 0x1.fep127}, {DTYPE_BF16, 0x0001, 0x1p-133},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(decoded(cases[i].d, cases[i].bits), cases[i].x, "%zu", i);
        cr_expect_eq(encoded(cases[i].d, cases[i].x), cases[i].bits, "%zu", i);
    }
    cr_expect(signbit(decoded(DTYPE_F16, 0x8000)) && encoded(DTYPE_F16, -0.0) == 0x8000);
    cr_expect(decoded(DTYPE_F16, 0x7c00) == (double)INFINITY && isnan(decoded(DTYPE_F16, 0x7e00)));
    cr_expect(decoded(DTYPE_BF16, 0xff80) == -(double)INFINITY);
    cr_expect(dtype_max(DTYPE_F16) == 65504 && dtype_max(DTYPE_BF16) == 0x1.fep127);
}

/* All that 16 bits can be come back; bf16 is the upper half of an f32. */
Test(dtype, every_half_comes_back)
{
    for (enum dtype d = DTYPE_F16; d <= DTYPE_BF16; d++)
        for (uint32_t bits = 0; bits < 65536; bits++) {
            double x = decoded(d, (uint16_t)bits);
            if (isfinite(x))
                cr_assert_eq(encoded(d, x), (int)bits, "%s %04x", dtype_names[d], bits);
            uint32_t wide = bits << 16;
            float f;
            memcpy(&f, &wide, sizeof f);
            if (d == DTYPE_BF16 && !isnan(f))
                cr_assert_eq(x, (double)f);
        }
}

/* Half way between two neighbours goes to the even one, a little more or less to the nearer. */
Test(dtype, rounds_to_nearest_even)
{
    static const uint32_t last[] = {[DTYPE_F16] = 0x7bff, [DTYPE_BF16] = 0x7f7f};
    for (enum dtype d = DTYPE_F16; d <= DTYPE_BF16; d++)
        for (uint32_t bits = 0; bits < last[d]; bits++) {
            double low = decoded(d, (uint16_t)bits), high = decoded(d, (uint16_t)(bits + 1));
            double middle = (low + high) / 2, tiny = (high - low) / 1024;
            cr_assert_eq(encoded(d, middle), (int)(bits + bits % 2));
            cr_assert_eq(encoded(d, middle - tiny), (int)bits);
            cr_assert_eq(encoded(d, -middle - tiny), (int)(bits + 1) | 0x8000);
        }
}

Test(dtype, too_large)
{
    static const struct {
        enum dtype d;
        double fits, does_not;
    } cases[] = {{DTYPE_F16, 65519.99, 65520},
                 {DTYPE_BF16, 0x1.feffp127, 0x1.ffp127},
                 {DTYPE_F32, 0x1.fffffefp127, 0x1.ffffffp127}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double values[3] = {-1, cases[i].fits, -cases[i].does_not};
        char bytes[24];
        cr_expect_eq(dtype_encode(cases[i].d, values, bytes, 3), 2, "%zu", i);
        double back[2];
        dtype_decode(cases[i].d, bytes, back, 2);
        cr_expect(back[0] == -1 && back[1] == dtype_max(cases[i].d), "%zu", i);
    }
}

Test(dtype, wide_types)
{
    const double values[] = {0.1, -1e-40, 0x1.fffffep127, 3};
    char bytes[33];
    double back[4];
    dtype_encode(DTYPE_F64, values, bytes + 1, 4); /* unaligned */
    dtype_decode(DTYPE_F64, bytes + 1, back, 4);
    cr_expect_arr_eq(values, back, sizeof back);
    dtype_encode(DTYPE_F32, values, bytes + 1, 4);
    dtype_decode(DTYPE_F32, bytes + 1, back, 4);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(back[i], (double)(float)values[i]);
}
