#include "model/npz.h"

#include "base/check.h"
#include "base/file.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie");

/* The zip format: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16. */
enum {
    LOCAL_MAGIC = 0x04034b50,
    CENTRAL_MAGIC = 0x02014b50,
    END_MAGIC = 0x06054b50,
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    COMMENT_MAX = 65535,
    VERSION = 20,
    DATE_1980 = 0x21,     /* the same model makes the same file */
    CENTRAL_MAX = 1 << 24 /* bytes of directory that are read at most */
};

enum { NPY_ALIGN = 64, NPY_HEADER_MAX = 4096 };

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v);
    put16(p + 2, v >> 16);
}

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static uint64_t tensor_count(const struct tensor_info *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->n_dims; d++)
        n *= t->shape[d];
    return n;
}

/* "(256, 784)", "(10,)": as Python prints it. */
static void shape_text(char text[128], const struct tensor_info *t)
{
    int n = snprintf(text, 128, "(");
    for (uint32_t d = 0; d < t->n_dims; d++)
        n += snprintf(text + n, 128 - (size_t)n, "%s%" PRIu64, d > 0 ? ", " : "", t->shape[d]);
    snprintf(text + n, 128 - (size_t)n, t->n_dims == 1 ? ",)" : ")");
}

/* ---- writing ------------------------------------------------------------------------------- */
enum { MEMBERS_MAX = MODEL_TENSORS_MAX + 1 };

struct writer {
    FILE *file;
    uint64_t offset;
    uint32_t n;
    uint8_t central[MEMBERS_MAX][CENTRAL_BYTES];
    char names[MEMBERS_MAX][48];
};

static void emit(struct writer *w, const void *bytes, size_t n)
{
    fwrite(bytes, 1, n, w->file); /* failures are kept by the stream and asked for at the end */
    w->offset += n;
}

/* A member of two parts. The fields that both headers share lie 2 bytes further on in the central
 * one, from "version needed" to the length of the extra field. */
static void emit_member(struct writer *w, const char *name, const void *head, size_t n_head,
                        const void *body, size_t n_body)
{
    uint8_t *central = w->central[w->n], local[LOCAL_BYTES] = {0};
    snprintf(w->names[w->n], sizeof w->names[w->n], "%s", name);
    uLong crc = crc32_z(crc32_z(0, head, n_head), body, n_body);
    put32(local, LOCAL_MAGIC);
    put16(local + 4, VERSION);
    put16(local + 12, DATE_1980);
    put32(local + 14, (uint32_t)crc);
    put32(local + 18, (uint32_t)(n_head + n_body));
    put32(local + 22, (uint32_t)(n_head + n_body));
    put16(local + 26, (uint32_t)strlen(name));
    memset(central, 0, CENTRAL_BYTES);
    put32(central, CENTRAL_MAGIC);
    put16(central + 4, VERSION);
    memcpy(central + 6, local + 4, LOCAL_BYTES - 4);
    put32(central + 42, (uint32_t)w->offset);
    w->n++;
    emit(w, local, sizeof local);
    emit(w, name, strlen(name));
    emit(w, head, n_head);
    emit(w, body, n_body);
}

