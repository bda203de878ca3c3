/* Zip files (PKWARE's APPNOTE.TXT) in memory: the directory, and where the members lie. Stored and
 * deflated members, zip64; nothing encrypted or split. Any bytes are safe. Messages lack the name
 * of the file. Pure; any thread. */
#ifndef HUBBUB_DATA_ZIP_H
#define HUBBUB_DATA_ZIP_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct zip {
    const uint8_t *bytes; /* borrowed: the whole file */
    uint64_t n;
    uint64_t directory, n_directory, n_members;
};

struct zip_member {
    const char *name; /* in the directory; no NUL at its end */
    uint32_t n_name;
    bool deflated;
    uint64_t offset, n_packed; /* of its data */
    uint64_t n_bytes;          /* unpacked */
    uint32_t crc;
};

int zip_open(struct zip *z, const uint8_t *bytes, uint64_t n, struct error *err) MUST_USE;

/* The member at *at of the directory (0 to begin with), moved on to the next. 1; 0: there is none;
 * ERR_DATA. */
int zip_next(const struct zip *z, uint64_t *at, struct zip_member *m, struct error *err) MUST_USE;

/* ---- writing: stored members, one after another ---------------------------------------------- */

enum { ZIP_NAME_MAX = 160 /* with its NUL */ };

struct zip_writer {
    FILE *out;       /* borrowed; empty, and can seek. Its error indicator tells of all errors */
    uint64_t offset; /* bytes written */
    uint64_t limit;  /* numbers from here on go into zip64 fields: 2^32 - 1; less in tests */
    struct zip_entry *entries; /* owned until zip_writer_end */
    uint32_t n_entries;
};

void zip_writer_begin(struct zip_writer *w, FILE *out);
/* Ends the member before and begins one called so. The same members make the same file. */
void zip_writer_member(struct zip_writer *w, const char *name);
void zip_writer_put(struct zip_writer *w, const void *bytes, size_t n);
/* The directory. Frees what the writer owns. */
void zip_writer_end(struct zip_writer *w);
void zip_writer_drop(struct zip_writer *w);

#endif
