#include "model/subject.h"

#include "base/mem.h"
#include "base/vec.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>

const char *const subject_splits[N_SPLITS + 1] = {"auto", "test", "train", "all", NULL};

/* A --schema beside the model's own must be the same. */
static int check_schema(const struct schema *own, const char *path, const char *said,
                        struct error *err)
{
    struct schema schema;
    int rc = schema_read(&schema, said, err);
    if (rc == 0 && schema_hash(&schema) != schema_hash(own))
        rc = error_set(err, ERR_DATA,
                       "--schema %s: %s was trained with another one, which it holds (right: no "
                       "--schema)",
                       said, path);
    schema_close(&schema);
    return rc;
}

/* How the model wants its data, and which of them. */
static int settle(struct subject *s, const struct subject_flags *flags, bool judged,
                  struct data_options *options, struct error *err)
{
    struct schema schema;
    enum subject_split split = (enum subject_split)flags->split;
    int rc = 0, has_schema = meta_schema(&s->file, &schema, err);
    *options = flags->data;
    if (has_schema < 0)
        return has_schema;
    if (has_schema && options->schema[0] != '\0')
        rc = check_schema(&schema, s->file.path, options->schema, err);
    schema_close(&schema);
    if (has_schema) {
        options->model_schema = json_object_get(s->file.meta, "schema");
        options->schema = "";
    }
    if (rc == 0 && options->layout.order == LAYOUT_AUTO)
        rc = meta_layout(&s->file, &options->layout, err);
    if (split == SPLIT_AUTO)
        split = has_schema && !judged && options->test[0] == '\0' ? SPLIT_ALL : SPLIT_TEST;
    if (rc == 0 && split == SPLIT_ALL && options->test[0] != '\0')
        rc =
            error_set(err, ERR_USAGE, "--split all leaves nothing for --test (right: one of them)");
    options->whole = split == SPLIT_ALL;
    options->unlabelled = has_schema && !judged && split == SPLIT_ALL;
    s->split = subject_splits[split];
    return rc;
}

static int open_data(struct subject *s, const struct data_options *options, struct error *err)
{
    int rc = data_open(&s->data, options->spec, options, err);
    if (rc != 0)
        return rc;
    if (options->whole && s->data.test.n_samples > 0)
        return error_set(err, ERR_USAGE,
                         "--split all: %s has test data of its own (right: test or train)",
                         options->spec);
    s->set = s->split == subject_splits[SPLIT_TEST] ? s->data.test : s->data.train;
    return 0;
}

int subject_open(struct subject *s, const struct subject_flags *flags, const char *path,
                 bool judged, struct error *err)
{
    const char *spec = flags->model[0] != '\0' ? flags->model : NULL;
    struct data_options options;
    *s = (struct subject){.model = MEM_NEW(struct model, 1)};
    int rc = model_file_open(&s->file, path, err);
    if (rc == 0)
        rc = settle(s, flags, judged, &options, err);
    if (rc == 0)
        rc = open_data(s, &options, err);
    if (rc != 0)
        return rc;
    rc = meta_model(&s->file, spec, &s->set.shape, s->model, err);
    if (rc == 0)
        rc = meta_check_labels(&s->file, &s->data, err);
    if (rc == 0)
        rc = meta_apply(&s->file, &s->data, &s->set, err);
    if (rc == 0)
        rc = model_blas_setup(1, 0, err);
    if (rc != 0)
        return rc;
    s->theta = MEM_NEW(float, s->model->dim);
    return model_file_read(&s->file, s->model, s->theta, err);
}

void subject_close(struct subject *s)
{
    free(s->theta);
    free(s->model);
    data_close(&s->data);
    model_file_close(&s->file);
}

int subject_run(struct subject *s, subject_see *see, void *ctx, struct error *err)
{
    const struct model *m = s->model;
    uint32_t rows[SUBJECT_BATCH];
    union target y[SUBJECT_BATCH];
    float *x = MEM_NEW(float, (size_t)SUBJECT_BATCH * m->n_in);
    float *scratch = MEM_NEW(float, model_scratch(m, SUBJECT_BATCH));
    int rc = 0;
    for (uint32_t first = 0; rc == 0 && first < s->set.n_samples;) {
        uint32_t left = s->set.n_samples - first, n = left < SUBJECT_BATCH ? left : SUBJECT_BATCH;
        for (uint32_t i = 0; i < n; i++)
            rows[i] = first + i;
        dataset_gather(&s->set, rows, n, x, y);
        const float *logits = model_forward(m, &(struct pass){.batch = n}, s->theta, x, scratch);
        size_t at = vec_first_beyond(logits, FLT_MAX, (size_t)n * m->n_out);
        if (at < (size_t)n * m->n_out)
            rc = error_set(err, ERR_DATA,
                           "%s: its output for sample %zu of the data is not finite: the weights "
                           "are too large",
                           s->file.path, first + at / m->n_out);
        else
            see(ctx, first, n, logits, y);
        first += n;
    }
    free(x);
    free(scratch);
    return rc;
}

const char *subject_class(const struct subject *s, uint32_t class, char *text)
{
    const char *label = meta_label(s->file.meta, class);
    snprintf(text, 16, "%" PRIu32, class);
    return label != NULL ? label : text;
}

uint32_t subject_predict(const struct subject *s, const float *logits)
{
    uint32_t best = 0, n = s->model->n_out;
    if (n == 1)
        return logits[0] > 0;
    for (uint32_t j = 1; j < n; j++)
        if (logits[j] > logits[best])
            best = j;
    return best;
}
