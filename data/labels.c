#include "data/labels.h"

#include "base/check.h"
#include "data/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The values that occur: a hash table with open addressing, at most half full. */
enum { SLOTS = 4 * DATA_CLASSES_MAX, NONE = -1 };

struct classes {
    uint32_t n;
    int64_t values[DATA_CLASSES_MAX];
    int32_t slots[SLOTS]; /* index into values, or NONE */
};

static uint32_t slot_of(const struct classes *c, int64_t value)
{
    uint32_t i = (uint32_t)(((uint64_t)value * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % SLOTS;
    while (c->slots[i] != NONE && c->values[c->slots[i]] != value)
        i = (i + 1) % SLOTS;
    return i;
}

static void place_all(struct classes *c)
{
    memset(c->slots, NONE, sizeof c->slots);
    for (uint32_t k = 0; k < c->n; k++)
        c->slots[slot_of(c, c->values[k])] = (int32_t)k;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* "PATH: offset N", where the label of a row lies. */
static int bad(const struct part *p, uint64_t row, struct error *err)
{
    return p->y_offset > 0 ? error_prefix(err, "%s: offset %" PRIu64, p->y_path,
                                          p->y_offset + row * p->y.stride)
                           : error_prefix(err, "%s: sample %" PRIu64, p->y_path, row + 1);
}

static int find_classes(struct classes *c, const struct part *p, struct error *err)
{
    int64_t last = 0;
    c->n = 0;
    place_all(c);
    for (uint64_t i = 0; i < p->n_rows; i++) {
        int64_t value = array_whole(&p->y, i, 0);
        if (value == last && i > 0)
            continue;
        last = value;
        uint32_t slot = slot_of(c, value);
        if (c->slots[slot] != NONE)
            continue;
        if (c->n == DATA_CLASSES_MAX) {
            error_set(err, ERR_DATA,
                      "one class more than %d (are these real targets? right: "
                      "labels of a float type)",
                      DATA_CLASSES_MAX);
            return bad(p, i, err);
        }
        c->slots[slot] = (int32_t)c->n;
        c->values[c->n++] = value;
    }
    if (c->n < 2)
        return error_set(err, ERR_DATA,
                         "%s: every label is %" PRId64 " (right: two classes or "
                         "more)",
                         p->y_path, c->values[0]);
    qsort(c->values, c->n, sizeof c->values[0], compare);
    place_all(c);
    return 0;
}

static bool are_numbers_already(const struct classes *c, const struct part *p)
{
    return (p->y.element == ELEMENT_U8 || p->y.element == ELEMENT_U16) &&
           c->values[c->n - 1] == (int64_t)c->n - 1;
}

/* The classes of a part, in as few bytes each as hold them. */
static int convert(struct data_pair *data, struct dataset *set, const struct classes *c,
                   const struct part *p, struct error *err)
{
    bool small = c->n <= 256;
    uint8_t *bytes = memory_alloc(&data->memory, p->n_rows * (small ? 1 : 2));
    if (bytes == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", p->y_path);
    uint16_t *wide = (uint16_t *)(void *)bytes;
    for (uint64_t i = 0; i < p->n_rows; i++) {
        int64_t value = array_whole(&p->y, i, 0);
        int32_t class = c->slots[slot_of(c, value)];
        if (class == NONE) {
            error_set(err, ERR_DATA,
                      "label %" PRId64 " (right: one of the %" PRIu32
                      " labels of the training data, %" PRId64 " to %" PRId64 ")",
                      value, c->n, c->values[0], c->values[c->n - 1]);
            return bad(p, i, err);
        }
        if (small)
            bytes[i] = (uint8_t) class;
        else
            wide[i] = (uint16_t) class;
    }
    set->y = array_of(bytes, 1, small ? ELEMENT_U8 : ELEMENT_U16);
    return 0;
}

static int check_numbers(const struct classes *c, const struct part *p, struct error *err)
{
    for (uint64_t i = 0; i < p->n_rows; i++) {
        int64_t value = array_whole(&p->y, i, 0);
        if (value >= (int64_t)c->n) {
            error_set(err, ERR_DATA,
                      "label %" PRId64 " (right: 0 to %" PRIu32
                      ", the labels of the training data)",
                      value, c->n - 1);
            return bad(p, i, err);
        }
    }
    return 0;
}

static int make_classes(struct data_pair *data, const struct part *train, const struct part *test,
                        struct classes *c, struct error *err)
{
    struct dataset *sets[] = {&data->train, &data->test};
    const struct part *parts[] = {train, test};
    int rc = find_classes(c, train, err);
    for (int i = 0; rc == 0 && i < 2; i++) {
        if (parts[i]->n_rows == 0)
            continue;
        sets[i]->y = parts[i]->y;
        rc = are_numbers_already(c, parts[i]) ? check_numbers(c, parts[i], err)
                                              : convert(data, sets[i], c, parts[i], err);
    }
    if (rc != 0)
        return rc;
    int64_t *values = memory_alloc(&data->memory, c->n * sizeof *values);
    if (values == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", train->y_path);
    memcpy(values, c->values, c->n * sizeof *values);
    data->class_values = values;
    data->train.shape.n_classes = data->test.shape.n_classes = c->n;
    return 0;
}

static int make_real(struct dataset *set, const struct part *p, struct error *err)
{
    for (uint64_t i = 0; i < p->n_rows; i++) {
        double value = array_value(&p->y, i, 0);
        if (!isfinite((float)value)) {
            error_set(err, ERR_DATA, "target %g (right: a finite number)", value);
            return bad(p, i, err);
        }
    }
    set->y = p->y;
    set->shape.n_classes = 0;
    return 0;
}

int labels_make(struct data_pair *data, const struct part *train, const struct part *test,
                bool real, struct error *err)
{
    if (real || elements[train->y.element].is_float) {
        int rc = make_real(&data->train, train, err);
        return rc == 0 && test->n_rows > 0 ? make_real(&data->test, test, err) : rc;
    }
    if (test->n_rows > 0 && elements[test->y.element].is_float)
        return error_set(err, ERR_DATA,
                         "%s: labels of a float type (right: whole numbers, as in "
                         "%s)",
                         test->y_path, train->y_path);
    struct classes *c = malloc(sizeof *c);
    if (c == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", train->y_path);
    int rc = make_classes(data, train, test, c, err);
    free(c);
    return rc;
}
