/* hubbub eval: how good a model is on data. */
#include "model/cmd_model.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/subject.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct flags {
    struct subject_flags subject;
    bool json;
};

static const struct opt table[] = {
    SUBJECT_OPTIONS(struct flags, subject),
    {"json", OPT_SWITCH, offsetof(struct flags, json), 0, 0, "one JSON object on stdout"},
};

const struct opts cmd_eval_options = {
    .command = "hubbub eval",
    .summary = "tries a model on data: loss, accuracy, every class, confusion matrix",
    .usage = "MODEL [OPTIONS]",
    .examples = "  hubbub eval model.npz --data fashion-mnist\n"
                "  hubbub eval model.safetensors --data fashion-mnist --split train --json\n"
                "  hubbub eval from-torch.npz --model mlp:784-256-128-10 --data fashion-mnist\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

struct tally {
    struct subject *subject;
    uint32_t n_classes;  /* 0: a real target */
    uint64_t *confusion; /* [n_classes, n_classes]: true class, predicted class */
    double loss_sum, target_sum, target_sq;
    float *unused; /* gradient of a batch */
};

static void see(void *ctx, uint32_t first, uint32_t n, const float *logits, const union target *y)
{
    struct tally *t = ctx;
    const struct model *m = t->subject->model;
    (void)first;
    t->loss_sum += loss_gradient(m->loss, logits, y, n, m->n_out, t->unused) * n;
    for (uint32_t i = 0; i < n; i++)
        if (t->n_classes > 0) {
            uint32_t said = subject_predict(t->subject, logits + (size_t)i * m->n_out);
            t->confusion[(size_t)y[i].class * t->n_classes + said]++;
        } else {
            t->target_sum += (double)y[i].real;
            t->target_sq += (double)y[i].real * (double)y[i].real;
        }
}

/* ---- figures -------------------------------------------------------------------------------- */

struct class_figures {
    uint64_t n_true, n_said, n_correct;
};

static struct class_figures figures_of(const struct tally *t, uint32_t class)
{
    struct class_figures f = {0};
    for (uint32_t j = 0; j < t->n_classes; j++) {
        f.n_true += t->confusion[(size_t) class * t->n_classes + j];
        f.n_said += t->confusion[(size_t)j * t->n_classes + class];
    }
    f.n_correct = t->confusion[(size_t) class * t->n_classes + class];
    return f;
}

static double accuracy(const struct tally *t)
{
    uint64_t n_correct = 0;
    for (uint32_t c = 0; c < t->n_classes; c++)
        n_correct += t->confusion[(size_t)c * t->n_classes + c];
    return (double)n_correct / t->subject->set.n_samples;
}

/* 1 - squared error / variance: the share of the variance that the model explains. */
static double r_squared(const struct tally *t)
{
    double n = t->subject->set.n_samples, mean = t->target_sum / n;
    double variance = t->target_sq / n - mean * mean;
    return variance > 0 ? 1 - t->loss_sum / n / variance : (double)NAN;
}

/* ---- output --------------------------------------------------------------------------------- */

/* A share, null where nothing was there to be counted. */
static json_t *share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

static void add_classes(json_t *o, const struct tally *t)
{
    json_t *classes = json_array(), *confusion = json_array();
    for (uint32_t c = 0; c < t->n_classes; c++) {
        struct class_figures f = figures_of(t, c);
        const char *label = meta_label(t->subject->file.meta, c);
        json_t *row = json_array();
        json_array_append_new(classes, json_pack("{s:i, s:o, s:o, s:I}", "class", (int)c,
                                                 "precision", share(f.n_correct, f.n_said),
                                                 "recall", share(f.n_correct, f.n_true), "support",
                                                 (json_int_t)f.n_true));
        if (label != NULL)
            json_object_set_new(json_array_get(classes, c), "label", json_string(label));
        for (uint32_t j = 0; j < t->n_classes; j++)
            json_array_append_new(
                row, json_integer((json_int_t)t->confusion[(size_t)c * t->n_classes + j]));
        json_array_append_new(confusion, row);
    }
    json_object_set_new(o, "accuracy", json_real(accuracy(t)));
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "confusion", confusion);
}

