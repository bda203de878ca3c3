/* Samples and labels from .npy and .npz files. Main thread. */
#ifndef HUBBUB_DATA_NUMPY_H
#define HUBBUB_DATA_NUMPY_H

#include "data/part.h"
#include "data/source.h"

/* An array of two dimensions or more: [n, ...]; of three [n, height, width] and of four
 * [n, channels, height, width] they are images. */
int numpy_read_samples(struct part *p, const struct source *s, struct error *err) MUST_USE;

/* [n] or [n, 1]. */
int numpy_read_labels(struct part *p, const struct source *s, struct error *err) MUST_USE;

/* An .npz with the members (in this order of preference, in any case of letters)
 *   x_train, train_x, train_images, x, data, images, arr_0    samples
 *   y_train, train_y, train_labels, y, target, labels, arr_1  labels; may be missing
 *   x_test, test_x, test_images; y_test, test_y, test_labels  test data; may be missing
 *   target_names, feature_names  texts: what labels 0, 1, 2, ... and columns are called
 * and others, which are passed over. */
int numpy_read_npz(struct part *train, struct part *test, struct memory **list,
                   const struct source *s, struct error *err) MUST_USE;

#endif
