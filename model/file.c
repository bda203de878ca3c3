#include "model/file_inner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/meta.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

const char *const file_format_names[N_FILE_FORMATS + 1] = {"npz", "safetensors", "npy", NULL};

enum { CHUNK = 8192 }; /* elements read at a time where they are converted */

int file_tensor_error(const struct model_file *f, const struct file_tensor *t, struct error *err,
                      const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(err, ERR_DATA, "%s: tensor %s: %s", f->path, t->name, text);
}

void file_shape_text(char text[FILE_SHAPE_MAX], const uint64_t *shape, uint32_t n_dims)
{
    int n = snprintf(text, FILE_SHAPE_MAX, "(");
    for (uint32_t d = 0; d < n_dims; d++)
        n += snprintf(text + n, FILE_SHAPE_MAX - (size_t)n, "%s%" PRIu64, d > 0 ? ", " : "",
                      shape[d]);
    snprintf(text + n, FILE_SHAPE_MAX - (size_t)n, n_dims == 1 ? ",)" : ")");
}

/* ---- opening ------------------------------------------------------------------------------- */

struct file_tensor *file_add_tensor(struct model_file *f, const char *name, size_t length,
                                    struct error *err)
{
    uint32_t n = f->n_tensors;
    if (n == FILE_TENSORS_MAX) {
        error_set(err, ERR_DATA, "%s: more than %d tensors", f->path, FILE_TENSORS_MAX);
        return NULL;
    }
    size_t good = 0;
    while (good < length && name[good] >= ' ' && name[good] <= '~')
        good++;
    if (length == 0 || length >= FILE_NAME_MAX || good < length) {
        error_set(err, ERR_DATA,
                  "%s: tensor %" PRIu32 ": its name has %zu bytes%s (right: 1 to %d of printable "
                  "ASCII)",
                  f->path, n, length, good < length ? ", not all of them printable" : "",
                  FILE_NAME_MAX - 1);
        return NULL;
    }
    if ((n & (n - 1)) == 0) { /* grows at powers of two */
        struct file_tensor *more = realloc(f->tensors, (n > 0 ? 2 * n : 1) * sizeof *more);
        CHECK(more != NULL);
        f->tensors = more;
    }
    struct file_tensor *t = &f->tensors[f->n_tensors++];
    *t = (struct file_tensor){.dtype = N_DTYPES};
    memcpy(t->name, name, length);
    return t;
}

int file_count(const struct model_file *f, struct file_tensor *t, struct error *err)
{
    char shape[FILE_SHAPE_MAX];
    t->count = 1;
    bool is_empty = false, is_large = false;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        is_empty = is_empty || t->shape[d] == 0;
        is_large = is_large || t->shape[d] > FILE_COUNT_MAX / t->count;
        t->count *= is_large || is_empty ? 1 : t->shape[d];
    }
    if (is_empty)
        t->count = 0;
    if (!is_large || is_empty)
        return 0;
    file_shape_text(shape, t->shape, t->n_dims);
    return file_tensor_error(f, t, err, "shape %s: more than %d elements", shape, FILE_COUNT_MAX);
}

int file_take_meta(struct model_file *f, const char *text, size_t n, struct error *err)
{
    json_error_t why;
    f->meta = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(f->meta))
        return 0;
    return error_set(err, ERR_DATA, "%s: metadata, byte %d: no JSON object: %s", f->path,
                     f->meta == NULL ? why.position : 0,
                     f->meta == NULL ? why.text : "something else");
}

