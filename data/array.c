#include "data/array.h"

#include "base/check.h"

#include <stddef.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are read as they lie");

const struct element_info elements[N_ELEMENTS] = {
    [ELEMENT_U8] = {"|u1", 1, false},   [ELEMENT_I8] = {"|i1", 1, false},
    [ELEMENT_BOOL] = {"|b1", 1, false}, [ELEMENT_U16] = {"<u2", 2, false},
    [ELEMENT_I32] = {"<i4", 4, false},  [ELEMENT_I64] = {"<i8", 8, false},
    [ELEMENT_F16] = {"<f2", 2, true},   [ELEMENT_F32] = {"<f4", 4, true},
    [ELEMENT_F64] = {"<f8", 8, true},
};

struct array array_of(const void *bytes, uint32_t n_columns, enum element element)
{
    struct array a = {.bytes = bytes, .n_columns = n_columns, .element = element};
    a.stride = array_width(&a);
    return a;
}

uint64_t array_span(const struct array *a, uint64_t n_rows)
{
    return n_rows == 0 ? 0 : (n_rows - 1) * a->stride + array_width(a);
}

/* Files hold their arrays at any offset. */
typedef uint16_t u16_anywhere __attribute__((aligned(1), may_alias));
typedef int32_t i32_anywhere __attribute__((aligned(1), may_alias));
typedef int64_t i64_anywhere __attribute__((aligned(1), may_alias));
typedef float f32_anywhere __attribute__((aligned(1), may_alias));
typedef double f64_anywhere __attribute__((aligned(1), may_alias));

static inline uint8_t as_bool(uint8_t x)
{
    return x != 0;
}

/* IEEE 754 binary16: the exponent's bias differs by 112; denormals come out exactly. */
static inline float as_half(uint16_t h)
{
    uint32_t bits = (uint32_t)(h & 0x7fff) << 13;
    float x;
    memcpy(&x, &bits, sizeof x);
    x *= 0x1p112f;
    memcpy(&bits, &x, sizeof bits);
    bits |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(h & 0x8000) << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define PLAIN(x) (x)

/* `wide` is what the arithmetic is done in. */
#define DEFINE_GET(name, type, wide, convert)                                                      \
    static void get_##name(const type *restrict from, const float *restrict shift,                 \
                           const float *restrict scale, float scale_all, float *restrict to,       \
                           uint32_t n)                                                             \
    {                                                                                              \
        if (shift == NULL || scale == NULL)                                                        \
            for (uint32_t j = 0; j < n; j++)                                                       \
                to[j] = (float)((wide)convert(from[j]) * (wide)scale_all);                         \
        else                                                                                       \
            for (uint32_t j = 0; j < n; j++)                                                       \
                to[j] = (float)(((wide)convert(from[j]) - (wide)shift[j]) * (wide)scale[j]);       \
    }

DEFINE_GET(u8, uint8_t, float, PLAIN)
DEFINE_GET(i8, int8_t, float, PLAIN)
DEFINE_GET(bool, uint8_t, float, as_bool)
DEFINE_GET(u16, u16_anywhere, float, PLAIN)
DEFINE_GET(i32, i32_anywhere, double, PLAIN)
DEFINE_GET(i64, i64_anywhere, double, PLAIN)
DEFINE_GET(f16, u16_anywhere, float, as_half)
DEFINE_GET(f32, f32_anywhere, float, PLAIN)
DEFINE_GET(f64, f64_anywhere, double, PLAIN)

void array_get(const struct array *a, uint64_t row, const float *shift, const float *scale,
               float scale_all, float *x)
{
    const void *from = array_row(a, row);
    uint32_t n = a->n_columns;
    switch (a->element) {
    case ELEMENT_U8:
        get_u8(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_I8:
        get_i8(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_BOOL:
        get_bool(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_U16:
        get_u16(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_I32:
        get_i32(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_I64:
        get_i64(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_F16:
        get_f16(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_F32:
        get_f32(from, shift, scale, scale_all, x, n);
        return;
    case ELEMENT_F64:
        get_f64(from, shift, scale, scale_all, x, n);
        return;
    case N_ELEMENTS:
        break;
    }
    CHECK(0 && "element");
}

static const uint8_t *element_at(const struct array *a, uint64_t row, uint32_t column)
{
    return array_row(a, row) + (size_t)column * elements[a->element].n_bytes;
}

int64_t array_whole(const struct array *a, uint64_t row, uint32_t column)
{
    const void *p = element_at(a, row, column);
    switch (a->element) {
    case ELEMENT_U8:
        return *(const uint8_t *)p;
    case ELEMENT_I8:
        return *(const int8_t *)p;
    case ELEMENT_BOOL:
        return as_bool(*(const uint8_t *)p);
    case ELEMENT_U16:
        return *(const u16_anywhere *)p;
    case ELEMENT_I32:
        return *(const i32_anywhere *)p;
    case ELEMENT_I64:
        return *(const i64_anywhere *)p;
    case ELEMENT_F16:
    case ELEMENT_F32:
    case ELEMENT_F64:
    case N_ELEMENTS:
        break;
    }
    CHECK(0 && "element that is not float");
    return 0;
}

double array_value(const struct array *a, uint64_t row, uint32_t column)
{
    if (!elements[a->element].is_float)
        return (double)array_whole(a, row, column);
    const void *p = element_at(a, row, column);
    return a->element == ELEMENT_F64   ? *(const f64_anywhere *)p
           : a->element == ELEMENT_F32 ? (double)*(const f32_anywhere *)p
                                       : (double)as_half(*(const u16_anywhere *)p);
}
