/* Opening a data set: from a spec to two sets of samples. */
#include "data/dataset.h"

#include "base/mem.h"
#include "base/parse.h"
#include "data/blobs.h"
#include "data/cifar.h"
#include "data/class_names.h"
#include "data/holdout.h"
#include "data/idx.h"
#include "data/labels.h"
#include "data/libsvm.h"
#include "data/memory.h"
#include "data/numpy.h"
#include "data/prepare.h"
#include "data/source.h"
#include "data/table.h"
#include "data/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define FASHION_DIR  "/usr/share/datasets/fashion-mnist"
#define FASHION_HINT "apt-get install dataset-fashion-mnist"

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
    if (o->options->model_schema != NULL) {
        rc = schema_from_json(schema, o->options->model_schema, err);
    } else if (is_said(o->options->schema)) {
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
    if (rc != 0 && !is_said(o->options->schema) && strstr(err->text, s->path) == NULL)
        error_prefix(err, "%s", s->path);
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

/* What the user says of an array's labels and columns. */
static int set_columns(struct opening *o, struct part *p, const char *labels, struct error *err)
{
    if (p->n_rows == 0)
        return 0;
    int rc = is_said(labels) ? read_labels(o, labels, p, err) : 0;
    if (rc == 0)
        rc = prepare_columns(p, o->options->label, &o->options->ignore, &o->data->memory, err);
    return rc;
}

static int add_labels(struct opening *o, struct part *p, const char *labels, struct error *err)
{
    if (o->data->schema != NULL || o->tokens != NULL)
        return 0;
    int rc = set_columns(o, p, labels, err);
    if (rc == 0 && p->n_rows > 0 && p->y.bytes == NULL)
        return error_set(err, ERR_DATA,
                         "%s: nothing to learn in it (right: --labels FILE, or --label COLUMN)",
                         p->path);
    return rc;
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

/* ---- options --------------------------------------------------------------------------------- */

enum kind { BLOBS = 1, TEXT = 2, ARRAY = 4, TABLE = 8, ALL = 15 };

/* What cannot be honoured is an error. */
static int check_options(const struct opening *o, enum kind kind, struct error *err)
{
    const struct data_options *op = o->options;
    const struct preprocess *p = &op->preprocess;
    const char *schema = op->model_schema != NULL ? "the model file's schema" : op->schema;
    bool has_schema = is_said(schema),
         only_table = p->clean > CLEAN_DROP || p->drop_duplicates || p->drop_constant;
    const struct {
        const char *name;
        bool is_said;
        int works_on;
    } rows[] = {
        {"--test", is_said(op->test), ALL - BLOBS},
        {"--label", is_said(op->label), ARRAY | TABLE},
        {"--labels", is_said(op->labels), ARRAY},
        {"--test-labels", is_said(op->test_labels), ARRAY},
        {"--ignore", op->ignore.n > 0, ARRAY | TABLE},
        {"--clean", p->clean != CLEAN_FAIL, ARRAY | TABLE},
        {"--clean mean, median, duplicates or constant", only_table, TABLE},
        {"--normalize", p->normalize != NORMALIZE_AUTO, ARRAY | TABLE},
        {"--target", op->target != TARGET_AUTO, ARRAY | TABLE},
        {"--layout", op->layout.order != LAYOUT_AUTO, ARRAY | TABLE},
        {"--schema", is_said(op->schema), TABLE},
        {"a model that was trained on a table", op->model_schema != NULL, TABLE},
        {"--context", op->context > 0, TEXT},
        {"--partition by:COLUMN", is_said(op->group), TABLE},
    };
    static const char *const names[] = {
        [BLOBS] = "blobs", [TEXT] = "a text (--context)", [ARRAY] = "arrays", [TABLE] = "a table"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].is_said && (rows[i].works_on & (int)kind) == 0)
            return error_set(err, ERR_USAGE, "%s does not go with %s (right: with %s)",
                             rows[i].name, names[kind],
                             rows[i].works_on == TABLE   ? "a table"
                             : rows[i].works_on == TEXT  ? "a text"
                             : rows[i].works_on == ARRAY ? "arrays"
                                                         : "arrays or a table");
    if (has_schema && (p->clean != CLEAN_FAIL || only_table || p->normalize != NORMALIZE_AUTO ||
                       op->target != TARGET_AUTO))
        return error_set(err, ERR_USAGE,
                         "--clean, --normalize and --target are those of %s (right: say them to "
                         "%s)",
                         schema, op->model_schema != NULL ? "hubbub node" : "hubbub data agree");
    return 0;
}

static int read_named(struct opening *o, const char *spec, struct error *err)
{
    struct stat st;
    if (strcmp(spec, "fashion-mnist") == 0) {
        o->source = spec;
        return idx_read_directory(&o->train, &o->test, &o->data->memory, FASHION_DIR, FASHION_HINT,
                                  err);
    }
    if (stat(spec, &st) != 0)
        return unknown_spec(spec, err);
    return S_ISDIR(st.st_mode) ? read_directory(o, spec, err) : read_file(o, spec, &o->train, err);
}

static int read_spec(struct opening *o, const char *spec, struct error *err)
{
    const struct data_options *options = o->options;
    int rc = read_named(o, spec, err);
    if (rc == 0)
        rc = check_options(o,
                           o->data->schema != NULL ? TABLE
                           : o->tokens != NULL     ? TEXT
                                                   : ARRAY,
                           err);
    if (rc == 0)
        rc = add_labels(o, &o->train, options->labels, err);
    if (rc == 0 && is_said(options->test) && o->tokens == NULL)
        o->test = (struct part){0};
    if (rc == 0 && is_said(options->test) && o->share == 0)
        rc = read_file(o, options->test, &o->test, err);
    if (rc == 0 && is_said(options->test_labels) && o->test.n_rows == 0)
        rc = error_set(err, ERR_USAGE, "--test-labels without the test data (right: --test FILE)");
    return rc == 0 ? add_labels(o, &o->test, options->test_labels, err) : rc;
}

/* ---- from parts to sets ---------------------------------------------------------------------- */

/* Layout; rows and targets of arrays. */
static int prepare(struct opening *o, struct error *err)
{
    const struct data_options *options = o->options;
    struct part *parts[] = {&o->train, &o->test};
    int rc = layout_apply(&options->layout, &o->train, err);
    if (rc == 0)
        rc = layout_apply(&options->layout, &o->test, err);
    for (int i = 0; i < 2 && rc == 0 && o->data->schema == NULL && o->tokens == NULL; i++) {
        rc = prepare_rows(parts[i], options->preprocess.clean, &o->data->memory, err);
        if (rc == 0 && options->target == TARGET_CLASSES)
            rc = prepare_classes(parts[i], &o->data->memory, err);
    }
    return rc;
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
                            .channels_last = p->channels_last,
                            .scale_all = 1.0f};
    memcpy(set->shape.image, o->train.image, sizeof set->shape.image);
    return 0;
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
        int rc = labels_make(data, &o->train, &o->test, o->options->target == TARGET_REAL, err);
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
    if (n <= PREPARE_WHOLE_BYTES)
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

static uint64_t hash_scale(const struct dataset *set, uint64_t seed)
{
    size_t n = set->shape.n_features * sizeof *set->scale;
    if (set->shift == NULL)
        return XXH3_64bits_withSeed(&set->scale_all, sizeof set->scale_all, seed);
    return XXH3_64bits_withSeed(set->scale, n, XXH3_64bits_withSeed(set->shift, n, seed));
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
    if (data->schema == NULL && o->options->preprocess.normalize != NORMALIZE_AUTO)
        hash = hash_scale(train, hash);
    snprintf(data->layout, sizeof data->layout, "%s", o->options->layout.text);
    if (data->layout[0] != '\0')
        hash = XXH3_64bits_withSeed(data->layout, strlen(data->layout), hash);
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

int data_read_arrays(struct part *train, struct part *test, struct data_pair *data,
                     const char *spec, const struct data_options *options, struct error *err)
{
    struct opening o = {.data = data, .options = options};
    *data = (struct data_pair){0};
    int rc = read_named(&o, spec, err);
    if (rc == 0)
        rc = set_columns(&o, &o.train, options->labels, err);
    if (rc == 0)
        rc = set_columns(&o, &o.test, options->test_labels, err);
    *train = o.train;
    *test = o.test;
    return rc;
}

int data_open(struct data_pair *data, const char *spec, const struct data_options *options,
              struct error *err)
{
    static const struct data_options defaults;
    struct opening o = {.data = data, .options = options != NULL ? options : &defaults};
    *data = (struct data_pair){0};
    o.share = o.options->whole ? 0 : share_of(o.options);
    if (strcmp(spec, "blobs") == 0 || strncmp(spec, "blobs:", 6) == 0) {
        int rc = check_options(&o, BLOBS, err);
        return rc == 0 ? blobs_open(data, spec[5] == ':' ? spec + 6 : "", err) : rc;
    }
    int rc = read_spec(&o, spec, err);
    if (rc == 0)
        rc = prepare(&o, err);
    if (rc == 0)
        rc = make_set(&o, &data->train, &o.train, err);
    if (rc == 0 && o.test.n_rows > 0)
        rc = make_set(&o, &data->test, &o.test, err);
    if (rc == 0)
        rc = make_targets(&o, err);
    if (rc == 0 && data->schema == NULL && o.tokens == NULL)
        rc = prepare_features(data, o.options->preprocess.normalize, err);
    if (rc == 0)
        rc = class_names_set(data, &o.train, err);
    if (rc == 0)
        name_data(&o);
    else
        data_close(data);
    return rc;
}
