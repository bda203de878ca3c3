/* Decimal numbers in text that has no NUL at its end. Pure; any thread. */
#ifndef HUBBUB_DATA_NUMBER_H
#define HUBBUB_DATA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* The whole of text[0..n) is one finite number, [+-]digits[.digits][e[+-]digits], rounded as strtod
 * rounds it; at most 127 characters. */
bool number_parse(const char *text, size_t n, double *value);

#endif
