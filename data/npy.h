/* The .npy format of numpy (numpy/lib/format.py): a header in Python's words, then an array.
 *
 * Any bytes are safe. Messages lack the name of the file or member: put it before them with
 * error_prefix. Pure; any thread.
 */
#ifndef HUBBUB_DATA_NPY_H
#define HUBBUB_DATA_NPY_H

#include "base/error.h"
#include "data/array.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NPY_DIMS_MAX = 8,
    NPY_CHARS_MAX = 255 /* of a text */,
    NPY_HEADER_MAX = 65536,
    NPY_HEADER_OUT_MAX = 384
};

#define NPY_BYTES_MAX (UINT64_C(1) << 46) /* of the data of one array */

struct npy {
    enum element element;
    uint32_t n_chars; /* of a text in an array of them, padded with 0; else 0 */
    uint32_t n_dims;
    uint64_t dims[NPY_DIMS_MAX];
    uint64_t n_header; /* where the data starts */
    uint64_t n_bytes;  /* of the data */
};

/* The header that the first n bytes of a file or member hold: C order, one of the elements of
 * data/array.h. ERR_DATA: offset, what stands there, what would be right. */
int npy_parse_header(struct npy *npy, const uint8_t *bytes, uint64_t n, struct error *err) MUST_USE;

/* The same of an array that is there to the last byte and no longer: data at bytes +
 * npy->n_header. */
int npy_parse(struct npy *npy, const uint8_t *bytes, uint64_t n, struct error *err) MUST_USE;

/* The same of an array of texts ('<U12': UCS-4, little-endian) in one dimension. */
int npy_parse_texts(struct npy *npy, const uint8_t *bytes, uint64_t n, struct error *err) MUST_USE;

/* How long the file that starts like this must be; for unpack. */
int npy_promised(const uint8_t *head, size_t n, uint64_t *n_bytes, struct error *err) MUST_USE;

/* The header that numpy would write, a multiple of 64 bytes; returns its length. n_dims <=
 * NPY_DIMS_MAX. */
size_t npy_format_header(char head[NPY_HEADER_OUT_MAX], enum element element, uint32_t n_dims,
                         const uint64_t *dims);

/* Of n texts in one dimension. */
size_t npy_format_texts(char head[NPY_HEADER_OUT_MAX], uint32_t n_chars, uint64_t n);

#endif
