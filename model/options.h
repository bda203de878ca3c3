/* What a user may say about data and training: fields, and the rows of an option table that fill
 * them, the same in every command that trains. */
#ifndef HUBBUB_MODEL_OPTIONS_H
#define HUBBUB_MODEL_OPTIONS_H

#include "base/opts.h"
#include "data/partition.h"
#include "model/optim.h"

struct training_options {
    const char *data, *model;
    struct partition partition;
    double lr, momentum;
    uint64_t batch, seed;
    int schedule;  /* 0: auto, then 1 + enum lr_schedule */
    int optimizer; /* set to -1 before parsing: not said */
};

extern const char *const training_schedules[];

/* Of what was said; gossips: whether peers average at all. Steps of the schedule stay 0, and auto
 * is constant. */
struct optim_config training_optim(const struct training_options *t, bool gossips);

/* Rows for a table whose target is a `type` with a struct training_options in `member`. The group
 * after them has to be named. */
/* clang-format off */
#define TRAINING_OPTIONS(type, member)                                                             \
    {"data", OPT_STRING, offsetof(type, member.data), "SPEC", "fashion-mnist",                     \
     "fashion-mnist, a directory of IDX files, or blobs:classes=10,features=20", "data"},          \
    {"partition", OPT_CUSTOM, offsetof(type, member.partition), "HOW", "iid",                      \
     "iid, labels (a few classes each), labels:2, dirichlet:0.1, stratified, contiguous, "         \
     "sample:0.5, sizes:4,2,1,1, by:COLUMN", .parse = partition_parse},                            \
    {"model", OPT_STRING, offsetof(type, member.model), "SPEC", "mlp:784-256-128-10",              \
     "softmax or mlp:IN-...-OUT", "training"},                                                     \
    {"batch", OPT_U64, offsetof(type, member.batch), "N", "64", "samples in a minibatch", 0, 1,    \
     65536, .alias = "batch-size"},                                                                \
    {"lr", OPT_F64, offsetof(type, member.lr), "X", "0.05", "learning rate", 0, 0, 1000},          \
    {"lr-schedule", OPT_CHOICE, offsetof(type, member.schedule), "HOW", "auto",                    \
     "constant, cosine, auto: cosine where --until names epochs or steps", 0, 0, 0,                \
     training_schedules},                                                                          \
    {"optimizer", OPT_CHOICE, offsetof(type, member.optimizer), "HOW", 0,                          \
     "qgm (quasi-global momentum; default) or sgd (default without gossip)", 0, 0, 0,              \
     optimizer_names},                                                                             \
    {"momentum", OPT_F64, offsetof(type, member.momentum), "X", "0.9", "momentum", 0, 0, 0.9999},  \
    {"seed", OPT_U64, offsetof(type, member.seed), "N", "1",                                       \
     "of first weights, split and order; one for all peers"}
/* clang-format on */

#endif
