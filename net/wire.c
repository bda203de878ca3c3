#include "net/wire.h"

#include "base/check.h"
#include "net/wire_scan.h"

#include <float.h>
#include <math.h>
#include <msgpack.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the header rather than from the library: built for this machine's vectors, it is three times
 * as fast as the SSE2 one a distribution has to ship. */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum header_offset {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_KIND = 6,
    AT_MAP = 8,
    AT_BODY = 12,
    AT_ID = 16,
    AT_CHECKSUM = 24
};
_Static_assert(AT_CHECKSUM + 8 == WIRE_HEADER_BYTES, "the header is 32 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bodies are sent as they lie in memory");

static const uint8_t magic[4] = {'H', 'U', 'B', 'B'};

const char *const wire_bye_names[N_WIRE_BYES] = {
    "done", "leaving", "incompatible", "duplicate", "self", "protocol error", "busy"};

/* ---- fields -------------------------------------------------------------------------------
 * One table per kind drives encoding, decoding and the range check. */

enum field_type { FIELD_U64, FIELD_U32, FIELD_ENUM, FIELD_F32, FIELD_TEXT, FIELD_ID };

struct field {
    const char *key;
    uint32_t key_bytes;
    enum field_type type;
    size_t offset;     /* in struct wire_message */
    uint64_t min, max; /* integers and enums */
};

#define AT(member) offsetof(struct wire_message, member)

#define KEY(text) text, sizeof(text) - 1

static const struct field hello_fields[] = {
    {KEY("id"), FIELD_ID, AT(hello.id), 0, 0},
    {KEY("inc"), FIELD_U64, AT(hello.incarnation), 0, UINT64_MAX},
    {KEY("pmin"), FIELD_U32, AT(hello.protocol_min), 1, UINT16_MAX},
    {KEY("pmax"), FIELD_U32, AT(hello.protocol_max), 1, UINT16_MAX},
    {KEY("caps"), FIELD_U64, AT(hello.capabilities), 0, UINT64_MAX},
    {KEY("run"), FIELD_TEXT, AT(hello.run), 0, 0},
    {KEY("model"), FIELD_TEXT, AT(hello.model), 0, 0},
    {KEY("data"), FIELD_TEXT, AT(hello.data), 0, 0},
    {KEY("fp"), FIELD_TEXT, AT(hello.fingerprint), 0, 0},
    {KEY("init"), FIELD_TEXT, AT(hello.init), 0, 0},
    {KEY("addr"), FIELD_TEXT, AT(hello.address), 0, 0},
    {KEY("dim"), FIELD_U64, AT(hello.dim), 1, INT64_MAX},
    {KEY("slice"), FIELD_U32, AT(hello.slice), 1, UINT32_MAX},
    {KEY("shard"), FIELD_U32, AT(hello.shard), 0, UINT32_MAX - 1},
    {KEY("shards"), FIELD_U32, AT(hello.n_shards), 1, UINT32_MAX},
    {KEY("first"), FIELD_U32, AT(hello.stage_first), 0, UINT32_MAX},
    {KEY("last"), FIELD_U32, AT(hello.stage_last), 0, UINT32_MAX},
    {KEY("samples"), FIELD_U64, AT(hello.n_samples), 0, INT64_MAX},
    {KEY("state"), FIELD_ENUM, AT(hello.state), 0, N_PEER_STATES - 1},
    {KEY("step"), FIELD_U64, AT(hello.step), 0, UINT64_MAX},
};

static const struct field status_fields[] = {
    {KEY("state"), FIELD_ENUM, AT(status.state), 0, N_PEER_STATES - 1},
    {KEY("step"), FIELD_U64, AT(status.step), 0, UINT64_MAX},
};

