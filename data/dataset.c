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

/* The rows of a batch lie anywhere in memory: ask for one while the one before is unpacked. */
enum { ROWS_AHEAD = 4, CACHE_LINE = 64 };

static void prefetch_row(const void *row, size_t n_bytes)
{
    const char *p = row;
    for (size_t i = 0; i < n_bytes; i += CACHE_LINE)
        __builtin_prefetch(p + i);
}

static void unpack(const uint8_t *restrict from, float scale, float *restrict to, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++)
        to[j] = (float)from[j] * scale;
}

void dataset_gather(const struct dataset *set, const uint32_t *rows, uint32_t n, float *x,
                    uint8_t *y)
{
    size_t width = set->n_features;
    for (uint32_t i = 0; i < n; i++) {
        size_t ahead = i + ROWS_AHEAD < n ? (size_t)rows[i + ROWS_AHEAD] * width : 0;
        if (set->x_u8 != NULL) {
            if (ahead > 0)
                prefetch_row(set->x_u8 + ahead, width);
            unpack(set->x_u8 + (size_t)rows[i] * width, set->scale, x + i * width, set->n_features);
        } else {
            if (ahead > 0)
                prefetch_row(set->x_f32 + ahead, width * sizeof(float));
            memcpy(x + i * width, set->x_f32 + (size_t)rows[i] * width, width * sizeof(float));
        }
        y[i] = set->labels[rows[i]];
    }
}
