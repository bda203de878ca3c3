/* .npz: a zip whose members are .npy arrays, stored (PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12
 * and 4.3.16); and "hubbub.json", the metadata as text. */
#include "model/file_inner.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL_MAGIC = 0x04034b50,
    CENTRAL_MAGIC = 0x02014b50,
    END_MAGIC = 0x06054b50,
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    COMMENT_MAX = 65535,
    CENTRAL_MAX = 1 << 22 /* bytes of directory that are read at most */
};

static const char meta_name[] = "hubbub.json";

/* ---- writing ------------------------------------------------------------------------------- */

void npz_put(struct file_writer *w, const struct file_tensor *t, const void *bytes)
{
    char name[ZIP_NAME_MAX];
    uint8_t header[NPY_WRITTEN_MAX];
    size_t n = npy_write_header(t, header);
    snprintf(name, sizeof name, "%s.npy", t->name);
    zip_writer_member(&w->zip, name);
    zip_writer_put(&w->zip, header, n);
    zip_writer_put(&w->zip, bytes, t->count * dtype_bytes(t->dtype));
}

void npz_end(struct file_writer *w)
{
    if (w->meta != NULL) {
        char *text = json_dumps(w->meta, JSON_REAL_PRECISION(17));
        CHECK(text != NULL);
        zip_writer_member(&w->zip, meta_name);
        zip_writer_put(&w->zip, text, strlen(text));
        free(text);
    }
    zip_writer_end(&w->zip);
}

/* ---- reading -------------------------------------------------------------------------------
 * Sizes and offsets come from the central directory; of a local header only the length counts. */
struct directory {
    uint8_t *bytes;
    uint64_t n_bytes;
    uint32_t n_entries;
};

static int bad(const struct model_file *f, uint64_t offset, struct error *err, const char *what)
{
    return error_set(err, ERR_DATA, "%s: offset %" PRIu64 ": %s", f->path, offset, what);
}

/* The end record, at `end` of the file. */
static int read_end(const struct model_file *f, const uint8_t *end, uint64_t at,
                    struct directory *d, struct error *err)
{
    uint64_t offset = get32(end + 16);
    d->n_bytes = get32(end + 12);
    d->n_entries = get16(end + 10);
    if (d->n_entries == 0xffff || d->n_bytes == 0xffffffff || offset == 0xffffffff)
        return bad(f, at, err, "zip64 is not read (right: an .npz below 4 GiB)");
    if (d->n_bytes > CENTRAL_MAX || offset > f->size || d->n_bytes > f->size - offset)
        return bad(f, at, err, "the zip directory is said to lie outside the file");
    d->bytes = MEM_NEW(uint8_t, d->n_bytes + 1);
    return file_read_at(f->fd, f->path, offset, d->bytes, d->n_bytes, err);
}

/* Finds the end record in the last 64 KiB and loads the central directory. */
static int read_directory(const struct model_file *f, struct directory *d, struct error *err)
{
    uint64_t n = f->size < END_BYTES + COMMENT_MAX ? f->size : END_BYTES + COMMENT_MAX;
    if (n < END_BYTES)
        return bad(f, 0, err, "too short for a zip file (an .npz is one)");
    uint8_t *tail = MEM_NEW(uint8_t, n), *end = NULL;
    int rc = file_read_at(f->fd, f->path, f->size - n, tail, n, err);
    for (uint64_t i = n - END_BYTES + 1; rc == 0 && end == NULL && i-- > 0;)
        if (get32(tail + i) == END_MAGIC)
            end = tail + i;
    if (rc == 0 && end == NULL)
        rc = bad(f, f->size, err, "no end record of a zip file (an .npz is one; is it cut short?)");
    if (rc == 0)
        rc = read_end(f, end, f->size - n + (uint64_t)(end - tail), d, err);
    free(tail);
    return rc;
}

struct member {
    char name[FILE_NAME_MAX + 8];
    uint64_t offset, n_bytes; /* of the data in the file */
    uint32_t crc;
};

static int member_error(const struct model_file *f, const struct member *m, struct error *err,
                        const char *what)
{
    return error_set(err, ERR_DATA, "%s: member %s: %s", f->path, m->name, what);
}

