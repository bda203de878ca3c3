/* Time, in microseconds. Any thread. */
#ifndef HUBBUB_BASE_CLOCK_H
#define HUBBUB_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#define MS_US     UINT64_C(1000)
#define SECOND_US UINT64_C(1000000)

/* Since an arbitrary moment, never backwards (CLOCK_MONOTONIC). */
uint64_t clock_us(void);

/* Since 1970 (CLOCK_REALTIME): for names and records, never for intervals. */
uint64_t clock_wall_us(void);

/* Processor time used by the calling thread. */
uint64_t clock_thread_us(void);

/* Processor time used by a thread that has not been joined. */
uint64_t clock_us_of_thread(pthread_t thread);

/* What the processor counts, evenly, and is asked for in a third of the time of a clock: for shares
 * of a whole, in no unit. */
static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return clock_us();
#endif
}

static inline uint64_t clock_later(uint64_t a_us, uint64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

/* Sleeps until clock_us() >= deadline_us, whatever signals arrive. */
void clock_sleep_until(uint64_t deadline_us);

#endif
