/* Text from outside in a page: nothing in it is markup. Any thread. */
#ifndef HUBBUB_SIM_MARKUP_H
#define HUBBUB_SIM_MARKUP_H

#include <jansson.h>
#include <stdio.h>

/* The text, with U+FFFD for each byte that is not UTF-8 and each control character but line feed
 * and tab; owned by the caller. */
char *markup_clean(const char *text);

/* Cleaned, for an element or a quoted attribute. */
void markup_text(FILE *out, const char *text);

/* Cleaned, as a cell of a CSV (RFC 4180) in an element. */
void markup_cell(FILE *out, const char *text);

/* A word as a POSIX shell reads it, in an element. */
void markup_word(FILE *out, const char *word);

/* For a script element of type application/json: whatever its strings hold, it does not end. */
void markup_json(FILE *out, const json_t *value);

#endif
