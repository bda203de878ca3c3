/* Encoders: rows of text to features and targets, by a schema. */
#include "data/schema_inner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* A column of the schema as this file has it. */
struct source {
    const struct column *column;
    uint32_t at;         /* in the file */
    double shift, scale; /* NUMBER: x becomes (x - shift) * scale */
    double filler;       /* for a missing value, before that */
    struct names names;  /* CATEGORY: entry i is category order[i] */
};

struct encoder {
    char path[SCHEMA_NAME_MAX];
    const struct schema *schema;
    struct source *sources; /* features; the label comes after them */
    struct cell *cells;     /* [n_read] */
    uint32_t n_read;        /* columns: those of the schema, and the label where it is read */
    struct row_set rows;
    char unused[256];
};

/* ---- duplicates ------------------------------------------------------------------------------ */

static void row_set_put(struct row_set *set, uint64_t hash)
{
    uint64_t at = hash;
    while (set->hashes[at & (set->n_slots - 1)] != 0)
        at++;
    set->hashes[at & (set->n_slots - 1)] = hash;
    set->n++;
}

static void row_set_grow(struct row_set *set)
{
    struct row_set larger = {.n_slots = set->n_slots > 0 ? 2 * set->n_slots : 1024};
    larger.hashes = MEM_NEW(uint64_t, larger.n_slots);
    for (uint64_t i = 0; i < set->n_slots; i++)
        if (set->hashes[i] != 0)
            row_set_put(&larger, set->hashes[i]);
    free(set->hashes);
    *set = larger;
}

bool row_set_has(struct row_set *set, const struct cell *cells, uint32_t n)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        hash = c->kind == CELL_NUMBER ? XXH3_64bits_withSeed(&c->value, sizeof c->value, hash)
               : c->kind == CELL_TEXT ? XXH3_64bits_withSeed(c->text, c->n, hash + 1)
                                      : XXH3_64bits_withSeed("", 0, hash + 2);
    }
    hash += hash == 0;
    if (2 * (set->n + 1) > set->n_slots)
        row_set_grow(set);
    for (uint64_t at = hash; set->hashes[at & (set->n_slots - 1)] != 0; at++)
        if (set->hashes[at & (set->n_slots - 1)] == hash)
            return true;
    row_set_put(set, hash);
    return false;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static void set_scale(struct source *s, const struct preprocess *p)
{
    const struct stats *st = &s->column->stats;
    double spread = 0;
    s->scale = 1;
    s->filler =
        p->clean == CLEAN_MEDIAN && !isnan(s->column->median) ? s->column->median : st->mean;
    if (p->normalize == NORMALIZE_ZSCORE) {
        s->shift = st->mean;
        spread = stats_deviation(st);
    } else if (p->normalize == NORMALIZE_MINMAX) {
        s->shift = st->min;
        spread = st->max - st->min;
    }
    if (spread > 0)
        s->scale = 1 / spread;
}

static void source_init(struct source *s, const struct column *column,
                        const struct preprocess *preprocess, bool is_label)
{
    s->column = column;
    names_init(&s->names);
    for (uint32_t i = 0; i < column->categories.n; i++) {
        struct cell cell = cell_read(column->categories.names[i]);
        uint32_t at = names_add(&s->names, &cell, SCHEMA_CATEGORIES_MAX);
        CHECK(at == i);
    }
    s->scale = 1;
    if (column->kind == COLUMN_NUMBER && !is_label)
        set_scale(s, preprocess);
}

static int find_sources(struct encoder *e, const char *const *names, uint32_t n_columns,
                        struct error *err)
{
    bool *used = MEM_NEW(bool, n_columns);
    int rc = 0;
    for (uint32_t i = 0; i < e->n_read && rc == 0; i++) {
        struct source *s = &e->sources[i];
        const char *name = s->column->name;
        s->at = (uint32_t)parse_choice(name, names, n_columns);
        if (s->at < n_columns) {
            used[s->at] = true;
            continue;
        }
        const char *nearest = parse_nearest(name, names, n_columns);
        rc = error_set(err, ERR_DATA, "%s: column '%.100s' of the schema is not there%s%.80s%s",
                       e->path, name, nearest ? "; there is '" : "", nearest ? nearest : "",
                       nearest ? "'" : "");
    }
    size_t at = 0;
    for (uint32_t i = 0; i < n_columns && rc == 0 && at < sizeof e->unused; i++)
        if (!used[i])
            at += (size_t)snprintf(e->unused + at, sizeof e->unused - at, "%s%s",
                                   at > 0 ? ", " : "", names[i]);
    free(used);
    return rc;
}

