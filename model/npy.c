/* .npy: a text that says dtype, order and shape, then the elements (NEP 1). */
#include "model/file_inner.h"

#include "base/check.h"
#include "data/npy.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum { PREFIX = 10 /* magic, version 1.0, u16 length of the text */ };

/* numpy has no bf16. */
static const enum element as_element[N_DTYPES] = {[DTYPE_F32] = ELEMENT_F32,
                                                  [DTYPE_F16] = ELEMENT_F16,
                                                  [DTYPE_BF16] = N_ELEMENTS,
                                                  [DTYPE_F64] = ELEMENT_F64};

/* What follows 'key': in the dictionary, or NULL. */
static const char *value_of(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    return p != NULL ? p + strlen(key) + strspn(p + strlen(key), " ") : NULL;
}

/* "(256, 784)", "(10,)", "()". */
static bool parse_shape(const char *p, struct file_tensor *t)
{
    t->n_dims = 0;
    if (*p++ != '(')
        return false;
    for (;;) {
        p += strspn(p, " ");
        if (*p == ')')
            return true;
        if (!isdigit((unsigned char)*p) || t->n_dims == FILE_DIMS_MAX)
            return false;
        uint64_t n = 0;
        for (; isdigit((unsigned char)*p); p++) {
            if (n > UINT64_MAX / 100)
                return false;
            n = 10 * n + (uint64_t)(*p - '0');
        }
        t->shape[t->n_dims++] = n;
        p += strspn(p, " ");
        if (*p != ',' && *p != ')')
            return false;
        p += *p == ',';
    }
}

static int parse_text(const struct model_file *f, struct file_tensor *t, const char *text,
                      struct error *err)
{
    const char *descr = value_of(text, "'descr':"), *order = value_of(text, "'fortran_order':");
    const char *shape = value_of(text, "'shape':");
    if (descr == NULL || order == NULL || shape == NULL)
        return file_tensor_error(f, t, err, "the .npy header lacks descr, fortran_order or shape");
    bool quoted = *descr == '\'' && strchr(descr + 1, '\'') != NULL;
    int n = quoted ? (int)strcspn(descr + 1, "'") : (int)strcspn(descr, ":}");
    snprintf(t->dtype_text, sizeof t->dtype_text, "%.*s", n, descr + quoted);
    t->dtype = N_DTYPES;
    for (int d = 0; quoted && d < N_DTYPES; d++)
        if (as_element[d] != N_ELEMENTS &&
            strcmp(t->dtype_text, elements[as_element[d]].descr) == 0)
            t->dtype = (enum dtype)d;
    t->is_fortran = strncmp(order, "True", 4) == 0;
    if (!t->is_fortran && strncmp(order, "False", 5) != 0)
        return file_tensor_error(f, t, err, "fortran_order %.8s (right: True or False)", order);
    if (!parse_shape(shape, t)) {
        n = (int)strcspn(shape, ")}") + 1;
        return file_tensor_error(f, t, err,
                                 "shape %.*s (right: at most %d sizes, as in (256, 784))",
                                 n < 64 ? n : 64, shape, FILE_DIMS_MAX);
    }
    t->is_fortran = t->is_fortran && t->n_dims > 1;
    return file_count(f, t, err);
}

int npy_read_header(const struct model_file *f, struct file_tensor *t, uint64_t offset,
                    uint64_t size, struct error *err)
{
    uint8_t head[NPY_READ_MAX + 1] = {0};
    uint64_t n = size < NPY_READ_MAX ? size : NPY_READ_MAX;
    if (file_read_at(f->fd, f->path, offset, head, n, err) != 0)
        return err->code;
    if (n < 12 || memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3)
        return file_tensor_error(f, t, err, "not an .npy array of version 1, 2 or 3");
    uint64_t prefix = head[6] == 1 ? PREFIX : PREFIX + 2;
    uint64_t text = head[6] == 1 ? get16(head + 8) : get32(head + 8);
    if (text > n - prefix)
        return file_tensor_error(
            f, t, err, "the .npy header has %" PRIu64 " bytes (right: at most %" PRIu64 ")", text,
            n - prefix);
    uint64_t n_header = prefix + text;
    t->crc_start = (uint32_t)crc32_z(0, head, n_header);
    head[n_header] = '\0';
    if (parse_text(f, t, (const char *)head + prefix, err) != 0)
        return err->code;
    t->offset = offset + n_header;
    t->n_bytes = size - n_header;
    if (t->dtype < N_DTYPES && t->n_bytes != t->count * dtype_bytes(t->dtype))
        return file_tensor_error(f, t, err, "%" PRIu64 " bytes of elements (right: %" PRIu64 ")",
                                 t->n_bytes, t->count * dtype_bytes(t->dtype));
    return 0;
}

int npy_open(struct model_file *f, struct error *err)
{
    struct file_tensor *t = file_add_tensor(f, "theta", 5, err);
    return t == NULL ? err->code : npy_read_header(f, t, 0, f->size, err);
}

size_t npy_write_header(const struct file_tensor *t, uint8_t header[NPY_WRITTEN_MAX])
{
    _Static_assert((int)NPY_WRITTEN_MAX == (int)NPY_HEADER_OUT_MAX, "room for the header");
    CHECK(t->dtype < N_DTYPES && as_element[t->dtype] != N_ELEMENTS);
    return npy_format_header((char *)header, as_element[t->dtype], t->n_dims, t->shape);
}
