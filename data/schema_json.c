/* Summaries and schemas as JSON. What is read may come from anybody. */
#include "data/schema_inner.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_MAX ((uint64_t)1 << 53)

static const char *const column_kind_names[N_COLUMN_KINDS] = {"number", "category"};

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *count_json(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static void set_categories(json_t *o, const struct categories *c)
{
    json_t *names = json_array(), *counts = json_array();
    for (uint32_t i = 0; i < c->n; i++) {
        json_array_append_new(names, json_string(c->names[i]));
        json_array_append_new(counts, count_json(c->counts[i]));
    }
    json_object_set_new(o, "categories", names);
    json_object_set_new(o, "counts", counts);
}

static json_t *column_json(const struct column *c)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(c->name));
    json_object_set_new(o, "kind", json_string(column_kind_names[c->kind]));
    json_object_set_new(o, "missing", count_json(c->n_missing));
    if (c->kind == COLUMN_CATEGORY) {
        set_categories(o, &c->categories);
        return o;
    }
    json_object_set_new(o, "count", count_json(c->stats.count));
    json_object_set_new(o, "mean", json_real(c->stats.mean));
    json_object_set_new(o, "m2", json_real(c->stats.m2));
    json_object_set_new(o, "min", json_real(c->stats.min));
    json_object_set_new(o, "max", json_real(c->stats.max));
    if (!isnan(c->median))
        json_object_set_new(o, "median", json_real(c->median));
    return o;
}

static json_t *preprocess_json(const struct preprocess *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "clean", json_string(clean_names[p->clean]));
    json_object_set_new(o, "drop_duplicates", json_boolean(p->drop_duplicates));
    json_object_set_new(o, "drop_constant", json_boolean(p->drop_constant));
    json_object_set_new(o, "normalize", json_string(normalize_names[p->normalize]));
    return o;
}

static json_t *table_json(const char *what, const struct preprocess *p, uint64_t n_rows,
                          const struct column *columns, uint32_t n_columns,
                          const struct column *label)
{
    json_t *o = json_object(), *list = json_array();
    for (uint32_t i = 0; i < n_columns; i++)
        json_array_append_new(list, column_json(&columns[i]));
    json_object_set_new(o, "hubbub", json_string(what));
    json_object_set_new(o, "version", json_integer(1));
    json_object_set_new(o, "preprocess", preprocess_json(p));
    json_object_set_new(o, "rows", count_json(n_rows));
    json_object_set_new(o, "label", column_json(label));
    json_object_set_new(o, "columns", list);
    return o;
}

json_t *summary_to_json(const struct summary *s)
{
    return table_json("summary", &s->preprocess, s->n_rows, s->columns, s->n_columns, &s->label);
}

static json_t *peer_json(const struct schema_peer *p, uint32_t n_classes)
{
    char id[2 * SCHEMA_ID_BYTES + 1];
    json_t *o = json_object(), *counts = json_array();
    for (uint32_t i = 0; i < SCHEMA_ID_BYTES; i++)
        snprintf(id + 2 * i, 3, "%02x", p->id[i]);
    for (uint32_t c = 0; c < n_classes && p->class_counts != NULL; c++)
        json_array_append_new(counts, count_json(p->class_counts[c]));
    json_object_set_new(o, "id", json_string(id));
    json_object_set_new(o, "rows", count_json(p->n_rows));
    json_object_set_new(o, "counts", counts);
    return o;
}

json_t *schema_to_json(const struct schema *s)
{
    json_t *o =
        table_json("schema", &s->preprocess, s->n_rows, s->columns, s->n_columns, &s->label);
    json_t *peers = json_array();
    for (uint32_t i = 0; i < s->n_peers; i++)
        json_array_append_new(peers, peer_json(&s->peers[i], s->label.categories.n));
    json_object_set_new(o, "peers", peers);
    return o;
}

