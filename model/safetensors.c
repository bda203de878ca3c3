/* .safetensors: a u64 length, so many bytes of JSON, then the elements of all tensors without a gap
 * (https://github.com/huggingface/safetensors, "Format"). The metadata is the string "hubbub" of
 * its
 * __metadata__. */
#include "model/file_inner.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, ALIGN = 64 };

static const struct {
    const char *name;
    uint32_t n_bytes;
    enum dtype dtype;
} dtypes[] = {
    {"F32", 4, DTYPE_F32}, {"F16", 2, DTYPE_F16}, {"BF16", 2, DTYPE_BF16}, {"F64", 8, DTYPE_F64},
    {"I64", 8, N_DTYPES},  {"I32", 4, N_DTYPES},  {"I16", 2, N_DTYPES},    {"I8", 1, N_DTYPES},
    {"U64", 8, N_DTYPES},  {"U32", 4, N_DTYPES},  {"U16", 2, N_DTYPES},    {"U8", 1, N_DTYPES},
    {"BOOL", 1, N_DTYPES},
};
enum { N_KNOWN = sizeof dtypes / sizeof dtypes[0] };

/* ---- reading ------------------------------------------------------------------------------- */

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* A whole number from 0 on. */
static bool get_size(const json_t *value, uint64_t *size)
{
    *size = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static int read_shape(const struct model_file *f, struct file_tensor *t, const json_t *shape,
                      struct error *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > FILE_DIMS_MAX)
        return file_tensor_error(f, t, err, "\"shape\" is no list of at most %d sizes",
                                 FILE_DIMS_MAX);
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t d = 0; d < t->n_dims; d++)
        if (!get_size(json_array_get(shape, d), &t->shape[d]))
            return file_tensor_error(
                f, t, err, "size %" PRIu32 " of \"shape\" is no whole number from 0 on", d);
    return file_count(f, t, err);
}

static int read_tensor(struct model_file *f, struct file_tensor *t, const json_t *value,
                       uint64_t data, struct error *err)
{
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    const json_t *range = json_object_get(value, "data_offsets");
    uint64_t first, last, room = f->size - data;
    uint32_t d = 0;
    while (d < N_KNOWN && (dtype == NULL || strcmp(dtype, dtypes[d].name) != 0))
        d++;
    if (d == N_KNOWN)
        return file_tensor_error(f, t, err, "\"dtype\" is %.32s (right: F32, F16, BF16 or F64)",
                                 dtype != NULL ? dtype : "missing");
    t->dtype = dtypes[d].dtype;
    snprintf(t->dtype_text, sizeof t->dtype_text, "%s", dtypes[d].name);
    if (read_shape(f, t, json_object_get(value, "shape"), err) != 0)
        return err->code;
    if (json_array_size(range) != 2 || !get_size(json_array_get(range, 0), &first) ||
        !get_size(json_array_get(range, 1), &last) || first > last)
        return file_tensor_error(f, t, err, "\"data_offsets\" is no pair [first, end]");
    if (last > room)
        return file_tensor_error(f, t, err,
                                 "ends at byte %" PRIu64 " of the data, which has %" PRIu64
                                 " (is the file cut short?)",
                                 last, room);
    t->offset = data + first;
    t->n_bytes = last - first;
    if (t->n_bytes != t->count * dtypes[d].n_bytes)
        return file_tensor_error(f, t, err, "%" PRIu64 " bytes of elements (right: %" PRIu64 ")",
                                 t->n_bytes, t->count * dtypes[d].n_bytes);
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct file_tensor *x = a, *y = b;
    int by_end = (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
    return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset) : by_end;
}

/* The format allows neither holes nor overlaps. */
static int check_layout(struct model_file *f, uint64_t data, struct error *err)
{
    uint64_t at = data;
    if (f->n_tensors > 0)
        qsort(f->tensors, f->n_tensors, sizeof *f->tensors, by_offset);
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        const struct file_tensor *t = &f->tensors[i];
        if (t->offset != at)
            return file_tensor_error(f, t, err,
                                     "begins at byte %" PRIu64 " of the data (right: %" PRIu64
                                     ", where the one before it ends)",
                                     t->offset - data, at - data);
        at += t->n_bytes;
    }
    if (at != f->size)
        return error_set(err, ERR_DATA,
                         "%s: %" PRIu64 " bytes behind the last tensor, which ends at %" PRIu64,
                         f->path, f->size - at, at);
    return 0;
}

