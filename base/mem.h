/* Memory taken at the start: aligned to a cache line, zeroed, never NULL.
 *
 * For sizes that follow from our own plan. Where the size comes from a file or a peer, check it
 * against a limit first: running out of memory ends the program with one line and exit code 1.
 */
#ifndef HUBBUB_BASE_MEM_H
#define HUBBUB_BASE_MEM_H

#include <stddef.h>

#define MEM_ALIGN 64

/* n objects of `size` bytes; n * size may be 0. Freed with free(). Any thread. */
void *mem_alloc(size_t n, size_t size);

#define MEM_NEW(type, n) ((type *)mem_alloc((n), sizeof(type)))

#endif