static const struct field score_fields[] = {
    {KEY("id"), FIELD_ID, AT(score.id), 0, 0},
    {KEY("beat"), FIELD_U64, AT(score.beat), 0, UINT64_MAX},
    {KEY("n"), FIELD_U64, AT(score.n), 0, INT64_MAX},
    {KEY("good"), FIELD_U64, AT(score.n_correct), 0, INT64_MAX},
    {KEY("loss"), FIELD_F32, AT(score.loss), 0, 0},
    {KEY("final"), FIELD_U32, AT(score.final), 0, 1},
};

static const struct field bye_fields[] = {
    {KEY("why"), FIELD_ENUM, AT(bye.reason), 0, N_WIRE_BYES - 1},
    {KEY("text"), FIELD_TEXT, AT(bye.text), 0, 0},
};

static const struct field tensor_fields[] = {
    {KEY("off"), FIELD_U64, AT(tensor.offset), 0, INT64_MAX},
    {KEY("n"), FIELD_U32, AT(tensor.count), 1, WIRE_BODY_MAX / sizeof(float)},
    {KEY("codec"), FIELD_ENUM, AT(tensor.codec), WIRE_F32, WIRE_F32},
    {KEY("mode"), FIELD_ENUM, AT(tensor.mode), 0, WIRE_PUSH_SUM},
    {KEY("m"), FIELD_F32, AT(tensor.mass), 0, 0},
    {KEY("w"), FIELD_F32, AT(tensor.weight), 0, 0},
    {KEY("more"), FIELD_U32, AT(tensor.more), 0, UINT32_MAX},
};

#define N(table) (sizeof(table) / sizeof(table)[0])

struct layout {
    const struct field *fields;
    uint32_t n;
};

/* False for an unknown kind. */
static bool find_layout(unsigned kind, struct layout *layout)
{
    switch (kind) {
    case WIRE_HELLO:
        *layout = (struct layout){hello_fields, N(hello_fields)};
        return true;
    case WIRE_STATUS:
        *layout = (struct layout){status_fields, N(status_fields)};
        return true;
    case WIRE_BYE:
        *layout = (struct layout){bye_fields, N(bye_fields)};
        return true;
    case WIRE_REQUEST:
    case WIRE_REPLY:
        *layout = (struct layout){tensor_fields, N(tensor_fields)};
        return true;
    case WIRE_SCORE:
        *layout = (struct layout){score_fields, N(score_fields)};
        return true;
    case WIRE_DECLINE:
    case WIRE_SUMMARY:
        *layout = (struct layout){NULL, 0};
        return true;
    default:
        return false;
    }
}

const char *wire_kind_name(enum wire_kind kind)
{
    switch (kind) {
    case WIRE_HELLO:
        return "HELLO";
    case WIRE_STATUS:
        return "STATUS";
    case WIRE_BYE:
        return "BYE";
    case WIRE_REQUEST:
        return "REQUEST";
    case WIRE_REPLY:
        return "REPLY";
    case WIRE_DECLINE:
        return "DECLINE";
    case WIRE_SCORE:
        return "SCORE";
    case WIRE_SUMMARY:
        return "SUMMARY";
    default:
        return "unknown kind";
    }
}

/* ---- encoding ----------------------------------------------------------------------------- */

struct sink {
    uint8_t *at;
    const uint8_t *end;
};

static int sink_write(void *data, const char *bytes, size_t n)
{
    struct sink *sink = data;
    CHECK(n <= (size_t)(sink->end - sink->at));
    memcpy(sink->at, bytes, n);
    sink->at += n;
    return 0;
}

/* C0, DEL and C1: they would steer the terminal a message is printed on. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* Our own text may quote a file name or be cut inside a character; the other side would refuse
 * it, so what is not clean becomes '?'. */
static void pack_text(msgpack_packer *pk, const char *text)
{
    const uint8_t *in = (const uint8_t *)text;
    size_t n = strnlen(text, WIRE_TEXT_MAX - 1), length = 0;
    char clean[WIRE_TEXT_MAX];
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t code = 0;
        step = wire_scan_utf8(in + i, n - i, &code);
        if (step == 0 || is_control(code)) {
            clean[length++] = '?';
            step = step == 0 ? 1 : step;
        } else {
            memcpy(clean + length, in + i, step);
            length += step;
        }
    }
    msgpack_pack_str(pk, length);
    msgpack_pack_str_body(pk, clean, length);
}

