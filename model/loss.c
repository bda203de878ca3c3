#include "model/layer.h"

#include <math.h>

double loss_softmax_xent(const float *logits, const union target *y, uint32_t batch, uint32_t n,
                         float *d_logits)
{
    double loss = 0;
    for (uint64_t b = 0; b < batch; b++) {
        const float *z = logits + b * n;
        float *d = d_logits + b * n, max = z[0], sum = 0;
        for (uint32_t j = 1; j < n; j++)
            max = z[j] > max ? z[j] : max;
        for (uint32_t j = 0; j < n; j++) {
            d[j] = expf(z[j] - max);
            sum += d[j];
        }
        loss += (double)(logf(sum) - (z[y[b].class] - max));
        float scale = 1.0f / (sum * (float)batch);
        for (uint32_t j = 0; j < n; j++)
            d[j] *= scale;
        d[y[b].class] -= 1.0f / (float)batch;
    }
    return loss / batch;
}
