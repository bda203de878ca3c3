#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum log_level threshold = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool line_is_open; /* a progress line waits to be drawn over; guarded by lock */

void log_set_level(enum log_level level)
{
    threshold = level;
}

static void write_line(const char *name, bool draw_over, const char *format, va_list args)
{
    char text[1024];
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    vsnprintf(text, sizeof text, format, args);

    pthread_mutex_lock(&lock);
    const char *start = line_is_open ? "\r\033[K" : "";
    fprintf(stderr, "%s%02d:%02d:%02d.%03ld %-5s %s%s", start, local.tm_hour, local.tm_min,
            local.tm_sec, now.tv_nsec / 1000000, name, text, draw_over ? "" : "\n");
    fflush(stderr);
    line_is_open = draw_over;
    pthread_mutex_unlock(&lock);
}

#define DEFINE_LEVEL(function, level, name)                                                        \
    void function(const char *format, ...)                                                         \
    {                                                                                              \
        if (level < threshold)                                                                     \
            return;                                                                                \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        write_line(name, false, format, args);                                                     \
        va_end(args);                                                                              \
    }

DEFINE_LEVEL(log_debug, LOG_DEBUG, "debug")
DEFINE_LEVEL(log_info, LOG_INFO, "info")
DEFINE_LEVEL(log_warn, LOG_WARN, "warn")
DEFINE_LEVEL(log_error, LOG_ERROR, "error")

void log_progress(const char *format, ...)
{
    if (LOG_INFO < threshold)
        return;
    va_list args;
    va_start(args, format);
    write_line("info", isatty(STDERR_FILENO), format, args);
    va_end(args);
}
