/* The bytes of a file that a user named: mapped as it is, or unpacked when it is gzip. Main
 * thread. */
#ifndef HUBBUB_DATA_SOURCE_H
#define HUBBUB_DATA_SOURCE_H

#include "data/memory.h"

#include <stdint.h>

/* Readers take one of these and touch nothing else; offsets in their messages count these bytes. */
struct source {
    const char *path; /* borrowed */
    const uint8_t *bytes;
    uint64_t n; /* > 0 */
};

/* ERR_DATA: no such file, no regular file, an empty one, damaged gzip. */
int source_open(struct source *s, struct memory **list, const char *path,
                struct error *err) MUST_USE;

enum format {
    FORMAT_IDX,
    FORMAT_CIFAR,
    FORMAT_NPY,
    FORMAT_NPZ,
    FORMAT_LIBSVM,
    FORMAT_TABLE,
    FORMAT_BINARY /* none that we know */
};

/* By its first bytes alone, but for CIFAR-10, which has no magic: by its size and labels. */
enum format source_format(const struct source *s);

#endif
