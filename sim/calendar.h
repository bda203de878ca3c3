/* A calendar queue (Brown 1988, "Calendar queues: a fast O(1) priority queue implementation"): a
 * ring of days, each an unordered heap of items; what lies beyond the ring waits apart.
 *
 * A day is one window of the simulation, so what is taken is all that happens in it; its order is
 * made by the taker. Memory follows the greatest number of items there ever was at once. One
 * thread.
 */
#ifndef HUBBUB_SIM_CALENDAR_H
#define HUBBUB_SIM_CALENDAR_H

#include <stddef.h>
#include <stdint.h>

enum { CALENDAR_DAYS = 4096 };

#define CALENDAR_EMPTY UINT64_MAX

struct calendar_page;

struct calendar {
    uint32_t item_bytes, items_a_page;
    uint64_t today; /* nothing is before it */
    struct calendar_page *days[CALENDAR_DAYS];
    /* Items in the last page of each; the others are full. Here, since a page is far away by the
     * time that something is added to it. */
    uint32_t n_last[CALENDAR_DAYS];
    uint64_t used[CALENDAR_DAYS / 64]; /* a bit a day: it has items */
    struct calendar_page *spare;
    /* Beyond the ring: each item behind its day. */
    char *later;
    size_t n_later, later_max;
    uint64_t later_first, sorted_in; /* the earliest of them; when they were last looked through */
};

/* item_bytes: a multiple of 4, at most 64. */
void calendar_init(struct calendar *c, uint32_t item_bytes);
void calendar_close(struct calendar *c);

/* Where one more item of that day, >= the last one taken, is to be written at once. */
void *calendar_place(struct calendar *c, uint64_t day);

/* The earliest day that has items, or CALENDAR_EMPTY. */
uint64_t calendar_next(const struct calendar *c);

/* Items of a day no later than calendar_next. */
struct calendar_items {
    void *items;
    size_t n, max;
};

/* Moves the items of that day to the end of `to`, which grows as needed (free(to->items)). */
void calendar_take(struct calendar *c, uint64_t day, struct calendar_items *to);

#endif
