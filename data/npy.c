#include "data/npy.h"

#include "base/check.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC_BYTES = 6, ALIGN = 64 };
static const char magic[] = "\x93NUMPY";

/* ---- the dictionary -------------------------------------------------------------------------- */

struct cursor {
    const char *text;
    size_t at, n;
    uint64_t offset; /* of text in the file */
};

static int bad(const struct cursor *c, struct error *err, const char *right)
{
    size_t left = c->n - c->at;
    return error_set(err, ERR_DATA, "offset %" PRIu64 ": '%.*s' in the header (right: %s)",
                     c->offset + c->at, (int)(left < 20 ? left : 20), c->text + c->at, right);
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->n && (c->text[c->at] == ' ' || c->text[c->at] == '\n'))
        c->at++;
}

static bool take(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(c);
    if (c->n - c->at < n || memcmp(c->text + c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

/* 'word' or "word", of fewer than `size` plain characters. */
static bool take_quoted(struct cursor *c, char *word, size_t size)
{
    skip_blanks(c);
    if (c->at == c->n || (c->text[c->at] != '\'' && c->text[c->at] != '"'))
        return false;
    char quote = c->text[c->at];
    size_t i = 0;
    for (size_t at = c->at + 1; at < c->n && i < size; at++, i++) {
        if (c->text[at] == quote) {
            word[i] = '\0';
            c->at = at + 1;
            return true;
        }
        if (c->text[at] < 0x20 || c->text[at] > 0x7e)
            return false;
        word[i] = c->text[at];
    }
    return false;
}

/* The 'L' is Python 2's. */
static bool take_number(struct cursor *c, uint64_t *value)
{
    skip_blanks(c);
    size_t from = c->at;
    *value = 0;
    for (; c->at < c->n && c->text[c->at] >= '0' && c->text[c->at] <= '9'; c->at++) {
        if (*value > NPY_BYTES_MAX)
            return false;
        *value = *value * 10 + (uint64_t)(c->text[c->at] - '0');
    }
    bool found = c->at > from;
    if (found)
        (void)take(c, "L");
    return found;
}

/* "<U12" */
static bool parse_text_descr(struct npy *npy, const char *descr)
{
    uint64_t n;
    bool fits =
        strncmp(descr, "<U", 2) == 0 && parse_u64(descr + 2, &n) && n >= 1 && n <= NPY_CHARS_MAX;
    npy->n_chars = fits ? (uint32_t)n : 0;
    return fits;
}

static int parse_descr(struct npy *npy, struct cursor *c, bool text, struct error *err)
{
    char descr[16];
    const char *right =
        text ? "<U with up to 255 characters" : "<f4 <f8 <f2 |u1 |i1 |b1 <u2 <i4 <i8";
    struct cursor start = *c;
    skip_blanks(&start);
    if (!take_quoted(c, descr, sizeof descr))
        return bad(&start, err, right);
    if (text)
        return parse_text_descr(npy, descr) ? 0 : bad(&start, err, right);
    for (int e = 0; e < N_ELEMENTS; e++)
        if (strcmp(descr, elements[e].descr) == 0) {
            npy->element = (enum element)e;
            return 0;
        }
    const char *kind = strchr(descr, 'O') != NULL ? "Python objects, "
                       : descr[0] == '>'          ? "big-endian, "
                                                  : "";
    return error_set(err, ERR_DATA, "offset %" PRIu64 ": %sdtype '%s' (right: one of %s)",
                     start.offset + start.at, kind, descr, right);
}

static int parse_order(struct cursor *c, struct error *err)
{
    struct cursor start = *c;
    skip_blanks(&start);
    if (take(c, "False"))
        return 0;
    if (take(c, "True"))
        return error_set(err, ERR_DATA,
                         "offset %" PRIu64 ": the array is in Fortran order (right: C order, as "
                         "numpy.ascontiguousarray makes it)",
                         start.offset + start.at);
    return bad(&start, err, "True or False");
}

static int parse_shape(struct npy *npy, struct cursor *c, struct error *err)
{
    static const char right[] = "a shape such as (60000, 784)";
    struct cursor start = *c;
    skip_blanks(&start);
    if (!take(c, "("))
        return bad(&start, err, right);
    while (!take(c, ")")) {
        if (npy->n_dims == NPY_DIMS_MAX)
            return error_set(err, ERR_DATA, "offset %" PRIu64 ": more than %d dimensions",
                             start.offset + start.at, NPY_DIMS_MAX);
        if (!take_number(c, &npy->dims[npy->n_dims++]))
            return bad(&start, err, right);
        if (!take(c, ",") && (c->at >= c->n || c->text[c->at] != ')'))
            return bad(&start, err, right);
    }
    return 0;
}

static int parse_dictionary(struct npy *npy, struct cursor *c, bool text, struct error *err)
{
    enum { DESCR, ORDER, SHAPE, N_KEYS };
    static const char *const keys[N_KEYS] = {"descr", "fortran_order", "shape"};
    bool seen[N_KEYS] = {false};
    char key[32];
    if (!take(c, "{"))
        return bad(c, err, "a dictionary");
    while (!take(c, "}")) {
        struct cursor start = *c;
        int k = 0;
        skip_blanks(&start);
        if (!take_quoted(c, key, sizeof key) || !take(c, ":"))
            return bad(&start, err, "'key':");
        while (k < N_KEYS && strcmp(key, keys[k]) != 0)
            k++;
        if (k == N_KEYS || seen[k])
            return bad(&start, err, "descr, fortran_order and shape, each once");
        seen[k] = true;
        int rc = k == DESCR   ? parse_descr(npy, c, text, err)
                 : k == ORDER ? parse_order(c, err)
                              : parse_shape(npy, c, err);
        if (rc != 0)
            return rc;
        if (!take(c, ",") && (c->at >= c->n || c->text[c->at] != '}'))
            return bad(c, err, ", or }");
    }
    skip_blanks(c);
    if (c->at < c->n)
        return bad(c, err, "nothing after }");
    for (int k = 0; k < N_KEYS; k++)
        if (!seen[k])
            return error_set(err, ERR_DATA, "offset %" PRIu64 ": the header lacks '%s'", c->offset,
                             keys[k]);
    return 0;
}

/* ---- the file -------------------------------------------------------------------------------- */

static int parse_header(struct npy *npy, const uint8_t *bytes, uint64_t n, bool is_text,
                        struct error *err)
{
    *npy = (struct npy){0};
    if (n < 12 || memcmp(bytes, magic, MAGIC_BYTES) != 0)
        return error_set(err, ERR_DATA,
                         "offset 0: not an .npy array (right: \\x93NUMPY, a version "
                         "and a header)");
    if (bytes[6] < 1 || bytes[6] > 3)
        return error_set(err, ERR_DATA, "offset 6: version %u of .npy (right: 1, 2 or 3)",
                         bytes[6]);
    uint64_t prefix = bytes[6] == 1 ? 10 : 12, text = bytes[8] | (uint64_t)bytes[9] << 8;
    if (bytes[6] > 1)
        text |= (uint64_t)bytes[10] << 16 | (uint64_t)bytes[11] << 24;
    if (text > NPY_HEADER_MAX)
        return error_set(err, ERR_DATA,
                         "offset 8: a header of %" PRIu64 " bytes (right: at most "
                         "%d)",
                         text, NPY_HEADER_MAX);
    if (text > n - prefix)
        return error_set(err, ERR_DATA,
                         "offset 8: a header of %" PRIu64 " bytes, but only %" PRIu64 " follow",
                         text, n - prefix);
    struct cursor c = {(const char *)bytes + prefix, 0, text, prefix};
    int rc = parse_dictionary(npy, &c, is_text, err);
    if (rc != 0)
        return rc;
    npy->n_header = prefix + text;
    npy->n_bytes = is_text ? 4 * npy->n_chars : elements[npy->element].n_bytes;
    for (uint32_t d = 0; d < npy->n_dims; d++) {
        if (npy->dims[d] != 0 && npy->n_bytes > NPY_BYTES_MAX / npy->dims[d])
            return error_set(err, ERR_DATA,
                             "offset %" PRIu64 ": dimension %" PRIu32 " is %" PRIu64
                             " (right: %" PRIu64 " bytes in all at most)",
                             prefix, d, npy->dims[d], NPY_BYTES_MAX);
        npy->n_bytes *= npy->dims[d];
    }
    return 0;
}

int npy_parse_header(struct npy *npy, const uint8_t *bytes, uint64_t n, struct error *err)
{
    return parse_header(npy, bytes, n, false, err);
}

static int parse(struct npy *npy, const uint8_t *bytes, uint64_t n, bool is_text, struct error *err)
{
    int rc = parse_header(npy, bytes, n, is_text, err);
    if (rc != 0)
        return rc;
    uint64_t end = npy->n_header + npy->n_bytes;
    if (n < end)
        return error_set(err, ERR_DATA, "ends at offset %" PRIu64 ", %" PRIu64 " bytes too early",
                         n, end - n);
    if (n > end)
        return error_set(err, ERR_DATA,
                         "offset %" PRIu64 ": bytes after the end of the data (right: the array "
                         "ends here)",
                         end);
    return 0;
}

int npy_parse(struct npy *npy, const uint8_t *bytes, uint64_t n, struct error *err)
{
    return parse(npy, bytes, n, false, err);
}

int npy_parse_texts(struct npy *npy, const uint8_t *bytes, uint64_t n, struct error *err)
{
    int rc = parse(npy, bytes, n, true, err);
    if (rc == 0 && npy->n_dims != 1)
        rc = error_set(err, ERR_DATA, "texts of %" PRIu32 " dimensions (right: one)", npy->n_dims);
    return rc;
}

int npy_promised(const uint8_t *head, size_t n, uint64_t *n_bytes, struct error *err)
{
    struct npy npy;
    int rc = npy_parse_header(&npy, head, n, err);
    *n_bytes = rc == 0 ? npy.n_header + npy.n_bytes : 0;
    return rc;
}

static size_t format_header(char head[NPY_HEADER_OUT_MAX], const char *descr, uint32_t n_dims,
                            const uint64_t *dims)
{
    enum { PREFIX = 10 }; /* magic, version 1.0, u16 length of the text */
    char *text = head + PREFIX;
    size_t size = NPY_HEADER_OUT_MAX - PREFIX;
    CHECK(n_dims <= NPY_DIMS_MAX);
    size_t n =
        (size_t)snprintf(text, size, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (uint32_t d = 0; d < n_dims; d++)
        n += (size_t)snprintf(text + n, size - n, d > 0 ? ", %" PRIu64 : "%" PRIu64, dims[d]);
    n += (size_t)snprintf(text + n, size - n, "%s), }", n_dims == 1 ? "," : "");
    size_t total = (PREFIX + n + 1 + ALIGN - 1) / ALIGN * ALIGN;
    CHECK(total <= NPY_HEADER_OUT_MAX);
    memcpy(head, magic, MAGIC_BYTES);
    memset(text + n, ' ', total - PREFIX - n);
    head[total - 1] = '\n';
    head[6] = 1;
    head[7] = 0;
    head[8] = (char)((total - PREFIX) & 0xff);
    head[9] = (char)((total - PREFIX) >> 8);
    return total;
}

size_t npy_format_header(char head[NPY_HEADER_OUT_MAX], enum element element, uint32_t n_dims,
                         const uint64_t *dims)
{
    return format_header(head, elements[element].descr, n_dims, dims);
}

size_t npy_format_texts(char head[NPY_HEADER_OUT_MAX], uint32_t n_chars, uint64_t n)
{
    char descr[16];
    snprintf(descr, sizeof descr, "<U%" PRIu32, n_chars);
    return format_header(head, descr, 1, &n);
}
