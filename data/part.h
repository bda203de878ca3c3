/* What a reader found in a file: samples as they lie there, with or without what to learn. */
#ifndef HUBBUB_DATA_PART_H
#define HUBBUB_DATA_PART_H

#include "base/error.h"
#include "data/array.h"

#include <stdbool.h>
#include <stdint.h>

struct part {
    uint64_t n_rows; /* 0: nothing */
    struct array x;
    uint32_t image[3];  /* channels, height, width; 0: no image */
    bool channels_last; /* the file's order is height, width, channels */
    uint32_t n_dims;    /* of x as an array has it in its file: [n_rows, ...]; 0: not said */
    uint64_t dims[8];
    const char *path;
    struct array y; /* one column; bytes NULL: not there */
    const char *y_path;
    uint64_t y_offset; /* of the first label in that file; 0: count labels instead */
    /* What the labels 0, 1, 2, ... are called, and the columns of x; NULL: not said. */
    const char *const *class_names, *const *column_names;
    uint32_t n_class_names, n_column_names;
};

struct data_pair;
struct data_options;

/* The arrays that spec names, as they lie there, with the labels and columns that the options say;
 * a part may lack its y, and test may have no rows. No tables. All lies in memory of the data,
 * which needs data_close in any case. Errors of data_open. Main thread. */
int data_read_arrays(struct part *train, struct part *test, struct data_pair *data,
                     const char *spec, const struct data_options *options,
                     struct error *err) MUST_USE;

#endif
