/* The log: lines on stderr, each "HH:MM:SS.mmm level message", written whole. Any thread.
 *
 * stdout is for results and never written here. On a terminal warnings and errors are coloured
 * unless NO_COLOR is set (no-color.org) or TERM is dumb.
 */
#ifndef HUBBUB_BASE_LOG_H
#define HUBBUB_BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are dropped; LOG_INFO at the start. Set before threads start. */
void log_set_level(enum log_level level);

void log_debug(const char *format, ...) PRINTF(1, 2);
void log_info(const char *format, ...) PRINTF(1, 2);
void log_warn(const char *format, ...) PRINTF(1, 2);
void log_error(const char *format, ...) PRINTF(1, 2);

/* Progress of long work, of level info: on a terminal one line, cut to its width, that is drawn
 * over by the next; otherwise a plain line whose level reads "step". */
void log_progress(const char *format, ...) PRINTF(1, 2);

/* A line of the log of another process, number `from`, behind "[from] "; its progress is drawn as
 * ours. */
void log_relay(unsigned from, const char *line);

/* Whether progress is drawn over, so that it may come often. */
bool log_is_terminal(void);

#endif
