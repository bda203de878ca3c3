#include "bench/processors.h"

#include "base/check.h"
#include "base/log.h"

int processors_get(struct processors *p, struct error *err)
{
    if (sched_getaffinity(0, sizeof p->all, &p->all) != 0)
        return error_set(err, ERR_FAILURE, "which processors there are is not told: %m");
    p->n = (uint32_t)CPU_COUNT(&p->all);
    return 0;
}

int processors_use(const struct processors *p, uint32_t k, struct error *err)
{
    cpu_set_t one;
    uint32_t n = 0;
    CHECK(k < p->n);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &p->all) && n++ == k)
            CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        return error_set(err, ERR_FAILURE, "processor %u of %u cannot be chosen: %m", k + 1, p->n);
    return 0;
}

void processors_use_all(const struct processors *p)
{
    if (sched_setaffinity(0, sizeof p->all, &p->all) != 0)
        log_warn("not all processors are there any more: %m");
}
