/* Files that a user named. Any thread. */
#ifndef HUBBUB_BASE_FILE_H
#define HUBBUB_BASE_FILE_H

#include "base/error.h"

#include <stdint.h>
#include <stdio.h>

/* Opens a regular file for reading: its descriptor, and its size where size is not NULL. Never
 * hangs on a FIFO without a writer, and never reads a device for ever. ERR_DATA: "PATH: reason". */
int file_open(const char *path, uint64_t *size, struct error *err) MUST_USE;

/* Reads exactly n bytes at the offset. ERR_DATA: "PATH: offset O: reason", also when the file has
 * become shorter than it was. */
int file_read_at(int fd, const char *path, uint64_t offset, void *bytes, uint64_t n,
                 struct error *err) MUST_USE;

/* A file that is written whole or not at all: as PATH.tmp-PID, which takes the place of PATH once
 * it is safe on the disk. Writing errors are kept by `out` and told at the end. */
struct file_draft {
    FILE *out;
    const char *path; /* borrowed */
    char temporary[4096];
};

/* ERR_FAILURE with errno in words. Every draft opened is committed or dropped. */
int file_draft_open(struct file_draft *d, const char *path, struct error *err) MUST_USE;
/* Flushes, fsyncs, renames; removes the draft where that fails. ERR_FAILURE. */
int file_draft_commit(struct file_draft *d, struct error *err) MUST_USE;
void file_draft_drop(struct file_draft *d);

#endif
