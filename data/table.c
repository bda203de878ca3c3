#include "data/table.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "data/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ------------------------------------------------------------------------------------ */

static int complain(const struct table *t, struct error *err, const char *what)
{
    return error_set(err, ERR_DATA, "%s: line %" PRIu64 ": %s", t->source->path, t->line, what);
}

/* One quoted cell from after its quote on; *at ends after the closing one. */
static int copy_quoted(struct table *t, uint64_t *at, char **out, const char *end,
                       struct error *err)
{
    const uint8_t *p = t->source->bytes;
    for (; *at < t->source->n; ++*at) {
        char c = (char)p[*at];
        if (c == '"' && !(*at + 1 < t->source->n && p[*at + 1] == '"')) {
            ++*at;
            return 0;
        }
        if (c == '\0')
            return complain(t, err, "a NUL byte: no text");
        if (*out >= end)
            return complain(t, err, "a row of more than 1 MiB");
        *at += c == '"';
        t->next_line += c == '\n';
        *(*out)++ = c;
    }
    return complain(t, err, "a quote that is never closed");
}

/* The row at t->at into text, its cells into cells (as far as there is room); *n counts them. */
static int split_row(struct table *t, const char **cells, uint32_t room, uint32_t *n,
                     struct error *err)
{
    const uint8_t *p = t->source->bytes;
    uint64_t at = t->at, size = t->source->n;
    char *out = t->text, *end = t->text + TABLE_ROW_BYTES_MAX - 2;
    int rc = 0;
    *n = 0;
    for (;;) {
        if (*n < room)
            cells[*n] = out;
        ++*n;
        if (at < size && p[at] == '"') {
            at++;
            rc = copy_quoted(t, &at, &out, end, err);
            if (rc != 0)
                return rc;
        }
        for (; at < size && p[at] != t->separator && p[at] != '\n'; at++) {
            if (p[at] == '\0')
                return complain(t, err, "a NUL byte: no text");
            if (out >= end)
                return complain(t, err, "a row of more than 1 MiB");
            if (!(p[at] == '\r' && (at + 1 == size || p[at + 1] == '\n')))
                *out++ = (char)p[at];
        }
        *out++ = '\0';
        if (at == size || p[at] == '\n' || out >= end)
            break;
        at++;
    }
    t->next_line++;
    t->at = at < size ? at + 1 : size;
    return 0;
}

static void skip_empty_lines(struct table *t)
{
    const uint8_t *p = t->source->bytes;
    for (; t->at < t->source->n && (p[t->at] == '\n' || p[t->at] == '\r'); t->at++)
        t->next_line += p[t->at] == '\n';
    t->line = t->next_line;
}

int table_next(struct table *t, struct error *err)
{
    uint32_t n;
    skip_empty_lines(t);
    if (t->at == t->source->n)
        return 0;
    int rc = split_row(t, t->cells, t->n_columns, &n, err);
    if (rc == 0 && n != t->n_columns)
        return error_set(err, ERR_DATA,
                         "%s: line %" PRIu64 ": %" PRIu32 " cells (right: %" PRIu32
                         ", as in line %" PRIu64 ")",
                         t->source->path, t->line, n, t->n_columns, t->first_line);
    return rc == 0 ? 1 : rc;
}

void table_rewind(struct table *t)
{
    t->at = t->first;
    t->next_line = t->first_line;
}

/* ---- opening --------------------------------------------------------------------------------- */

static char find_separator(const struct source *s, uint64_t from)
{
    static const char candidates[] = ",;\t";
    uint64_t counts[3] = {0};
    bool quoted = false;
    for (uint64_t i = from; i < s->n && s->bytes[i] != '\n'; i++) {
        quoted ^= s->bytes[i] == '"';
        for (int c = 0; c < 3 && !quoted; c++)
            counts[c] += (char)s->bytes[i] == candidates[c];
    }
    int best = 0;
    for (int c = 1; c < 3; c++)
        best = counts[c] > counts[best] ? c : best;
    return candidates[best];
}

static void take_names(struct table *t, bool has_names)
{
    size_t room = 12 * (size_t)t->n_columns;
    const char *last = t->cells[t->n_columns - 1];
    if (has_names)
        room = (size_t)(last - t->text) + strlen(last) + 1;
    t->names_text = MEM_NEW(char, room);
    char *out = t->names_text;
    for (uint32_t i = 0; i < t->n_columns; i++) {
        t->names[i] = out;
        if (has_names) {
            struct cell cell = cell_read(t->cells[i]);
            memcpy(out, cell.text, cell.n);
            out[cell.n] = '\0';
            out += cell.n + 1;
        } else {
            out += snprintf(out, 12, "%" PRIu32, i + 1) + 1;
        }
    }
}