int schema_write(const struct schema *s, const char *path, struct error *err)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.tmp%d", path, (int)getpid()) >=
        (int)sizeof temporary)
        return error_set(err, ERR_FAILURE, "%.100s...: the path is too long", path);
    json_t *o = schema_to_json(s);
    FILE *f = fopen(temporary, "wxe");
    bool good = f != NULL && json_dumpf(o, f, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) == 0;
    good = good && fputc('\n', f) != EOF && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (!good)
        error_set(err, ERR_FAILURE, "%s: cannot be written: %m", path);
    if (f != NULL && fclose(f) != 0 && good) {
        error_set(err, ERR_FAILURE, "%s: cannot be written: %m", path);
        good = false;
    }
    if (good && rename(temporary, path) != 0) {
        error_set(err, ERR_FAILURE, "%s: cannot be written: %m", path);
        good = false;
    }
    if (!good && f != NULL)
        unlink(temporary);
    json_decref(o);
    return good ? 0 : ERR_FAILURE;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int bad(struct error *err, const char *key, const char *what)
{
    return error_set(err, ERR_DATA, "\"%s\" %s", key, what);
}

static int read_count(const json_t *o, const char *key, uint64_t *n, struct error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        (uint64_t)json_integer_value(v) > COUNT_MAX)
        return bad(err, key, "is no count (right: a whole number from 0 to 2^53)");
    *n = (uint64_t)json_integer_value(v);
    return 0;
}

static int read_real(const json_t *o, const char *key, double limit, double *x, struct error *err)
{
    const json_t *v = json_object_get(o, key);
    *x = json_number_value(v);
    if (!json_is_number(v) || !(fabs(*x) <= limit))
        return bad(err, key, "is no number, or too large");
    return 0;
}

/* Index into names. */
static int read_choice(const json_t *o, const char *key, const char *const *names, uint32_t n,
                       uint32_t *choice, struct error *err)
{
    const char *text = json_string_value(json_object_get(o, key));
    *choice = text != NULL ? (uint32_t)parse_choice(text, names, n) : n;
    return *choice < n ? 0 : bad(err, key, "is none of the words that may stand there");
}

static int read_name(const json_t *v, char name[SCHEMA_NAME_MAX], struct error *err)
{
    const char *text = json_string_value(v);
    size_t n = json_string_length(v);
    if (text == NULL || strlen(text) != n || !schema_name_is_clean(text, n))
        return bad(err, "name", "is no text of 1 to 255 bytes without control characters");
    memcpy(name, text, n + 1);
    return 0;
}

/* In the order of name_compare, each in its shortest form: so equal sets are equal texts. */
static int read_categories(const json_t *o, struct categories *c, struct error *err)
{
    const json_t *list = json_object_get(o, "categories"), *counts = json_object_get(o, "counts");
    size_t n = json_array_size(list);
    if (n > SCHEMA_CATEGORIES_MAX || n != json_array_size(counts))
        return bad(err, "categories", "are not at most 256 texts with as many \"counts\"");
    struct names names;
    int rc = 0;
    names_init(&names);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        char name[SCHEMA_NAME_MAX];
        const json_t *count = json_array_get(counts, i);
        rc = read_name(json_array_get(list, i), name, err);
        struct cell cell = cell_read(rc == 0 ? name : "?");
        bool good = cell.kind != CELL_MISSING && names_add(&names, &cell, i + 1) == i &&
                    strcmp(names.entries[i].text, name) == 0 &&
                    (i == 0 || name_compare(&names.entries[i - 1], &names.entries[i]) < 0) &&
                    json_is_integer(count) && json_integer_value(count) >= 0 &&
                    (uint64_t)json_integer_value(count) <= COUNT_MAX;
        if (rc == 0 && !good)
            rc = bad(err, "categories", "are not sorted, or one is no value");
        else if (rc == 0)
            names.entries[i].count = (uint64_t)json_integer_value(count);
    }
    if (rc == 0)
        categories_take(c, &names);
    names_close(&names);
    return rc;
}

