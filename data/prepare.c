#include "data/prepare.h"

#include "base/mem.h"
#include "base/parse.h"
#include "data/memory.h"
#include "data/stats.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int out_of_memory(const char *path, struct error *err)
{
    return error_set(err, ERR_FAILURE, "%s: out of memory", path);
}

/* ---- columns --------------------------------------------------------------------------------- */

static int find_column(const struct part *p, const char *option, const char *text, uint32_t *column,
                       struct error *err)
{
    uint64_t number = 0;
    uint32_t n = p->x.n_columns;
    if (strcmp(text, "-1") == 0)
        number = n;
    else if (!parse_u64(text, &number) || number < 1 || number > n)
        return error_set(err, ERR_USAGE,
                         "%s %.100s: the columns of %s have no names (right: 1 to %" PRIu32
                         ", or -1 for the last)",
                         option, text, p->path, n);
    *column = (uint32_t)number - 1;
    return 0;
}

/* The columns of x that are not marked: where they are when none lies between them. */
static int keep_columns(struct part *p, const bool *leave, struct memory **list, struct error *err)
{
    uint32_t width = elements[p->x.element].n_bytes, first = 0, last = p->x.n_columns, n = 0;
    while (first < last && leave[first])
        first++;
    while (last > first && leave[last - 1])
        last--;
    for (uint32_t j = first; j < last; j++)
        n += !leave[j];
    if (n == 0)
        return error_set(err, ERR_DATA, "%s: no column is left to learn from", p->path);
    memset(p->image, 0, sizeof p->image);
    p->n_dims = 0;
    p->column_names = NULL;
    p->channels_last = false;
    if (n == last - first) {
        p->x.bytes = (const uint8_t *)p->x.bytes + (uint64_t)first * width;
        p->x.n_columns = n;
        return 0;
    }
    if (p->n_rows > PREPARE_COPY_MAX / ((uint64_t)n * width))
        return error_set(err, ERR_DATA,
                         "%s: too large to copy without a column in its middle (right: at most 1 "
                         "GiB, or columns at its ends)",
                         p->path);
    uint8_t *out = memory_alloc(list, p->n_rows * n * width);
    if (out == NULL)
        return out_of_memory(p->path, err);
    struct array x = array_of(out, n, p->x.element);
    for (uint64_t i = 0; i < p->n_rows; i++) {
        const uint8_t *row = array_row(&p->x, i);
        for (uint32_t j = first; j < last; j++)
            if (!leave[j]) {
                memcpy(out, row + (size_t)j * width, width);
                out += width;
            }
    }
    p->x = x;
    return 0;
}

