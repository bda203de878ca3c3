#include "data/dataset.h"
#include "data/idx.h"

#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

TestSuite(idx, .timeout = 30);

static size_t make_idx(uint8_t *to, uint32_t magic, const uint32_t *dims, uint32_t n_dims,
                       uint32_t n_data)
{
    size_t n = 0;
    for (uint32_t d = 0; d <= n_dims; d++) {
        uint32_t v = d == 0 ? magic : dims[d - 1];
        for (int shift = 24; shift >= 0; shift -= 8)
            to[n++] = (uint8_t)(v >> shift);
    }
    for (uint32_t i = 0; i < n_data; i++)
        to[n++] = (uint8_t)(i % 3);
    return n;
}

/* What was read is copied into `bytes` [n_bytes] unless NULL. */
static int read_idx(struct idx *idx, const char *path, uint32_t min_dims, uint8_t *bytes,
                    struct error *err)
{
    struct memory *list = NULL;
    struct source s;
    int rc = source_open(&s, &list, path, err);
    if (rc == 0)
        rc = idx_parse(idx, &s, min_dims, 4, err);
    if (rc == 0 && bytes != NULL)
        memcpy(bytes, idx->bytes, idx->n_bytes);
    memory_close(&list);
    return rc;
}

/* So that no test looks at what another left in the cache. */
static void begin(char dir[FILES_DIR_MAX])
{
    files_begin(dir);
    setenv("XDG_CACHE_HOME", dir, 1);
}

Test(idx, reads_plain_and_gzip)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    uint8_t bytes[256];
    size_t n = make_idx(bytes, 0x803, (uint32_t[]){4, 2, 3}, 3, 24);
    begin(dir);
    for (int packed = 0; packed < 2; packed++) {
        struct idx idx;
        struct error err;
        uint8_t got[24];
        files_write(dir, "x", bytes, n, packed, path);
        cr_assert_eq(read_idx(&idx, path, 2, got, &err), 0, "%s", err.text);
        cr_assert(idx.n_dims == 3 && idx.dims[0] == 4 && idx.dims[1] == 2 && idx.dims[2] == 3);
        cr_assert_eq(idx.n_bytes, 24);
        cr_assert_arr_eq(got, bytes + 16, 24);
    }
    files_end(dir);
}

/* A good file of 4 x 2 x 3 bytes, and one thing wrong with it. */
Test(idx, broken_files)
{
    static const struct {
        uint32_t magic, dims[4], n_dims, n_data;
        size_t cut; /* bytes left off at the end */
        int packed;
        const char *text;
    } cases[] = {
        {0x803, {4, 2, 3}, 3, 24, 40, 0, "the file is empty"},
        {0x803, {4, 2, 3}, 3, 24, 37, 0, "ends at offset 3"},
        {0x803, {4, 2, 3}, 3, 24, 30, 0, "ends at offset 10"},
        {0x803, {4, 2, 3}, 3, 24, 6, 0, "6 bytes too early"},
        {0xd03, {4, 2, 3}, 3, 24, 0, 0, "magic 0x00000d03"},
        {0x3080000, {4, 2, 3}, 3, 24, 0, 0, "magic 0x03080000"},
        {0x10803, {4, 2, 3}, 3, 24, 0, 0, "magic 0x00010803"},
        {0x801, {24}, 1, 24, 0, 0, "1 dimensions"},
        {0x8ff, {4, 2, 3}, 3, 24, 0, 0, "255 dimensions"},
        {0x800, {4, 2, 3}, 3, 24, 0, 0, "0 dimensions"},
        {0x803, {0, 2, 3}, 3, 24, 0, 0, "offset 4: dimension 0 is 0"},
        {0x803, {4, 0, 3}, 3, 24, 0, 0, "offset 8: dimension 1 is 0"},
        {0x803, {0xffffffff, 0xffffffff}, 2, 24, 0, 0, "dimension 1 is 4294967295"},
        {0x803, {65536, 65536, 65536}, 3, 24, 0, 0, "offset 12: dimension 2 is 65536"},
        {0x803, {5, 2, 3}, 3, 24, 0, 1, "ends at offset 40, 6 bytes too early"},
        {0x803, {40000, 20, 30}, 3, 24, 0, 0, "ends at offset 40, 23999976 bytes too early"},
        {0x803, {40000, 20, 30}, 3, 24, 0, 1, "more than the whole file can hold"},
        {0x803, {3, 2, 3}, 3, 24, 0, 0, "offset 34: bytes after the end"},
        {0x803, {3, 2, 3}, 3, 24, 0, 1, "offset 34: bytes after the end"},
    };
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    begin(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[256];
        struct idx idx;
        struct error err;
        size_t n = make_idx(bytes, cases[i].magic, cases[i].dims, cases[i].n_dims, cases[i].n_data);
        files_write(dir, "x", bytes, n - cases[i].cut, cases[i].packed, path);
        cr_assert_eq(read_idx(&idx, path, 2, NULL, &err), ERR_DATA, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
        cr_assert_not_null(strstr(err.text, path));
    }
    files_end(dir);
}

/* Whatever single byte is damaged or wherever it is cut, a gzip file is refused or reads the same
 * (bytes 4 to 9 of its header say nothing about the data). */
Test(idx, damaged_gzip)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    uint8_t bytes[256];
    size_t n = make_idx(bytes, 0x803, (uint32_t[]){4, 2, 3}, 3, 24), n_packed;
    begin(dir);
    files_write(dir, "x", bytes, n, 1, path);
    uint8_t *packed = files_read(path, &n_packed);
    for (size_t i = 0; i < 2 * n_packed; i++) {
        struct idx idx;
        struct error err;
        uint8_t *copy = malloc(n_packed);
        memcpy(copy, packed, n_packed);
        bool cut = i >= n_packed;
        if (!cut)
            copy[i] ^= 0x5a;
        files_write(dir, "y", copy, cut ? i - n_packed : n_packed, 0, path);
        uint8_t got[24];
        if (read_idx(&idx, path, 2, got, &err) == 0) {
            cr_assert(!cut && i >= 3 && i < 10, "byte %zu", i);
            cr_assert_arr_eq(got, bytes + 16, 24);
        }
        free(copy);
    }
    free(packed);
    files_end(dir);
}

