/* First weights from a file. */
#ifndef HUBBUB_MODEL_START_H
#define HUBBUB_MODEL_START_H

#include "model/meta.h"

enum start_normalize {
    START_AS_IS,
    START_LAYER, /* each layer is scaled to the norm that model_init would have given it */
    N_START_NORMALIZE
};
extern const char *const start_normalize_names[N_START_NORMALIZE + 1];

/* theta [m->dim] from a model file or an .npy of dim floats, checked as model_file_read says, then
 * normalised; the factors are logged. A layer whose weights are all 0 stays and is warned about.
 * hash: of the weights in the file. ERR_DATA. Main thread. */
int start_read(const struct model *m, const char *path, uint64_t seed, enum start_normalize how,
               float *theta, char hash[META_HASH_MAX], struct error *err) MUST_USE;

/* The scaling alone, from the norms of `initial` [m->dim]; factors [m->n_layers], 1 where a layer
 * has no weights, 0 where they were all 0. */
void start_rescale(const struct model *m, const float *initial, float *theta, double *factors);

#endif
