#include "data/cell.h"

#include "base/mem.h"
#include "data/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_missing(const char *text, size_t n)
{
    static const char *const words[] = {"?",         "na",       "n/a",  "nan",  "null",
                                        "none",      "inf",      "+inf", "-inf", "+infinity",
                                        "-infinity", "infinity", "-nan", "+nan"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == n && strncasecmp(words[i], text, n) == 0)
            return true;
    return n == 0;
}

/* A number, but for its size: "1e999". */
static bool is_huge(const char *text, size_t n)
{
    char copy[64];
    if (n >= sizeof copy || strspn(text, "+-.0123456789eE") < n)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return isinf(strtod(copy, NULL));
}

struct cell cell_read(const char *text)
{
    while (is_blank(*text))
        text++;
    size_t n = strlen(text);
    while (n > 0 && is_blank(text[n - 1]))
        n--;
    struct cell cell = {.kind = CELL_TEXT, .text = text, .n = n};
    if (n > 0 && number_parse(text, n, &cell.value))
        cell.kind = fabs(cell.value) <= CELL_LIMIT ? CELL_NUMBER : CELL_MISSING;
    else if (is_missing(text, n) || is_huge(text, n))
        cell.kind = CELL_MISSING;
    if (cell.value == 0)
        cell.value = 0; /* no -0 */
    return cell;
}

/* ---- names ---------------------------------------------------------------------------------- */

void names_init(struct names *names)
{
    *names = (struct names){.n_slots = 16};
    names->slots = MEM_NEW(uint32_t, names->n_slots);
    names->entries = MEM_NEW(struct name, names->n_slots / 2);
}

void names_close(struct names *names)
{
    for (uint32_t i = 0; i < names->n; i++)
        free(names->entries[i].text);
    free(names->entries);
    free(names->slots);
    *names = (struct names){0};
}

static uint64_t hash_text(const char *text, size_t n)
{
    return XXH3_64bits(text, n);
}

static uint64_t hash_number(double value)
{
    return XXH3_64bits(&value, sizeof value);
}

static void grow(struct names *names)
{
    uint32_t n_slots = names->n_slots * 2;
    uint32_t *slots = MEM_NEW(uint32_t, n_slots);
    struct name *entries = MEM_NEW(struct name, n_slots / 2);
    memcpy(entries, names->entries, names->n * sizeof *entries);
    for (uint32_t i = 0; i < names->n; i++) {
        const struct name *e = &entries[i];
        uint64_t at = e->is_number ? hash_number(e->value) : hash_text(e->text, strlen(e->text));
        while (slots[at & (n_slots - 1)] != 0)
            at++;
        slots[at & (n_slots - 1)] = i + 1;
    }
    free(names->slots);
    free(names->entries);
    names->slots = slots;
    names->entries = entries;
    names->n_slots = n_slots;
}

static char *text_of(const struct cell *cell)
{
    char number[32];
    if (cell->kind != CELL_NUMBER) {
        char *text = MEM_NEW(char, cell->n + 1);
        return memcpy(text, cell->text, cell->n);
    }
    snprintf(number, sizeof number, "%.15g", cell->value);
    if (strtod(number, NULL) != cell->value)
        snprintf(number, sizeof number, "%.17g", cell->value);
    char *text = MEM_NEW(char, strlen(number) + 1);
    return strcpy(text, number);
}

static bool is_same(const struct name *e, const struct cell *cell)
{
    if (cell->kind == CELL_NUMBER)
        return e->is_number && e->value == cell->value;
    return !e->is_number && strncmp(e->text, cell->text, cell->n) == 0 && e->text[cell->n] == '\0';
}

uint32_t names_add(struct names *names, const struct cell *cell, uint32_t n_max)
{
    bool is_number = cell->kind == CELL_NUMBER;
    uint64_t at = is_number ? hash_number(cell->value) : hash_text(cell->text, cell->n);
    uint32_t *slot;
    while (*(slot = &names->slots[at & (names->n_slots - 1)]) != 0) {
        struct name *e = &names->entries[*slot - 1];
        if (is_same(e, cell)) {
            e->count++;
            return *slot - 1;
        }
        at++;
    }
    if (names->n == n_max)
        return UINT32_MAX;
    names->entries[names->n] = (struct name){
        .text = text_of(cell), .value = cell->value, .is_number = is_number, .count = 1};
    *slot = ++names->n;
    if (names->n == names->n_slots / 2)
        grow(names);
    return names->n - 1;
}

int name_compare(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    if (x->is_number != y->is_number)
        return x->is_number ? -1 : 1;
    if (x->is_number)
        return (x->value > y->value) - (x->value < y->value);
    return strcmp(x->text, y->text);
}
