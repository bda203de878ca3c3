#include "data/cifar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BATCHES_MAX = 32 };

bool cifar_looks_right(const struct source *s)
{
    enum { LOOKED_AT = 100 };
    if (s->n % CIFAR_RECORD != 0)
        return false;
    for (uint64_t i = 0; i < s->n / CIFAR_RECORD && i < LOOKED_AT; i++)
        if (s->bytes[i * CIFAR_RECORD] >= CIFAR_CLASSES)
            return false;
    return true;
}

int cifar_read(struct part *p, const struct source *s, struct error *err)
{
    if (s->n % CIFAR_RECORD != 0)
        return error_set(err, ERR_DATA,
                         "%s: offset %" PRIu64 ": the last record has %" PRIu64
                         " bytes (right: %d, a label and 3 x 32 x 32 pixels)",
                         s->path, s->n - s->n % CIFAR_RECORD, s->n % CIFAR_RECORD, CIFAR_RECORD);
    p->n_rows = s->n / CIFAR_RECORD;
    for (uint64_t i = 0; i < p->n_rows; i++)
        if (s->bytes[i * CIFAR_RECORD] >= CIFAR_CLASSES)
            return error_set(err, ERR_DATA, "%s: offset %" PRIu64 ": label %u (right: 0 to %d)",
                             s->path, i * CIFAR_RECORD, s->bytes[i * CIFAR_RECORD],
                             CIFAR_CLASSES - 1);
    p->path = p->y_path = s->path;
    p->x = (struct array){s->bytes + 1, CIFAR_RECORD, CIFAR_PIXELS, ELEMENT_U8};
    p->y = (struct array){s->bytes, CIFAR_RECORD, 1, ELEMENT_U8};
    memcpy(p->image, (uint32_t[]){3, 32, 32}, sizeof p->image);
    return 0;
}

static bool batch_path(char path[4096], const char *dir, int i)
{
    int n = snprintf(path, 4096, "%s/data_batch_%d.bin", dir, i);
    return n < 4096 && access(path, F_OK) == 0;
}

bool cifar_is_directory(const char *dir)
{
    char path[4096];
    return batch_path(path, dir, 1);
}

/* One piece, so that a row's place needs no table. */
static int join(struct part *p, struct memory **list, const struct source *batches, int n,
                const char *dir, struct error *err)
{
    struct source all = {.path = dir};
    for (int i = 0; i < n; i++)
        all.n += batches[i].n;
    uint8_t *bytes = memory_alloc(list, all.n);
    if (bytes == NULL)
        return error_set(err, ERR_FAILURE, "%s: no memory for %" PRIu64 " bytes", dir, all.n);
    all.bytes = bytes;
    for (int i = 0; i < n; i++) {
        memcpy(bytes, batches[i].bytes, batches[i].n);
        bytes += batches[i].n;
        memory_drop(list, batches[i].bytes);
    }
    return cifar_read(p, &all, err);
}

int cifar_read_directory(struct part *train, struct part *test, struct memory **list,
                         const char *dir, struct error *err)
{
    struct source batches[BATCHES_MAX], s;
    char path[4096];
    int n = 0, rc = 0;
    for (; rc == 0 && n < BATCHES_MAX && batch_path(path, dir, n + 1); n++) {
        struct part ignored = {0};
        rc = source_open(&batches[n], list, path, err);
        if (rc == 0)
            rc = cifar_read(&ignored, &batches[n], err); /* the message names this file */
    }
    if (rc == 0)
        rc = join(train, list, batches, n, dir, err);
    if (rc != 0)
        return rc;
    static const char name[] = "/test_batch.bin";
    char *test_path = memory_alloc(list, strlen(dir) + sizeof name);
    if (test_path == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", dir);
    sprintf(test_path, "%s%s", dir, name);
    if (access(test_path, F_OK) != 0)
        return 0;
    rc = source_open(&s, list, test_path, err);
    return rc == 0 ? cifar_read(test, &s, err) : rc;
}
