/* Counter-based random streams.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * The seed is the key; (node, purpose, index) is the counter. So a stream is named, not stored:
 * two streams never share a block, any draw can be made again, and a stream can be moved to any
 * index. Pure; any thread.
 */
#ifndef HUBBUB_BASE_RNG_H
#define HUBBUB_BASE_RNG_H

#include <stdint.h>

/* What a stream is for: part of its name, so the values are part of reproducibility. */
enum rng_purpose {
    RNG_INIT = 1,      /* first weights */
    RNG_PARTITION = 2, /* which sample goes to which shard */
    RNG_EPOCH = 3,     /* order of a shard's samples */
    RNG_BLOBS = 4,     /* synthetic data */
    RNG_GOSSIP = 5,    /* whom to average with */
    RNG_BACKOFF = 6,   /* jitter of dialling again */
    RNG_TEST = 7,      /* tests */
    RNG_DROPOUT = 8,   /* whose counter also holds layer and step: model/dropout.c */
    RNG_HOLDOUT = 9,   /* which rows are test data */
    RNG_START = 10,    /* when a simulated node starts */
    RNG_LATENCY = 11,  /* of a simulated message */
    RNG_DROP = 12,     /* whether it is lost */
    RNG_SPEED = 13,    /* how fast a simulated node computes */
    RNG_TOPOLOGY = 14, /* graphs */
    RNG_CHURN = 15,    /* when a simulated node comes and goes */
    RNG_ADOPT = 16,    /* whose weights it takes over */
    RNG_FAULTS = 17    /* worlds of faults */
};

struct rng {
    uint64_t seed;
    uint64_t index; /* the next draw; may be set to any value */
    uint32_t node;
    uint32_t purpose;
};

static inline struct rng rng_stream(uint64_t seed, uint32_t node, enum rng_purpose purpose)
{
    return (struct rng){.seed = seed, .node = node, .purpose = (uint32_t)purpose};
}

/* What rng_u64 draws. By value: a stream that was just named is in registers, and its parts would
 * have to leave the processor's store buffer before they could be read as a vector. */
uint64_t rng_draw(uint64_t seed, uint32_t node, uint32_t purpose, uint64_t index);

/* 64 random bits; one block a draw. */
static inline uint64_t rng_u64(struct rng *r)
{
    return rng_draw(r->seed, r->node, r->purpose, r->index++);
}

/* Uniform in [0, n), n >= 1, without bias (Lemire 2019). */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)(uint32_t)rng_u64(r) * n;
    if ((uint32_t)m < n) {
        uint32_t threshold = -n % n;
        while ((uint32_t)m < threshold)
            m = (uint64_t)(uint32_t)rng_u64(r) * n;
    }
    return (uint32_t)(m >> 32);
}

/* Uniform in [0, 1), 53 bits. */
double rng_uniform(struct rng *r);

/* Standard normal (Box-Muller, the cosine half). */
double rng_normal(struct rng *r);

/* Fisher-Yates over x[0..n). */
void rng_shuffle(struct rng *r, uint32_t *x, uint32_t n);

/* Where index (< n) goes in the permutation of [0, n) that the stream names: the shuffle of
 * rng_shuffle without an array. A Feistel network over the least even number of bits that holds n,
 * walked until it falls below n (Black and Rogaway 2002). The stream does not move. */
struct rng_permutation {
    uint32_t n, half_bits, keys[8];
};
struct rng_permutation rng_permutation(const struct rng *r, uint32_t n);
uint32_t rng_permute(const struct rng_permutation *p, uint32_t index);

/* The same of each of x[0..n). */
void rng_permute_all(const struct rng_permutation *p, uint32_t *x, uint32_t n);

/* Where it came from: rng_permute(p, rng_permute_back(p, index)) == index. */
uint32_t rng_permute_back(const struct rng_permutation *p, uint32_t index);

/* The bare block function: out = Philox4x32-10(counter, key). */
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
