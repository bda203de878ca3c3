/* Labels as files hold them -> targets: classes numbered from 0, or real numbers. Main thread. */
#ifndef HUBBUB_DATA_LABELS_H
#define HUBBUB_DATA_LABELS_H

#include "data/dataset.h"
#include "data/part.h"

/* Sets y and shape.n_classes of both sets (test may have no rows). Labels of a float type, or all
 * if `real`, are real targets, others classes: the values that occur in train, ascending (at least
 * two, at most DATA_CLASSES_MAX). Labels that are their classes' numbers already, in a byte each,
 * stay where they are. ERR_DATA: a value in test that train does not have, a real target that is
 * not finite.
 */
int labels_make(struct data_pair *data, const struct part *train, const struct part *test,
                bool real, struct error *err) MUST_USE;

#endif
