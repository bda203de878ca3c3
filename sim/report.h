/* --report: a study as one page of HTML that needs nothing but itself. Main thread. */
#ifndef HUBBUB_SIM_REPORT_H
#define HUBBUB_SIM_REPORT_H

#include "sim/study.h"

/* Of a study that was run for a report; argv is the command line that asked for it. What cannot be
 * written is known to out (ferror). */
void report_write(FILE *out, const struct study *s, int argc, char *const *argv);

#endif