static int locate(const struct model_file *f, const uint8_t *entry, struct member *m,
                  struct error *err)
{
    uint8_t local[LOCAL_BYTES];
    char what[96];
    uint64_t offset = get32(entry + 42);
    if (get16(entry + 8) & 1)
        return member_error(f, m, err, "encrypted");
    if (get16(entry + 10) != 0) {
        snprintf(what, sizeof what, "compressed (method %u; right: stored, as numpy.savez does)",
                 get16(entry + 10));
        return member_error(f, m, err, what);
    }
    m->crc = get32(entry + 16);
    m->n_bytes = get32(entry + 24);
    if (m->n_bytes == 0xffffffff || offset == 0xffffffff)
        return member_error(f, m, err, "zip64 is not read (right: an .npz below 4 GiB)");
    if (get32(entry + 20) != m->n_bytes)
        return member_error(f, m, err, "stored, yet with two different sizes");
    if (offset > f->size || f->size - offset < LOCAL_BYTES)
        return member_error(f, m, err, "said to lie beyond the end of the file");
    if (file_read_at(f->fd, f->path, offset, local, sizeof local, err) != 0)
        return err->code;
    if (get32(local) != LOCAL_MAGIC)
        return member_error(f, m, err, "no local header where the directory says");
    m->offset = offset + LOCAL_BYTES + get16(local + 26) + get16(local + 28);
    if (m->offset > f->size || m->n_bytes > f->size - m->offset)
        return member_error(f, m, err, "reaches beyond the end of the file");
    return 0;
}

static int read_meta(struct model_file *f, const struct member *m, struct error *err)
{
    if (f->meta != NULL)
        return member_error(f, m, err, "stands twice in the directory");
    if (m->n_bytes > FILE_METADATA_MAX) {
        char what[96];
        snprintf(what, sizeof what, "%" PRIu64 " bytes (right: at most %d)", m->n_bytes,
                 FILE_METADATA_MAX);
        return member_error(f, m, err, what);
    }
    char *text = MEM_NEW(char, m->n_bytes + 1);
    int rc = file_read_at(f->fd, f->path, m->offset, text, m->n_bytes, err);
    if (rc == 0 && crc32_z(0, (const Bytef *)text, m->n_bytes) != m->crc)
        rc = member_error(f, m, err, "the checksum does not fit: the file is damaged");
    if (rc == 0)
        rc = file_take_meta(f, text, m->n_bytes, err);
    free(text);
    return rc;
}

/* An array or the metadata; members of other kinds are passed over. */
static int read_member(struct model_file *f, const uint8_t *entry, uint32_t index,
                       struct error *err)
{
    struct member m;
    size_t n = get16(entry + 28);
    const char *name = (const char *)entry + CENTRAL_BYTES;
    bool is_array = n > 4 && memcmp(name + n - 4, ".npy", 4) == 0;
    bool is_meta = n == sizeof meta_name - 1 && memcmp(name, meta_name, n) == 0;
    bool is_pickle = n >= 8 && memcmp(name + n - 8, "data.pkl", 8) == 0;
    if (is_pickle)
        return error_set(err, ERR_DATA,
                         "%s: is a pickle of torch.save, which only Python can read (right: "
                         "numpy.savez, or .safetensors)",
                         f->path);
    if (!is_array && !is_meta)
        return 0;
    if (n >= sizeof m.name)
        return error_set(err, ERR_DATA,
                         "%s: entry %" PRIu32 " of the zip directory: a name of %zu bytes (right: "
                         "at most %d)",
                         f->path, index, n, FILE_NAME_MAX + 3);
    struct file_tensor *t = NULL;
    if (is_array && (t = file_add_tensor(f, name, n - 4, err)) == NULL)
        return err->code;
    snprintf(m.name, sizeof m.name, "%.*s", (int)n, name);
    if (locate(f, entry, &m, err) != 0)
        return err->code;
    if (is_meta)
        return read_meta(f, &m, err);
    t->has_crc = true;
    t->crc = m.crc;
    return npy_read_header(f, t, m.offset, m.n_bytes, err);
}

int npz_open(struct model_file *f, struct error *err)
{
    struct directory d = {0};
    int rc = read_directory(f, &d, err);
    const uint8_t *entry = d.bytes;
    uint64_t left = d.n_bytes;
    for (uint32_t i = 0; rc == 0 && i < d.n_entries; i++) {
        uint64_t n = CENTRAL_BYTES;
        if (left >= n)
            n += get16(entry + 28) + get16(entry + 30) + get16(entry + 32);
        if (left < n || get32(entry) != CENTRAL_MAGIC)
            rc = error_set(err, ERR_DATA, "%s: entry %" PRIu32 " of the zip directory is damaged",
                           f->path, i);
        else
            rc = read_member(f, entry, i, err);
        entry += n;
        left -= n;
    }
    free(d.bytes);
    return rc;
}
