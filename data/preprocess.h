/* What is done to values between the file and the model: part of what peers must agree on. */
#ifndef HUBBUB_DATA_PREPROCESS_H
#define HUBBUB_DATA_PREPROCESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Missing values ("", "?", NaN and the like) and those that are not finite. */
enum clean { CLEAN_FAIL, CLEAN_DROP, CLEAN_MEAN, CLEAN_MEDIAN, N_CLEANS };
extern const char *const clean_names[N_CLEANS + 1];

/* AUTO: scale for bytes, zscore for the columns of a table, none for floats. */
enum normalize {
    NORMALIZE_AUTO,
    NORMALIZE_NONE,
    NORMALIZE_SCALE,  /* bytes by 255; other values as they are */
    NORMALIZE_MINMAX, /* to [0, 1] */
    NORMALIZE_ZSCORE, /* to mean 0, variance 1 (of the population) */
    N_NORMALIZES
};
extern const char *const normalize_names[N_NORMALIZES + 1];

/* AUTO: classes for text, and for whole numbers with few values each met often (at most 20 of
 * them, or at most 256 with 20 rows each); else a real number. */
enum target_kind { TARGET_AUTO, TARGET_CLASSES, TARGET_REAL, N_TARGET_KINDS };
extern const char *const target_kind_names[N_TARGET_KINDS + 1];

struct preprocess {
    enum clean clean;
    bool drop_duplicates; /* of rows equal in every column used, the first stays */
    bool drop_constant;   /* columns with one value everywhere */
    enum normalize normalize;
};

/* "fail", "drop", "mean" or "median", and after it any of ",duplicates" and ",constant"; each word
 * may stand alone. For OPT_CUSTOM: field is a struct preprocess *, whose normalize stays. */
int preprocess_parse_clean(const char *text, void *field, struct error *err) MUST_USE;

#endif
