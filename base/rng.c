#include "base/rng.h"

#include "base/lanes.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* A block: words 0 and 1, 2 and 3 of the counter, or of what it becomes. */
struct block {
    uint64_t low, high;
};

static inline uint64_t pair(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

#if defined(__x86_64__)
/* Words 0 and 2, which a round multiplies, lie where a product of two pairs looks for them; the
 * products, read backwards, are the next counter but for what is added to its words 0 and 2. */
static inline struct block philox(struct block counter, uint64_t key)
{
    const __m128i factors = _mm_set_epi64x(0xCD9E8D57, 0xD2511F53);
    const __m128i steps = _mm_set_epi64x(0xBB67AE85, 0x9E3779B9);
    __m128i c = _mm_set_epi64x((int64_t)counter.high, (int64_t)counter.low);
    __m128i k = _mm_unpacklo_epi32(_mm_cvtsi64_si128((int64_t)key), _mm_setzero_si128());
    for (int round = 0; round < 10; round++) {
        __m128i products = _mm_mul_epu32(c, factors);
        __m128i added = _mm_xor_si128(_mm_srli_epi64(c, 32), k);
        c = _mm_xor_si128(_mm_shuffle_epi32(products, _MM_SHUFFLE(0, 1, 2, 3)), added);
        k = _mm_add_epi32(k, steps);
    }
    return (struct block){(uint64_t)_mm_cvtsi128_si64(c),
                          (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(c, c))};
}
#else
static inline struct block philox(struct block counter, uint64_t key)
{
    uint32_t c0 = (uint32_t)counter.low, c1 = (uint32_t)(counter.low >> 32);
    uint32_t c2 = (uint32_t)counter.high, c3 = (uint32_t)(counter.high >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return (struct block){pair(c0, c1), pair(c2, c3)};
}
#endif

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    struct block from = {pair(counter[0], counter[1]), pair(counter[2], counter[3])};
    struct block to = philox(from, pair(key[0], key[1]));
    out[0] = (uint32_t)to.low;
    out[1] = (uint32_t)(to.low >> 32);
    out[2] = (uint32_t)to.high;
    out[3] = (uint32_t)(to.high >> 32);
}

uint64_t rng_draw(uint64_t seed, uint32_t node, uint32_t purpose, uint64_t index)
{
    return philox((struct block){index, pair(node, purpose)}, seed).low;
}

double rng_uniform(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_uniform(r); /* (0, 1]: log is finite */
    double v = rng_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void rng_shuffle(struct rng *r, uint32_t *x, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = rng_below(r, i);
        uint32_t t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

/* ---- permutations -------------------------------------------------------------------------- */
enum { FEISTEL_ROUNDS = 8 };

struct rng_permutation rng_permutation(const struct rng *r, uint32_t n)
{
    struct rng_permutation p = {.n = n};
    struct rng stream = *r;
    while (p.half_bits < 16 && UINT64_C(1) << 2 * p.half_bits < n)
        p.half_bits++;
    for (int i = 0; i < FEISTEL_ROUNDS; i += 2) {
        uint64_t bits = rng_u64(&stream);
        p.keys[i] = (uint32_t)bits;
        p.keys[i + 1] = (uint32_t)(bits >> 32);
    }
    return p;
}

/* For a word and for a vector of them. SCRAMBLE is murmur3's finalizer: every bit of x moves every
 * bit of the result. */
#define SCRAMBLE(scramble, words)                                                                  \
    static inline words scramble(words x)                                                          \
    {                                                                                              \
        x = (x ^ x >> 16) * 0x85EBCA6B;                                                            \
        x = (x ^ x >> 13) * 0xC2B2AE35;                                                            \
        return x ^ x >> 16;                                                                        \
    }
#define WALK(walk, scramble, words)                                                                \
    static inline words walk(const struct rng_permutation *p, words index)                         \
    {                                                                                              \
        uint32_t mask = (UINT32_C(1) << p->half_bits) - 1;                                         \
        words left = index >> p->half_bits, right = index & mask;                                  \
        for (int i = 0; i < FEISTEL_ROUNDS; i++) {                                                 \
            words t = left ^ (scramble(right + p->keys[i]) & mask);                                \
            left = right;                                                                          \
            right = t;                                                                             \
        }                                                                                          \
        return left << p->half_bits | right;                                                       \
    }
SCRAMBLE(scramble, uint32_t)
SCRAMBLE(scramble_lanes, lanes_bits)
WALK(walk, scramble, uint32_t)
WALK(walk_lanes, scramble_lanes, lanes_bits)

uint32_t rng_permute(const struct rng_permutation *p, uint32_t index)
{
    do
        index = walk(p, index);
    while (index >= p->n);
    return index;
}

/* First a step of all of them; few have to walk on. */
void rng_permute_all(const struct rng_permutation *p, uint32_t *x, uint32_t n)
{
    for (uint32_t i = 0, some; i < n; i += some) {
        lanes_bits at = {0};
        some = n - i < LANES ? n - i : LANES;
        memcpy(&at, x + i, some * sizeof *x);
        at = walk_lanes(p, at);
        memcpy(x + i, &at, some * sizeof *x);
    }
    for (uint32_t i = 0; i < n; i++)
        while (x[i] >= p->n)
            x[i] = walk(p, x[i]);
}

uint32_t rng_permute_back(const struct rng_permutation *p, uint32_t index)
{
    uint32_t mask = (UINT32_C(1) << p->half_bits) - 1;
    do {
        uint32_t left = index >> p->half_bits, right = index & mask;
        for (int i = FEISTEL_ROUNDS; i-- > 0;) {
            uint32_t t = right ^ (scramble(left + p->keys[i]) & mask);
            right = left;
            left = t;
        }
        index = left << p->half_bits | right;
    } while (index >= p->n);
    return index;
}
