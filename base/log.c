#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_LENGTH = 12, COLUMNS_MAX = 1000 };

static enum log_level threshold = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool line_is_open; /* a progress line waits to be drawn over; guarded by lock */

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

static bool has_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return (no == NULL || no[0] == '\0') && log_is_terminal();
}

static int columns(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return !known ? 80 : size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

/* A line of its own, or one that the next will draw over. */
static void put(const char *text, bool draw_over)
{
    pthread_mutex_lock(&lock);
    if (draw_over)
        fprintf(stderr, "\r\033[K%.*s", columns() - 1, text);
    else
        fprintf(stderr, "%s%s\n", line_is_open ? "\r\033[K" : "", text);
    fflush(stderr);
    line_is_open = draw_over;
    pthread_mutex_unlock(&lock);
}

static void write_line(const char *name, const char *colour, const char *format, va_list args)
{
    char text[1024], line[1100];
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    vsnprintf(text, sizeof text, format, args);
    bool coloured = colour[0] != '\0' && has_colour();
    snprintf(line, sizeof line, "%02d:%02d:%02d.%03ld %s%-5s%s %s", local.tm_hour, local.tm_min,
             local.tm_sec, now.tv_nsec / 1000000, coloured ? colour : "", name,
             coloured ? "\033[0m" : "", text);
    put(line, false);
}

#define DEFINE_LEVEL(function, level, name, colour)                                                \
    void function(const char *format, ...)                                                         \
    {                                                                                              \
        if (level < threshold)                                                                     \
            return;                                                                                \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        write_line(name, colour, format, args);                                                    \
        va_end(args);                                                                              \
    }

DEFINE_LEVEL(log_debug, LOG_DEBUG, "debug", "")
DEFINE_LEVEL(log_info, LOG_INFO, "info", "")
DEFINE_LEVEL(log_warn, LOG_WARN, "warn", "\033[33m")
DEFINE_LEVEL(log_error, LOG_ERROR, "error", "\033[31m")

void log_progress(const char *format, ...)
{
    char text[1024];
    if (LOG_INFO < threshold)
        return;
    va_list args;
    va_start(args, format);
    if (log_is_terminal()) {
        vsnprintf(text, sizeof text, format, args);
        put(text, true);
    } else {
        write_line("step", "", format, args);
    }
    va_end(args);
}

void log_relay(unsigned from, const char *line)
{
    char text[1100];
    bool is_progress = strlen(line) > STAMP_LENGTH + 6 &&
                       strncmp(line + STAMP_LENGTH, " step  ", 7) == 0 && log_is_terminal();
    snprintf(text, sizeof text, "[%u] %s", from, is_progress ? line + STAMP_LENGTH + 7 : line);
    put(text, is_progress);
}
