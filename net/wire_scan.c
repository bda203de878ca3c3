#include "net/wire_scan.h"

#include <stdbool.h>
#include <string.h>

enum token_type { TOKEN_ATOM, TOKEN_STRING, TOKEN_BINARY, TOKEN_ARRAY, TOKEN_MAP, TOKEN_BAD };

/* Of a first byte 0xc0 to 0xdf: bytes that follow as a big-endian length or count, or, for an
 * atom, as its value. */
static const struct {
    uint8_t type, width;
} tokens[32] = {
    [0x00] = {TOKEN_ATOM, 0},   [0x01] = {TOKEN_BAD, 0},    [0x02] = {TOKEN_ATOM, 0},
    [0x03] = {TOKEN_ATOM, 0},   [0x04] = {TOKEN_BINARY, 1}, [0x05] = {TOKEN_BINARY, 2},
    [0x06] = {TOKEN_BINARY, 4}, [0x07] = {TOKEN_BAD, 0},    [0x08] = {TOKEN_BAD, 0},
    [0x09] = {TOKEN_BAD, 0},    [0x0a] = {TOKEN_ATOM, 4},   [0x0b] = {TOKEN_ATOM, 8},
    [0x0c] = {TOKEN_ATOM, 1},   [0x0d] = {TOKEN_ATOM, 2},   [0x0e] = {TOKEN_ATOM, 4},
    [0x0f] = {TOKEN_ATOM, 8},   [0x10] = {TOKEN_ATOM, 1},   [0x11] = {TOKEN_ATOM, 2},
    [0x12] = {TOKEN_ATOM, 4},   [0x13] = {TOKEN_ATOM, 8},   [0x14] = {TOKEN_BAD, 0},
    [0x15] = {TOKEN_BAD, 0},    [0x16] = {TOKEN_BAD, 0},    [0x17] = {TOKEN_BAD, 0},
    [0x18] = {TOKEN_BAD, 0},    [0x19] = {TOKEN_STRING, 1}, [0x1a] = {TOKEN_STRING, 2},
    [0x1b] = {TOKEN_STRING, 4}, [0x1c] = {TOKEN_ARRAY, 2},  [0x1d] = {TOKEN_ARRAY, 4},
    [0x1e] = {TOKEN_MAP, 2},    [0x1f] = {TOKEN_MAP, 4},
};

struct token {
    enum token_type type;
    size_t head; /* bytes before the payload */
    uint64_t n;  /* payload bytes of a string or binary; children of a container */
};

/* The token at the start of bytes[0..left), left > 0; false when its head is cut short. */
static bool read_token(const uint8_t *bytes, size_t left, struct token *t)
{
    uint8_t b = bytes[0];
    *t = (struct token){.type = TOKEN_ATOM, .head = 1};
    if (b < 0x80 || b >= 0xe0)
        return true;
    if (b < 0xc0) {
        t->type = b < 0x90 ? TOKEN_MAP : b < 0xa0 ? TOKEN_ARRAY : TOKEN_STRING;
        t->n = b < 0x90 ? 2 * (uint64_t)(b & 15) : b < 0xa0 ? b & 15 : b & 31;
        return true;
    }
    size_t width = tokens[b - 0xc0].width;
    t->type = (enum token_type)tokens[b - 0xc0].type;
    t->head = 1 + width;
    if (t->head > left)
        return false;
    if (t->type == TOKEN_ATOM)
        return true;
    for (size_t i = 1; i <= width; i++)
        t->n = t->n << 8 | bytes[i];
    if (t->type == TOKEN_MAP)
        t->n *= 2;
    return true;
}

size_t wire_scan_utf8(const uint8_t *bytes, size_t n, uint32_t *code)
{
    if (n == 0)
        return 0;
    uint8_t b = bytes[0];
    *code = b;
    if (b < 0x80)
        return 1;
    size_t length = b >= 0xf0 && b < 0xf5   ? 4
                    : b >= 0xe0 && b < 0xf0 ? 3
                    : b >= 0xc2 && b < 0xe0 ? 2
                                            : 0;
    if (length == 0 || length > n)
        return 0;
    *code = b & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (bytes[i] & 0x3f);
    }
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < least[length] || *code > 0x10ffff || surrogate ? 0 : length;
}

