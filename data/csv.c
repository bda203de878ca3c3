#include "data/csv.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/parse.h"
#include "data/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const struct csv *c, struct error *err, const char *what)
{
    return error_set(err, ERR_DATA, "%s: line %" PRIu64 ": %s", c->s.path, c->line, what);
}

/* ---- records --------------------------------------------------------------------------------- */

static int put(struct csv *c, const char *text, size_t n, struct error *err)
{
    if (c->n_text + n > CSV_RECORD_MAX)
        return error_set(err, ERR_DATA,
                         "%s: line %" PRIu64 ": a record of more than %d bytes (a quote that is "
                         "never closed?)",
                         c->s.path, c->line, CSV_RECORD_MAX);
    if (c->n_text + n > c->room || c->text == NULL) {
        c->room = 2 * (c->n_text + n) + 256;
        c->text = realloc(c->text, c->room);
        CHECK(c->text != NULL);
    }
    memcpy(c->text + c->n_text, text, n);
    c->n_text += n;
    return 0;
}

static bool ends_cell(const struct csv *c, char ch)
{
    return ch == c->separator || ch == '\n' || ch == '\r';
}

/* What is between quotes; c->at is behind the first and ends behind the last. */
static int read_quoted(struct csv *c, struct error *err)
{
    for (;;) {
        const char *from = c->at, *quote = memchr(from, '"', (size_t)(c->end - from));
        const char *to = quote != NULL ? quote : c->end;
        size_t n = (size_t)(to - from);
        int rc = put(c, from, n < CSV_RECORD_MAX ? n : CSV_RECORD_MAX + 1, err);
        if (rc != 0)
            return rc;
        for (const char *p = from; p < to; p++)
            c->next_line += *p == '\n';
        if (quote == NULL)
            return bad(c, err, "a quote that is never closed");
        c->at = quote + 1;
        if (c->at == c->end || *c->at != '"')
            return 0;
        c->at++; /* "" stands for one */
        rc = put(c, "\"", 1, err);
        if (rc != 0)
            return rc;
    }
}

static int read_cell(struct csv *c, struct error *err)
{
    int rc = 0;
    if (c->n_cells == CSV_COLUMNS_MAX)
        return error_set(err, ERR_DATA, "%s: line %" PRIu64 ": more than %d columns", c->s.path,
                         c->line, CSV_COLUMNS_MAX);
    size_t start = c->starts[c->n_cells++] = c->n_text;
    if (c->at < c->end && *c->at == '"') {
        c->at++;
        rc = read_quoted(c, err);
        if (rc == 0 && c->at < c->end && !ends_cell(c, *c->at))
            rc = bad(c, err, "text between a closing quote and the next separator");
    } else {
        const char *from = c->at;
        while (c->at < c->end && !ends_cell(c, *c->at) && c->at - from <= CSV_RECORD_MAX)
            c->at++;
        rc = put(c, from, (size_t)(c->at - from), err);
    }
    if (rc == 0 && memchr(c->text + start, '\0', c->n_text - start) != NULL)
        rc = bad(c, err, "a byte 0 in a cell (is this text?)");
    return rc != 0 ? rc : put(c, "", 1, err);
}

static void take_line_end(struct csv *c)
{
    if (c->at < c->end && *c->at == '\r')
        c->at++;
    if (c->at < c->end && *c->at == '\n')
        c->at++;
    c->next_line++;
}

/* Of any number of cells: 1; 0 at the end. */
static int read_record(struct csv *c, struct error *err)
{
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r'))
        take_line_end(c);
    c->line = c->next_line;
    c->n_cells = 0;
    c->n_text = 0;
    if (c->at == c->end)
        return 0;
    for (;;) {
        int rc = read_cell(c, err);
        if (rc != 0)
            return rc;
        if (c->at == c->end || *c->at != c->separator)
            break;
        c->at++;
    }
    if (c->at < c->end)
        take_line_end(c);
    return 1;
}

int csv_next(struct csv *c, struct error *err)
{
    int rc = read_record(c, err);
    if (rc == 0 && c->n_promised != UINT64_MAX && c->n_promised != c->n_rows)
        return error_set(err, ERR_DATA,
                         "%s: line %" PRIu64 ": ends after %" PRIu64 " rows (right: %" PRIu64
                         ", as its first line says)",
                         c->s.path, c->line, c->n_rows, c->n_promised);
    if (rc != 1)
        return rc;
    if (c->n_cells != c->n_columns)
        return error_set(err, ERR_DATA,
                         "%s: line %" PRIu64 ": %" PRIu32 " cells (right: %" PRIu32
                         ", as in the lines before)",
                         c->s.path, c->line, c->n_cells, c->n_columns);
    for (uint32_t i = 0; i < c->n_columns; i++)
        c->cells[i] = c->text + c->starts[i];
    c->n_rows++;
    return 1;
}

/* ---- the first record ------------------------------------------------------------------------ */

