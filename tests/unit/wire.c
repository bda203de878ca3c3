#include "net/wire.h"

#include "base/rng.h"
#include "net/wire_scan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

TestSuite(wire, .timeout = 30);

#define N(table) (sizeof(table) / sizeof(table)[0])

static const float floats[3] = {1, -2, 0.5f};

static struct wire_message hello(void)
{
    struct wire_message m = {.kind = WIRE_HELLO,
                             .hello = {.incarnation = UINT64_MAX,
                                       .protocol_min = 1,
                                       .protocol_max = 3,
                                       .capabilities = 5,
                                       .run = "r\xc3\xbcn",
                                       .model = "mlp 784-128-10",
                                       .data = "",
                                       .address = "10.0.0.7:7700",
                                       .dim = 101770,
                                       .slice = 65536,
                                       .shard = 4,
                                       .n_shards = 5,
                                       .stage_first = 0,
                                       .stage_last = 2,
                                       .n_samples = 60000,
                                       .state = PEER_LEAVING,
                                       .step = 70000}};
    for (int i = 0; i < WIRE_PEER_ID_BYTES; i++)
        m.hello.id[i] = (uint8_t)(i * 8);
    return m;
}

static struct wire_message status(void)
{
    return (struct wire_message){.kind = WIRE_STATUS,
                                 .status = {.state = PEER_TRAINING, .step = 1234}};
}

static struct wire_message tensor(enum wire_kind kind, enum wire_mode mode, float weight)
{
    bool body = kind == WIRE_REPLY ? mode != WIRE_PUSH_SUM : mode != WIRE_PULL;
    return (struct wire_message){.kind = kind,
                                 .id = 0x1122334455667788,
                                 .body_bytes = body ? sizeof floats : 0,
                                 .tensor = {.offset = 131072,
                                            .count = N(floats),
                                            .codec = WIRE_F32,
                                            .mode = mode,
                                            .weight = weight,
                                            .mass = 2,
                                            .more = 0x1234}};
}

static struct wire_message bye(const char *text)
{
    struct wire_message m = {.kind = WIRE_BYE, .bye = {.reason = WIRE_BYE_BUSY}};
    snprintf(m.bye.text, sizeof m.bye.text, "%s", text);
    return m;
}

enum { N_SAMPLES = 13 };

static struct wire_message sample(int i)
{
    switch (i) {
    case 0:
        return hello();
    case 1:
        return status();
    case 2:
        return bye("too many");
    case 3:
        return tensor(WIRE_REQUEST, WIRE_PAIRWISE, 0.5f);
    case 4:
        return tensor(WIRE_REQUEST, WIRE_PULL, 1);
    case 5:
        return tensor(WIRE_REPLY, WIRE_PAIRWISE, 0.5f);
    case 6:
        return tensor(WIRE_REPLY, WIRE_PULL, 0.5f);
    case 7:
        return tensor(WIRE_REQUEST, WIRE_PUSH, 0.5f);
    case 8:
        return (struct wire_message){
            .kind = WIRE_SCORE,
            .score = {
                .id = {7, 8}, .beat = 5, .n = 1000, .n_correct = 875, .loss = 0.5f, .final = 1}};
    case 10:
        return tensor(WIRE_REQUEST, WIRE_PUSH_SUM, 0.5f);
    case 11:
        return tensor(WIRE_REPLY, WIRE_PUSH_SUM, 0.5f);
    case 9:
        return (struct wire_message){.kind = WIRE_SUMMARY, .body_bytes = sizeof floats};
    default:
        return (struct wire_message){.kind = WIRE_DECLINE, .id = 9};
    }
}

static uint64_t sum_of(const struct wire_message *m)
{
    return wire_body_sum(floats, m->body_bytes);
}

static int decode(const uint8_t *head, struct wire_message *m, struct error *err)
{
    struct wire_header header;
    int rc = wire_decode_header(head, WIRE_BODY_MAX, &header, err);
    return rc != 0 ? rc : wire_decode_map(&header, head + WIRE_HEADER_BYTES, m, err);
}

