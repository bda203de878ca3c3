/* LIBSVM files (Chang and Lin 2011): lines "LABEL INDEX:VALUE INDEX:VALUE ... # comment", zeros
 * left out. Indices ascend, from 1, or from 0 when one is there. Main thread. */
#ifndef HUBBUB_DATA_LIBSVM_H
#define HUBBUB_DATA_LIBSVM_H

#include "data/part.h"
#include "data/source.h"

#include <stdbool.h>

enum {
    LIBSVM_FEATURES_MAX = 1 << 24,
    LIBSVM_FLOATS_MAX = 1 << 29 /* of a file, with its zeros, which are not left out in memory */
};

/* The first line with something in it is one. */
bool libsvm_looks_right(const struct source *s);

/* Samples as F32 with all their zeros, labels as I64, or as F64 when some are not whole. train,
 * when reading test data, says how many features there are and where they start; else NULL. */
struct libsvm_layout {
    uint32_t n_features, first; /* first: the index of feature 0, 0 or 1 */
};
int libsvm_read(struct part *p, struct libsvm_layout *layout, bool is_test, struct memory **list,
                const struct source *s, struct error *err) MUST_USE;

#endif
