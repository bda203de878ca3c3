/* Vectors of floats as wide as the widest register this build may use, and what the kernels do
 * with them. LANES depends on the build's target, so results that a kernel sums over lanes are the
 * same for one build on one machine, not across them. Pure; any thread.
 */
#ifndef HUBBUB_BASE_LANES_H
#define HUBBUB_BASE_LANES_H

#include <math.h>
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

/* The sum of all lanes, halves first: ((0 + 8) + (4 + 12)) + ... */
LANES_INLINE float lanes_sum(lanes v)
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] += v[i + half];
    return v[0];
}

#endif