Test(wire, what_is_encoded_decodes_to_itself)
{
    for (int i = 0; i < N_SAMPLES; i++) {
        uint8_t head[WIRE_HEAD_MAX], again[WIRE_HEAD_MAX];
        struct wire_message m = sample(i), back;
        struct error err = {0};
        size_t n = wire_encode(&m, sum_of(&m), head);
        cr_assert_eq(decode(head, &back, &err), 0, "%d: %s", i, err.text);
        cr_assert_eq(back.kind, m.kind);
        cr_assert_eq(back.id, m.id);
        cr_assert_eq(back.body_bytes, m.body_bytes);
        cr_assert_eq(wire_encode(&back, sum_of(&m), again), n);
        cr_assert_arr_eq(again, head, n);
    }
}

Test(wire, every_field_survives)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct error err = {0};
    struct wire_message m = hello(), back;
    cr_assert_lt(wire_encode(&m, 0, head), 300);
    cr_assert_eq(decode(head, &back, &err), 0, "%s", err.text);
    const struct wire_hello *a = &m.hello, *b = &back.hello;
    cr_assert_arr_eq(a->id, b->id, WIRE_PEER_ID_BYTES);
    cr_assert_str_eq(a->run, b->run);
    cr_assert_str_eq(a->model, b->model);
    cr_assert_str_eq(a->data, b->data);
    cr_assert_str_eq(a->address, b->address);
    cr_assert(a->incarnation == b->incarnation && a->protocol_min == b->protocol_min &&
              a->protocol_max == b->protocol_max && a->capabilities == b->capabilities);
    cr_assert(a->dim == b->dim && a->slice == b->slice && a->shard == b->shard &&
              a->n_shards == b->n_shards && a->stage_first == b->stage_first &&
              a->stage_last == b->stage_last && a->state == b->state && a->step == b->step);

    m = tensor(WIRE_REQUEST, WIRE_PULL, 1);
    wire_encode(&m, 0, head);
    cr_assert_eq(decode(head, &back, &err), 0, "%s", err.text);
    cr_assert(back.tensor.offset == 131072 && back.tensor.count == 3 &&
              back.tensor.codec == WIRE_F32 && back.tensor.mode == WIRE_PULL &&
              back.tensor.weight == 1.0f && back.tensor.mass == 2.0f && back.tensor.more == 0x1234);

    m = bye("all links are taken");
    wire_encode(&m, 0, head);
    cr_assert_eq(decode(head, &back, &err), 0, "%s", err.text);
    cr_assert_eq(back.bye.reason, WIRE_BYE_BUSY);
    cr_assert_str_eq(back.bye.text, "all links are taken");
}

Test(wire, longest_hello_fits)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct error err = {0};
    struct wire_message m = hello(), back;
    char *texts[] = {m.hello.run, m.hello.model, m.hello.data, m.hello.address};
    for (size_t i = 0; i < N(texts); i++) {
        memset(texts[i], 'x', WIRE_TEXT_MAX - 1);
        texts[i][WIRE_TEXT_MAX - 1] = '\0';
    }
    wire_encode(&m, 0, head);
    cr_assert_eq(decode(head, &back, &err), 0, "%s", err.text);
    cr_assert_str_eq(back.hello.data, m.hello.data);
}

