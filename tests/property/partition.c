/* Partitions in drawn worlds: disjoint, complete, of the sizes and classes that they promise; and
 * dirichlet's shares distributed as a Dirichlet distribution's.
 *
 * usage: partition [FIRST_SEED [N_SEEDS]] (0, 1000) */
#include "base/mem.h"
#include "base/rng.h"
#include "data/partition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 4000, CLASSES_MAX = 40, PEERS_MAX = 200, N_ALPHAS = 3 };

struct world {
    uint64_t seed;
    struct dataset set;
    struct partition how;
    uint32_t n_peers;
    uint8_t labels[ROWS_MAX];
    uint32_t groups[ROWS_MAX];
    uint32_t class_size[CLASSES_MAX], group_size[CLASSES_MAX];
    struct split split;
    uint32_t sizes[PEERS_MAX];
    uint32_t counts[PEERS_MAX][CLASSES_MAX];
};

static struct world w;
static unsigned n_refused, n_splits[N_PARTITION_KINDS];

#define EXPECT(cond, ...)                                                                          \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("seed %llu, %s, %u rows, %u classes, %u peers: ", (unsigned long long)w.seed,   \
                   w.how.text, w.set.n_samples, w.set.shape.n_classes, w.n_peers);                 \
            printf(__VA_ARGS__);                                                                   \
            printf(" (%s:%d: %s)\n", __FILE__, __LINE__, #cond);                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Classes of uneven sizes, in an order of their own. */
static void draw_world(struct rng *rng)
{
    uint32_t n = 1 + rng_below(rng, ROWS_MAX), n_classes = 2 + rng_below(rng, CLASSES_MAX - 2);
    w.set = (struct dataset){.n_samples = n,
                             .shape = {.n_features = 1, .n_classes = n_classes},
                             .y = {w.labels, 1, 1, ELEMENT_U8},
                             .groups = w.groups,
                             .n_groups = n_classes};
    memset(w.class_size, 0, sizeof w.class_size);
    memset(w.group_size, 0, sizeof w.group_size);
    bool skewed = rng_below(rng, 2) == 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t limit = skewed ? 1 + rng_below(rng, n_classes) : n_classes;
        w.labels[i] = (uint8_t)rng_below(rng, limit);
        w.groups[i] = i < n_classes ? i : rng_below(rng, n_classes);
        w.class_size[w.labels[i]]++;
        w.group_size[w.groups[i]]++;
    }
}

static void draw_partition(struct rng *rng)
{
    static const char *const alphas[] = {"0.01", "0.1", "1", "100"};
    char text[PARTITION_TEXT_MAX];
    struct error err;
    w.n_peers = 1 + rng_below(rng, rng_below(rng, 2) ? 10 : PEERS_MAX);
    switch (rng_below(rng, 8)) {
    case 0:
        strcpy(text, "iid");
        break;
    case 1:
        strcpy(text, "contiguous");
        break;
    case 2:
        strcpy(text, "stratified");
        break;
    case 3:
        strcpy(text, "labels");
        break;
    case 4:
        snprintf(text, sizeof text, "labels:%u", 1 + rng_below(rng, w.set.shape.n_classes));
        break;
    case 5:
        snprintf(text, sizeof text, "dirichlet:%s", alphas[rng_below(rng, 4)]);
        break;
    case 6:
        strcpy(text, "by:x");
        break;
    default:
        w.n_peers = 1 + rng_below(rng, 8);
        int at = snprintf(text, sizeof text, "sizes:");
        for (uint32_t i = 0; i < w.n_peers; i++)
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%u", i > 0 ? "," : "",
                           1 + rng_below(rng, 9));
    }
    EXPECT(partition_parse(text, &w.how, &err) == 0, "%s", err.text);
}

