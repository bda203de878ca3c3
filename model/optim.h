/* Optimisers over the flat vector. One thread at a time. */
#ifndef HUBBUB_MODEL_OPTIM_H
#define HUBBUB_MODEL_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

/* g: the gradient, clipped where that is asked for; wd: weight decay; v, m, s: the state. As
 * PyTorch has them (torch.optim, with dampening 0). */
enum optimizer {
    OPTIM_SGD, /* v = momentum v + g + wd theta;  theta -= lr v */
    OPTIM_QGM, /* QG-DSGDm (Lin et al. 2021, arXiv 2102.04761, Algorithm 1), g + wd theta for its
                  gradient: see optim.c */
    OPTIM_NESTEROV, /* v as with sgd;  theta -= lr (g + wd theta + momentum v) */
    OPTIM_ADAMW, /* Loshchilov and Hutter 2019, arXiv 1711.05101, Algorithm 2: theta -= lr wd theta;
                    m = momentum m + (1 - momentum) g;  s = beta2 s + (1 - beta2) g^2;
                    theta -= lr m^ / (sqrt(s^) + epsilon), ^: over 1 - momentum^t, 1 - beta2^t */
    N_OPTIMIZERS
};
extern const char *const optimizer_names[N_OPTIMIZERS + 1];

enum lr_schedule {
    LR_CONSTANT,
    LR_COSINE, /* lr/2 (1 + cos(pi t/T)), t steps after the warm-up of T; 0 after the last step */
    LR_STEP,   /* lr gamma^floor(step / step_size) */
    N_LR_SCHEDULES
};
extern const char *const lr_schedule_names[N_LR_SCHEDULES + 1];

struct optim_config {
    enum optimizer kind;
    enum lr_schedule schedule;
    float lr, momentum; /* momentum: beta1 of OPTIM_ADAMW */
    float beta2, epsilon, weight_decay;
    float clip;         /* the gradient's Euclidean norm at most; 0: no limit */
    uint64_t steps;     /* length of LR_COSINE, warm-up included */
    uint64_t warmup;    /* the first steps have lr (step + 1) / warmup, whatever the schedule */
    uint64_t step_size; /* of LR_STEP; at least 1 */
    float gamma;
};

/* What a kind is used with when nothing else is said: a constant rate of 0.05 (AdamW 0.001),
 * momentum 0.9, beta2 0.999, epsilon 1e-8, weight decay 0 (AdamW 0.01), gamma 0.1. */
struct optim_config optim_defaults(enum optimizer kind);

/* Vectors of the state beside theta: 1; 2 for OPTIM_ADAMW; 0 for OPTIM_SGD without momentum. */
static inline uint32_t optim_n_states(const struct optim_config *c)
{
    if (c->kind == OPTIM_SGD)
        return c->momentum != 0.0f;
    return c->kind == OPTIM_ADAMW ? 2 : 1;
}

/* Whether the gradient must stand by itself; if not (OPTIM_SGD with momentum, without clipping), it
 * is added to the momentum as it is computed, model_loss_grad's beta being the momentum. */
static inline bool optim_wants_gradient(const struct optim_config *c)
{
    return c->kind != OPTIM_SGD || c->clip > 0.0f || optim_n_states(c) == 0;
}

/* Whether a step is a plain descent (model/descent.h) along the gradient as it is computed. */
static inline bool optim_is_plain(const struct optim_config *c)
{
    return optim_n_states(c) == 0 && c->clip <= 0.0f;
}

/* Whether a step is theta -= lr v alone, v being that momentum: the backward pass may take it. */
bool optim_descends(const struct optim_config *c);

/* What the gradient is multiplied with so that its norm is at most `clip` (as torch's
 * clip_grad_norm_: clip / (norm + 1e-6)); 1 without a limit. */
float optim_clip(const struct optim_config *c, const float *grad, uint64_t n);

/* One step's numbers, the same for all of theta. */
struct optim_rates {
    float lr, scale; /* of the gradient: optim_clip */
    uint64_t age;    /* steps since the state was zero, this one included: t of AdamW */
    float factor;    /* what this peer counts for in the objective: multiplies the gradient, clipped
                        and without weight decay; with AdamW, which does not see how long a gradient
                        is, the step */
};

/* Moves n floats of theta. momentum: v, m-hat or m; second: s, or NULL. Unless
 * optim_wants_gradient, momentum holds v with the gradient already in it and grad is NULL. */
void optim_step(const struct optim_config *c, const struct optim_rates *r, float *theta,
                float *momentum, float *second, const float *grad, uint64_t n);

/* What OPTIM_QGM keeps beside m_hat; like all state, 0 before the first step. */
struct qgm {
    uint64_t n_mixed; /* weights mixed since the last step; one that was mixed twice counts twice */
    float unmixed;    /* 1 less how often each was, per step, averaged over 50 steps or so */
    float last_lr;
};

/* What m_hat gains for each unit that mixing adds to theta, after a step with rate last_lr; 0 when
 * last_lr is 0; damped where weights are rarely mixed. */
float optim_qgm_mixing(const struct qgm *q, float mu);

/* After a step with rate lr of dim weights. */
void optim_qgm_note(struct qgm *q, float lr, uint64_t dim);

/* The learning rate of step `step` (from 0). */
float lr_at(const struct optim_config *c, uint64_t step);

#endif
