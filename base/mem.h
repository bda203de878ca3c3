/* Memory taken at the start: aligned to a cache line, zeroed, never NULL.
 *
 * For sizes that follow from our own plan. Where the size comes from a file or a peer, check it
 * against a limit first: running out of memory ends the program with one line and exit code 1.
 */
#ifndef HUBBUB_BASE_MEM_H
#define HUBBUB_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#define MEM_ALIGN 64

/* n, or the next multiple of unit above it. */
static inline size_t mem_round(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* n floats, or with those that fill their last cache line. */
static inline uint64_t mem_round_floats(uint64_t n)
{
    return mem_round(n, MEM_ALIGN / sizeof(float));
}

/* n objects of `size` bytes; n * size may be 0. Freed with free(). Any thread. */
void *mem_alloc(size_t n, size_t size);

#define MEM_NEW(type, n) ((type *)mem_alloc((n), sizeof(type)))

/* Bytes of memory that the machine has. Any thread. */
uint64_t mem_physical(void);

#endif