static int by_name(const void *a, const void *b)
{
    const struct file_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int check_names(const struct model_file *f, struct error *err)
{
    uint32_t n = f->n_tensors, i = 1;
    const struct file_tensor **sorted = MEM_NEW(const struct file_tensor *, n + 1);
    for (uint32_t k = 0; k < n; k++)
        sorted[k] = &f->tensors[k];
    qsort(sorted, n, sizeof *sorted, by_name);
    while (i < n && strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
        i++;
    int rc = i < n ? file_tensor_error(f, sorted[i], err, "stands twice in the file") : 0;
    free(sorted);
    return rc;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* By the first bytes; where they say nothing, by the name. */
static int find_format(struct model_file *f, struct error *err)
{
    uint8_t head[9] = {0};
    size_t n = f->size < sizeof head ? f->size : sizeof head;
    if (n == 0)
        return error_set(err, ERR_DATA, "%s: is empty", f->path);
    if (file_read_at(f->fd, f->path, 0, head, n, err) != 0)
        return err->code;
    if (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0)
        f->format = FILE_NPZ;
    else if (memcmp(head, "\x93NUMPY", 6) == 0)
        f->format = FILE_NPY;
    else if (head[8] == '{' || ends_with(f->path, ".safetensors"))
        f->format = FILE_SAFETENSORS;
    else if (ends_with(f->path, ".npz"))
        f->format = FILE_NPZ;
    else
        return error_set(err, ERR_DATA,
                         "%s: offset 0: begins with %02x %02x %02x %02x: neither .npz, nor "
                         ".safetensors, nor .npy",
                         f->path, head[0], head[1], head[2], head[3]);
    return 0;
}

int model_file_open(struct model_file *f, const char *path, struct error *err)
{
    *f = (struct model_file){.path = path};
    f->fd = file_open(path, &f->size, err);
    int rc = f->fd < 0 ? f->fd : find_format(f, err);
    if (rc != 0)
        return rc;
    switch (f->format) {
    case FILE_NPZ:
        rc = npz_open(f, err);
        break;
    case FILE_SAFETENSORS:
        rc = safetensors_open(f, err);
        break;
    case FILE_NPY:
        rc = npy_open(f, err);
        break;
    case N_FILE_FORMATS:
        CHECK(false && "a format");
    }
    return rc != 0 ? rc : check_names(f, err);
}

void model_file_close(struct model_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->tensors);
    json_decref(f->meta);
    *f = (struct model_file){.fd = -1};
}

/* ---- elements ------------------------------------------------------------------------------ */

static int end_crc(const struct file_cursor *c, struct error *err)
{
    if (c->tensor->has_crc && c->crc != c->tensor->crc)
        return file_tensor_error(c->file, c->tensor, err,
                                 "the checksum does not fit: the file is damaged");
    return 0;
}

int file_cursor_open(struct file_cursor *c, const struct model_file *f, const struct file_tensor *t,
                     struct error *err)
{
    *c = (struct file_cursor){.file = f, .tensor = t, .crc = t->crc_start};
    if (t->dtype == N_DTYPES)
        return file_tensor_error(f, t, err, "dtype %s (right: %s)", t->dtype_text,
                                 f->format == FILE_SAFETENSORS ? "F32, F16, BF16 or F64"
                                                               : "<f4, <f2 or <f8");
    if (t->is_fortran)
        return file_tensor_error(f, t, err,
                                 "Fortran order (right: C order, as of "
                                 "numpy.ascontiguousarray)");
    return 0;
}

int file_cursor_next(struct file_cursor *c, double *values, uint32_t max, uint32_t *n,
                     struct error *err)
{
    uint8_t bytes[CHUNK * sizeof(double)];
    const struct file_tensor *t = c->tensor;
    uint64_t left = t->count - c->next, width = dtype_bytes(t->dtype);
    *n = max < CHUNK ? max : CHUNK;
    *n = left < *n ? (uint32_t)left : *n;
    if (*n == 0)
        return end_crc(c, err);
    if (file_read_at(c->file->fd, c->file->path, t->offset + c->next * width, bytes, *n * width,
                     err) != 0)
        return err->code;
    if (t->has_crc)
        c->crc = (uint32_t)crc32_z(c->crc, bytes, *n * width);
    dtype_decode(t->dtype, bytes, values, *n);
    c->next += *n;
    return 0;
}

static int not_finite(const struct model_file *f, const struct file_tensor *t, uint64_t index,
                      double value, struct error *err)
{
    if (isfinite(value))
        return file_tensor_error(f, t, err,
                                 "element %" PRIu64 " is %g (right: at most %g, what f32 holds)",
                                 index, value, dtype_max(DTYPE_F32));
    return file_tensor_error(f, t, err, "element %" PRIu64 " is %s (right: a finite number)", index,
                             isnan(value) ? "NaN" : "infinite");
}

static int read_converted(struct file_cursor *c, float *out, struct error *err)
{
    double values[CHUNK];
    uint32_t n;
    int rc;
    while ((rc = file_cursor_next(c, values, CHUNK, &n, err)) == 0 && n > 0)
        for (uint32_t i = 0; i < n; i++, out++) {
            *out = (float)values[i];
            if (!isfinite(*out))
                return not_finite(c->file, c->tensor, c->next - n + i, values[i], err);
        }
    return rc;
}

/* f32 goes straight to its place. */
static int read_floats(const struct model_file *f, const struct file_tensor *t, float *out,
                       struct error *err)
{
    struct file_cursor c;
    int rc = file_cursor_open(&c, f, t, err);
    if (rc != 0)
        return rc;
    if (t->dtype != DTYPE_F32)
        return read_converted(&c, out, err);
    rc = file_read_at(f->fd, f->path, t->offset, out, t->n_bytes, err);
    if (rc == 0 && t->has_crc)
        c.crc = (uint32_t)crc32_z(c.crc, (const Bytef *)out, t->n_bytes);
    if (rc == 0)
        rc = end_crc(&c, err);
    uint64_t at = rc == 0 ? vec_first_beyond(out, FLT_MAX, t->count) : t->count;
    return at < t->count ? not_finite(f, t, at, (double)out[at], err) : rc;
}

/* ---- whole models -------------------------------------------------------------------------- */

static uint64_t count_of(const struct tensor_info *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->n_dims; d++)
        n *= t->shape[d];
    return n;
}

static const struct file_tensor *find(const struct model_file *f, const char *name)
{
    for (uint32_t i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    return NULL;
}

static int check_shape(const struct model_file *f, const struct file_tensor *t,
                       const struct tensor_info *wanted, struct error *err)
{
    char has[FILE_SHAPE_MAX], right[FILE_SHAPE_MAX];
    bool same = t->n_dims == wanted->n_dims;
    for (uint32_t d = 0; same && d < t->n_dims; d++)
        same = t->shape[d] == wanted->shape[d];
    if (same)
        return 0;
    file_shape_text(has, t->shape, t->n_dims);
    file_shape_text(right, wanted->shape, wanted->n_dims);
    return file_tensor_error(f, t, err, "shape %s (right: %s)", has, right);
}

/* A tensor of the file that the model has no place for. */
static int check_extra(const struct model_file *f, const struct model *m, struct error *err)
{
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        uint32_t k = 0;
        while (k < m->n_tensors && strcmp(f->tensors[i].name, m->tensors[k].name) != 0)
            k++;
        if (k == m->n_tensors)
            return file_tensor_error(f, &f->tensors[i], err,
                                     "is none of the model's %" PRIu32 " (%.150s)", m->n_tensors,
                                     m->spec);
    }
    return 0;
}

static int read_named(const struct model_file *f, const struct model *m, float *theta,
                      struct error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < m->n_tensors; i++) {
        const struct tensor_info *wanted = &m->tensors[i];
        const struct file_tensor *t = find(f, wanted->name);
        if (t == NULL)
            return error_set(err, ERR_DATA, "%s: tensor %s: missing (model %.150s)", f->path,
                             wanted->name, m->spec);
        rc = check_shape(f, t, wanted, err);
        if (rc == 0)
            rc = read_floats(f, t, theta + wanted->offset, err);
    }
    return rc != 0 ? rc : check_extra(f, m, err);
}

