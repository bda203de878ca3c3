#include "data/samples.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "data/csv.h"
#include "data/memory.h"
#include "data/schema_inner.h"
#include "data/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- tables ---------------------------------------------------------------------------------- */

#define WHOLE_MAX 0x1p53

struct sheet {
    struct csv csv;
    struct summary summary;
    uint32_t *at;         /* [n_columns + 1]: where the columns and then the label stand in a row */
    struct names classes; /* entry i is class i */
    bool are_named;       /* y is the class's place; else its number */
    uint8_t *row;         /* the last one: x, then y */
};

/* What holds all numbers of some columns. */
struct range {
    double min, max;
    bool is_broken; /* by a fraction, or by nothing at all */
};

static void range_add(struct range *r, double value)
{
    r->min = value < r->min ? value : r->min;
    r->max = value > r->max ? value : r->max;
    r->is_broken |= !(value == floor(value));
}

static enum element range_element(const struct range *r)
{
    if (r->is_broken || r->min < -WHOLE_MAX || r->max > WHOLE_MAX)
        return ELEMENT_F64;
    return r->min >= 0 && r->max <= UINT8_MAX           ? ELEMENT_U8
           : r->min >= INT32_MIN && r->max <= INT32_MAX ? ELEMENT_I32
                                                        : ELEMENT_I64;
}

static void put_number(uint8_t *to, enum element element, double value)
{
    const int32_t i32 = element == ELEMENT_I32 ? (int32_t)value : 0;
    const int64_t i64 = element == ELEMENT_I64 ? (int64_t)value : 0;
    if (element == ELEMENT_U8)
        *to = (uint8_t)value;
    else if (element == ELEMENT_I32)
        memcpy(to, &i32, sizeof i32);
    else if (element == ELEMENT_I64)
        memcpy(to, &i64, sizeof i64);
    else
        memcpy(to, &value, sizeof value);
}

/* The numbers of the next row that has a label, as they are in the file. 1; 0 at the end. */
static int sheet_next(struct sheet *t, double *x, double *y, struct error *err)
{
    const struct summary *s = &t->summary;
    struct cell cell;
    int rc;
    do {
        rc = csv_next(&t->csv, err);
        if (rc != 1)
            return rc;
        cell = cell_read(t->csv.cells[t->at[s->n_columns]]);
    } while (cell.kind == CELL_MISSING);
    *y = cell.value;
    if (t->are_named)
        *y = names_add(&t->classes, &cell, t->classes.n);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        cell = cell_read(t->csv.cells[t->at[i]]);
        x[i] = cell.kind == CELL_NUMBER ? cell.value : (double)NAN;
    }
    return 1;
}

static int find_columns(struct sheet *t, struct error *err)
{
    const struct summary *s = &t->summary;
    const char *const *names = (const char *const *)t->csv.names;
    t->at = MEM_NEW(uint32_t, s->n_columns + 1);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        const struct column *c = &s->columns[i];
        t->at[i] = (uint32_t)parse_choice(c->name, names, t->csv.n_columns);
        if (c->kind == COLUMN_CATEGORY)
            return error_set(err, ERR_DATA,
                             "%s: column '%.80s' holds text, '%.40s' (right: numbers; or --ignore "
                             "that column, or --label if it is the one to learn)",
                             t->csv.s.path, c->name, c->categories.names[0]);
    }
    t->at[s->n_columns] = (uint32_t)parse_choice(s->label.name, names, t->csv.n_columns);
    return 0;
}

static void find_classes(struct sheet *t)
{
    const struct categories *c = &t->summary.label.categories;
    names_init(&t->classes);
    for (uint32_t i = 0; i < c->n; i++) {
        struct cell cell = cell_read(c->names[i]);
        (void)names_add(&t->classes, &cell, SCHEMA_CATEGORIES_MAX);
        t->are_named |= cell.kind != CELL_NUMBER || cell.value != floor(cell.value) ||
                        fabs(cell.value) > WHOLE_MAX;
    }
}

/* The types that hold all of it. */
static int find_elements(struct sheet *t, struct samples *s, struct error *err)
{
    struct range x = {0}, y = {0};
    double *row = MEM_NEW(double, s->width), label;
    int rc;
    while ((rc = sheet_next(t, row, &label, err)) == 1) {
        for (uint32_t i = 0; i < s->width; i++)
            range_add(&x, row[i]);
        range_add(&y, label);
    }
    y.is_broken |= t->summary.label.kind == COLUMN_NUMBER;
    s->x = range_element(&x);
    s->y = range_element(&y);
    free(row);
    return rc;
}

