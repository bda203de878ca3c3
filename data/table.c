#include "data/table.h"

#include "base/log.h"
#include "base/parse.h"
#include "data/csv.h"
#include "data/schema_inner.h"

#include <inttypes.h>
#include <string.h>

/* ---- what is in it --------------------------------------------------------------------------- */

int table_summarise(struct summary *summary, const struct source *s, const struct data_options *o,
                    struct error *err)
{
    struct csv c;
    struct table_options options = {.label = o->label,
                                    .ignore = o->ignore.values,
                                    .n_ignore = o->ignore.n,
                                    .target = (enum target_kind)o->target,
                                    .preprocess = o->preprocess};
    int rc = csv_open(&c, s, err);
    if (rc != 0)
        return rc;
    struct survey *survey =
        survey_new(s->path, (const char *const *)c.names, c.n_columns, &options, err);
    if (survey == NULL)
        rc = err->code;
    while (rc == 0 && (rc = csv_next(&c, err)) == 1)
        rc = survey_row(survey, c.cells, c.line, err) < 0 ? err->code : 0;
    if (rc == 0)
        rc = survey_end(survey, summary, err);
    survey_free(survey);
    csv_close(&c);
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What table_read fills. */
struct filling {
    struct csv csv;
    struct encoder *encoder;
    uint32_t n_features;
    bool classes;
    float *x, *y_real;
    int32_t *y_class;
    uint32_t *groups;
    uint32_t group; /* the column, n_columns for none */
    struct names values;
    uint64_t n_rows;
};

static int count_rows(struct csv *c, uint64_t *n, struct error *err)
{
    int rc;
    for (*n = 0; (rc = csv_next(c, err)) == 1; ++*n)
        ;
    csv_rewind(c);
    return rc;
}

static int fill(struct filling *f, struct error *err)
{
    int rc;
    while ((rc = csv_next(&f->csv, err)) == 1) {
        union target y;
        const char *const *cells = f->csv.cells;
        rc = encoder_row(f->encoder, cells, f->csv.line, f->x + f->n_rows * f->n_features, &y, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        if (f->classes)
            f->y_class[f->n_rows] = (int32_t)y.class;
        else
            f->y_real[f->n_rows] = y.real;
        if (f->groups != NULL) {
            struct cell cell = cell_read(cells[f->group]);
            if (cell.kind == CELL_MISSING)
                cell.kind = CELL_TEXT;
            f->groups[f->n_rows] = names_add(&f->values, &cell, UINT32_MAX - 1);
        }
        f->n_rows++;
    }
    return rc;
}

/* --label and --ignore beside a schema that was given: they may say what it says already. */
static int check_columns(const struct csv *c, const struct schema *schema,
                         const struct data_options *o, struct error *err)
{
    const char *const *names = (const char *const *)c->names;
    uint32_t column;
    if (!o->unlabelled && o->label != NULL && o->label[0] != '\0') {
        int rc =
            table_find_column(c->s.path, names, c->n_columns, o->label, "--label", &column, err);
        if (rc != 0)
            return rc;
        if (strcmp(names[column], schema->label.name) != 0)
            return error_set(
                err, ERR_USAGE,
                "--label %.80s: the schema learns '%.80s' (right: that, or no --label; "
                "hubbub data agree makes another schema)",
                o->label, schema->label.name);
    }
    for (uint32_t i = 0; i < o->ignore.n; i++) {
        int rc = table_find_column(c->s.path, names, c->n_columns, o->ignore.values[i], "--ignore",
                                   &column, err);
        if (rc != 0)
            return rc;
        bool used = strcmp(names[column], schema->label.name) == 0;
        for (uint32_t j = 0; j < schema->n_columns && !used; j++)
            used = strcmp(names[column], schema->columns[j].name) == 0;
        if (used)
            return error_set(
                err, ERR_USAGE,
                "--ignore %.80s: the schema has the column '%.80s' (right: one that it "
                "does not have; hubbub data agree makes another schema)",
                o->ignore.values[i], names[column]);
    }
    return 0;
}

static int prepare(struct filling *f, struct memory **list, const struct data_options *o,
                   struct error *err)
{
    struct csv *c = &f->csv;
    bool grouped = o->group != NULL && o->group[0] != '\0';
    uint64_t n;
    int rc = count_rows(c, &n, err);
    if (rc != 0)
        return rc;
    f->group = grouped
                   ? (uint32_t)parse_choice(o->group, (const char *const *)c->names, c->n_columns)
                   : c->n_columns;
    if (grouped && f->group == c->n_columns)
        return error_set(err, ERR_DATA, "%s: --partition by:%.80s: there is no such column",
                         c->s.path, o->group);
    if (n > TABLE_FLOATS_MAX / (uint64_t)f->n_features)
        return error_set(err, ERR_DATA,
                         "%s: %" PRIu64 " rows of %" PRIu32 " features are too many (right: %d "
                         "numbers at most; an .npy has no limit)",
                         c->s.path, n, f->n_features, TABLE_FLOATS_MAX);
    f->x = memory_alloc(list, (n > 0 ? n : 1) * f->n_features * sizeof(float));
    void *y = memory_alloc(list, (n > 0 ? n : 1) * sizeof(float));
    f->y_class = y;
    f->y_real = y;
    if (grouped)
        f->groups = memory_alloc(list, (n > 0 ? n : 1) * sizeof(uint32_t));
    if (f->x == NULL || y == NULL || (grouped && f->groups == NULL))
        return error_set(err, ERR_FAILURE,
                         "%s: no memory for %" PRIu64 " rows of %" PRIu32 " features", c->s.path, n,
                         f->n_features);
    return 0;
}

int table_read(struct part *p, const struct schema *schema, struct memory **list,
               const struct source *s, const struct data_options *o, const uint32_t **groups,
               uint32_t *n_groups, struct error *err)
{
    struct data_shape shape = schema_shape(schema);
    struct filling f = {.n_features = shape.n_features, .classes = shape.n_classes > 0};
    int rc = csv_open(&f.csv, s, err);
    if (rc != 0)
        return rc;
    names_init(&f.values);
    bool is_given = o->model_schema != NULL || (o->schema != NULL && o->schema[0] != '\0');
    rc = is_given ? check_columns(&f.csv, schema, o, err) : 0;
    if (rc == 0) {
        f.encoder = encoder_new(s->path, schema, !o->unlabelled, (const char *const *)f.csv.names,
                                f.csv.n_columns, err);
        rc = f.encoder == NULL ? err->code : prepare(&f, list, o, err);
    }
    if (rc == 0)
        rc = fill(&f, err);
    if (rc == 0 && f.n_rows == 0)
        rc = error_set(err, ERR_DATA, "%s: no rows of data", s->path);
    if (rc == 0 && o->unlabelled && f.n_rows < f.csv.n_rows)
        log_warn("%s: %" PRIu64 " of its %" PRIu64 " rows are left out and not numbered: a value "
                 "is missing, or they are there twice",
                 s->path, f.csv.n_rows - f.n_rows, f.csv.n_rows);
    if (rc == 0 && encoder_unused(f.encoder)[0] != '\0')
        log_info("%s: not used: %s", s->path, encoder_unused(f.encoder));
    if (rc == 0) {
        *p = (struct part){.n_rows = f.n_rows,
                           .x = array_of(f.x, f.n_features, ELEMENT_F32),
                           .path = s->path,
                           .y = array_of(f.y_class, 1, f.classes ? ELEMENT_I32 : ELEMENT_F32),
                           .y_path = s->path};
        *groups = f.groups;
        *n_groups = f.values.n;
    }
    encoder_free(f.encoder);
    names_close(&f.values);
    csv_close(&f.csv);
    return rc;
}
