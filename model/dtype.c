#include "model/dtype.h"

#include "base/check.h"
#include "data/array.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie");

const char *const dtype_names[N_DTYPES + 1] = {"f32", "f16", "bf16", "f64", NULL};

/* The two types of 16 bits: a sign, an exponent, a fraction. */
static const struct half {
    int fraction_bits, exponent_max; /* of the greatest power of two */
} halves[N_DTYPES] = {[DTYPE_F16] = {10, 15}, [DTYPE_BF16] = {7, 127}};

size_t dtype_bytes(enum dtype d)
{
    static const size_t bytes[N_DTYPES] = {4, 2, 2, 8};
    CHECK(d < N_DTYPES);
    return bytes[d];
}

double dtype_max(enum dtype d)
{
    if (d == DTYPE_F32 || d == DTYPE_F64)
        return d == DTYPE_F32 ? (double)FLT_MAX : DBL_MAX;
    const struct half *h = &halves[d];
    return ldexp(2 - ldexp(1, -h->fraction_bits), h->exponent_max);
}

/* Numbers of one exponent lie ldexp(1, exponent - fraction_bits) apart; below the least exponent
 * the distance stays. A number rounded up to the next power of two carries into the exponent. */
static uint16_t pack(const struct half *h, double x)
{
    int exponent, exponent_min = 1 - h->exponent_max;
    frexp(x, &exponent);
    exponent = x == 0 || exponent - 1 < exponent_min ? exponent_min : exponent - 1;
    int steps = (int)rint(ldexp(fabs(x), h->fraction_bits - exponent));
    int bits = steps + ((exponent - exponent_min) << h->fraction_bits);
    return (uint16_t)(bits | (signbit(x) ? 0x8000 : 0));
}

void dtype_decode(enum dtype d, const void *bytes, double *values, size_t n)
{
    static const enum element same[N_DTYPES] = {
        [DTYPE_F32] = ELEMENT_F32, [DTYPE_F16] = ELEMENT_F16, [DTYPE_F64] = ELEMENT_F64};
    CHECK(d < N_DTYPES);
    const struct array from = array_of(bytes, 1, same[d]);
    for (size_t i = 0; i < n; i++)
        if (d == DTYPE_BF16) {
            uint16_t upper;
            float f;
            memcpy(&upper, (const char *)bytes + i * sizeof upper, sizeof upper);
            const uint32_t bits = (uint32_t)upper << 16;
            memcpy(&f, &bits, sizeof f);
            values[i] = (double)f;
        } else {
            values[i] = array_value(&from, i, 0);
        }
}

size_t dtype_encode(enum dtype d, const double *values, void *bytes, size_t n)
{
    CHECK(d < N_DTYPES);
    if (d == DTYPE_F64) {
        memcpy(bytes, values, n * sizeof *values);
        return n;
    }
    for (size_t i = 0; i < n; i++)
        if (d == DTYPE_F32) {
            float f = (float)values[i];
            if (isinf(f))
                return i;
            memcpy((char *)bytes + i * sizeof f, &f, sizeof f);
        } else {
            /* Half a step above the largest is the first to round to infinity. */
            const struct half *h = &halves[d];
            if (fabs(values[i]) >= ldexp(2 - ldexp(1, -h->fraction_bits - 1), h->exponent_max))
                return i;
            uint16_t bits = pack(h, values[i]);
            memcpy((char *)bytes + i * sizeof bits, &bits, sizeof bits);
        }
    return n;
}
