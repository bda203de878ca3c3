/* Elements of every type, aligned or not. */
#include "data/array.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(array, .timeout = 30);

Test(array, every_element_anywhere)
{
    static const struct {
        enum element element;
        uint64_t bits;
        double value;
    } cases[] = {
        {ELEMENT_U8, 200, 200},
        {ELEMENT_I8, 0xfe, -2},
        {ELEMENT_BOOL, 7, 1},
        {ELEMENT_U16, 65535, 65535},
        {ELEMENT_I32, 0xffffffff, -1},
        {ELEMENT_I64, 0xffffffffffffff00, -256},
        {ELEMENT_F16, 0x3c00, 1},
        {ELEMENT_F16, 0xc000, -2},
        {ELEMENT_F16, 0x0001, 0x1p-24},
        {ELEMENT_F16, 0x7bff, 65504},
        {ELEMENT_F16, 0x7c00, INFINITY},
        {ELEMENT_F32, 0x40490fdb, 3.1415927410125732},
        {ELEMENT_F64, 0x400921fb54442d18, 3.141592653589793},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t shift = 0; shift < 8; shift++) {
            uint8_t bytes[32] = {0};
            uint32_t width = elements[cases[i].element].n_bytes;
            memcpy(bytes + shift + width, &cases[i].bits, width);
            struct array a = array_of(bytes + shift, 2, cases[i].element);
            float x[2];
            array_get(&a, 0, NULL, NULL, 0.5f, x);
            cr_assert_eq(array_value(&a, 0, 1), cases[i].value, "%zu", i);
            cr_assert_eq(x[1], (float)(cases[i].value * 0.5), "%zu", i);
            cr_assert_eq(x[0], 0);
            array_get(&a, 0, (float[]){0, 1}, (float[]){1, 2}, 9, x);
            cr_assert_eq(x[1], (float)((cases[i].value - 1) * 2), "%zu: %g", i, (double)x[1]);
        }
}

Test(array, not_a_number_stays_one)
{
    uint16_t half = 0x7e00;
    struct array a = array_of(&half, 1, ELEMENT_F16);
    cr_assert(isnan(array_value(&a, 0, 0)));
}

Test(array, spans)
{
    struct array a = array_of(NULL, 5, ELEMENT_I32);
    cr_assert_eq(array_span(&a, 0), 0);
    cr_assert_eq(array_span(&a, 3), 60);
    a.stride = 4;
    cr_assert_eq(array_span(&a, 3), 28);
}