static int read_metadata(struct model_file *f, const json_t *value, struct error *err)
{
    const json_t *text = json_object_get(value, "hubbub");
    if (text == NULL)
        return 0;
    if (!json_is_string(text))
        return error_set(err, ERR_DATA, "%s: \"hubbub\" in __metadata__ is no string", f->path);
    return file_take_meta(f, json_string_value(text), json_string_length(text), err);
}

static int read_header(struct model_file *f, json_t *header, uint64_t data, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value)
    {
        struct file_tensor *t;
        if (strcmp(name, "__metadata__") == 0) {
            if (read_metadata(f, value, err) != 0)
                return err->code;
            continue;
        }
        if ((t = file_add_tensor(f, name, strlen(name), err)) == NULL ||
            read_tensor(f, t, value, data, err) != 0)
            return err->code;
    }
    return check_layout(f, data, err);
}

int safetensors_open(struct model_file *f, struct error *err)
{
    uint8_t length[LENGTH_BYTES];
    json_error_t why;
    if (f->size < LENGTH_BYTES + 2)
        return error_set(err, ERR_DATA, "%s: %" PRIu64 " bytes are too few for .safetensors",
                         f->path, f->size);
    if (file_read_at(f->fd, f->path, 0, length, sizeof length, err) != 0)
        return err->code;
    uint64_t n = get64(length), room = f->size - LENGTH_BYTES;
    if (n > room || n > FILE_HEADER_MAX)
        return error_set(err, ERR_DATA,
                         "%s: offset 0: a header of %" PRIu64 " bytes (right: at most %" PRIu64
                         ", %s)",
                         f->path, n, room < FILE_HEADER_MAX ? room : FILE_HEADER_MAX,
                         n > room ? "what the file holds" : "our limit");
    char *text = MEM_NEW(char, n + 1);
    int rc = file_read_at(f->fd, f->path, LENGTH_BYTES, text, n, err);
    json_t *header = rc == 0 ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &why) : NULL;
    free(text);
    if (rc == 0 && !json_is_object(header))
        rc = error_set(err, ERR_DATA, "%s: offset %d: the header is no JSON object: %s", f->path,
                       LENGTH_BYTES + (header == NULL ? why.position : 0),
                       header == NULL ? why.text : "something else");
    if (rc == 0)
        rc = read_header(f, header, LENGTH_BYTES + n, err);
    json_decref(header);
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------- */

static const char *dtype_text(enum dtype dtype)
{
    for (uint32_t d = 0; d < N_KNOWN; d++)
        if (dtypes[d].dtype == dtype)
            return dtypes[d].name;
    CHECK(false && "a dtype");
}

static json_t *make_header(const struct file_writer *w)
{
    json_t *header = json_object();
    if (w->meta != NULL) {
        char *text = json_dumps(w->meta, JSON_REAL_PRECISION(17));
        CHECK(text != NULL);
        json_object_set_new(header, "__metadata__",
                            json_pack("{s:s, s:s}", "format", "pt", "hubbub", text));
        free(text);
    }
    uint64_t at = 0;
    for (uint32_t i = 0; i < w->n_tensors; i++) {
        const struct file_tensor *t = &w->tensors[i];
        uint64_t end = at + t->count * dtype_bytes(t->dtype);
        json_t *shape = json_array();
        for (uint32_t d = 0; d < t->n_dims; d++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
        json_object_set_new(header, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_text(t->dtype),
                                      "shape", shape, "data_offsets", (json_int_t)at,
                                      (json_int_t)end));
        at = end;
    }
    return header;
}

/* Blanks behind the JSON bring the elements to a cache line. */
int safetensors_begin(struct file_writer *w, struct error *err)
{
    static const char blanks[ALIGN + 1] =
        "                                                                ";
    json_t *header = make_header(w);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    CHECK(text != NULL);
    size_t n = strlen(text), blank = (ALIGN - (LENGTH_BYTES + n) % ALIGN) % ALIGN;
    if (n + blank > FILE_HEADER_MAX) {
        free(text);
        return error_set(err, ERR_DATA, "%s: a header of %zu bytes (at most %d)", w->draft.path,
                         n + blank, FILE_HEADER_MAX);
    }
    const uint64_t length = n + blank; /* little-endian, as are we (model/dtype.c) */
    file_emit(w, &length, sizeof length);
    file_emit(w, text, n);
    file_emit(w, blanks, blank);
    free(text);
    return 0;
}
