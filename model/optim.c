/* QG-DSGDm (Lin, Karimireddy, Stich, Jaggi 2021, arXiv 2102.04761, Algorithm 1), for a peer whose
 * weights are mixed at any time.
 *
 * The paper, with g the gradient at x_t, and mixing as a part of the step:
 *     m       = mu * m_hat + g
 *     x_{t+1} = mix(x_t - lr * m)
 *     m_hat   = mu * m_hat + (1 - mu) * (x_t - x_{t+1}) / lr
 * Here mixing comes in pieces between two steps: x_{t+1} = x_t - lr * m + d_1 + d_2 + ..., so
 *     (x_t - x_{t+1}) / lr = m - (d_1 + d_2 + ...) / lr,
 * and m_hat can be kept true as things happen: after the gradient
 *     m_hat = mu * m_hat + (1 - mu) * m        (optim_step)
 * and for every piece that mixing adds to theta until the next step
 *     m_hat += -(1 - mu) / lr * d_i            (optim_qgm_mixing gives the factor).
 *
 * m_hat decays slowly, by mu + (1 - mu) mu = 0.99 a step, so a displacement d is followed by
 * mu/(1 - mu) d = 9 d more over the next hundred steps, unless mixing checks it. The paper mixes
 * after every step. With T steps between mixings, two peers that were d apart and met in the
 * middle drift apart again by 9 (1 - 0.99^T) d: from T = 12 on that is more than d, and they
 * diverge (at T = 32 a run does within 600 steps). So beyond T = QGM_STEPS the correction is
 * scaled by QGM_STEPS/T, which keeps the drift below 0.4 d for any T.
 */
#include "model/optim.h"

#include "base/vec.h"
#include "model/descent.h"

#include <math.h>
#include <stddef.h>

enum { QGM_STEPS = 4 };

const char *const optimizer_names[N_OPTIMIZERS + 1] = {"sgd", "qgm", "nesterov", "adamw", NULL};
const char *const lr_schedule_names[N_LR_SCHEDULES + 1] = {"constant", "cosine", "step", NULL};

struct optim_config optim_defaults(enum optimizer kind)
{
    bool adam = kind == OPTIM_ADAMW;
    return (struct optim_config){.kind = kind,
                                 .lr = adam ? 0.001f : 0.05f,
                                 .momentum = 0.9f,
                                 .beta2 = 0.999f,
                                 .epsilon = 1e-8f,
                                 .weight_decay = adam ? 0.01f : 0.0f,
                                 .step_size = 1,
                                 .gamma = 0.1f};
}

bool optim_descends(const struct optim_config *c)
{
    return !optim_wants_gradient(c) && c->weight_decay == 0.0f;
}

float optim_clip(const struct optim_config *c, const float *grad, uint64_t n)
{
    if (c->clip <= 0.0f)
        return 1.0f;
    double scale = (double)c->clip / (sqrt(vec_norm_sq(grad, n)) + 1e-6);
    return scale < 1 ? (float)scale : 1.0f;
}

/* ---- steps: g is scale * grad + decay * theta ------------------------------------------------ */

/* Plain descent, without a state. */
static void step_plain(float *restrict theta, const float *restrict grad, struct descent d,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        theta[i] = descent_step(d, theta[i], grad[i]);
}

/* The gradient is in v without its factor, so v is what the others have over the factor. */
static void step_accumulated(float *restrict theta, float *restrict v, float lr, float decay,
                             size_t n)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = fmaf(decay, theta[i], v[i]);
        theta[i] = fmaf(-lr, v[i], theta[i]);
    }
}

static void step_sgd(float *restrict theta, float *restrict v, const float *restrict grad,
                     const struct optim_config *c, const struct optim_rates *r, size_t n)
{
    bool ahead = c->kind == OPTIM_NESTEROV;
    float mu = c->momentum, of_g = ahead ? 1.0f : 0.0f, of_v = ahead ? mu : 1.0f;
    float scale = r->scale * r->factor;
    for (size_t i = 0; i < n; i++) {
        float g = fmaf(c->weight_decay, theta[i], scale * grad[i]);
        v[i] = fmaf(mu, v[i], g);
        theta[i] = fmaf(-r->lr, fmaf(of_v, v[i], of_g * g), theta[i]);
    }
}

