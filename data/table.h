/* Tables of text to samples: csv reads the records, a schema says what becomes of them. Main
 * thread. */
#ifndef HUBBUB_DATA_TABLE_H
#define HUBBUB_DATA_TABLE_H

#include "data/options.h"
#include "data/part.h"
#include "data/schema.h"
#include "data/source.h"

enum { TABLE_FLOATS_MAX = 1 << 29 };

/* What the file says of itself, for a schema. */
int table_summarise(struct summary *summary, const struct source *s, const struct data_options *o,
                    struct error *err) MUST_USE;

/* The rows by a schema, into memory of *list: x as floats; y as classes (I32) or floats. *groups,
 * if o->group names a column: its values, numbered as they come. What the schema passes over is
 * logged. */
int table_read(struct part *p, const struct schema *schema, struct memory **list,
               const struct source *s, const struct data_options *o, const uint32_t **groups,
               uint32_t *n_groups, struct error *err) MUST_USE;

#endif