Test(idx, what_is_no_file)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    struct idx idx;
    struct error err;
    begin(dir);
    cr_assert_eq(read_idx(&idx, dir, 1, NULL, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "not a regular file"));
    snprintf(path, sizeof path, "%s/fifo", dir);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(read_idx(&idx, path, 1, NULL, &err), ERR_DATA);
    snprintf(path, sizeof path, "%s/none", dir);
    cr_assert_eq(read_idx(&idx, path, 1, NULL, &err), ERR_DATA);
    files_end(dir);
}

struct four {
    uint32_t n_train, n_labels, n_test, train_width, test_width;
    uint8_t train_label, test_label; /* of the last sample */
};

static void write_four(const char *dir, const struct four *f, int packed)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    for (int i = 0; i < 4; i++) {
        uint8_t bytes[1024];
        char name[64];
        uint32_t n = i == 0 ? f->n_train : i == 1 ? f->n_labels : f->n_test;
        uint32_t width = i == 0 ? f->train_width : f->test_width;
        bool labels = i % 2 == 1;
        size_t size = make_idx(bytes, labels ? 0x801 : 0x803, (uint32_t[]){n, 2, width},
                               labels ? 1 : 3, labels ? n : n * 2 * width);
        if (labels)
            bytes[size - 1] = i == 1 ? f->train_label : f->test_label;
        snprintf(name, sizeof name, "%s%s", names[i], packed ? ".gz" : "");
        files_write(dir, name, bytes, size, packed, NULL);
    }
}

Test(idx, pair)
{
    static const struct four good = {9, 9, 6, 3, 3, 2, 2};
    char dir[FILES_DIR_MAX], name[128] = "";
    struct error err;
    for (int packed = 0; packed < 3; packed++) {
        struct data_pair data;
        struct four four = good;
        four.train_label = packed == 2 ? 1 : 2;
        begin(dir);
        write_four(dir, &four, packed == 1);
        cr_assert_eq(data_open(&data, dir, NULL, &err), 0, "%s", err.text);
        cr_assert(data.train.n_samples == 9 && data.test.n_samples == 6);
        cr_assert(data.train.shape.n_features == 6 && data.train.shape.n_classes == 3);
        cr_assert_eq(strncmp(data.name, "idx 9x6/3 ", 10), 0, "%s", data.name);
        /* The same bytes have the same name, packed or not; one other label, another name. */
        if (packed > 0)
            cr_assert_eq(strcmp(name, data.name) == 0, packed == 1);
        strcpy(name, data.name);
        data_close(&data);
        files_end(dir);
    }
}

Test(idx, pair_that_does_not_fit)
{
    static const struct {
        struct four four;
        const char *text;
    } cases[] = {
        {{9, 8, 6, 3, 3, 2, 2}, "8 labels for the 9 samples"},
        {{9, 9, 6, 3, 4, 2, 2}, "8 features a sample (right: 6"},
        {{9, 9, 6, 3, 3, 2, 7}, "offset 13: label 7 (right: 0 to 2"},
        {{1, 1, 6, 3, 3, 0, 2}, "every label is 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[FILES_DIR_MAX];
        struct data_pair data;
        struct error err;
        begin(dir);
        write_four(dir, &cases[i].four, 0);
        cr_assert_eq(data_open(&data, dir, NULL, &err), ERR_DATA, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
        files_end(dir);
    }
}

Test(idx, missing_file_names_the_package)
{
    char dir[FILES_DIR_MAX];
    struct part train = {0}, test = {0};
    struct memory *list = NULL;
    struct error err;
    begin(dir);
    cr_assert_eq(idx_read_directory(&train, &test, &list, dir, "apt-get install something", &err),
                 ERR_DATA);
    cr_assert_not_null(strstr(err.text, "apt-get install something"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "train-images-idx3-ubyte"));
    memory_close(&list);
    files_end(dir);
}
