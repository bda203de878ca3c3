/* The simulator's calendar queue, against a plain list. */
#include "base/rng.h"
#include "sim/calendar.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

TestSuite(calendar, .timeout = 30);

struct item {
    uint32_t day, number, reach, taken, filler[2];
};

static int compare(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Draws days near, at the edge of the ring and far beyond it. */
static uint32_t draw_ahead(struct rng *rng)
{
    static const uint32_t most[] = {2, 100, CALENDAR_DAYS, 10 * CALENDAR_DAYS};
    return rng_below(rng, most[rng_below(rng, 4)] + 1);
}

/* The longest run of days from today on that no item of theirs reaches into. */
static uint64_t reach(const struct item *items, uint32_t n, uint64_t today, uint64_t most)
{
    uint64_t end = today;
    for (bool fits = true; fits && end < today + most; end += fits)
        for (uint32_t i = 0; i < n; i++)
            if (!items[i].taken && items[i].day <= end)
                fits = fits && items[i].day + items[i].reach >= end + 1;
    return end;
}

Test(calendar, gives_back_what_it_was_given_in_order_of_days)
{
    enum { N = 4000 };
    static const uint64_t most[] = {1, 5, 64};
    static struct item expected[N];
    struct calendar c;
    struct calendar_items due = {0};
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    uint32_t n_added = 0, n_taken = 0, n_long = 0;
    uint64_t today = 0;
    calendar_init(&c, sizeof(struct item));
    cr_assert_eq(calendar_next(&c), CALENDAR_EMPTY);
    while (n_taken < N) {
        for (uint32_t k = rng_below(&rng, 80); k > 0 && n_added < N; k--) {
            struct item *item = &expected[n_added];
            *item = (struct item){.day = (uint32_t)today + draw_ahead(&rng),
                                  .number = n_added,
                                  .reach = 1 + rng_below(&rng, CALENDAR_FAR)};
            *(struct item *)calendar_place(&c, item->day, item->reach) = *item;
            if (item->day - today >= CALENDAR_DAYS)
                item->reach = 1;
            n_added++;
        }
        uint64_t next = CALENDAR_EMPTY;
        for (uint32_t i = 0; i < n_added; i++)
            if (!expected[i].taken && expected[i].day < next)
                next = expected[i].day;
        cr_assert_eq(calendar_next(&c), next);
        uint64_t at_most = most[rng_below(&rng, 3)], end = calendar_reach(&c, at_most);
        cr_assert_eq(end, reach(expected, n_added, today, at_most));
        if (next == CALENDAR_EMPTY)
            continue;
        if (end <= next)
            end = next + 1;
        n_long += end > next + 1;
        due.n = 0;
        calendar_take(&c, end, &due);
        today = end;
        struct item *items = due.items;
        qsort(items, due.n, sizeof *items, compare);
        size_t at = 0;
        for (uint32_t i = 0; i < n_added; i++) {
            if (expected[i].day >= end || expected[i].taken)
                continue;
            cr_assert(at < due.n && items[at].number == i, "day %llu lacks item %u",
                      (unsigned long long)expected[i].day, i);
            expected[i].taken = 1;
            at++;
        }
        cr_assert_eq(at, due.n);
        n_taken += (uint32_t)at;
    }
    cr_assert_eq(calendar_next(&c), CALENDAR_EMPTY);
    cr_assert_gt(n_long, 10);
    calendar_close(&c);
    free(due.items);
}

Test(calendar, empty_days_may_be_taken)
{
    struct calendar c;
    struct calendar_items due = {0};
    uint32_t x = 7;
    calendar_init(&c, sizeof x);
    cr_assert_eq(calendar_reach(&c, 5), 5);
    calendar_take(&c, 5, &due);
    cr_assert_eq(due.n, 0);
    *(uint32_t *)calendar_place(&c, 5, CALENDAR_FAR) = x;
    cr_assert_eq(calendar_next(&c), 5);
    cr_assert_eq(calendar_reach(&c, CALENDAR_FAR), 5 + CALENDAR_FAR);
    calendar_take(&c, 6, &due);
    cr_assert_eq(due.n, 1);
    cr_assert_eq(*(uint32_t *)due.items, 7);
    cr_assert_eq(calendar_reach(&c, 7), 13);
    calendar_close(&c);
    free(due.items);
}
