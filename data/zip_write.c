/* Zip files: writing. */
#include "data/zip_inner.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    VERSION = 45,     /* the first with zip64 */
    DATE_1980 = 0x21, /* the same members make the same file */
    EXTRA_BYTES = 4 + 3 * 8,
    LOCAL_EXTRA_BYTES = 4 + 2 * 8 /* both sizes, which are known when the member has ended */
};

struct zip_entry {
    char name[ZIP_NAME_MAX];
    uint64_t offset, n_bytes;
    uint32_t crc;
};

static uint8_t *put16(uint8_t *p, uint32_t x)
{
    *p++ = (uint8_t)x;
    *p++ = (uint8_t)(x >> 8);
    return p;
}

static uint8_t *put32(uint8_t *p, uint32_t x)
{
    return put16(put16(p, x), x >> 16);
}

static uint8_t *put64(uint8_t *p, uint64_t x)
{
    return put32(put32(p, (uint32_t)x), (uint32_t)(x >> 32));
}

static void emit(struct zip_writer *w, const void *bytes, size_t n)
{
    (void)fwrite(bytes, 1, n, w->out);
    w->offset += n;
}

/* From "version needed" to the length of the name: the same in both headers. */
static uint8_t *put_common(uint8_t *p, const struct zip_entry *e, uint32_t n_bytes)
{
    p = put16(p, VERSION);
    p = put16(p, 0); /* flags */
    p = put16(p, STORED);
    p = put16(p, 0); /* time */
    p = put16(p, DATE_1980);
    p = put32(p, e->crc);
    p = put32(p, n_bytes);
    p = put32(p, n_bytes);
    return put16(p, (uint32_t)strlen(e->name));
}

static void emit_local(struct zip_writer *w, const struct zip_entry *e)
{
    uint8_t head[LOCAL_BYTES], extra[LOCAL_EXTRA_BYTES], *p;
    p = put_common(put32(head, LOCAL_MAGIC), e, IN_ZIP64);
    put16(p, sizeof extra);
    p = put16(put16(extra, EXTRA_ZIP64), sizeof extra - 4);
    put64(put64(p, e->n_bytes), e->n_bytes);
    emit(w, head, sizeof head);
    emit(w, e->name, strlen(e->name));
    emit(w, extra, sizeof extra);
}

/* What does not fit its field goes into the extra field. */
static uint32_t or_extra(const struct zip_writer *w, uint64_t x, int n, uint8_t **extra)
{
    if (x < w->limit)
        return (uint32_t)x;
    for (int i = 0; i < n; i++)
        *extra = put64(*extra, x);
    return IN_ZIP64;
}

static void emit_central(struct zip_writer *w, const struct zip_entry *e)
{
    uint8_t head[CENTRAL_BYTES] = {0}, extra[EXTRA_BYTES], *end = extra + 4, *p;
    uint32_t n_bytes = or_extra(w, e->n_bytes, 2, &end);
    uint32_t offset = or_extra(w, e->offset, 1, &end);
    uint32_t n_extra = end > extra + 4 ? (uint32_t)(end - extra) : 0;
    put16(put16(extra, EXTRA_ZIP64), (uint32_t)(end - extra - 4));
    p = put_common(put16(put32(head, CENTRAL_MAGIC), VERSION), e, n_bytes);
    put16(p, n_extra);
    put32(head + CENTRAL_BYTES - 4, offset);
    emit(w, head, sizeof head);
    emit(w, e->name, strlen(e->name));
    emit(w, extra, n_extra);
}

static void emit_end(struct zip_writer *w, uint64_t start)
{
    uint8_t end64[END64_BYTES] = {0}, locator[LOCATOR_BYTES] = {0}, end[END_BYTES] = {0}, *p;
    uint64_t n_directory = w->offset - start, at = w->offset;
    bool large = start >= w->limit || n_directory >= w->limit || w->n_entries >= 0xffff;
    if (large) {
        p = put64(put32(end64, END64_MAGIC), END64_BYTES - 12);
        p = put16(put16(p, VERSION), VERSION);
        p = put64(put64(p + 8, w->n_entries), w->n_entries);
        put64(put64(p, n_directory), start);
        put32(put64(put32(locator, LOCATOR_MAGIC) + 4, at), 1);
        emit(w, end64, sizeof end64);
        emit(w, locator, sizeof locator);
    }
    uint32_t n = large ? 0xffff : w->n_entries;
    p = put16(put16(put32(end, END_MAGIC) + 4, n), n);
    p = put32(p, large ? IN_ZIP64 : (uint32_t)n_directory);
    put32(p, large ? IN_ZIP64 : (uint32_t)start);
    emit(w, end, sizeof end);
}

/* Its header, now that checksum and size are known. */
static void end_member(struct zip_writer *w)
{
    if (w->n_entries == 0)
        return;
    uint64_t offset = w->offset;
    const struct zip_entry *e = &w->entries[w->n_entries - 1];
    (void)fseeko(w->out, (off_t)e->offset, SEEK_SET);
    emit_local(w, e);
    (void)fseeko(w->out, (off_t)offset, SEEK_SET);
    w->offset = offset;
}

void zip_writer_begin(struct zip_writer *w, FILE *out)
{
    *w = (struct zip_writer){.out = out, .limit = IN_ZIP64};
}

void zip_writer_member(struct zip_writer *w, const char *name)
{
    end_member(w);
    struct zip_entry *entries = realloc(w->entries, (w->n_entries + 1) * sizeof *entries);
    CHECK(entries != NULL && strlen(name) < ZIP_NAME_MAX);
    w->entries = entries;
    struct zip_entry *e = &entries[w->n_entries++];
    *e = (struct zip_entry){.offset = w->offset};
    strcpy(e->name, name);
    emit_local(w, e);
}

void zip_writer_put(struct zip_writer *w, const void *bytes, size_t n)
{
    struct zip_entry *e = &w->entries[w->n_entries - 1];
    e->crc = (uint32_t)crc32_z(e->crc, bytes, n);
    e->n_bytes += n;
    emit(w, bytes, n);
}

void zip_writer_end(struct zip_writer *w)
{
    end_member(w);
    uint64_t start = w->offset;
    for (uint32_t i = 0; i < w->n_entries; i++)
        emit_central(w, &w->entries[i]);
    emit_end(w, start);
    zip_writer_drop(w);
}

void zip_writer_drop(struct zip_writer *w)
{
    free(w->entries);
    w->entries = NULL;
}
