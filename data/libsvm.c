#include "data/libsvm.h"

#include "data/number.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A word of a line, by its place. */
struct words {
    const struct source *s;
    const char *at, *end; /* of the line that is left */
    const char *next_line;
    uint64_t line; /* from 1 */
};

static struct words words_of(const struct source *s)
{
    return (struct words){.s = s, .next_line = (const char *)s->bytes};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

/* The next line with something in it. */
static bool next_line(struct words *w)
{
    const char *end = (const char *)w->s->bytes + w->s->n;
    while (w->next_line < end) {
        w->at = w->next_line;
        w->end = memchr(w->at, '\n', (size_t)(end - w->at));
        w->next_line = w->end != NULL ? w->end + 1 : end;
        w->end = w->end != NULL ? w->end : end;
        w->line++;
        const char *comment = memchr(w->at, '#', (size_t)(w->end - w->at));
        w->end = comment != NULL ? comment : w->end;
        while (w->at < w->end && is_blank(*w->at))
            w->at++;
        if (w->at < w->end)
            return true;
    }
    return false;
}

static bool next_word(struct words *w, const char **word, size_t *n)
{
    while (w->at < w->end && is_blank(*w->at))
        w->at++;
    *word = w->at;
    while (w->at < w->end && !is_blank(*w->at))
        w->at++;
    *n = (size_t)(w->at - *word);
    return *n > 0;
}

/* "INDEX:VALUE" */
static bool parse_pair(const char *word, size_t n, uint64_t *index, double *value)
{
    const char *colon = memchr(word, ':', n);
    if (colon == NULL || colon == word || colon - word > 10)
        return false;
    *index = 0;
    for (const char *p = word; p < colon; p++) {
        if (*p < '0' || *p > '9')
            return false;
        *index = *index * 10 + (uint64_t)(*p - '0');
    }
    return number_parse(colon + 1, n - (size_t)(colon + 1 - word), value);
}

bool libsvm_looks_right(const struct source *s)
{
    struct words w = words_of(s);
    const char *word;
    size_t n;
    uint64_t index;
    double value;
    if (!next_line(&w) || !next_word(&w, &word, &n) || !number_parse(word, n, &value))
        return false;
    return next_word(&w, &word, &n) && parse_pair(word, n, &index, &value);
}

static int bad(const struct words *w, struct error *err, const char *word, size_t n,
               const char *right)
{
    return error_set(err, ERR_DATA, "%s: line %" PRIu64 ": '%.*s' (right: %s)", w->s->path, w->line,
                     (int)(n < 40 ? n : 40), word, right);
}

/* What a first pass finds. */
struct survey {
    uint64_t n_rows, index_min, index_max;
    bool whole; /* all labels */
};

/* Hands one row over: pairs go to x [n_features], from layout->first on, when x is not NULL. */
static int read_row(struct words *w, struct survey *found, const struct libsvm_layout *layout,
                    double *label, float *x, struct error *err)
{
    const char *word;
    size_t n;
    uint64_t index, last = 0;
    bool first = true;
    double value;
    (void)next_word(w, &word, &n);
    if (!number_parse(word, n, label))
        return bad(w, err, word, n, "a label that is a number");
    found->whole = found->whole && *label == floor(*label) && fabs(*label) < 0x1p53;
    while (next_word(w, &word, &n)) {
        if (!parse_pair(word, n, &index, &value))
            return bad(w, err, word, n, "INDEX:VALUE");
        if (index > LIBSVM_FEATURES_MAX)
            return bad(w, err, word, n, "an index of at most 16777216");
        if (!first && index <= last)
            return bad(w, err, word, n, "an index above the one before");
        last = index;
        first = false;
        found->index_min = index < found->index_min ? index : found->index_min;
        found->index_max = index > found->index_max ? index : found->index_max;
        if (x == NULL)
            continue;
        if (index < layout->first || index - layout->first >= layout->n_features)
            return bad(w, err, word, n, "an index that the training data has");
        x[index - layout->first] = (float)value;
    }
    found->n_rows++;
    return 0;
}

static int survey(struct survey *found, const struct source *s, struct error *err)
{
    struct words w = words_of(s);
    double label;
    *found = (struct survey){.index_min = UINT64_MAX, .whole = true};
    while (next_line(&w)) {
        int rc = read_row(&w, found, NULL, &label, NULL, err);
        if (rc != 0)
            return rc;
    }
    if (found->n_rows == 0 || found->index_min > found->index_max)
        return error_set(err, ERR_DATA, "%s: no line has a feature", s->path);
    return 0;
}

int libsvm_read(struct part *p, struct libsvm_layout *layout, bool is_test, struct memory **list,
                const struct source *s, struct error *err)
{
    struct survey found, again = {.whole = true};
    int rc = survey(&found, s, err);
    if (rc != 0)
        return rc;
    if (!is_test) {
        layout->first = found.index_min > 0;
        layout->n_features = (uint32_t)(found.index_max + 1 - layout->first);
    }
    if (found.n_rows > LIBSVM_FLOATS_MAX / layout->n_features)
        return error_set(err, ERR_DATA,
                         "%s: %" PRIu64 " samples of %" PRIu32
                         " features, with their zeros, are too many (right: %d numbers at most)",
                         s->path, found.n_rows, layout->n_features, LIBSVM_FLOATS_MAX);
    float *x = memory_alloc(list, found.n_rows * layout->n_features * sizeof *x);
    int64_t *whole = memory_alloc(list, found.n_rows * sizeof *whole);
    if (x == NULL || whole == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", s->path);
    memset(x, 0, found.n_rows * layout->n_features * sizeof *x);
    double *real = (double *)(void *)whole, label;
    struct words w = words_of(s);
    for (uint64_t i = 0; rc == 0 && next_line(&w); i++) {
        rc = read_row(&w, &again, layout, &label, x + i * layout->n_features, err);
        if (found.whole)
            whole[i] = (int64_t)label;
        else
            real[i] = label;
    }
    *p = (struct part){.n_rows = found.n_rows,
                       .x = array_of(x, layout->n_features, ELEMENT_F32),
                       .path = s->path,
                       .y = array_of(whole, 1, found.whole ? ELEMENT_I64 : ELEMENT_F64),
                       .y_path = s->path};
    return rc;
}
