/* Fuzzing readers: the bytes as a file, in memory that ends where it does. Whatever is accepted is
 * read to its last row. */
#ifndef HUBBUB_TESTS_FUZZ_READER_H
#define HUBBUB_TESTS_FUZZ_READER_H

#include "base/check.h"
#include "data/part.h"
#include "data/source.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline struct source fuzz_source(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    CHECK(copy != NULL);
    memcpy(copy, data, n);
    return (struct source){"fuzz", copy, n};
}

static inline void fuzz_end(struct source *s)
{
    free((void *)(uintptr_t)s->bytes);
}

static inline void fuzz_read_part(const struct part *p)
{
    uint64_t step = 1 + p->n_rows / 100;
    for (uint64_t i = 0; i < p->n_rows; i += step) {
        (void)array_value(&p->x, i, p->x.n_columns - 1);
        if (p->y.bytes != NULL)
            (void)array_value(&p->y, i, 0);
    }
    if (p->n_rows > 0)
        (void)array_value(&p->x, p->n_rows - 1, p->x.n_columns - 1);
}

#endif
