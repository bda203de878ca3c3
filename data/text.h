/* Texts: a sample is a window of `context` bytes, and what follows it. A token is a byte. */
#ifndef HUBBUB_DATA_TEXT_H
#define HUBBUB_DATA_TEXT_H

#include "data/part.h"
#include "data/source.h"

/* Every window of the bytes [from, to) of a text; ERR_DATA when there is none. Nothing is copied.
 */
int text_read(struct part *p, const struct source *s, uint64_t from, uint64_t to, uint32_t context,
              struct error *err) MUST_USE;

/* tokens[256]: the bytes of the text in their order, from 0; bytes that are not in it share the
 * last token. Returns how many tokens there are, that one included. */
uint32_t text_tokens(const struct part *p, uint8_t tokens[256]);

#endif
