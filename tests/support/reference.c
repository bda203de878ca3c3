#include "tests/support/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DENSE_MAX = MODEL_LAYERS_MAX / 2 };

struct pass {
    const struct model *m;
    const double *theta;
    uint32_t n_dense;
    double *act[DENSE_MAX + 1]; /* act[0] the input, act[i + 1] the output of dense layer i */
};

static uint32_t rows_of(const struct pass *p, uint32_t i)
{
    return (uint32_t)p->m->tensors[2 * i].shape[0];
}

static uint32_t columns_of(const struct pass *p, uint32_t i)
{
    return (uint32_t)p->m->tensors[2 * i].shape[1];
}

static void forward(struct pass *p)
{
    for (uint32_t i = 0; i < p->n_dense; i++) {
        const double *w = p->theta + p->m->tensors[2 * i].offset;
        const double *bias = p->theta + p->m->tensors[2 * i + 1].offset;
        for (uint32_t o = 0; o < rows_of(p, i); o++) {
            double sum = bias[o];
            for (uint32_t k = 0; k < columns_of(p, i); k++)
                sum += w[o * columns_of(p, i) + k] * p->act[i][k];
            p->act[i + 1][o] = i + 1 < p->n_dense && sum < 0 ? 0 : sum;
        }
    }
}

static double softmax_loss(const double *z, uint32_t y, uint32_t n, double *d)
{
    double max = z[0], sum = 0;
    for (uint32_t j = 1; j < n; j++)
        max = fmax(max, z[j]);
    for (uint32_t j = 0; j < n; j++)
        sum += exp(z[j] - max);
    for (uint32_t j = 0; j < n; j++)
        d[j] = exp(z[j] - max) / sum - (j == y);
    return log(sum) - (z[y] - max);
}

static void backward(struct pass *p, double *delta, double scale, double *grad)
{
    for (uint32_t i = p->n_dense; i-- > 0;) {
        uint32_t n_out = rows_of(p, i), n_in = columns_of(p, i);
        const double *w = p->theta + p->m->tensors[2 * i].offset;
        double *dw = grad + p->m->tensors[2 * i].offset;
        double *db = grad + p->m->tensors[2 * i + 1].offset;
        double *below = calloc(n_in, sizeof *below);
        for (uint32_t o = 0; o < n_out; o++) {
            db[o] += scale * delta[o];
            for (uint32_t k = 0; k < n_in; k++) {
                dw[o * n_in + k] += scale * delta[o] * p->act[i][k];
                below[k] += w[o * n_in + k] * delta[o];
            }
        }
        for (uint32_t k = 0; k < n_in && i > 0; k++)
            delta[k] = p->act[i][k] > 0 ? below[k] : 0;
        free(below);
    }
}

double reference_loss(const struct model *m, const double *theta, const double *x, const union target *y,
                      uint32_t batch, double *grad)
{
    struct pass p = {.m = m, .theta = theta, .n_dense = m->n_tensors / 2};
    uint32_t widest = m->n_in;
    for (uint32_t i = 0; i < m->n_layers; i++)
        widest = m->layers[i].n_out > widest ? m->layers[i].n_out : widest;
    for (uint32_t i = 0; i <= p.n_dense; i++)
        p.act[i] = calloc(widest, sizeof(double));
    double *delta = calloc(widest, sizeof *delta), loss = 0;
    if (grad != NULL)
        memset(grad, 0, m->dim * sizeof *grad);
    for (uint32_t b = 0; b < batch; b++) {
        memcpy(p.act[0], x + (size_t)b * m->n_in, m->n_in * sizeof(double));
        forward(&p);
        loss += softmax_loss(p.act[p.n_dense], y[b].class, m->n_out, delta);
        if (grad != NULL)
            backward(&p, delta, 1.0 / batch, grad);
    }
    for (uint32_t i = 0; i <= p.n_dense; i++)
        free(p.act[i]);
    free(delta);
    return loss / batch;
}

double reference_error(const double *a, const double *b, uint64_t n)
{
    double difference = 0, norm = 0;
    for (uint64_t i = 0; i < n; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(difference / (norm > 0 ? norm : 1));
}
