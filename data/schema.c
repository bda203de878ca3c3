/* Schemas: summaries of many, merged. */
#include "data/schema_inner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- memory ---------------------------------------------------------------------------------- */

static void categories_close(struct categories *c)
{
    for (uint32_t i = 0; i < c->n && c->names != NULL; i++)
        free(c->names[i]);
    free(c->names);
    free(c->counts);
    *c = (struct categories){0};
}

void column_close(struct column *c)
{
    categories_close(&c->categories);
}

void summary_close(struct summary *s)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        column_close(&s->columns[i]);
    column_close(&s->label);
    free(s->columns);
    *s = (struct summary){0};
}

void schema_close(struct schema *s)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        column_close(&s->columns[i]);
    column_close(&s->label);
    for (uint32_t i = 0; i < s->n_peers; i++)
        free(s->peers[i].class_counts);
    free(s->columns);
    free(s->peers);
    *s = (struct schema){0};
}

/* ---- what differs ---------------------------------------------------------------------------- */

static const char *peer_name(const struct summary *s, char text[80])
{
    if (s->name[0] != '\0')
        return s->name;
    snprintf(text, 80, "peer %02x%02x%02x%02x", s->id[0], s->id[1], s->id[2], s->id[3]);
    return text;
}

static const struct column *find_column(const struct summary *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (strcmp(s->columns[i].name, name) == 0)
            return &s->columns[i];
    return NULL;
}

/* Of two peers; an empty text: they fit. Appends which columns a has and b lacks. */
static void list_lacking(const struct summary *a, const struct summary *b, char *text, size_t size)
{
    enum { NAMED = 5 };
    char name[80];
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n_columns; i++) {
        if (find_column(b, a->columns[i].name) != NULL || n++ >= NAMED)
            continue;
        size_t at = strlen(text);
        const char *what = strcmp(a->columns[i].name, b->label.name) == 0 ? " (its label)" : "";
        if (n == 1)
            snprintf(text + at, size - at, "%s%.79s has no column '%.60s'%s", at > 0 ? "; " : "",
                     peer_name(b, name), a->columns[i].name, what);
        else
            snprintf(text + at, size - at, ", '%.60s'%s", a->columns[i].name, what);
    }
    size_t at = strlen(text);
    if (n > NAMED)
        snprintf(text + at, size - at, " and %" PRIu32 " more", n - NAMED);
}

static const char *kind_name(const struct column *c, bool is_label)
{
    if (is_label)
        return c->kind == COLUMN_CATEGORY ? "classes" : "real numbers";
    return c->kind == COLUMN_CATEGORY ? "categories" : "numbers";
}

/* A column without a value may be of either kind. */
static bool kinds_fit(const struct column *a, const struct column *b)
{
    bool a_empty = a->kind == COLUMN_NUMBER && a->stats.count == 0;
    bool b_empty = b->kind == COLUMN_NUMBER && b->stats.count == 0;
    return a->kind == b->kind || a_empty || b_empty;
}

static int compare_kinds(const struct summary *a, const struct summary *b, const struct column *x,
                         const struct column *y, bool is_label, struct error *err)
{
    char name_a[80], name_b[80];
    if (is_label ? x->kind == y->kind : kinds_fit(x, y))
        return 0;
    const struct column *text = x->kind == COLUMN_CATEGORY ? x : y;
    return error_set(err, ERR_DATA, "%s '%.80s' differs: %s at %s, %s at %s ('%.40s'); %s",
                     is_label ? "label" : "column", x->name, kind_name(x, is_label),
                     peer_name(a, name_a), kind_name(y, is_label), peer_name(b, name_b),
                     text->categories.n > 0 ? text->categories.names[text->categories.n - 1] : "",
                     is_label ? "--target says which is meant" : "clean the file, or --ignore it");
}

static int compare_settings(const struct summary *a, const struct summary *b, struct error *err)
{
    const struct preprocess *p = &a->preprocess, *q = &b->preprocess;
    char name_a[80], name_b[80];
    peer_name(a, name_a);
    if (p->clean != q->clean || p->drop_duplicates != q->drop_duplicates ||
        p->drop_constant != q->drop_constant)
        return error_set(err, ERR_DATA, "--clean differs: %s%s%s at %s, %s%s%s at %s",
                         clean_names[p->clean], p->drop_duplicates ? ",duplicates" : "",
                         p->drop_constant ? ",constant" : "", peer_name(a, name_a),
                         clean_names[q->clean], q->drop_duplicates ? ",duplicates" : "",
                         q->drop_constant ? ",constant" : "", peer_name(b, name_b));
    if (p->normalize != q->normalize)
        return error_set(err, ERR_DATA, "--normalize differs: %s at %s, %s at %s",
                         normalize_names[p->normalize], peer_name(a, name_a),
                         normalize_names[q->normalize], peer_name(b, name_b));
    return 0;
}

