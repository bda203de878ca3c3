/* Tables: what the columns of a file are, how a row becomes numbers, and how peers whose files
 * nobody else may see come to the same answer.
 *
 * Three steps. A *survey* reads rows of text once and sums them up. A *summary* is what came of
 * it: columns, categories, classes, statistics, counts; it is all that leaves the machine in
 * `hubbub data agree`. A *schema* is made of the summaries of all peers (or of one alone) and is
 * the same for all who hold the same set: merged in the order of the ids, not of arrival. An
 * *encoder* turns rows into features and targets by a schema.
 *
 * Nothing here opens a file but schema_read and schema_write. Any thread, one at a time per object.
 */
#ifndef HUBBUB_DATA_SCHEMA_H
#define HUBBUB_DATA_SCHEMA_H

#include "data/dataset.h"
#include "data/preprocess.h"
#include "data/stats.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCHEMA_ID_BYTES = 32,
    SCHEMA_COLUMNS_MAX = 4096,
    SCHEMA_NAME_MAX = 256,              /* of a column or category, with its NUL */
    SCHEMA_CATEGORIES_MAX = 256,        /* of one column; also classes of a label */
    SCHEMA_PEERS_MAX = 1024,            /* summaries in a schema */
    SCHEMA_SUMMARY_BYTES_MAX = 1 << 20, /* one as JSON, on the wire */
    SCHEMA_FILE_BYTES_MAX = 1 << 26,
    SCHEMA_FEATURES_MAX = 1 << 20
};

enum column_kind { COLUMN_NUMBER, COLUMN_CATEGORY, N_COLUMN_KINDS };

/* Categories with how many rows hold each: sorted, numbers by value, text by its bytes. */
struct categories {
    uint32_t n;
    char **names;     /* owned */
    uint64_t *counts; /* owned */
};

struct column {
    char name[SCHEMA_NAME_MAX];
    enum column_kind kind;
    uint64_t n_missing;
    struct stats stats;           /* NUMBER: of the values present */
    double median;                /* NUMBER; NaN where it is not known (more than one peer) */
    struct categories categories; /* CATEGORY */
};

struct summary {
    uint8_t id[SCHEMA_ID_BYTES]; /* of the peer; zero for a file on its own */
    char name[80];               /* of the peer, for messages; "": its id. Stays here */
    uint64_t n_rows;             /* that count: after cleaning */
    struct preprocess preprocess;
    uint32_t n_columns;
    struct column *columns; /* features, in the file's order; owned */
    struct column label;    /* CATEGORY: classes; NUMBER: real */
};

/* What is known of a peer in a schema: counts only. */
struct schema_peer {
    uint8_t id[SCHEMA_ID_BYTES];
    uint64_t n_rows;
    uint64_t *class_counts; /* [label.categories.n], NULL when real; owned */
};

struct schema {
    struct preprocess preprocess; /* normalize is not AUTO */
    uint64_t n_rows;
    uint32_t n_columns;
    struct column *columns; /* the files' order where it is one, else by name; owned */
    struct column label;
    uint32_t n_peers;
    struct schema_peer *peers; /* by id; owned */
};

/* ---- surveys ------------------------------------------------------------------------------- */

struct table_options {
    const char *label;         /* name, or number from 1; "": the last column */
    const char *const *ignore; /* names or numbers */
    uint32_t n_ignore;
    enum target_kind target;
    struct preprocess preprocess;
};

struct survey;

/* path is for messages; names are copied. ERR_DATA: no such column (with the nearest name), two of
 * one name, too many, an empty name, no feature left. NULL on error. */
struct survey *survey_new(const char *path, const char *const *names, uint32_t n_columns,
                          const struct table_options *o, struct error *err) MUST_USE;
/* cells[n_columns], each NUL-terminated UTF-8; line is for messages. Returns 1 when the row counts,
 * 0 when it is dropped; ERR_DATA names line, column and value. */
int survey_row(struct survey *s, const char *const *cells, uint64_t line,
               struct error *err) MUST_USE;
/* What came of it; may be called once. ERR_DATA: no rows; a label that --target does not suit. */
int survey_end(struct survey *s, struct summary *summary, struct error *err) MUST_USE;
void survey_free(struct survey *s);

/* ---- summaries ------------------------------------------------------------------------------ */

void summary_close(struct summary *s);
/* JSON and back. What comes from a peer is untrusted: everything is bounded and range-checked.
 * summary_parse: text needs no NUL. ERR_DATA. */
json_t *summary_to_json(const struct summary *s);
int summary_parse(struct summary *s, const char *text, size_t n, struct error *err) MUST_USE;

/* ---- schemas -------------------------------------------------------------------------------- */

/* Of any number of summaries in any order. ERR_DATA: columns, kinds or settings that do not fit,
 * in words: each by its name and the peers it differs at. */
int schema_merge(struct schema *schema, const struct summary *const *summaries, uint32_t n,
                 struct error *err) MUST_USE;
void schema_close(struct schema *s);

/* All of it, also for a model file (whose peers may be taken out). from_json borrows. */
json_t *schema_to_json(const struct schema *s);
int schema_from_json(struct schema *s, const json_t *json, struct error *err) MUST_USE;
int schema_read(struct schema *s, const char *path, struct error *err) MUST_USE;
/* Under a temporary name first. ERR_FAILURE. */
int schema_write(const struct schema *s, const char *path, struct error *err) MUST_USE;

/* Of all that training depends on: preprocessing, columns, label; not the counts per peer. Equal
 * on every machine. */
uint64_t schema_hash(const struct schema *s);

/* Features after one-hot encoding; classes. */
struct data_shape schema_shape(const struct schema *s);

/* ERR_DATA where nothing can be learnt: one class only. */
int schema_check_target(const struct schema *s, struct error *err) MUST_USE;

/* ---- encoding ------------------------------------------------------------------------------- */

struct encoder;

/* Columns match by name, in whatever order the file has them; those that the schema does not know
 * are passed over (encoder_unused names them). ERR_DATA: a column of the schema is missing; the
 * label may be, and is not read, unless `labelled`: targets are 0 then. The schema is borrowed.
 * NULL on error. */
struct encoder *encoder_new(const char *path, const struct schema *schema, bool labelled,
                            const char *const *names, uint32_t n_columns,
                            struct error *err) MUST_USE;
/* x[schema_shape().n_features], y: the row cleaned, one-hot, normalised. Returns 1; 0 when the row
 * is dropped (missing under CLEAN_DROP, or a duplicate); ERR_DATA names line, column and value. */
int encoder_row(struct encoder *e, const char *const *cells, uint64_t line, float *x,
                union target *y, struct error *err) MUST_USE;
/* "name, name, ..." of columns passed over, cut to fit; "" for none. */
const char *encoder_unused(const struct encoder *e);
void encoder_free(struct encoder *e);

#endif