static int read_flat(const struct model_file *f, const struct model *m, float *theta,
                     struct error *err)
{
    const struct tensor_info wanted = {.n_dims = 1, .shape = {m->dim}};
    int rc = check_shape(f, &f->tensors[0], &wanted, err);
    return rc != 0 ? rc : read_floats(f, &f->tensors[0], theta, err);
}

int model_file_read(const struct model_file *f, const struct model *m, float *theta,
                    struct error *err)
{
    char hash[META_HASH_MAX];
    int rc = f->format == FILE_NPY ? read_flat(f, m, theta, err) : read_named(f, m, theta, err);
    const char *wanted = json_string_value(json_object_get(f->meta, "weights"));
    if (rc != 0 || wanted == NULL)
        return rc;
    weights_hash(m, theta, hash);
    if (strcmp(hash, wanted) != 0)
        return error_set(err, ERR_DATA,
                         "%s: the weights hash to %s (right: %.40s, says its metadata): the file "
                         "is damaged, or was changed and its \"weights\" not removed",
                         f->path, hash, wanted);
    return 0;
}

int model_file_load(const char *path, const struct model *m, float *theta, struct error *err)
{
    struct model_file f;
    int rc = model_file_open(&f, path, err);
    if (rc == 0)
        rc = model_file_read(&f, m, theta, err);
    model_file_close(&f);
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------- */

int file_format_of(const char *path, enum file_format *format, struct error *err)
{
    bool safetensors = ends_with(path, ".safetensors");
    *format = safetensors ? FILE_SAFETENSORS : FILE_NPZ;
    if (safetensors || ends_with(path, ".npz"))
        return 0;
    return error_set(err, ERR_USAGE,
                     "%s: the name of a model file ends in .npz or .safetensors, which says how it "
                     "is written",
                     path);
}

void file_emit(struct file_writer *w, const void *bytes, size_t n)
{
    (void)fwrite(bytes, 1, n, w->draft.out); /* the stream keeps failures, to be asked at the end */
}

/* What an .npz cannot hold. */
static int check_npz(const char *path, const struct file_tensor *tensors, uint32_t n,
                     struct error *err)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (tensors[i].dtype == DTYPE_BF16)
            return error_set(err, ERR_USAGE, "%s: numpy has no bf16 (right: .safetensors)", path);
        n_bytes += tensors[i].count * dtype_bytes(tensors[i].dtype) + NPY_WRITTEN_MAX;
    }
    if (n_bytes > UINT32_MAX - FILE_METADATA_MAX)
        return error_set(err, ERR_USAGE,
                         "%s: %" PRIu64 " bytes are too many for .npz (right: "
                         ".safetensors)",
                         path, n_bytes);
    return 0;
}

