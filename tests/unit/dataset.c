#include "data/dataset.h"
#include "data/memory.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(dataset, .timeout = 30);

Test(dataset, gathers_bytes_and_floats)
{
    enum { N = 50, WIDTH = 37, BATCH = 20 };
    static uint8_t bytes[N * WIDTH], labels[N];
    static float floats[N * WIDTH];
    for (int i = 0; i < N * WIDTH; i++) {
        bytes[i] = (uint8_t)(i * 7);
        floats[i] = (float)bytes[i] * (1.0f / 255.0f);
    }
    for (int i = 0; i < N; i++)
        labels[i] = (uint8_t)(i % 5);
    struct dataset sets[2] = {{.scale_all = 1.0f / 255.0f}, {.scale_all = 1.0f}};
    for (int s = 0; s < 2; s++) {
        sets[s].n_samples = N;
        sets[s].shape = data_flat(WIDTH, 5);
        sets[s].x =
            s == 0 ? array_of(bytes, WIDTH, ELEMENT_U8) : array_of(floats, WIDTH, ELEMENT_F32);
        sets[s].y = array_of(labels, 1, ELEMENT_U8);
    }
    uint32_t rows[BATCH];
    for (uint32_t i = 0; i < BATCH; i++)
        rows[i] = (i * 31 + 49) % N;
    for (int s = 0; s < 2; s++) {
        float x[BATCH * WIDTH + 1];
        union target y[BATCH + 1];
        x[BATCH * WIDTH] = -3;
        y[BATCH].class = 99;
        dataset_prefetch(&sets[s], rows, BATCH);
        dataset_gather(&sets[s], rows, BATCH, x, y);
        for (uint32_t i = 0; i < BATCH; i++) {
            cr_assert_eq(y[i].class, labels[rows[i]]);
            cr_assert_arr_eq(x + i * WIDTH, floats + rows[i] * WIDTH, WIDTH * sizeof(float));
        }
        cr_assert(x[BATCH * WIDTH] < -2 && y[BATCH].class == 99);
    }
}

/* Only what lies as the floats that it stands for is read in its place. */
Test(dataset, reads_floats_where_they_lie)
{
    enum { N = 6, WIDTH = 5 };
    static const float shift[WIDTH] = {1, 1, 1, 1, 1}, scale[WIDTH] = {2, 2, 2, 2, 2};
    static uint8_t labels[N], moved[N * WIDTH * sizeof(float) + 1];
    static float floats[N * WIDTH];
    for (int i = 0; i < N * WIDTH; i++)
        floats[i] = (float)i * 0.5f;
    for (int i = 0; i < N; i++)
        labels[i] = (uint8_t)(i % 3);
    memcpy(moved + 1, floats, sizeof floats);
    enum { PLAIN, ODD, SCALED, SHIFTED, BYTES, IMAGE, CASES };
    for (int k = 0; k < CASES; k++) {
        struct dataset set = {.n_samples = N,
                              .shape = data_flat(WIDTH, 3),
                              .x = array_of(k == ODD     ? (const void *)(moved + 1)
                                            : k == BYTES ? (const void *)moved
                                                         : (const void *)floats,
                                            WIDTH, k == BYTES ? ELEMENT_U8 : ELEMENT_F32),
                              .y = array_of(labels, 1, ELEMENT_U8),
                              .shift = k == SHIFTED ? shift : NULL,
                              .scale = k == SHIFTED ? scale : NULL,
                              .scale_all = k == SCALED ? 0.5f : 1.0f,
                              .channels_last = k == IMAGE};
        set.shape.image[0] = 5;
        set.shape.image[1] = set.shape.image[2] = 1;
        for (uint32_t n = 1; n <= 2; n++) {
            uint32_t rows[2] = {4, 1};
            float x[2 * WIDTH], due[2 * WIDTH];
            union target y[2], due_y[2];
            const float *read = dataset_read(&set, rows, n, x, y);
            cr_assert_eq(read == floats + 4 * WIDTH, k == PLAIN && n == 1, "%d, %u", k, n);
            cr_assert(read == x || k == PLAIN);
            dataset_gather(&set, rows, n, due, due_y);
            cr_assert_arr_eq(read, due, n * WIDTH * sizeof(float));
            cr_assert_arr_eq(y, due_y, n * sizeof *y);
        }
    }
}

