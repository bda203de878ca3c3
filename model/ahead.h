/* What a thread will work on once its kernels are through, asked for meanwhile.
 *
 * Kernels keep the processor busy and the memory idle. Between their tiles they ask for some lines
 * of what was wanted, as evenly as the work of the step before allows: what comes at once waits for
 * memory, and what comes early is driven out of the caches again. A thread's own. */
#ifndef HUBBUB_MODEL_AHEAD_H
#define HUBBUB_MODEL_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { AHEAD_RANGES = 8 };

struct ahead {
    uint64_t work, last_work; /* of this step so far; of the step before, all in all */
    double pace;              /* lines for each unit of work */
    uint64_t n_lines, n_asked;
    uint32_t n, at; /* ranges; the one that is being asked for */
    struct ahead_range {
        const char *from, *end;
    } ranges[AHEAD_RANGES];
};

extern _Thread_local struct ahead ahead;

/* During the step that begins next, in this order: what is last will be nearest. Of more than
 * AHEAD_RANGES the others are not asked for, and none in the first step of a thread. */
void ahead_want(const void *from, size_t bytes);

/* The kernels of a step begin, and are through; what was wanted is forgotten. */
void ahead_begin(void);
void ahead_end(void);

void ahead_ask(struct ahead *a);

/* A kernel has done so many multiply-adds of LANES floats. */
static inline void ahead_worked(uint64_t work)
{
    ahead.work += work;
    if (ahead.at < ahead.n)
        ahead_ask(&ahead);
}

#endif
