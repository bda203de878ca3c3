/* IDX files (the format of MNIST), plain or gzip: bytes of a big-endian header, then the data. */
#ifndef HUBBUB_DATA_IDX_H
#define HUBBUB_DATA_IDX_H

#include "data/dataset.h"

#include <stdint.h>

enum { IDX_DIMS_MAX = 4 };

#define IDX_DIM_MAX   UINT32_C(1000000000) /* of one dimension */
#define IDX_BYTES_MAX (UINT64_C(1) << 31)  /* of the data of one file */

struct idx {
    uint32_t n_dims;
    uint32_t dims[IDX_DIMS_MAX];
    uint64_t n_bytes; /* the product of dims */
    uint8_t *bytes;   /* owned by the caller, free() */
};

/* Reads a file of unsigned bytes with min_dims to max_dims dimensions. Nothing is allocated that
 * the file could not hold. ERR_DATA: the file, the offset, the value and what would be right. */
int idx_read(struct idx *idx, const char *path, uint32_t min_dims, uint32_t max_dims,
             struct error *err) MUST_USE;

/* Reads the four files of a directory (train-images-idx3-ubyte and so on, plain or .gz) and checks
 * them against each other. The name becomes "SOURCE 60000x784/10 HASH", HASH over all bytes, so
 * that peers with other files are told apart. hint, if not NULL, is added when a file is missing.
 * ERR_DATA. */
int idx_open_pair(struct data_pair *data, const char *dir, const char *source, const char *hint,
                  struct error *err) MUST_USE;

#endif
