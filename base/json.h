/* What JSON has no word for. Any thread. */
#ifndef HUBBUB_BASE_JSON_H
#define HUBBUB_BASE_JSON_H

#include <jansson.h>

/* A new real, or null where x is no finite number. */
json_t *json_real_or_null(double x);

#endif
