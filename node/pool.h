/* Slice buffers: a fixed number, taken at the start. Loop thread (the trainer fills and reads them
 * between a job's giving and its completion).
 *
 * A buffer has a reference for each user: the gossip core, a write under way. Those lent to other
 * peers' requests are limited apart, so that they never starve our own exchanges. */
#ifndef HUBBUB_NODE_POOL_H
#define HUBBUB_NODE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool {
    float *memory;
    uint32_t n, n_free, n_lent, n_lent_max;
    uint64_t floats; /* in a buffer */
    uint16_t *refs;
    bool *lent;
    uint32_t *lent_to;
    uint32_t *free_list;
};

void pool_init(struct pool *p, uint32_t n, uint64_t floats, uint32_t n_lent_max);
void pool_close(struct pool *p);

/* One reference to a buffer for an exchange of ours: there always is one (CHECK). */
uint32_t pool_take(struct pool *p);

/* The same for the request of peer `to`; POOL_NONE when as many are lent as may be, or half of them
 * to that peer alone: one that never reads its replies must not keep the others from being served.
 */
uint32_t pool_lend(struct pool *p, uint32_t to);

void pool_ref(struct pool *p, uint32_t buffer);
void pool_unref(struct pool *p, uint32_t buffer);

float *pool_data(const struct pool *p, uint32_t buffer);
uint32_t pool_handle(const struct pool *p, const void *data);

#endif