static void check_disjoint_and_complete(void)
{
    uint8_t seen[ROWS_MAX] = {0};
    uint32_t sum = 0;
    memset(w.counts, 0, sizeof w.counts);
    for (uint32_t i = 0; i < w.n_peers; i++) {
        struct shard shard = split_shard(&w.split, i);
        w.sizes[i] = shard.n;
        sum += shard.n;
        EXPECT(shard.n > 0, "shard %u is empty", i);
        for (uint32_t r = 0; r < shard.n; r++) {
            uint32_t row = shard_row(&shard, r);
            EXPECT(row < w.set.n_samples, "row %u", row);
            EXPECT(seen[row]++ == 0, "row %u is in two shards", row);
            w.counts[i][w.labels[row]]++;
        }
    }
    EXPECT(sum == w.set.n_samples, "%u rows in all", sum);
}

/* Each peer computes its own alone. */
static void check_alone(struct rng *rng)
{
    uint32_t i = rng_below(rng, w.n_peers);
    struct shard all = split_shard(&w.split, i), own;
    struct error err;
    EXPECT(shard_make(&own, &w.set, &w.how, i, w.n_peers, w.seed, &err) == 0, "%s", err.text);
    EXPECT(own.n == all.n, "%u rows", own.n);
    for (uint32_t r = 0; r < own.n; r++)
        EXPECT(shard_row(&own, r) == shard_row(&all, r), "row %u of shard %u", r, i);
    shard_close(&own);
}

static bool is_share(uint32_t part, uint32_t whole, uint32_t n)
{
    return part == whole / n || part == (whole + n - 1) / n;
}

static void check_labels_k(void)
{
    uint32_t n_classes = w.set.shape.n_classes, owners[CLASSES_MAX] = {0};
    for (uint32_t i = 0; i < w.n_peers; i++) {
        uint32_t n_held = 0;
        for (uint32_t c = 0; c < n_classes; c++) {
            n_held += w.counts[i][c] > 0;
            owners[c] += w.counts[i][c] > 0;
        }
        EXPECT(n_held == w.how.k, "shard %u has %u classes", i, n_held);
    }
    for (uint32_t c = 0; c < n_classes; c++) {
        EXPECT(is_share(owners[c], w.n_peers * w.how.k, n_classes), "class %u has %u owners", c,
               owners[c]);
        for (uint32_t i = 0; i < w.n_peers; i++)
            EXPECT(w.counts[i][c] == 0 || is_share(w.counts[i][c], w.class_size[c], owners[c]),
                   "shard %u has %u of class %u", i, w.counts[i][c], c);
    }
}

static void check_definition(void)
{
    uint32_t n = w.set.n_samples, n_classes = w.set.shape.n_classes, sum = 0, before = 0;
    uint32_t half = n / w.n_peers / 2, least = half < 10 ? half : 10;
    for (uint32_t i = 0; i < w.how.n_sizes; i++)
        sum += w.how.sizes[i];
    for (uint32_t i = 0; i < w.n_peers; i++) {
        switch (w.how.kind) {
        case PARTITION_IID:
        case PARTITION_CONTIGUOUS:
            EXPECT(is_share(w.sizes[i], n, w.n_peers), "shard %u has %u rows", i, w.sizes[i]);
            break;
        case PARTITION_STRATIFIED:
            EXPECT(is_share(w.sizes[i], n, w.n_peers), "shard %u has %u rows", i, w.sizes[i]);
            for (uint32_t c = 0; c < n_classes; c++)
                EXPECT(is_share(w.counts[i][c], w.class_size[c], w.n_peers),
                       "shard %u has %u of class %u", i, w.counts[i][c], c);
            break;
        case PARTITION_LABELS:
            if (w.how.k > 0)
                break;
            EXPECT(is_share(w.sizes[i], n, w.n_peers), "shard %u has %u rows", i, w.sizes[i]);
            for (uint32_t c = 1; c < n_classes; c++)
                for (uint32_t d = 0; d < c && i > 0; d++)
                    EXPECT(w.counts[i - 1][c] == 0 || w.counts[i][d] == 0,
                           "class %u before class %u", c, d);
            break;
        case PARTITION_DIRICHLET:
            EXPECT(w.sizes[i] >= least, "shard %u has %u rows", i, w.sizes[i]);
            break;
        case PARTITION_SIZES: {
            uint32_t from = (uint32_t)((uint64_t)n * before / sum);
            before += w.how.sizes[i];
            EXPECT(w.sizes[i] == (uint64_t)n * before / sum - from, "shard %u has %u rows", i,
                   w.sizes[i]);
            break;
        }
        case PARTITION_BY: {
            struct shard shard = split_shard(&w.split, i);
            uint32_t size = w.group_size[w.groups[shard_row(&shard, 0)]];
            EXPECT(w.n_peers < n_classes || w.sizes[i] == size, "shard %u has %u rows", i,
                   w.sizes[i]);
            break;
        }
        case PARTITION_NONE:
        case PARTITION_SAMPLE:
        case N_PARTITION_KINDS:
            break;
        }
    }
    if (w.how.kind == PARTITION_LABELS && w.how.k > 0)
        check_labels_k();
}