static void pack_field(msgpack_packer *pk, const struct field *f, const uint8_t *value)
{
    uint64_t u64;
    uint32_t u32;
    float f32;
    msgpack_pack_str(pk, f->key_bytes);
    msgpack_pack_str_body(pk, f->key, f->key_bytes);
    switch (f->type) {
    case FIELD_U64:
        memcpy(&u64, value, sizeof u64);
        msgpack_pack_uint64(pk, u64);
        break;
    case FIELD_U32:
    case FIELD_ENUM:
        memcpy(&u32, value, sizeof u32);
        msgpack_pack_uint32(pk, u32);
        break;
    case FIELD_F32:
        memcpy(&f32, value, sizeof f32);
        msgpack_pack_float(pk, f32);
        break;
    case FIELD_TEXT:
        pack_text(pk, (const char *)value);
        break;
    case FIELD_ID:
        msgpack_pack_bin(pk, WIRE_PEER_ID_BYTES);
        msgpack_pack_bin_body(pk, value, WIRE_PEER_ID_BYTES);
        break;
    }
}

_Static_assert(sizeof(enum peer_state) == sizeof(uint32_t), "FIELD_ENUM copies four bytes");

static void put(uint8_t *header, enum header_offset at, const void *value, size_t n)
{
    memcpy(header + at, value, n);
}

static uint64_t frame_sum(const uint8_t *head, uint32_t map_bytes, uint32_t body_bytes,
                          uint64_t body_sum)
{
    uint8_t summed[WIRE_HEAD_MAX]; /* in one piece: a stream's sum takes four times as long */
    size_t n_sum = body_bytes > 0 ? sizeof body_sum : 0;
    memcpy(summed, head, AT_CHECKSUM);
    memcpy(summed + AT_CHECKSUM, head + WIRE_HEADER_BYTES, map_bytes);
    memcpy(summed + AT_CHECKSUM + map_bytes, &body_sum, n_sum);
    return XXH3_64bits(summed, AT_CHECKSUM + map_bytes + n_sum);
}

size_t wire_encode(const struct wire_message *message, uint64_t body_sum, uint8_t *head)
{
    struct layout layout;
    CHECK(find_layout(message->kind, &layout));
    CHECK(message->body_bytes <= WIRE_BODY_MAX);

    struct sink sink = {head + WIRE_HEADER_BYTES, head + WIRE_HEAD_MAX};
    msgpack_packer pk;
    msgpack_packer_init(&pk, &sink, sink_write);
    msgpack_pack_map(&pk, layout.n);
    for (uint32_t i = 0; i < layout.n; i++)
        pack_field(&pk, &layout.fields[i], (const uint8_t *)message + layout.fields[i].offset);

    uint16_t version = WIRE_PROTOCOL, kind = (uint16_t)message->kind;
    uint32_t map_bytes = (uint32_t)(sink.at - head) - WIRE_HEADER_BYTES;
    put(head, AT_MAGIC, magic, sizeof magic);
    put(head, AT_VERSION, &version, sizeof version);
    put(head, AT_KIND, &kind, sizeof kind);
    put(head, AT_MAP, &map_bytes, sizeof map_bytes);
    put(head, AT_BODY, &message->body_bytes, sizeof message->body_bytes);
    put(head, AT_ID, &message->id, sizeof message->id);

    uint64_t checksum = frame_sum(head, map_bytes, message->body_bytes, body_sum);
    put(head, AT_CHECKSUM, &checksum, sizeof checksum);
    return WIRE_HEADER_BYTES + map_bytes;
}

/* ---- decoding ----------------------------------------------------------------------------- */

