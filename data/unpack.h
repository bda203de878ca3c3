/* Packed bytes (gzip, or the deflate of a zip member) -> the bytes they stand for, unpacked once
 * into the cache and mapped from there. Main thread. */
#ifndef HUBBUB_DATA_UNPACK_H
#define HUBBUB_DATA_UNPACK_H

#include "data/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Deflate never makes more than this many bytes out of one. */
enum { DEFLATE_RATIO_MAX = 1032 };

/* What says nothing of its size may not become this many times larger, past the first bytes. */
enum { UNPACK_RATIO_MAX = 250, UNPACK_FREE_BYTES = 1 << 25 };

struct packed {
    const char *name; /* for messages: the path, or "PATH: member NAME" */
    const uint8_t *bytes;
    uint64_t n;
    bool is_gzip;      /* else bare deflate */
    uint64_t expected; /* bytes that must come out; 0: not known */
    bool has_crc;
    uint32_t crc; /* CRC-32 of what comes out (gzip brings its own) */
    /* Or: how many bytes the head of them promises, 0 when it says nothing; may be NULL. ERR_DATA
     * to refuse the rest: without the name. */
    int (*promised)(const uint8_t *head, size_t n, uint64_t *bytes, struct error *err);
};

enum { UNPACK_HEAD_BYTES = 1 << 16 }; /* what promised gets, if there is as much */

/* NULL on error. ERR_DATA: damaged, cut short, not as long as expected, or made to explode; offsets
 * are of unpacked bytes. ERR_FAILURE: no memory. */
const uint8_t *unpack(struct memory **list, const struct packed *p, uint64_t *n, struct error *err);

#endif
