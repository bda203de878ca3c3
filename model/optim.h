/* Optimisers over the flat vector. One thread at a time. */
#ifndef HUBBUB_MODEL_OPTIM_H
#define HUBBUB_MODEL_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

enum optimizer {
    OPTIM_SGD, /* v = momentum * v + g;  theta -= lr * v */
    OPTIM_QGM, /* QG-DSGDm (Lin et al. 2021, arXiv 2102.04761, Algorithm 1): see optim.c */
    N_OPTIMIZERS
};
extern const char *const optimizer_names[N_OPTIMIZERS + 1];

enum lr_schedule {
    LR_CONSTANT,
    LR_COSINE, /* lr/2 * (1 + cos(pi * step/steps)), 0 after the last step */
    N_LR_SCHEDULES
};
extern const char *const lr_schedule_names[N_LR_SCHEDULES + 1];

struct optim_config {
    enum optimizer kind;
    enum lr_schedule schedule;
    float lr, momentum;
    uint64_t steps; /* length of the schedule; unused when constant */
};

/* Whether it keeps a vector of the size of theta; else `momentum` below only holds the gradient for
 * the length of a step. */
bool optim_has_state(const struct optim_config *c);

/* Moves n floats of theta, given what model_loss_grad left. OPTIM_SGD: momentum holds v, with the
 * gradient already in it (beta = momentum); grad is not looked at. OPTIM_QGM, in one pass: m = mu *
 * m_hat + g;  theta -= lr * m;  m_hat = mu * m_hat + (1 - mu) * m. */
void optim_step(const struct optim_config *c, float lr, float *theta, float *momentum,
                const float *grad, uint64_t n);

/* What m_hat gains for each unit that mixing adds to theta, after a step with rate last_lr; 0 when
 * last_lr is 0. mix_rate: how often each weight is mixed, per step; damped when that is rare. */
float optim_qgm_mixing(float last_lr, float mu, double mix_rate);

/* The learning rate of step `step` (from 0). */
float lr_at(const struct optim_config *c, uint64_t step);

#endif
