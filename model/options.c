#include "model/options.h"

#include "base/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char *const training_schedules[] = {"auto", "constant", "cosine", "step", NULL};

struct optim_config training_optim(const struct training_options *t, bool gossips)
{
    enum optimizer usual = gossips ? OPTIM_QGM : OPTIM_SGD;
    struct optim_config c =
        optim_defaults(t->optimizer >= 0 ? (enum optimizer)t->optimizer : usual);
    c.schedule = t->schedule > 0 ? (enum lr_schedule)(t->schedule - 1) : LR_CONSTANT;
    c.momentum = (float)t->momentum;
    c.beta2 = (float)t->beta2;
    c.epsilon = (float)t->epsilon;
    c.clip = (float)t->clip;
    c.gamma = (float)t->gamma;
    if (t->lr >= 0)
        c.lr = (float)t->lr;
    if (t->weight_decay >= 0)
        c.weight_decay = (float)t->weight_decay;
    return c;
}

/* A schema means that the file is private. */
struct partition training_partition(const struct training_options *t)
{
    static const struct partition none = {.kind = PARTITION_NONE, .text = "none"};
    if (t->partition.kind != N_PARTITION_KINDS)
        return t->partition;
    return t->data.schema[0] != '\0' ? none : partition_iid;
}

int step_span_parse(const char *text, void *field, struct error *err)
{
    struct step_span *span = field;
    char number[32];
    size_t n = strspn(text, "0123456789.");
    const char *unit = text + n;
    span->epochs = strcmp(unit, "epochs") == 0 || strcmp(unit, "epoch") == 0;
    bool steps = *unit == '\0' || strcmp(unit, "steps") == 0 || strcmp(unit, "step") == 0;
    snprintf(number, sizeof number, "%.*s", n < sizeof number ? (int)n : 0, text);
    if ((steps || span->epochs) && parse_f64(number, &span->count) && span->count <= 1e12 &&
        (span->epochs || span->count == floor(span->count)))
        return 0;
    return error_set(err, ERR_USAGE,
                     "'%.100s' is neither a number of steps nor of epochs, such as 500 or 2epochs",
                     text);
}

static uint64_t span_steps(const struct step_span *span, uint32_t n, uint32_t batch)
{
    return (uint64_t)ceil(span->epochs ? span->count * n / batch : span->count);
}

int training_set_lengths(struct optim_config *c, const struct step_span *warmup,
                         const struct step_span *step_size, uint32_t n, uint32_t batch,
                         const char *end, struct error *err)
{
    c->warmup = span_steps(warmup, n, batch);
    c->step_size = span_steps(step_size, n, batch);
    if (c->schedule == LR_COSINE && c->warmup >= c->steps)
        return error_set(err, ERR_USAGE,
                         "--warmup: %" PRIu64 " steps, but %s ends after %" PRIu64 " (right: less)",
                         c->warmup, end, c->steps);
    if (c->schedule == LR_STEP && c->step_size == 0)
        return error_set(err, ERR_USAGE,
                         "--lr-schedule step needs --step-size, such as 30epochs or 1000");
    return 0;
}