static int read_stats(const json_t *o, struct column *c, struct error *err)
{
    struct stats *s = &c->stats;
    int rc = read_count(o, "count", &s->count, err);
    if (rc == 0)
        rc = read_real(o, "mean", CELL_LIMIT, &s->mean, err);
    if (rc == 0)
        rc = read_real(o, "m2", CELL_LIMIT * CELL_LIMIT * 1e17, &s->m2, err);
    if (rc == 0)
        rc = read_real(o, "min", CELL_LIMIT, &s->min, err);
    if (rc == 0)
        rc = read_real(o, "max", CELL_LIMIT, &s->max, err);
    if (rc == 0 && json_object_get(o, "median") != NULL)
        rc = read_real(o, "median", CELL_LIMIT, &c->median, err);
    if (rc == 0 && (s->m2 < 0 || s->min > s->max))
        rc = bad(err, "m2", "is below 0, or \"min\" above \"max\"");
    return rc;
}

static int read_column(const json_t *o, struct column *c, struct error *err)
{
    uint32_t kind;
    *c = (struct column){.median = NAN};
    int rc = read_name(json_object_get(o, "name"), c->name, err);
    if (rc == 0)
        rc = read_choice(o, "kind", column_kind_names, N_COLUMN_KINDS, &kind, err);
    if (rc == 0)
        rc = read_count(o, "missing", &c->n_missing, err);
    if (rc != 0)
        return rc;
    c->kind = (enum column_kind)kind;
    return c->kind == COLUMN_CATEGORY ? read_categories(o, &c->categories, err)
                                      : read_stats(o, c, err);
}

static int read_preprocess(const json_t *root, struct preprocess *p, struct error *err)
{
    const json_t *o = json_object_get(root, "preprocess");
    uint32_t clean = 0, normalize = 0;
    int rc = read_choice(o, "clean", clean_names, N_CLEANS, &clean, err);
    if (rc == 0)
        rc = read_choice(o, "normalize", normalize_names, N_NORMALIZES, &normalize, err);
    p->clean = (enum clean)clean;
    p->normalize = (enum normalize)normalize;
    p->drop_duplicates = json_is_true(json_object_get(o, "drop_duplicates"));
    p->drop_constant = json_is_true(json_object_get(o, "drop_constant"));
    return rc;
}

/* One name may not stand twice. */
static int check_columns(const struct column *columns, uint32_t n, const struct column *label,
                         struct error *err)
{
    struct names seen;
    int rc = 0;
    names_init(&seen);
    for (uint32_t i = 0; i <= n && rc == 0; i++) {
        const char *name = i < n ? columns[i].name : label->name;
        struct cell cell = {.kind = CELL_TEXT, .text = name, .n = strlen(name)};
        if (names_add(&seen, &cell, n + 1) < i)
            rc = error_set(err, ERR_DATA, "two columns are called '%s'", name);
    }
    names_close(&seen);
    return rc;
}

static int read_table(const json_t *o, const char *what, struct preprocess *p, uint64_t *n_rows,
                      struct column **columns, uint32_t *n_columns, struct column *label,
                      struct error *err)
{
    const json_t *list = json_object_get(o, "columns");
    const char *name = json_string_value(json_object_get(o, "hubbub"));
    size_t n = json_array_size(list);
    if (name == NULL || strcmp(name, what) != 0)
        return error_set(err, ERR_DATA, "not a %s of hubbub", what);
    if (json_integer_value(json_object_get(o, "version")) != 1)
        return bad(err, "version", "is not 1: written by another version of hubbub");
    if (n == 0 || n > SCHEMA_COLUMNS_MAX)
        return bad(err, "columns", "is not a list of 1 to 4096 columns");
    int rc = read_preprocess(o, p, err);
    if (rc == 0)
        rc = read_count(o, "rows", n_rows, err);
    if (rc == 0)
        rc = read_column(json_object_get(o, "label"), label, err);
    *columns = MEM_NEW(struct column, n);
    for (*n_columns = 0; *n_columns < n && rc == 0; (*n_columns)++)
        rc = read_column(json_array_get(list, *n_columns), &(*columns)[*n_columns], err);
    if (rc == 0)
        rc = check_columns(*columns, *n_columns, label, err);
    if (rc == 0 && *n_rows == 0)
        rc = bad(err, "rows", "is 0");
    if (rc == 0 && label->kind == COLUMN_CATEGORY && label->categories.n == 0)
        rc = bad(err, "label", "has no classes");
    return rc;
}

