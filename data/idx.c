#include "data/idx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TYPE_U8 = 0x08, MAGIC_BYTES = 4 };

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t header_bytes(const struct idx *idx)
{
    return MAGIC_BYTES + 4 * (uint64_t)idx->n_dims;
}

/* Of the first n bytes of a file. The message lacks the path. */
static int parse_header(struct idx *idx, const uint8_t *p, uint64_t n, uint32_t min_dims,
                        uint32_t max_dims, struct error *err)
{
    *idx = (struct idx){0};
    if (n < MAGIC_BYTES)
        return error_set(err, ERR_DATA, "ends at offset %" PRIu64 ", %" PRIu64 " bytes too early",
                         n, MAGIC_BYTES - n);
    if (p[0] != 0 || p[1] != 0 || p[2] != TYPE_U8)
        return error_set(err, ERR_DATA,
                         "offset 0: magic 0x%08x is not IDX with unsigned bytes (right: 0x00000801 "
                         "for labels, 0x00000803 for images)",
                         get_be32(p));
    idx->n_dims = p[3];
    if (idx->n_dims < min_dims || idx->n_dims > max_dims)
        return error_set(err, ERR_DATA,
                         "offset 3: %" PRIu32 " dimensions (right: %" PRIu32 " to %" PRIu32 ")",
                         idx->n_dims, min_dims, max_dims);
    if (n < header_bytes(idx))
        return error_set(err, ERR_DATA, "ends at offset %" PRIu64 ", %" PRIu64 " bytes too early",
                         n, header_bytes(idx) - n);
    idx->n_bytes = 1;
    for (uint32_t d = 0; d < idx->n_dims; d++) {
        uint32_t dim = get_be32(p + MAGIC_BYTES + 4 * d);
        if (dim == 0 || idx->n_bytes > IDX_BYTES_MAX / dim)
            return error_set(err, ERR_DATA,
                             "offset %" PRIu32 ": dimension %" PRIu32 " is %" PRIu32
                             " (right: at least 1, and %" PRIu64 " bytes in all at most)",
                             MAGIC_BYTES + 4 * d, d, dim, IDX_BYTES_MAX);
        idx->dims[d] = dim;
        idx->n_bytes *= dim;
    }
    return 0;
}

int idx_promised(const uint8_t *head, size_t n, uint64_t *n_bytes, struct error *err)
{
    struct idx idx;
    int rc = parse_header(&idx, head, n, 1, IDX_DIMS_MAX, err);
    *n_bytes = rc == 0 ? header_bytes(&idx) + idx.n_bytes : 0;
    return rc;
}

int idx_parse(struct idx *idx, const struct source *s, uint32_t min_dims, uint32_t max_dims,
              struct error *err)
{
    int rc = parse_header(idx, s->bytes, s->n, min_dims, max_dims, err);
    if (rc != 0)
        return error_prefix(err, "%s", s->path);
    uint64_t end = header_bytes(idx) + idx->n_bytes;
    if (s->n < end)
        return error_set(err, ERR_DATA,
                         "%s: ends at offset %" PRIu64 ", %" PRIu64 " bytes too early", s->path,
                         s->n, end - s->n);
    if (s->n > end)
        return error_set(err, ERR_DATA,
                         "%s: offset %" PRIu64 ": bytes after the end of the data (right: the "
                         "file ends here)",
                         s->path, end);
    idx->bytes = s->bytes + header_bytes(idx);
    return 0;
}

int idx_read_samples(struct part *p, const struct source *s, struct error *err)
{
    struct idx idx;
    int rc = idx_parse(&idx, s, 2, IDX_DIMS_MAX, err);
    if (rc != 0)
        return rc;
    uint64_t width = idx.n_bytes / idx.dims[0];
    if (width > UINT32_MAX)
        return error_set(err, ERR_DATA,
                         "%s: offset 8: %" PRIu64 " bytes a sample (right: fewer "
                         "than 2^32)",
                         s->path, width);
    p->n_rows = idx.dims[0];
    p->path = s->path;
    p->x = array_of(idx.bytes, (uint32_t)width, ELEMENT_U8);
    if (idx.n_dims >= 3) {
        const uint32_t *size = &idx.dims[idx.n_dims - 2];
        uint32_t channels = idx.n_dims == 4 ? idx.dims[1] : 1;
        memcpy(p->image, (uint32_t[]){channels, size[0], size[1]}, sizeof p->image);
    }
    return 0;
}

int idx_read_labels(struct part *p, const struct source *s, struct error *err)
{
    struct idx idx;
    int rc = idx_parse(&idx, s, 1, 1, err);
    if (rc != 0)
        return rc;
    if (idx.dims[0] != p->n_rows)
        return error_set(err, ERR_DATA,
                         "%s: offset 4: %" PRIu32 " labels for the %" PRIu64 " samples of %s",
                         s->path, idx.dims[0], p->n_rows, p->path);
    p->y = array_of(idx.bytes, 1, ELEMENT_U8);
    p->y_path = s->path;
    p->y_offset = header_bytes(&idx);
    return 0;
}

/* dir/name, or dir/name.gz if only that is there. */
static int find_file(const char **path, struct memory **list, const char *dir, const char *name,
                     const char *hint, struct error *err)
{
    static const char *const suffixes[] = {"", ".gz"};
    size_t size = strlen(dir) + strlen(name) + sizeof "/.gz";
    char *text = memory_alloc(list, size);
    if (text == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", dir);
    for (int i = 0; i < 2; i++) {
        snprintf(text, size, "%s/%s%s", dir, name, suffixes[i]);
        if (access(text, F_OK) == 0) {
            *path = text;
            return 0;
        }
    }
    return error_set(err, ERR_DATA, "%s/%s: no such file, nor with .gz%s%s", dir, name,
                     hint ? "; " : "", hint ? hint : "");
}

static int read_two(struct part *p, struct memory **list, const char *dir, const char *samples,
                    const char *labels, const char *hint, struct error *err)
{
    struct source s;
    const char *path;
    int rc = find_file(&path, list, dir, samples, hint, err);
    if (rc == 0)
        rc = source_open(&s, list, path, err);
    if (rc == 0)
        rc = idx_read_samples(p, &s, err);
    if (rc == 0)
        rc = find_file(&path, list, dir, labels, hint, err);
    if (rc == 0)
        rc = source_open(&s, list, path, err);
    return rc == 0 ? idx_read_labels(p, &s, err) : rc;
}

int idx_read_directory(struct part *train, struct part *test, struct memory **list, const char *dir,
                       const char *hint, struct error *err)
{
    int rc =
        read_two(train, list, dir, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", hint, err);
    if (rc == 0)
        rc = read_two(test, list, dir, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", hint,
                      err);
    return rc;
}
