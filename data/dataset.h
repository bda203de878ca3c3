/* A dataset: clean samples, one row a sample, as they lie in a file or in memory.
 *
 * Elements keep their type (a pixel stays one byte) until a batch is gathered; mapped files are
 * not read before. Read-only once opened, so any thread may read it.
 */
#ifndef HUBBUB_DATA_DATASET_H
#define HUBBUB_DATA_DATASET_H

#include "base/error.h"
#include "data/array.h"
#include "data/options.h"

#include <stdint.h>

/* What a sample looks like: all that a model needs to know of its data. */
struct data_shape {
    uint32_t n_features;
    uint32_t image[3];  /* channels, height, width, whose product is n_features; 0: no image */
    uint32_t n_tokens;  /* > 0: every feature is a token, a whole number below it */
    uint32_t n_classes; /* 0: the target is a real number */
};

static inline struct data_shape data_flat(uint32_t n_features, uint32_t n_classes)
{
    return (struct data_shape){.n_features = n_features, .n_classes = n_classes};
}

/* What a sample should become. */
union target {
    uint32_t class;
    float real;
};

enum { DATA_CLASSES_MAX = 65536 };

/* Where sample i lies: row(ctx, i). A function, so that a split of forty million samples needs no
 * array. */
struct row_map {
    uint32_t (*row)(const void *ctx, uint32_t i); /* NULL: in row i */
    const void *ctx;
};

struct dataset {
    uint32_t n_samples;
    struct data_shape shape;
    struct array x; /* [rows, n_features] */
    struct array y; /* [rows, 1]: the class (U8, U16, I32; below n_classes) or the real target */
    bool channels_last; /* rows of x are [height, width, channels]; gathered as shape.image says */
    struct row_map rows;
    const uint8_t *tokens; /* of a text: [256], the token that stands for a byte; else NULL */
    /* A feature is (x - shift) * scale: [n_features] each, or both NULL and scale_all for all. */
    const float *shift, *scale;
    float scale_all;        /* 1/255 for pixels */
    const uint32_t *groups; /* [rows], below n_groups: which value of the column of a table that
                               was asked for a row has; else NULL */
    uint32_t n_groups;
};

struct data_pair {
    struct dataset train, test;
    char name[128]; /* what both sides of a link must agree on: source, shape and contents, not the
                       path */
    char layout[LAYOUT_TEXT_MAX]; /* --layout, "" where it was not said */
    const int64_t *class_values;  /* [n_classes], ascending: what the file calls a class, where that
                                     is a whole number; else NULL */
    const char *const *class_names; /* [n_classes]: the same as text, also categories and characters
                                       (UTF-8); NULL where they are called 0, 1, 2, ... */
    struct schema *schema;          /* of a table, else NULL */
    struct memory *memory;          /* all that the sets point into */
};

/* Opens what spec names, by its content (docs/DATA.md has every format and its limits):
 * - "fashion-mnist" (Debian's dataset-fashion-mnist), or
 *   "blobs:classes=10,features=20,train=10000,test=1000,spread=1,seed=7" (any subset of the keys;
 *   Gaussian clusters, the same on every machine);
 * - a directory that holds the four IDX files under their usual names (train-images-idx3-ubyte and
 *   so on, plain or .gz), or CIFAR-10's data_batch_*.bin and test_batch.bin;
 * - a file: IDX, CIFAR-10, .npy, .npz, CSV, LIBSVM, or with options->context a text; each plain or
 *   gzip.
 * options may be NULL: the defaults. Plain files are mapped and must not shrink while in use: that
 * ends the program with one line and exit code 3. ERR_DATA (a file: name, place, what is wrong; a
 * missing data set: the apt line that brings it) or ERR_USAGE (a spec or options nobody
 * understands). Main thread. */
int data_open(struct data_pair *data, const char *spec, const struct data_options *options,
              struct error *err) MUST_USE;
void data_close(struct data_pair *data);

/* For who gathers all the time and alone: training rows that lie in a mapped file come onto huge
 * pages, if they take no more than a quarter of the machine's memory. Main thread, before others
 * read. */
void data_settle(struct data_pair *data);

/* The row that a sample is in. */
static inline uint64_t dataset_row(const struct dataset *set, uint32_t sample)
{
    return set->rows.row != NULL ? set->rows.row(set->rows.ctx, sample) : sample;
}

/* The class of a sample, or its real target. */
union target dataset_target(const struct dataset *set, uint32_t sample);

/* Gathers samples into x [n, n_features] as floats and y [n]. */
void dataset_gather(const struct dataset *set, const uint32_t *samples, uint32_t n, float *x,
                    union target *y);

/* Its two halves. Of x, a part: samples [first, end) of the n, into x [end - first, n_features];
 * those that follow are asked for. */
void dataset_rows(const struct dataset *set, const uint32_t *samples, uint32_t n, uint32_t first,
                  uint32_t end, float *x);
void dataset_targets(const struct dataset *set, const uint32_t *samples, uint32_t n,
                     union target *y);

/* dataset_gather for who only reads: x, or where one sample's floats lie if they need no
 * conversion, which is nowhere in particular of a cache line; x is not touched then. */
const float *dataset_read(const struct dataset *set, const uint32_t *samples, uint32_t n, float *x,
                          union target *y);

/* Asks the memory for samples that will soon be gathered, and does not wait for them. */
void dataset_prefetch(const struct dataset *set, const uint32_t *samples, uint32_t n);

#endif
