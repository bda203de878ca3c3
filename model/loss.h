/* Losses: the mean over a batch and its gradient. Pure; any thread. */
#ifndef HUBBUB_MODEL_LOSS_H
#define HUBBUB_MODEL_LOSS_H

#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

enum loss {
    /* Softmax cross-entropy of n logits, n the number of classes. */
    LOSS_SOFTMAX,
    /* Binary cross-entropy of one logit z, the log-odds of class 1: log(1 + e^z) - y z. */
    LOSS_LOGISTIC,
    /* Of two classes, with one logit z: max(0, 1 - t z), t = 1 for class 1, -1 for class 0. Of n,
     * with n logits: sum over j != y of max(0, 1 - z_y + z_j) / n (PyTorch's MultiMarginLoss). */
    LOSS_HINGE,
    /* (z - y)^2 of a real target. */
    LOSS_MSE,
    N_LOSSES
};
extern const char *const loss_names[N_LOSSES + 1];

/* Logits that the loss takes for n_classes classes (0: a real target); 0 where it does not fit. */
uint32_t loss_n_logits(enum loss loss, uint32_t n_classes);

/* Mean loss of logits [batch, n] and d_logits [batch, n] = its gradient. */
double loss_gradient(enum loss loss, const float *logits, const union target *y, uint32_t batch,
                     uint32_t n, float *d_logits);

/* Whether a sample's logits [n] say the right class: the largest, the first of equals; of one
 * logit, its sign (0 is class 0). A NaN anywhere is wrong, and so is every LOSS_MSE. */
bool loss_is_correct(enum loss loss, const float *logits, uint32_t n, uint32_t class);

#endif
