/* The processors of this machine that a benchmark may use, one at a time. */
#ifndef HUBBUB_BENCH_PROCESSORS_H
#define HUBBUB_BENCH_PROCESSORS_H

#include "base/error.h"

#include <sched.h>
#include <stdint.h>

struct processors {
    cpu_set_t all;
    uint32_t n;
};

/* Those that the calling thread may run on now. */
int processors_get(struct processors *p, struct error *err) MUST_USE;

/* The calling thread, and what it starts from now on, runs on number k < n alone; */
int processors_use(const struct processors *p, uint32_t k, struct error *err) MUST_USE;

/* or on all again, as far as the system still has them. */
void processors_use_all(const struct processors *p);

#endif