static int read_first(struct table *t, struct error *err)
{
    uint32_t n;
    bool has_names = true;
    const char **cells = MEM_NEW(const char *, SCHEMA_COLUMNS_MAX);
    uint64_t first = t->at, first_line = t->next_line;
    int rc = split_row(t, cells, SCHEMA_COLUMNS_MAX, &n, err);
    t->cells = cells;
    if (rc == 0 && n > SCHEMA_COLUMNS_MAX)
        rc = error_set(err, ERR_DATA,
                       "%s: line %" PRIu64 ": %" PRIu32 " columns (right: at most %d)",
                       t->source->path, t->line, n, SCHEMA_COLUMNS_MAX);
    if (rc != 0)
        return rc;
    t->n_columns = n;
    t->names = MEM_NEW(const char *, n);
    for (uint32_t i = 0; i < n; i++)
        has_names &= cell_read(cells[i]).kind == CELL_TEXT;
    take_names(t, has_names);
    t->first = has_names ? t->at : first;
    t->first_line = has_names ? t->next_line : first_line;
    return 0;
}

int table_open(struct table *t, const struct source *s, struct error *err)
{
    *t = (struct table){.source = s, .next_line = 1};
    if (s->n >= 3 && memcmp(s->bytes, "\xef\xbb\xbf", 3) == 0)
        t->at = 3;
    skip_empty_lines(t);
    if (t->at == s->n)
        return error_set(err, ERR_DATA, "%s: nothing but empty lines", s->path);
    t->separator = find_separator(s, t->at);
    t->text = MEM_NEW(char, TABLE_ROW_BYTES_MAX);
    int rc = read_first(t, err);
    if (rc != 0)
        table_close(t);
    else
        table_rewind(t);
    return rc;
}

void table_close(struct table *t)
{
    free(t->names);
    free(t->cells);
    free(t->names_text);
    free(t->text);
    *t = (struct table){0};
}

/* ---- what is in it --------------------------------------------------------------------------- */

int table_summarise(struct summary *summary, const struct source *s, const struct data_options *o,
                    struct error *err)
{
    struct table t;
    struct table_options options = {.label = o->label,
                                    .ignore = o->ignore.values,
                                    .n_ignore = o->ignore.n,
                                    .target = (enum target_kind)o->target,
                                    .preprocess = o->preprocess};
    options.preprocess.normalize = (enum normalize)o->normalize;
    int rc = table_open(&t, s, err);
    if (rc != 0)
        return rc;
    struct survey *survey = survey_new(s->path, t.names, t.n_columns, &options, err);
    if (survey == NULL)
        rc = err->code;
    while (rc == 0 && (rc = table_next(&t, err)) == 1)
        rc = survey_row(survey, t.cells, t.line, err) < 0 ? err->code : 0;
    if (rc == 0)
        rc = survey_end(survey, summary, err);
    survey_free(survey);
    table_close(&t);
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What table_read fills. */
struct filling {
    struct table table;
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

static int count_rows(struct table *t, uint64_t *n, struct error *err)
{
    int rc;
    for (*n = 0; (rc = table_next(t, err)) == 1; ++*n)
        ;
    table_rewind(t);
    return rc;
}

static int fill(struct filling *f, struct error *err)
{
    int rc;
    while ((rc = table_next(&f->table, err)) == 1) {
        union target y;
        const char *const *cells = f->table.cells;
        rc = encoder_row(f->encoder, cells, f->table.line, f->x + f->n_rows * f->n_features, &y,
                         err);
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

static int prepare(struct filling *f, struct memory **list, const struct data_options *o,
                   struct error *err)
{
    struct table *t = &f->table;
    bool grouped = o->group != NULL && o->group[0] != '\0';
    uint64_t n;
    int rc = count_rows(t, &n, err);
    if (rc != 0)
        return rc;
    f->group = grouped ? (uint32_t)parse_choice(o->group, t->names, t->n_columns) : t->n_columns;
    if (grouped && f->group == t->n_columns)
        return error_set(err, ERR_DATA, "%s: --partition by:%.80s: there is no such column",
                         t->source->path, o->group);
    f->x = memory_alloc(list, (n > 0 ? n : 1) * f->n_features * sizeof(float));
    void *y = memory_alloc(list, (n > 0 ? n : 1) * sizeof(float));
    f->y_class = y;
    f->y_real = y;
    if (grouped)
        f->groups = memory_alloc(list, (n > 0 ? n : 1) * sizeof(uint32_t));
    if (f->x == NULL || y == NULL || (grouped && f->groups == NULL))
        return error_set(err, ERR_FAILURE,
                         "%s: no memory for %" PRIu64 " rows of %" PRIu32 " features",
                         t->source->path, n, f->n_features);
    return 0;
}

int table_read(struct part *p, const struct schema *schema, struct memory **list,
               const struct source *s, const struct data_options *o, const uint32_t **groups,
               uint32_t *n_groups, struct error *err)
{
    struct data_shape shape = schema_shape(schema);
    struct filling f = {.n_features = shape.n_features, .classes = shape.n_classes > 0};
    int rc = table_open(&f.table, s, err);
    if (rc != 0)
        return rc;
    names_init(&f.values);
    f.encoder = encoder_new(s->path, schema, f.table.names, f.table.n_columns, err);
    rc = f.encoder == NULL ? err->code : prepare(&f, list, o, err);
    if (rc == 0)
        rc = fill(&f, err);
    if (rc == 0 && f.n_rows == 0)
        rc = error_set(err, ERR_DATA, "%s: no rows of data", s->path);
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
    table_close(&f.table);
    return rc;
}
