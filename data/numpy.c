#include "data/numpy.h"

#include "base/log.h"
#include "data/npy.h"
#include "data/unpack.h"
#include "data/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* Stored members up to this size are compared with their checksum; larger ones are not read. */
#define CHECKED_BYTES (UINT64_C(1) << 28)

/* [n, height, width, channels] when the last is 1, 3 or 4, as of grey, RGB and RGBA, and the one
 * where channels stand otherwise is none of them. */
static bool are_channels_last(const struct npy *npy)
{
    uint64_t first = npy->dims[1], last = npy->dims[3];
    return npy->n_dims == 4 && (last == 1 || last == 3 || last == 4) && first != 1 && first != 3 &&
           first != 4;
}

static int set_samples(struct part *p, const struct npy *npy, const uint8_t *bytes,
                       const char *name, struct error *err)
{
    uint64_t width = 1;
    for (uint32_t d = 1; d < npy->n_dims; d++)
        width *= npy->dims[d];
    if (npy->n_dims < 2 || npy->n_bytes == 0 || width > UINT32_MAX)
        return error_set(err, ERR_DATA,
                         "%s: samples of %" PRIu32 " dimensions, %" PRIu64
                         " bytes in all (right: an array of two dimensions or more, none 0)",
                         name, npy->n_dims, npy->n_bytes);
    *p = (struct part){.n_rows = npy->dims[0],
                       .path = name,
                       .x = array_of(bytes + npy->n_header, (uint32_t)width, npy->element)};
    p->n_dims = npy->n_dims;
    memcpy(p->dims, npy->dims, sizeof p->dims);
    if (npy->n_dims == 3 || npy->n_dims == 4) {
        const uint64_t *size = &npy->dims[npy->n_dims - 2];
        uint32_t channels = npy->n_dims == 4 ? (uint32_t)npy->dims[1] : 1;
        if (are_channels_last(npy)) {
            size--;
            channels = (uint32_t)npy->dims[3];
            p->channels_last = true;
        }
        memcpy(p->image, (uint32_t[]){channels, (uint32_t)size[0], (uint32_t)size[1]},
               sizeof p->image);
    }
    return 0;
}

static int set_labels(struct part *p, const struct npy *npy, const uint8_t *bytes, const char *name,
                      struct error *err)
{
    if (npy->n_dims == 0 || npy->n_dims > 2 || (npy->n_dims == 2 && npy->dims[1] != 1))
        return error_set(err, ERR_DATA,
                         "%s: labels of %" PRIu32 " dimensions (right: one number a sample)", name,
                         npy->n_dims);
    if (npy->dims[0] != p->n_rows)
        return error_set(err, ERR_DATA, "%s: %" PRIu64 " labels for the %" PRIu64 " samples of %s",
                         name, npy->dims[0], p->n_rows, p->path);
    p->y = array_of(bytes + npy->n_header, 1, npy->element);
    p->y_path = name;
    return 0;
}

int numpy_read_samples(struct part *p, const struct source *s, struct error *err)
{
    struct npy npy;
    if (npy_parse(&npy, s->bytes, s->n, err) != 0)
        return error_prefix(err, "%s", s->path);
    return set_samples(p, &npy, s->bytes, s->path, err);
}

int numpy_read_labels(struct part *p, const struct source *s, struct error *err)
{
    struct npy npy;
    if (npy_parse(&npy, s->bytes, s->n, err) != 0)
        return error_prefix(err, "%s", s->path);
    return set_labels(p, &npy, s->bytes, s->path, err);
}

/* ---- .npz ------------------------------------------------------------------------------------ */

enum { NAMES_MAX = 8, NAMED_BYTES_MAX = 1 << 24 };
static const char *const train_x[NAMES_MAX] = {"x_train", "train_x", "train_images", "x",
                                               "data",    "images",  "arr_0"};
static const char *const train_y[NAMES_MAX] = {"y_train", "train_y", "train_labels", "y",
                                               "target",  "labels",  "arr_1"};
