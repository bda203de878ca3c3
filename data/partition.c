#include "data/partition.h"

#include "base/mem.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const partition_names[N_PARTITIONS + 1] = {"iid", "labels", "contiguous", NULL};

/* Stable, so that what was shuffled stays shuffled within a label. */
static void sort_by_label(uint32_t *rows, const struct dataset *set)
{
    uint32_t *sorted = MEM_NEW(uint32_t, set->n_samples);
    uint32_t *start = MEM_NEW(uint32_t, set->shape.n_classes + 1);
    for (uint32_t i = 0; i < set->n_samples; i++)
        start[dataset_target(set, i).class + 1]++;
    for (uint32_t c = 0; c < set->shape.n_classes; c++)
        start[c + 1] += start[c];
    for (uint32_t i = 0; i < set->n_samples; i++)
        sorted[start[dataset_target(set, rows[i]).class]++] = rows[i];
    memcpy(rows, sorted, set->n_samples * sizeof *rows);
    free(sorted);
    free(start);
}

int shard_make(struct shard *shard, const struct dataset *set, enum partition how, uint32_t i,
               uint32_t n, uint64_t seed, struct error *err)
{
    *shard = (struct shard){0};
    if (n > set->n_samples)
        return error_set(err, ERR_DATA,
                         "%" PRIu32 " peers cannot share %" PRIu32
                         " training samples (right: at most one peer a sample)",
                         n, set->n_samples);
    uint32_t *rows = MEM_NEW(uint32_t, set->n_samples);
    for (uint32_t r = 0; r < set->n_samples; r++)
        rows[r] = r;
    if (how != PARTITION_CONTIGUOUS) {
        struct rng rng = rng_stream(seed, 0, RNG_PARTITION);
        rng_shuffle(&rng, rows, set->n_samples);
    }
    if (how == PARTITION_LABELS)
        sort_by_label(rows, set);
    uint64_t from = (uint64_t)set->n_samples * i / n, to = (uint64_t)set->n_samples * (i + 1u) / n;
    shard->n = (uint32_t)(to - from);
    shard->rows = MEM_NEW(uint32_t, shard->n);
    memcpy(shard->rows, rows + from, shard->n * sizeof *rows);
    free(rows);
    return 0;
}

void shard_close(struct shard *shard)
{
    free(shard->rows);
    *shard = (struct shard){0};
}

void shard_classes(const struct shard *shard, const struct dataset *set, bool *present)
{
    memset(present, 0, set->shape.n_classes * sizeof *present);
    for (uint32_t i = 0; i < shard->n; i++)
        present[dataset_target(set, shard->rows[i]).class] = true;
}
