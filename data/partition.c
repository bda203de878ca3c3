#include "data/partition.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct partition partition_iid = {.kind = PARTITION_IID, .text = "iid"};

/* ---- names ---------------------------------------------------------------------------------- */

static int parse_fraction(const char *text, struct partition *p, struct error *err)
{
    if (!parse_f64(text, &p->x) || p->x <= 0 || p->x > 1)
        return error_set(err, ERR_USAGE,
                         "sample:%.40s (right: the part of all rows that each peer draws, above 0 "
                         "and at most 1, such as sample:0.5)",
                         text);
    return 0;
}

static int parse_sizes(const char *text, struct partition *p, struct error *err)
{
    char copy[PARTITION_TEXT_MAX], *rest = copy, *word;
    uint64_t size, sum = 0;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, ",")) != NULL) {
        if (!parse_u64(word, &size) || size == 0 || size > UINT32_MAX ||
            p->n_sizes == PARTITION_SIZES_MAX || (sum += size) > UINT32_MAX)
            return error_set(err, ERR_USAGE,
                             "sizes:%.60s (right: up to %d proportions, whole numbers above 0, "
                             "such as sizes:4,2,1,1)",
                             text, PARTITION_SIZES_MAX);
        p->sizes[p->n_sizes++] = (uint32_t)size;
    }
    return 0;
}

static int parse_labels(const char *text, struct partition *p, struct error *err)
{
    uint64_t k = 0;
    if (text[0] != '\0' && (!parse_u64(text, &k) || k == 0 || k > UINT16_MAX))
        return error_set(err, ERR_USAGE,
                         "labels:%.40s (right: labels, or labels:K with the number of classes of "
                         "each peer)",
                         text);
    p->k = (uint32_t)k;
    return 0;
}

static int parse_concentration(const char *text, struct partition *p, struct error *err)
{
    if (!parse_f64(text, &p->x) || p->x < 1e-4 || p->x > 1e6)
        return error_set(err, ERR_USAGE,
                         "dirichlet:%.40s (right: the concentration, 0.0001 to 1000000, such as "
                         "dirichlet:0.1; small is uneven)",
                         text);
    return 0;
}

static int parse_column(const char *text, struct partition *p, struct error *err)
{
    if (text[0] == '\0' || strlen(text) >= sizeof p->column)
        return error_set(err, ERR_USAGE, "by:%.80s (right: by: and the name of a column)", text);
    strcpy(p->column, text);
    return 0;
}

static const struct {
    const char *name;
    /* What follows the colon; NULL: nothing may. */
    int (*parse)(const char *text, struct partition *p, struct error *err);
} kinds[N_PARTITION_KINDS] = {
    [PARTITION_NONE] = {"none", NULL},
    [PARTITION_IID] = {"iid", NULL},
    [PARTITION_SAMPLE] = {"sample", parse_fraction},
    [PARTITION_CONTIGUOUS] = {"contiguous", NULL},
    [PARTITION_SIZES] = {"sizes", parse_sizes},
    [PARTITION_STRATIFIED] = {"stratified", NULL},
    [PARTITION_LABELS] = {"labels", parse_labels},
    [PARTITION_DIRICHLET] = {"dirichlet", parse_concentration},
    [PARTITION_BY] = {"by", parse_column},
};

