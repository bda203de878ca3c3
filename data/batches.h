/* Minibatches: an endless stream of a shard's rows, every epoch in a new order.
 *
 * The stream is a function of (seed, node, position), position being the number of samples drawn
 * before: nothing is kept between batches, and a stream can be read from anywhere. A batch may
 * cross an epoch's end, so batches are always full, and a shard smaller than a batch works.
 * Pure; any thread.
 */
#ifndef HUBBUB_DATA_BATCHES_H
#define HUBBUB_DATA_BATCHES_H

#include "data/partition.h"

/* rows = the n samples from `position` on. */
void batches_rows(const struct shard *shard, uint64_t seed, uint32_t node, uint64_t position,
                  uint32_t *rows, uint32_t n);

#endif
