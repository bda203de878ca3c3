/* The simulator's calendar queue, against a plain list. */
#include "base/rng.h"
#include "sim/calendar.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(calendar, .timeout = 30);

struct item {
    uint32_t day, number, filler[4];
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

Test(calendar, gives_back_what_it_was_given_in_order_of_days)
{
    enum { N = 4000 };
    static struct item expected[N];
    struct calendar c;
    struct calendar_items due = {0};
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    uint32_t n_added = 0, n_taken = 0;
    uint64_t today = 0;
    calendar_init(&c, sizeof(struct item));
    cr_assert_eq(calendar_next(&c), CALENDAR_EMPTY);
    while (n_taken < N) {
        for (uint32_t k = rng_below(&rng, 80); k > 0 && n_added < N; k--) {
            struct item *item = &expected[n_added];
            *item = (struct item){.day = (uint32_t)today + draw_ahead(&rng), .number = n_added};
            *(struct item *)calendar_place(&c, item->day) = *item;
            n_added++;
        }
        uint64_t next = CALENDAR_EMPTY;
        for (uint32_t i = 0; i < n_added; i++)
            if (expected[i].day >= today && expected[i].filler[0] == 0 && expected[i].day < next)
                next = expected[i].day;
        cr_assert_eq(calendar_next(&c), next);
        if (next == CALENDAR_EMPTY)
            continue;
        due.n = 0;
        calendar_take(&c, next, &due);
        today = next;
        struct item *items = due.items;
        qsort(items, due.n, sizeof *items, compare);
        size_t at = 0;
        for (uint32_t i = 0; i < n_added; i++) {
            if (expected[i].day != next || expected[i].filler[0] != 0)
                continue;
            cr_assert(at < due.n && items[at].number == i, "day %llu lacks item %u",
                      (unsigned long long)next, i);
            expected[i].filler[0] = 1;
            at++;
        }
        cr_assert_eq(at, due.n);
        n_taken += (uint32_t)at;
    }
    cr_assert_eq(calendar_next(&c), CALENDAR_EMPTY);
    calendar_close(&c);
    free(due.items);
}

Test(calendar, an_empty_day_may_be_taken_and_added_to)
{
    struct calendar c;
    struct calendar_items due = {0};
    uint32_t x = 7;
    calendar_init(&c, sizeof x);
    calendar_take(&c, 5, &due);
    cr_assert_eq(due.n, 0);
    *(uint32_t *)calendar_place(&c, 5) = x;
    cr_assert_eq(calendar_next(&c), 5);
    calendar_take(&c, 5, &due);
    cr_assert_eq(due.n, 1);
    cr_assert_eq(*(uint32_t *)due.items, 7);
    calendar_close(&c);
    free(due.items);
}