int wire_decode_header(const uint8_t *bytes, uint32_t body_max, struct wire_header *header,
                       struct error *err)
{
    *header = (struct wire_header){0};
    if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0)
        return error_set(err, ERR_DATA,
                         "header: starts with %02x %02x %02x %02x, not with \"HUBB\": not a hubbub "
                         "peer, or out of step",
                         bytes[0], bytes[1], bytes[2], bytes[3]);
    memcpy(&header->version, bytes + AT_VERSION, sizeof header->version);
    if (header->version != WIRE_PROTOCOL)
        return 0;
    memcpy(&header->kind, bytes + AT_KIND, sizeof header->kind);
    memcpy(&header->map_bytes, bytes + AT_MAP, sizeof header->map_bytes);
    memcpy(&header->body_bytes, bytes + AT_BODY, sizeof header->body_bytes);
    memcpy(&header->id, bytes + AT_ID, sizeof header->id);
    memcpy(&header->checksum, bytes + AT_CHECKSUM, sizeof header->checksum);

    struct layout layout;
    if (!find_layout(header->kind, &layout))
        return error_set(err, ERR_DATA, "header: kind %u is unknown", header->kind);
    const char *name = wire_kind_name((enum wire_kind)header->kind);
    if (header->map_bytes == 0 || header->map_bytes > WIRE_MAP_MAX)
        return error_set(err, ERR_DATA, "header: %s with a map of %u bytes, allowed are 1 to %d",
                         name, header->map_bytes, WIRE_MAP_MAX);
    if (header->body_bytes > body_max)
        return error_set(err, ERR_DATA, "header: %s with a body of %u bytes, at most %u are taken",
                         name, header->body_bytes, body_max);
    bool has_id = header->kind == WIRE_REQUEST || header->kind == WIRE_REPLY;
    bool has_body = has_id || header->kind == WIRE_SUMMARY;
    if (!has_body && header->body_bytes > 0)
        return error_set(err, ERR_DATA, "header: %s with a body of %u bytes, it has none", name,
                         header->body_bytes);
    if (header->kind == WIRE_SUMMARY && header->body_bytes == 0)
        return error_set(err, ERR_DATA, "header: %s without a body", name);
    has_id |= header->kind == WIRE_DECLINE;
    if (!has_id && header->id != 0)
        return error_set(err, ERR_DATA, "header: %s with exchange id %llu, must be 0", name,
                         (unsigned long long)header->id);
    return 0;
}

static pthread_key_t zone_key;
static pthread_once_t zone_once = PTHREAD_ONCE_INIT;

static void zone_free(void *zone)
{
    msgpack_zone_free(zone);
}

static void zone_key_create(void)
{
    CHECK(pthread_key_create(&zone_key, zone_free) == 0);
}

/* One per thread, kept between frames, gone with the thread. A scanned map has at most
 * WIRE_SCAN_OBJECTS objects, so its one chunk is never outgrown. */
static msgpack_zone *zone_of_thread(void)
{
    pthread_once(&zone_once, zone_key_create);
    msgpack_zone *zone = pthread_getspecific(zone_key);
    if (zone == NULL) {
        zone = msgpack_zone_new((WIRE_SCAN_OBJECTS + 1) * sizeof(msgpack_object));
        CHECK(zone != NULL && pthread_setspecific(zone_key, zone) == 0);
    }
    msgpack_zone_clear(zone);
    return zone;
}

/* `what` is the kind, for messages. */
static int read_integer(const char *what, const struct field *f, const msgpack_object *o,
                        uint64_t *value, struct error *err)
{
    if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return error_set(err, ERR_DATA, "%s: \"%s\" is %lld, must be %llu to %llu", what, f->key,
                         (long long)o->via.i64, (unsigned long long)f->min,
                         (unsigned long long)f->max);
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return error_set(err, ERR_DATA, "%s: \"%s\" is not an integer", what, f->key);
    *value = o->via.u64;
    if (*value < f->min || *value > f->max)
        return error_set(err, ERR_DATA, "%s: \"%s\" is %llu, must be %llu to %llu", what, f->key,
                         (unsigned long long)*value, (unsigned long long)f->min,
                         (unsigned long long)f->max);
    return 0;
}

