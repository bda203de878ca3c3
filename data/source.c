#include "data/source.h"

#include "base/file.h"
#include "data/cifar.h"
#include "data/idx.h"
#include "data/libsvm.h"
#include "data/npy.h"
#include "data/unpack.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Of formats that say how long they are; so that nothing else of it is unpacked. */
static int promised(const uint8_t *head, size_t n, uint64_t *n_bytes, struct error *err)
{
    struct source s = {"", head, n};
    enum format format = source_format(&s);
    if (format == FORMAT_IDX)
        return idx_promised(head, n, n_bytes, err);
    if (format == FORMAT_NPY)
        return npy_promised(head, n, n_bytes, err);
    return 0;
}

int source_open(struct source *s, struct memory **list, const char *path, struct error *err)
{
    *s = (struct source){.path = path};
    int fd = file_open(path, &s->n, err);
    if (fd < 0)
        return fd;
    if (s->n == 0) {
        close(fd);
        return error_set(err, ERR_DATA, "%s: the file is empty", path);
    }
    s->bytes = memory_map(list, fd, s->n, path, err);
    close(fd);
    if (s->bytes == NULL)
        return err->code;
    if (s->n < 2 || s->bytes[0] != 0x1f || s->bytes[1] != 0x8b)
        return 0;
    struct packed packed = {
        .name = path, .bytes = s->bytes, .n = s->n, .is_gzip = true, .promised = promised};
    const uint8_t *bytes = unpack(list, &packed, &s->n, err);
    memory_drop(list, s->bytes);
    s->bytes = bytes;
    return bytes != NULL ? 0 : err->code;
}

/* Text has no control bytes but those of lines. */
static bool is_text(const struct source *s)
{
    enum { LOOKED_AT = 4096 };
    for (uint64_t i = 0; i < s->n && i < LOOKED_AT; i++)
        if (s->bytes[i] < 0x20 && memchr("\t\n\r\f", s->bytes[i], 4) == NULL)
            return false;
    return true;
}

enum format source_format(const struct source *s)
{
    const uint8_t *p = s->bytes;
    if (s->n >= 6 && memcmp(p, "\x93NUMPY", 6) == 0)
        return FORMAT_NPY;
    if (s->n >= 4 && p[0] == 'P' && p[1] == 'K' && (p[2] == 3 || p[2] == 5))
        return FORMAT_NPZ;
    if (s->n >= 4 && p[0] == 0 && p[1] == 0 && p[2] >= 8 && p[2] <= 14)
        return FORMAT_IDX;
    if (cifar_looks_right(s))
        return FORMAT_CIFAR;
    if (!is_text(s))
        return FORMAT_BINARY;
    return libsvm_looks_right(s) ? FORMAT_LIBSVM : FORMAT_TABLE;
}
