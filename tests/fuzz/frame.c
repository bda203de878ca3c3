/* Fuzzing the decoder of frames: any header and map, in memory that ends where the frame does.
 * What is accepted must come back the same from encoding and decoding again. */
#include "net/wire.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const float body[BODY_MAX / sizeof(float)];

/* However the bytes are cut, the sum is the same. */
static uint64_t sum(const uint8_t *rest, size_t n, size_t piece)
{
    struct wire_sum s;
    wire_sum_init(&s);
    wire_sum_start(&s);
    for (size_t at = 0; at < n; at += piece)
        wire_sum_add(&s, rest + at, n - at < piece ? n - at : piece);
    uint64_t got = wire_sum_get(&s);
    wire_sum_close(&s);
    return got;
}

static void encode_again(const struct wire_message *m)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_header header;
    struct wire_message again;
    struct error err;
    size_t n = wire_encode(m, wire_body_sum(body, m->body_bytes), head);
    CHECK(wire_decode_header(head, BODY_MAX, &header, &err) == 0);
    CHECK(WIRE_HEADER_BYTES + header.map_bytes == n && header.body_bytes == m->body_bytes);
    CHECK(wire_decode_map(&header, head + WIRE_HEADER_BYTES, &again, &err) == 0);
    CHECK(memcmp(m, &again, sizeof again) == 0);
    CHECK(wire_frame_sum(&header, head, wire_body_sum(body, m->body_bytes)) == header.checksum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wire_header header;
    struct wire_message message;
    struct error err;
    if (n < WIRE_HEADER_BYTES || wire_decode_header(data, BODY_MAX, &header, &err) != 0)
        return 0;
    const uint8_t *rest = data + WIRE_HEADER_BYTES;
    n -= WIRE_HEADER_BYTES;
    CHECK(sum(rest, n, 7) == wire_body_sum(rest, n));
    if (header.version != WIRE_PROTOCOL || n < header.map_bytes)
        return 0;
    uint8_t *map = malloc(header.map_bytes); /* exactly: a byte more shows */
    CHECK(map != NULL);
    memcpy(map, rest, header.map_bytes);
    if (wire_decode_map(&header, map, &message, &err) == 0)
        encode_again(&message);
    free(map);
    return 0;
}
