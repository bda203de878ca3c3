/* LIBSVM files. */
#include "data/libsvm.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(libsvm, .timeout = 30);

static int read(const char *text, struct part *p, struct memory **memory, struct error *err)
{
    struct source s = {"a.svm", (const uint8_t *)text, strlen(text)};
    struct libsvm_layout layout = {0};
    *p = (struct part){0};
    return libsvm_read(p, &layout, false, memory, &s, err);
}

Test(libsvm, indices_from_one_or_zero_and_comments)
{
    static const char *const texts[] = {"1 1:5 3:7 # yes\n-1 2:6\n", "# head\n1 0:5 2:7\n\n-1 1:6"};
    static const float right[] = {5, 0, 7, 0, 6, 0};
    for (int i = 0; i < 2; i++) {
        struct part p;
        struct memory *memory = NULL;
        struct error err;
        cr_assert_eq(read(texts[i], &p, &memory, &err), 0, "%s", err.text);
        cr_assert(p.n_rows == 2 && p.x.n_columns == 3 && p.x.element == ELEMENT_F32);
        cr_assert_arr_eq(p.x.bytes, right, sizeof right);
        cr_assert_eq(p.y.element, ELEMENT_I64);
        cr_assert(array_whole(&p.y, 0, 0) == 1 && array_whole(&p.y, 1, 0) == -1);
        memory_close(&memory);
    }
}

Test(libsvm, labels_that_are_not_whole_are_real)
{
    struct part p;
    struct memory *memory = NULL;
    struct error err;
    cr_assert_eq(read("0.5 1:1\n2 1:2\n", &p, &memory, &err), 0);
    cr_assert(p.y.element == ELEMENT_F64 && array_value(&p.y, 0, 0) == 0.5);
    memory_close(&memory);
}

Test(libsvm, what_is_broken_names_its_line)
{
    static const struct {
        const char *text, *right;
    } cases[] = {
        {"1 1:2\nx 1:2\n", "line 2: 'x'"},       {"1 1:2\n1 1:y\n", "line 2: '1:y'"},
        {"1 1:2\n1 2:1 2:1\n", "line 2: '2:1'"}, {"1 1:2\n1 2:1 1:1\n", "line 2: '1:1'"},
        {"1 16777217:1\n", "line 1: '16777217"}, {"1 1:2\n1 -1:2\n", "line 2: '-1:2'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct part p;
        struct memory *memory = NULL;
        struct error err;
        cr_assert_eq(read(cases[i].text, &p, &memory, &err), ERR_DATA, "%zu", i);
        cr_assert(strstr(err.text, cases[i].right) != NULL, "%zu: %s", i, err.text);
        memory_close(&memory);
    }
}
