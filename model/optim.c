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

#include <math.h>
#include <stddef.h>

enum { QGM_STEPS = 4 };

const char *const optimizer_names[N_OPTIMIZERS + 1] = {"sgd", "qgm", NULL};
const char *const lr_schedule_names[N_LR_SCHEDULES + 1] = {"constant", "cosine", NULL};

bool optim_has_state(const struct optim_config *c)
{
    return c->kind != OPTIM_SGD || c->momentum != 0.0f;
}

static void step_qgm(float *restrict theta, float *restrict m_hat, const float *restrict g,
                     float lr, float mu, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float decayed = mu * m_hat[i];
        float m = decayed + g[i];
        theta[i] = fmaf(-lr, m, theta[i]);
        m_hat[i] = fmaf(1.0f - mu, m, decayed);
    }
}

void optim_step(const struct optim_config *c, float lr, float *theta, float *momentum,
                const float *grad, uint64_t n)
{
    if (c->kind == OPTIM_QGM)
        step_qgm(theta, momentum, grad, lr, c->momentum, n);
    else
        vec_descend(theta, lr, momentum, n);
}

float optim_qgm_mixing(float last_lr, float mu, double mix_rate)
{
    double damping = QGM_STEPS * mix_rate < 1 ? QGM_STEPS * mix_rate : 1;
    return last_lr > 0.0f ? -(1.0f - mu) / last_lr * (float)damping : 0.0f;
}

float lr_at(const struct optim_config *c, uint64_t step)
{
    if (c->schedule == LR_CONSTANT)
        return c->lr;
    if (step >= c->steps)
        return 0.0f;
    double progress = (double)step / (double)c->steps;
    return (float)(0.5 * (double)c->lr * (1.0 + cos(3.141592653589793 * progress)));
}
