#include "model/direct.h"

#include "base/check.h"
#include "base/lanes.h"
#include "model/descent.h"

enum { WEIGHTS_MAX = 4096, LOGITS_MAX = 64, BATCH_MAX = 8 };

bool direct_suits(const struct model *m, uint32_t batch)
{
    return m->n_nodes == 1 && m->nodes[0].ops == &layer_dense && m->dim <= WEIGHTS_MAX &&
           batch <= BATCH_MAX && m->n_out * batch <= LOGITS_MAX;
}

LANES_INLINE float dot(const float *x, const float *y, uint32_t n)
{
    uint32_t rest = n % LANES;
    lanes sum = {0};
    for (const float *end = x + (n - rest); x != end; x += LANES, y += LANES)
        sum = lanes_fma(lanes_load(x), lanes_load(y), sum);
    if (rest > 0) {
        lanes_part part = lanes_first(rest);
        sum = lanes_fma(lanes_load_part(x, part), lanes_load_part(y, part), sum);
    }
    return lanes_sum(sum);
}

/* All lanes where part is NULL. */
LANES_INLINE lanes load(const float *p, const lanes_part *part)
{
    return part != NULL ? lanes_load_part(p, *part) : lanes_load(p);
}

/* Some columns of x [batch, n], times a factor each: their sum with beta * to, where 0 is for
 * whatever was there; or where that moves `to`. */
LANES_INLINE lanes sum_rows(const float *x, uint32_t n, const float *factors, uint32_t n_factors,
                            uint32_t batch, const lanes_part *part, float beta, const float *to,
                            const struct descent *moves)
{
    lanes sum = lanes_all(factors[0]) * load(x, part);
    if (beta != 0.0f)
        sum = lanes_fma(lanes_all(beta), load(to, part), sum);
    for (uint64_t b = 1; b < batch; b++)
        sum += lanes_all(factors[b * n_factors]) * load(x + b * n, part);
    return moves != NULL ? descent_step_lanes(*moves, load(to, part), sum) : sum;
}

/* The gradient of the logits goes into `to`, or, with `moves`, moves `to`, which is theta. */
LANES_INLINE void use_gradient(const float *d_logits, uint32_t n_out, const float *x, uint32_t n_in,
                               uint32_t batch, float beta, float *to, const struct descent *moves)
{
    uint32_t rest = n_in % LANES;
    lanes_part part = lanes_first(rest);
    for (uint32_t o = 0; o < n_out; o++, to += rest) {
        const float *end = to + (n_in - rest), *from = x;
        for (; to != end; to += LANES, from += LANES)
            lanes_store(to,
                        sum_rows(from, n_in, d_logits + o, n_out, batch, NULL, beta, to, moves));
        if (rest > 0)
            lanes_store_first(
                to, sum_rows(from, n_in, d_logits + o, n_out, batch, &part, beta, to, moves), rest);
    }
    for (uint32_t o = 0; o < n_out; o++) {
        float sum = beta != 0.0f ? fmaf(beta, to[o], d_logits[o]) : d_logits[o];
        for (uint64_t b = 1; b < batch; b++)
            sum += d_logits[b * n_out + o];
        to[o] = moves != NULL ? descent_step(*moves, to[o], sum) : sum;
    }
}

LANES_INLINE double differentiate(const struct model *m, const float *theta, const float *x,
                                  const union target *y, uint32_t batch, float d_logits[LOGITS_MAX])
{
    uint32_t n_in = m->n_in, n_out = m->n_out;
    const float *bias = theta + (uint64_t)n_out * n_in;
    float logits[LOGITS_MAX];
    CHECK(batch > 0 && n_out > 0);
    for (uint32_t b = 0; b < batch; b++)
        for (uint32_t o = 0; o < n_out; o++)
            logits[b * n_out + o] =
                bias[o] + dot(x + (uint64_t)b * n_in, theta + (uint64_t)o * n_in, n_in);
    return loss_gradient(m->loss, logits, y, batch, n_out, d_logits);
}

double direct_loss_grad(const struct model *m, const float *theta, const float *x,
                        const union target *y, uint32_t batch, float beta, float *grad)
{
    float d_logits[LOGITS_MAX];
    double loss = differentiate(m, theta, x, y, batch, d_logits);
    use_gradient(d_logits, m->n_out, x, m->n_in, batch, beta, grad, NULL);
    return loss;
}

LANES_INLINE double descend(const struct model *m, float *theta, const float *x,
                            const union target *y, uint32_t batch, const struct optim_config *c,
                            const struct optim_rates *rates)
{
    float d_logits[LOGITS_MAX];
    double loss = differentiate(m, theta, x, y, batch, d_logits);
    struct descent descent = descent_of(c, rates);
    use_gradient(d_logits, m->n_out, x, m->n_in, batch, 0.0f, theta, &descent);
    return loss;
}

double direct_descend(const struct model *m, float *theta, const float *x, const union target *y,
                      uint32_t batch, const struct optim_config *c, const struct optim_rates *rates)
{
    if (batch == 1) /* a kernel of its own: the sum over a batch takes longer than its terms */
        return descend(m, theta, x, y, 1, c, rates);
    return descend(m, theta, x, y, batch, c, rates);
}