/* Of the separators that it has, outside of quotes. */
static int find_separator(struct csv *c, struct error *err)
{
    static const char separators[] = ",\t;|";
    uint32_t counts[sizeof separators] = {0};
    bool quoted = false;
    const char *end = c->end - c->at > CSV_RECORD_MAX ? c->at + CSV_RECORD_MAX : c->end;
    for (const char *p = c->at; p < end && (quoted || *p != '\n'); p++) {
        const char *which = *p != '\0' ? strchr(separators, *p) : NULL;
        quoted ^= *p == '"';
        if (which != NULL && !quoted)
            counts[which - separators]++;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i + 1 < sizeof separators; i++)
        best = counts[i] > counts[best] ? i : best;
    c->separator = separators[best];
    if (counts[best] > 0)
        return 0;
    return bad(c, err,
               "one column only (right: columns apart by comma, tab, semicolon or bar; "
               "or --context N if this is a text to learn)");
}

static const char *cell(const struct csv *c, uint32_t i)
{
    return c->text + c->starts[i];
}

/* What each cell of the record at hand is. */
static void read_kinds(const struct csv *c, enum cell_kind *kinds)
{
    for (uint32_t i = 0; i < c->n_cells; i++)
        kinds[i] = cell_read(cell(c, i)).kind;
}

/* Text over a number, or text and no number at all. The record after the first is at c->at. */
static int find_header(struct csv *c, struct error *err)
{
    const uint32_t n = c->n_cells;
    enum cell_kind *first = MEM_NEW(enum cell_kind, 2 * (size_t)n), *next = first + n;
    const char *at = c->at;
    uint64_t line = c->line, next_line = c->next_line;
    read_kinds(c, first);
    int rc = read_record(c, err);
    if (rc == 1 && c->n_cells == n)
        read_kinds(c, next);
    else
        memcpy(next, first, n * sizeof *next);
    uint32_t n_texts = 0, n_numbers = 0, n_names = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_texts += first[i] == CELL_TEXT;
        n_numbers += first[i] == CELL_NUMBER;
        n_names += first[i] == CELL_TEXT && next[i] == CELL_NUMBER;
    }
    c->has_header = n_texts > 0 && (n_numbers == 0 || n_names > 0);
    free(first);
    c->at = c->first;
    c->next_line = c->first_line;
    if (rc >= 0)
        rc = read_record(c, err);
    c->at = at;
    c->line = line;
    c->next_line = next_line;
    return rc;
}

/* "ROWS,FEATURES,CLASS,CLASS,..." */
static bool is_sklearn_header(const struct csv *c, uint64_t *n_rows, uint64_t *n_features)
{
    if (c->n_cells < 4 || !parse_u64(cell(c, 0), n_rows) || !parse_u64(cell(c, 1), n_features))
        return false;
    for (uint32_t i = 2; i < c->n_cells; i++)
        if (cell_read(cell(c, i)).kind != CELL_TEXT)
            return false;
    return *n_features < CSV_COLUMNS_MAX;
}

static void set_names(struct csv *c)
{
    c->names = MEM_NEW(char *, c->n_columns);
    c->cells = MEM_NEW(const char *, c->n_columns);
    for (uint32_t i = 0; i < c->n_columns; i++) {
        char number[32];
        snprintf(number, sizeof number, "column%" PRIu32, i + 1);
        bool has_name = c->has_header && cell_read(cell(c, i)).n > 0;
        struct cell name = cell_read(cell(c, i));
        c->names[i] = has_name ? strndup(name.text, name.n) : strdup(number);
        CHECK(c->names[i] != NULL);
    }
}

static int read_first(struct csv *c, struct error *err)
{
    uint64_t n_rows, n_features;
    if (c->end - c->at >= 3 && memcmp(c->at, "\xef\xbb\xbf", 3) == 0)
        c->at += 3;
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r'))
        take_line_end(c);
    c->line = c->next_line;
    c->first = c->at;
    c->first_line = c->next_line;
    int rc = find_separator(c, err);
    if (rc == 0)
        rc = read_record(c, err);
    if (rc != 1)
        return rc != 0 ? rc : bad(c, err, "no rows");
    c->n_columns = c->n_cells;
    if (is_sklearn_header(c, &n_rows, &n_features)) {
        c->n_promised = n_rows;
        c->n_columns = (uint32_t)n_features + 1;
    } else {
        rc = find_header(c, err);
        if (rc < 0)
            return rc;
        if (!c->has_header) {
            set_names(c);
            return 0;
        }
    }
    c->first = c->at;
    c->first_line = c->next_line;
    set_names(c);
    return 0;
}

int csv_open(struct csv *c, const struct source *s, struct error *err)
{
    *c = (struct csv){.s = *s,
                      .at = (const char *)s->bytes,
                      .end = (const char *)s->bytes + s->n,
                      .next_line = 1,
                      .line = 1,
                      .n_promised = UINT64_MAX,
                      .starts = MEM_NEW(size_t, CSV_COLUMNS_MAX)};
    int rc = read_first(c, err);
    if (rc == 0) {
        csv_rewind(c);
        if (c->at == c->end)
            rc = bad(c, err, "no rows after the header");
    }
    if (rc != 0)
        csv_close(c);
    return rc;
}

void csv_rewind(struct csv *c)
{
    c->at = c->first;
    c->next_line = c->first_line;
    c->n_rows = 0;
}

void csv_close(struct csv *c)
{
    for (uint32_t i = 0; c->names != NULL && i < c->n_columns; i++)
        free(c->names[i]);
    free(c->names);
    free(c->cells);
    free(c->text);
    free(c->starts);
    *c = (struct csv){0};
}