static int open_sheet(struct samples_file *f, const struct source *source,
                      const struct data_options *options, struct error *err)
{
    struct data_options plain = *options;
    struct samples *s = &f->train;
    struct sheet *t = f->sheet = MEM_NEW(struct sheet, 1);
    plain.preprocess = (struct preprocess){.clean = CLEAN_MEAN, .normalize = NORMALIZE_NONE};
    int rc = table_summarise(&t->summary, source, &plain, err);
    if (rc == 0)
        rc = csv_open(&t->csv, source, err);
    if (rc == 0)
        rc = find_columns(t, err);
    if (rc != 0)
        return rc;
    find_classes(t);
    uint32_t n = t->summary.n_columns;
    const char **columns = memory_alloc(&f->data.memory, n * sizeof *columns);
    if (columns == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", source->path);
    for (uint32_t i = 0; i < n; i++)
        columns[i] = t->summary.columns[i].name;
    *s = (struct samples){.n_rows = t->summary.n_rows,
                          .width = n,
                          .n_dims = 2,
                          .dims = {t->summary.n_rows, n},
                          .has_y = true,
                          .sheet = t};
    if (t->csv.has_header) {
        s->columns = columns;
        s->label = t->summary.label.name;
    }
    if (t->are_named) {
        s->classes = (const char *const *)t->summary.label.categories.names;
        s->n_classes = t->classes.n;
    }
    t->row = MEM_NEW(uint8_t, ((size_t)n + 1) * sizeof(double));
    rc = find_elements(t, s, err);
    if (rc == 0 && t->csv.n_rows > s->n_rows)
        log_warn("%s: %" PRIu64 " of its %" PRIu64 " rows have no label and are left out",
                 source->path, t->csv.n_rows - s->n_rows, t->csv.n_rows);
    return rc;
}

static void close_sheet(struct sheet *t)
{
    summary_close(&t->summary);
    csv_close(&t->csv);
    names_close(&t->classes);
    free(t->at);
    free(t->row);
    free(t);
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static void take_part(struct samples *s, const struct part *p, const struct part *train)
{
    bool is_colour = p->image[0] > 1, is_image = p->image[0] > 0;
    *s = (struct samples){.n_rows = p->n_rows,
                          .width = p->x.n_columns,
                          .x = p->x.element,
                          .y = p->y.element,
                          .has_y = p->y.bytes != NULL,
                          .classes = train->class_names,
                          .n_classes = train->n_class_names,
                          .part = *p};
    if (train->n_column_names == s->width)
        s->columns = train->column_names;
    if (p->n_dims > 0) {
        s->n_dims = p->n_dims;
        memcpy(s->dims, p->dims, sizeof s->dims);
        return;
    }
    s->dims[s->n_dims++] = p->n_rows;
    if (is_colour)
        s->dims[s->n_dims++] = p->image[0];
    s->dims[s->n_dims++] = is_image ? p->image[1] : s->width;
    if (is_image)
        s->dims[s->n_dims++] = p->image[2];
}

static int check_options(const struct data_options *o, bool is_table, struct error *err)
{
    bool has_labels = o->labels != NULL && o->labels[0] != '\0';
    if (is_table ? has_labels : o->target != TARGET_AUTO)
        return error_set(err, ERR_USAGE, "%s",
                         is_table ? "--labels does not go with a table (right: --label COLUMN)"
                                  : "--target does not go with arrays, whose labels have a type");
    return 0;
}

/* ---- both ------------------------------------------------------------------------------------ */

int samples_open(struct samples_file *f, const char *spec, const struct data_options *options,
                 struct error *err)
{
    struct memory *memory = NULL;
    struct source source = {0};
    struct stat st;
    struct part train, test;
    *f = (struct samples_file){0};
    bool is_file = stat(spec, &st) == 0 && !S_ISDIR(st.st_mode);
    int rc = is_file ? source_open(&source, &memory, spec, err) : 0;
    bool is_table = rc == 0 && is_file && source_format(&source) == FORMAT_TABLE;
    if (rc == 0)
        rc = check_options(options, is_table, err);
    if (is_table) {
        f->data.memory = memory;
        return rc == 0 ? open_sheet(f, &source, options, err) : rc;
    }
    memory_close(&memory);
    if (rc == 0)
        rc = data_read_arrays(&train, &test, &f->data, spec, options, err);
    if (rc != 0)
        return rc;
    take_part(&f->train, &train, &train);
    if (test.n_rows > 0)
        take_part(&f->test, &test, &train);
    return 0;
}

void samples_close(struct samples_file *f)
{
    if (f->sheet != NULL)
        close_sheet(f->sheet);
    data_close(&f->data);
}

void samples_rewind(struct samples *s)
{
    s->next = 0;
    if (s->sheet != NULL)
        csv_rewind(&s->sheet->csv);
}

static int next_of_sheet(struct samples *s, const uint8_t **x, const uint8_t **y, struct error *err)
{
    struct sheet *t = s->sheet;
    double *row = (double *)(void *)t->row, label;
    int rc = sheet_next(t, row, &label, err);
    if (rc != 1)
        return rc;
    uint32_t n_bytes = elements[s->x].n_bytes;
    for (uint32_t i = 0; i < s->width; i++)
        put_number(t->row + (size_t)i * n_bytes, s->x, row[i]);
    put_number(t->row + (size_t)s->width * sizeof(double), s->y, label);
    *x = t->row;
    *y = t->row + (size_t)s->width * sizeof(double);
    return 1;
}

int samples_next(struct samples *s, const uint8_t **x, const uint8_t **y, struct error *err)
{
    if (s->next == s->n_rows)
        return 0;
    s->next++;
    if (s->sheet != NULL)
        return next_of_sheet(s, x, y, err);
    *x = array_row(&s->part.x, s->next - 1);
    *y = s->has_y ? array_row(&s->part.y, s->next - 1) : NULL;
    return 1;
}