int file_writer_create(struct file_writer *w, const char *path, const struct file_tensor *tensors,
                       uint32_t n_tensors, const json_t *meta, struct error *err)
{
    *w = (struct file_writer){.tensors = tensors, .n_tensors = n_tensors, .meta = meta};
    int rc = file_format_of(path, &w->format, err);
    if (rc == 0 && w->format == FILE_NPZ)
        rc = check_npz(path, tensors, n_tensors, err);
    if (rc == 0)
        rc = file_draft_open(&w->draft, path, err);
    if (rc != 0)
        return rc;
    if (w->format == FILE_NPZ)
        zip_writer_begin(&w->zip, w->draft.out);
    else if ((rc = safetensors_begin(w, err)) != 0)
        file_draft_drop(&w->draft);
    return rc;
}

void file_writer_put(struct file_writer *w, const void *bytes)
{
    CHECK(w->n_put < w->n_tensors);
    const struct file_tensor *t = &w->tensors[w->n_put];
    if (w->format == FILE_NPZ)
        npz_put(w, t, bytes);
    else
        file_emit(w, bytes, t->count * dtype_bytes(t->dtype));
    w->n_put++;
}

int file_writer_commit(struct file_writer *w, struct error *err)
{
    CHECK(w->n_put == w->n_tensors);
    if (w->format == FILE_NPZ)
        npz_end(w);
    return file_draft_commit(&w->draft, err);
}

void file_writer_drop(struct file_writer *w)
{
    zip_writer_drop(&w->zip);
    file_draft_drop(&w->draft);
}

int model_file_write(const char *path, const struct model *m, const float *theta, json_t *meta,
                     struct error *err)
{
    struct file_writer w;
    char hash[META_HASH_MAX];
    struct file_tensor *tensors = MEM_NEW(struct file_tensor, m->n_tensors);
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct tensor_info *t = &m->tensors[i];
        snprintf(tensors[i].name, sizeof tensors[i].name, "%s", t->name);
        tensors[i].dtype = DTYPE_F32;
        tensors[i].n_dims = t->n_dims;
        memcpy(tensors[i].shape, t->shape, t->n_dims * sizeof *t->shape);
        tensors[i].count = count_of(t);
    }
    weights_hash(m, theta, hash);
    json_object_set_new(meta, "weights", json_string(hash));
    int rc = file_writer_create(&w, path, tensors, m->n_tensors, meta, err);
    for (uint32_t i = 0; rc == 0 && i < m->n_tensors; i++)
        file_writer_put(&w, theta + m->tensors[i].offset);
    if (rc == 0)
        rc = file_writer_commit(&w, err);
    free(tensors);
    return rc;
}
