#include "net/staleness.h"

void staleness_add(struct staleness *s, uint64_t steps)
{
    enum { LATELY = 50 };
    s->counts[steps < STALENESS_MAX ? steps : STALENESS_MAX]++;
    s->n++;
    s->lately += ((double)steps - s->lately) / (double)(s->n < LATELY ? s->n : LATELY);
}

void staleness_merge(struct staleness *s, const struct staleness *other)
{
    for (uint32_t steps = 0; steps <= STALENESS_MAX; steps++)
        s->counts[steps] += other->counts[steps];
    s->n += other->n;
}

uint32_t staleness_quantile(const struct staleness *s, double q)
{
    uint64_t below = 0;
    for (uint32_t steps = 0; steps <= STALENESS_MAX; steps++) {
        below += s->counts[steps];
        if (below > 0 && (double)below >= q * (double)s->n)
            return steps;
    }
    return 0;
}
