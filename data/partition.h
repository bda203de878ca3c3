/* Partitions: who trains on which samples. Every peer computes its own part alone, from the seed;
 * the parts of all peers are disjoint and together are everything. Pure; any thread. */
#ifndef HUBBUB_DATA_PARTITION_H
#define HUBBUB_DATA_PARTITION_H

#include "data/dataset.h"

#include <stdbool.h>

enum partition {
    PARTITION_IID,        /* a seeded permutation, cut into n equal parts */
    PARTITION_LABELS,     /* sorted by label (shuffled within one), cut into n equal parts:
                             with 5 peers and 10 equal classes, two classes each */
    PARTITION_CONTIGUOUS, /* the file's order, cut into n equal parts */
    N_PARTITIONS
};
extern const char *const partition_names[N_PARTITIONS + 1]; /* NULL at the end */

struct shard {
    uint32_t *rows; /* into the dataset; owned */
    uint32_t n;
};

/* Part `i` of `n` (0 <= i < n); sizes differ by at most one. ERR_DATA when a part would be empty
 * (more peers than samples). */
int shard_make(struct shard *shard, const struct dataset *set, enum partition how, uint32_t i,
               uint32_t n, uint64_t seed, struct error *err) MUST_USE;
void shard_close(struct shard *shard);

/* present[c] = whether the shard has a sample of class c, for c < n_classes. */
void shard_classes(const struct shard *shard, const struct dataset *set, bool *present);

#endif
