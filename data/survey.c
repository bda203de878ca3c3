/* Surveys: one pass over the rows of a table, then a summary. */
#include "data/cell.h"
#include "data/schema_inner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/quantile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const target_kind_names[N_TARGET_KINDS + 1] = {"auto", "classes", "real", NULL};

/* What is known of a column so far. */
struct field {
    char name[SCHEMA_NAME_MAX];
    uint32_t at; /* in the file */
    uint64_t n_missing;
    bool has_text, is_whole;
    bool overflows; /* more than SCHEMA_CATEGORIES_MAX values: names is given up */
    struct names names;
    struct stats stats;
    double *values; /* all of them, for the median; else NULL */
    size_t n_values, values_room;
};

struct survey {
    char path[SCHEMA_NAME_MAX];
    struct table_options options;
    uint32_t n_columns; /* of the file */
    uint32_t n_fields;  /* features; the label comes after them */
    struct field *fields;
    struct cell *cells; /* [n_fields + 1], of the row at hand */
    struct row_set rows;
    uint64_t n_rows;
};

/* ---- columns --------------------------------------------------------------------------------- */

bool schema_name_is_clean(const char *name, size_t n)
{
    if (n == 0 || n >= SCHEMA_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    json_t *text = json_stringn(name, n); /* NULL: not UTF-8 */
    json_decref(text);
    return text != NULL;
}

static int check_names(const char *path, const char *const *names, uint32_t n, struct error *err)
{
    if (n > SCHEMA_COLUMNS_MAX)
        return error_set(err, ERR_DATA, "%s: %" PRIu32 " columns (right: at most %d)", path, n,
                         SCHEMA_COLUMNS_MAX);
    for (uint32_t i = 0; i < n; i++)
        if (!schema_name_is_clean(names[i], strlen(names[i])))
            return error_set(err, ERR_DATA,
                             "%s: column %" PRIu32 ": its name is empty, longer than %d bytes or "
                             "not UTF-8 without control characters",
                             path, i + 1, SCHEMA_NAME_MAX - 1);
    struct names seen;
    names_init(&seen);
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        struct cell cell = {.kind = CELL_TEXT, .text = names[i], .n = strlen(names[i])};
        if (names_add(&seen, &cell, n) < i)
            rc = error_set(err, ERR_DATA, "%s: two columns are called '%s'", path, names[i]);
    }
    names_close(&seen);
    return rc;
}

