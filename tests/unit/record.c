#include "sim/record.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(record, .timeout = 30);

static void open_sample(struct record_sample *s, struct topology *t, const char *spec, uint32_t n)
{
    struct error err = {0};
    cr_assert_eq(topology_init(t, spec, n, 1, &err), 0, "%s", err.text);
    record_sample_init(s, t);
}

/* All of few; of many, a part that hangs together. */
Test(record, sample)
{
    static const struct {
        const char *spec;
        uint32_t n, sample;
    } cases[] = {{"ring", 5, 5},         {"random", 128, 128},     {"random", 129, 128},
                 {"torus", 10000, 128},  {"regular:4", 5000, 128}, {"star", 1000, 128},
                 {"er:0.0001", 400, 128} /* in pieces */};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct topology t;
        struct record_sample s;
        open_sample(&s, &t, cases[c].spec, cases[c].n);
        cr_assert_eq(s.n, cases[c].sample, "case %zu: %u", c, s.n);
        uint32_t n_placed = 0, n_links = 0;
        for (uint32_t id = 0; id < t.n; id++)
            if (s.places[id] != RECORD_NOBODY) {
                cr_assert_eq(s.ids[s.places[id]], id, "case %zu: %u", c, id);
                n_placed++;
            }
        cr_assert_eq(n_placed, s.n);
        for (uint32_t i = 1; i < s.n; i++)
            cr_assert(s.ids[i - 1] < s.ids[i], "by id");
        for (uint32_t i = 0; i < s.n; i++)
            for (uint32_t k = 0; k < topology_degree(&t, s.ids[i]); k++)
                n_links += s.places[topology_neighbour(&t, s.ids[i], k)] != RECORD_NOBODY;
        if (c < 6)
            cr_assert(n_links >= 2 * (s.n - 1), "case %zu: %u links", c, n_links);
        record_sample_close(&s);
        topology_close(&t);
    }
}

static uint64_t bytes_of(const struct record *r, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < 2 * RECORD_LINKS_MAX; i++)
        if (r->links[i].bytes > 0 && r->links[i].from == from && r->links[i].to == to)
            return r->links[i].bytes;
    return 0;
}

Test(record, links)
{
    struct topology t;
    struct record_sample s;
    struct record *r = malloc(sizeof *r);
    open_sample(&s, &t, "complete", 1000);
    record_init(r, &s);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t from = 0; from < 200; from++)
            for (uint32_t to = 0; to < 128; to++)
                record_sent(r, from, to, 1 + from + to);
    cr_assert_eq(r->n_links, RECORD_LINKS_MAX);
    for (uint32_t from = 0; from < 200; from++)
        for (uint32_t to = 0; to < 128; to++)
            cr_assert_eq(bytes_of(r, from, to), from < 128 ? 2 * (1 + from + to) : 0, "%u to %u",
                         from, to);
    cr_assert_eq(r->bytes_unlisted, 0);
    record_sent(r, 5, 999, 70);
    cr_assert_eq(r->bytes_unlisted, 70, "there is no place for one more");
    record_sent(r, 5, 6, 100);
    cr_assert_eq(bytes_of(r, 5, 6), 124, "but the others go on");
    record_close(r);
    record_sample_close(&s);
    topology_close(&t);
    free(r);
}

static uint32_t bin_of_one(struct record *r)
{
    for (uint32_t i = 0; i < RECORD_AGES_MAX; i++)
        if (r->ages[i] > 0) {
            r->ages[i] = 0;
            return i;
        }
    return RECORD_AGES_MAX;
}

Test(record, ages)
{
    struct topology t;
    struct record_sample s;
    struct record *r = malloc(sizeof *r);
    open_sample(&s, &t, "ring", 1000);
    record_init(r, &s);
    for (uint32_t power = 0; power < 64; power++)
        for (int64_t off = -1; off <= 1; off++) {
            uint64_t age = (UINT64_C(1) << power) + (uint64_t)off;
            record_came(r, 3, 77, 0);
            record_mixed(r, 3, 77, age);
            uint32_t bin = bin_of_one(r);
            uint64_t least = record_age_us(bin);
            cr_assert(bin < RECORD_AGES_MAX && least <= age && age - least <= age / 64,
                      "an age of %lu in the bin of %lu", age, least);
            cr_assert(bin + 1 == RECORD_AGES_MAX || record_age_us(bin + 1) > age, "%lu", age);
        }
    record_came(r, 3, 5, 10);
    record_came(r, 3, 5 + RECORD_SLICES, 20);
    record_mixed(r, 3, 5, 30);
    cr_assert_eq(bin_of_one(r), RECORD_AGES_MAX, "one that was displaced is not guessed");
    record_mixed(r, 3, 5 + RECORD_SLICES, 30);
    cr_assert_eq(bin_of_one(r), 10);
    record_came(r, 500, 6, 10);
    record_mixed(r, 500, 6, 30);
    cr_assert_eq(bin_of_one(r), RECORD_AGES_MAX, "nor one of a peer that is not in the sample");
    record_close(r);
    record_sample_close(&s);
    topology_close(&t);
    free(r);
}
