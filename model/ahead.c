#include "model/ahead.h"

#include "base/mem.h"
#include "base/prefetch.h"

_Thread_local struct ahead ahead;

void ahead_want(const void *from, size_t bytes)
{
    struct ahead *a = &ahead;
    if (a->n == AHEAD_RANGES)
        return;
    a->ranges[a->n++] = (struct ahead_range){from, (const char *)from + bytes};
    a->n_lines += (bytes + MEM_ALIGN - 1) / MEM_ALIGN;
}

void ahead_begin(void)
{
    struct ahead *a = &ahead;
    a->work = 0;
    a->pace = a->last_work > 0 ? (double)a->n_lines / (double)a->last_work : 0;
}

void ahead_end(void)
{
    ahead = (struct ahead){.last_work = ahead.work};
}

void ahead_ask(struct ahead *a)
{
    uint64_t due = (uint64_t)((double)a->work * a->pace);
    while (a->n_asked < due && a->at < a->n) {
        struct ahead_range *range = &a->ranges[a->at];
        const char *from = range->from, *end = from + (due - a->n_asked) * MEM_ALIGN;
        end = end < range->end ? end : range->end;
        a->n_asked += (uint64_t)(end - from + MEM_ALIGN - 1) / MEM_ALIGN;
        a->at += end == range->end;
        range->from = end;
        for (; from < end; from += MEM_ALIGN)
            prefetch_early(from);
    }
}
