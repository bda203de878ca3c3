#include "model/direct.h"

#include "base/lanes.h"

enum { WEIGHTS_MAX = 4096, LOGITS_MAX = 64, BATCH_MAX = 8 };

bool direct_suits(const struct model *m, uint32_t batch)
{
    return m->n_nodes == 1 && m->nodes[0].ops == &layer_dense && m->dim <= WEIGHTS_MAX &&
           batch <= BATCH_MAX && m->n_out * batch <= LOGITS_MAX;
}

static float dot(const float *x, const float *y, uint32_t n)
{
    lanes sum = {0};
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum = lanes_fma(lanes_load(x + i), lanes_load(y + i), sum);
    if (i < n)
        sum = lanes_fma(lanes_load_first(x + i, n - i, 0.0f), lanes_load_first(y + i, n - i, 0.0f),
                        sum);
    return lanes_sum(sum);
}

/* y = beta * y + a * x; beta = 0 overwrites, whatever was there. */
static void add_scaled(float *y, float beta, float a, const float *x, uint32_t n)
{
    lanes each = lanes_all(a), kept = lanes_all(beta);
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes sum = each * lanes_load(x + i);
        if (beta != 0.0f)
            sum = lanes_fma(kept, lanes_load(y + i), sum);
        lanes_store(y + i, sum);
    }
    if (i == n)
        return;
    lanes sum = each * lanes_load_first(x + i, n - i, 0.0f);
    if (beta != 0.0f)
        sum = lanes_fma(kept, lanes_load_first(y + i, n - i, 0.0f), sum);
    lanes_store_first(y + i, sum, n - i);
}

double direct_loss_grad(const struct model *m, const float *theta, const float *x,
                        const union target *y, uint32_t batch, float beta, float *grad)
{
    uint32_t n_in = m->n_in, n_out = m->n_out;
    uint64_t at_bias = (uint64_t)n_out * n_in;
    const float *bias = theta + at_bias;
    float logits[LOGITS_MAX] = {0}, d_logits[LOGITS_MAX], *d_bias = grad + at_bias;
    for (uint32_t b = 0; b < batch; b++)
        for (uint32_t o = 0; o < n_out; o++)
            logits[b * n_out + o] =
                bias[o] + dot(x + (uint64_t)b * n_in, theta + (uint64_t)o * n_in, n_in);
    double loss = loss_gradient(m->loss, logits, y, batch, n_out, d_logits);
    for (uint32_t b = 0; b < batch; b++, beta = 1.0f)
        for (uint32_t o = 0; o < n_out; o++) {
            float d = d_logits[b * n_out + o];
            add_scaled(grad + (uint64_t)o * n_in, beta, d, x + (uint64_t)b * n_in, n_in);
            d_bias[o] = beta != 0.0f ? fmaf(beta, d_bias[o], d) : d;
        }
    return loss;
}
