#include "data/idx.h"

#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

enum { TYPE_U8 = 0x08, READ_MAX = 1 << 28 };

/* Deflate never makes more than this many bytes out of one. */
enum { DEFLATE_RATIO_MAX = 1032 };

struct source {
    gzFile gz;
    const char *path;
    uint64_t offset;    /* of the next byte, after unpacking */
    uint64_t bytes_max; /* what the file can hold at most, after unpacking */
    bool packed;
};

static int source_open(struct source *s, const char *path, struct error *err)
{
    unsigned char magic[2] = {0, 0};
    uint64_t size;
    int fd = file_open(path, &size, err);
    if (fd < 0)
        return fd;
    bool packed = pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    *s = (struct source){.path = path, .packed = packed};
    s->bytes_max = packed ? size * DEFLATE_RATIO_MAX : size;
    s->gz = gzdopen(fd, "rb");
    if (s->gz == NULL) {
        close(fd);
        return error_set(err, ERR_FAILURE, "%s: out of memory", path);
    }
    gzbuffer(s->gz, 1 << 17);
    return 0;
}

/* Exactly n bytes, or an error that says where the file ended. */
static int source_read(struct source *s, uint8_t *bytes, uint64_t n, struct error *err)
{
    while (n > 0) {
        int got = gzread(s->gz, bytes, (unsigned)(n < READ_MAX ? n : READ_MAX));
        int code;
        const char *reason = gzerror(s->gz, &code);
        if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
            return error_set(err, ERR_DATA, "%s: offset %" PRIu64 ": %s%s", s->path, s->offset,
                             s->packed ? "damaged gzip data: " : "",
                             code == Z_ERRNO ? strerror(errno) : reason);
        if (got == 0)
            return error_set(err, ERR_DATA,
                             "%s: ends at offset %" PRIu64 ", %" PRIu64 " bytes too early", s->path,
                             s->offset, n);
        bytes += got;
        s->offset += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return 0;
}

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int read_header(struct idx *idx, struct source *s, uint32_t min_dims, uint32_t max_dims,
                       struct error *err)
{
    uint8_t magic[4], dims[4 * IDX_DIMS_MAX];
    int rc = source_read(s, magic, sizeof magic, err);
    if (rc != 0)
        return rc;
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != TYPE_U8)
        return error_set(err, ERR_DATA,
                         "%s: offset 0: magic 0x%08x is not IDX with unsigned bytes "
                         "(right: 0x00000801 for labels, 0x00000803 for images)",
                         s->path, get_be32(magic));
    idx->n_dims = magic[3];
    if (idx->n_dims < min_dims || idx->n_dims > max_dims)
        return error_set(err, ERR_DATA,
                         "%s: offset 3: %" PRIu32 " dimensions (right: %" PRIu32 " to %" PRIu32 ")",
                         s->path, idx->n_dims, min_dims, max_dims);
    rc = source_read(s, dims, 4 * (uint64_t)idx->n_dims, err);
    if (rc != 0)
        return rc;
    idx->n_bytes = 1;
    for (uint32_t d = 0; d < idx->n_dims; d++) {
        uint32_t dim = get_be32(dims + 4 * d);
        if (dim == 0 || dim > IDX_DIM_MAX || idx->n_bytes > IDX_BYTES_MAX / dim)
            return error_set(err, ERR_DATA,
                             "%s: offset %" PRIu32 ": dimension %" PRIu32 " is %" PRIu32
                             " (right: at least 1, and %" PRIu64 " bytes in all at most)",
                             s->path, 4 + 4 * d, d, dim, IDX_BYTES_MAX);
        idx->dims[d] = dim;
        idx->n_bytes *= dim;
    }
    return 0;
}

/* Huge pages where the system gives them: the rows of a batch lie anywhere, and with small pages
 * each costs a walk of the page table. */
static void *alloc_pages(uint64_t n_bytes)
{
    const size_t huge = (size_t)1 << 21;
    if (n_bytes < huge)
        return malloc(n_bytes);
    size_t size = (n_bytes + huge - 1) / huge * huge;
    void *p = aligned_alloc(huge, size);
    if (p != NULL)
        (void)madvise(p, size, MADV_HUGEPAGE);
    return p;
}

static int read_data(struct idx *idx, struct source *s, struct error *err)
{
    uint8_t extra;
    if (idx->n_bytes > s->bytes_max)
        return error_set(err, ERR_DATA,
                         "%s: offset 4: the header promises %" PRIu64
                         " bytes of data, more than the whole file can hold",
                         s->path, idx->n_bytes);
    idx->bytes = alloc_pages(idx->n_bytes);
    if (idx->bytes == NULL)
        return error_set(err, ERR_FAILURE, "%s: no memory for %" PRIu64 " bytes", s->path,
                         idx->n_bytes);
    int rc = source_read(s, idx->bytes, idx->n_bytes, err);
    if (rc != 0)
        return rc;
    /* The read at the end also makes zlib compare its checksum. */
    struct error at_end;
    uint64_t end = s->offset;
    if (source_read(s, &extra, 1, &at_end) == 0)
        return error_set(err, ERR_DATA,
                         "%s: offset %" PRIu64 ": bytes after the end of the data "
                         "(right: the file ends here)",
                         s->path, end);
    int code;
    gzerror(s->gz, &code);
    if (code != Z_OK && code != Z_STREAM_END) {
        *err = at_end;
        return ERR_DATA;
    }
    return 0;
}