static int read_text(const char *what, const struct field *f, const msgpack_object *o, char *text,
                     struct error *err)
{
    if (o->type != MSGPACK_OBJECT_STR)
        return error_set(err, ERR_DATA, "%s: \"%s\" is not a string", what, f->key);
    const uint8_t *bytes = (const uint8_t *)o->via.str.ptr;
    size_t n = o->via.str.size;
    if (n >= WIRE_TEXT_MAX)
        return error_set(err, ERR_DATA, "%s: \"%s\" is %zu bytes long, at most %d are taken", what,
                         f->key, n, WIRE_TEXT_MAX - 1);
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t code = 0;
        step = wire_scan_utf8(bytes + i, n - i, &code);
        if (step == 0 || is_control(code))
            return error_set(err, ERR_DATA, "%s: \"%s\" has control character 0x%02x at %zu", what,
                             f->key, code, i);
    }
    memcpy(text, bytes, n);
    text[n] = '\0';
    return 0;
}

static int read_field(const char *what, const struct field *f, const msgpack_object *o,
                      uint8_t *field, struct error *err)
{
    uint64_t u64 = 0;
    int rc = 0;
    switch (f->type) {
    case FIELD_U64:
        if ((rc = read_integer(what, f, o, &u64, err)) == 0)
            memcpy(field, &u64, sizeof u64);
        return rc;
    case FIELD_U32:
    case FIELD_ENUM:
        if ((rc = read_integer(what, f, o, &u64, err)) == 0)
            memcpy(field, &(uint32_t){(uint32_t)u64}, sizeof(uint32_t));
        return rc;
    case FIELD_F32:
        if (o->type != MSGPACK_OBJECT_FLOAT32)
            return error_set(err, ERR_DATA, "%s: \"%s\" is not a 32-bit float", what, f->key);
        memcpy(field, &(float){(float)o->via.f64}, sizeof(float));
        return 0;
    case FIELD_TEXT:
        return read_text(what, f, o, (char *)field, err);
    case FIELD_ID:
        if (o->type != MSGPACK_OBJECT_BIN || o->via.bin.size != WIRE_PEER_ID_BYTES)
            return error_set(err, ERR_DATA, "%s: \"%s\" is not %d bytes of binary", what, f->key,
                             WIRE_PEER_ID_BYTES);
        memcpy(field, o->via.bin.ptr, WIRE_PEER_ID_BYTES);
        return 0;
    }
    return 0;
}

static int read_fields(const char *what, const struct layout *layout, const msgpack_object_map *map,
                       struct wire_message *message, struct error *err)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object_str *key = &map->ptr[i].key.via.str;
        for (uint32_t j = 0; j < layout->n; j++) {
            const struct field *f = &layout->fields[j];
            if (key->size != f->key_bytes || memcmp(key->ptr, f->key, key->size) != 0)
                continue;
            int rc = read_field(what, f, &map->ptr[i].val, (uint8_t *)message + f->offset, err);
            if (rc != 0)
                return rc;
            seen |= UINT32_C(1) << j;
        }
    }
    for (uint32_t j = 0; j < layout->n; j++)
        if ((seen >> j & 1) == 0)
            return error_set(err, ERR_DATA, "%s: \"%s\" is missing", what, layout->fields[j].key);
    return 0;
}

/* ---- a map of numbers as wire_encode writes it --------------------------------------------------
 * Most frames carry one, so it is read without msgpack. What looks different in any way, because it
 * is wrong or was written by someone else, is left to the general way and its messages. */

struct source {
    const uint8_t *at;
    size_t left;
};

/* n bytes further; NULL where fewer are left. */
static const uint8_t *skip(struct source *s, size_t n)
{
    const uint8_t *at = s->at;
    if (n > s->left)
        return NULL;
    s->at += n;
    s->left -= n;
    return at;
}