static const char *const test_x[NAMES_MAX] = {"x_test", "test_x", "test_images"};
static const char *const test_y[NAMES_MAX] = {"y_test", "test_y", "test_labels"};
static const char *const class_names[NAMES_MAX] = {"target_names"};
static const char *const column_names[NAMES_MAX] = {"feature_names"};

struct npz {
    const struct source *s;
    struct zip zip;
    struct memory **list;
};

static bool is_called(const struct zip_member *m, const char *name)
{
    size_t n = strlen(name);
    return m->n_name == n + 4 && strncasecmp(m->name, name, n) == 0 &&
           memcmp(m->name + n, ".npy", 4) == 0;
}

/* The first of the names that is there: 1; 0: none; ERR_DATA. */
static int find(const struct npz *z, const char *const *names, struct zip_member *m,
                struct error *err)
{
    for (int i = 0; i < NAMES_MAX && names[i] != NULL; i++) {
        struct zip_member each;
        uint64_t at = 0;
        int rc, n_found = 0;
        while ((rc = zip_next(&z->zip, &at, &each, err)) == 1)
            if (is_called(&each, names[i])) {
                *m = each;
                n_found++;
            }
        if (rc == 0 && n_found > 1)
            rc = error_set(err, ERR_DATA, "member %s.npy: stands twice in the directory", names[i]);
        if (rc != 0)
            return error_prefix(err, "%s", z->s->path);
        if (n_found == 1)
            return 1;
    }
    return 0;
}

static int no_samples(const struct npz *z, struct error *err)
{
    char list[200] = "";
    struct zip_member m;
    uint64_t at = 0;
    while (zip_next(&z->zip, &at, &m, err) == 1 && strlen(list) + 40 < sizeof list)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.*s", *list ? ", " : "",
                 (int)(m.n_name < 32 ? m.n_name : 32), m.name);
    return error_set(err, ERR_DATA,
                     "%s: no samples among its members: %s (right: x and y, or x_train, y_train, "
                     "x_test and y_test)",
                     z->s->path, *list ? list : "none");
}

/* "PATH: member NAME", kept in the list. */
static const char *member_name(const struct npz *z, const struct zip_member *m, struct error *err)
{
    size_t size = strlen(z->s->path) + m->n_name + sizeof ": member ";
    char *name = memory_alloc(z->list, size);
    if (name == NULL)
        error_set(err, ERR_FAILURE, "%s: out of memory", z->s->path);
    else
        snprintf(name, size, "%s: member %.*s", z->s->path, (int)m->n_name, m->name);
    return name;
}

static const uint8_t *member_bytes(const struct npz *z, const struct zip_member *m,
                                   const char *name, struct error *err)
{
    const uint8_t *bytes = z->s->bytes + m->offset;
    if (m->deflated) {
        uint64_t n;
        struct packed packed = {.name = name,
                                .bytes = bytes,
                                .n = m->n_packed,
                                .expected = m->n_bytes,
                                .has_crc = true,
                                .crc = m->crc};
        if (m->n_bytes == 0 || m->n_bytes / DEFLATE_RATIO_MAX > m->n_packed) {
            error_set(err, ERR_DATA, "%s: %" PRIu64 " bytes packed into %" PRIu64, name, m->n_bytes,
                      m->n_packed);
            return NULL;
        }
        return unpack(z->list, &packed, &n, err);
    }
    if (m->n_bytes <= CHECKED_BYTES && crc32_z(0, bytes, m->n_bytes) != m->crc) {
        error_set(err, ERR_DATA, "%s: the checksum does not fit: the file is damaged", name);
        return NULL;
    }
    return bytes;
}