int table_find_column(const char *path, const char *const *names, uint32_t n, const char *text,
                      const char *option, uint32_t *column, struct error *err)
{
    uint64_t number;
    *column = (uint32_t)parse_choice(text, names, n);
    if (*column < n)
        return 0;
    if (parse_u64(text, &number) && number >= 1 && number <= n) {
        *column = (uint32_t)number - 1;
        return 0;
    }
    const char *nearest = parse_nearest(text, names, n);
    return error_set(err, ERR_DATA, "%s: %s '%.80s': no column has that name%s%.80s%s", path,
                     option, text, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

static void field_init(struct field *f, const char *name, uint32_t at)
{
    snprintf(f->name, sizeof f->name, "%s", name);
    f->at = at;
    f->is_whole = true;
    names_init(&f->names);
}

static int choose_fields(struct survey *s, const char *const *names, struct error *err)
{
    const struct table_options *o = &s->options;
    bool *ignored = MEM_NEW(bool, s->n_columns);
    uint32_t label = s->n_columns - 1, column;
    int rc = 0;
    for (uint32_t i = 0; i < o->n_ignore && rc == 0; i++) {
        rc =
            table_find_column(s->path, names, s->n_columns, o->ignore[i], "--ignore", &column, err);
        if (rc == 0)
            ignored[column] = true;
    }
    while (label > 0 && ignored[label])
        label--;
    if (rc == 0 && o->label != NULL && o->label[0] != '\0')
        rc = table_find_column(s->path, names, s->n_columns, o->label, "--label", &label, err);
    if (rc == 0 && ignored[label])
        rc = error_set(err, ERR_USAGE, "%s: column '%s' is both label and ignored", s->path,
                       names[label]);
    for (uint32_t i = 0; i < s->n_columns && rc == 0; i++)
        if (!ignored[i] && i != label)
            field_init(&s->fields[s->n_fields++], names[i], i);
    if (rc == 0 && s->n_fields == 0)
        rc = error_set(err, ERR_DATA, "%s: no column is left beside the label '%s'", s->path,
                       names[label]);
    if (rc == 0)
        field_init(&s->fields[s->n_fields], names[label], label);
    free(ignored);
    return rc;
}

struct survey *survey_new(const char *path, const char *const *names, uint32_t n_columns,
                          const struct table_options *o, struct error *err)
{
    if (n_columns == 0) {
        error_set(err, ERR_DATA, "%s: no columns", path);
        return NULL;
    }
    if (check_names(path, names, n_columns, err) != 0)
        return NULL;
    struct survey *s = MEM_NEW(struct survey, 1);
    snprintf(s->path, sizeof s->path, "%s", path);
    s->options = *o;
    s->n_columns = n_columns;
    s->fields = MEM_NEW(struct field, n_columns);
    s->cells = MEM_NEW(struct cell, n_columns);
    if (choose_fields(s, names, err) == 0)
        return s;
    survey_free(s);
    return NULL;
}

void survey_free(struct survey *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        names_close(&s->fields[i].names);
        free(s->fields[i].values);
    }
    free(s->fields);
    free(s->cells);
    free(s->rows.hashes);
    free(s);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int complain_missing(const struct survey *s, const struct field *f, const struct cell *cell,
                            uint64_t line, struct error *err)
{
    return error_set(err, ERR_DATA,
                     "%s: line %" PRIu64 ": column '%s' is missing or not finite: '%.*s' "
                     "(right: a value, or --clean drop, mean or median)",
                     s->path, line, f->name, (int)(cell->n < 40 ? cell->n : 40), cell->text);
}

static void keep_value(struct field *f, double x)
{
    if (f->n_values == f->values_room) {
        f->values_room = f->values_room > 0 ? 2 * f->values_room : 1024;
        double *more = MEM_NEW(double, f->values_room);
        memcpy(more, f->values != NULL ? f->values : more, f->n_values * sizeof *more);
        free(f->values);
        f->values = more;
    }
    f->values[f->n_values++] = x;
}

static int add_cell(struct survey *s, struct field *f, const struct cell *cell, uint64_t line,
                    struct error *err)
{
    bool is_label = f == &s->fields[s->n_fields];
    if (cell->kind == CELL_NUMBER) {
        stats_add(&f->stats, cell->value);
        f->is_whole &= cell->value == rint(cell->value);
        if (s->options.preprocess.clean == CLEAN_MEDIAN && !is_label)
            keep_value(f, cell->value);
    } else {
        f->has_text = true;
        if (!schema_name_is_clean(cell->text, cell->n))
            return error_set(err, ERR_DATA,
                             "%s: line %" PRIu64 ": column '%s' holds text of more than %d bytes, "
                             "or that is not UTF-8 without control characters",
                             s->path, line, f->name, SCHEMA_NAME_MAX - 1);
    }
    if (!f->overflows && names_add(&f->names, cell, SCHEMA_CATEGORIES_MAX) == UINT32_MAX)
        f->overflows = true;
    if (f->overflows && f->has_text)
        return error_set(err, ERR_DATA,
                         "%s: line %" PRIu64 ": column '%s' holds '%.*s', and more than %d "
                         "different values before it: neither numbers nor categories (right: "
                         "numbers only, or --ignore '%s')",
                         s->path, line, f->name, (int)(cell->n < 40 ? cell->n : 40), cell->text,
                         SCHEMA_CATEGORIES_MAX, f->name);
    return 0;
}

int survey_row(struct survey *s, const char *const *cells, uint64_t line, struct error *err)
{
    const struct preprocess *p = &s->options.preprocess;
    bool drop = false;
    for (uint32_t i = 0; i <= s->n_fields; i++) {
        struct field *f = &s->fields[i];
        s->cells[i] = cell_read(cells[f->at]);
        if (s->cells[i].kind != CELL_MISSING)
            continue;
        f->n_missing++;
        if (p->clean == CLEAN_FAIL)
            return complain_missing(s, f, &s->cells[i], line, err);
        drop |= p->clean == CLEAN_DROP || i == s->n_fields;
    }
    if (drop || (p->drop_duplicates && row_set_has(&s->rows, s->cells, s->n_fields + 1)))
        return 0;
    for (uint32_t i = 0; i <= s->n_fields; i++) {
        if (s->cells[i].kind == CELL_MISSING)
            continue;
        int rc = add_cell(s, &s->fields[i], &s->cells[i], line, err);
        if (rc != 0)
            return rc;
    }
    s->n_rows++;
    return 1;
}

/* ---- the summary ----------------------------------------------------------------------------- */

static double median_of(struct field *f)
{
    size_t n = f->n_values;
    if (n == 0)
        return NAN;
    quantile_sort(f->values, n);
    return (f->values[(n - 1) / 2] + f->values[n / 2]) / 2;
}

void categories_take(struct categories *c, struct names *names)
{
    qsort(names->entries, names->n, sizeof *names->entries, name_compare);
    c->n = names->n;
    c->names = MEM_NEW(char *, c->n);
    c->counts = MEM_NEW(uint64_t, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        c->names[i] = names->entries[i].text;
        c->counts[i] = names->entries[i].count;
        names->entries[i].text = NULL;
    }
}

static void take_column(struct column *c, struct field *f, bool is_category)
{
    snprintf(c->name, sizeof c->name, "%s", f->name);
    c->kind = is_category ? COLUMN_CATEGORY : COLUMN_NUMBER;
    c->n_missing = f->n_missing;
    c->median = NAN;
    if (is_category)
        categories_take(&c->categories, &f->names);
    else
        c->stats = f->stats;
    if (!is_category)
        c->median = median_of(f);
}

static bool looks_like_classes(const struct field *f, uint64_t n_rows)
{
    enum { FEW = 20, ROWS_EACH = 20 };
    if (f->has_text)
        return true;
    uint64_t n = f->names.n;
    return f->is_whole && !f->overflows && (n <= FEW || n_rows >= n * ROWS_EACH);
}

static int take_label(struct survey *s, struct summary *summary, struct error *err)
{
    struct field *f = &s->fields[s->n_fields];
    enum target_kind target = s->options.target;
    if (target == TARGET_AUTO)
        target = looks_like_classes(f, s->n_rows) ? TARGET_CLASSES : TARGET_REAL;
    if (target == TARGET_REAL && f->has_text)
        return error_set(err, ERR_DATA, "%s: the label '%s' holds text, no real numbers", s->path,
                         f->name);
    if (target == TARGET_CLASSES && f->overflows)
        return error_set(err, ERR_DATA,
                         "%s: the label '%s' has more than %d different values: no classes",
                         s->path, f->name, SCHEMA_CATEGORIES_MAX);
    take_column(&summary->label, f, target == TARGET_CLASSES);
    return 0;
}

int survey_end(struct survey *s, struct summary *summary, struct error *err)
{
    *summary = (struct summary){.n_rows = s->n_rows, .preprocess = s->options.preprocess};
    if (s->n_rows == 0)
        return error_set(err, ERR_DATA, "%s: no rows of data%s", s->path,
                         s->options.preprocess.clean == CLEAN_DROP ? " are left" : "");
    int rc = take_label(s, summary, err);
    if (rc != 0)
        return rc;
    summary->n_columns = s->n_fields;
    summary->columns = MEM_NEW(struct column, s->n_fields);
    for (uint32_t i = 0; i < s->n_fields; i++)
        take_column(&summary->columns[i], &s->fields[i], s->fields[i].has_text);
    return 0;
}