/* n bytes, big-endian. */
static bool skip_number(struct source *s, size_t n, uint64_t *value)
{
    const uint8_t *at = skip(s, n);
    *value = 0;
    for (size_t i = 0; at != NULL && i < n; i++)
        *value = *value << 8 | at[i];
    return at != NULL;
}

static bool skip_integer(struct source *s, uint64_t *value)
{
    enum { FIXED_MAX = 0x7f, UINT8 = 0xcc, UINT64 = 0xcf };
    if (!skip_number(s, 1, value))
        return false;
    if (*value <= FIXED_MAX)
        return true;
    return *value >= UINT8 && *value <= UINT64 &&
           skip_number(s, (size_t)1 << (*value - UINT8), value);
}

static bool read_plain_field(struct source *s, const struct field *f, uint8_t *field)
{
    enum { FLOAT32 = 0xca, FIXED_TEXT = 0xa0 };
    const uint8_t *key = skip(s, 1 + (size_t)f->key_bytes);
    uint64_t value;
    if (key == NULL || key[0] != (FIXED_TEXT | f->key_bytes) ||
        memcmp(key + 1, f->key, f->key_bytes) != 0)
        return false;
    switch (f->type) {
    case FIELD_U64:
    case FIELD_U32:
    case FIELD_ENUM:
        if (!skip_integer(s, &value) || value < f->min || value > f->max)
            return false;
        memcpy(field, &value, f->type == FIELD_U64 ? sizeof(uint64_t) : sizeof(uint32_t));
        return true;
    case FIELD_F32:
        if (!skip_number(s, 1, &value) || value != FLOAT32 || !skip_number(s, 4, &value))
            return false;
        memcpy(field, &value, sizeof(float));
        return true;
    case FIELD_TEXT:
    case FIELD_ID:
        break;
    }
    return false;
}

static bool read_plain(const struct layout *layout, const uint8_t *map, size_t n,
                       struct wire_message *message)
{
    enum { FIXED_MAP = 0x80, FIXED_MAP_MAX = 15 };
    struct source s = {map, n};
    const uint8_t *head = skip(&s, 1);
    if (head == NULL || layout->n > FIXED_MAP_MAX || *head != (FIXED_MAP | layout->n))
        return false;
    for (uint32_t i = 0; i < layout->n; i++) {
        const struct field *f = &layout->fields[i];
        if (!read_plain_field(&s, f, (uint8_t *)message + f->offset))
            return false;
    }
    return s.left == 0;
}

static int read_any(const char *what, const struct layout *layout, const uint8_t *map, size_t n,
                    struct wire_message *message, struct error *err)
{
    msgpack_object root;
    size_t end = 0;
    int rc = wire_scan_map(map, n, err);
    if (rc != 0)
        return error_prefix(err, "%s", what);
    msgpack_unpack_return got = msgpack_unpack((const char *)map, n, &end, zone_of_thread(), &root);
    if (got != MSGPACK_UNPACK_SUCCESS || root.type != MSGPACK_OBJECT_MAP)
        return error_set(err, ERR_DATA, "%s: the map is not msgpack", what);
    return read_fields(what, layout, &root.via.map, message, err);
}

static int check_hello(const struct wire_hello *h, struct error *err)
{
    if (h->protocol_min > h->protocol_max)
        return error_set(err, ERR_DATA, "HELLO: \"pmin\" is %u, above \"pmax\" %u", h->protocol_min,
                         h->protocol_max);
    if (h->shard >= h->n_shards)
        return error_set(err, ERR_DATA, "HELLO: \"shard\" is %u, must be below \"shards\" %u",
                         h->shard, h->n_shards);
    if (h->stage_first > h->stage_last)
        return error_set(err, ERR_DATA, "HELLO: \"first\" is %u, above \"last\" %u", h->stage_first,
                         h->stage_last);
    return 0;
}