struct encoder *encoder_new(const char *path, const struct schema *schema, bool labelled,
                            const char *const *names, uint32_t n_columns, struct error *err)
{
    struct encoder *e = MEM_NEW(struct encoder, 1);
    snprintf(e->path, sizeof e->path, "%s", path);
    e->schema = schema;
    e->sources = MEM_NEW(struct source, schema->n_columns + 1);
    e->n_read = schema->n_columns + labelled;
    e->cells = MEM_NEW(struct cell, e->n_read);
    for (uint32_t i = 0; i < schema->n_columns; i++)
        source_init(&e->sources[i], &schema->columns[i], &schema->preprocess, false);
    source_init(&e->sources[schema->n_columns], &schema->label, &schema->preprocess, true);
    if (find_sources(e, names, n_columns, err) == 0)
        return e;
    encoder_free(e);
    return NULL;
}

void encoder_free(struct encoder *e)
{
    if (e == NULL)
        return;
    for (uint32_t i = 0; i <= e->schema->n_columns; i++)
        names_close(&e->sources[i].names);
    free(e->sources);
    free(e->cells);
    free(e->rows.hashes);
    free(e);
}

const char *encoder_unused(const struct encoder *e)
{
    return e->unused;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* "a, b, c" as far as there is room. */
static void list_categories(const struct categories *c, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < c->n && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? ", " : "", c->names[i]);
}

/* Which category of the column a cell is. */
static int find_category(struct encoder *e, struct source *s, const struct cell *cell,
                         uint64_t line, uint32_t *category, struct error *err)
{
    char right[160];
    *category = names_add(&s->names, cell, s->names.n);
    if (*category != UINT32_MAX)
        return 0;
    list_categories(&s->column->categories, right, sizeof right);
    return error_set(err, ERR_DATA, "%s: line %" PRIu64 ": column '%.80s' holds '%.*s' (right: %s)",
                     e->path, line, s->column->name, (int)(cell->n < 40 ? cell->n : 40), cell->text,
                     right);
}

static int complain_no_number(const struct encoder *e, const struct source *s,
                              const struct cell *cell, uint64_t line, struct error *err)
{
    return error_set(err, ERR_DATA, "%s: line %" PRIu64 ": column '%s' holds '%.*s', no number",
                     e->path, line, s->column->name, (int)(cell->n < 40 ? cell->n : 40),
                     cell->text);
}

static int encode_target(struct encoder *e, uint64_t line, union target *y, struct error *err)
{
    struct source *s = &e->sources[e->schema->n_columns];
    const struct cell *cell = &e->cells[e->schema->n_columns];
    *y = (union target){0};
    if (e->n_read == e->schema->n_columns)
        return 0;
    if (s->column->kind == COLUMN_CATEGORY)
        return find_category(e, s, cell, line, &y->class, err);
    if (cell->kind != CELL_NUMBER)
        return complain_no_number(e, s, cell, line, err);
    y->real = (float)cell->value;
    return 0;
}

/* A missing category is none of them: all zeros. */
static int encode_cell(struct encoder *e, struct source *s, const struct cell *cell, uint64_t line,
                       float *x, struct error *err)
{
    if (s->column->kind == COLUMN_CATEGORY) {
        uint32_t category = 0;
        memset(x, 0, s->column->categories.n * sizeof *x);
        if (cell->kind == CELL_MISSING)
            return 0;
        int rc = find_category(e, s, cell, line, &category, err);
        if (rc == 0)
            x[category] = 1;
        return rc;
    }
    if (cell->kind == CELL_TEXT)
        return complain_no_number(e, s, cell, line, err);
    double value = cell->kind == CELL_MISSING ? s->filler : cell->value;
    *x = (float)((value - s->shift) * s->scale);
    return 0;
}

int encoder_row(struct encoder *e, const char *const *cells, uint64_t line, float *x,
                union target *y, struct error *err)
{
    const struct schema *schema = e->schema;
    bool drop = false;
    for (uint32_t i = 0; i < e->n_read; i++) {
        struct source *s = &e->sources[i];
        e->cells[i] = cell_read(cells[s->at]);
        if (e->cells[i].kind != CELL_MISSING)
            continue;
        if (schema->preprocess.clean == CLEAN_FAIL)
            return error_set(err, ERR_DATA,
                             "%s: line %" PRIu64 ": column '%s' is missing or not finite "
                             "(right: a value, or --clean drop, mean or median)",
                             e->path, line, s->column->name);
        drop |= schema->preprocess.clean == CLEAN_DROP || i == schema->n_columns;
    }
    if (drop || (schema->preprocess.drop_duplicates && row_set_has(&e->rows, e->cells, e->n_read)))
        return 0;
    int rc = encode_target(e, line, y, err);
    for (uint32_t i = 0; i < schema->n_columns && rc == 0; i++) {
        struct source *s = &e->sources[i];
        rc = encode_cell(e, s, &e->cells[i], line, x, err);
        x += s->column->kind == COLUMN_CATEGORY ? s->column->categories.n : 1;
    }
    return rc == 0 ? 1 : rc;
}