Test(dataset, blobs_are_the_same_every_time)
{
    struct data_pair a, b, c;
    struct error err;
    cr_assert_eq(data_open(&a, "blobs:classes=3,features=4,train=30,test=9", NULL, &err), 0);
    cr_assert_eq(data_open(&b, "blobs:test=9,train=30,features=4,classes=3,seed=7", NULL, &err), 0);
    cr_assert_eq(data_open(&c, "blobs:classes=3,features=4,train=30,test=9,seed=8", NULL, &err), 0);
    cr_assert_str_eq(a.name, b.name);
    cr_assert_str_neq(a.name, c.name);
    cr_assert_arr_eq(a.train.x.bytes, b.train.x.bytes, 120 * sizeof(float));
    cr_assert_arr_eq(a.test.x.bytes, b.test.x.bytes, 36 * sizeof(float));
    cr_assert_arr_neq(a.train.x.bytes, c.train.x.bytes, 120 * sizeof(float));
    /* Rows 0 and 3 are of one class: their difference is noise alone. */
    const float *x = a.train.x.bytes, *other = c.train.x.bytes;
    cr_assert(fabs((double)(x[0] - x[12]) - (double)(other[0] - other[12])) > 1e-3);
    uint32_t counts[3] = {0};
    for (uint32_t i = 0; i < 30; i++)
        counts[dataset_target(&a.train, i).class]++;
    cr_assert(counts[0] == 10 && counts[1] == 10 && counts[2] == 10);
    data_close(&a);
    data_close(&b);
    data_close(&c);
}

Test(dataset, specs_nobody_understands)
{
    static const struct {
        const char *spec, *text;
        int code;
    } cases[] = {
        {"fashion-mnst", "did you mean 'fashion-mnist'", ERR_USAGE},
        {"blobs:clases=3", "did you mean 'classes'", ERR_USAGE},
        {"blobs:classes=1", "classes=1", ERR_USAGE},
        {"blobs:classes=257", "classes=257", ERR_USAGE},
        {"blobs:features=0", "features=0", ERR_USAGE},
        {"blobs:spread=-1", "spread=-1", ERR_USAGE},
        {"blobs:spread=nan", "spread=nan", ERR_USAGE},
        {"blobs:train", "not key=value", ERR_USAGE},
        {"blobs:train=10,", "not key=value", ERR_USAGE},
        {"blobs:train=10000000,features=65536", "at most", ERR_USAGE},
        {"/no/such/directory", "no such file or directory", ERR_DATA},
        {"", "no data ''", ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct data_pair data;
        struct error err;
        cr_assert_eq(data_open(&data, cases[i].spec, NULL, &err), cases[i].code, "%s",
                     cases[i].spec);
        cr_assert_not_null(strstr(err.text, cases[i].text), "%s: %s", cases[i].spec, err.text);
        data_close(&data);
    }
}

Test(dataset, settles_what_is_mapped)
{
    enum { N = 3 << 20, AT = 12345 };
    struct memory *list = NULL;
    struct error err;
    FILE *f = tmpfile();
    for (int i = 0; i < N; i++)
        putc(i * 7 + i / 251, f);
    fflush(f);
    const uint8_t *mapped = memory_map(&list, fileno(f), N, "a file", &err);
    cr_assert_not_null(mapped);
    cr_assert_eq(memory_settle(&list, mapped + AT, N - 1), mapped + AT, "larger than it may be");
    const uint8_t *at = memory_settle(&list, mapped + AT, N);
    cr_assert(at < mapped || at >= mapped + N);
    cr_assert_arr_eq(at - AT, mapped, N);
    cr_assert_eq(memory_settle(&list, at, N), at, "it is our own already");
    memory_close(&list);
    fclose(f);
}