int prepare_columns(struct part *p, const char *label, const struct opt_list *ignore,
                    struct memory **list, struct error *err)
{
    bool has_label = label != NULL && label[0] != '\0';
    if (!has_label && ignore->n == 0)
        return 0;
    if (has_label && p->y.bytes != NULL)
        return error_set(err, ERR_USAGE,
                         "--label %.100s: %s has its labels apart from its samples (right: no "
                         "--label)",
                         label, p->path);
    bool *leave = MEM_NEW(bool, p->x.n_columns);
    uint32_t column = 0;
    int rc = 0;
    for (uint32_t i = 0; i < ignore->n && rc == 0; i++) {
        rc = find_column(p, "--ignore", ignore->values[i], &column, err);
        leave[column] |= rc == 0;
    }
    if (rc == 0 && has_label)
        rc = find_column(p, "--label", label, &column, err);
    if (rc == 0 && has_label) {
        p->y = (struct array){array_row(&p->x, 0) + (size_t)column * elements[p->x.element].n_bytes,
                              p->x.stride, 1, p->x.element};
        p->y_path = p->path;
        leave[column] = true;
    }
    if (rc == 0)
        rc = keep_columns(p, leave, list, err);
    free(leave);
    return rc;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The k-th of the rows that are looked at, of n rows in all. */
struct look {
    uint64_t n, n_rows;
};

static struct look look_at(const struct array *a, uint64_t n_rows)
{
    bool all = array_span(a, n_rows) <= PREPARE_WHOLE_BYTES || n_rows <= PREPARE_SAMPLE;
    return (struct look){all ? n_rows : PREPARE_SAMPLE, n_rows};
}

static uint64_t look_row(const struct look *l, uint64_t k)
{
    return l->n == l->n_rows ? k : (uint64_t)((double)k / (double)l->n * (double)l->n_rows);
}

/* The first column of a row that is not finite as a float; n_columns: none. */
static uint32_t find_bad(const struct array *a, uint64_t row, float *buffer)
{
    float sum = 0;
    array_get(a, row, NULL, NULL, 1, buffer);
    for (uint32_t j = 0; j < a->n_columns; j++)
        sum += buffer[j] * 0;
    uint32_t j = 0;
    while (sum != 0 && j < a->n_columns && isfinite(buffer[j]))
        j++;
    return sum != 0 ? j : a->n_columns;
}

static bool is_bad_target(const struct part *p, uint64_t row)
{
    return p->y.bytes != NULL && elements[p->y.element].is_float &&
           !isfinite((float)array_value(&p->y, row, 0));
}

static int fail(const struct part *p, float *buffer, struct error *err)
{
    struct look look = look_at(&p->x, p->n_rows);
    for (uint64_t k = 0; k < look.n; k++) {
        uint64_t i = look_row(&look, k);
        uint32_t j = find_bad(&p->x, i, buffer);
        if (j < p->x.n_columns)
            return error_set(err, ERR_DATA,
                             "%s: row %" PRIu64 ", feature %" PRIu32
                             ": %g (right: a finite number, or --clean drop)",
                             p->path, i + 1, j + 1, array_value(&p->x, i, j));
    }
    return 0;
}

static int drop(struct part *p, float *buffer, struct memory **list, struct error *err)
{
    uint32_t width = p->x.n_columns * elements[p->x.element].n_bytes;
    uint32_t y_width = p->y.bytes != NULL ? elements[p->y.element].n_bytes : 0;
    if (array_span(&p->x, p->n_rows) > PREPARE_WHOLE_BYTES)
        return error_set(err, ERR_USAGE,
                         "--clean drop: %s is larger than 64 MiB (right: --clean fail, and a file "
                         "without such rows)",
                         p->path);
    uint8_t *x = memory_alloc(list, p->n_rows * width);
    uint8_t *y = y_width > 0 ? memory_alloc(list, p->n_rows * y_width) : x;
    uint64_t n = 0;
    if (x == NULL || y == NULL)
        return out_of_memory(p->path, err);
    for (uint64_t i = 0; i < p->n_rows; i++) {
        if (find_bad(&p->x, i, buffer) < p->x.n_columns || is_bad_target(p, i))
            continue;
        memcpy(x + n * width, array_row(&p->x, i), width);
        if (y_width > 0)
            memcpy(y + n * y_width, array_row(&p->y, i), y_width);
        n++;
    }
    if (n == 0)
        return error_set(err, ERR_DATA, "%s: no row is left: none is finite", p->path);
    p->n_rows = n;
    p->x = array_of(x, p->x.n_columns, p->x.element);
    if (y_width > 0)
        p->y = array_of(y, 1, p->y.element);
    p->y_offset = 0;
    return 0;
}

int prepare_rows(struct part *p, enum clean clean, struct memory **list, struct error *err)
{
    bool may_be_bad =
        elements[p->x.element].is_float || (p->y.bytes != NULL && elements[p->y.element].is_float);
    if (p->n_rows == 0 || !may_be_bad)
        return 0;
    float *buffer = MEM_NEW(float, p->x.n_columns);
    int rc = clean == CLEAN_DROP ? drop(p, buffer, list, err) : fail(p, buffer, err);
    free(buffer);
    return rc;
}

int prepare_classes(struct part *p, struct memory **list, struct error *err)
{
    if (p->n_rows == 0 || !elements[p->y.element].is_float)
        return 0;
    int64_t *y = memory_alloc(list, p->n_rows * sizeof *y);
    if (y == NULL)
        return out_of_memory(p->y_path, err);
    for (uint64_t i = 0; i < p->n_rows; i++) {
        double value = array_value(&p->y, i, 0);
        if (!(fabs(value) < 0x1p53) || value != floor(value))
            return error_set(err, ERR_DATA,
                             "%s: row %" PRIu64 ": %g is no class (right: a whole number, or "
                             "--target real)",
                             p->y_path, i + 1, value);
        y[i] = (int64_t)value;
    }
    p->y = array_of(y, 1, ELEMENT_I64);
    p->y_offset = 0;
    return 0;
}

/* ---- features -------------------------------------------------------------------------------- */

/* In one pass over the training samples, or as many as are looked at, as they are gathered. */
static void collect(const struct dataset *train, struct stats *stats)
{
    struct dataset plain = *train, *set = &plain;
    uint32_t n = set->shape.n_features;
    plain.shift = plain.scale = NULL;
    plain.scale_all = 1;
    struct look look = look_at(&set->x, set->n_samples);
    float *row = MEM_NEW(float, n);
    for (uint64_t k = 0; k < look.n; k++) {
        union target y;
        uint32_t sample = (uint32_t)look_row(&look, k);
        dataset_gather(set, &sample, 1, row, &y);
        for (uint32_t j = 0; j < n; j++)
            stats_add(&stats[j], (double)row[j]);
    }
    free(row);
}

int prepare_features(struct data_pair *data, enum normalize how, struct error *err)
{
    struct dataset *train = &data->train, *test = &data->test;
    bool scale_bytes = how == NORMALIZE_AUTO || how == NORMALIZE_SCALE;
    uint32_t n = train->shape.n_features;
    train->scale_all = scale_bytes && train->x.element == ELEMENT_U8 ? 1.0f / 255.0f : 1.0f;
    test->scale_all = scale_bytes && test->x.element == ELEMENT_U8 ? 1.0f / 255.0f : 1.0f;
    if (how != NORMALIZE_MINMAX && how != NORMALIZE_ZSCORE)
        return 0;
    float *shift = memory_alloc(&data->memory, n * sizeof *shift);
    float *scale = memory_alloc(&data->memory, n * sizeof *scale);
    if (shift == NULL || scale == NULL)
        return out_of_memory("--normalize", err);
    struct stats *stats = MEM_NEW(struct stats, n);
    collect(train, stats);
    for (uint32_t j = 0; j < n; j++) {
        bool z = how == NORMALIZE_ZSCORE;
        double spread = z ? stats_deviation(&stats[j]) : stats[j].max - stats[j].min;
        shift[j] = (float)(z ? stats[j].mean : stats[j].min);
        scale[j] = spread > 0 ? (float)(1 / spread) : 1;
    }
    free(stats);
    train->shift = test->shift = shift;
    train->scale = test->scale = scale;
    return 0;
}
