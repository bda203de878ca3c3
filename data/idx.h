/* IDX files (the format of MNIST): a big-endian header, then unsigned bytes. */
#ifndef HUBBUB_DATA_IDX_H
#define HUBBUB_DATA_IDX_H

#include "data/part.h"
#include "data/source.h"

#include <stddef.h>
#include <stdint.h>

enum { IDX_DIMS_MAX = 4 };

#define IDX_BYTES_MAX (UINT64_C(1) << 46) /* of the data of one file */

struct idx {
    uint32_t n_dims;
    uint32_t dims[IDX_DIMS_MAX];
    uint64_t n_bytes;     /* the product of dims */
    const uint8_t *bytes; /* in the source */
};

/* A file of unsigned bytes with min_dims to max_dims dimensions, neither shorter nor longer than
 * its header says. ERR_DATA: the file, the offset, the value and what would be right. */
int idx_parse(struct idx *idx, const struct source *s, uint32_t min_dims, uint32_t max_dims,
              struct error *err) MUST_USE;

/* How long the file that starts like this must be; for unpack. */
int idx_promised(const uint8_t *head, size_t n, uint64_t *n_bytes, struct error *err) MUST_USE;

/* Samples of two to four dimensions (images of three and four), or labels of one. */
int idx_read_samples(struct part *p, const struct source *s, struct error *err) MUST_USE;
int idx_read_labels(struct part *p, const struct source *s, struct error *err) MUST_USE;

/* The four files of a directory (train-images-idx3-ubyte and so on, plain or .gz). hint, if not
 * NULL, is added when a file is missing. Paths are kept in the list. ERR_DATA. */
int idx_read_directory(struct part *train, struct part *test, struct memory **list, const char *dir,
                       const char *hint, struct error *err) MUST_USE;

#endif
