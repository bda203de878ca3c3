#include "data/partition.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(partition, .timeout = 30);

enum { N = 1003 };
static uint8_t labels[N];
static uint32_t groups[N];
static struct dataset set = {.n_samples = N,
                             .shape = {.n_features = 1, .n_classes = 10},
                             .y = {labels, 1, 1, ELEMENT_U8},
                             .groups = groups,
                             .n_groups = 7};

static void make_labels(uint32_t n)
{
    set.n_samples = n;
    for (uint32_t i = 0; i < n; i++) {
        labels[i] = (uint8_t)(i % 10);
        groups[i] = i * 7 / n;
    }
}

static struct partition parsed(const char *text)
{
    struct partition p;
    struct error err;
    cr_assert_eq(partition_parse(text, &p, &err), 0, "%s", err.text);
    cr_assert_str_eq(p.text, text);
    return p;
}

static struct shard made(const char *how, uint32_t i, uint32_t n, uint64_t seed)
{
    struct shard shard;
    struct error err;
    struct partition p = parsed(how);
    cr_assert_eq(shard_make(&shard, &set, &p, i, n, seed, &err), 0, "%s", err.text);
    return shard;
}

/* Alone and from the split of all, the same rows. */
Test(partition, one_is_a_part_of_all)
{
    static const char *const hows[] = {
        "none",     "iid",           "contiguous", "sample:0.1", "stratified",
        "labels:2", "dirichlet:0.1", "by:ward",    "labels",     "sizes:4,2,1,1,3"};
    make_labels(N);
    for (size_t h = 0; h < sizeof hows / sizeof hows[0]; h++) {
        struct split split;
        struct error err;
        struct partition how = parsed(hows[h]);
        cr_assert_eq(split_init(&split, &set, &how, 5, 3, &err), 0, "%s", err.text);
        for (uint32_t i = 0; i < 5; i++) {
            struct shard a = split_shard(&split, i), b = made(hows[h], i, 5, 3);
            cr_assert_eq(a.n, b.n);
            uint32_t at[3] = {0, a.n - 1, a.n / 2};
            shard_rows(&b, at, 3);
            cr_assert_eq(at[0], shard_row(&a, 0), "%s", hows[h]);
            cr_assert_eq(at[1], shard_row(&a, a.n - 1), "%s", hows[h]);
            cr_assert_eq(at[2], shard_row(&a, a.n / 2), "%s", hows[h]);
            for (uint32_t r = 0; r < a.n; r++)
                cr_assert_eq(shard_row(&a, r), shard_row(&b, r), "%s", hows[h]);
            shard_close(&b);
        }
        split_close(&split);
    }
}

Test(partition, labels_gives_two_classes_each)
{
    make_labels(1000);
    for (uint64_t seed = 0; seed < 8; seed++)
        for (uint32_t i = 0; i < 5; i++) {
            struct shard shard = made("labels", i, 5, seed);
            uint32_t counts[10];
            shard_classes(&shard, &set, counts);
            for (uint32_t c = 0; c < 10; c++)
                cr_assert_eq(counts[c], c / 2 == i ? 100 : 0);
            shard_close(&shard);
        }
}

Test(partition, seeds_differ_and_order_is_kept)
{
    make_labels(1000);
    struct shard a = made("iid", 1, 4, 1), b = made("iid", 1, 4, 2),
                 c = made("contiguous", 1, 4, 1);
    uint32_t n_equal = 0;
    for (uint32_t i = 0; i < c.n; i++) {
        n_equal += shard_row(&a, i) == shard_row(&b, i);
        cr_assert_eq(shard_row(&c, i), 250 + i);
    }
    cr_assert_lt(n_equal, 10);
}

