#include "data/labels.h"
#include "data/memory.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(labels, .timeout = 20);

static struct part part_of(const void *y, enum element element, uint64_t n)
{
    return (struct part){.n_rows = n,
                         .path = "x",
                         .x = array_of("", 1, ELEMENT_U8),
                         .y = array_of(y, 1, element),
                         .y_path = "y"};
}

/* Test data hold n_test rows of the same array, from first_test on. */
static int make(struct data_pair *data, const void *y, enum element element, uint64_t n,
                uint64_t first_test, uint64_t n_test, bool real, struct error *err)
{
    struct part train = part_of(y, element, n);
    struct part test =
        part_of((const uint8_t *)y + first_test * elements[element].n_bytes, element, n_test);
    *data = (struct data_pair){.train.n_samples = (uint32_t)n, .test.n_samples = (uint32_t)n_test};
    return labels_make(data, &train, &test, real, err);
}

Test(labels, classes_are_numbered_in_ascending_order)
{
    static const int32_t i32[] = {40, -3, 7, 7, -3, 40};
    static const int64_t i64[] = {INT64_MAX, INT64_MIN, 0, 0, INT64_MIN, INT64_MAX};
    static const uint16_t u16[] = {65535, 1, 300, 300, 1, 65535};
    static const int8_t i8[] = {127, -128, 0, 0, -128, 127};
    static const uint8_t u8[] = {2, 0, 1, 1, 0, 2}, gaps[] = {9, 0, 4, 4, 0, 9};
    static const struct {
        const void *y;
        enum element element;
        int64_t values[3];
        bool stays; /* where it is */
    } cases[] = {
        {i32, ELEMENT_I32, {-3, 7, 40}, false},
        {i64, ELEMENT_I64, {INT64_MIN, 0, INT64_MAX}, false},
        {u16, ELEMENT_U16, {1, 300, 65535}, false},
        {i8, ELEMENT_I8, {-128, 0, 127}, false},
        {u8, ELEMENT_U8, {0, 1, 2}, true},
        {gaps, ELEMENT_U8, {0, 4, 9}, false},
    };
    static const uint32_t wanted[] = {2, 0, 1, 1, 0, 2};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct data_pair data;
        struct error err = {0};
        cr_assert_eq(make(&data, cases[i].y, cases[i].element, 6, 2, 3, false, &err), 0, "%s",
                     err.text);
        cr_expect(data.train.shape.n_classes == 3 && data.test.shape.n_classes == 3);
        cr_expect_arr_eq(data.class_values, cases[i].values, sizeof cases[i].values, "case %zu", i);
        cr_expect_eq(data.train.y.bytes == cases[i].y, cases[i].stays, "case %zu", i);
        for (uint32_t k = 0; k < 6; k++)
            cr_expect_eq(dataset_target(&data.train, k).class, wanted[k], "case %zu, %u", i, k);
        for (uint32_t k = 0; k < 3; k++)
            cr_expect_eq(dataset_target(&data.test, k).class, wanted[k + 2], "case %zu, %u", i, k);
        memory_close(&data.memory);
    }
}

/* One more than a byte holds, and as many as there may be. */
Test(labels, many_classes)
{
    static int32_t y[DATA_CLASSES_MAX + 1];
    struct data_pair data;
    struct error err = {0};
    for (int32_t i = 0; i <= DATA_CLASSES_MAX; i++)
        y[i] = 3 * i - 7;
    static const uint64_t counts[] = {256, 257, DATA_CLASSES_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint32_t n = (uint32_t)counts[i];
        cr_assert_eq(make(&data, y, ELEMENT_I32, n, 0, 0, false, &err), 0, "%s", err.text);
        cr_expect_eq(data.train.shape.n_classes, n);
        cr_expect_eq(data.train.y.element, n <= 256 ? ELEMENT_U8 : ELEMENT_U16);
        for (uint32_t k = 0; k < n; k += 17)
            cr_expect_eq(dataset_target(&data.train, k).class, k);
        memory_close(&data.memory);
    }
    cr_assert_eq(make(&data, y, ELEMENT_I32, DATA_CLASSES_MAX + 1, 0, 0, false, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "one class more than 65536"), "%s", err.text);
    memory_close(&data.memory);
}

Test(labels, real_targets)
{
    static const float f32[] = {0.5f, -1, 3, 3};
    static const int32_t whole[] = {4, -1, 4, 4};
    static const double wide[] = {1, 2, 1e300, 4}, nan_last[] = {1, 2, 3, (double)NAN};
    struct data_pair data;
    struct error err = {0};
    cr_assert_eq(make(&data, f32, ELEMENT_F32, 4, 1, 2, false, &err), 0);
    cr_expect(data.train.shape.n_classes == 0 && dataset_target(&data.test, 0).real == -1);
    cr_assert_eq(make(&data, whole, ELEMENT_I32, 4, 0, 1, true, &err), 0, "%s", err.text);
    cr_expect(data.train.shape.n_classes == 0 && dataset_target(&data.train, 1).real == -1);
    cr_expect_eq(make(&data, wide, ELEMENT_F64, 4, 0, 0, false, &err), ERR_DATA, "beyond f32");
    cr_expect_not_null(strstr(err.text, "y: sample 3: target 1e+300"), "%s", err.text);
    cr_expect_eq(make(&data, nan_last, ELEMENT_F64, 3, 3, 1, false, &err), ERR_DATA, "in test");
    cr_expect_not_null(strstr(err.text, "y: sample 1: target"), "%s", err.text);
}

Test(labels, refuses_in_words)
{
    static const uint8_t one[] = {5, 5, 5}, beyond[] = {0, 1, 0, 2}, gap[] = {0, 4, 0, 2};
    static const float f32[] = {1, 2};
    struct data_pair data;
    struct error err = {0};
    cr_expect_eq(make(&data, one, ELEMENT_U8, 3, 0, 0, false, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "y: every label is 5"), "%s", err.text);
    cr_expect_eq(make(&data, beyond, ELEMENT_U8, 3, 2, 2, false, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "y: sample 2: label 2 (right: 0 to 1"), "%s", err.text);
    memory_close(&data.memory);
    cr_expect_eq(make(&data, gap, ELEMENT_U8, 3, 2, 2, false, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "y: sample 2: label 2 (right: one of the 2"), "%s",
                       err.text);
    memory_close(&data.memory);
    struct part train = part_of(one, ELEMENT_U8, 3), test = part_of(f32, ELEMENT_F32, 2);
    cr_expect_eq(labels_make(&data, &train, &test, false, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "of a float type"), "%s", err.text);
    train.y_offset = 8;
    test = part_of(beyond, ELEMENT_U8, 1);
    train.y.bytes = beyond;
    test.y.bytes = beyond + 3;
    test.y_offset = 108;
    data = (struct data_pair){0};
    cr_expect_eq(labels_make(&data, &train, &test, false, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "y: offset 108: label 2"), "%s", err.text);
    memory_close(&data.memory);
}
