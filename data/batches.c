#include "data/batches.h"

#include "base/check.h"
#include "base/rng.h"

/* Not inlined: a shard of one row does without all this. */
static __attribute__((noinline)) void ordered_rows(const struct shard *shard, uint64_t seed,
                                                   uint32_t node, uint64_t position, uint32_t *rows,
                                                   uint32_t n)
{
    while (n > 0) {
        uint64_t epoch = position / shard->n;
        uint32_t at = (uint32_t)(position % shard->n);
        uint32_t take = n < shard->n - at ? n : shard->n - at;
        struct rng rng = rng_stream(seed, node, RNG_EPOCH);
        rng.index = epoch << 32; /* each epoch its own part of the stream */
        struct rng_permutation order = rng_permutation(&rng, shard->n);
        for (uint32_t i = 0; i < take; i++)
            rows[i] = at + i;
        rng_permute_all(&order, rows, take);
        shard_rows(shard, rows, take);
        rows += take;
        n -= take;
        position += take;
    }
}

void batches_rows(const struct shard *shard, uint64_t seed, uint32_t node, uint64_t position,
                  uint32_t *rows, uint32_t n)
{
    CHECK(shard->n > 0);
    if (shard->n > 1) {
        ordered_rows(shard, seed, node, position, rows, n);
        return;
    }
    uint32_t row = shard_row(shard, 0);
    for (uint32_t i = 0; i < n; i++)
        rows[i] = row;
}
