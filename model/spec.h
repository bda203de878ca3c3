/* A model's text -> its layers. Main thread only where it reads a file. */
#ifndef HUBBUB_MODEL_SPEC_H
#define HUBBUB_MODEL_SPEC_H

#include "model/model.h"

/* Fills in everything of *m but tensors; see model_parse. */
int spec_parse(struct model *m, const char *spec, struct data_shape data,
               struct error *err) MUST_USE;

#endif
