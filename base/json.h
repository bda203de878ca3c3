/* Values for JSON. Any thread. */
#ifndef HUBBUB_BASE_JSON_H
#define HUBBUB_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A new real, or null where x is no finite number. */
json_t *json_real_or_null(double x);

/* A new array of the counts [n], without the zeros at its end. */
json_t *json_counts(const uint64_t *counts, size_t n);

#endif
