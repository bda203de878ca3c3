/* Partitions: who trains on which samples.
 *
 * A *split* is a partition of one data set for n peers; it depends on nothing but the data, n and
 * the seed, so every peer computes it alone. Shards are disjoint and together are everything, but
 * for `sample`, which draws with replacement, and `none`, where everybody has all there is.
 *
 * Splits of `none`, `iid`, `sample`, `contiguous` and `sizes` are functions: they take no memory,
 * however large the data. The others sort the rows once, O(samples + classes x peers).
 * Pure; any thread.
 */
#ifndef HUBBUB_DATA_PARTITION_H
#define HUBBUB_DATA_PARTITION_H

#include "base/rng.h"
#include "data/dataset.h"

#include <stdbool.h>

enum partition_kind {
    PARTITION_NONE,       /* all of it: a peer's own, private data */
    PARTITION_IID,        /* a seeded permutation, cut into n equal parts */
    PARTITION_SAMPLE,     /* sample:F: each peer draws F of all rows, with replacement */
    PARTITION_CONTIGUOUS, /* the file's order, cut into n equal parts */
    PARTITION_SIZES,      /* sizes:4,2,1,1: a permutation, cut in these proportions */
    PARTITION_STRATIFIED, /* every class dealt out evenly */
    PARTITION_LABELS,     /* sorted by label (shuffled within one), cut into n equal parts: with 5
                             peers and 10 equal classes, two classes each. labels:K: K classes for
                             each peer, every class cut evenly among those who have it */
    PARTITION_DIRICHLET,  /* dirichlet:A: of every class a share p_i for peer i, p ~ Dir(A, ..., A)
                             (Yurochkin et al. 2019, "Bayesian nonparametric federated learning of
                             neural networks", section 4; Li et al. 2022, NIID-Bench) */
    PARTITION_BY,         /* by:COLUMN: rows with one value in that column stay together */
    N_PARTITION_KINDS
};

enum { PARTITION_SIZES_MAX = 40, PARTITION_TEXT_MAX = 80, PARTITION_MIN_ROWS = 10 };

struct partition {
    enum partition_kind kind;
    double x;         /* F of sample, A of dirichlet */
    uint32_t k;       /* of labels:K; 0: the plain one */
    uint32_t n_sizes; /* of sizes */
    uint32_t sizes[PARTITION_SIZES_MAX];
    char column[64];               /* of by */
    char text[PARTITION_TEXT_MAX]; /* as the user wrote it: what peers compare */
};

/* "iid", "dirichlet:0.1" and so on. For OPT_CUSTOM: field is a struct partition *. ERR_USAGE. */
int partition_parse(const char *text, void *field, struct error *err) MUST_USE;

extern const struct partition partition_iid;

/* Rows of one peer. */
struct shard {
    const uint32_t *rows; /* into the data set; NULL where the split is a function */
    uint32_t *owned;      /* rows to free, or NULL: borrowed from a split */
    enum partition_kind kind;
    uint32_t first, n; /* positions first to first + n - 1 of the order */
    union {
        struct rng_permutation order; /* IID, SIZES */
        struct rng draws;             /* SAMPLE */
    };
};

/* Row i of the shard, i < n. */
uint32_t shard_row(const struct shard *s, uint32_t i);

/* The same of each of at[0..n), in its place. */
void shard_rows(const struct shard *s, uint32_t *at, uint32_t n);

struct split {
    const struct partition *how; /* borrowed */
    uint32_t n_samples, n_shards;
    uint32_t n_drawn; /* SAMPLE: rows of each shard */
    uint64_t seed;
    struct rng_permutation order;
    uint32_t *rows;   /* [n_samples], shard after shard; NULL where the split is a function */
    uint32_t *starts; /* [n_shards + 1], into rows */
};

/* For all peers at once. ERR_DATA where a shard would be empty (more peers than samples or values
 * of a column, too few classes), ERR_USAGE where the partition does not suit the data (by label
 * without classes, by an absent column, other sizes than peers). A shard of `dirichlet` has at
 * least PARTITION_MIN_ROWS rows, or half of an even share if that is less, at least one: who was
 * drawn less is given some by those who have most. */
int split_init(struct split *split, const struct dataset *set, const struct partition *how,
               uint32_t n_shards, uint64_t seed, struct error *err) MUST_USE;
void split_close(struct split *split);

/* Shard i < n_shards; borrows from the split. */
struct shard split_shard(const struct split *split, uint32_t i);

/* Shard i on its own. Errors of split_init. */
int shard_make(struct shard *shard, const struct dataset *set, const struct partition *how,
               uint32_t i, uint32_t n_shards, uint64_t seed, struct error *err) MUST_USE;
void shard_close(struct shard *shard);

/* counts[c] = samples of class c < n_classes. O(n). */
void shard_classes(const struct shard *shard, const struct dataset *set, uint32_t *counts);

/* ---- between partition.c and partition_class.c ---------------------------------------------- */

/* Fills rows and starts, which are allocated. */
int split_by_class(struct split *split, const struct dataset *set, struct error *err) MUST_USE;

#endif
