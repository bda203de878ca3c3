#include "node/pool.h"

#include "base/check.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>

void pool_init(struct pool *p, uint32_t n, uint64_t floats, uint32_t n_lent_max)
{
    /* Each buffer starts on a cache line, 1 KiB further into a page than the one before: bodies
     * that all start on a page are copied by the kernel at two thirds of the speed (see tcp.h). */
    floats = (floats + 15) / 16 * 16 + 256;
    *p = (struct pool){.n = n, .n_free = n, .n_lent_max = n_lent_max, .floats = floats};
    p->memory = MEM_NEW(float, n *floats);
    p->refs = MEM_NEW(uint16_t, n);
    p->lent = MEM_NEW(bool, n);
    p->lent_to = MEM_NEW(uint32_t, n);
    p->free_list = MEM_NEW(uint32_t, n);
    for (uint32_t i = 0; i < n; i++)
        p->free_list[i] = n - 1 - i;
}

void pool_close(struct pool *p)
{
    free(p->memory);
    free(p->refs);
    free(p->lent);
    free(p->lent_to);
    free(p->free_list);
}

uint32_t pool_take(struct pool *p)
{
    CHECK(p->n_free > 0);
    uint32_t buffer = p->free_list[--p->n_free];
    p->refs[buffer] = 1;
    return buffer;
}

static uint32_t count_lent_to(const struct pool *p, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        n += p->lent[i] && p->lent_to[i] == to;
    return n;
}

uint32_t pool_lend(struct pool *p, uint32_t to)
{
    if (p->n_lent == p->n_lent_max || count_lent_to(p, to) >= (p->n_lent_max + 1) / 2)
        return POOL_NONE;
    uint32_t buffer = pool_take(p);
    p->lent[buffer] = true;
    p->lent_to[buffer] = to;
    p->n_lent++;
    return buffer;
}

void pool_ref(struct pool *p, uint32_t buffer)
{
    CHECK(buffer < p->n && p->refs[buffer] > 0);
    p->refs[buffer]++;
}

void pool_unref(struct pool *p, uint32_t buffer)
{
    CHECK(buffer < p->n && p->refs[buffer] > 0);
    if (--p->refs[buffer] > 0)
        return;
    p->n_lent -= p->lent[buffer];
    p->lent[buffer] = false;
    p->free_list[p->n_free++] = buffer;
}

float *pool_data(const struct pool *p, uint32_t buffer)
{
    CHECK(buffer < p->n);
    return p->memory + buffer * p->floats;
}

uint32_t pool_handle(const struct pool *p, const void *data)
{
    return (uint32_t)(((const float *)data - p->memory) / (ptrdiff_t)p->floats);
}
