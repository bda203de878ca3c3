/* Cells of a table: what a piece of text stands for. Pure; any thread. */
#ifndef HUBBUB_DATA_CELL_H
#define HUBBUB_DATA_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cell_kind {
    CELL_MISSING, /* "", "?", "NA", "N/A", "NaN", "null", "none", in any case; "inf" and numbers
                     beyond CELL_LIMIT */
    CELL_NUMBER,  /* a decimal number */
    CELL_TEXT
};

#define CELL_LIMIT 1e100 /* sums of squares of a column stay finite */

struct cell {
    enum cell_kind kind;
    double value;     /* of a NUMBER */
    const char *text; /* without blanks around it; not NUL-terminated */
    size_t n;
};

/* text is NUL-terminated and borrowed. */
struct cell cell_read(const char *text);

/* Different texts, in the order of the first sight of each, with how often each was met. Numbers
 * are compared by value. */
struct names {
    uint32_t n, n_slots;
    struct name *entries; /* owned, as are their texts */
    uint32_t *slots;
};
struct name {
    char *text; /* numbers in the shortest form: "1" for "1.0" */
    double value;
    bool is_number;
    uint64_t count;
};

void names_init(struct names *names);
void names_close(struct names *names);
/* Where the cell (no MISSING) stands, counted once more; UINT32_MAX: it is new and n is n_max. */
uint32_t names_add(struct names *names, const struct cell *cell, uint32_t n_max);

/* The order of categories: numbers first, by value; then text, by its bytes. For qsort. */
int name_compare(const void *a, const void *b);

#endif
