/* What becomes of an array between its file and the model. */
#include "data/npy.h"
#include "data/prepare.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(prepare, .timeout = 30);

enum { N = 40, WIDTH = 4 };

/* Column 0 runs from 10, column 1 is constant, column 2 is the class, column 3 the negative of 0.
 */
static void make_rows(float *x)
{
    for (int i = 0; i < N; i++) {
        float *row = x + (size_t)i * WIDTH;
        row[0] = (float)(10 + i);
        row[1] = 3;
        row[2] = (float)(i % 2 == 0 ? -1 : 1);
        row[3] = -row[0];
    }
}

static void write_npy(const char *dir, const float *x, const uint64_t *dims, uint32_t n_dims,
                      char path[FILES_PATH_MAX])
{
    static uint8_t file[65536];
    size_t n = npy_format_header((char *)file, ELEMENT_F32, n_dims, dims);
    uint64_t n_values = 1;
    for (uint32_t d = 0; d < n_dims; d++)
        n_values *= dims[d];
    memcpy(file + n, x, n_values * sizeof *x);
    files_write(dir, "x.npy", file, n + n_values * sizeof *x, 0, path);
}

static int open_rows(struct data_pair *data, const float *x, const struct data_options *options,
                     struct error *err)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    files_begin(dir);
    write_npy(dir, x, (uint64_t[]){N, WIDTH}, 2, path);
    int rc = data_open(data, path, options, err);
    files_end(dir);
    return rc;
}

Test(prepare, features_are_normalised_by_the_training_part)
{
    float x[N * WIDTH], row[WIDTH];
    make_rows(x);
    for (int how = NORMALIZE_AUTO; how < N_NORMALIZES; how++) {
        struct data_options options = {
            .label = "3", .target = TARGET_CLASSES, .preprocess.normalize = (enum normalize)how};
        struct data_pair data;
        struct error err;
        cr_assert_eq(open_rows(&data, x, &options, &err), 0, "%s", err.text);
        cr_assert_eq(data.train.shape.n_classes, 2);
        cr_assert_eq(data.train.shape.n_features, 3);
        double sum = 0, squares = 0, min = INFINITY, max = -INFINITY;
        for (uint32_t i = 0; i < data.train.n_samples; i++) {
            union target y;
            dataset_gather(&data.train, &i, 1, row, &y);
            sum += (double)row[0];
            squares += (double)(row[0] * row[0]);
            min = fmin(min, (double)row[0]);
            max = fmax(max, (double)row[0]);
            cr_assert_eq(row[1], how >= NORMALIZE_MINMAX ? 0 : 3);
            cr_assert_eq(y.class, (uint32_t)(dataset_row(&data.train, i) % 2));
        }
        double n = data.train.n_samples;
        if (how == NORMALIZE_ZSCORE)
            cr_assert(fabs(sum / n) < 1e-5 && fabs(squares / n - 1) < 1e-5);
        else if (how == NORMALIZE_MINMAX)
            cr_assert(min == 0 && fabs(max - 1) < 1e-6);
        else
            cr_assert(min >= 10 && max <= 49);
        data_close(&data);
    }
}

Test(prepare, two_ways_to_normalise_are_two_names)
{
    float x[N * WIDTH];
    char names[2][128];
    make_rows(x);
    for (int i = 0; i < 2; i++) {
        struct data_options options = {.label = "3",
                                       .target = TARGET_CLASSES,
                                       .preprocess.normalize =
                                           i == 0 ? NORMALIZE_MINMAX : NORMALIZE_ZSCORE};
        struct data_pair data;
        struct error err;
        cr_assert_eq(open_rows(&data, x, &options, &err), 0);
        memcpy(names[i], data.name, sizeof names[i]);
        data_close(&data);
    }
    cr_assert_str_neq(names[0], names[1]);
}

Test(prepare, rows_that_are_not_finite)
{
    float x[N * WIDTH];
    struct data_pair data;
    struct error err;
    struct data_options options = {.label = "-1", .target = TARGET_REAL};
    make_rows(x);
    x[7 * WIDTH + 1] = NAN;
    x[9 * WIDTH + 0] = INFINITY;
    cr_assert_eq(open_rows(&data, x, &options, &err), ERR_DATA);
    cr_assert(strstr(err.text, "row 8, feature 2: nan") != NULL, "%s", err.text);
    options.preprocess.clean = CLEAN_DROP;
    cr_assert_eq(open_rows(&data, x, &options, &err), 0, "%s", err.text);
    cr_assert_eq(data.train.n_samples + data.test.n_samples, N - 2);
    data_close(&data);
    for (int i = 0; i < N; i++)
        x[(size_t)i * WIDTH] = NAN;
    cr_assert_eq(open_rows(&data, x, &options, &err), ERR_DATA);
}

