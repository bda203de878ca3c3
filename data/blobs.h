/* Blobs: synthetic Gaussian clusters, one a class, the same on every machine.
 *
 * The centre of a class is standard normal in each feature; a sample is its centre plus normal
 * noise of standard deviation `spread`. Sample i is of class i mod classes.
 */
#ifndef HUBBUB_DATA_BLOBS_H
#define HUBBUB_DATA_BLOBS_H

#include "data/dataset.h"

enum {
    BLOBS_CLASSES_MAX = 256,
    BLOBS_FEATURES_MAX = 65536,
    BLOBS_SAMPLES_MAX = 10000000,
    BLOBS_FLOATS_MAX = 1 << 28 /* of train and test together */
};

/* keys: "classes=10,features=20,..." or "", see data_open. ERR_USAGE names the key. */
int blobs_open(struct data_pair *data, const char *keys, struct error *err) MUST_USE;

#endif
