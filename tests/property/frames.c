/* A million frames, sound ones damaged in every way that comes to mind, through the parser: what
 * the fuzzer checks must hold for each (tests/fuzz/frame.c). Arguments: seed (1), frames. */
#include "base/check.h"
#include "base/rng.h"
#include "net/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FRAMES = 1000000, FRAME_MAX = 2 * WIRE_HEAD_MAX, AT_MAP_BYTES = 8 };

static const enum wire_kind kinds[] = {WIRE_HELLO, WIRE_STATUS,  WIRE_BYE,   WIRE_REQUEST,
                                       WIRE_REPLY, WIRE_DECLINE, WIRE_SCORE, WIRE_SUMMARY};

static void draw_text(struct rng *r, char text[WIRE_TEXT_MAX])
{
    uint32_t n = rng_below(r, 4) == 0 ? rng_below(r, WIRE_TEXT_MAX) : rng_below(r, 20);
    for (uint32_t i = 0; i < n; i++)
        text[i] = (char)(1 + rng_below(r, 255));
    text[n] = '\0';
}

static void draw_hello(struct rng *r, struct wire_hello *h)
{
    for (int i = 0; i < WIRE_PEER_ID_BYTES; i++)
        h->id[i] = (uint8_t)rng_below(r, 256);
    h->incarnation = rng_u64(r);
    h->protocol_min = h->protocol_max = 1;
    draw_text(r, h->run);
    draw_text(r, h->model);
    draw_text(r, h->data);
    draw_text(r, h->address);
    h->dim = 1 + rng_below(r, 1u << 30);
    h->slice = 65536;
    h->n_shards = 1 + rng_below(r, 100);
    h->shard = rng_below(r, h->n_shards);
    h->state = (enum peer_state)rng_below(r, N_PEER_STATES);
    h->step = rng_u64(r) >> rng_below(r, 64);
    h->n_samples = rng_u64(r) >> (1 + rng_below(r, 63));
}

/* A sound frame without its body; returns its length. */
static size_t draw_frame(struct rng *r, uint8_t *bytes)
{
    static const float body[64];
    struct wire_message m = {.kind = kinds[rng_below(r, sizeof kinds / sizeof kinds[0])]};
    switch (m.kind) {
    case WIRE_HELLO:
        draw_hello(r, &m.hello);
        break;
    case WIRE_STATUS:
        m.status.state = (enum peer_state)rng_below(r, N_PEER_STATES);
        m.status.step = rng_u64(r) >> rng_below(r, 64);
        break;
    case WIRE_BYE:
        m.bye.reason = (enum wire_bye)rng_below(r, N_WIRE_BYES);
        draw_text(r, m.bye.text);
        break;
    case WIRE_REQUEST:
    case WIRE_REPLY:
        m.tensor.count = 1 + rng_below(r, 64);
        m.tensor.offset = rng_u64(r) >> (1 + rng_below(r, 63));
        m.tensor.mode = (enum wire_mode)rng_below(r, 4);
        if (m.kind == WIRE_REPLY && m.tensor.mode == WIRE_PUSH)
            m.tensor.mode = WIRE_PAIRWISE;
        m.tensor.weight = (float)rng_uniform(r) / 2;
        m.tensor.mass = 1;
        if (m.tensor.mode != (m.kind == WIRE_REPLY ? WIRE_PUSH_SUM : WIRE_PULL))
            m.body_bytes = m.tensor.count * (uint32_t)sizeof(float);
        m.id = rng_u64(r);
        break;
    case WIRE_DECLINE:
        m.id = rng_u64(r);
        break;
    case WIRE_SCORE:
        m.score.beat = rng_u64(r);
        m.score.n = rng_below(r, 1000);
        m.score.n_correct = rng_below(r, (uint32_t)m.score.n + 1);
        m.score.loss = (float)rng_uniform(r);
        m.score.final = rng_below(r, 2);
        break;
    case WIRE_SUMMARY:
        m.body_bytes = sizeof body;
        break;
    }
    return wire_encode(&m, wire_body_sum(body, m.body_bytes), bytes);
}

/* One damage to bytes[from, n); returns the new length. */
static size_t damage(struct rng *r, uint8_t *bytes, size_t from, size_t n)
{
    static const uint8_t heads[] = {0x00, 0x7f, 0x80, 0x90, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4,
                                    0xc6, 0xc7, 0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xd9, 0xda,
                                    0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};
    if (n <= from)
        return n;
    size_t at = from + rng_below(r, (uint32_t)(n - from)),
           k = 1 + rng_below(r, rng_below(r, 4) == 0 ? 300 : 16);
    k = k < n - at ? k : n - at;
    switch (rng_below(r, 8)) {
    case 0: /* a bit */
        bytes[at] ^= (uint8_t)(1u << rng_below(r, 8));
        return n;
    case 1: /* a byte that begins something else in msgpack */
        bytes[at] = heads[rng_below(r, sizeof heads)];
        return n;
    case 2: /* the same many times, as in a deep nest */
        memset(bytes + at, heads[rng_below(r, sizeof heads)], k);
        return n;
    case 3: /* noise */
        for (size_t i = 0; i < k; i++)
            bytes[at + i] = (uint8_t)rng_below(r, 256);
        return n;
    case 4: /* a piece is missing */
        memmove(bytes + at, bytes + at + k, n - at - k);
        return n - k > from ? n - k : n;
    case 5: /* a piece stands twice */
        if (n + k > FRAME_MAX)
            return n;
        memmove(bytes + at + k, bytes + at, n - at);
        return n + k;
    case 6: /* a piece of it stands elsewhere */
        memmove(bytes + at, bytes + from + rng_below(r, (uint32_t)(n - from - k + 1)), k);
        return n;
    default: /* it ends early */
        return at > from ? at : n;
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n_frames = argc > 2 ? strtoull(argv[2], NULL, 10) : FRAMES, n_sound = 0;
    for (uint64_t i = 0; i < n_frames; i++) {
        struct rng r = rng_stream(seed, (uint32_t)i, RNG_TEST);
        uint8_t bytes[FRAME_MAX];
        struct wire_header header;
        struct wire_message m;
        struct error err;
        size_t n = draw_frame(&r, bytes);
        for (uint32_t k = rng_below(&r, 5); k > 0; k--)
            n = damage(&r, bytes, rng_below(&r, 8) == 0 ? 0 : WIRE_HEADER_BYTES, n);
        if (n > WIRE_HEADER_BYTES && rng_below(&r, 8) > 0) {
            uint32_t map_bytes = (uint32_t)(n - WIRE_HEADER_BYTES);
            memcpy(bytes + AT_MAP_BYTES, &map_bytes, sizeof map_bytes);
        }
        LLVMFuzzerTestOneInput(bytes, n);
        n_sound += n > WIRE_HEADER_BYTES &&
                   wire_decode_header(bytes, 1 << 16, &header, &err) == 0 &&
                   WIRE_HEADER_BYTES + header.map_bytes == n &&
                   wire_decode_map(&header, bytes + WIRE_HEADER_BYTES, &m, &err) == 0;
    }
    printf("%llu frames, %llu of them sound after all\n", (unsigned long long)n_frames,
           (unsigned long long)n_sound);
    CHECK(n_sound > n_frames / 10 && n_sound < n_frames / 2);
    return 0;
}
