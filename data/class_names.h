/* What the source of the data calls its classes. Main thread. */
#ifndef HUBBUB_DATA_CLASS_NAMES_H
#define HUBBUB_DATA_CLASS_NAMES_H

#include "data/dataset.h"
#include "data/schema.h"

/* Sets data->class_names: the categories of a table's label (table not NULL), the characters of a
 * text (the set's tokens not NULL), the numbers of class_values; NULL where those are 0, 1, 2, ...
 * in this order, and for real targets. ERR_FAILURE: no memory. */
int class_names_set(struct data_pair *data, const struct schema *table, struct error *err) MUST_USE;

#endif
