/* What may be handed to msgpack-c: a walk over the tokens of a map from a peer.
 *
 * msgpack-c has no limits of its own: five bytes (dd 0f ff ff ff) make it ask for gigabytes.
 * So nothing reaches it that has not passed here. Pure; no allocation; any thread.
 */
#ifndef HUBBUB_NET_WIRE_SCAN_H
#define HUBBUB_NET_WIRE_SCAN_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_SCAN_DEPTH = 4,    /* containers inside each other, the outer map included */
    WIRE_SCAN_OBJECTS = 256 /* tokens: the map itself, keys and values */
};

/* ERR_DATA unless bytes[0..n) are exactly one msgpack map within the limits above: its keys
 * strings, none twice; no extension types; every string valid UTF-8. The text names the offset. */
int wire_scan_map(const uint8_t *bytes, size_t n, struct error *err) MUST_USE;

/* Length of the UTF-8 character at the start of bytes[0..n), 0 when there is no valid one;
 * *code is its code point. */
size_t wire_scan_utf8(const uint8_t *bytes, size_t n, uint32_t *code);

#endif