static int compare_summaries(const struct summary *a, const struct summary *b, struct error *err)
{
    char text[400] = "", name_a[80], name_b[80];
    int rc = compare_settings(a, b, err);
    if (rc != 0)
        return rc;
    if (strcmp(a->label.name, b->label.name) != 0)
        return error_set(err, ERR_DATA, "label differs: '%.80s' at %s, '%.80s' at %s",
                         a->label.name, peer_name(a, name_a), b->label.name, peer_name(b, name_b));
    list_lacking(a, b, text, sizeof text);
    list_lacking(b, a, text, sizeof text);
    if (text[0] != '\0')
        return error_set(err, ERR_DATA, "columns differ: %s", text);
    rc = compare_kinds(a, b, &a->label, &b->label, true, err);
    for (uint32_t i = 0; i < a->n_columns && rc == 0; i++)
        rc = compare_kinds(a, b, &a->columns[i], find_column(b, a->columns[i].name), false, err);
    return rc;
}

/* ---- merging --------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    const struct summary *x = *(const struct summary *const *)a,
                         *y = *(const struct summary *const *)b;
    return memcmp(x->id, y->id, SCHEMA_ID_BYTES);
}

static uint32_t category_index(const struct categories *c, const char *name)
{
    uint32_t i = 0;
    while (i < c->n && strcmp(c->names[i], name) != 0)
        i++;
    return i;
}

/* One column of all peers. */
struct parts {
    const struct column *of[SCHEMA_PEERS_MAX];
    uint32_t n;
};

static int merge_categories(struct column *to, const struct parts *parts, struct error *err)
{
    struct names names;
    names_init(&names);
    for (uint32_t p = 0; p < parts->n; p++) {
        const struct categories *c = &parts->of[p]->categories;
        for (uint32_t i = 0; i < c->n; i++) {
            struct cell cell = cell_read(c->names[i]);
            uint32_t at = names_add(&names, &cell, SCHEMA_CATEGORIES_MAX);
            if (at == UINT32_MAX) {
                names_close(&names);
                return error_set(err, ERR_DATA,
                                 "column '%s' has more than %d different values at all peers "
                                 "together (right: --ignore it)",
                                 to->name, SCHEMA_CATEGORIES_MAX);
            }
            names.entries[at].count += c->counts[i] - 1;
        }
    }
    categories_take(&to->categories, &names);
    names_close(&names);
    return 0;
}

static int merge_column(struct column *to, const struct parts *parts, struct error *err)
{
    *to = (struct column){.median = parts->n == 1 ? parts->of[0]->median : NAN};
    memcpy(to->name, parts->of[0]->name, sizeof to->name);
    for (uint32_t p = 0; p < parts->n; p++) {
        to->n_missing += parts->of[p]->n_missing;
        if (parts->of[p]->kind == COLUMN_CATEGORY)
            to->kind = COLUMN_CATEGORY;
        else
            stats_merge(&to->stats, &parts->of[p]->stats);
    }
    return to->kind == COLUMN_CATEGORY ? merge_categories(to, parts, err) : 0;
}

static bool is_constant(const struct column *c)
{
    return c->kind == COLUMN_CATEGORY ? c->categories.n < 2 : c->stats.min == c->stats.max;
}

static int compare_columns(const void *a, const void *b)
{
    return strcmp((*(const struct column *const *)a)->name,
                  (*(const struct column *const *)b)->name);
}

/* The columns of the first in the order of the files, if they have one order; else by name. */
static const struct column **order_columns(const struct summary *const *s, uint32_t n)
{
    const struct column **order = MEM_NEW(const struct column *, s[0]->n_columns);
    bool same = true;
    for (uint32_t i = 0; i < s[0]->n_columns; i++) {
        order[i] = &s[0]->columns[i];
        for (uint32_t p = 1; p < n && same; p++)
            same = strcmp(s[p]->columns[i].name, order[i]->name) == 0;
    }
    if (!same)
        qsort(order, s[0]->n_columns, sizeof *order, compare_columns);
    return order;
}

