#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *mem_alloc(size_t n, size_t size)
{
    if (size == 0 || n <= (SIZE_MAX - MEM_ALIGN) / size) {
        size_t bytes = mem_round(n * size, MEM_ALIGN);
        void *p = aligned_alloc(MEM_ALIGN, bytes > 0 ? bytes : MEM_ALIGN);
        if (p != NULL)
            return memset(p, 0, bytes);
    }
    fprintf(stderr, "hubbub: out of memory: %zu objects of %zu bytes\n", n, size);
    exit(1);
}

uint64_t mem_physical(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}