/* The dump in docs/WIRE.md. */
Test(wire, golden_bytes)
{
    static const uint8_t status_bytes[] = {
        0x48, 0x55, 0x42, 0x42, 0x01, 0x00, 0x02, 0x00, 0x10, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0xc1, 0xc0, 0x85, 0x48, 0x05, 0x2b, 0xae, 0x34, 0x82, 0xa5, 0x73, 0x74,
        0x61, 0x74, 0x65, 0x01, 0xa4, 0x73, 0x74, 0x65, 0x70, 0xcd, 0x04, 0xd2};
    static const uint8_t request_map[] = "\x87\xa3off\xce\x00\x02\x00\x00\xa1n\x03\xa5"
                                         "codec\x00\xa4mode\x00\xa1m\xca\x40\x00\x00\x00\xa1w\xca"
                                         "\x3f\x00\x00\x00\xa4more\xcd\x12\x34";
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status();
    size_t n = wire_encode(&m, 0, head);
    cr_assert_eq(n, sizeof status_bytes);
    cr_assert_arr_eq(head, status_bytes, n);

    m = tensor(WIRE_REQUEST, WIRE_PAIRWISE, 0.5f);
    n = wire_encode(&m, sum_of(&m), head);
    cr_assert_eq(n, WIRE_HEADER_BYTES + sizeof request_map - 1);
    cr_assert_arr_eq(head + WIRE_HEADER_BYTES, request_map, sizeof request_map - 1);
    static const uint8_t id[] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    cr_assert_arr_eq(head + 16, id, sizeof id);
    cr_assert_eq(head[6], 16);
    cr_assert_eq(head[12], 12);
}

Test(wire, sum_does_not_depend_on_how_bytes_arrive)
{
    static uint8_t body[4000];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7);
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_header header;
    struct error err;
    struct wire_message m = tensor(WIRE_REPLY, WIRE_PULL, 0.5f);
    m.tensor.count = sizeof body / sizeof(float);
    m.body_bytes = sizeof body;
    wire_encode(&m, wire_body_sum(body, sizeof body), head);
    cr_assert_eq(wire_decode_header(head, WIRE_BODY_MAX, &header, &err), 0);
    struct wire_sum sum;
    wire_sum_init(&sum);
    for (size_t step = 1; step <= sizeof body; step = step * 3 + 1) {
        wire_sum_start(&sum);
        for (size_t i = 0; i < sizeof body; i += step)
            wire_sum_add(&sum, body + i, i + step < sizeof body ? step : sizeof body - i);
        cr_assert_eq(wire_frame_sum(&header, head, wire_sum_get(&sum)), header.checksum, "step %zu",
                     step);
    }
    uint64_t right = wire_sum_get(&sum);
    head[WIRE_HEADER_BYTES + 3] ^= 1; /* in the map */
    cr_assert_neq(wire_frame_sum(&header, head, right), header.checksum);
    head[WIRE_HEADER_BYTES + 3] ^= 1;
    body[1999] ^= 1;
    uint64_t wrong = wire_body_sum(body, sizeof body);
    cr_assert_neq(wire_frame_sum(&header, head, wrong), header.checksum);
    wire_sum_close(&sum);
}

Test(wire, our_own_text_is_made_clean)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct error err = {0};
    struct wire_message m = bye("a\x1b[31m \xff \xc2\x9b ok \xe2\x82\xac"), back;
    wire_encode(&m, 0, head);
    cr_assert_eq(decode(head, &back, &err), 0, "%s", err.text);
    cr_assert_str_eq(back.bye.text, "a?[31m ? ? ok \xe2\x82\xac");

    memset(m.bye.text, 'x', WIRE_TEXT_MAX); /* not even a NUL, and a character cut in half */
    m.bye.text[WIRE_TEXT_MAX - 2] = '\xc3';
    m.bye.text[WIRE_TEXT_MAX - 1] = '\xbc';
    wire_encode(&m, 0, head);
    cr_assert_eq(decode(head, &back, &err), 0, "%s", err.text);
    cr_assert_eq(strlen(back.bye.text), WIRE_TEXT_MAX - 1);
    cr_assert_eq(back.bye.text[WIRE_TEXT_MAX - 2], '?');
}

/* ---- malformed ---------------------------------------------------------------------------- */

/* One change to a valid header. */
struct bad_header {
    enum wire_kind kind;
    size_t at;
    uint32_t value;
    const char *expect;
};

