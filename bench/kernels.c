#include "bench/kernels.h"

#include "base/mem.h"
#include "base/rng.h"
#include "model/stage.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

static float *random_floats(uint64_t n, struct rng *rng)
{
    float *x = MEM_NEW(float, n);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)(rng_uniform(rng) - 0.5) * 0.1f;
    return x;
}

void products_init(struct products *p, const struct model *m, uint32_t batch, float beta)
{
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    *p = (struct products){.model = m, .batch = batch, .beta = beta};
    p->theta = random_floats(m->dim, &rng);
    p->grad = random_floats(m->dim, &rng);
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        if (m->nodes[i].ops != &layer_dense)
            continue;
        uint64_t n = (uint64_t)batch * m->nodes[i].n_out;
        p->in[p->n_dense] = random_floats((uint64_t)batch * m->nodes[i].n_in, &rng);
        p->out[p->n_dense] = random_floats(n, &rng);
        p->d_out[p->n_dense] = random_floats(n, &rng);
        p->dense[p->n_dense++] = &m->nodes[i];
    }
}

void products_close(struct products *p)
{
    free(p->theta);
    free(p->grad);
    for (uint32_t i = 0; i < p->n_dense; i++) {
        free(p->in[i]);
        free(p->out[i]);
        free(p->d_out[i]);
    }
    *p = (struct products){0};
}

void products_step(struct products *p)
{
    int batch = (int)p->batch;
    for (uint32_t i = 0; i < p->n_dense; i++) {
        const struct layer *l = p->dense[i];
        int n_in = (int)l->n_in, n_out = (int)l->n_out;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch, n_out, n_in, 1.0f, p->in[i],
                    n_in, p->theta + l->offset, n_in, 1.0f, p->out[i], n_out);
    }
    for (uint32_t i = p->n_dense; i-- > 0;) {
        const struct layer *l = p->dense[i];
        int n_in = (int)l->n_in, n_out = (int)l->n_out;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n_out, n_in, batch, 1.0f, p->d_out[i],
                    n_out, p->in[i], n_in, p->beta, p->grad + l->offset, n_in);
        if (i > 0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, batch, n_in, n_out, 1.0f,
                        p->d_out[i], n_out, p->theta + l->offset, n_in, 0.0f, p->in[i], n_in);
    }
}

double products_flops(const struct products *p)
{
    double flops = 0;
    for (uint32_t i = 0; i < p->n_dense; i++)
        flops += 2.0 * p->batch * p->dense[i]->n_in * p->dense[i]->n_out * (i > 0 ? 3 : 2);
    return flops;
}

double model_step_flops(const struct model *m, uint32_t batch)
{
    double forward = 0, first = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        forward += model_flops(m, i);
        first = first == 0 ? forward : first;
    }
    return batch * (3 * forward - first);
}

/* Accumulators as wide as the widest register: with the two factors they fit into the 16 registers
 * there are without AVX-512, and they hide the latency of FMA, eight of which are in flight. */
#if defined(__AVX512F__)
enum { WIDTH = 16 };
#elif defined(__AVX__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
enum { ACCUMULATORS = 12 };
typedef float lanes __attribute__((vector_size(WIDTH * sizeof(float))));

static inline lanes fma_lanes(lanes a, lanes b, lanes c)
{
    lanes r;
    for (int i = 0; i < WIDTH; i++)
        r[i] = fmaf(a[i], b[i], c[i]);
    return r;
}

double kernel_peak(uint64_t n, float *sink)
{
    lanes acc[ACCUMULATORS], a, b;
    for (int i = 0; i < WIDTH; i++) {
        a[i] = 0.5f;
        b[i] = *sink;
    }
    for (int k = 0; k < ACCUMULATORS; k++)
        acc[k] = b * (float)k;
    for (uint64_t i = 0; i < n; i++)
#pragma GCC unroll 16
        for (int k = 0; k < ACCUMULATORS; k++)
            acc[k] = fma_lanes(acc[k], a, b);
    for (int k = 0; k < ACCUMULATORS; k++)
        *sink += acc[k][0];
    return 2.0 * (double)n * WIDTH * ACCUMULATORS;
}

void kernel_plain_mix(float *x, float c, const float *theirs, const float *base, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += c * (theirs[i] - base[i]);
}

void kernel_saxpby(float a, const float *x, float b, float *y, size_t n)
{
    cblas_saxpby((int)n, a, x, 1, b, y, 1);
}
