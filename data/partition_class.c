/* Splits by what the rows hold: a class each, or a value of a column. */
#include "data/partition.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows by class, in a drawn order within each. */
struct classes {
    uint32_t n;       /* classes */
    uint32_t *rows;   /* [n_samples] */
    uint32_t *starts; /* [n + 1], into rows */
};

static uint32_t class_of(const struct split *s, const struct dataset *set, uint32_t row)
{
    return s->how->kind == PARTITION_BY ? set->groups[dataset_row(set, row)]
                                        : dataset_target(set, row).class;
}

static void classes_init(struct classes *c, const struct split *s, const struct dataset *set)
{
    uint32_t n = set->n_samples, *order = MEM_NEW(uint32_t, n);
    c->n = s->how->kind == PARTITION_BY ? set->n_groups : set->shape.n_classes;
    c->rows = MEM_NEW(uint32_t, n);
    c->starts = MEM_NEW(uint32_t, (size_t)c->n + 2);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
        c->starts[class_of(s, set, i) + 2]++;
    }
    struct rng rng = rng_stream(s->seed, 0, RNG_PARTITION);
    rng_shuffle(&rng, order, n);
    for (uint32_t k = 0; k < c->n; k++)
        c->starts[k + 2] += c->starts[k + 1];
    /* One place ahead while filling, so that starts is right afterwards. */
    for (uint32_t i = 0; i < n; i++)
        c->rows[c->starts[class_of(s, set, order[i]) + 1]++] = order[i];
    free(order);
}

static void classes_close(struct classes *c)
{
    free(c->rows);
    free(c->starts);
}

static uint32_t class_size(const struct classes *c, uint32_t k)
{
    return c->starts[k + 1] - c->starts[k];
}

static void cut_evenly(struct split *s)
{
    for (uint32_t i = 0; i <= s->n_shards; i++)
        s->starts[i] = (uint32_t)((uint64_t)s->n_samples * i / s->n_shards);
}

/* Dealt like cards, class after class: a shard's count of a class, and its size, is the even share
 * up to one. */
static void deal(struct split *s, const struct classes *c)
{
    uint32_t n = s->n_shards, each = s->n_samples / n, extra = s->n_samples % n;
    for (uint32_t i = 0; i <= n; i++)
        s->starts[i] = i * each + (i < extra ? i : extra);
    for (uint32_t r = 0; r < s->n_samples; r++)
        s->rows[s->starts[r % n] + r / n] = c->rows[r];
}

static int empty_shard(const struct split *s, uint32_t i, struct error *err)
{
    return error_set(err, ERR_DATA,
                     "partition %s leaves shard %" PRIu32 "/%" PRIu32 " without a row: %" PRIu32
                     " training samples are too few for it",
                     s->how->text, i + 1, s->n_shards, s->n_samples);
}

/* ---- counts of each class for each shard ----------------------------------------------------- */

/* counts[k * n_shards + i] rows of class k go to shard i; each class sums up to its size. */
static int from_counts(struct split *s, const struct classes *c, const uint32_t *counts,
                       struct error *err)
{
    uint32_t n = s->n_shards;
    for (uint32_t k = 0; k < c->n; k++)
        for (uint32_t i = 0; i < n; i++)
            s->starts[i + 1] += counts[(size_t)k * n + i];
    for (uint32_t i = 0; i < n; i++) {
        if (s->starts[i + 1] == 0)
            return empty_shard(s, i, err);
        s->starts[i + 1] += s->starts[i];
    }
    CHECK(s->starts[n] == s->n_samples);
    uint32_t *next = MEM_NEW(uint32_t, n);
    memcpy(next, s->starts, n * sizeof *next);
    const uint32_t *from = c->rows;
    for (uint32_t k = 0; k < c->n; k++)
        for (uint32_t i = 0; i < n; i++) {
            uint32_t take = counts[(size_t)k * n + i];
            memcpy(s->rows + next[i], from, take * sizeof *from);
            next[i] += take;
            from += take;
        }
    free(next);
    return 0;
}

static uint32_t *new_counts(const struct split *s, const struct classes *c, struct error *err)
{
    const size_t cells_max = (size_t)1 << 29;
    if ((size_t)c->n * s->n_shards <= cells_max)
        return MEM_NEW(uint32_t, (size_t)c->n * s->n_shards);
    error_set(err, ERR_USAGE,
              "partition %s: %" PRIu32 " classes times %" PRIu32 " peers (right: at most %zu)",
              s->how->text, c->n, s->n_shards, cells_max);
    return NULL;
}

/* ---- labels:K -------------------------------------------------------------------------------- */

