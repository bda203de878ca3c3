#include "data/batches.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static void make_order(struct batches *b, uint64_t epoch)
{
    if (b->order_epoch == epoch)
        return;
    /* An epoch draws less than 2^32 numbers: each has its own part of the stream. */
    struct rng rng = rng_stream(b->seed, b->node, RNG_EPOCH);
    rng.index = epoch << 32;
    memcpy(b->order, b->shard->rows, b->shard->n * sizeof *b->order);
    rng_shuffle(&rng, b->order, b->shard->n);
    b->order_epoch = epoch;
}

void batches_init(struct batches *b, const struct shard *shard, uint64_t seed, uint32_t node)
{
    CHECK(shard->n > 0);
    *b = (struct batches){.shard = shard, .seed = seed, .node = node, .order_epoch = UINT64_MAX};
    b->order = MEM_NEW(uint32_t, shard->n);
}

void batches_close(struct batches *b)
{
    free(b->order);
    b->order = NULL;
}

void batches_next(struct batches *b, uint32_t *rows, uint32_t n)
{
    uint32_t n_shard = b->shard->n;
    while (n > 0) {
        uint32_t at = (uint32_t)(b->position % n_shard);
        uint32_t take = n < n_shard - at ? n : n_shard - at;
        make_order(b, b->position / n_shard);
        memcpy(rows, b->order + at, take * sizeof *rows);
        rows += take;
        n -= take;
        b->position += take;
    }
}

void batches_seek(struct batches *b, uint64_t position)
{
    b->position = position;
}
