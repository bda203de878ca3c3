/* What the parts of data/schema.h share: survey.c, schema.c, schema_json.c, encoder.c. */
#ifndef HUBBUB_DATA_SCHEMA_INNER_H
#define HUBBUB_DATA_SCHEMA_INNER_H

#include "data/cell.h"
#include "data/schema.h"

/* 1 to SCHEMA_NAME_MAX - 1 bytes of UTF-8 without control characters. */
bool schema_name_is_clean(const char *name, size_t n);

/* The column that `text` (of the option) names: by its name, else by its number from 1. ERR_DATA.
 */
int table_find_column(const char *path, const char *const *names, uint32_t n, const char *text,
                      const char *option, uint32_t *column, struct error *err) MUST_USE;

/* Hashes of rows seen, to find duplicates: 64 bits each, so that among a million rows two different
 * ones are taken for the same with a probability of 3e-8. */
struct row_set {
    uint64_t *hashes; /* 0: free; owned */
    uint64_t n, n_slots;
};
/* Whether these cells were there before; from now on they are. */
bool row_set_has(struct row_set *set, const struct cell *cells, uint32_t n);

void column_close(struct column *c);
/* Sorts the names and takes their texts over. */
void categories_take(struct categories *c, struct names *names);

/* ERR_DATA unless the columns make 1 to SCHEMA_FEATURES_MAX features. */
int schema_check_features(const struct schema *s, struct error *err) MUST_USE;

#endif
