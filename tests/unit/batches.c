#include "data/batches.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(batches, .timeout = 20);

enum { N = 97 };
static uint32_t rows_of_shard[N];
static struct shard shard = {.rows = rows_of_shard, .n = N};

static void make_shard(uint32_t n)
{
    shard.n = n;
    for (uint32_t i = 0; i < n; i++)
        rows_of_shard[i] = 1000 + i;
}

Test(batches, an_epoch_covers_everything)
{
    static const uint32_t sizes[] = {1, 7, 64, 97, 200};
    make_shard(N);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t stream[N * 200], n = 0;
        for (; n + sizes[s] <= N * 200 && n < 3 * N; n += sizes[s])
            batches_rows(&shard, 1, 2, n, stream + n, sizes[s]);
        for (uint32_t epoch = 0; epoch < 3; epoch++) {
            uint8_t seen[N] = {0};
            for (uint32_t i = 0; i < N; i++)
                seen[stream[epoch * N + i] - 1000]++;
            for (uint32_t i = 0; i < N; i++)
                cr_assert_eq(seen[i], 1);
        }
        cr_assert_arr_neq(stream, stream + N, N * sizeof *stream);
    }
}

Test(batches, any_position_is_the_same_stream)
{
    static const uint64_t positions[] = {0, 13, 96, 97, 98, 500, 0};
    uint32_t stream[1000], rows[20];
    make_shard(N);
    batches_rows(&shard, 5, 0, 0, stream, 1000);
    for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++) {
        batches_rows(&shard, 5, 0, positions[p], rows, 20);
        cr_assert_arr_eq(rows, stream + positions[p], sizeof rows);
    }
}

Test(batches, a_shard_smaller_than_a_batch)
{
    uint32_t rows[10], counts[3] = {0};
    make_shard(3);
    batches_rows(&shard, 1, 0, 0, rows, 9);
    for (int i = 0; i < 9; i++)
        counts[rows[i] - 1000]++;
    cr_assert(counts[0] == 3 && counts[1] == 3 && counts[2] == 3);
}

Test(batches, named_by_seed_and_node)
{
    static const struct {
        uint64_t seed;
        uint32_t node;
    } names[] = {{1, 0}, {2, 0}, {1, 1}};
    uint32_t first[N], rows[N];
    make_shard(N);
    for (size_t i = 0; i < 3; i++) {
        batches_rows(&shard, names[i].seed, names[i].node, 0, i == 0 ? first : rows, N);
        if (i > 0)
            cr_assert_arr_neq(first, rows, sizeof rows);
    }
}
