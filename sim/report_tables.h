/* Between the parts of a report; not for others. */
#ifndef HUBBUB_SIM_REPORT_TABLES_H
#define HUBBUB_SIM_REPORT_TABLES_H

#include "sim/study.h"

#include <stdio.h>

/* The data of the page, as elements that hold CSV: what the plots are drawn from. */
void report_tables(FILE *out, const struct study *s);

#endif