static void emit_tensor(struct writer *w, const struct tensor_info *t, const float *theta)
{
    char name[48], shape[128], head[256];
    enum { PREFIX = 10 }; /* magic, version 1.0, u16 length of the text */
    shape_text(shape, t);
    snprintf(name, sizeof name, "%s.npy", t->name);
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    int n = snprintf(head + PREFIX, sizeof head - PREFIX,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shape);
    size_t used = PREFIX + (size_t)n + 1;
    size_t total = (used + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN;
    CHECK(total <= sizeof head);
    memset(head + used - 1, ' ', total - used);
    head[total - 1] = '\n';
    put16((uint8_t *)head + 8, (uint32_t)(total - PREFIX));
    emit_member(w, name, head, total, theta + t->offset, tensor_count(t) * sizeof(float));
}

static void emit_directory(struct writer *w)
{
    uint64_t start = w->offset;
    uint8_t end[END_BYTES] = {0};
    for (uint32_t i = 0; i < w->n; i++) {
        emit(w, w->central[i], CENTRAL_BYTES);
        emit(w, w->names[i], strlen(w->names[i]));
    }
    put32(end, END_MAGIC);
    put16(end + 8, w->n);
    put16(end + 10, w->n);
    put32(end + 12, (uint32_t)(w->offset - start));
    put32(end + 16, (uint32_t)start);
    emit(w, end, sizeof end);
}

static void sync_directory(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    int n = slash != NULL ? snprintf(dir, sizeof dir, "%.*s/", (int)(slash - path), path)
                          : snprintf(dir, sizeof dir, ".");
    int fd = n < (int)sizeof dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

int npz_write(const char *path, const struct model *m, const float *theta, const char *metadata,
              struct error *err)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (n >= (int)sizeof temporary)
        return error_set(err, ERR_FAILURE, "%.200s...: path too long", path);
    struct writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", path);
    w->file = fopen(temporary, "wbe");
    if (w->file == NULL) {
        free(w);
        return error_set(err, ERR_FAILURE, "%s: %s", temporary, strerror(errno));
    }
    for (uint32_t i = 0; i < m->n_tensors; i++)
        emit_tensor(w, &m->tensors[i], theta);
    emit_member(w, "hubbub.json", "", 0, metadata, strlen(metadata));
    emit_directory(w);
    errno = 0;
    bool good = fflush(w->file) == 0 && !ferror(w->file) && fsync(fileno(w->file)) == 0;
    int reason = errno;
    good = fclose(w->file) == 0 && good;
    free(w);
    if (good && rename(temporary, path) == 0) {
        sync_directory(path);
        return 0;
    }
    reason = good ? errno : reason;
    unlink(temporary);
    return error_set(err, ERR_FAILURE, "%s: %s", path,
                     reason != 0 ? strerror(reason) : "write error");
}

/* ---- reading -------------------------------------------------------------------------------
 * Sizes and offsets come from the central directory; of a local header only the length counts. */
struct reader {
    int fd;
    const char *path;
    uint64_t size;
    uint8_t *central;
    uint32_t n_central, n_entries;
};

struct member {
    const char *name;
    uint64_t offset, n_bytes; /* of the data in the file */
    uint32_t crc;
};

static int bad(const struct reader *r, uint64_t offset, struct error *err, const char *what)
{
    return error_set(err, ERR_DATA, "%s: offset %" PRIu64 ": %s", r->path, offset, what);
}

static int read_at(const struct reader *r, uint64_t offset, void *bytes, uint64_t n,
                   struct error *err)
{
    if (offset > r->size || n > r->size - offset)
        return error_set(err, ERR_DATA,
                         "%s: offset %" PRIu64 ": %" PRIu64 " bytes expected, but the file ends "
                         "at %" PRIu64,
                         r->path, offset, n, r->size);
    uint8_t *to = bytes;
    while (n > 0) {
        ssize_t got = pread(r->fd, to, n, (off_t)offset);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return bad(r, offset, err, got < 0 ? strerror(errno) : "the file shrank meanwhile");
        if (got > 0) {
            to += got;
            offset += (uint64_t)got;
            n -= (uint64_t)got;
        }
    }
    return 0;
}

/* Finds the end record in the last 64 KiB and loads the central directory. */
static int read_directory(struct reader *r, struct error *err)
{
    uint64_t n = r->size < END_BYTES + COMMENT_MAX ? r->size : END_BYTES + COMMENT_MAX;
    if (n < END_BYTES)
        return bad(r, 0, err, "too short for a zip file (an .npz is one)");
    uint8_t *tail = malloc(n), *end = NULL;
    if (tail == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", r->path);
    int rc = read_at(r, r->size - n, tail, n, err);
    for (uint64_t i = n - END_BYTES + 1; rc == 0 && end == NULL && i-- > 0;)
        if (get32(tail + i) == END_MAGIC)
            end = tail + i;
    if (rc == 0 && end == NULL)
        rc = bad(r, 0, err, "no end record of a zip file (an .npz is one; is it cut short?)");
    if (rc == 0) {
        uint64_t offset = get32(end + 16), bytes = get32(end + 12);
        r->n_entries = get16(end + 10);
        r->n_central = (uint32_t)bytes;
        if (r->n_entries == 0xffff || bytes == 0xffffffff || offset == 0xffffffff)
            rc = bad(r, r->size - n + (uint64_t)(end - tail), err, "zip64 is not supported");
        else if (bytes > CENTRAL_MAX || offset > r->size || bytes > r->size - offset)
            rc = bad(r, r->size - n + (uint64_t)(end - tail), err,
                     "the directory is said to lie outside the file");
        else if ((r->central = malloc(bytes + 1)) == NULL)
            rc = error_set(err, ERR_FAILURE, "%s: out of memory", r->path);
        else
            rc = read_at(r, offset, r->central, bytes, err);
    }
    free(tail);
    return rc;
}

static int reader_open(struct reader *r, const char *path, struct error *err)
{
    *r = (struct reader){.path = path};
    r->fd = file_open(path, &r->size, err);
    return r->fd < 0 ? r->fd : read_directory(r, err);
}

static void reader_close(struct reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free(r->central);
}

static int member_error(const struct reader *r, const char *name, struct error *err,
                        const char *what)
{
    return error_set(err, ERR_DATA, "%s: member %s: %s", r->path, name, what);
}

static int locate(const struct reader *r, const uint8_t *entry, struct member *m, struct error *err)
{
    uint8_t local[LOCAL_BYTES];
    char what[96];
    uint64_t offset = get32(entry + 42);
    if (get16(entry + 8) & 1)
        return member_error(r, m->name, err, "encrypted");
    if (get16(entry + 10) != 0) {
        snprintf(what, sizeof what, "compressed (method %u; right: stored, as numpy.savez does)",
                 get16(entry + 10));
        return member_error(r, m->name, err, what);
    }
    m->crc = get32(entry + 16);
    m->n_bytes = get32(entry + 24);
    if (m->n_bytes == 0xffffffff || offset == 0xffffffff)
        return member_error(r, m->name, err, "zip64 is not supported");
    if (get32(entry + 20) != m->n_bytes)
        return member_error(r, m->name, err, "stored, yet with two different sizes");
    int rc = read_at(r, offset, local, sizeof local, err);
    if (rc != 0)
        return rc;
    if (get32(local) != LOCAL_MAGIC)
        return member_error(r, m->name, err, "no local header where the directory says");
    m->offset = offset + LOCAL_BYTES + get16(local + 26) + get16(local + 28);
    if (m->offset > r->size || m->n_bytes > r->size - m->offset)
        return member_error(r, m->name, err, "reaches beyond the end of the file");
    return 0;
}

static int find_member(const struct reader *r, const char *name, struct member *m,
                       struct error *err)
{
    size_t length = strlen(name);
    const uint8_t *entry = r->central, *found = NULL;
    uint64_t left = r->n_central;
    *m = (struct member){.name = name};
    for (uint32_t i = 0; i < r->n_entries; i++) {
        uint64_t n = CENTRAL_BYTES;
        if (left >= n)
            n += get16(entry + 28) + get16(entry + 30) + get16(entry + 32);
        if (left < n || get32(entry) != CENTRAL_MAGIC)
            return error_set(err, ERR_DATA, "%s: entry %" PRIu32 " of the zip directory is damaged",
                             r->path, i);
        if (get16(entry + 28) == length && memcmp(entry + CENTRAL_BYTES, name, length) == 0) {
            if (found != NULL)
                return member_error(r, name, err, "stands twice in the directory");
            found = entry;
        }
        entry += n;
        left -= n;
    }
    if (found == NULL)
        return member_error(r, name, err, "missing");
    return locate(r, found, m, err);
}

/* What follows 'key': in the dictionary of an .npy header, or NULL. */
static const char *npy_value(const char *text, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *p = strstr(text, quoted);
    return p != NULL ? p + strlen(quoted) + strspn(p + strlen(quoted), " ") : NULL;
}

/* Compares without the spaces. */
static bool same_start(const char *text, const char *expected)
{
    for (; *expected != '\0'; expected++) {
        if (*expected == ' ')
            continue;
        text += strspn(text, " ");
        if (*text++ != *expected)
            return false;
    }
    return true;
}

static int check_npy_header(const struct reader *r, const struct member *m, const char *text,
                            const struct tensor_info *t, struct error *err)
{
    char shape[128], what[256];
    const char *descr = npy_value(text, "descr"), *order = npy_value(text, "fortran_order");
    const char *dims = npy_value(text, "shape");
    shape_text(shape, t);
    if (descr == NULL || order == NULL || dims == NULL)
        return member_error(r, m->name, err, "the .npy header lacks descr, fortran_order or shape");
    if (!same_start(descr, "'<f4'")) {
        int n = (int)strcspn(descr, ",}");
        snprintf(what, sizeof what, "dtype %.*s (right: '<f4', float32)", n < 64 ? n : 64, descr);
        return member_error(r, m->name, err, what);
    }
    if (!same_start(order, "False"))
        return member_error(r, m->name, err, "Fortran order (right: C order)");
    if (!same_start(dims, shape)) {
        int n = (int)strcspn(dims, ")");
        snprintf(what, sizeof what, "shape %.*s) (right: %s)", n < 64 ? n : 64, dims, shape);
        return member_error(r, m->name, err, what);
    }
    return 0;
}

static int read_npy_header(const struct reader *r, const struct member *m, uint64_t *n_header,
                           const struct tensor_info *t, uLong *crc, struct error *err)
{
    uint8_t head[NPY_HEADER_MAX + 1] = {0};
    uint64_t n = m->n_bytes < NPY_HEADER_MAX ? m->n_bytes : NPY_HEADER_MAX, prefix, text;
    int rc = read_at(r, m->offset, head, n, err);
    if (rc != 0)
        return rc;
    if (n < 12 || memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3)
        return member_error(r, m->name, err, "not an .npy array of version 1, 2 or 3");
    prefix = head[6] == 1 ? 10 : 12;
    text = head[6] == 1 ? get16(head + 8) : get32(head + 8);
    if (text > n - prefix)
        return member_error(r, m->name, err, "the .npy header is longer than the member or 4 KiB");
    *n_header = prefix + text;
    *crc = crc32_z(0, head, *n_header);
    head[*n_header] = '\0';
    return check_npy_header(r, m, (const char *)head + prefix, t, err);
}

static int read_tensor(const struct reader *r, const struct tensor_info *t, float *theta,
                       struct error *err)
{
    char name[48], what[96];
    struct member m;
    uint64_t n_header = 0, count = tensor_count(t), n_bytes = count * sizeof(float);
    uLong crc = 0;
    snprintf(name, sizeof name, "%s.npy", t->name);
    int rc = find_member(r, name, &m, err);
    if (rc == 0)
        rc = read_npy_header(r, &m, &n_header, t, &crc, err);
    if (rc != 0)
        return rc;
    if (m.n_bytes - n_header != n_bytes) {
        snprintf(what, sizeof what, "%" PRIu64 " bytes of data (right: %" PRIu64 ")",
                 m.n_bytes - n_header, n_bytes);
        return member_error(r, name, err, what);
    }
    rc = read_at(r, m.offset + n_header, theta + t->offset, n_bytes, err);
    if (rc != 0)
        return rc;
    if (crc32_z(crc, (const Bytef *)(theta + t->offset), n_bytes) != m.crc)
        return member_error(r, name, err, "the checksum does not fit: the file is damaged");
    uint64_t at = vec_first_beyond(theta + t->offset, FLT_MAX, count);
    if (at < count) {
        snprintf(what, sizeof what, "element %" PRIu64 " is NaN or infinite", at);
        return member_error(r, name, err, what);
    }
    return 0;
}

int npz_read(const char *path, const struct model *m, float *theta, struct error *err)
{
    struct reader r;
    int rc = reader_open(&r, path, err);
    for (uint32_t i = 0; rc == 0 && i < m->n_tensors; i++)
        rc = read_tensor(&r, &m->tensors[i], theta, err);
    reader_close(&r);
    return rc;
}

int npz_member(const char *path, const char *name, uint64_t max_bytes, char **bytes,
               struct error *err)
{
    struct reader r;
    struct member m;
    *bytes = NULL;
    int rc = reader_open(&r, path, err);
    if (rc == 0)
        rc = find_member(&r, name, &m, err);
    if (rc == 0 && m.n_bytes > max_bytes)
        rc = error_set(err, ERR_DATA,
                       "%s: member %s: %" PRIu64 " bytes (right: at most %" PRIu64 ")", path, name,
                       m.n_bytes, max_bytes);
    if (rc == 0 && (*bytes = calloc(1, m.n_bytes + 1)) == NULL)
        rc = error_set(err, ERR_FAILURE, "%s: out of memory", path);
    if (rc == 0)
        rc = read_at(&r, m.offset, *bytes, m.n_bytes, err);
    if (rc == 0 && crc32_z(0, (const Bytef *)*bytes, m.n_bytes) != m.crc)
        rc = member_error(&r, name, err, "the checksum does not fit: the file is damaged");
    if (rc != 0) {
        free(*bytes);
        *bytes = NULL;
    }
    reader_close(&r);
    return rc;
}