static int check_text(const uint8_t *bytes, size_t at, size_t n, struct error *err)
{
    uint32_t code;
    for (size_t i = 0, step; i < n; i += step) {
        step = wire_scan_utf8(bytes + at + i, n - i, &code);
        if (step == 0)
            return error_set(err, ERR_DATA, "map: byte 0x%02x at %zu is not UTF-8", bytes[at + i],
                             at + i);
    }
    return 0;
}

struct keys {
    size_t n;
    struct {
        size_t at, length;
    } key[WIRE_SCAN_OBJECTS / 2];
};

static int add_key(struct keys *keys, const uint8_t *bytes, size_t at, const struct token *t,
                   struct error *err)
{
    if (t->type != TOKEN_STRING)
        return error_set(err, ERR_DATA, "map: key at %zu is not a string", at);
    size_t start = at + t->head, length = (size_t)t->n;
    for (size_t i = 0; i < keys->n; i++)
        if (keys->key[i].length == length &&
            memcmp(bytes + keys->key[i].at, bytes + start, length) == 0)
            return error_set(err, ERR_DATA, "map: key at %zu stands there twice", at);
    keys->key[keys->n].at = start;
    keys->key[keys->n++].length = length;
    return 0;
}

/* Whether the token may stand at `at`, and what it says of its size can be true. */
static int check_token(const uint8_t *bytes, size_t n, size_t at, const struct token *t,
                       struct error *err)
{
    if (t->type == TOKEN_BAD)
        return error_set(err, ERR_DATA, "map: type 0x%02x at %zu is not allowed", bytes[at], at);
    uint64_t left = n - at - t->head;
    if (t->n > left)
        return error_set(err, ERR_DATA, "map: %s at %zu says %llu, only %llu bytes are left",
                         t->type >= TOKEN_ARRAY ? "count" : "length", at, (unsigned long long)t->n,
                         (unsigned long long)left);
    if (t->type == TOKEN_STRING)
        return check_text(bytes, at + t->head, (size_t)t->n, err);
    return 0;
}

int wire_scan_map(const uint8_t *bytes, size_t n, struct error *err)
{
    uint64_t open[WIRE_SCAN_DEPTH]; /* children each open container still waits for */
    size_t depth = 0, at = 0, n_objects = 0;
    struct keys keys = {.n = 0};
    do {
        struct token t;
        if (at == n || !read_token(bytes + at, n - at, &t))
            return error_set(err, ERR_DATA, "map: ends at %zu, in the middle of an object", n);
        if (at == 0 && t.type != TOKEN_MAP)
            return error_set(err, ERR_DATA, "map: starts with 0x%02x, which is no map", bytes[0]);
        if (++n_objects > WIRE_SCAN_OBJECTS)
            return error_set(err, ERR_DATA, "map: more than %d objects", WIRE_SCAN_OBJECTS);
        int rc = check_token(bytes, n, at, &t, err);
        if (rc == 0 && depth == 1 && open[0] % 2 == 0)
            rc = add_key(&keys, bytes, at, &t, err);
        if (rc != 0)
            return rc;
        if (depth > 0)
            open[depth - 1]--;
        bool container = t.type == TOKEN_ARRAY || t.type == TOKEN_MAP;
        if (container && t.n > 0) {
            if (depth == WIRE_SCAN_DEPTH)
                return error_set(err, ERR_DATA, "map: nested deeper than %d at %zu",
                                 WIRE_SCAN_DEPTH, at);
            open[depth++] = t.n;
        }
        at += t.head + (container ? 0 : (size_t)t.n);
        while (depth > 0 && open[depth - 1] == 0)
            depth--;
    } while (depth > 0);
    if (at < n)
        return error_set(err, ERR_DATA, "map: ends at %zu, but %zu bytes were announced", at, n);
    return 0;
}
