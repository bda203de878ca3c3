#include "data/text.h"

#include <inttypes.h>
#include <stdbool.h>

int text_read(struct part *p, const struct source *s, uint64_t from, uint64_t to, uint32_t context,
              struct error *err)
{
    const uint8_t *text = s->bytes + from;
    if (to - from <= context)
        return error_set(err, ERR_DATA,
                         "%s: %" PRIu64 " bytes from offset %" PRIu64
                         " (right: more than the %" PRIu32 " of --context)",
                         s->path, to - from, from, context);
    *p = (struct part){.n_rows = to - from - context,
                       .x = {text, 1, context, ELEMENT_U8},
                       .path = s->path,
                       .y = {text + context, 1, 1, ELEMENT_U8},
                       .y_path = s->path,
                       .y_offset = from + context};
    return 0;
}

uint32_t text_tokens(const struct part *p, uint8_t tokens[256])
{
    const uint8_t *text = p->x.bytes;
    uint64_t n = p->n_rows + p->x.n_columns;
    bool seen[256] = {false};
    uint32_t n_seen = 0;
    for (uint64_t i = 0; i < n; i++)
        seen[text[i]] = true;
    for (int b = 0; b < 256; b++)
        if (seen[b])
            tokens[b] = (uint8_t)n_seen++;
    for (int b = 0; b < 256; b++)
        if (!seen[b])
            tokens[b] = (uint8_t)n_seen;
    return n_seen < 256 ? n_seen + 1 : n_seen;
}
