#include "base/clock.h"

#include "base/check.h"

#include <errno.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec t;
    CHECK(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * SECOND_US + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

uint64_t clock_thread_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t clock_us_of_thread(pthread_t thread)
{
    clockid_t id;
    CHECK(pthread_getcpuclockid(thread, &id) == 0);
    return read_us(id);
}

void clock_sleep_until(uint64_t deadline_us)
{
    struct timespec t = {.tv_sec = (time_t)(deadline_us / SECOND_US),
                         .tv_nsec = (long)(deadline_us % SECOND_US) * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}
