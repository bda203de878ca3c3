#include "data/unpack.h"

#include "data/cache.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { OUT_BYTES = 1 << 18, IN_MAX = 1 << 30 };
_Static_assert((int)OUT_BYTES >= (int)UNPACK_HEAD_BYTES, "the first piece holds the head");

struct unpacking {
    const struct packed *p;
    z_stream z;
    uint64_t n_out, expected;
    uint32_t crc;
    int fd;
    bool write_failed; /* with errno */
    uint8_t *out;      /* [OUT_BYTES] */
};

static int bad(const struct unpacking *u, struct error *err, const char *what)
{
    return error_set(err, ERR_DATA, "%s: offset %" PRIu64 ": damaged %s data: %s", u->p->name,
                     u->n_out, u->p->is_gzip ? "gzip" : "deflate", what);
}

static uint64_t n_read(const struct unpacking *u)
{
    return (uint64_t)(u->z.next_in - u->p->bytes);
}

static int check_size(struct unpacking *u, bool at_end, struct error *err)
{
    if (u->expected > 0 && u->n_out > u->expected)
        return error_set(err, ERR_DATA,
                         "%s: offset %" PRIu64 ": bytes after the end of the data (right: the "
                         "file ends here)",
                         u->p->name, u->expected);
    if (u->expected > 0 && at_end && u->n_out < u->expected)
        return error_set(err, ERR_DATA,
                         "%s: ends at offset %" PRIu64 ", %" PRIu64 " bytes too early", u->p->name,
                         u->n_out, u->expected - u->n_out);
    if (u->expected == 0 && u->n_out > UNPACK_FREE_BYTES && u->n_out / UNPACK_RATIO_MAX > n_read(u))
        return error_set(err, ERR_DATA,
                         "%s: offset %" PRIu64 ": %" PRIu64 " packed bytes became more than %d "
                         "times as many: made to explode? (right: unpack it yourself)",
                         u->p->name, u->n_out, n_read(u), UNPACK_RATIO_MAX);
    return 0;
}

static int take_promise(struct unpacking *u, size_t n, struct error *err)
{
    if (u->p->promised == NULL)
        return 0;
    int rc = u->p->promised(u->out, n, &u->expected, err);
    if (rc != 0)
        return error_prefix(err, "%s", u->p->name);
    if (u->expected / DEFLATE_RATIO_MAX > u->p->n)
        return error_set(err, ERR_DATA,
                         "%s: the header promises %" PRIu64
                         " bytes, more than the whole file can hold",
                         u->p->name, u->expected);
    return 0;
}

static int put(struct unpacking *u, size_t n, struct error *err)
{
    int rc = u->n_out == 0 ? take_promise(u, n, err) : 0;
    for (size_t at = 0; rc == 0 && at < n;) {
        ssize_t got = write(u->fd, u->out + at, n - at);
        if (got > 0) {
            at += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            u->write_failed = true;
            rc = error_set(err, ERR_FAILURE, "%s: cannot unpack: %s", u->p->name, strerror(errno));
        }
    }
    u->n_out += n;
    if (u->p->has_crc)
        u->crc = (uint32_t)crc32_z(u->crc, u->out, n);
    return rc != 0 ? rc : check_size(u, false, err);
}

/* What follows the end of a stream: nothing, zeros, or of gzip the next one. 1: go on. */
static int next_stream(struct unpacking *u, struct error *err)
{
    const uint8_t *p = u->z.next_in, *end = u->p->bytes + u->p->n;
    if (u->p->is_gzip && end - p >= 2 && p[0] == 0x1f && p[1] == 0x8b)
        return inflateReset(&u->z) == Z_OK ? 1 : bad(u, err, "no next stream");
    while (p < end && *p == 0)
        p++;
    return p == end ? 0 : bad(u, err, "other bytes follow it");
}

static int run(struct unpacking *u, struct error *err)
{
    const uint8_t *end = u->p->bytes + u->p->n;
    int rc = 1;
    u->z.next_in = (Bytef *)(uintptr_t)u->p->bytes;
    while (rc > 0) {
        size_t left = (size_t)(end - u->z.next_in);
        u->z.avail_in = (uInt)(left < IN_MAX ? left : IN_MAX);
        u->z.next_out = u->out;
        u->z.avail_out = OUT_BYTES;
        int z = inflate(&u->z, Z_NO_FLUSH);
        size_t n = OUT_BYTES - u->z.avail_out;
        rc = n > 0 ? put(u, n, err) : 0;
        if (rc != 0)
            return rc;
        if (z == Z_STREAM_END)
            rc = next_stream(u, err);
        else if (z == Z_OK)
            rc = 1;
        else if (z == Z_BUF_ERROR)
            rc = bad(u, err, "the file is cut short");
        else if (z == Z_MEM_ERROR)
            rc = error_set(err, ERR_FAILURE, "%s: out of memory", u->p->name);
        else
            rc = bad(u, err, u->z.msg != NULL ? u->z.msg : "no such stream");
    }
    if (rc == 0)
        rc = check_size(u, true, err);
    if (rc == 0 && u->p->has_crc && u->crc != u->p->crc)
        rc = error_set(err, ERR_DATA, "%s: the checksum does not fit: the file is damaged",
                       u->p->name);
    return rc;
}

/* The number of bytes is in *n. */
static int unpack_to(const struct packed *p, int fd, bool *write_failed, uint64_t *n,
                     struct error *err)
{
    enum { WINDOW_BITS = 15, GZIP = 16 };
    struct unpacking u = {.p = p, .expected = p->expected, .fd = fd, .out = malloc(OUT_BYTES)};
    int rc = 0;
    if (u.out == NULL || inflateInit2(&u.z, p->is_gzip ? WINDOW_BITS + GZIP : -WINDOW_BITS) != Z_OK)
        rc = error_set(err, ERR_FAILURE, "%s: out of memory", p->name);
    if (rc == 0) {
        rc = run(&u, err);
        inflateEnd(&u.z);
    }
    free(u.out);
    *write_failed = u.write_failed;
    *n = u.n_out;
    if (rc == 0 && u.n_out == 0)
        rc = error_set(err, ERR_DATA, "%s: nothing is packed in it", p->name);
    return rc;
}

const uint8_t *unpack(struct memory **list, const struct packed *p, uint64_t *n, struct error *err)
{
    struct cache_entry entry;
    bool write_failed = false;
    const uint8_t *bytes = cache_find(list, p->bytes, p->n, &entry, n);
    if (bytes != NULL && p->expected > 0 && *n != p->expected) {
        memory_drop(list, bytes);
        bytes = NULL;
    }
    if (bytes != NULL)
        return bytes;
    int rc = cache_begin(&entry, false, err);
    if (rc == 0)
        rc = unpack_to(p, entry.fd, &write_failed, n, err);
    if (rc != 0 && write_failed && entry.path[0] != '\0') { /* the disk is full, say */
        cache_abandon(&entry);
        rc = cache_begin(&entry, true, err);
        if (rc == 0)
            rc = unpack_to(p, entry.fd, &write_failed, n, err);
    }
    if (rc == 0)
        return cache_end(list, &entry, *n, p->name, err);
    cache_abandon(&entry);
    return NULL;
}
