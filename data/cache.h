/* The cache of what was unpacked: $XDG_CACHE_HOME/hubbub, else ~/.cache/hubbub.
 *
 * A file is named by the hash and size of the packed bytes, so it never goes stale, and one that
 * several processes make at once is the same from each. It is written under another name, and
 * renamed when it is whole. At its end stands the hash of its contents: one that is damaged is
 * made anew. Any file there may be removed at any time. Main thread.
 */
#ifndef HUBBUB_DATA_CACHE_H
#define HUBBUB_DATA_CACHE_H

#include "data/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct cache_entry {
    char path[512];      /* "" when there is no cache */
    char temporary[520]; /* while it is written */
    int fd;              /* to write to, whatever fails: else in memory */
};

/* What was unpacked from these bytes before: mapped, *n its size; NULL: nothing yet. */
const uint8_t *cache_find(struct memory **list, const uint8_t *packed, uint64_t n_packed,
                          struct cache_entry *entry, uint64_t *n);

/* Opens entry->fd, in the cache or, where that cannot be written, in memory, with a line in the
 * log. in_memory asks for that at once. ERR_FAILURE. */
int cache_begin(struct cache_entry *entry, bool in_memory, struct error *err) MUST_USE;
/* Gives up what was written. */
void cache_abandon(struct cache_entry *entry);
/* n bytes were written: maps them, and keeps the file under its name when it has one. NULL:
 * ERR_FAILURE. */
const uint8_t *cache_end(struct memory **list, struct cache_entry *entry, uint64_t n,
                         const char *path, struct error *err);

#endif
