#include "data/layout.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(layout, .timeout = 20);

Test(layout, parses)
{
    static const struct {
        const char *text;
        enum layout_order order;
        uint32_t dims[3];
        const char *shown;
    } cases[] = {
        {"", LAYOUT_AUTO, {0, 0, 0}, ""},
        {"chw", LAYOUT_CHW, {0, 0, 0}, "chw"},
        {"hwc", LAYOUT_HWC, {0, 0, 0}, "hwc"},
        {"1x8x9", LAYOUT_CHW, {1, 8, 9}, "chw:1x8x9"},
        {"chw:1x8x9", LAYOUT_CHW, {1, 8, 9}, "chw:1x8x9"},
        {"hwc:8x9x3", LAYOUT_HWC, {8, 9, 3}, "hwc:8x9x3"},
        {"hwc:65535x65535x65535", LAYOUT_HWC, {65535, 65535, 65535}, "hwc:65535x65535x65535"},
    };
    static const char *const bad[] = {"8x8",
                                      "1x8x8x8",
                                      "0x8x8",
                                      "1x8x65536",
                                      "1x8x",
                                      "cwh",
                                      "chw:",
                                      "hwc:8x8",
                                      "hwcx",
                                      "hwc8x8x3",
                                      "-1x8x8",
                                      "1x8x8 ",
                                      "1,8,8",
                                      "x",
                                      "1x8x8x",
                                      "chw:1x 8x8",
                                      "000000000000000000000000000000000000000000000001x1x1"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct layout l;
        struct error err;
        cr_assert_eq(layout_parse(cases[i].text, &l, &err), 0, "%s", cases[i].text);
        cr_expect_eq(l.order, cases[i].order, "%s", cases[i].text);
        cr_expect_arr_eq(l.dims, cases[i].dims, sizeof l.dims, "%s", cases[i].text);
        cr_expect_str_eq(l.text, cases[i].shown);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct layout l;
        struct error err;
        cr_expect_eq(layout_parse(bad[i], &l, &err), ERR_USAGE, "%s", bad[i]);
        cr_expect_not_null(strstr(err.text, "right: 1x8x8"), "%s", err.text);
    }
}

Test(layout, applies)
{
    static const struct {
        const char *text;
        uint32_t n_columns, image[3]; /* of the file: channels, height, width */
        bool channels_last;
        uint32_t wanted[3];
        bool wanted_last;
        const char *error;
    } cases[] = {
        {"", 24, {2, 3, 4}, true, {2, 3, 4}, true, NULL},
        {"1x4x6", 24, {0, 0, 0}, false, {1, 4, 6}, false, NULL},
        {"hwc:4x3x2", 24, {0, 0, 0}, false, {2, 4, 3}, true, NULL},
        {"hwc:4x6x1", 24, {0, 0, 0}, false, {1, 4, 6}, false, NULL},
        /* 2x3x4 as the file has it, taken for channels first, then for channels last */
        {"hwc", 24, {2, 3, 4}, false, {4, 2, 3}, true, NULL},
        {"chw", 24, {2, 3, 4}, false, {2, 3, 4}, false, NULL},
        {"chw", 24, {4, 2, 3}, true, {2, 3, 4}, false, NULL},
        {"hwc", 24, {4, 2, 3}, true, {4, 2, 3}, true, NULL},
        {"hwc:4x3x2", 24, {1, 4, 6}, false, {2, 4, 3}, true, NULL},
        {"chw", 24, {0, 0, 0}, false, {0, 0, 0}, false, "24 numbers without a shape"},
        {"1x4x7",
         24,
         {1, 4, 6},
         false,
         {0, 0, 0},
         false,
         "28 numbers, but the samples of a have 24"},
        {"65535x65535x65535", 1, {0, 0, 0}, false, {0, 0, 0}, false, "281462092005375 numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct layout l;
        struct error err;
        struct part p = {.n_rows = 1,
                         .path = "a",
                         .x = array_of(NULL, cases[i].n_columns, ELEMENT_U8),
                         .channels_last = cases[i].channels_last};
        memcpy(p.image, cases[i].image, sizeof p.image);
        cr_assert_eq(layout_parse(cases[i].text, &l, &err), 0);
        int rc = layout_apply(&l, &p, &err);
        if (cases[i].error != NULL) {
            cr_expect_eq(rc, ERR_USAGE, "case %zu", i);
            cr_expect_not_null(strstr(err.text, cases[i].error), "case %zu: %s", i, err.text);
            continue;
        }
        cr_assert_eq(rc, 0, "case %zu: %s", i, err.text);
        cr_expect_arr_eq(p.image, cases[i].wanted, sizeof p.image, "case %zu", i);
        cr_expect_eq(p.channels_last, cases[i].wanted_last, "case %zu", i);
    }
}
