/* Asking the memory for a record before it is worked on: its first pairs of lines, of 1,024 bytes
 * at most.
 *
 * Always inlined: gcc takes a function that only prefetches for one without effect, and leaves its
 * calls out. */
#ifndef HUBBUB_SIM_PREFETCH_H
#define HUBBUB_SIM_PREFETCH_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

#define PREFETCH_INLINE static inline __attribute__((always_inline))

enum { PREFETCH_MOST = 1024 };

PREFETCH_INLINE void prefetch_line(const char *line, bool to_own)
{
    enum { READ, WRITE };
    enum { ONCE = 0, STAYS = 3 };
    if (to_own)
        __builtin_prefetch(line, WRITE, STAYS);
    else
        __builtin_prefetch(line, READ, ONCE);
}

/* Long before: only the first line, and none of the nearest cache. */
PREFETCH_INLINE void prefetch_page(const void *from)
{
    enum { READ = 0, BEYOND_L1 = 2 };
    __builtin_prefetch(from, READ, BEYOND_L1);
}

PREFETCH_INLINE void prefetch_lines(const void *from, size_t bytes, bool to_own)
{
    const char *at = from, *end = at + (bytes < PREFETCH_MOST ? bytes : PREFETCH_MOST);
    for (; at < end; at += 2 * MEM_ALIGN) {
        prefetch_line(at, to_own);
        prefetch_line(at + MEM_ALIGN, to_own);
    }
}

/* is_shared: as a rule another thread wrote it last. It is then in that one's cache, and is taken
 * from there at once to be written to; reading it and writing to it would wait twice. Else it
 * passes through the cache once. */
PREFETCH_INLINE void prefetch(const void *from, size_t bytes, bool is_shared)
{
    if (is_shared)
        prefetch_lines(from, bytes, true);
    else
        prefetch_lines(from, bytes, false);
}

#endif