static const struct bad_header bad_headers[] = {
    {WIRE_STATUS, 0, 0x20544547, "starts with 47 45 54 20, not with \"HUBB\""},
    {WIRE_STATUS, 4, 0x00050001, "kind 5 is unknown"},
    {WIRE_STATUS, 4, 0x00130001, "SUMMARY without a body"},
    {WIRE_STATUS, 4, 0xffff0001, "kind 65535 is unknown"},
    {WIRE_STATUS, 8, 0, "STATUS with a map of 0 bytes, allowed are 1 to 4096"},
    {WIRE_STATUS, 8, 4097, "map of 4097 bytes"},
    {WIRE_STATUS, 8, UINT32_MAX, "map of 4294967295 bytes"},
    {WIRE_STATUS, 12, 4, "STATUS with a body of 4 bytes, it has none"},
    {WIRE_STATUS, 16, 7, "STATUS with exchange id 7, must be 0"},
    {WIRE_HELLO, 12, 4, "HELLO with a body of 4 bytes, it has none"},
    {WIRE_BYE, 20, 1, "BYE with exchange id 4294967296"},
    {WIRE_DECLINE, 12, 4, "DECLINE with a body of 4 bytes, it has none"},
    {WIRE_REQUEST, 12, 1025, "REQUEST with a body of 1025 bytes, at most 1024 are taken"},
    {WIRE_REPLY, 12, UINT32_MAX, "REPLY with a body of 4294967295 bytes"},
};

Test(wire, malformed_headers_are_refused_in_words)
{
    for (size_t i = 0; i < N(bad_headers); i++) {
        const struct bad_header *bad = &bad_headers[i];
        uint8_t head[WIRE_HEAD_MAX];
        struct wire_header header;
        struct error err = {0};
        for (int j = 0; j < N_SAMPLES; j++) {
            struct wire_message m = sample(j);
            if (m.kind == bad->kind)
                wire_encode(&m, sum_of(&m), head);
        }
        cr_assert_eq(wire_decode_header(head, 1024, &header, &err), 0, "%zu: %s", i, err.text);
        memcpy(head + bad->at, &bad->value, sizeof bad->value);
        cr_assert_eq(wire_decode_header(head, 1024, &header, &err), ERR_DATA, "%zu", i);
        cr_assert(strstr(err.text, bad->expect), "%zu: \"%s\" lacks \"%s\"", i, err.text,
                  bad->expect);
    }
}

Test(wire, another_version_passes_with_nothing_else)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_header header;
    struct error err;
    struct wire_message m = status();
    wire_encode(&m, 0, head);
    head[4] = 9;
    memset(head + 6, 0xff, 26);
    cr_assert_eq(wire_decode_header(head, 1024, &header, &err), 0);
    cr_assert_eq(header.version, 9);
    cr_assert(header.map_bytes == 0 && header.body_bytes == 0 && header.kind == 0);
    cr_assert_eq(wire_decode_map(&header, head, &m, &err), ERR_DATA);
}

struct bad_map {
    enum wire_kind kind;
    uint32_t body_bytes, map_bytes;
    const char *map;
    const char *expect;
};

#define MAP(kind, body, map, expect)                                                               \
    {                                                                                              \
        kind, body, sizeof(map) - 1, map, expect                                                   \
    }
#define SCORE_ID                                                                                   \
    "\xa2id\xc4\x20"                                                                               \
    "0123456789abcdef0123456789abcdef"
#define STATE "\xa5state\x01"
#define STEP  "\xa4step\x05"
#define TENSOR(n, codec, mode, m, w)                                                               \
    "\x87\xa3off\x00\xa1n" n "\xa5"                                                                \
    "codec" codec "\xa4mode" mode "\xa1m" m "\xa1w" w "\xa4more\x00"
#define F(bytes) "\xca" bytes
#define HALF     F("\x3f\x00\x00\x00")
#define ONE      F("\x3f\x80\x00\x00")
#define NAN32    F("\x7f\xc0\x00\x00")
#define INF      F("\x7f\x80\x00\x00")
#define ZERO     F("\x00\x00\x00\x00")
#define MINUS    F("\xbf\x80\x00\x00")

