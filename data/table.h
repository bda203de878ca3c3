/* Tables of text to samples: csv reads the records, a schema says what becomes of them. */
#ifndef HUBBUB_DATA_TABLE_H
#define HUBBUB_DATA_TABLE_H

#include "data/part.h"
#include "data/schema.h"
#include "data/source.h"

#include <stdbool.h>

enum { TABLE_FLOATS_MAX = 1 << 29 };

/* Samples as F32, targets as I32 classes or F32. Training data makes *schema (table_schema_free),
 * test data is encoded by it. ERR_DATA. */
int table_read(struct part *p, struct schema **schema, bool is_test, struct memory **list,
               const struct source *s, const struct data_options *o, struct error *err) MUST_USE;
void table_schema_free(struct schema *schema);

#endif