static int merge_columns(struct schema *schema, const struct summary *const *s, uint32_t n,
                         struct error *err)
{
    struct parts *parts = MEM_NEW(struct parts, 1);
    const struct column **order = order_columns(s, n);
    int rc = 0;
    schema->columns = MEM_NEW(struct column, s[0]->n_columns);
    parts->n = n;
    for (uint32_t i = 0; i < s[0]->n_columns && rc == 0; i++) {
        struct column *to = &schema->columns[schema->n_columns];
        for (uint32_t p = 0; p < n; p++)
            parts->of[p] = find_column(s[p], order[i]->name);
        rc = merge_column(to, parts, err);
        if (rc == 0 && schema->preprocess.drop_constant && is_constant(to))
            column_close(to);
        else if (rc == 0)
            schema->n_columns++;
    }
    for (uint32_t p = 0; p < n; p++)
        parts->of[p] = &s[p]->label;
    if (rc == 0)
        rc = merge_column(&schema->label, parts, err);
    free(parts);
    free(order);
    return rc;
}

static void take_peer(struct schema *schema, struct schema_peer *peer, const struct summary *s)
{
    const struct categories *classes = &schema->label.categories;
    memcpy(peer->id, s->id, sizeof peer->id);
    peer->n_rows = s->n_rows;
    if (schema->label.kind != COLUMN_CATEGORY)
        return;
    peer->class_counts = MEM_NEW(uint64_t, classes->n);
    for (uint32_t i = 0; i < s->label.categories.n; i++)
        peer->class_counts[category_index(classes, s->label.categories.names[i])] =
            s->label.categories.counts[i];
}

int schema_check_features(const struct schema *s, struct error *err)
{
    uint32_t n_features = schema_shape(s).n_features;
    if (s->n_columns == 0)
        return error_set(err, ERR_DATA, "every column holds one value only: nothing to learn from");
    if (n_features == 0)
        return error_set(err, ERR_DATA, "every column is empty: nothing to learn from");
    if (n_features > SCHEMA_FEATURES_MAX)
        return error_set(err, ERR_DATA,
                         "%" PRIu32 " features, categories one-hot (right: at most %d)", n_features,
                         SCHEMA_FEATURES_MAX);
    return 0;
}

int schema_merge(struct schema *schema, const struct summary *const *summaries, uint32_t n,
                 struct error *err)
{
    *schema = (struct schema){0};
    if (n == 0 || n > SCHEMA_PEERS_MAX)
        return error_set(err, ERR_DATA, "%" PRIu32 " summaries (right: 1 to %d)", n,
                         SCHEMA_PEERS_MAX);
    const struct summary **s = MEM_NEW(const struct summary *, n);
    memcpy(s, summaries, n * sizeof *s);
    qsort(s, n, sizeof *s, compare_ids);
    int rc = 0;
    for (uint32_t p = 1; p < n && rc == 0; p++)
        rc = compare_summaries(s[0], s[p], err);
    schema->preprocess = s[0]->preprocess;
    if (schema->preprocess.normalize == NORMALIZE_AUTO)
        schema->preprocess.normalize = NORMALIZE_ZSCORE;
    if (rc == 0 && n > 1 && schema->preprocess.clean == CLEAN_MEDIAN)
        rc = error_set(err, ERR_DATA,
                       "--clean median: the median of private files is known to nobody (right: "
                       "mean, drop or fail)");
    if (rc == 0)
        rc = merge_columns(schema, s, n, err);
    if (rc == 0)
        rc = schema_check_features(schema, err);
    if (rc == 0) {
        schema->n_peers = n;
        schema->peers = MEM_NEW(struct schema_peer, n);
        for (uint32_t p = 0; p < n; p++) {
            take_peer(schema, &schema->peers[p], s[p]);
            schema->n_rows += s[p]->n_rows;
        }
    } else {
        schema_close(schema);
    }
    free(s);
    return rc;
}

/* ---- what a schema says ---------------------------------------------------------------------- */

struct data_shape schema_shape(const struct schema *s)
{
    uint32_t n_features = 0;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        const struct column *c = &s->columns[i];
        n_features += c->kind == COLUMN_CATEGORY ? c->categories.n : 1;
    }
    return data_flat(n_features, s->label.kind == COLUMN_CATEGORY ? s->label.categories.n : 0);
}

int schema_check_target(const struct schema *s, struct error *err)
{
    if (s->label.kind == COLUMN_CATEGORY && s->label.categories.n < 2)
        return error_set(
            err, ERR_DATA, "the label '%.80s' has one class only: '%.80s' (right: two or more%s)",
            s->label.name, s->label.categories.names[0],
            s->n_peers == 1 ? "; where other peers hold the others: hubbub data agree" : "");
    return 0;
}

uint64_t schema_hash(const struct schema *s)
{
    json_t *json = schema_to_json(s);
    json_object_del(json, "peers");
    char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));
    CHECK(text != NULL);
    uint64_t hash = XXH3_64bits(text, strlen(text));
    free(text);
    json_decref(json);
    return hash;
}
