/* hubbub predict: what a model says of each sample, as CSV. */
#include "model/cmd_model.h"

#include "base/log.h"
#include "base/mem.h"
#include "model/subject.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct flags {
    struct subject_flags subject;
    const char *out;
    bool logits;
};

static const struct opt table[] = {
    SUBJECT_OPTIONS(struct flags, subject),
    {"out", OPT_STRING, offsetof(struct flags, out), "FILE", "-", "the CSV; - is stdout", "output"},
    {"logits", OPT_SWITCH, offsetof(struct flags, logits), 0, 0,
     "the model's outputs as they are, in place of probabilities"},
};

const struct opts cmd_predict_options = {
    .command = "hubbub predict",
    .summary = "writes what a model says of each sample: class and probabilities, or a number",
    .usage = "MODEL [OPTIONS]",
    .examples = "  hubbub predict model.npz --data fashion-mnist --out predictions.csv\n"
                "  hubbub predict model.npz --data fashion-mnist --logits\n"
                "  hubbub predict model.safetensors --data images/ --split train --out -\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

struct table_out {
    struct subject *subject;
    FILE *out;
    bool logits;
    double *columns; /* of one sample */
};

/* RFC 4180: in quotes where it needs them, a quote doubled. */
static void cell(const char *prefix, const char *text, FILE *out)
{
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    fputs(quoted ? "\"" : "", out);
    fputs(prefix, out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputs(quoted ? "\"" : "", out);
}

/* One logit of two classes stands for both: its probability is that of class 1. */
static uint32_t n_columns(const struct table_out *t)
{
    const struct model *m = t->subject->model;
    return m->loss == LOSS_LOGISTIC && !t->logits ? 2 : m->n_out;
}

/* The hinge loss gives scores, no probabilities. */
static const char *kind_of(const struct table_out *t)
{
    return t->logits || t->subject->model->loss == LOSS_HINGE ? "logit " : "p ";
}

static void print_head(const struct table_out *t)
{
    char text[16];
    uint32_t n = n_columns(t);
    bool labelled = meta_label(t->subject->file.meta, 0) != NULL;
    if (t->subject->model->loss == LOSS_MSE) {
        fputs("sample,value\n", t->out);
        return;
    }
    fputs(labelled ? "sample,class,label" : "sample,class", t->out);
    for (uint32_t j = 0; j < n; j++) {
        fputc(',', t->out);
        cell(kind_of(t), subject_class(t->subject, n > 1 ? j : 1, text), t->out);
    }
    fputc('\n', t->out);
}

static void softmax(const float *logits, uint32_t n, double *p)
{
    double max = (double)logits[0], sum = 0;
    for (uint32_t j = 1; j < n; j++)
        max = (double)logits[j] > max ? (double)logits[j] : max;
    for (uint32_t j = 0; j < n; j++)
        sum += p[j] = exp((double)logits[j] - max);
    for (uint32_t j = 0; j < n; j++)
        p[j] /= sum;
}

static void fill(const struct table_out *t, const float *logits)
{
    const struct model *m = t->subject->model;
    if (!t->logits && m->loss == LOSS_SOFTMAX) {
        softmax(logits, m->n_out, t->columns);
    } else if (!t->logits && m->loss == LOSS_LOGISTIC) {
        t->columns[0] = 1 / (1 + exp((double)logits[0]));
        t->columns[1] = 1 / (1 + exp(-(double)logits[0]));
    } else {
        for (uint32_t j = 0; j < m->n_out; j++)
            t->columns[j] = (double)logits[j];
    }
}

static void see(void *ctx, uint32_t first, uint32_t n, const float *logits, const union target *y)
{
    struct table_out *t = ctx;
    const struct model *m = t->subject->model;
    (void)y;
    for (uint32_t i = 0; i < n; i++, logits += m->n_out) {
        fprintf(t->out, "%" PRIu32, first + i);
        if (m->loss != LOSS_MSE) {
            uint32_t class = subject_predict(t->subject, logits);
            const char *label = meta_label(t->subject->file.meta, class);
            fprintf(t->out, ",%" PRIu32, class);
            if (label != NULL) {
                fputc(',', t->out);
                cell("", label, t->out);
            }
        }
        fill(t, logits);
        for (uint32_t j = 0; j < n_columns(t); j++)
            fprintf(t->out, ",%.9g", t->columns[j]);
        fputc('\n', t->out);
    }
}

static int write_table(struct table_out *t, struct error *err)
{
    t->columns = MEM_NEW(double, t->subject->model->n_out + 1);
    print_head(t);
    int rc = subject_run(t->subject, see, t, err);
    free(t->columns);
    return rc;
}

static int run(const struct flags *flags, struct subject *s, struct error *err)
{
    struct table_out t = {.subject = s, .out = stdout, .logits = flags->logits};
    struct file_draft draft;
    if (strcmp(flags->out, "-") == 0) {
        int rc = write_table(&t, err);
        if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
            rc = error_set(err, ERR_FAILURE, "stdout: %m");
        return rc;
    }
    if (file_draft_open(&draft, flags->out, err) != 0)
        return err->code;
    t.out = draft.out;
    if (write_table(&t, err) == 0)
        return file_draft_commit(&draft, err);
    file_draft_drop(&draft);
    return err->code;
}

int cmd_predict(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    struct subject s;
    int n, rc = opts_parse(&cmd_predict_options, &flags, argc, argv, &n, &err);
    if (rc == 0 && n != 1)
        rc = error_set(&err, ERR_USAGE, "hubbub predict takes one model file, not %d", n);
    if (rc == 0) {
        rc = subject_open(&s, &flags.subject, argv[1], false, &err);
        if (rc == 0)
            rc = run(&flags, &s, &err);
        subject_close(&s);
    }
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}
