/* Metadata of a model file: a JSON object that makes the file enough to evaluate.
 *
 * docs/MODEL_FILES.md lists the keys. Those that this program does not know are kept when a file is
 * converted. Any thread, one at a time per object.
 */
#ifndef HUBBUB_MODEL_META_H
#define HUBBUB_MODEL_META_H

#include "data/dataset.h"
#include "data/schema.h"
#include "model/file.h"
#include "model/model.h"

#include <jansson.h>

enum { META_HASH_MAX = 17 }; /* 16 hex digits and a NUL */

/* model, input, output, preprocessing, labels, schema and fingerprint of a model on data. Never
 * NULL; the caller adds run, step and the like, and json_decrefs. */
json_t *meta_new(const struct model *m, const struct data_pair *data);

/* The model that a file holds. spec and shape, when not NULL, are what the user and the data say,
 * and must agree with the metadata where there is some. ERR_DATA where a needed part is missing or
 * wrong, ERR_USAGE from model_parse. */
int meta_model(const struct model_file *f, const char *spec, const struct data_shape *shape,
               struct model *m, struct error *err) MUST_USE;

/* Makes a set of the data come in the form that the model was trained on: shifted and scaled as the
 * file says. ERR_DATA where that is not said as it should be. */
int meta_apply(const struct model_file *f, struct data_pair *data, struct dataset *set,
               struct error *err) MUST_USE;

/* ERR_DATA where file and data both name their classes and not alike: the same number would mean
 * another class. */
int meta_check_labels(const struct model_file *f, const struct data_pair *data,
                      struct error *err) MUST_USE;

/* The schema of the table that the model was trained on, which says how it wants a table's rows: 1;
 * 0: it was trained on something else; ERR_DATA where it is no schema. */
int meta_schema(const struct model_file *f, struct schema *schema, struct error *err) MUST_USE;

/* How the samples that it was trained on were read as images; AUTO where nobody had to say.
 * ERR_DATA.
 */
int meta_layout(const struct model_file *f, struct layout *layout, struct error *err) MUST_USE;

/* ERR_DATA where the metadata of a model on this data is too long to be read back. */
int meta_check_size(const json_t *meta, struct error *err) MUST_USE;

/* Name of a class, NULL where the file has none. */
const char *meta_label(const json_t *meta, uint32_t class);

/* XXH3-64 over all that makes two models the same function of their inputs but for the weights:
 * the canonical model string, the input's shape, preprocessing, labels and schema. Peers of a run
 * have the same. "" where meta lacks a model. */
void meta_fingerprint(const json_t *meta, char text[META_HASH_MAX]);

/* XXH3-64 over names (with their NUL) and f32 elements of all tensors, in the order of the names:
 * the same for the same weights, in whatever format, order or precision a file holds them. */
struct weights_hash;
struct weights_hash *weights_hash_new(void);
void weights_hash_add(struct weights_hash *h, const char *name, const float *values, uint64_t n);
void weights_hash_end(struct weights_hash *h, char text[META_HASH_MAX]); /* frees it */
void weights_hash(const struct model *m, const float *theta, char text[META_HASH_MAX]);

#endif