static int read_member(const struct npz *z, const struct zip_member *m, struct part *p,
                       int (*set)(struct part *, const struct npy *, const uint8_t *, const char *,
                                  struct error *),
                       struct error *err)
{
    struct npy npy;
    const char *name = member_name(z, m, err);
    const uint8_t *bytes = name != NULL ? member_bytes(z, m, name, err) : NULL;
    if (bytes == NULL)
        return err->code;
    if (npy_parse(&npy, bytes, m->n_bytes, err) != 0)
        return error_prefix(err, "%s", name);
    return set(p, &npy, bytes, name, err);
}

static int read_part(const struct npz *z, struct part *p, const char *const *x_names,
                     const char *const *y_names, struct error *err)
{
    struct zip_member x, y;
    int rc = find(z, x_names, &x, err);
    if (rc <= 0)
        return rc;
    rc = read_member(z, &x, p, set_samples, err);
    if (rc == 0)
        rc = find(z, y_names, &y, err);
    return rc == 1 ? read_member(z, &y, p, set_labels, err) : rc;
}

/* UCS-4 to UTF-8 with a NUL; where the text ends, or NULL for what is no character. */
static char *put_text(char *to, const uint8_t *from, uint32_t n_chars)
{
    for (uint32_t i = 0; i < n_chars; i++) {
        uint32_t c = (uint32_t)from[4 * i] | (uint32_t)from[4 * i + 1] << 8 |
                     (uint32_t)from[4 * i + 2] << 16 | (uint32_t)from[4 * i + 3] << 24;
        uint32_t n_more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
        static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
        if (c == 0)
            break;
        if (c < ' ' || c == 0x7f || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
            return NULL;
        *to++ = (char)(lead[n_more] | c >> 6 * n_more);
        while (n_more-- > 0)
            *to++ = (char)(0x80 | (c >> 6 * n_more & 0x3f));
    }
    *to++ = '\0';
    return to;
}

/* The texts of a member, if it is there and holds such; in memory of the list. */
static int read_names(const struct npz *z, const char *const *called, const char *const **names,
                      uint32_t *n_names, struct error *err)
{
    struct zip_member m;
    struct npy npy;
    int rc = find(z, called, &m, err);
    if (rc <= 0)
        return rc;
    const char *name = member_name(z, &m, err);
    const uint8_t *bytes = name != NULL ? member_bytes(z, &m, name, err) : NULL;
    if (bytes == NULL)
        return err->code;
    if (npy_parse_texts(&npy, bytes, m.n_bytes, err) != 0 || npy.n_bytes > NAMED_BYTES_MAX) {
        log_debug("%s: passed over: no texts", name);
        return 0;
    }
    uint32_t n = (uint32_t)npy.dims[0];
    const char **list = memory_alloc(z->list, n * sizeof *list);
    char *at = memory_alloc(z->list, (uint64_t)n * (4 * npy.n_chars + 1));
    if (list == NULL || at == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", name);
    for (uint32_t i = 0; i < n; i++) {
        list[i] = at;
        at = put_text(at, bytes + npy.n_header + (uint64_t)i * 4 * npy.n_chars, npy.n_chars);
        if (at == NULL)
            return error_set(err, ERR_DATA, "%s: text %" PRIu32 " holds what is no character", name,
                             i);
    }
    *names = list;
    *n_names = n;
    return 0;
}

int numpy_read_npz(struct part *train, struct part *test, struct memory **list,
                   const struct source *s, struct error *err)
{
    struct npz z = {.s = s, .list = list};
    if (zip_open(&z.zip, s->bytes, s->n, err) != 0)
        return error_prefix(err, "%s", s->path);
    int rc = read_part(&z, train, train_x, train_y, err);
    if (rc == 0 && train->n_rows == 0)
        return no_samples(&z, err);
    if (rc == 0)
        rc = read_part(&z, test, test_x, test_y, err);
    if (rc == 0)
        rc = read_names(&z, class_names, &train->class_names, &train->n_class_names, err);
    if (rc == 0)
        rc = read_names(&z, column_names, &train->column_names, &train->n_column_names, err);
    return rc;
}
