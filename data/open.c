/* Opening a data set: from a spec to two sets of samples. */
#include "data/dataset.h"

#include "base/mem.h"
#include "base/parse.h"
#include "data/blobs.h"
#include "data/cifar.h"
#include "data/holdout.h"
#include "data/idx.h"
#include "data/labels.h"
#include "data/libsvm.h"
#include "data/memory.h"
#include "data/numpy.h"
#include "data/source.h"
#include "data/table.h"
#include "data/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define FASHION_DIR  "/usr/share/datasets/fashion-mnist"
#define FASHION_HINT "apt-get install dataset-fashion-mnist"

/* Larger arrays are not read at the start: not looked through for NaN, and of their bytes only some
 * are hashed. */
#define WHOLE_BYTES (UINT64_C(1) << 26)

#define SHARE_DEFAULT 0.1

struct opening {
    struct data_pair *data;
    const struct data_options *options;
    const char *source; /* what the name begins with */
    struct part train, test;
    struct libsvm_layout libsvm;
    const uint8_t *tokens;
    uint32_t n_tokens;
    const uint32_t *groups; /* of train */
    uint32_t n_groups;
    double share; /* of the samples that are held out when there are no others to test on */
};

static bool is_said(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Without test data the end of the text is held out: windows that lie anywhere overlap those of
 * training. */
static int read_text(struct opening *o, const struct source *s, struct part *p, struct error *err)
{
    uint32_t context = (uint32_t)o->options->context;
    bool is_train = p == &o->train;
    uint64_t held_out = is_train ? (uint64_t)(o->share * (double)s->n) : 0;
    int rc = text_read(p, s, 0, s->n - held_out, context, err);
    if (rc == 0 && held_out > 0)
        rc = text_read(&o->test, s, s->n - held_out, s->n, context, err);
    if (rc != 0 || !is_train)
        return rc;
    uint8_t *tokens = memory_alloc(&o->data->memory, 256);
    if (tokens == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", s->path);
    o->n_tokens = text_tokens(p, tokens);
    o->tokens = tokens;
    return 0;
}

static const char *const format_names[] = {
    [FORMAT_IDX] = "idx",      [FORMAT_CIFAR] = "cifar-10", [FORMAT_NPY] = "npy",
    [FORMAT_NPZ] = "npz",      [FORMAT_LIBSVM] = "libsvm",  [FORMAT_TABLE] = "csv",
    [FORMAT_BINARY] = "binary"};

/* By the schema that was given, or else by what the training file says of itself. */
static int find_schema(struct opening *o, const struct source *s, struct error *err)
{
    struct schema *schema = MEM_NEW(struct schema, 1);
    struct summary summary;
    int rc;
    if (is_said(o->options->schema)) {
        rc = schema_read(schema, o->options->schema, err);
    } else {
        rc = table_summarise(&summary, s, o->options, err);
        if (rc == 0) {
            rc = schema_merge(schema, (const struct summary *[]){&summary}, 1, err);
            summary_close(&summary);
        }
    }
    if (rc == 0)
        rc = schema_check_target(schema, err);
    if (rc == 0) {
        o->data->schema = schema;
        return 0;
    }
    schema_close(schema);
    free(schema);
    return rc;
}

static int read_table(struct opening *o, const struct source *s, struct part *p, struct error *err)
{
    const uint32_t *groups;
    uint32_t n_groups;
    int rc = o->data->schema == NULL ? find_schema(o, s, err) : 0;
    if (rc == 0)
        rc = table_read(p, o->data->schema, &o->data->memory, s, o->options, &groups, &n_groups,
                        err);
    if (rc == 0 && p == &o->train) {
        o->groups = groups;
        o->n_groups = n_groups;
    }
    return rc;
}

static int read_file(struct opening *o, const char *path, struct part *p, struct error *err)
{
    struct source s;
    struct part ignored = {0};
    struct memory **list = &o->data->memory;
    bool is_train = p == &o->train;
    int rc = source_open(&s, list, path, err);
    if (rc != 0)
        return rc;
    enum format format = source_format(&s);
    if (is_train)
        o->source = o->options->context > 0 ? "text" : format_names[format];
    if (o->options->context > 0)
        return read_text(o, &s, p, err);
    switch (format) {
    case FORMAT_IDX:
        return idx_read_samples(p, &s, err);
    case FORMAT_CIFAR:
        return cifar_read(p, &s, err);
    case FORMAT_NPY:
        return numpy_read_samples(p, &s, err);
    case FORMAT_NPZ:
        return numpy_read_npz(p, is_train ? &o->test : &ignored, list, &s, err);
    case FORMAT_LIBSVM:
        return libsvm_read(p, &o->libsvm, !is_train, list, &s, err);
    case FORMAT_TABLE:
        return read_table(o, &s, p, err);
    case FORMAT_BINARY:
        break;
    }
    return error_set(err, ERR_DATA,
                     "%s: offset 0: no format that is known (right: IDX, CIFAR-10, .npy, .npz, CSV "
                     "or LIBSVM, each plain or gzip; or a text with --context)",
                     path);
}

static int read_labels(struct opening *o, const char *path, struct part *p, struct error *err)
{
    struct source s;
    int rc = source_open(&s, &o->data->memory, path, err);
    if (rc != 0)
        return rc;
    enum format format = source_format(&s);
    if (format == FORMAT_IDX)
        return idx_read_labels(p, &s, err);
    if (format == FORMAT_NPY)
        return numpy_read_labels(p, &s, err);
    return error_set(err, ERR_DATA, "%s: no labels in a file of their own (right: .npy or IDX)",
                     path);
}

/* The first or the last column of an array: the others stay where they are. */
static int take_column(struct part *p, const char *label, struct error *err)
{
    uint64_t column = 0;
    uint32_t n = p->x.n_columns, width = elements[p->x.element].n_bytes;
    bool last = strcmp(label, "-1") == 0;
    if (!last && (!parse_u64(label, &column) || (column != 1 && column != n)))
        return error_set(err, ERR_USAGE,
                         "--label %.100s: of the %" PRIu32
                         " columns of %s only the first or the last can be the label (right: 1, "
                         "%" PRIu32 " or -1)",
                         label, n, p->path, n);
    if (n < 2)
        return error_set(err, ERR_DATA, "%s: one column is no sample and its label", p->path);
    last = last || column == n;
    const uint8_t *bytes = p->x.bytes;
    p->y = (struct array){last ? bytes + (uint64_t)(n - 1) * width : bytes, p->x.stride, 1,
                          p->x.element};
    p->y_path = p->path;
    p->x.bytes = last ? bytes : bytes + width;
    p->x.n_columns--;
    memset(p->image, 0, sizeof p->image);
    return 0;
}

/* What the file itself lacks. */
static int add_labels(struct opening *o, struct part *p, const char *labels, struct error *err)
{
    if (p->n_rows == 0)
        return 0;
    if (o->data->schema != NULL)
        return 0;
    if (is_said(labels))
        return read_labels(o, labels, p, err);
    if (is_said(o->options->label) && p->y.bytes == NULL)
        return take_column(p, o->options->label, err);
    if (p->y.bytes == NULL)
        return error_set(err, ERR_DATA,
                         "%s: nothing to learn in it (right: --labels FILE, or --label COLUMN)",
                         p->path);
    return 0;
}

static int read_directory(struct opening *o, const char *dir, struct error *err)
{
    if (cifar_is_directory(dir)) {
        o->source = "cifar-10";
        return cifar_read_directory(&o->train, &o->test, &o->data->memory, dir, err);
    }
    o->source = "idx";
    return idx_read_directory(&o->train, &o->test, &o->data->memory, dir, NULL, err);
}

static int unknown_spec(const char *spec, struct error *err)
{
    static const char *const names[] = {"fashion-mnist", "blobs"};
    if (strchr(spec, '/') != NULL || strchr(spec, '.') != NULL)
        return error_set(err, ERR_DATA, "%s: no such file or directory", spec);
    const char *nearest = parse_nearest(spec, names, 2);
    return error_set(err, ERR_USAGE,
                     "no data '%s'%s%s%s (right: fashion-mnist, blobs:..., a file or a directory)",
                     spec, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

static int read_spec(struct opening *o, const char *spec, struct error *err)
{
    struct stat st;
    if (strcmp(spec, "fashion-mnist") == 0) {
        o->source = spec;
        return idx_read_directory(&o->train, &o->test, &o->data->memory, FASHION_DIR, FASHION_HINT,
                                  err);
    }
    if (stat(spec, &st) != 0)
        return unknown_spec(spec, err);
    int rc =
        S_ISDIR(st.st_mode) ? read_directory(o, spec, err) : read_file(o, spec, &o->train, err);
    if (rc == 0)
        rc = add_labels(o, &o->train, o->options->labels, err);
    if (rc == 0 && is_said(o->options->test) && o->share == 0) {
        o->test = (struct part){0};
        rc = read_file(o, o->options->test, &o->test, err);
    }
    return rc == 0 ? add_labels(o, &o->test, o->options->test_labels, err) : rc;
}

/* ---- from parts to sets ---------------------------------------------------------------------- */

static int check_finite(const struct part *p, struct error *err)
{
    if (!elements[p->x.element].is_float || array_span(&p->x, p->n_rows) > WHOLE_BYTES)
        return 0;
    for (uint64_t i = 0; i < p->n_rows; i++)
        for (uint32_t j = 0; j < p->x.n_columns; j++)
            if (!isfinite((float)array_value(&p->x, i, j)))
                return error_set(err, ERR_DATA,
                                 "%s: sample %" PRIu64 ", feature %" PRIu32
                                 ": %g (right: a finite number)",
                                 p->path, i + 1, j + 1, array_value(&p->x, i, j));
    return 0;
}

static int make_set(const struct opening *o, struct dataset *set, const struct part *p,
                    struct error *err)
{
    if (p->n_rows > UINT32_MAX)
        return error_set(err, ERR_DATA, "%s: %" PRIu64 " samples (right: at most %" PRIu32 ")",
                         p->path, p->n_rows, UINT32_MAX);
    if (p->x.n_columns != o->train.x.n_columns)
        return error_set(err, ERR_DATA,
                         "%s: %" PRIu32 " features a sample (right: %" PRIu32 ", as in %s)",
                         p->path, p->x.n_columns, o->train.x.n_columns, o->train.path);
    *set = (struct dataset){.n_samples = (uint32_t)p->n_rows,
                            .shape = {.n_features = p->x.n_columns, .n_tokens = o->n_tokens},
                            .x = p->x,
                            .tokens = o->tokens,
                            .groups = p == &o->train ? o->groups : NULL,
                            .n_groups = o->n_groups,
                            .scale_all = p->x.element == ELEMENT_U8 ? 1.0f / 255.0f : 1.0f};
    memcpy(set->shape.image, o->train.image, sizeof set->shape.image);
    return check_finite(p, err);
}

static uint32_t train_row(const void *ctx, uint32_t i)
{
    return holdout_train_row(ctx, i);
}

static uint32_t test_row(const void *ctx, uint32_t i)
{
    return holdout_test_row(ctx, i);
}

/* The same on every peer. */
static int hold_out(struct opening *o, struct error *err)
{
    struct dataset *train = &o->data->train, *test = &o->data->test;
    struct holdout *h = memory_alloc(&o->data->memory, sizeof *h);
    if (h == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", o->train.path);
    if (train->n_samples < 2)
        return error_set(err, ERR_DATA, "%s: one sample (right: two or more, one to test on)",
                         o->train.path);
    *h = holdout_of(train->n_samples, o->share, 0);
    *test = *train;
    train->rows = (struct row_map){train_row, h};
    test->rows = (struct row_map){test_row, h};
    train->n_samples = h->n - h->m;
    test->n_samples = h->m;
    return 0;
}

static int make_targets(struct opening *o, struct error *err)
{
    struct data_pair *data = o->data;
    if (data->schema != NULL) {
        data->train.y = o->train.y;
        data->test.y = o->test.y;
        data->train.shape.n_classes = schema_shape(data->schema).n_classes;
        data->test.shape.n_classes = data->train.shape.n_classes;
        return o->share > 0 ? hold_out(o, err) : 0;
    }
    if (o->tokens == NULL) {
        int rc = labels_make(data, &o->train, &o->test, err);
        return rc == 0 && o->share > 0 && data->test.n_samples == 0 ? hold_out(o, err) : rc;
    }
    data->train.y = o->train.y;
    data->test.y = o->test.y;
    data->train.shape.n_classes = data->test.shape.n_classes = o->n_tokens;
    return 0;
}

/* ---- the name -------------------------------------------------------------------------------- */

/* A chain: each hash seeds the next. Of a large array 64 blocks of 1 MiB, the first and the last
 * among them, and its size: two files of one length that differ nowhere there are taken for the
 * same. */
static uint64_t hash_array(const struct array *a, uint64_t n_rows, uint64_t seed)
{
    enum { BLOCK = 1 << 20, N_BLOCKS = 64 };
    const uint8_t *p = a->bytes;
    uint64_t n = array_span(a, n_rows);
    if (n <= WHOLE_BYTES)
        return XXH3_64bits_withSeed(p, n, seed);
    uint64_t h = XXH3_64bits_withSeed(&n, sizeof n, seed);
    for (uint64_t b = 0; b < N_BLOCKS; b++) {
        uint64_t at = (n - BLOCK) / (N_BLOCKS - 1) * b;
        h = XXH3_64bits_withSeed(p + (b < N_BLOCKS - 1 ? at : n - BLOCK), BLOCK, h);
    }
    return h;
}

/* All rows of a part, also those that are held out. */
static uint64_t hash_part(const struct dataset *set, const struct part *p, uint64_t seed)
{
    if (p->n_rows == 0)
        return seed;
    return hash_array(&set->x, p->n_rows, hash_array(&set->y, p->n_rows, seed));
}

static void name_data(const struct opening *o)
{
    struct data_pair *data = o->data;
    const struct dataset *train = &data->train;
    uint64_t hash = hash_part(train, &o->train, train->x.element);
    hash = hash_part(&data->test, &o->test, hash);
    if (data->class_values != NULL)
        hash = XXH3_64bits_withSeed(data->class_values,
                                    train->shape.n_classes * sizeof *data->class_values, hash);
    snprintf(data->name, sizeof data->name, "%s %" PRIu32 "x%" PRIu32 "/%" PRIu32 " %016" PRIx64,
             o->source, train->n_samples, train->shape.n_features, train->shape.n_classes, hash);
}

/* --test is a share of at most a half, or names data. */
static double share_of(const struct data_options *options)
{
    double share;
    if (!is_said(options->test))
        return SHARE_DEFAULT;
    return parse_f64(options->test, &share) && share > 0 && share <= 0.5 ? share : 0;
}

int data_open(struct data_pair *data, const char *spec, const struct data_options *options,
              struct error *err)
{
    static const struct data_options defaults;
    struct opening o = {.data = data, .options = options != NULL ? options : &defaults};
    *data = (struct data_pair){0};
    o.share = share_of(o.options);
    if (strcmp(spec, "blobs") == 0 || strncmp(spec, "blobs:", 6) == 0)
        return blobs_open(data, spec[5] == ':' ? spec + 6 : "", err);
    int rc = read_spec(&o, spec, err);
    if (rc == 0)
        rc = make_set(&o, &data->train, &o.train, err);
    if (rc == 0 && o.test.n_rows > 0)
        rc = make_set(&o, &data->test, &o.test, err);
    if (rc == 0)
        rc = make_targets(&o, err);
    if (rc == 0)
        name_data(&o);
    else
        data_close(data);
    return rc;
}
