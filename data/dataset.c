#include "data/dataset.h"

#include "base/mem.h"
#include "base/prefetch.h"
#include "data/memory.h"
#include "data/schema.h"

#include <stdlib.h>

void data_close(struct data_pair *data)
{
    if (data->schema != NULL)
        schema_close(data->schema);
    free(data->schema);
    memory_close(&data->memory);
    *data = (struct data_pair){0};
}

void data_settle(struct data_pair *data)
{
    struct array *x = &data->train.x;
    x->bytes = memory_settle(&data->memory, x->bytes, mem_physical() / 4);
}

void dataset_prefetch(const struct dataset *set, const uint32_t *samples, uint32_t n)
{
    uint64_t width = array_width(&set->x);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t row = dataset_row(set, samples[i]);
        const uint8_t *x = array_row(&set->x, row);
        for (uint64_t j = 0; j < width; j += MEM_ALIGN)
            prefetch_early(x + j);
        prefetch_early(x + width - 1);
        prefetch_early(array_row(&set->y, row));
    }
}

static union target target_of(const struct dataset *set, uint64_t row)
{
    if (set->shape.n_classes == 0)
        return (union target){.real = (float)array_value(&set->y, row, 0)};
    uint32_t class = (uint32_t)array_whole(&set->y, row, 0);
    return (union target){.class = set->tokens != NULL ? set->tokens[class] : class};
}

union target dataset_target(const struct dataset *set, uint32_t sample)
{
    return target_of(set, dataset_row(set, sample));
}

static void get_tokens(const struct dataset *set, uint64_t row, float *x)
{
    const uint8_t *bytes = array_row(&set->x, row);
    for (uint32_t j = 0; j < set->x.n_columns; j++)
        x[j] = set->tokens[bytes[j]];
}

/* [height, width, channels] -> [channels, height, width], which is also the order of the scales. In
 * the arithmetic of array_get: the same images make the same bits in either order. */
static void get_channels(const struct dataset *set, uint64_t row, float *x)
{
    uint32_t channels = set->shape.image[0], n = set->x.n_columns / channels;
    bool is_wide = array_is_wide(&set->x);
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < n; i++) {
            uint32_t j = c * n + i;
            float shift = set->shift != NULL ? set->shift[j] : 0;
            float scale = set->scale != NULL ? set->scale[j] : set->scale_all;
            double value = array_value(&set->x, row, i * channels + c);
            x[j] = is_wide ? (float)((value - (double)shift) * (double)scale)
                           : ((float)value - shift) * scale;
        }
}

/* Whether rows can be read as floats where they lie. */
static bool lies_as_floats(const struct dataset *set)
{
    return set->x.element == ELEMENT_F32 && set->shift == NULL && set->scale_all == 1.0f &&
           set->tokens == NULL && !set->channels_last &&
           ((uintptr_t)set->x.bytes | set->x.stride) % _Alignof(float) == 0;
}

const float *dataset_read(const struct dataset *set, const uint32_t *samples, uint32_t n, float *x,
                          union target *y)
{
    if (n != 1 || !lies_as_floats(set)) {
        dataset_gather(set, samples, n, x, y);
        return x;
    }
    uint64_t row = dataset_row(set, samples[0]);
    *y = target_of(set, row);
    return (const float *)(const void *)array_row(&set->x, row);
}

void dataset_rows(const struct dataset *set, const uint32_t *samples, uint32_t n, uint32_t first,
                  uint32_t end, float *x)
{
    enum { AHEAD = 4 }; /* rows lie anywhere: waiting for each in turn takes most of the time */
    for (uint32_t i = first; i < end; i++, x += set->x.n_columns) {
        uint64_t row = dataset_row(set, samples[i]);
        if (i + AHEAD < n)
            dataset_prefetch(set, samples + i + AHEAD, 1);
        if (set->tokens != NULL)
            get_tokens(set, row, x);
        else if (set->channels_last)
            get_channels(set, row, x);
        else
            array_get(&set->x, row, set->shift, set->scale, set->scale_all, x);
    }
}

void dataset_targets(const struct dataset *set, const uint32_t *samples, uint32_t n,
                     union target *y)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = dataset_target(set, samples[i]);
}

void dataset_gather(const struct dataset *set, const uint32_t *samples, uint32_t n, float *x,
                    union target *y)
{
    dataset_rows(set, samples, n, 0, n, x);
    dataset_targets(set, samples, n, y);
}
