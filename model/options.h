/* What a user may say about data and training: fields, and the rows of an option table that fill
 * them, the same in every command that trains. */
#ifndef HUBBUB_MODEL_OPTIONS_H
#define HUBBUB_MODEL_OPTIONS_H

#include "data/options.h"
#include "data/partition.h"
#include "model/objective.h"
#include "model/optim.h"

/* A length of training: steps, or epochs of a peer's shard. */
struct step_span {
    double count;
    bool epochs;
};

struct training_options {
    struct data_options data;
    const char *model;
    struct partition partition;
    double lr, momentum, beta2, epsilon, weight_decay, clip, gamma;
    struct step_span warmup, step_size;
    uint64_t batch, seed;
    int schedule;  /* 0: auto, then 1 + enum lr_schedule */
    int optimizer; /* -1: not said */
    int objective; /* enum objective */
};

/* What stands in it before parsing: not said. */
#define TRAINING_UNSAID                                                                            \
    {                                                                                              \
        .optimizer = -1, .lr = -1, .weight_decay = -1, .partition.kind = N_PARTITION_KINDS         \
    }

extern const char *const training_schedules[];

/* Of what was said; gossips: whether peers average at all. Lengths of the schedule stay 0, and auto
 * is constant. */
struct optim_config training_optim(const struct training_options *t, bool gossips);

/* As said, or the default: none with a schema, else iid. */
struct partition training_partition(const struct training_options *t);

/* "500", "500steps", "2epochs" to a struct step_span. ERR_USAGE. */
int step_span_parse(const char *text, void *field, struct error *err) MUST_USE;

/* Sets the lengths of a schedule whose steps are known, on a shard of n samples. `end` is the flag
 * that says how long training lasts. ERR_USAGE where they do not fit. */
int training_set_lengths(struct optim_config *c, const struct step_span *warmup,
                         const struct step_span *step_size, uint32_t n, uint32_t batch,
                         const char *end, struct error *err) MUST_USE;

/* Rows for a table whose target is a `type` with a struct training_options in `member`. The group
 * after them has to be named. */
/* clang-format off */
#define TRAINING_OPTIONS(type, member)                                                             \
    DATA_OPTIONS(type, member.data),                                                               \
    {"partition", OPT_CUSTOM, offsetof(type, member.partition), "HOW", 0,                      \
     "iid (default), labels (a few classes each), labels:2, dirichlet:0.1, stratified, "             \
     "contiguous, sample:0.5, sizes:4,2,1,1, by:COLUMN; none: all of it is mine alone (default "    \
     "with --schema)", .parse = partition_parse},                                                  \
    {"model", OPT_STRING, offsetof(type, member.model), "SPEC", "mlp:784-256-128-10",              \
     "softmax, linear, logistic, svm, mlp:IN-...-OUT, lenet5, resnet20, a list of layers, @FILE",  \
     "training"},                                                                                  \
    {"batch", OPT_U64, offsetof(type, member.batch), "N", "64", "samples in a minibatch", 0, 1,    \
     65536, .alias = "batch-size"},                                                                \
    {"lr", OPT_F64, offsetof(type, member.lr), "X", 0, "learning rate (0.05; with adamw 0.001)", 0,\
     0, 1000, .alias = "learning-rate"},                                                           \
    {"lr-schedule", OPT_CHOICE, offsetof(type, member.schedule), "HOW", "auto",                    \
     "constant, cosine, step, auto: cosine where --until names epochs or steps", 0, 0, 0,          \
     training_schedules, .alias = "schedule"},                                                     \
    {"warmup", OPT_CUSTOM, offsetof(type, member.warmup), "N", "0",                                \
     "steps, or 2epochs, in which the rate grows from 0 to --lr", .parse = step_span_parse},       \
    {"step-size", OPT_CUSTOM, offsetof(type, member.step_size), "N", "0",                          \
     "steps, or 30epochs, after which --lr-schedule step lowers the rate",                         \
     .parse = step_span_parse},                                                                    \
    {"gamma", OPT_F64, offsetof(type, member.gamma), "X", "0.1", "what it then multiplies it with",\
     0, 0, 1},                                                                                     \
    {"optimizer", OPT_CHOICE, offsetof(type, member.optimizer), "HOW", 0,                          \
     "qgm (quasi-global momentum; default), sgd (default without gossip), nesterov, adamw", 0, 0, 0,\
     optimizer_names},                                                                             \
    {"momentum", OPT_F64, offsetof(type, member.momentum), "X", "0.9", "momentum; beta1 of adamw", \
     0, 0, 0.9999},                                                                                \
    {"beta2", OPT_F64, offsetof(type, member.beta2), "X", "0.999", "of adamw", 0, 0, 0.999999},    \
    {"epsilon", OPT_F64, offsetof(type, member.epsilon), "X", "1e-8", "of adamw", 0, 1e-30, 1},    \
    {"weight-decay", OPT_F64, offsetof(type, member.weight_decay), "X", 0,                         \
     "pull of the weights to 0 (0; with adamw, which keeps it apart from the gradient, 0.01)", 0, 0,\
     100},                                                                                         \
    {"clip", OPT_F64, offsetof(type, member.clip), "X", "0", "largest norm of the gradient; 0: any",\
     0, 0, 1e9, .alias = "clip-grad-norm"},                                                        \
    {"objective", OPT_CHOICE, offsetof(type, member.objective), "WHAT", "samples",                 \
     "what the swarm minimises: the loss over all samples, that of its peers on average, or steps: "\
     "who is faster counts for more", 0, 0, 0, objective_names},                                   \
    {"seed", OPT_U64, offsetof(type, member.seed), "N", "1",                                       \
     "of first weights, split and order; one for all peers"}
/* clang-format on */

#endif