static void run_seed(uint64_t seed)
{
    struct rng rng = rng_stream(seed, 0, RNG_TEST);
    struct error err;
    w.seed = seed;
    draw_world(&rng);
    for (int k = 0; k < 8; k++) {
        draw_partition(&rng);
        if (split_init(&w.split, &w.set, &w.how, w.n_peers, seed, &err) != 0) {
            n_refused++;
            continue;
        }
        n_splits[w.how.kind]++;
        check_disjoint_and_complete();
        check_alone(&rng);
        check_definition();
        split_close(&w.split);
    }
}

/* A share of Dir(a, ..., a) of n has mean 1/n, variance (1/n)(1 - 1/n)/(n a + 1). */
static void check_dirichlet(uint64_t first, uint64_t n_seeds, const char *text)
{
    enum { N = 8, CLASSES = 4, ROWS = ROWS_MAX };
    double sum[N] = {0}, squares = 0, x;
    char how[32];
    struct error err;
    w.n_peers = N;
    w.set = (struct dataset){.n_samples = ROWS,
                             .shape = {.n_features = 1, .n_classes = CLASSES},
                             .y = {w.labels, 1, 1, ELEMENT_U8}};
    for (uint32_t r = 0; r < ROWS; r++)
        w.labels[r] = (uint8_t)(r % CLASSES);
    snprintf(how, sizeof how, "dirichlet:%s", text);
    EXPECT(partition_parse(how, &w.how, &err) == 0, "%s", err.text);
    for (w.seed = first; w.seed < first + n_seeds; w.seed++) {
        EXPECT(split_init(&w.split, &w.set, &w.how, N, w.seed, &err) == 0, "%s", err.text);
        check_disjoint_and_complete();
        split_close(&w.split);
        for (uint32_t i = 0; i < N; i++)
            for (uint32_t c = 0; c < CLASSES; c++) {
                x = (double)w.counts[i][c] * CLASSES / ROWS;
                sum[i] += x;
                squares += (x - 1.0 / N) * (x - 1.0 / N);
            }
    }
    double draws = (double)(n_seeds * CLASSES),
           wanted = 1.0 / N * (1 - 1.0 / N) / (N * w.how.x + 1);
    double variance = squares / (draws * N);
    for (uint32_t i = 0; i < N; i++)
        EXPECT(fabs(sum[i] / draws - 1.0 / N) < 5 * sqrt(wanted / draws),
               "mean share %g of peer %u", sum[i] / draws, i);
    EXPECT(fabs(variance / wanted - 1) < 0.08, "variance %g, wanted %g", variance, wanted);
    printf("  dirichlet:%s: variance of a share %.5f, of the distribution %.5f\n", text, variance,
           wanted);
}

int main(int argc, char **argv)
{
    static const char *const alphas[N_ALPHAS] = {"0.3", "1", "10"};
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t n_seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
    for (uint64_t seed = first; seed < first + n_seeds; seed++)
        run_seed(seed);
    for (int a = 0; a < N_ALPHAS; a++)
        check_dirichlet(first, n_seeds, alphas[a]);
    unsigned n = 0;
    for (int k = 0; k < N_PARTITION_KINDS; k++)
        n += n_splits[k];
    printf("partition: %llu seeds, %u splits hold, %u refused\n", (unsigned long long)n_seeds, n,
           n_refused);
    return n > 0 ? 0 : 1;
}
