/* --metrics: what happened, as one JSON object a line. docs/METRICS.md names every key.
 *
 * A disk that fails is warned of once; the run goes on without the file. One thread. */
#ifndef HUBBUB_BASE_METRICS_H
#define HUBBUB_BASE_METRICS_H

#include "base/error.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdio.h>

struct metrics {
    const char *path; /* NULL: none */
    FILE *file;       /* NULL: none, or it failed */
};

/* Appends to path; "" is none. ERR_USAGE when it cannot be written. */
int metrics_open(struct metrics *m, const char *path, struct error *err) MUST_USE;
void metrics_close(struct metrics *m);

/* Opens the file anew under its name (after a log rotation); also one that had failed. */
void metrics_reopen(struct metrics *m);

/* Writes {"time": seconds since 1970, "event": event, ...fields} and gives fields back. */
void metrics_write(struct metrics *m, const char *event, json_t *fields);

#endif
