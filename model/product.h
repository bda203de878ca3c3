/* Matrix products of the sizes that layers have: one side a batch, often narrow, where a library
 * spends its time on packing. Little is packed here; what the product reads as vectors must lie
 * contiguously along a row. Every sum runs in one fixed order, whatever else the machine does.
 * Pure; any thread.
 */
#ifndef HUBBUB_MODEL_PRODUCT_H
#define HUBBUB_MODEL_PRODUCT_H

#include <stdint.h>

/* A matrix whose element (i, j) is at[i * row + j * column]. */
struct factor {
    const float *at;
    uint64_t row, column;
};

/* The rows of a matrix: row i begins at at[offsets[i]], or, without offsets, at at[i * row]. */
struct rows {
    const float *at;
    uint64_t row;
    const uint64_t *offsets;
};

/* Columns of b that are read along all of k at once: so many of them are best made at a time. */
uint32_t product_width(void);

/* c [m, n], rows c_row apart, = beta * c + bias [m] (or NULL) + a [m, k] b [k, n].
 * beta = 0 overwrites, whatever c held. */
void product(uint64_t m, uint64_t n, uint64_t k, struct factor a, struct rows b, float beta,
             const float *bias, float *c, uint64_t c_row);

/* The same without bias for beta > 0, then x [m, n], rows c_row apart, -= lr * c, while c is in
 * registers. x NULL: nothing is moved. */
void product_descend(uint64_t m, uint64_t n, uint64_t k, struct factor a, struct rows b, float beta,
                     float *c, uint64_t c_row, float *x, float lr);

/* The same with a given by rows, contiguous along k, and without bias. */
void product_of_rows(uint64_t m, uint64_t n, uint64_t k, struct rows a, struct rows b, float beta,
                     float *c, uint64_t c_row);

/* Rows of n_runs[0] * n_runs[1] runs of `length` floats: run (i, j) of a row begins
 * i * step[0] + j * step[1] after the row. */
struct runs {
    struct rows rows;
    uint64_t step[2];
};

/* c [m, n], rows c_row apart, = beta * c + the sum over all runs of a [m, length] times
 * b [n, length] transposed: both are read along their rows. */
void product_dot(uint64_t m, uint64_t n, const uint64_t n_runs[2], uint64_t length, struct runs a,
                 struct runs b, float beta, float *c, uint64_t c_row);

/* to [n_columns, n_rows] = from [n_rows, n_columns] transposed; rows to_row and from_row apart. */
void transpose(uint64_t n_rows, uint64_t n_columns, const float *from, uint64_t from_row, float *to,
               uint64_t to_row);

#endif
