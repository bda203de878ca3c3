#include "data/table.h"

#include "base/mem.h"
#include "data/csv.h"

#include <inttypes.h>
#include <stdlib.h>

_Static_assert(sizeof(union target) == 4, "targets are an array of I32 or F32");

static int survey(struct csv *c, const struct data_options *o, struct summary *summary,
                  uint64_t *n_rows, struct error *err)
{
    struct table_options options = {.label = o->label != NULL ? o->label : "",
                                    .ignore = o->ignore.values,
                                    .n_ignore = o->ignore.n,
                                    .target = (enum target_kind)o->target,
                                    .preprocess = o->preprocess};
    struct survey *survey =
        survey_new(c->s.path, (const char *const *)c->names, c->n_columns, &options, err);
    if (survey == NULL)
        return err->code;
    int rc;
    *n_rows = 0;
    while ((rc = csv_next(c, err)) == 1) {
        int counts = survey_row(survey, c->cells, c->line, err);
        if (counts < 0) {
            rc = counts;
            break;
        }
        *n_rows += (uint64_t)counts;
    }
    if (rc == 0)
        rc = survey_end(survey, summary, err);
    survey_free(survey);
    return rc;
}

static int make_schema(struct csv *c, const struct data_options *o, struct schema **schema,
                       struct error *err)
{
    struct summary summary;
    uint64_t n_rows;
    int rc = survey(c, o, &summary, &n_rows, err);
    if (rc != 0)
        return rc;
    *schema = MEM_NEW(struct schema, 1);
    const struct summary *one = &summary;
    rc = schema_merge(*schema, &one, 1, err);
    summary_close(&summary);
    if (rc == 0 && schema_shape(*schema).n_classes == 1)
        rc = error_set(err, ERR_DATA, "%s: column '%s' has one class only (right: two or more)",
                       c->s.path, (*schema)->label.name);
    return rc;
}

/* At most as many rows as the file has records: a first pass counts them. */
static int count(struct csv *c, uint64_t *n, struct error *err)
{
    int rc;
    csv_rewind(c);
    for (*n = 0; (rc = csv_next(c, err)) == 1; ++*n)
        ;
    csv_rewind(c);
    return rc;
}

static int encode(struct part *p, struct csv *c, const struct schema *schema, struct memory **list,
                  struct error *err)
{
    struct data_shape shape = schema_shape(schema);
    uint64_t n, i = 0;
    int rc = count(c, &n, err);
    if (rc == 0 && n > TABLE_FLOATS_MAX / (uint64_t)shape.n_features)
        rc = error_set(err, ERR_DATA,
                       "%s: %" PRIu64 " rows of %" PRIu32 " features are too many (right: %d "
                       "numbers at most; hubbub data convert makes an .npy, which has no limit)",
                       c->s.path, n, shape.n_features, TABLE_FLOATS_MAX);
    if (rc != 0)
        return rc;
    float *x = memory_alloc(list, n * shape.n_features * sizeof *x);
    union target *y = memory_alloc(list, n * sizeof *y);
    if (x == NULL || y == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory", c->s.path);
    struct encoder *encoder =
        encoder_new(c->s.path, schema, (const char *const *)c->names, c->n_columns, err);
    if (encoder == NULL)
        return err->code;
    while ((rc = csv_next(c, err)) == 1) {
        rc = encoder_row(encoder, c->cells, c->line, x + i * shape.n_features, &y[i], err);
        if (rc < 0)
            break;
        i += (uint64_t)rc;
    }
    encoder_free(encoder);
    if (rc == 0 && i == 0)
        rc = error_set(err, ERR_DATA, "%s: no row is left", c->s.path);
    *p = (struct part){.n_rows = i,
                       .x = array_of(x, shape.n_features, ELEMENT_F32),
                       .path = c->s.path,
                       .y = array_of(y, 1, shape.n_classes > 0 ? ELEMENT_I32 : ELEMENT_F32),
                       .y_path = c->s.path};
    return rc;
}

int table_read(struct part *p, struct schema **schema, bool is_test, struct memory **list,
               const struct source *s, const struct data_options *o, struct error *err)
{
    struct csv c;
    if (is_test && *schema == NULL)
        return error_set(err, ERR_DATA, "%s: a table (right: the format of the training data)",
                         s->path);
    int rc = csv_open(&c, s, err);
    if (rc != 0)
        return rc;
    if (!is_test)
        rc = make_schema(&c, o, schema, err);
    if (rc == 0)
        rc = encode(p, &c, *schema, list, err);
    csv_close(&c);
    return rc;
}

void table_schema_free(struct schema *schema)
{
    if (schema == NULL)
        return;
    schema_close(schema);
    free(schema);
}
