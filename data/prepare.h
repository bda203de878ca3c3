/* From what lies in an array's file to what a model is given: columns, rows, then the scale of the
 * features. Tables have all of this from their schema. Main thread.
 *
 * Arrays stay where they are unless columns or rows leave them: what is left is then copied, up to
 * PREPARE_COPY_MAX bytes.
 */
#ifndef HUBBUB_DATA_PREPARE_H
#define HUBBUB_DATA_PREPARE_H

#include "base/opts.h"
#include "data/dataset.h"
#include "data/part.h"

#define PREPARE_COPY_MAX (UINT64_C(1) << 30)

/* Larger arrays are not read as a whole: of them PREPARE_SAMPLE rows, evenly spaced, are looked
 * through for values that are not finite, and give the statistics. */
#define PREPARE_WHOLE_BYTES (UINT64_C(1) << 26)
enum { PREPARE_SAMPLE = 16384 };

/* The column `label` becomes y, and those of `ignore` go: numbers from 1, or -1 for the last. A
 * label NULL or "": y as it is. ERR_USAGE: no such column, a label where there is one already.
 * ERR_DATA: no column is left, too large to copy. */
int prepare_columns(struct part *p, const char *label, const struct opt_list *ignore,
                    struct memory **list, struct error *err) MUST_USE;

/* Rows with a feature or target that is not finite: ERR_DATA (CLEAN_FAIL), or left out
 * (CLEAN_DROP; of an array that is read as a whole). */
int prepare_rows(struct part *p, enum clean clean, struct memory **list,
                 struct error *err) MUST_USE;

/* Targets of a float type become whole numbers. ERR_DATA: a value that is none. */
int prepare_classes(struct part *p, struct memory **list, struct error *err) MUST_USE;

/* shift, scale and scale_all of both sets, from the samples of data->train. */
int prepare_features(struct data_pair *data, enum normalize how, struct error *err) MUST_USE;

#endif
