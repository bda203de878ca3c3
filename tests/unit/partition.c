#include "data/partition.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(partition, .timeout = 30);

enum { N = 1003 };
static uint8_t labels[N];
static struct dataset set = {
    .n_samples = N, .shape = {.n_features = 1, .n_classes = 10}, .y = {labels, 1, 1, ELEMENT_U8}};

static void make_labels(uint32_t n)
{
    set.n_samples = n;
    for (uint32_t i = 0; i < n; i++)
        labels[i] = (uint8_t)(i % 10);
}

Test(partition, disjoint_and_complete)
{
    static const uint32_t peers[] = {1, 2, 3, 5, 16, 100, N};
    make_labels(N);
    for (int how = 0; how < N_PARTITIONS; how++)
        for (uint64_t seed = 0; seed < 8; seed++)
            for (size_t p = 0; p < sizeof peers / sizeof peers[0]; p++) {
                uint8_t seen[N] = {0};
                for (uint32_t i = 0; i < peers[p]; i++) {
                    struct shard shard;
                    struct error err;
                    cr_assert_eq(
                        shard_make(&shard, &set, (enum partition)how, i, peers[p], seed, &err), 0);
                    cr_assert(shard.n == N / peers[p] || shard.n == N / peers[p] + 1);
                    for (uint32_t r = 0; r < shard.n; r++)
                        seen[shard.rows[r]]++;
                    shard_close(&shard);
                }
                for (int r = 0; r < N; r++)
                    cr_assert_eq(seen[r], 1, "%s, seed %d, %u peers: row %d", partition_names[how],
                                 (int)seed, peers[p], r);
            }
}

Test(partition, labels_gives_two_classes_each)
{
    make_labels(1000);
    for (uint64_t seed = 0; seed < 8; seed++)
        for (uint32_t i = 0; i < 5; i++) {
            struct shard shard;
            struct error err;
            bool present[10];
            cr_assert_eq(shard_make(&shard, &set, PARTITION_LABELS, i, 5, seed, &err), 0);
            shard_classes(&shard, &set, present);
            for (uint32_t c = 0; c < 10; c++)
                cr_assert_eq(present[c], c / 2 == i);
            shard_close(&shard);
        }
}

Test(partition, seeds_differ_and_order_is_kept)
{
    struct shard a, b, c;
    struct error err;
    make_labels(1000);
    cr_assert_eq(shard_make(&a, &set, PARTITION_IID, 1, 4, 1, &err), 0);
    cr_assert_eq(shard_make(&b, &set, PARTITION_IID, 1, 4, 2, &err), 0);
    cr_assert_eq(shard_make(&c, &set, PARTITION_CONTIGUOUS, 1, 4, 1, &err), 0);
    cr_assert_arr_neq(a.rows, b.rows, 250 * sizeof *a.rows);
    for (uint32_t i = 0; i < c.n; i++)
        cr_assert_eq(c.rows[i], 250 + i);
    shard_close(&a);
    shard_close(&b);
    shard_close(&c);
}

Test(partition, more_peers_than_samples)
{
    struct shard shard;
    struct error err;
    make_labels(10);
    cr_assert_eq(shard_make(&shard, &set, PARTITION_IID, 0, 11, 1, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "11 peers"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "10 training samples"));
}
