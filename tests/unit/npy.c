#include "data/npy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(npy, .timeout = 20);

static size_t file_of(uint8_t *bytes, int version, const char *text)
{
    size_t n = strlen(text);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (uint8_t)version;
    bytes[7] = 0;
    bytes[8] = (uint8_t)n;
    bytes[9] = (uint8_t)(n >> 8);
    size_t prefix = version == 1 ? 10 : 12;
    if (version > 1)
        bytes[10] = bytes[11] = 0;
    memcpy(bytes + prefix, text, n);
    return prefix + n;
}

Test(npy, headers_as_numpy_writes_them)
{
    static const uint64_t dims[NPY_DIMS_MAX] = {60000, 28, 3, 1, 2, 1, 1, 1};
    for (int e = 0; e < N_ELEMENTS; e++)
        for (uint32_t n_dims = 0; n_dims <= NPY_DIMS_MAX; n_dims++) {
            char head[NPY_HEADER_OUT_MAX];
            struct npy npy;
            struct error err;
            size_t n = npy_format_header(head, (enum element)e, n_dims, dims);
            uint64_t n_bytes = elements[e].n_bytes;
            for (uint32_t d = 0; d < n_dims; d++)
                n_bytes *= dims[d];
            cr_assert(n % 64 == 0 && head[n - 1] == '\n');
            cr_assert_eq(npy_parse_header(&npy, (uint8_t *)head, n, &err), 0, "%s", err.text);
            cr_expect(npy.element == (enum element)e && npy.n_dims == n_dims);
            cr_expect_arr_eq(npy.dims, dims, n_dims * sizeof *dims);
            cr_expect(npy.n_header == n && npy.n_bytes == n_bytes && npy.n_chars == 0);
        }
    char head[NPY_HEADER_OUT_MAX];
    static const char one[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (60000,), }";
    npy_format_header(head, ELEMENT_F32, 1, dims);
    cr_expect_arr_eq(head + 10, one, sizeof one - 1);
}

Test(npy, texts)
{
    char head[NPY_HEADER_OUT_MAX];
    uint8_t bytes[1024] = {0};
    struct npy npy;
    struct error err;
    size_t n = npy_format_texts(head, 12, 3);
    memcpy(bytes, head, n);
    cr_assert_eq(npy_parse_texts(&npy, bytes, n + 3 * 12 * 4, &err), 0, "%s", err.text);
    cr_expect(npy.n_chars == 12 && npy.n_bytes == 144 && npy.dims[0] == 3);
    cr_expect_eq(npy_parse_texts(&npy, bytes, n + 143, &err), ERR_DATA);
    cr_expect_eq(npy_parse(&npy, bytes, n + 144, &err), ERR_DATA, "texts are no numbers");
    cr_expect_not_null(strstr(err.text, "'<U12'"), "%s", err.text);
    static const char *const bad[] = {"<U0", "<U256", "<U", ">U3", "<S3", "|O", "<f4", "<U-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (0,)}",
                 bad[i]);
        n = file_of(bytes, 1, text);
        cr_expect_eq(npy_parse_texts(&npy, bytes, n, &err), ERR_DATA, "%s", bad[i]);
    }
    n = file_of(bytes, 1, "{'descr': '<U3', 'fortran_order': False, 'shape': (0, 1)}");
    cr_expect_eq(npy_parse_texts(&npy, bytes, n, &err), ERR_DATA, "two dimensions");
}

#define F4    "{'descr': '<f4', 'fortran_order': False, "
#define SHAPE "'shape': (2, 3)"

Test(npy, dictionaries)
{
    static const struct {
        int version;
        const char *text, *error; /* NULL: good, [2, 3] of <f4 */
    } cases[] = {
        {1, F4 SHAPE ", }\n", NULL},
        {2, F4 SHAPE "}", NULL},
        {3, "{ \"shape\" : ( 2 , 3 , ) , \"descr\":\"<f4\",\"fortran_order\":False }", NULL},
        {1, F4 "'shape': (2L, 3L)}", NULL},
        {4, F4 SHAPE "}", "version 4"},
        {1, F4 "}", "lacks 'shape'"},
        {1, "{" SHAPE ", 'fortran_order': False}", "lacks 'descr'"},
        {1, F4 SHAPE ", 'x': 1}", "each once"},
        {1, F4 SHAPE ", " SHAPE "}", "each once"},
        {1, F4 SHAPE "} x", "nothing after }"},
        {1, F4 SHAPE, "right: , or }"},
        {1, F4 "'shape': (2 3)}", "right: a shape"},
        {1, F4 "'shape': (2, -3)}", "right: a shape"},
        {1, F4 "'shape': 6}", "right: a shape"},
        {1, F4 "'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}", "more than 8"},
        {1, F4 "'shape': (70368744177664, 2)}", "dimension 0"},
        {1, F4 "'shape': (70368744177665000000000,)}", "right: a shape"},
        {1, "{'descr': '<f4', 'fortran_order': True, " SHAPE "}", "Fortran"},
        {1, "{'descr': '>f4', 'fortran_order': False, " SHAPE "}", "big-endian"},
        {1, "{'descr': '|O', 'fortran_order': False, " SHAPE "}", "Python objects"},
        {1, "['descr']", "right: a dictionary"},
        {1, "", "not an .npy array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[512];
        struct npy npy;
        struct error err = {0};
        size_t n = file_of(bytes, cases[i].version, cases[i].text);
        int rc = npy_parse_header(&npy, bytes, n, &err);
        if (cases[i].error == NULL) {
            cr_expect_eq(rc, 0, "%s: %s", cases[i].text, err.text);
            cr_expect(npy.element == ELEMENT_F32 && npy.n_dims == 2 && npy.dims[0] == 2 &&
                      npy.dims[1] == 3 && npy.n_header == n && npy.n_bytes == 24);
        } else {
            cr_expect_eq(rc, ERR_DATA, "%s", cases[i].text);
            cr_expect_not_null(strstr(err.text, cases[i].error), "%s: %s", cases[i].text, err.text);
        }
        for (size_t cut = 0; cut < n && cases[i].error == NULL; cut++)
            cr_expect_eq(npy_parse_header(&npy, bytes, cut, &err), ERR_DATA, "cut at %zu", cut);
    }
}

Test(npy, the_array_ends_where_the_header_says)
{
    uint8_t bytes[512] = {0};
    struct npy npy;
    struct error err;
    uint64_t promised;
    size_t n = file_of(bytes, 1, F4 SHAPE "}");
    cr_expect_eq(npy_parse(&npy, bytes, n + 24, &err), 0);
    cr_expect_eq(npy_parse(&npy, bytes, n + 23, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "1 bytes too early"), "%s", err.text);
    cr_expect_eq(npy_parse(&npy, bytes, n + 25, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "bytes after the end"), "%s", err.text);
    cr_expect(npy_promised(bytes, n, &promised, &err) == 0 && promised == n + 24);
}
