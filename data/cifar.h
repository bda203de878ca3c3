/* CIFAR-10, binary version (Krizhevsky 2009): records of a label and 3 planes of 32 x 32 bytes, red
 * first; no header. */
#ifndef HUBBUB_DATA_CIFAR_H
#define HUBBUB_DATA_CIFAR_H

#include "data/part.h"
#include "data/source.h"

#include <stdbool.h>

enum { CIFAR_PIXELS = 3072, CIFAR_RECORD = 1 + CIFAR_PIXELS, CIFAR_CLASSES = 10 };

/* Whole records, whose labels (of the first ones) are below 10. */
bool cifar_looks_right(const struct source *s);

int cifar_read(struct part *p, const struct source *s, struct error *err) MUST_USE;

/* data_batch_1.bin and on (as many as there are, copied into one piece), and test_batch.bin. */
int cifar_read_directory(struct part *train, struct part *test, struct memory **list,
                         const char *dir, struct error *err) MUST_USE;
bool cifar_is_directory(const char *dir);

#endif
