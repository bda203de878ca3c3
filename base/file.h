/* Files that a user named. Any thread. */
#ifndef HUBBUB_BASE_FILE_H
#define HUBBUB_BASE_FILE_H

#include "base/error.h"

#include <stdint.h>

/* Opens a regular file for reading: its descriptor, and its size where size is not NULL. Never
 * hangs on a FIFO without a writer, and never reads a device for ever. ERR_DATA: "PATH: reason". */
int file_open(const char *path, uint64_t *size, struct error *err) MUST_USE;

#endif
