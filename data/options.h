/* What a user may say about data: fields, and the rows of an option table that fill them, the same
 * in every command. */
#ifndef HUBBUB_DATA_OPTIONS_H
#define HUBBUB_DATA_OPTIONS_H

#include "base/opts.h"
#include "data/layout.h"
#include "data/preprocess.h"

/* All zero: the defaults. Strings NULL or "": not said. */
struct data_options {
    const char *spec;                 /* see data_open */
    const char *test;                 /* a file, or the share of the samples to hold out */
    const char *labels, *test_labels; /* files with the labels of spec and test */
    const char *label;                /* a column: its name or its number from 1 */
    struct opt_list ignore;           /* columns */
    const char *schema;               /* of a table: a file that peers agreed on */
    int target;                       /* of a table: enum target_kind */
    struct preprocess preprocess;
    const char *group; /* of a table: a column whose values are to be kept */
    struct layout layout;
    uint64_t context; /* of a text: tokens before the next one; 0: no text */

    /* What commands say that have a model file, not users: */
    const struct json_t *model_schema; /* of a table: the schema in that file, in place of one */
    bool whole;                        /* no share is held out */
    bool unlabelled; /* of a table by a schema: the label is not read; targets are 0 */
};

extern const char *const target_kind_names[];

enum { DATA_CONTEXT_MAX = 65536 };

/* Rows for a table whose target is a `struct_` with a struct data_options in `field`. */
/* clang-format off */
#define DATA_COLUMN_OPTIONS(struct_, field)                                                        \
    {"label", OPT_STRING, offsetof(struct_, field.label), "COLUMN", "",                            \
     "the column to learn, by name or number from 1 (the last one of a CSV)", "data"},             \
    {"labels", OPT_STRING, offsetof(struct_, field.labels), "FILE", "",                            \
     "what to learn, in a file of its own (.npy or IDX)"},                                         \
    {"ignore", OPT_LIST, offsetof(struct_, field.ignore), "COLUMN", 0,                             \
     "a column to leave out; may stand many times"},                                               \
    {"target", OPT_CHOICE, offsetof(struct_, field.target), "WHAT", "auto",                        \
     "what the label of a table is: classes, real, auto", 0, 0, 0, target_kind_names}

#define DATA_OPTIONS(struct_, field)                                                               \
    {"data", OPT_STRING, offsetof(struct_, field.spec), "SPEC", "fashion-mnist",                   \
     "fashion-mnist, a file, a directory of IDX or CIFAR files, or blobs:classes=10,...", "data"}, \
    {"test", OPT_STRING, offsetof(struct_, field.test), "FILE|X", "",                              \
     "test data: a file, or the share of the samples that is held out (0.1)"},                     \
    {"test-labels", OPT_STRING, offsetof(struct_, field.test_labels), "FILE", "",                  \
     "the labels of --test, in a file of their own"},                                              \
    DATA_COLUMN_OPTIONS(struct_, field),                                                           \
    {"context", OPT_U64, offsetof(struct_, field.context), "N", "0",                               \
     "read a text: learn the next character from the N before it", 0, 0, DATA_CONTEXT_MAX},        \
    {"schema", OPT_STRING, offsetof(struct_, field.schema), "FILE", "",                            \
     "columns, classes, statistics of a table, from hubbub data agree"},                           \
    {"clean", OPT_CUSTOM, offsetof(struct_, field.preprocess), "HOW", "fail",                      \
     "missing values of a table: fail, drop, mean, median; and ,duplicates ,constant", 0, 0, 0, 0, \
     preprocess_parse_clean},                                                                      \
    {"normalize", OPT_CHOICE, offsetof(struct_, field.preprocess.normalize), "HOW", "auto",        \
     "none, scale (bytes by 255), minmax, zscore; auto: scale bytes, zscore tables", 0, 0, 0,      \
     normalize_names},                                                                             \
    {"layout", OPT_CUSTOM, offsetof(struct_, field.layout), "SHAPE", "",                           \
     "samples as images: 1x8x8 (channels, height, width), hwc:8x8x3; or chw or hwc alone", 0, 0,   \
     0, 0, layout_parse}
/* clang-format on */

#endif
