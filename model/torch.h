/* A model as Python source. */
#ifndef HUBBUB_MODEL_TORCH_H
#define HUBBUB_MODEL_TORCH_H

#include "model/file.h"

/* Prints a Python file that runs as it is where torch and numpy are: the module, normalisation and
 * labels, and loading of the file. m is the model that f holds. Main thread. */
void torch_print(const struct model_file *f, const struct model *m, FILE *out);

#endif
