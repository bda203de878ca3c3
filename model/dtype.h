/* Element types of model files: little-endian bytes <-> double. Pure; any thread. */
#ifndef HUBBUB_MODEL_DTYPE_H
#define HUBBUB_MODEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,  /* IEEE 754 binary16: 5 bits of exponent, 10 of fraction */
    DTYPE_BF16, /* the upper half of an f32 */
    DTYPE_F64,
    N_DTYPES /* any other, which can be listed and not read */
};

extern const char *const dtype_names[N_DTYPES + 1]; /* "f32"; NULL at the end */

size_t dtype_bytes(enum dtype d);

/* Exact. bytes need not be aligned. */
void dtype_decode(enum dtype d, const void *bytes, double *values, size_t n);

/* To the nearest, ties to even (IEEE 754, 4.3.1). Finite values only; returns the index of the
 * first one that is too large for the type, n when all fit. */
size_t dtype_encode(enum dtype d, const double *values, void *bytes, size_t n);

/* The largest finite value of the type. */
double dtype_max(enum dtype d);

#endif