/* A new order of the classes whose first `due` are none of the n_held at held. */
static void next_round(uint32_t *order, uint32_t n, const uint32_t *held, uint32_t n_held,
                       uint32_t due, struct rng *rng)
{
    rng_shuffle(rng, order, n);
    for (uint32_t i = 0, other = due; i < due; i++) {
        bool taken = true;
        while (taken) {
            taken = false;
            for (uint32_t h = 0; h < n_held && !taken; h++)
                taken = held[h] == order[i];
            if (taken) {
                CHECK(other < n);
                uint32_t t = order[i];
                order[i] = order[other];
                order[other++] = t;
            }
        }
    }
}

/* owns[i * k + j] = class j of shard i: rounds of all classes in a drawn order, dealt k to each,
 * so that every class has as many owners as any other, up to one. */
static void deal_classes(uint32_t *owns, uint32_t n_shards, uint32_t k, uint32_t n_classes,
                         struct rng *rng)
{
    uint32_t *order = MEM_NEW(uint32_t, n_classes), at = n_classes;
    for (uint32_t c = 0; c < n_classes; c++)
        order[c] = c;
    for (uint32_t i = 0; i < n_shards; i++)
        for (uint32_t j = 0; j < k; j++) {
            if (at == n_classes) {
                next_round(order, n_classes, owns + (size_t)i * k, j, k - j, rng);
                at = 0;
            }
            owns[(size_t)i * k + j] = order[at++];
        }
    free(order);
}

static int split_labels_k(struct split *s, const struct classes *c, struct error *err)
{
    uint32_t k = s->how->k, n = s->n_shards;
    if (k > c->n || (uint64_t)n * k < c->n)
        return error_set(
            err, ERR_USAGE,
            "partition %s: %" PRIu32 " peers with %" PRIu32 " of %" PRIu32
            " classes each (right: every class has an owner, and nobody more than all)",
            s->how->text, n, k, c->n);
    uint32_t *counts = new_counts(s, c, err);
    if (counts == NULL)
        return err->code;
    uint32_t *owns = MEM_NEW(uint32_t, (size_t)n * k), *n_owners = MEM_NEW(uint32_t, c->n),
             *seen = MEM_NEW(uint32_t, c->n);
    struct rng rng = rng_stream(s->seed, 1, RNG_PARTITION);
    deal_classes(owns, n, k, c->n, &rng);
    for (size_t o = 0; o < (size_t)n * k; o++)
        n_owners[owns[o]]++;
    int rc = 0;
    for (uint32_t q = 0; q < c->n && rc == 0; q++)
        if (class_size(c, q) < n_owners[q])
            rc = error_set(err, ERR_DATA,
                           "partition %s: %" PRIu32 " peers cannot share the %" PRIu32
                           " rows of class %" PRIu32,
                           s->how->text, n_owners[q], class_size(c, q), q);
    for (size_t o = 0; o < (size_t)n * k && rc == 0; o++) {
        uint32_t q = owns[o], share = seen[q]++;
        uint64_t size = class_size(c, q);
        counts[(size_t)q * n + o / k] =
            (uint32_t)(size * (share + 1) / n_owners[q]) - (uint32_t)(size * share / n_owners[q]);
    }
    if (rc == 0)
        rc = from_counts(s, c, counts, err);
    free(counts);
    free(owns);
    free(n_owners);
    free(seen);
    return rc;
}

/* ---- dirichlet ------------------------------------------------------------------------------- */

/* The logarithm of a draw from Gamma(a, 1): Marsaglia and Tsang 2000, "A simple method for
 * generating gamma variables"; for a < 1 their gamma(a) = gamma(a + 1) U^(1/a). As a logarithm,
 * since U^(1/a) is 0 in doubles for small a. */
static double log_gamma_draw(struct rng *rng, double a)
{
    double boost = 0;
    if (a < 1) {
        boost = log(1 - rng_uniform(rng)) / a;
        a += 1;
    }
    double d = a - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(1 - rng_uniform(rng)) < 0.5 * x * x + d - d * v + d * log(v))
            return boost + log(d * v);
    }
}

/* Cuts one class of `size` rows by p ~ Dir(a, ..., a). */
static void draw_shares(uint32_t *counts, double *shares, uint32_t n, uint32_t size, double a,
                        struct rng *rng)
{
    double top = -HUGE_VAL, sum = 0, before = 0;
    for (uint32_t i = 0; i < n; i++) {
        shares[i] = log_gamma_draw(rng, a);
        top = shares[i] > top ? shares[i] : top;
    }
    for (uint32_t i = 0; i < n; i++)
        sum += shares[i] = exp(shares[i] - top);
    uint32_t from = 0;
    for (uint32_t i = 0; i < n; i++) {
        before += shares[i];
        uint32_t to = i + 1 == n ? size : (uint32_t)fmin(floor(size * (before / sum) + 0.5), size);
        counts[i] = to - from;
        from = to;
    }
}

