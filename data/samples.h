/* Samples row by row as a file holds them, for converting: elements as they lie there, nothing
 * cleaned, scaled or held out. Arrays are mapped and tables read anew in each pass, so a file may
 * be larger than memory. Main thread. */
#ifndef HUBBUB_DATA_SAMPLES_H
#define HUBBUB_DATA_SAMPLES_H

#include "data/dataset.h"
#include "data/npy.h"
#include "data/part.h"

struct sheet;

struct samples {
    uint64_t n_rows; /* 0: there are none */
    uint32_t width;  /* numbers a row */
    uint32_t n_dims;
    uint64_t dims[NPY_DIMS_MAX]; /* [n_rows, ...]; the others' product is width */
    enum element x, y;
    bool has_y;
    const char *const *columns; /* [width]: their names, or NULL */
    const char *label;          /* the name of a table's label, or NULL */
    const char *const *classes; /* [n_classes]: what the labels 0, 1, 2, ... are called, or NULL */
    uint32_t n_classes;

    uint64_t next;       /* row */
    struct part part;    /* of an array */
    struct sheet *sheet; /* of a table, else NULL */
};

struct samples_file {
    struct samples train, test; /* all there is, unless a file has test data of its own */
    struct data_pair data;      /* whose memory all lies in */
    struct sheet *sheet;        /* owned */
};

/* Of a table: text in a column other than the label is refused; a number that is missing becomes
 * NaN; rows without a label are left out, with a line in the log. Its numbers are |u1, <i4 or <i8
 * where all are whole, else <f8; classes that are not whole numbers are counted from 0 and named.
 * Errors of data_open; f needs samples_close in any case. */
int samples_open(struct samples_file *f, const char *spec, const struct data_options *options,
                 struct error *err) MUST_USE;
void samples_close(struct samples_file *f);

void samples_rewind(struct samples *s);
/* The next row, in bytes of its element types, valid until the one after; y is NULL without labels.
 * 1; 0 at the end; ERR_DATA. */
int samples_next(struct samples *s, const uint8_t **x, const uint8_t **y,
                 struct error *err) MUST_USE;

#endif
