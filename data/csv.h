/* Tables of text: CSV as RFC 4180 says, and the like with tabs, semicolons or bars. Quoted cells
 * may hold anything, also lines; empty lines are passed over; a byte order mark and CRLF do not
 * matter.
 *
 * The separator is the one that the first record has most of. The first record is a header when
 * it holds text and no number, or text where the next record holds a number; scikit-learn's own
 * ("569,30,malignant,benign": rows, features, classes) is known too, and its number of rows
 * checked. Without a header columns are called column1, column2 and so on, as are those with an
 * empty name.
 *
 * Nothing but one record is held. Any bytes are safe. One thread at a time.
 */
#ifndef HUBBUB_DATA_CSV_H
#define HUBBUB_DATA_CSV_H

#include "data/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSV_RECORD_MAX = 1 << 24 /* bytes */, CSV_COLUMNS_MAX = 16384 };

struct csv {
    struct source s;      /* borrowed */
    const char *at, *end; /* what is left */
    char separator;
    bool has_header;
    uint32_t n_columns;
    char **names;        /* [n_columns] */
    const char **cells;  /* [n_columns], of the record at hand, each NUL-terminated */
    uint64_t line;       /* where it starts, from 1 */
    uint64_t n_promised; /* rows, by scikit-learn's header; UINT64_MAX: unknown */

    uint64_t next_line, n_rows;
    const char *first; /* the first record that is data */
    uint64_t first_line;
    char *text; /* the cells, one after another */
    size_t n_text, room;
    size_t *starts; /* [CSV_COLUMNS_MAX], of the cells in text */
    uint32_t n_cells;
};

/* Reads the header. ERR_DATA: no separator, no rows, what csv_next says. */
int csv_open(struct csv *c, const struct source *s, struct error *err) MUST_USE;
void csv_rewind(struct csv *c);

/* The next record: 1; 0 at the end; ERR_DATA: other than n_columns cells, a quote that is not
 * closed, a byte 0, a record of more than CSV_RECORD_MAX bytes. */
int csv_next(struct csv *c, struct error *err) MUST_USE;
void csv_close(struct csv *c);

#endif
