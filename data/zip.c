#include "data/zip_inner.h"

#include <inttypes.h>
#include <string.h>

/* Where the end record starts, or n. */
static uint64_t find_end(const uint8_t *bytes, uint64_t n)
{
    for (uint64_t i = n >= END_BYTES ? n - END_BYTES + 1 : 0; i-- > 0;) {
        if (get32(bytes + i) == END_MAGIC)
            return i;
        if (n - i > END_BYTES + COMMENT_MAX)
            break;
    }
    return n;
}

int zip_open(struct zip *z, const uint8_t *bytes, uint64_t n, struct error *err)
{
    *z = (struct zip){.bytes = bytes, .n = n};
    uint64_t end = find_end(bytes, n);
    if (end == n)
        return error_set(err, ERR_DATA,
                         "offset %" PRIu64 ": no end record of a zip file (an .npz is one; is it "
                         "cut short?)",
                         n);
    const uint8_t *p = bytes + end;
    z->n_members = get16(p + 10);
    z->n_directory = get32(p + 12);
    z->directory = get32(p + 16);
    if (end >= LOCATOR_BYTES && get32(p - LOCATOR_BYTES) == LOCATOR_MAGIC) {
        uint64_t at = get64(p - LOCATOR_BYTES + 8);
        if (end < END64_BYTES || at > end - END64_BYTES || get32(bytes + at) != END64_MAGIC)
            return error_set(err, ERR_DATA, "offset %" PRIu64 ": no zip64 end record at %" PRIu64,
                             end - LOCATOR_BYTES, at);
        z->n_members = get64(bytes + at + 32);
        z->n_directory = get64(bytes + at + 40);
        z->directory = get64(bytes + at + 48);
    }
    if (z->directory > end || z->n_directory > end - z->directory)
        return error_set(err, ERR_DATA,
                         "offset %" PRIu64 ": the directory is said to lie outside the file", end);
    if (z->n_members > MEMBERS_MAX || z->n_members > z->n_directory / CENTRAL_BYTES)
        return error_set(err, ERR_DATA,
                         "offset %" PRIu64 ": %" PRIu64 " members in a directory of %" PRIu64
                         " bytes",
                         end, z->n_members, z->n_directory);
    return 0;
}

static int bad(const struct zip_member *m, struct error *err, const char *what)
{
    return error_set(err, ERR_DATA, "member %.*s: %s", (int)(m->n_name < 100 ? m->n_name : 100),
                     m->name, what);
}

/* Of the numbers that do not fit their field, those that do not are in the extra field, in order.
 */
static int read_zip64(struct zip_member *m, const uint8_t *extra, uint32_t n_extra,
                      struct error *err)
{
    uint64_t *const numbers[] = {&m->n_bytes, &m->n_packed, &m->offset};
    const uint8_t *p = NULL;
    uint32_t left = 0;
    for (uint32_t i = 0; p == NULL && i + 4 <= n_extra; i += 4 + get16(extra + i + 2))
        if (get16(extra + i) == EXTRA_ZIP64 && get16(extra + i + 2) <= n_extra - i - 4) {
            p = extra + i + 4;
            left = get16(extra + i + 2);
        }
    for (int k = 0; k < 3; k++) {
        if (*numbers[k] != IN_ZIP64)
            continue;
        if (p == NULL || left < 8)
            return bad(m, err, "its zip64 field is missing or too short");
        *numbers[k] = get64(p);
        p += 8;
        left -= 8;
    }
    return 0;
}

static int locate(const struct zip *z, const uint8_t *entry, struct zip_member *m,
                  struct error *err)
{
    uint32_t method = get16(entry + 10);
    if (get16(entry + 8) & 1)
        return bad(m, err, "encrypted");
    if (method != STORED && method != DEFLATED)
        return error_set(err, ERR_DATA,
                         "member %.*s: compressed by method %" PRIu32 " (right: stored or "
                         "deflated, as numpy does)",
                         (int)(m->n_name < 100 ? m->n_name : 100), m->name, method);
    m->deflated = method == DEFLATED;
    m->crc = get32(entry + 16);
    m->n_packed = get32(entry + 20);
    m->n_bytes = get32(entry + 24);
    m->offset = get32(entry + 42);
    int rc = read_zip64(m, entry + CENTRAL_BYTES + m->n_name, get16(entry + 30), err);
    if (rc != 0)
        return rc;
    if (!m->deflated && m->n_packed != m->n_bytes)
        return bad(m, err, "stored, yet with two different sizes");
    if (m->offset > z->n || z->n - m->offset < LOCAL_BYTES ||
        get32(z->bytes + m->offset) != LOCAL_MAGIC)
        return bad(m, err, "no local header where the directory says");
    const uint8_t *local = z->bytes + m->offset;
    m->offset += LOCAL_BYTES + get16(local + 26) + get16(local + 28);
    if (m->offset > z->n || m->n_packed > z->n - m->offset)
        return bad(m, err, "reaches beyond the end of the file");
    return 0;
}

int zip_next(const struct zip *z, uint64_t *at, struct zip_member *m, struct error *err)
{
    const uint8_t *entry = z->bytes + z->directory + *at;
    uint64_t left = z->n_directory - *at, n = CENTRAL_BYTES;
    if (left == 0)
        return 0;
    if (left >= n)
        n += get16(entry + 28) + get16(entry + 30) + get16(entry + 32);
    if (left < n || get32(entry) != CENTRAL_MAGIC)
        return error_set(err, ERR_DATA, "offset %" PRIu64 ": the zip directory is damaged",
                         z->directory + *at);
    *m = (struct zip_member){.name = (const char *)entry + CENTRAL_BYTES,
                             .n_name = get16(entry + 28)};
    *at += n;
    int rc = locate(z, entry, m, err);
    return rc != 0 ? rc : 1;
}
