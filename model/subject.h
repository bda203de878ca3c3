/* A model file together with the data it is tried on, for hubbub eval and hubbub predict. */
#ifndef HUBBUB_MODEL_SUBJECT_H
#define HUBBUB_MODEL_SUBJECT_H

#include "base/opts.h"
#include "model/meta.h"

/* What both commands let a user say. */
struct subject_flags {
    struct data_options data;
    const char *model;
    int split; /* enum subject_split */
};
enum subject_split { SPLIT_AUTO, SPLIT_TEST, SPLIT_TRAIN, SPLIT_ALL, N_SPLITS };
extern const char *const subject_splits[N_SPLITS + 1];

/* clang-format off */
#define SUBJECT_OPTIONS(type, member)                                                              \
    DATA_OPTIONS(type, member.data),                                                               \
    {"split", OPT_CHOICE, offsetof(type, member.split), "WHICH", "auto",                           \
     "test, train, or all (nothing is held out); auto: test, but predict takes all of a table",    \
     .choices = subject_splits},                                                                   \
    {"model", OPT_STRING, offsetof(type, member.model), "SPEC", "",                                \
     "what the file holds, where it does not say so itself"}
/* clang-format on */

struct subject {
    struct model_file file;
    struct data_pair data;
    struct dataset set; /* the chosen split, coming as the model's training data did */
    const char *split;  /* its name */
    struct model *model;
    float *theta;
};

/* A table is read by the schema that the file holds, without its labels where they are not
 * `judged`. ERR_*; s needs subject_close in any case. */
int subject_open(struct subject *s, const struct subject_flags *flags, const char *path,
                 bool judged, struct error *err) MUST_USE;
void subject_close(struct subject *s);

enum { SUBJECT_BATCH = 256 };

/* Calls `see` for batches of samples in order, with their logits [n, model->n_out] and
 * targets; n <= SUBJECT_BATCH.
 * ERR_DATA where a logit is not finite. */
typedef void subject_see(void *ctx, uint32_t first, uint32_t n, const float *logits,
                         const union target *y);
int subject_run(struct subject *s, subject_see *see, void *ctx, struct error *err) MUST_USE;

/* "3", or the class's name where the file has it. text has room for 16 bytes. */
const char *subject_class(const struct subject *s, uint32_t class, char *text);

/* What a sample's logits come to: a class, the first of the largest; of one logit, its sign. */
uint32_t subject_predict(const struct subject *s, const float *logits);

#endif