int idx_read(struct idx *idx, const char *path, uint32_t min_dims, uint32_t max_dims,
             struct error *err)
{
    struct source s;
    *idx = (struct idx){0};
    int rc = source_open(&s, path, err);
    if (rc != 0)
        return rc;
    rc = read_header(idx, &s, min_dims, max_dims, err);
    if (rc == 0)
        rc = read_data(idx, &s, err);
    /* A gzip stream that stops before its checksum shows only here. */
    if (gzclose_r(s.gz) != Z_OK && rc == 0)
        rc = error_set(err, ERR_DATA, "%s: damaged gzip data: the file is cut short", path);
    if (rc != 0) {
        free(idx->bytes);
        *idx = (struct idx){0};
    }
    return rc;
}

struct part {
    struct dataset *set;
    const char *images, *labels;
    char images_path[512], labels_path[512];
};

/* dir/name, or dir/name.gz if only that is there. */
static int find_file(char path[512], const char *dir, const char *name, const char *hint,
                     struct error *err)
{
    static const char *const suffixes[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, 512, "%s/%s%s", dir, name, suffixes[i]);
        if (n >= 512)
            return error_set(err, ERR_DATA, "%.200s...: path longer than 511 bytes", dir);
        if (access(path, F_OK) == 0)
            return 0;
    }
    return error_set(err, ERR_DATA, "%s/%s: no such file, nor with .gz%s%s", dir, name,
                     hint ? "; " : "", hint ? hint : "");
}

static int read_part(struct part *p, const char *dir, const char *hint, struct error *err)
{
    struct idx images = {0}, labels = {0};
    int rc = find_file(p->images_path, dir, p->images, hint, err);
    if (rc == 0)
        rc = find_file(p->labels_path, dir, p->labels, hint, err);
    if (rc == 0)
        rc = idx_read(&images, p->images_path, 2, IDX_DIMS_MAX, err);
    if (rc == 0)
        rc = idx_read(&labels, p->labels_path, 1, 1, err);
    if (rc == 0 && images.dims[0] != labels.dims[0])
        rc = error_set(err, ERR_DATA,
                       "%s: offset 4: %" PRIu32 " labels for the %" PRIu32 " images of %s",
                       p->labels_path, labels.dims[0], images.dims[0], p->images_path);
    if (rc != 0) {
        free(images.bytes);
        free(labels.bytes);
        return rc;
    }
    *p->set = (struct dataset){.n_samples = images.dims[0],
                               .shape = {.n_features = (uint32_t)(images.n_bytes / images.dims[0])},
                               .x_u8 = images.bytes,
                               .labels = labels.bytes,
                               .scale = 1.0f / 255.0f};
    if (images.n_dims >= 3) {
        uint32_t channels = images.n_dims == 4 ? images.dims[1] : 1;
        const uint32_t *size = &images.dims[images.n_dims - 2];
        memcpy(p->set->shape.image, (uint32_t[]){channels, size[0], size[1]},
               sizeof p->set->shape.image);
    }
    return 0;
}

static int check_labels(const struct part *train, const struct part *test, struct error *err)
{
    enum { HEADER_BYTES = 8 };
    uint32_t n_classes = 0;
    for (uint32_t i = 0; i < train->set->n_samples; i++)
        if (train->set->labels[i] >= n_classes)
            n_classes = train->set->labels[i] + 1u;
    if (n_classes < 2)
        return error_set(err, ERR_DATA, "%s: every label is 0 (right: two classes or more)",
                         train->labels_path);
    for (uint32_t i = 0; i < test->set->n_samples; i++)
        if (test->set->labels[i] >= n_classes)
            return error_set(err, ERR_DATA,
                             "%s: offset %" PRIu64 ": label %u (right: 0 to %" PRIu32
                             ", the labels of %s)",
                             test->labels_path, (uint64_t)i + HEADER_BYTES, test->set->labels[i],
                             n_classes - 1, train->labels_path);
    train->set->shape.n_classes = test->set->shape.n_classes = n_classes;
    return 0;
}

/* A chain: each hash seeds the next. */
static uint64_t hash_set(const struct dataset *set, uint64_t seed)
{
    uint64_t h = XXH3_64bits_withSeed(set->labels, set->n_samples, seed);
    return XXH3_64bits_withSeed(set->x_u8, (size_t)set->n_samples * set->shape.n_features, h);
}

int idx_open_pair(struct data_pair *data, const char *dir, const char *source, const char *hint,
                  struct error *err)
{
    *data = (struct data_pair){0};
    struct part train = {&data->train, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "",
                         ""};
    struct part test = {&data->test, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "", ""};
    int rc = read_part(&train, dir, hint, err);
    if (rc == 0)
        rc = read_part(&test, dir, hint, err);
    if (rc == 0 && data->train.shape.n_features != data->test.shape.n_features)
        rc = error_set(err, ERR_DATA,
                       "%s: offset 8: %" PRIu32 " bytes an image (right: %" PRIu32 ", as in %s)",
                       test.images_path, data->test.shape.n_features, data->train.shape.n_features,
                       train.images_path);
    if (rc == 0)
        rc = check_labels(&train, &test, err);
    if (rc != 0) {
        data_close(data);
        return rc;
    }
    uint64_t hash = hash_set(&data->test, hash_set(&data->train, 0));
    snprintf(data->name, sizeof data->name, "%s %" PRIu32 "x%" PRIu32 "/%" PRIu32 " %016" PRIx64,
             source, data->train.n_samples, data->train.shape.n_features,
             data->train.shape.n_classes, hash);
    return 0;
}
