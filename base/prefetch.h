/* Asking the memory for what is worked on soon.
 *
 * Always inlined: gcc takes a function that only prefetches for one without effect, and leaves its
 * calls out. */
#ifndef HUBBUB_BASE_PREFETCH_H
#define HUBBUB_BASE_PREFETCH_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

#define PREFETCH_INLINE static inline __attribute__((always_inline))

PREFETCH_INLINE void prefetch_line(const void *line, bool to_own)
{
    enum { READ, WRITE };
    enum { ONCE = 0, STAYS = 3 };
    if (to_own)
        __builtin_prefetch(line, WRITE, STAYS);
    else
        __builtin_prefetch(line, READ, ONCE);
}

/* Long before, so not into the nearest cache, from which it would be driven out again. */
PREFETCH_INLINE void prefetch_early(const void *line)
{
    enum { READ = 0, BEYOND_L1 = 2 };
    __builtin_prefetch(line, READ, BEYOND_L1);
}

enum { PREFETCH_MOST = 1024 };

/* A record: its first pairs of lines, of PREFETCH_MOST bytes. */
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