Test(partition, a_sample_draws_with_replacement)
{
    make_labels(1000);
    struct shard a = made("sample:0.5", 0, 2, 1), b = made("sample:0.5", 1, 2, 1);
    uint8_t seen[1000] = {0};
    uint32_t n_seen = 0, n_equal = 0;
    cr_assert_eq(a.n, 500);
    for (uint32_t i = 0; i < a.n; i++) {
        n_seen += seen[shard_row(&a, i)]++ == 0;
        n_equal += shard_row(&a, i) == shard_row(&b, i);
    }
    /* 1 - exp(-1/2) of the rows, give or take five deviations. */
    cr_assert(n_seen > 393 - 50 && n_seen < 393 + 50, "%u rows", n_seen);
    cr_assert_lt(n_equal, 10);
}

Test(partition, by_a_column)
{
    make_labels(700);
    for (uint32_t i = 0; i < 7; i++) {
        struct shard shard = made("by:ward", i, 7, 1);
        cr_assert_eq(shard.n, 100);
        for (uint32_t r = 0; r < shard.n; r++)
            cr_assert_eq(groups[shard_row(&shard, r)], i);
        shard_close(&shard);
    }
}

/* A shard of a function costs no memory, so a set larger than any memory can be split. */
Test(partition, huge)
{
    struct dataset huge = {.n_samples = 4000000000, .shape = {.n_features = 1}};
    static const char *const hows[] = {"none", "iid", "contiguous", "sample:0.5"};
    for (size_t h = 0; h < sizeof hows / sizeof hows[0]; h++) {
        struct partition how = parsed(hows[h]);
        struct shard shard;
        struct error err;
        cr_assert_eq(shard_make(&shard, &huge, &how, 2, 3, 1, &err), 0);
        cr_assert_null(shard.owned);
        cr_assert_lt(shard_row(&shard, shard.n - 1), 4000000000);
        shard_close(&shard);
    }
}

Test(partition, refuses)
{
    static const struct {
        const char *how;
        uint32_t n;
        int code;
        const char *says;
    } cases[] = {
        {"iid", 11, ERR_DATA, "11 peers cannot share 10 training samples"},
        {"stratified", 11, ERR_DATA, "at most one peer a sample"},
        {"sizes:4,2", 3, ERR_USAGE, "2 sizes for 3 peers"},
        {"sizes:1000,1", 2, ERR_DATA, "smallest part"},
        {"labels:11", 2, ERR_USAGE, "11 of 10 classes"},
        {"labels:4", 2, ERR_USAGE, "every class has an owner"},
        {"labels:10", 2, ERR_DATA, "cannot share the 1 rows of class 0"},
        {"by:ward", 8, ERR_DATA, "7 values for 8 peers"},
    };
    make_labels(10);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct partition how = parsed(cases[c].how);
        struct shard shard;
        struct error err = {0};
        cr_assert_eq(shard_make(&shard, &set, &how, 0, cases[c].n, 1, &err), cases[c].code, "%s",
                     cases[c].how);
        cr_assert_not_null(strstr(err.text, cases[c].says), "%s", err.text);
    }
    struct dataset plain = {.n_samples = 10, .shape = {.n_features = 1}};
    struct partition by = parsed("by:ward"), labels_of_none = parsed("labels");
    struct shard shard;
    struct error err;
    cr_assert_eq(shard_make(&shard, &plain, &by, 0, 2, 1, &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "no columns"), "%s", err.text);
    cr_assert_eq(shard_make(&shard, &plain, &labels_of_none, 0, 2, 1, &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "no classes"), "%s", err.text);
}

Test(partition, names)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"idd", "did you mean 'iid'"},    {"", "no partition ''"},
        {"iid:2", "nothing may follow"},  {"sample", "above 0"},
        {"sample:1.1", "at most 1"},      {"sizes:", "proportions"},
        {"sizes:1,0", "above 0"},         {"sizes:1,,2", "proportions"},
        {"sizes:4294967295,1", "whole"},  {"labels:0", "number of classes"},
        {"dirichlet:0", "concentration"}, {"dirichlet:nan", "concentration"},
        {"by:", "name of a column"},      {"dirichletdirichlet:0.1", "no partition"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct partition p;
        struct error err = {0};
        cr_assert_eq(partition_parse(cases[c].text, &p, &err), ERR_USAGE, "%s", cases[c].text);
        cr_assert_not_null(strstr(err.text, cases[c].says), "%s", err.text);
    }
}