int partition_parse(const char *text, void *field, struct error *err)
{
    struct partition *p = field;
    const char *names[N_PARTITION_KINDS];
    char name[16];
    size_t n = strcspn(text, ":");
    *p = (struct partition){0};
    if (strlen(text) >= sizeof p->text)
        return error_set(err, ERR_USAGE, "a partition of more than %zu characters",
                         sizeof p->text - 1);
    strcpy(p->text, text);
    snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, text);
    for (uint32_t k = 0; k < N_PARTITION_KINDS; k++) {
        names[k] = kinds[k].name;
        if (strcmp(name, names[k]) != 0)
            continue;
        p->kind = (enum partition_kind)k;
        if (kinds[k].parse != NULL)
            return kinds[k].parse(text + n + (text[n] == ':'), p, err);
        if (text[n] == ':')
            return error_set(err, ERR_USAGE, "'%.60s': nothing may follow %s", text, names[k]);
        return 0;
    }
    const char *nearest = parse_nearest(name, names, N_PARTITION_KINDS);
    return error_set(err, ERR_USAGE,
                     "no partition '%.60s'%s%s%s (right: iid, sample:0.5, contiguous, "
                     "sizes:4,2,1,1, stratified, labels, labels:2, dirichlet:0.1, by:COLUMN, none)",
                     text, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

/* ---- splits ---------------------------------------------------------------------------------- */

static int check_sizes(const struct partition *how, uint32_t n_samples, uint32_t n_shards,
                       struct error *err)
{
    uint64_t sum = 0, least = UINT32_MAX;
    if (how->n_sizes != n_shards)
        return error_set(err, ERR_USAGE,
                         "partition %s names %" PRIu32 " sizes for %" PRIu32
                         " peers (right: one for each)",
                         how->text, how->n_sizes, n_shards);
    for (uint32_t i = 0; i < n_shards; i++) {
        sum += how->sizes[i];
        least = how->sizes[i] < least ? how->sizes[i] : least;
    }
    if (least * n_samples < sum)
        return error_set(err, ERR_DATA,
                         "partition %s: the smallest part of %" PRIu32
                         " training samples would have none",
                         how->text, n_samples);
    return 0;
}

int split_init(struct split *split, const struct dataset *set, const struct partition *how,
               uint32_t n_shards, uint64_t seed, struct error *err)
{
    *split =
        (struct split){.how = how, .n_samples = set->n_samples, .n_shards = n_shards, .seed = seed};
    bool shares = how->kind != PARTITION_NONE && how->kind != PARTITION_SAMPLE;
    if (set->n_samples == 0)
        return error_set(err, ERR_DATA, "no training samples to share");
    if (shares && n_shards > set->n_samples)
        return error_set(err, ERR_DATA,
                         "%" PRIu32 " peers cannot share %" PRIu32
                         " training samples (right: at most one peer a sample)",
                         n_shards, set->n_samples);
    struct rng rng = rng_stream(seed, 0, RNG_PARTITION);
    split->order = rng_permutation(&rng, set->n_samples);
    switch (how->kind) {
    case PARTITION_SAMPLE:
        split->n_drawn = (uint32_t)lround(fmax(how->x * set->n_samples, 1));
        return 0;
    case PARTITION_NONE:
    case PARTITION_IID:
    case PARTITION_CONTIGUOUS:
        return 0;
    case PARTITION_SIZES:
        return check_sizes(how, set->n_samples, n_shards, err);
    case PARTITION_STRATIFIED:
    case PARTITION_LABELS:
    case PARTITION_DIRICHLET:
    case PARTITION_BY:
    case N_PARTITION_KINDS:
        break;
    }
    split->rows = MEM_NEW(uint32_t, set->n_samples);
    split->starts = MEM_NEW(uint32_t, (size_t)n_shards + 1);
    int rc = split_by_class(split, set, err);
    if (rc != 0)
        split_close(split);
    return rc;
}

void split_close(struct split *split)
{
    free(split->rows);
    free(split->starts);
    *split = (struct split){0};
}

/* Where shard i of `sizes` starts. */
static uint32_t size_bound(const struct split *s, uint32_t i)
{
    uint64_t before = 0, sum = 0;
    for (uint32_t k = 0; k < s->how->n_sizes; k++) {
        before += k < i ? s->how->sizes[k] : 0;
        sum += s->how->sizes[k];
    }
    return (uint32_t)(s->n_samples * before / sum);
}

static uint32_t bound(const struct split *s, uint32_t i)
{
    if (s->rows != NULL)
        return s->starts[i];
    if (s->how->kind == PARTITION_SIZES)
        return size_bound(s, i);
    return (uint32_t)((uint64_t)s->n_samples * i / s->n_shards);
}

static bool is_permuted(const struct shard *s)
{
    return s->kind == PARTITION_IID || s->kind == PARTITION_SIZES;
}

/* Of a split that cuts an order in pieces. Not inlined: what it needs is nothing to the others. */
static __attribute__((noinline)) struct shard piece(const struct split *s, uint32_t i)
{
    uint32_t first = bound(s, i);
    struct shard shard = {.kind = s->how->kind, .n = bound(s, i + 1) - first};
    if (s->rows != NULL)
        shard.rows = s->rows + first;
    else
        shard.first = first;
    if (is_permuted(&shard))
        shard.order = s->order;
    return shard;
}

struct shard split_shard(const struct split *s, uint32_t i)
{
    CHECK(i < s->n_shards);
    if (s->how->kind == PARTITION_SAMPLE)
        return (struct shard){.kind = PARTITION_SAMPLE,
                              .first = s->n_samples,
                              .n = s->n_drawn,
                              .draws = {.seed = s->seed, .node = i, .purpose = RNG_PARTITION}};
    if (s->how->kind == PARTITION_NONE)
        return (struct shard){.kind = PARTITION_NONE, .n = s->n_samples};
    return piece(s, i);
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* A draw without bias may take more than one number of its stream: each gets a stretch. */
static uint32_t drawn_row(const struct shard *s, uint32_t i)
{
    struct rng rng = s->draws;
    rng.index = (uint64_t)i << 16;
    return rng_below(&rng, s->first);
}

uint32_t shard_row(const struct shard *s, uint32_t i)
{
    if (s->rows != NULL)
        return s->rows[i];
    if (s->kind == PARTITION_SAMPLE)
        return drawn_row(s, i);
    return is_permuted(s) ? rng_permute(&s->order, s->first + i) : s->first + i;
}

void shard_rows(const struct shard *s, uint32_t *at, uint32_t n)
{
    if (s->rows == NULL && is_permuted(s)) {
        for (uint32_t i = 0; i < n; i++)
            at[i] += s->first;
        rng_permute_all(&s->order, at, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        at[i] = shard_row(s, at[i]);
}

int shard_make(struct shard *shard, const struct dataset *set, const struct partition *how,
               uint32_t i, uint32_t n_shards, uint64_t seed, struct error *err)
{
    struct split split;
    *shard = (struct shard){0};
    int rc = split_init(&split, set, how, n_shards, seed, err);
    if (rc != 0)
        return rc;
    *shard = split_shard(&split, i);
    if (shard->rows != NULL) {
        shard->owned = MEM_NEW(uint32_t, shard->n);
        memcpy(shard->owned, shard->rows, shard->n * sizeof *shard->owned);
        shard->rows = shard->owned;
    }
    split_close(&split);
    return 0;
}

void shard_close(struct shard *shard)
{
    free(shard->owned);
    *shard = (struct shard){0};
}

void shard_classes(const struct shard *shard, const struct dataset *set, uint32_t *counts)
{
    memset(counts, 0, set->shape.n_classes * sizeof *counts);
    for (uint32_t i = 0; i < shard->n; i++)
        counts[dataset_target(set, shard_row(shard, i)).class]++;
}
