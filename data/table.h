/* Tables as text: CSV and the like, RFC 4180 and what programs make of it.
 *
 * The separator is the one of "," ";" TAB that the first line has most of; cells may be quoted
 * ("" is a quote); lines end with LF or CRLF; a BOM and empty lines are passed over. The first line
 * holds names unless one of its cells is a number or empty; without names columns are called "1",
 * "2" and so on. Every row has as many cells as the first. Main thread.
 */
#ifndef HUBBUB_DATA_TABLE_H
#define HUBBUB_DATA_TABLE_H

#include "data/options.h"
#include "data/part.h"
#include "data/schema.h"
#include "data/source.h"

enum { TABLE_ROW_BYTES_MAX = 1 << 20 };

struct table {
    const struct source *source; /* borrowed */
    char separator;
    uint64_t first, at; /* bytes: of the first row of data; of the next one */
    uint64_t line;      /* of the row that table_next gave, from 1 */
    uint64_t first_line, next_line;
    uint32_t n_columns;
    const char **names; /* owned, like what they point to */
    const char **cells; /* of the row at hand */
    char *names_text, *text;
};

/* ERR_DATA: file, line, what is wrong. On an error nothing is left to close. */
int table_open(struct table *t, const struct source *s, struct error *err) MUST_USE;
void table_close(struct table *t);

/* 1: cells[n_columns] hold the next row until the next call; 0: there is none; ERR_DATA. */
int table_next(struct table *t, struct error *err) MUST_USE;
void table_rewind(struct table *t);

/* What the file says of itself, for a schema. */
int table_summarise(struct summary *summary, const struct source *s, const struct data_options *o,
                    struct error *err) MUST_USE;

/* The rows by a schema, into memory of *list: x as floats; y as classes (I32) or floats. *groups,
 * if o->group names a column: its values, numbered as they come. What the schema passes over is
 * logged. */
int table_read(struct part *p, const struct schema *schema, struct memory **list,
               const struct source *s, const struct data_options *o, const uint32_t **groups,
               uint32_t *n_groups, struct error *err) MUST_USE;

#endif