static int check_score(const struct wire_score *s, struct error *err)
{
    if (s->n_correct > s->n)
        return error_set(err, ERR_DATA, "SCORE: \"good\" is %llu, above \"n\" %llu",
                         (unsigned long long)s->n_correct, (unsigned long long)s->n);
    if (!(s->loss >= 0 && s->loss <= FLT_MAX))
        return error_set(err, ERR_DATA, "SCORE: \"loss\" is %g, must be finite and at least 0",
                         (double)s->loss);
    return 0;
}

static int check_tensor(const char *what, const struct wire_message *message, struct error *err)
{
    const struct wire_tensor *t = &message->tensor;
    bool request = message->kind == WIRE_REQUEST, pull = t->mode == WIRE_PULL;
    bool empty = request ? pull : t->mode == WIRE_PUSH_SUM;
    uint32_t due = empty ? 0 : t->count * (uint32_t)sizeof(float);
    if (!request && t->mode == WIRE_PUSH)
        return error_set(err, ERR_DATA, "%s: \"mode\" is %d, a push, which has no reply", what,
                         WIRE_PUSH);
    if (message->body_bytes != due)
        return error_set(err, ERR_DATA, "%s: body of %u bytes, must be %u for \"n\" %u", what,
                         message->body_bytes, due, t->count);
    if (!(t->mass > 0 && t->mass <= FLT_MAX))
        return error_set(err, ERR_DATA, "%s: \"m\" is %g, must be finite and above 0", what,
                         (double)t->mass);
    bool weight_ok = (t->weight > 0 && t->weight <= 0.5f) || (pull && t->weight == 1);
    if (!weight_ok)
        return error_set(err, ERR_DATA, "%s: \"w\" is %g, must be above 0 and at most 0.5%s", what,
                         (double)t->weight, pull ? ", or 1" : "");
    return 0;
}

int wire_decode_map(const struct wire_header *header, const uint8_t *map,
                    struct wire_message *message, struct error *err)
{
    struct layout layout;
    memset(message, 0, sizeof *message);
    if (header->version != WIRE_PROTOCOL || !find_layout(header->kind, &layout))
        return error_set(err, ERR_DATA, "header: version %u, kind %u: not one to decode",
                         header->version, header->kind);
    message->kind = (enum wire_kind)header->kind;
    message->id = header->id;
    message->body_bytes = header->body_bytes;
    const char *what = wire_kind_name(message->kind);

    if (!read_plain(&layout, map, header->map_bytes, message)) {
        int rc = read_any(what, &layout, map, header->map_bytes, message, err);
        if (rc != 0)
            return rc;
    }
    switch (message->kind) {
    case WIRE_HELLO:
        return check_hello(&message->hello, err);
    case WIRE_REQUEST:
    case WIRE_REPLY:
        return check_tensor(what, message, err);
    case WIRE_SCORE:
        return check_score(&message->score, err);
    case WIRE_STATUS:
    case WIRE_BYE:
    case WIRE_DECLINE:
    case WIRE_SUMMARY:
        break;
    }
    return 0;
}

/* ---- checksum ----------------------------------------------------------------------------- */

void wire_sum_init(struct wire_sum *s)
{
    s->state = XXH3_createState();
    CHECK(s->state != NULL);
}

void wire_sum_close(struct wire_sum *s)
{
    XXH3_freeState(s->state);
    s->state = NULL;
}

void wire_sum_start(struct wire_sum *s)
{
    XXH3_64bits_reset(s->state);
}

void wire_sum_add(struct wire_sum *s, const void *bytes, size_t n)
{
    XXH3_64bits_update(s->state, bytes, n);
}

uint64_t wire_sum_get(const struct wire_sum *s)
{
    return XXH3_64bits_digest(s->state);
}

uint64_t wire_body_sum(const void *body, size_t n)
{
    return XXH3_64bits(body, n);
}

uint64_t wire_frame_sum(const struct wire_header *header, const uint8_t *head, uint64_t body_sum)
{
    return frame_sum(head, header->map_bytes, header->body_bytes, body_sum);
}
