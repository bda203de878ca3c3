/* Arrays as files hold them: rows of elements of one type, wherever they lie, aligned or not.
 *
 * Nothing is converted before a batch is gathered: a byte stays a byte, and a mapped file stays
 * on disk until its rows are asked for. Pure; any thread.
 */
#ifndef HUBBUB_DATA_ARRAY_H
#define HUBBUB_DATA_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

/* Little-endian, as numpy names them: |u1 |i1 |b1 <u2 <i4 <i8 <f2 <f4 <f8. */
enum element {
    ELEMENT_U8,
    ELEMENT_I8,
    ELEMENT_BOOL,
    ELEMENT_U16,
    ELEMENT_I32,
    ELEMENT_I64,
    ELEMENT_F16,
    ELEMENT_F32,
    ELEMENT_F64,
    N_ELEMENTS
};

struct element_info {
    const char *descr; /* numpy's name of it */
    uint32_t n_bytes;
    bool is_float;
};
extern const struct element_info elements[N_ELEMENTS];

struct array {
    const void *bytes;
    uint64_t stride; /* bytes from a row to the next; rows may overlap (windows of a text) */
    uint32_t n_columns;
    enum element element;
};

static inline const uint8_t *array_row(const struct array *a, uint64_t row)
{
    return (const uint8_t *)a->bytes + row * a->stride;
}

/* Rows without gaps. */
struct array array_of(const void *bytes, uint32_t n_columns, enum element element);

/* Bytes of a row. */
static inline uint64_t array_width(const struct array *a)
{
    return (uint64_t)a->n_columns * elements[a->element].n_bytes;
}

/* What an array of n_rows covers, from bytes on; 0 for none. */
uint64_t array_span(const struct array *a, uint64_t n_rows);

/* Whether its elements are shifted and scaled in double: those that a float does not hold. */
static inline bool array_is_wide(const struct array *a)
{
    return a->element == ELEMENT_I32 || a->element == ELEMENT_I64 || a->element == ELEMENT_F64;
}

/* x[n_columns] = (row - shift) * scale; a shift or scale of NULL: scale_all for every column and
 * no shift. */
void array_get(const struct array *a, uint64_t row, const float *shift, const float *scale,
               float scale_all, float *x);

/* One element as it is. */
double array_value(const struct array *a, uint64_t row, uint32_t column);
/* Of an array that is not float. */
int64_t array_whole(const struct array *a, uint64_t row, uint32_t column);

#endif
