/* What the source of the data calls its classes. Main thread. */
#ifndef HUBBUB_DATA_CLASS_NAMES_H
#define HUBBUB_DATA_CLASS_NAMES_H

#include "data/dataset.h"
#include "data/part.h"

/* Sets data->class_names: the categories of a table's label (it has a schema), the names in an
 * .npz, the characters of a text (the set's tokens not NULL), the numbers of class_values; NULL
 * where those are 0, 1, 2, ... in this order, and for real targets. ERR_DATA: a label that the
 * names do not reach; ERR_FAILURE: no memory. */
int class_names_set(struct data_pair *data, const struct part *train, struct error *err) MUST_USE;

#endif
