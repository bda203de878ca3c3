/* Minibatches: an endless stream of a shard's rows, every epoch in a new order.
 *
 * The stream's position is the number of samples drawn; the order of an epoch is a function of
 * (seed, node, epoch), so a stream can be moved to any position. A batch may cross an epoch's end,
 * so batches are always full, and a shard smaller than a batch works. One thread at a time.
 */
#ifndef HUBBUB_DATA_BATCHES_H
#define HUBBUB_DATA_BATCHES_H

#include "data/partition.h"

struct batches {
    const struct shard *shard; /* borrowed */
    uint32_t *order;           /* [shard->n], the rows in this epoch's order; owned */
    uint64_t seed, position, order_epoch;
    uint32_t node;
};

void batches_init(struct batches *b, const struct shard *shard, uint64_t seed, uint32_t node);
void batches_close(struct batches *b);

/* Writes the next n rows and moves on by n. */
void batches_next(struct batches *b, uint32_t *rows, uint32_t n);

/* The next batch starts at sample `position` of the stream. */
void batches_seek(struct batches *b, uint64_t position);

#endif