int summary_parse(struct summary *s, const char *text, size_t n, struct error *err)
{
    json_error_t where;
    *s = (struct summary){0};
    if (n > SCHEMA_SUMMARY_BYTES_MAX)
        return error_set(err, ERR_DATA, "a summary of %zu bytes (right: at most %d)", n,
                         SCHEMA_SUMMARY_BYTES_MAX);
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (o == NULL)
        return error_set(err, ERR_DATA, "a summary that is no JSON: %.100s", where.text);
    int rc = read_table(o, "summary", &s->preprocess, &s->n_rows, &s->columns, &s->n_columns,
                        &s->label, err);
    json_decref(o);
    if (rc != 0)
        summary_close(s);
    return rc;
}

static int read_peer(struct schema *s, const json_t *o, struct schema_peer *p, struct error *err)
{
    const char *id = json_string_value(json_object_get(o, "id"));
    const json_t *counts = json_object_get(o, "counts");
    uint32_t n_classes = s->label.kind == COLUMN_CATEGORY ? s->label.categories.n : 0;
    int rc = read_count(o, "rows", &p->n_rows, err);
    if (rc != 0)
        return rc;
    if (id == NULL || strlen(id) != 2 * SCHEMA_ID_BYTES ||
        strspn(id, "0123456789abcdef") != 2 * SCHEMA_ID_BYTES)
        return bad(err, "id", "is not 64 hexadecimal digits");
    for (uint32_t i = 0; i < SCHEMA_ID_BYTES; i++)
        p->id[i] = (uint8_t)strtoul((char[]){id[2 * i], id[2 * i + 1], '\0'}, NULL, 16);
    if (json_array_size(counts) != n_classes)
        return bad(err, "counts", "are not as many as the classes");
    if (n_classes > 0)
        p->class_counts = MEM_NEW(uint64_t, n_classes);
    for (uint32_t c = 0; c < n_classes; c++)
        p->class_counts[c] = (uint64_t)json_integer_value(json_array_get(counts, c));
    return 0;
}

int schema_from_json(struct schema *s, const json_t *json, struct error *err)
{
    const json_t *peers = json_object_get(json, "peers");
    size_t n = json_array_size(peers);
    *s = (struct schema){0};
    int rc = read_table(json, "schema", &s->preprocess, &s->n_rows, &s->columns, &s->n_columns,
                        &s->label, err);
    if (rc == 0 && n > SCHEMA_PEERS_MAX)
        rc = bad(err, "peers", "are more than 1024");
    if (rc == 0 && s->preprocess.normalize == NORMALIZE_AUTO)
        rc = bad(err, "normalize", "is auto, which a schema has decided");
    if (rc == 0)
        rc = schema_check_features(s, err);
    s->peers = MEM_NEW(struct schema_peer, rc == 0 ? n : 0);
    for (size_t i = 0; i < n && rc == 0; i++) {
        s->n_peers++;
        rc = read_peer(s, json_array_get(peers, i), &s->peers[i], err);
    }
    if (rc != 0)
        schema_close(s);
    return rc;
}

int schema_read(struct schema *s, const char *path, struct error *err)
{
    json_error_t where;
    uint64_t size;
    *s = (struct schema){0};
    int fd = file_open(path, &size, err);
    if (fd < 0)
        return fd;
    if (size > SCHEMA_FILE_BYTES_MAX) {
        close(fd);
        return error_set(err, ERR_DATA, "%s: %" PRIu64 " bytes (right: a schema of at most %d)",
                         path, size, SCHEMA_FILE_BYTES_MAX);
    }
    json_t *o = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
    close(fd);
    if (o == NULL)
        return error_set(err, ERR_DATA, "%s: line %d: no JSON: %.100s", path, where.line,
                         where.text);
    int rc = schema_from_json(s, o, err);
    json_decref(o);
    return rc == 0 ? 0 : error_prefix(err, "%s", path);
}