static void print_json(const struct tally *t)
{
    const struct subject *s = t->subject;
    double r2 = t->n_classes == 0 ? r_squared(t) : 0;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:f}", "file", s->file.path, "model",
                          s->model->spec, "data", s->data.name, "split", s->split, "samples",
                          (json_int_t)s->set.n_samples, "loss", t->loss_sum / s->set.n_samples);
    if (t->n_classes > 0)
        add_classes(o, t);
    else
        json_object_set_new(o, "r_squared", json_real_or_null(r2));
    json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static void print_share(uint64_t part, uint64_t whole)
{
    if (whole > 0)
        printf(" %8.2f %%", 100 * (double)part / (double)whole);
    else
        printf(" %10s", "-");
}

static void print_classes(const struct tally *t)
{
    char text[16];
    printf("\n  %-20s %10s %10s %9s\n", "class", "precision", "recall", "samples");
    for (uint32_t c = 0; c < t->n_classes; c++) {
        struct class_figures f = figures_of(t, c);
        printf("  %-20.20s", subject_class(t->subject, c, text));
        print_share(f.n_correct, f.n_said);
        print_share(f.n_correct, f.n_true);
        printf(" %9" PRIu64 "\n", f.n_true);
    }
}

static void print_confusion(const struct tally *t)
{
    enum { COLUMNS_MAX = 16 };
    if (t->n_classes > COLUMNS_MAX) {
        printf("\nThe confusion matrix of %" PRIu32 " classes is in --json.\n", t->n_classes);
        return;
    }
    printf("\n  true \\ said");
    for (uint32_t j = 0; j < t->n_classes; j++)
        printf(" %6" PRIu32, j);
    for (uint32_t c = 0; c < t->n_classes; c++) {
        printf("\n  %11" PRIu32, c);
        for (uint32_t j = 0; j < t->n_classes; j++)
            printf(" %6" PRIu64, t->confusion[(size_t)c * t->n_classes + j]);
    }
    putchar('\n');
}

static void print_text(const struct tally *t)
{
    const struct subject *s = t->subject;
    double loss = t->loss_sum / s->set.n_samples;
    printf("%s: %s\n%s, %s: %" PRIu32 " samples\n", s->file.path, s->model->spec, s->data.name,
           s->split, s->set.n_samples);
    if (t->n_classes == 0) {
        printf("loss %.6g (mean squared error), R^2 %.4f\n", loss, r_squared(t));
        return;
    }
    printf("loss %.4f, accuracy %.2f %%\n", loss, 100 * accuracy(t));
    print_classes(t);
    print_confusion(t);
}

int cmd_eval(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    struct subject s;
    int n, rc = opts_parse(&cmd_eval_options, &flags, argc, argv, &n, &err);
    if (rc == 0 && n != 1)
        rc = error_set(&err, ERR_USAGE, "hubbub eval takes one model file, not %d", n);
    if (rc == 0) {
        struct tally t = {.subject = &s};
        rc = subject_open(&s, &flags.subject, argv[1], true, &err);
        if (rc == 0) {
            t.n_classes = s.set.shape.n_classes;
            t.confusion = MEM_NEW(uint64_t, (size_t)t.n_classes * t.n_classes);
            t.unused = MEM_NEW(float, (size_t)SUBJECT_BATCH *s.model->n_out);
            rc = subject_run(&s, see, &t, &err);
        }
        if (rc == 0 && flags.json)
            print_json(&t);
        else if (rc == 0)
            print_text(&t);
        free(t.confusion);
        free(t.unused);
        subject_close(&s);
    }
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}
