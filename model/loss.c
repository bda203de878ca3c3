#include "model/loss.h"

#include "base/lanes.h"

#include <math.h>

const char *const loss_names[N_LOSSES + 1] = {"softmax", "logistic", "hinge", "mse", 0};

uint32_t loss_n_logits(enum loss loss, uint32_t n_classes)
{
    switch (loss) {
    case LOSS_SOFTMAX:
        return n_classes;
    case LOSS_LOGISTIC:
        return n_classes == 2;
    case LOSS_HINGE:
        return n_classes == 2 ? 1 : n_classes;
    case LOSS_MSE:
        return n_classes == 0;
    case N_LOSSES:
        break;
    }
    return 0;
}

/* Each takes a sample's n logits; gives its loss, and d = the gradient times scale. */

/* Softmax of two classes depends on their difference alone. */
static double softmax_of_two(const float *z, uint32_t class, float scale, float *d)
{
    float margin = z[class] - z[!class], e = expf(-fabsf(margin));
    float doubt = (margin >= 0.0f ? e : 1.0f) / (1.0f + e); /* probability of the other one */
    d[class] = -scale * doubt;
    d[!class] = scale * doubt;
    return (double)((margin < 0.0f ? -margin : 0.0f) + logf(1.0f + e));
}

static double softmax(const float *z, union target y, uint32_t n, float scale, float *d)
{
    float max = z[0], sum;
    lanes sums = {0};
    for (uint32_t j = 1; j < n; j++)
        max = z[j] > max ? z[j] : max;
    uint32_t whole = n - n % LANES;
    for (uint32_t j = 0; j < whole; j += LANES) {
        lanes e = lanes_exp(lanes_load(z + j) - lanes_all(max));
        sums += e;
        lanes_store(d + j, e);
    }
    if (whole < n) {
        lanes e = lanes_exp(lanes_load_first(z + whole, n - whole, -INFINITY) - lanes_all(max));
        sums += e;
        lanes_store_first(d + whole, e, n - whole);
    }
    sum = lanes_sum(sums);
    double loss = (double)(logf(sum) - (z[y.class] - max));
    float factor = scale / sum;
    for (uint32_t j = 0; j < n; j++)
        d[j] *= factor;
    d[y.class] -= scale;
    return loss;
}

static double logistic(const float *z, union target y, uint32_t n, float scale, float *d)
{
    float e = expf(-fabsf(z[0])), truth = y.class == 1 ? 1.0f : 0.0f;
    (void)n;
    d[0] = scale * ((z[0] >= 0.0f ? 1.0f : e) / (1.0f + e) - truth);
    return (double)((z[0] < 0.0f ? 0.0f : z[0]) - z[0] * truth + log1pf(e));
}

static double hinge(const float *z, union target y, uint32_t n, float scale, float *d)
{
    if (n == 1) {
        float side = y.class == 1 ? 1.0f : -1.0f, loss = 1.0f - side * z[0];
        d[0] = loss > 0.0f ? -side * scale : 0.0f;
        return loss <= 0.0f ? 0.0 : (double)loss;
    }
    double sum = 0;
    float each = scale / (float)n, at_truth = 0;
    for (uint32_t j = 0; j < n; j++) {
        float loss = j == y.class ? 0.0f : 1.0f - z[y.class] + z[j];
        d[j] = loss > 0.0f ? each : 0.0f;
        at_truth -= d[j];
        sum += loss <= 0.0f ? 0.0 : (double)loss;
    }
    d[y.class] = at_truth;
    return sum / n;
}

static double mse(const float *z, union target y, uint32_t n, float scale, float *d)
{
    (void)n;
    double difference = (double)z[0] - (double)y.real;
    d[0] = (float)(2.0 * difference) * scale;
    return difference * difference;
}

double loss_gradient(enum loss loss, const float *logits, const union target *y, uint32_t batch,
                     uint32_t n, float *d_logits)
{
    static double (*const losses[N_LOSSES])(const float *, union target, uint32_t, float,
                                            float *) = {softmax, logistic, hinge, mse};
    double sum = 0;
    float scale = 1.0f / (float)batch;
    if (loss == LOSS_SOFTMAX && n == 2) {
        for (uint64_t b = 0; b < batch; b++)
            sum += softmax_of_two(logits + b * n, y[b].class, scale, d_logits + b * n);
        return sum / batch;
    }
    for (uint64_t b = 0; b < batch; b++)
        sum += losses[loss](logits + b * n, y[b], n, scale, d_logits + b * n);
    return sum / batch;
}

bool loss_is_correct(enum loss loss, const float *z, uint32_t n, uint32_t class)
{
    if (loss == LOSS_MSE)
        return false;
    if (n == 1)
        return class == 1 ? z[0] > 0.0f : z[0] <= 0.0f;
    bool correct = !isnan(z[class]);
    for (uint32_t j = 0; j < n; j++)
        correct = correct && (j == class || z[class] > z[j] || (z[class] == z[j] && class < j));
    return correct;
}
