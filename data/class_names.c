#include "data/class_names.h"

#include "data/memory.h"
#include "data/schema.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 32 }; /* of a number or character, with its NUL */

/* A byte as text that shows: itself where it is printable ASCII, else as C escapes it. */
static void name_byte(int byte, char text[TEXT_MAX])
{
    if (byte == '\n')
        snprintf(text, TEXT_MAX, "\\n");
    else if (byte == '\t')
        snprintf(text, TEXT_MAX, "\\t");
    else if (byte == ' ')
        snprintf(text, TEXT_MAX, "space");
    else if (byte == '\\')
        snprintf(text, TEXT_MAX, "\\\\");
    else
        snprintf(text, TEXT_MAX, byte >= ' ' && byte <= '~' ? "%c" : "\\x%02x", byte);
}

/* The byte of a token; bytes that the text lacks share the last one, which is called "other". */
static void name_token(const uint8_t *tokens, uint32_t token, uint32_t n, char text[TEXT_MAX])
{
    int byte = 0, n_same = 0;
    for (int b = 0; b < 256; b++)
        if (tokens[b] == token) {
            byte = b;
            n_same++;
        }
    if (token == n - 1 && n_same > 1)
        snprintf(text, TEXT_MAX, "other");
    else
        name_byte(byte, text);
}

static const char *name_of(const struct data_pair *data, const struct part *train, uint32_t class,
                           char text[TEXT_MAX])
{
    const struct dataset *set = &data->train;
    if (data->schema != NULL)
        return data->schema->label.categories.names[class];
    if (train->class_names != NULL)
        return train->class_names[data->class_values[class]];
    if (set->tokens != NULL)
        name_token(set->tokens, class, set->shape.n_classes, text);
    else if (data->class_values != NULL)
        snprintf(text, TEXT_MAX, "%" PRId64, data->class_values[class]);
    else
        snprintf(text, TEXT_MAX, "%" PRIu32, class);
    return text;
}

/* Whether every label is a place in the list of names, if there is one. */
static int check_names(const struct data_pair *data, const struct part *train, struct error *err)
{
    for (uint32_t c = 0; train->class_names != NULL && c < data->train.shape.n_classes; c++)
        if (data->class_values[c] < 0 || data->class_values[c] >= train->n_class_names)
            return error_set(err, ERR_DATA,
                             "%s: label %" PRId64 ", but target_names has %" PRIu32 " names",
                             train->y_path, data->class_values[c], train->n_class_names);
    return 0;
}

int class_names_set(struct data_pair *data, const struct part *train, struct error *err)
{
    uint32_t n = data->train.shape.n_classes;
    uint64_t n_bytes = 0;
    char text[TEXT_MAX], number[TEXT_MAX];
    bool are_numbers = true;
    int rc = check_names(data, train, err);
    if (rc != 0)
        return rc;
    for (uint32_t c = 0; c < n; c++) {
        const char *name = name_of(data, train, c, text);
        snprintf(number, sizeof number, "%" PRIu32, c);
        are_numbers = are_numbers && strcmp(name, number) == 0;
        n_bytes += strlen(name) + 1;
    }
    if (are_numbers)
        return 0;
    const char **names = memory_alloc(&data->memory, n * sizeof *names);
    char *bytes = memory_alloc(&data->memory, n_bytes);
    if (names == NULL || bytes == NULL)
        return error_set(err, ERR_FAILURE, "names of %" PRIu32 " classes: out of memory", n);
    for (uint32_t c = 0; c < n; c++) {
        names[c] = strcpy(bytes, name_of(data, train, c, text));
        bytes += strlen(bytes) + 1;
    }
    data->class_names = names;
    return 0;
}