/* The highest level that, taken down to it, those above give at least `due` rows. */
static uint32_t find_level(const uint32_t *sizes, uint32_t n, uint32_t least, uint64_t due)
{
    uint32_t low = least, high = UINT32_MAX;
    while (low < high) {
        uint32_t level = low + (high - low) / 2 + 1;
        uint64_t given = 0;
        for (uint32_t i = 0; i < n; i++)
            given += sizes[i] > level ? sizes[i] - level : 0;
        if (given >= due)
            low = level;
        else
            high = level - 1;
    }
    return low;
}

static uint32_t largest_class(const uint32_t *counts, uint32_t n_classes, uint32_t n, uint32_t i)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < n_classes; k++)
        if (counts[(size_t)k * n + i] > counts[(size_t)best * n + i])
            best = k;
    return best;
}

/* Whoever has less than `least` rows is given the rest by those who have most, out of the class
 * they have most of. */
static void fill_up(uint32_t *counts, uint32_t n_classes, uint32_t n, uint32_t least)
{
    uint32_t *sizes = MEM_NEW(uint32_t, n);
    uint64_t due = 0;
    for (uint32_t k = 0; k < n_classes; k++)
        for (uint32_t i = 0; i < n; i++)
            sizes[i] += counts[(size_t)k * n + i];
    for (uint32_t i = 0; i < n; i++)
        due += sizes[i] < least ? least - sizes[i] : 0;
    uint32_t level = due > 0 ? find_level(sizes, n, least, due) : 0, to = 0;
    for (uint32_t from = 0; from < n && due > 0; from++)
        while (due > 0 && sizes[from] > level) {
            while (sizes[to] >= least)
                to++;
            uint32_t k = largest_class(counts, n_classes, n, from);
            uint32_t *give = &counts[(size_t)k * n + from], take = sizes[from] - level;
            take = take < *give ? take : *give;
            take = take < least - sizes[to] ? take : least - sizes[to];
            *give -= take;
            counts[(size_t)k * n + to] += take;
            sizes[from] -= take;
            sizes[to] += take;
            due -= take;
        }
    free(sizes);
}

static int split_dirichlet(struct split *s, const struct classes *c, struct error *err)
{
    uint32_t n = s->n_shards, half = s->n_samples / n / 2;
    uint32_t least = half > PARTITION_MIN_ROWS ? PARTITION_MIN_ROWS : half > 0 ? half : 1;
    uint32_t *counts = new_counts(s, c, err);
    if (counts == NULL)
        return err->code;
    double *shares = MEM_NEW(double, n);
    for (uint32_t k = 0; k < c->n; k++) {
        struct rng rng = rng_stream(s->seed, k + 1, RNG_PARTITION);
        draw_shares(counts + (size_t)k * n, shares, n, class_size(c, k), s->how->x, &rng);
    }
    fill_up(counts, c->n, n, least);
    int rc = from_counts(s, c, counts, err);
    free(shares);
    free(counts);
    return rc;
}

/* ---- by a column ----------------------------------------------------------------------------- */

/* With fewer peers than values, neighbouring values share a peer. */
static int split_groups(struct split *s, const struct classes *c, struct error *err)
{
    if (s->n_shards > c->n)
        return error_set(err, ERR_DATA,
                         "partition %s: the column has %" PRIu32 " values for %" PRIu32
                         " peers (right: at most one peer a value)",
                         s->how->text, c->n, s->n_shards);
    memcpy(s->rows, c->rows, s->n_samples * sizeof *s->rows);
    for (uint32_t i = 0; i <= s->n_shards; i++)
        s->starts[i] = c->starts[(uint64_t)c->n * i / s->n_shards];
    for (uint32_t i = 0; i < s->n_shards; i++)
        if (s->starts[i] == s->starts[i + 1])
            return empty_shard(s, i, err);
    return 0;
}

int split_by_class(struct split *s, const struct dataset *set, struct error *err)
{
    struct classes c;
    int rc = 0;
    if (s->how->kind == PARTITION_BY && set->groups == NULL)
        return error_set(err, ERR_USAGE,
                         "partition %s: these data have no columns with names (CSV files have)",
                         s->how->text);
    if (s->how->kind != PARTITION_BY && set->shape.n_classes == 0)
        return error_set(err, ERR_USAGE, "partition %s: the targets of these data are no classes",
                         s->how->text);
    classes_init(&c, s, set);
    if (s->how->kind == PARTITION_STRATIFIED) {
        deal(s, &c);
    } else if (s->how->kind == PARTITION_LABELS && s->how->k == 0) {
        memcpy(s->rows, c.rows, s->n_samples * sizeof *s->rows);
        cut_evenly(s);
    } else if (s->how->kind == PARTITION_LABELS) {
        rc = split_labels_k(s, &c, err);
    } else if (s->how->kind == PARTITION_DIRICHLET) {
        rc = split_dirichlet(s, &c, err);
    } else {
        rc = split_groups(s, &c, err);
    }
    classes_close(&c);
    return rc;
}
