/* A calendar queue (Brown 1988, "Calendar queues: a fast O(1) priority queue implementation"): a
 * ring of days, each an unordered heap of items; what lies beyond the ring waits apart.
 *
 * What is taken is all that happens in some days; its order is made by the taker. Each item comes
 * with its reach: how many days it is, at least, until anything that it causes happens. So a
 * calendar knows how many days may be taken at once. Memory follows the greatest number of items
 * there ever was at once. One thread.
 */
#ifndef HUBBUB_SIM_CALENDAR_H
#define HUBBUB_SIM_CALENDAR_H

#include <stddef.h>
#include <stdint.h>

enum { CALENDAR_DAYS = 4096 };

#define CALENDAR_EMPTY UINT64_MAX

enum { CALENDAR_FAR = UINT8_MAX }; /* a reach of so many days, or any more */

struct calendar_page;

struct calendar {
    uint32_t item_bytes, items_a_page;
    uint64_t today; /* the first day that is not taken yet */
    struct calendar_page *days[CALENDAR_DAYS];
    /* Items in the last page of each; the others are full. Here, since a page is far away by the
     * time that something is added to it. */
    uint32_t n_last[CALENDAR_DAYS];
    uint8_t reach[CALENDAR_DAYS];      /* the least of their items */
    uint64_t used[CALENDAR_DAYS / 64]; /* a bit a day: it has items */
    struct calendar_page *spare;
    /* Beyond the ring: each item behind its day. Their reach is forgotten: a day. */
    char *later;
    size_t n_later, later_max;
    uint64_t later_first; /* the earliest of them */
};

/* item_bytes: a multiple of 4, at most 64. */
void calendar_init(struct calendar *c, uint32_t item_bytes);
void calendar_close(struct calendar *c);

/* Where one more item of that day, which is not taken yet, is to be written at once. reach: 1 to
 * CALENDAR_FAR. */
void *calendar_place(struct calendar *c, uint64_t day, uint32_t reach);

/* The earliest day that has items, or CALENDAR_EMPTY. */
uint64_t calendar_next(const struct calendar *c);

/* Where as many days end, from the first that is not taken yet on and `most` (CALENDAR_FAR) of them
 * at most, as no item of theirs reaches. */
uint64_t calendar_reach(const struct calendar *c, uint64_t most);

struct calendar_items {
    void *items;
    size_t n, max;
};

/* Moves the items of all days before `end` to the end of `to`, which grows as needed
 * (free(to->items)). */
void calendar_take(struct calendar *c, uint64_t end, struct calendar_items *to);

#endif