Test(prepare, columns_leave_from_anywhere)
{
    static const struct {
        const char *label, *ignore;
        int rc;
        uint32_t n_features;
        float first; /* feature 0 of row 5 */
    } cases[] = {{"3", NULL, 0, 3, 15},        {"1", NULL, 0, 3, 3},
                 {"4", NULL, 0, 3, 15},        {"-1", "1", 0, 2, 3},
                 {"3", "1", 0, 2, 3},          {"2", "-1", 0, 2, 15},
                 {"0", NULL, ERR_USAGE, 0, 0}, {"5", NULL, ERR_USAGE, 0, 0},
                 {"x", NULL, ERR_USAGE, 0, 0}, {"1", "name", ERR_USAGE, 0, 0}};
    float x[N * WIDTH], row[WIDTH];
    make_rows(x);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *ignore = cases[i].ignore;
        struct data_options options = {.label = cases[i].label,
                                       .target = TARGET_REAL,
                                       .test = "0.5",
                                       .ignore = {.values = {ignore}, .n = ignore != NULL ? 1 : 0}};
        struct data_pair data;
        struct error err;
        int rc = open_rows(&data, x, &options, &err);
        cr_assert_eq(rc, cases[i].rc, "%zu: %d", i, rc);
        if (rc != 0)
            continue;
        cr_assert_eq(data.train.shape.n_features, cases[i].n_features);
        array_get(&data.train.x, 5, NULL, NULL, 1, row);
        cr_assert_eq(row[0], cases[i].first, "%zu: %g", i, (double)row[0]);
        data_close(&data);
    }
}

Test(prepare, what_cannot_be_honoured_is_an_error)
{
    static const struct {
        const char *spec;
        struct data_options options;
    } cases[] = {
        {NULL, {.label = "1", .target = TARGET_REAL, .preprocess.clean = CLEAN_MEAN}},
        {NULL, {.label = "1", .target = TARGET_REAL, .preprocess.drop_duplicates = true}},
        {NULL, {.label = "1", .target = TARGET_REAL, .schema = "schema.json"}},
        {NULL, {.label = "1", .target = TARGET_REAL, .group = "a"}},
        {NULL, {.label = "1", .target = TARGET_REAL, .test_labels = "y.npy"}},
        {NULL, {.label = "1", .context = 4}},
        {"blobs", {.preprocess.normalize = NORMALIZE_ZSCORE}},
        {"blobs", {.label = "1"}},
        {"blobs", {.test = "0.1"}},
    };
    float x[N * WIDTH];
    make_rows(x);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct data_pair data;
        struct error err;
        int rc = cases[i].spec == NULL ? open_rows(&data, x, &cases[i].options, &err)
                                       : data_open(&data, cases[i].spec, &cases[i].options, &err);
        cr_assert_eq(rc, ERR_USAGE, "%zu: %d", i, rc);
    }
}

Test(prepare, images_with_channels_last_are_gathered_channels_first)
{
    enum { SIDE = 5, CHANNELS = 3, SIZE = SIDE * SIDE * CHANNELS };
    static float x[8 * SIZE];
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    float row[SIZE];
    struct data_pair data;
    struct error err;
    for (int i = 0; i < 8 * SIZE; i++)
        x[i] = (float)i;
    static uint8_t labels[NPY_HEADER_OUT_MAX + 8];
    files_begin(dir);
    size_t n = npy_format_header((char *)labels, ELEMENT_U8, 1, (uint64_t[]){8});
    for (int i = 0; i < 8; i++)
        labels[n + (size_t)i] = (uint8_t)(i % 2);
    files_write(dir, "y.npy", labels, n + 8, 0, path);
    char y_path[FILES_PATH_MAX];
    memcpy(y_path, path, sizeof path);
    write_npy(dir, x, (uint64_t[]){8, SIDE, SIDE, CHANNELS}, 4, path);
    cr_assert_eq(data_open(&data, path, &(struct data_options){.labels = y_path}, &err), 0);
    cr_assert_arr_eq(data.train.shape.image, ((uint32_t[]){CHANNELS, SIDE, SIDE}),
                     3 * sizeof(uint32_t));
    uint32_t sample = 2;
    union target y;
    dataset_gather(&data.train, &sample, 1, row, &y);
    uint64_t base = dataset_row(&data.train, sample) * SIZE;
    for (uint32_t c = 0; c < CHANNELS; c++)
        for (uint32_t i = 0; i < SIDE * SIDE; i++)
            cr_assert_eq(row[c * SIDE * SIDE + i], (float)(base + i * CHANNELS + c));
    data_close(&data);
    files_end(dir);
}
