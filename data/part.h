/* What a reader found in a file: samples as they lie there, with or without what to learn. */
#ifndef HUBBUB_DATA_PART_H
#define HUBBUB_DATA_PART_H

#include "data/array.h"

#include <stdbool.h>
#include <stdint.h>

struct part {
    uint64_t n_rows; /* 0: nothing */
    struct array x;
    uint32_t image[3];  /* channels, height, width; 0: no image */
    bool channels_last; /* the file's order is height, width, channels */
    const char *path;
    struct array y; /* one column; bytes NULL: not there */
    const char *y_path;
    uint64_t y_offset; /* of the first label in that file; 0: count labels instead */
};

#endif
