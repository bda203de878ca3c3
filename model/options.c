#include "model/options.h"

#include <stddef.h>

const char *const training_schedules[] = {"auto", "constant", "cosine", NULL};

struct optim_config training_optim(const struct training_options *t, bool gossips)
{
    enum optimizer kind = t->optimizer >= 0 ? (enum optimizer)t->optimizer
                          : gossips         ? OPTIM_QGM
                                            : OPTIM_SGD;
    return (struct optim_config){.kind = kind,
                                 .schedule = t->schedule > 0
                                                 ? (enum lr_schedule)(t->schedule - 1)
                                                 : LR_CONSTANT,
                                 .lr = (float)t->lr,
                                 .momentum = (float)t->momentum};
}
