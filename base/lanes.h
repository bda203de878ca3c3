/* Vectors of floats as wide as the widest register this build may use, and what the kernels do
 * with them. LANES depends on the build's target, so results that a kernel sums over lanes are the
 * same for one build on one machine, not across them. Pure; any thread.
 */
#ifndef HUBBUB_BASE_LANES_H
#define HUBBUB_BASE_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

#define LANES_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int lanes_mask __attribute__((vector_size(LANES * sizeof(int)))); /* of a comparison */
typedef unsigned lanes_bits __attribute__((vector_size(LANES * sizeof(unsigned))));

LANES_INLINE lanes lanes_load(const float *p)
{
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

LANES_INLINE void lanes_store(float *p, lanes v)
{
    memcpy(p, &v, sizeof v);
}

LANES_INLINE lanes lanes_all(float x)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_set1_ps(x);
#elif defined(__AVX2__) && defined(__FMA__)
    return (lanes)_mm256_set1_ps(x);
#else
    return x - (lanes){0};
#endif
}

/* The first n <= LANES lanes. */
#if defined(__AVX512F__)
typedef __mmask16 lanes_part;
#elif defined(__AVX2__) && defined(__FMA__)
typedef __m256i lanes_part;
#else
typedef uint32_t lanes_part;
#endif

LANES_INLINE lanes_part lanes_first(uint32_t n)
{
#if defined(__AVX512F__)
    return (__mmask16)((1u << n) - 1);
#elif defined(__AVX2__) && defined(__FMA__)
    static const int ones[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + LANES - n));
#else
    return n;
#endif
}

/* These floats, and 0 in the other lanes; nothing beyond them is touched. */
LANES_INLINE lanes lanes_load_part(const float *p, lanes_part part)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_maskz_loadu_ps(part, p);
#elif defined(__AVX2__) && defined(__FMA__)
    return (lanes)_mm256_maskload_ps(p, part);
#else
    lanes v = {0};
    for (uint32_t i = 0; i < part; i++)
        v[i] = p[i];
    return v;
#endif
}

/* The same of the first n < LANES, and `others` in the other lanes. */
LANES_INLINE lanes lanes_load_first(const float *p, uint32_t n, float others)
{
    lanes v = lanes_all(others);
#if defined(__AVX512F__)
    return (lanes)_mm512_mask_loadu_ps((__m512)v, lanes_first(n), p);
#elif defined(__AVX2__) && defined(__FMA__)
    lanes_part first = lanes_first(n);
    return (lanes)_mm256_blendv_ps((__m256)v, _mm256_maskload_ps(p, first), (__m256)first);
#else
    for (uint32_t i = 0; i < n; i++)
        v[i] = p[i];
    return v;
#endif
}

LANES_INLINE void lanes_store_first(float *p, lanes v, uint32_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__) && defined(__FMA__)
    __m128 left = _mm256_castps256_ps128((__m256)v); /* in fours, twos and ones */
    if (n & 4) {
        _mm_storeu_ps(p, left);
        left = _mm256_extractf128_ps((__m256)v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, left);
        left = _mm_movehl_ps(left, left);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, left);
#else
    for (uint32_t i = 0; i < n; i++)
        p[i] = v[i];
#endif
}

/* a * b + c, rounded once. */
LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    lanes r;
    for (int i = 0; i < LANES; i++)
        r[i] = fmaf(a[i], b[i], c[i]);
    return r;
#endif
}

LANES_INLINE lanes lanes_where(lanes_mask mask, lanes yes, lanes no)
{
    return (lanes)((mask & (lanes_mask)yes) | (~mask & (lanes_mask)no));
}

/* e^x within 2 units in the last place for x <= 0; below -87 it is 0, and NaN stays NaN.
 * x = k ln 2 + r, |r| <= ln 2 / 2, and the polynomial of Cephes' expf (Moshier) for e^r. */
LANES_INLINE lanes lanes_exp(lanes x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: what is added to it loses its fraction */
    lanes shifted = lanes_fma(x, lanes_all(1.44269504f), lanes_all(round));
    lanes k = shifted - lanes_all(round), r, y = lanes_all(1.9875691500e-4f);
    r = lanes_fma(k, lanes_all(-0.693359375f), x);
    r = lanes_fma(k, lanes_all(2.12194440e-4f), r);
    y = lanes_fma(y, r, lanes_all(1.3981999507e-3f));
    y = lanes_fma(y, r, lanes_all(8.3334519073e-3f));
    y = lanes_fma(y, r, lanes_all(4.1665795894e-2f));
    y = lanes_fma(y, r, lanes_all(1.6666665459e-1f));
    y = lanes_fma(y, r, lanes_all(5.0000001201e-1f));
    y = lanes_fma(y, r * r, r) + lanes_all(1.0f);
    lanes_bits power = ((lanes_bits)shifted << 23) + (127u << 23); /* wraps far below -87 */
    return lanes_where(x < lanes_all(-87.0f), lanes_all(0.0f), y * (lanes)power);
}

/* The sum of all lanes, halves first: ((0 + 8) + (4 + 12)) + ... */
LANES_INLINE float lanes_sum(lanes v)
{
#if defined(__AVX__) && !defined(__AVX512F__)
    __m128 low = _mm256_castps256_ps128((__m256)v);
    __m128 fours = _mm_add_ps(low, _mm256_extractf128_ps((__m256)v, 1));
    __m128 twos = _mm_add_ps(fours, _mm_movehl_ps(fours, fours));
    return _mm_cvtss_f32(_mm_add_ss(twos, _mm_movehdup_ps(twos)));
#else
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] += v[i + half];
    return v[0];
#endif
}

#endif
