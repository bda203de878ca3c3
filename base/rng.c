#include "base/rng.h"

#include <math.h>

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
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
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t rng_u64(struct rng *r)
{
    uint32_t counter[4] = {(uint32_t)r->index, (uint32_t)(r->index >> 32), r->node, r->purpose};
    uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    uint32_t out[4];
    rng_philox(counter, key, out);
    r->index++;
    return (uint64_t)out[1] << 32 | out[0];
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)(uint32_t)rng_u64(r) * n;
    if ((uint32_t)m < n) {
        uint32_t threshold = -n % n;
        while ((uint32_t)m < threshold)
            m = (uint64_t)(uint32_t)rng_u64(r) * n;
    }
    return (uint32_t)(m >> 32);
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

/* murmur3's finalizer: every bit of x moves every bit of the result. */
static uint32_t scramble(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85EBCA6B;
    x = (x ^ x >> 13) * 0xC2B2AE35;
    return x ^ x >> 16;
}

static inline uint32_t walk(const struct rng_permutation *p, uint32_t index)
{
    uint32_t mask = (UINT32_C(1) << p->half_bits) - 1;
    uint32_t left = index >> p->half_bits, right = index & mask;
    for (int i = 0; i < FEISTEL_ROUNDS; i++) {
        uint32_t t = left ^ (scramble(right + p->keys[i]) & mask);
        left = right;
        right = t;
    }
    return left << p->half_bits | right;
}

uint32_t rng_permute(const struct rng_permutation *p, uint32_t index)
{
    do
        index = walk(p, index);
    while (index >= p->n);
    return index;
}

/* First a step of all of them, which goes through wide registers; few have to walk on. */
void rng_permute_all(const struct rng_permutation *p, uint32_t *x, uint32_t n)
{
    const struct rng_permutation own = *p; /* which x does not overlap */
    for (uint32_t i = 0; i < n; i++)
        x[i] = walk(&own, x[i]);
    for (uint32_t i = 0; i < n; i++)
        while (x[i] >= own.n)
            x[i] = walk(&own, x[i]);
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