static void step_qgm(float *restrict theta, float *restrict m_hat, const float *restrict grad,
                     const struct optim_config *c, const struct optim_rates *r, size_t n)
{
    float mu = c->momentum, scale = r->scale * r->factor;
    for (size_t i = 0; i < n; i++) {
        float decayed = mu * m_hat[i];
        float m = decayed + fmaf(c->weight_decay, theta[i], scale * grad[i]);
        theta[i] = fmaf(-r->lr, m, theta[i]);
        m_hat[i] = fmaf(1.0f - mu, m, decayed);
    }
}

static void step_adamw(float *restrict theta, float *restrict m, float *restrict s,
                       const float *restrict grad, const struct optim_config *c,
                       const struct optim_rates *r, size_t n)
{
    double age = (double)r->age;
    float to_m = (float)(1 / (1 - pow((double)c->momentum, age)));
    float to_s = (float)(1 / sqrt(1 - pow((double)c->beta2, age)));
    float kept = 1.0f - r->lr * c->weight_decay, lr = r->lr * r->factor;
    for (size_t i = 0; i < n; i++) {
        float g = r->scale * grad[i];
        m[i] = fmaf(c->momentum, m[i], (1.0f - c->momentum) * g);
        s[i] = fmaf(c->beta2, s[i], (1.0f - c->beta2) * g * g);
        float step = m[i] * to_m / fmaf(sqrtf(s[i]), to_s, c->epsilon);
        theta[i] = fmaf(-lr, step, kept * theta[i]);
    }
}

void optim_step(const struct optim_config *c, const struct optim_rates *r, float *theta,
                float *momentum, float *second, const float *grad, uint64_t n)
{
    switch (c->kind) {
    case OPTIM_SGD:
        if (momentum == NULL)
            step_plain(theta, grad, descent_of(c, r), n);
        else if (grad != NULL)
            step_sgd(theta, momentum, grad, c, r, n);
        else if (optim_descends(c))
            vec_add_scaled(theta, -r->lr * r->factor, momentum, n);
        else
            step_accumulated(theta, momentum, r->lr * r->factor, c->weight_decay / r->factor, n);
        break;
    case OPTIM_NESTEROV:
        step_sgd(theta, momentum, grad, c, r, n);
        break;
    case OPTIM_QGM:
        step_qgm(theta, momentum, grad, c, r, n);
        break;
    case OPTIM_ADAMW:
        step_adamw(theta, momentum, second, grad, c, r, n);
        break;
    case N_OPTIMIZERS:
        break;
    }
}

float optim_qgm_mixing(const struct qgm *q, float mu)
{
    float steps = QGM_STEPS * (1.0f - q->unmixed), damping = steps < 1 ? steps : 1;
    return q->last_lr > 0.0f ? -(1.0f - mu) / q->last_lr * damping : 0.0f;
}

void optim_qgm_note(struct qgm *q, float lr, uint64_t dim)
{
    double passes = (double)q->n_mixed / (double)dim;
    q->unmixed += 0.02f * (float)(1 - passes - (double)q->unmixed);
    q->n_mixed = 0;
    q->last_lr = lr;
}

float lr_at(const struct optim_config *c, uint64_t step)
{
    if (step < c->warmup)
        return (float)((double)c->lr * (double)(step + 1) / (double)c->warmup);
    switch (c->schedule) {
    case LR_COSINE:
        if (step >= c->steps)
            return 0.0f;
        double progress = (double)(step - c->warmup) / (double)(c->steps - c->warmup);
        return (float)(0.5 * (double)c->lr * (1.0 + cos(3.141592653589793 * progress)));
    case LR_STEP:
        return (float)((double)c->lr * pow((double)c->gamma, (double)(step / c->step_size)));
    case LR_CONSTANT:
    case N_LR_SCHEDULES:
        break;
    }
    return c->lr;
}