static const struct bad_map bad_maps[] = {
    /* the scanner */
    MAP(WIRE_STATUS, 0, "\xdd\x0f\xff\xff\xff", "starts with 0xdd, which is no map"),
    MAP(WIRE_STATUS, 0, "\xdf\x0f\xff\xff\xff", "count at 0 says 536870910, only 0 bytes are left"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xdd\x0f\xff\xff\xff", "count at 3 says 268435455"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xdb\xff\xff\xff\xff", "length at 3 says 4294967295"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xc6\x00\x00\x00\x01", "length at 3 says 1, only 0"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xde\x00", "in the middle of an object"),
    MAP(WIRE_STATUS, 0, "\x81", "count at 0 says 2, only 0"),
    MAP(WIRE_STATUS, 0, "\x82" STATE "\xa4step\xcd\x05", "ends at 15, in the middle"),
    MAP(WIRE_STATUS, 0, "\x82" STATE STEP "\x00", "ends at 14, but 15 bytes were announced"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xc1", "type 0xc1 at 3 is not allowed"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xd4\x01\x02", "type 0xd4 at 3 is not allowed"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xc7\x01\x02\x03", "type 0xc7 at 3 is not allowed"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\x91\x91\x91\x91\x00", "nested deeper than 4 at 6"),
    MAP(WIRE_STATUS, 0, "\x81\x01\x02", "key at 1 is not a string"),
    MAP(WIRE_STATUS, 0, "\x82" STATE STATE, "key at 8 stands there twice"),
    MAP(WIRE_STATUS, 0, "\x84" STATE STEP "\xa1x\x01\xd9\x01x\x02", "key at 17 stands there twice"),
    MAP(WIRE_STATUS, 0, "\x81\xa1\xff\x01", "byte 0xff at 2 is not UTF-8"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xa2\xc0\x80", "byte 0xc0 at 4 is not UTF-8"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xa3\xed\xa0\x80", "byte 0xed at 4 is not UTF-8"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xa4\xf4\x90\x80\x80", "byte 0xf4 at 4 is not UTF-8"),
    MAP(WIRE_STATUS, 0, "\x81\xa1x\xa2\xe2\x82", "byte 0xe2 at 4 is not UTF-8"),
    /* fields */
    MAP(WIRE_STATUS, 0, "\x80", "STATUS: \"state\" is missing"),
    MAP(WIRE_STATUS, 0, "\x81" STATE, "STATUS: \"step\" is missing"),
    MAP(WIRE_STATUS, 0, "\x82\xa5state\x06" STEP, "\"state\" is 6, must be 0 to 5"),
    MAP(WIRE_STATUS, 0, "\x82\xa5state\xff" STEP, "\"state\" is -1, must be 0 to 5"),
    MAP(WIRE_STATUS, 0, "\x82\xa5state\xa1x" STEP, "\"state\" is not an integer"),
    MAP(WIRE_STATUS, 0, "\x82\xa5state\xcf\x00\x00\x00\x01\x00\x00\x00\x00" STEP,
        "\"state\" is 4294967296, must be 0 to 5"),
    MAP(WIRE_STATUS, 0, "\x82" STATE "\xa4step\xca\x3f\x80\x00\x00", "\"step\" is not an integer"),
    MAP(WIRE_SCORE, 0,
        "\x86" SCORE_ID "\xa4"
        "beat\x01\xa1n\x01\xa4"
        "good\x02\xa4loss\xca\x3f\x80\x00\x00\xa5"
        "final\x00",
        "SCORE: \"good\" is 2, above \"n\" 1"),
    MAP(WIRE_SCORE, 0,
        "\x86" SCORE_ID "\xa4"
        "beat\x01\xa1n\x01\xa4"
        "good\x01\xa4loss\xca\xff\xc0\x00\x00\xa5"
        "final\x00",
        "SCORE: \"loss\" is"),
    MAP(WIRE_SCORE, 0,
        "\x86" SCORE_ID "\xa4"
        "beat\x01\xa1n\x01\xa4"
        "good\x01\xa4loss\xca\x3f\x80\x00\x00\xa5"
        "final\x02",
        "\"final\" is 2, must be 0 to 1"),
    MAP(WIRE_BYE, 0, "\x82\xa3why\x07\xa4text\xa0", "\"why\" is 7, must be 0 to 6"),
    MAP(WIRE_BYE, 0, "\x82\xa3why\x00\xa4text\xc4\x01x", "\"text\" is not a string"),
    MAP(WIRE_BYE, 0, "\x82\xa3why\x00\xa4text\xa3x\x1bx", "control character 0x1b at 1"),
    MAP(WIRE_BYE, 0, "\x82\xa3why\x00\xa4text\xa1\x00", "control character 0x00 at 0"),
    MAP(WIRE_BYE, 0, "\x82\xa3why\x00\xa4text\xa2\xc2\x9b", "control character 0x9b at 0"),
    MAP(WIRE_REQUEST, 8, TENSOR("\x01", "\x00", "\x00", ONE, HALF), "body of 8 bytes, must be 4"),
    MAP(WIRE_REQUEST, 0, TENSOR("\x01", "\x00", "\x00", ONE, HALF), "body of 0 bytes, must be 4"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x01", ONE, HALF), "body of 4 bytes, must be 0"),
    MAP(WIRE_REQUEST, 0, TENSOR("\x00", "\x00", "\x00", ONE, HALF), "\"n\" is 0, must be 1 to"),
    MAP(WIRE_REQUEST, 4, TENSOR("\xce\x40\x00\x00\x01", "\x00", "\x00", ONE, HALF),
        "\"n\" is 1073741825, must be 1 to 4194304"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x01", "\x00", ONE, HALF), "\"codec\" is 1, must be 0"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x04", ONE, HALF), "\"mode\" is 4, must be 0 to"),
    MAP(WIRE_REQUEST, 0, TENSOR("\x01", "\x00", "\x03", ONE, HALF), "body of 0 bytes, must be 4"),
    MAP(WIRE_REPLY, 4, TENSOR("\x01", "\x00", "\x03", ONE, HALF), "body of 4 bytes, must be 0"),
    MAP(WIRE_REPLY, 4, TENSOR("\x01", "\x00", "\x02", ONE, HALF), "\"mode\" is 2, a push"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", ONE, ONE), "\"w\" is 1, must be above 0"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", ONE, ZERO), "\"w\" is 0, must be above 0"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", ONE, NAN32), "\"w\" is nan, must be"),
    MAP(WIRE_REQUEST, 0, TENSOR("\x01", "\x00", "\x01", ONE, F("\x3f\x40\x00\x00")),
        "\"w\" is 0.75, must be above 0 and at most 0.5, or 1"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", ZERO, HALF), "\"m\" is 0, must be finite"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", MINUS, HALF), "\"m\" is -1, must be"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", INF, HALF), "\"m\" is inf, must be"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", NAN32, HALF), "\"m\" is nan, must be"),
    MAP(WIRE_REQUEST, 4, TENSOR("\x01", "\x00", "\x00", "\x01", HALF), "\"m\" is not a 32-bit"),
    MAP(WIRE_REPLY, 0, TENSOR("\x01", "\x00", "\x01", ONE, HALF), "body of 0 bytes, must be 4"),
};

Test(wire, malformed_maps_are_refused_in_words)
{
    for (size_t i = 0; i < N(bad_maps); i++) {
        const struct bad_map *bad = &bad_maps[i];
        struct wire_header header = {.version = WIRE_PROTOCOL,
                                     .kind = (uint16_t)bad->kind,
                                     .map_bytes = bad->map_bytes,
                                     .body_bytes = bad->body_bytes};
        /* Exactly as long as it says, so that a read beyond it shows under ASan. */
        uint8_t *map = malloc(bad->map_bytes);
        memcpy(map, bad->map, bad->map_bytes);
        struct wire_message m;
        struct error err = {0};
        cr_assert_eq(wire_decode_map(&header, map, &m, &err), ERR_DATA, "%zu: %s", i, bad->expect);
        cr_assert(strstr(err.text, bad->expect), "%zu: \"%s\" lacks \"%s\"", i, err.text,
                  bad->expect);
        free(map);
    }
}

static void spoil_hello(int i, struct wire_hello *h)
{
    uint32_t bad_state = N_PEER_STATES;
    switch (i) {
    case 0:
        h->dim = 0;
        break;
    case 1:
        h->slice = 0;
        break;
    case 2:
        h->shard = h->n_shards;
        break;
    case 3:
        h->n_shards = 0;
        break;
    case 4:
        h->protocol_min = 0;
        break;
    case 5:
        h->protocol_max = h->protocol_min - 1;
        h->protocol_min = 3;
        break;
    case 6:
        h->stage_first = h->stage_last + 1;
        break;
    case 7:
        memcpy(&h->state, &bad_state, sizeof bad_state);
        break;
    default:
        break;
    }
}

Test(wire, hello_out_of_range_is_refused_in_words)
{
    static const char *const expect[] = {
        "\"dim\" is 0",  "\"slice\" is 0", "\"shard\" is 5, must be below",    "\"shards\" is 0",
        "\"pmin\" is 0", "\"pmax\" is 0",  "\"first\" is 3, above \"last\" 2", "\"state\" is 6"};
    for (size_t i = 0; i < N(expect); i++) {
        uint8_t head[WIRE_HEAD_MAX];
        struct wire_message m = hello(), back;
        struct error err = {0};
        spoil_hello((int)i, &m.hello);
        wire_encode(&m, 0, head);
        cr_assert_eq(decode(head, &back, &err), ERR_DATA, "%zu", i);
        cr_assert(strstr(err.text, expect[i]), "%zu: \"%s\" lacks \"%s\"", i, err.text, expect[i]);
    }
    uint8_t head[WIRE_HEAD_MAX];
    struct error err = {0};
    struct wire_message m = hello();
    memset(m.hello.id, 'x', sizeof m.hello.id);
    wire_encode(&m, 0, head);
    uint8_t *id = memchr(head + WIRE_HEADER_BYTES, 0xc4, 16);
    cr_assert(id != NULL && id[1] == WIRE_PEER_ID_BYTES);
    id[0] = 0xd9; /* a string of that length */
    cr_assert_eq(decode(head, &m, &err), ERR_DATA);
    cr_assert(strstr(err.text, "\"id\" is not 32 bytes of binary"), "%s", err.text);
}

Test(wire, unknown_keys_are_skipped)
{
    static const char map[] =
        "\x84\xa1z\x91\x81\x01\x91\xc0\xa5state\x05\xa4step\xcd\x01\x02\xa0\xc3";
    struct wire_header header = {
        .version = WIRE_PROTOCOL, .kind = WIRE_STATUS, .map_bytes = sizeof map - 1};
    struct wire_message m;
    struct error err = {0};
    cr_assert_eq(wire_decode_map(&header, (const uint8_t *)map, &m, &err), 0, "%s", err.text);
    cr_assert(m.status.state == PEER_LEAVING && m.status.step == 258);
}

Test(wire, objects_are_counted)
{
    uint8_t map[600] = {0x81, 0xa1, 'x', 0xdc, 0, 253}; /* map, key, array, 253: 256 objects */
    struct error err = {0};
    cr_assert_eq(wire_scan_map(map, 6 + 253, &err), 0, "%s", err.text);
    map[5] = 254;
    cr_assert_eq(wire_scan_map(map, 6 + 254, &err), ERR_DATA);
    cr_assert(strstr(err.text, "more than 256 objects"), "%s", err.text);
}

/* ---- random ------------------------------------------------------------------------------- */

static void check_in_range(const struct wire_message *m)
{
    switch (m->kind) {
    case WIRE_HELLO:
        cr_assert(m->hello.state < N_PEER_STATES && m->hello.dim > 0 && m->hello.slice > 0 &&
                  m->hello.shard < m->hello.n_shards);
        cr_assert(memchr(m->hello.run, 0, WIRE_TEXT_MAX) &&
                  memchr(m->hello.data, 0, WIRE_TEXT_MAX));
        break;
    case WIRE_STATUS:
        cr_assert(m->status.state < N_PEER_STATES);
        break;
    case WIRE_BYE:
        cr_assert(m->bye.reason < N_WIRE_BYES && memchr(m->bye.text, 0, WIRE_TEXT_MAX));
        break;
    case WIRE_REQUEST:
        cr_assert(m->tensor.weight > 0 && m->tensor.weight <= 1);
        cr_assert(m->body_bytes == (m->tensor.mode == WIRE_PULL ? 0 : 4 * m->tensor.count));
        break;
    case WIRE_REPLY:
        cr_assert(isfinite(m->tensor.mass));
        cr_assert(m->body_bytes == (m->tensor.mode == WIRE_PUSH_SUM ? 0 : 4 * m->tensor.count));
        break;
    case WIRE_SCORE:
        cr_assert(m->score.n_correct <= m->score.n && m->score.loss >= 0 && m->score.final <= 1);
        break;
    case WIRE_SUMMARY:
        cr_assert_gt(m->body_bytes, 0);
        break;
    case WIRE_DECLINE:
        cr_assert(m->body_bytes == 0);
        break;
    }
}

static size_t mutate(struct rng *r, uint8_t *frame, size_t n)
{
    for (uint32_t i = 1 + rng_below(r, 3); i > 0; i--) {
        size_t at = WIRE_HEADER_BYTES + rng_below(r, (uint32_t)n - WIRE_HEADER_BYTES);
        if (rng_below(r, 16) == 0)
            at = rng_below(r, WIRE_HEADER_BYTES);
        switch (rng_below(r, 5)) {
        case 0:
            frame[at] ^= (uint8_t)(1u << rng_below(r, 8));
            break;
        case 1:
            frame[at] = (uint8_t)rng_u64(r);
            break;
        case 2:
            frame[at] = (uint8_t)(0xc0 + rng_below(r, 32)); /* another type */
            break;
        case 3:
            if (n > WIRE_HEADER_BYTES + 1)
                n--; /* cut short */
            break;
        default:
            if (n < WIRE_HEAD_MAX && at >= WIRE_HEADER_BYTES) {
                memmove(frame + at + 1, frame + at, n - at);
                n++;
            }
            break;
        }
    }
    uint32_t map_bytes = (uint32_t)n - WIRE_HEADER_BYTES;
    if (rng_below(r, 8) != 0)
        memcpy(frame + 8, &map_bytes, sizeof map_bytes);
    return n;
}

Test(wire, mutations_never_crash)
{
    enum { ROUNDS = 200000 };
    struct rng r = rng_stream(1, 0, RNG_TEST);
    uint32_t n_good = 0, n_bad = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t head[WIRE_HEAD_MAX];
        struct wire_message m = sample(i % N_SAMPLES), back;
        struct error err;
        struct wire_header header;
        size_t n = wire_encode(&m, sum_of(&m), head);
        n = mutate(&r, head, n);
        if (wire_decode_header(head, WIRE_BODY_MAX, &header, &err) != 0 ||
            header.map_bytes > n - WIRE_HEADER_BYTES) {
            n_bad++;
            continue;
        }
        uint8_t *map = malloc(header.map_bytes > 0 ? header.map_bytes : 1);
        memcpy(map, head + WIRE_HEADER_BYTES, header.map_bytes);
        if (wire_decode_map(&header, map, &back, &err) == 0) {
            check_in_range(&back);
            n_good++;
        } else {
            n_bad++;
        }
        free(map);
    }
    cr_assert(n_good > 1000 && n_bad > 10000, "good %u, bad %u", n_good, n_bad);
}

static void *decode_one(void *result)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = hello();
    struct error err;
    wire_encode(&m, 0, head);
    *(int *)result = decode(head, &m, &err);
    return NULL;
}

Test(wire, decodes_on_any_thread)
{
    int result[4] = {1, 1, 1, 1};
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, decode_one, &result[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        cr_assert_eq(result[i], 0);
    }
}
