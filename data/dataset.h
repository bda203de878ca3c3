/* A dataset: clean samples in memory, one row a sample.
 *
 * Pixels stay one byte (x_u8) until a batch is gathered; synthetic data is float (x_f32). Exactly
 * one of the two is set. Read-only once opened, so any thread may read it.
 */
#ifndef HUBBUB_DATA_DATASET_H
#define HUBBUB_DATA_DATASET_H

#include "base/error.h"

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

struct dataset {
    uint32_t n_samples;
    struct data_shape shape;
    const uint8_t *x_u8;    /* [n_samples, n_features], row-major; a feature is x * scale */
    const float *x_f32;     /* [n_samples, n_features] */
    const uint8_t *labels;  /* [n_samples], in [0, n_classes); so at most 256 classes */
    float scale;            /* 1/255 for pixels */
    const uint32_t *groups; /* [n_samples], in [0, n_groups): values of the column of --partition
                               by: COLUMN; NULL without */
    uint32_t n_groups;
};

struct data_pair {
    struct dataset train, test;
    char name[128]; /* what both sides of a link must agree on: source and shape, not the path */
};

/* spec: "fashion-mnist" (Debian's dataset-fashion-mnist), a directory that holds the four IDX
 * files under their usual names (train-images-idx3-ubyte and so on, plain or .gz), or
 * "blobs:classes=10,features=20,train=10000,test=1000,spread=1,seed=7" (any subset of the keys;
 * Gaussian clusters, the same on every machine). ERR_DATA (a file: name, offset, what is wrong;
 * a missing data set: the apt line that brings it) or ERR_USAGE (a spec nobody understands). */
int data_open(struct data_pair *data, const char *spec, struct error *err) MUST_USE;
void data_close(struct data_pair *data);

/* Gathers rows into x [n, n_features] as floats and y [n]. */
void dataset_gather(const struct dataset *set, const uint32_t *rows, uint32_t n, float *x,
                    union target *y);

/* Asks the memory for rows that will soon be gathered, and does not wait for them. */
void dataset_prefetch(const struct dataset *set, const uint32_t *rows, uint32_t n);

#endif
