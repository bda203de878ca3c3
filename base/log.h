/* The log: lines on stderr, each "HH:MM:SS.mmm level message", written whole. Any thread.
 *
 * stdout is for results and never written here.
 */
#ifndef HUBBUB_BASE_LOG_H
#define HUBBUB_BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are dropped; LOG_INFO at the start. Set before threads start. */
void log_set_level(enum log_level level);

void log_debug(const char *format, ...) PRINTF(1, 2);
void log_info(const char *format, ...) PRINTF(1, 2);
void log_warn(const char *format, ...) PRINTF(1, 2);
void log_error(const char *format, ...) PRINTF(1, 2);

/* Progress of long work: on a terminal a line that is drawn over by the next, otherwise a plain
 * line at level info. */
void log_progress(const char *format, ...) PRINTF(1, 2);

#endif
