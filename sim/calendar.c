#include "sim/calendar.h"

#include "base/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 1024, DAY_BYTES = sizeof(uint64_t) };

struct calendar_page {
    struct calendar_page *next;
    char items[];
};

static void *must(void *memory)
{
    CHECK(memory != NULL);
    return memory;
}

void calendar_init(struct calendar *c, uint32_t item_bytes)
{
    CHECK(item_bytes % 4 == 0 && item_bytes <= 64);
    *c = (struct calendar){.item_bytes = item_bytes, .later_first = CALENDAR_EMPTY};
    c->items_a_page = (PAGE_BYTES - (uint32_t)sizeof(struct calendar_page)) / item_bytes;
    memset(c->reach, CALENDAR_FAR, sizeof c->reach);
}

static void free_pages(struct calendar_page *page)
{
    while (page != NULL) {
        struct calendar_page *next = page->next;
        free(page);
        page = next;
    }
}

void calendar_close(struct calendar *c)
{
    for (uint32_t i = 0; i < CALENDAR_DAYS; i++)
        free_pages(c->days[i]);
    free_pages(c->spare);
    free(c->later);
}

static void *place_in_ring(struct calendar *c, uint64_t day, uint32_t reach)
{
    uint32_t at = day % CALENDAR_DAYS;
    struct calendar_page *page = c->days[at];
    if (page == NULL || c->n_last[at] == c->items_a_page) {
        struct calendar_page *fresh = c->spare;
        if (fresh != NULL)
            c->spare = fresh->next;
        else
            fresh = must(malloc(PAGE_BYTES));
        fresh->next = page;
        page = c->days[at] = fresh;
        c->n_last[at] = 0;
        c->used[at / 64] |= UINT64_C(1) << at % 64;
    }
    c->reach[at] = (uint8_t)(reach < c->reach[at] ? reach : c->reach[at]);
    return page->items + (size_t)c->n_last[at]++ * c->item_bytes;
}

static void *place_later(struct calendar *c, uint64_t day)
{
    size_t each = DAY_BYTES + c->item_bytes;
    if (c->n_later == c->later_max) {
        c->later_max = c->later_max > 0 ? 2 * c->later_max : 1024;
        c->later = must(realloc(c->later, c->later_max * each));
    }
    char *at = c->later + c->n_later++ * each;
    memcpy(at, &day, sizeof day);
    c->later_first = day < c->later_first ? day : c->later_first;
    return at + DAY_BYTES;
}

void *calendar_place(struct calendar *c, uint64_t day, uint32_t reach)
{
    CHECK(day >= c->today);
    return day - c->today < CALENDAR_DAYS ? place_in_ring(c, day, reach) : place_later(c, day);
}

uint64_t calendar_next(const struct calendar *c)
{
    uint32_t start = c->today % CALENDAR_DAYS;
    for (uint32_t i = 0; i <= CALENDAR_DAYS / 64; i++) {
        uint32_t word = (start / 64 + i) % (CALENDAR_DAYS / 64);
        uint64_t bits = c->used[word];
        if (i == 0)
            bits &= ~UINT64_C(0) << start % 64;
        if (i == CALENDAR_DAYS / 64)
            bits &= ~(~UINT64_C(0) << start % 64);
        if (bits != 0) {
            uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(bits);
            uint64_t day = c->today + (at + CALENDAR_DAYS - start) % CALENDAR_DAYS;
            return day < c->later_first ? day : c->later_first;
        }
    }
    return c->later_first;
}

uint64_t calendar_reach(const struct calendar *c, uint64_t most)
{
    uint64_t end = c->today + most;
    for (uint64_t day = c->today; day < end; day++) {
        uint64_t reached = day + c->reach[day % CALENDAR_DAYS];
        end = reached < end ? reached : end;
    }
    return end <= c->later_first ? end : c->later_first + 1;
}

/* What lies within the ring now goes there: nothing else for a turn of the ring. */
static void sort_in(struct calendar *c)
{
    size_t each = DAY_BYTES + c->item_bytes, kept = 0;
    uint64_t first = CALENDAR_EMPTY, day;
    for (size_t i = 0; i < c->n_later; i++) {
        const char *at = c->later + i * each;
        memcpy(&day, at, sizeof day);
        if (day - c->today < CALENDAR_DAYS) {
            memcpy(place_in_ring(c, day, 1), at + DAY_BYTES, c->item_bytes);
            continue;
        }
        memmove(c->later + kept++ * each, at, each);
        first = day < first ? day : first;
    }
    c->n_later = kept;
    c->later_first = first;
}

static void take_day(struct calendar *c, uint64_t day, struct calendar_items *to)
{
    uint32_t at = day % CALENDAR_DAYS;
    struct calendar_page *page = c->days[at];
    c->days[at] = NULL;
    c->reach[at] = CALENDAR_FAR;
    c->used[at / 64] &= ~(UINT64_C(1) << at % 64);
    for (uint32_t n = c->n_last[at]; page != NULL; n = c->items_a_page) {
        if (to->n + n > to->max) {
            to->max = 2 * to->max + n;
            to->items = must(realloc(to->items, to->max * c->item_bytes));
        }
        memcpy((char *)to->items + to->n * c->item_bytes, page->items, (size_t)n * c->item_bytes);
        to->n += n;
        struct calendar_page *next = page->next;
        page->next = c->spare;
        c->spare = page;
        page = next;
    }
}

void calendar_take(struct calendar *c, uint64_t end, struct calendar_items *to)
{
    CHECK(end >= c->today);
    for (uint64_t day; (day = calendar_next(c)) < end;) {
        c->today = day;
        if (day >= c->later_first)
            sort_in(c);
        take_day(c, day, to);
    }
    c->today = end;
}
