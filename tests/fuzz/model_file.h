/* Bytes as a model file, for the harnesses of its readers: one each, included once. */
#ifndef HUBBUB_TESTS_FUZZ_MODEL_FILE_H
#define HUBBUB_TESTS_FUZZ_MODEL_FILE_H

#include "base/check.h"
#include "base/vec.h"
#include "model/meta.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A link with the ending, to a file in memory. */
static int memory_file(const char *ending, char path[64])
{
    static int fd = -1;
    char target[32];
    if (fd < 0)
        fd = memfd_create("model", MFD_CLOEXEC);
    CHECK(fd >= 0);
    snprintf(path, 64, "/tmp/hubbub-fuzz-%d.%s", (int)getpid(), ending);
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    unlink(path);
    CHECK(symlink(target, path) == 0);
    return fd;
}

static void read_tensors(const struct model_file *f)
{
    double values[512];
    struct error err;
    struct file_cursor c;
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        uint32_t n = 1;
        uint64_t count = 0;
        if (file_cursor_open(&c, f, &f->tensors[i], &err) != 0)
            continue;
        while (n > 0 && file_cursor_next(&c, values, 512, &n, &err) == 0)
            count += n;
        CHECK(n > 0 || count == f->tensors[i].count);
    }
}

static void read_model(const struct model_file *f)
{
    static struct model m;
    struct error err;
    if (meta_model(f, NULL, NULL, &m, &err) != 0 &&
        model_parse(&m, "softmax", data_flat(3, 2), &err) != 0)
        return;
    if (m.dim > 1 << 16)
        return;
    float *theta = malloc(m.dim * sizeof *theta); /* exactly: a byte more shows */
    CHECK(theta != NULL);
    if (model_file_read(f, &m, theta, &err) == 0)
        CHECK(vec_first_beyond(theta, FLT_MAX, m.dim) == m.dim);
    else
        CHECK(err.code == ERR_DATA);
    free(theta);
}

/* Opens, reads every tensor, and reads it as a model. The ending decides where the content does
 * not. */
static void model_file_try(const uint8_t *data, size_t n, const char *ending)
{
    char path[64];
    struct model_file f;
    struct error err;
    int fd = memory_file(ending, path);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, n, 0) == (ssize_t)n);
    if (model_file_open(&f, path, &err) == 0) {
        read_tensors(&f);
        read_model(&f);
    } else {
        CHECK(err.code == ERR_DATA);
    }
    model_file_close(&f);
    unlink(path);
}

#endif
