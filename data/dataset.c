#include "data/dataset.h"

#include "base/parse.h"
#include "data/blobs.h"
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FASHION_DIR  "/usr/share/datasets/fashion-mnist"
#define FASHION_HINT "apt-get install dataset-fashion-mnist"

int data_open(struct data_pair *data, const char *spec, struct error *err)
{
    static const char *const names[] = {"fashion-mnist", "blobs"};
    struct stat st;
    *data = (struct data_pair){0};
    if (strcmp(spec, "fashion-mnist") == 0)
        return idx_open_pair(data, FASHION_DIR, spec, FASHION_HINT, err);
    if (strcmp(spec, "blobs") == 0 || strncmp(spec, "blobs:", 6) == 0)
        return blobs_open(data, spec[5] == ':' ? spec + 6 : "", err);
    if (stat(spec, &st) == 0 && S_ISDIR(st.st_mode))
        return idx_open_pair(data, spec, "idx", NULL, err);
    if (strchr(spec, '/') != NULL)
        return error_set(err, ERR_DATA, "%s: no such directory of IDX files", spec);
    const char *nearest = parse_nearest(spec, names, 2);
    return error_set(err, ERR_USAGE,
                     "no data '%s'%s%s%s (right: fashion-mnist, blobs:..., or a directory of IDX "
                     "files)",
                     spec, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

static void dataset_close(struct dataset *set)
{
    free((void *)(uintptr_t)set->x_u8);
    free((void *)(uintptr_t)set->x_f32);
    free((void *)(uintptr_t)set->labels);
    *set = (struct dataset){0};
}

void data_close(struct data_pair *data)
{
    dataset_close(&data->train);
    dataset_close(&data->test);
}

void dataset_prefetch(const struct dataset *set, const uint32_t *rows, uint32_t n)
{
    enum { CACHE_LINE = 64, TO_L2 = 2 };
    size_t width = set->shape.n_features * (set->x_u8 != NULL ? 1 : sizeof(float));
    const char *base = set->x_u8 != NULL ? (const char *)set->x_u8 : (const char *)set->x_f32;
    for (uint32_t i = 0; i < n; i++) {
        for (size_t j = 0; j < width; j += CACHE_LINE)
            __builtin_prefetch(base + rows[i] * width + j, 0, TO_L2);
        __builtin_prefetch(base + (rows[i] + 1) * width - 1, 0, TO_L2);
        __builtin_prefetch(set->labels + rows[i], 0, TO_L2);
    }
}

static void unpack(const uint8_t *restrict from, float scale, float *restrict to, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++)
        to[j] = (float)from[j] * scale;
}

void dataset_gather(const struct dataset *set, const uint32_t *rows, uint32_t n, float *x,
                    union target *y)
{
    size_t width = set->shape.n_features;
    for (uint32_t i = 0; i < n; i++) {
        if (set->x_u8 != NULL)
            unpack(set->x_u8 + rows[i] * width, set->scale, x + i * width, set->shape.n_features);
        else
            memcpy(x + i * width, set->x_f32 + rows[i] * width, width * sizeof(float));
        y[i].class = set->labels[rows[i]];
    }
}
