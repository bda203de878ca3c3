#include "model/stage.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct stage model_stage(const struct model *m, uint32_t first, uint32_t end)
{
    CHECK(first < end && end <= m->n_layers);
    uint32_t at = m->starts[first], after = m->starts[end];
    uint32_t last = at;
    for (uint32_t i = at; i < after; i += 1 + m->nodes[i].n_inner)
        last = i;
    uint64_t offset = m->nodes[at].offset;
    return (struct stage){.chain = {.first = &m->nodes[at], .n = after - at},
                          .offset = offset,
                          .n_params = m->nodes[last].offset + m->nodes[last].n_params - offset,
                          .n_in = m->nodes[at].n_in,
                          .n_out = m->nodes[last].n_out};
}

uint64_t stage_saved(const struct stage *s, uint32_t batch)
{
    return chain_saved(s->chain, batch);
}

uint64_t stage_scratch(const struct stage *s, uint32_t batch)
{
    return chain_scratch(s->chain, batch);
}

void stage_forward(const struct stage *s, const struct pass *pass, const float *params,
                   const float *in, float *out, float *saved)
{
    chain_forward(s->chain, pass, params, in, out, saved);
}

void stage_backward(const struct stage *s, const struct pass *pass, const float *params,
                    const float *in, const float *out, float *saved, float *d_out, float beta,
                    float *grads, float *d_in)
{
    chain_backward(s->chain, pass, params, in, out, saved, d_out, beta, grads, d_in);
}

/* ---- cutting --------------------------------------------------------------------------------
 * least[k][i]: cost of the dearest of k + 1 stages over the first i layers, cut at its best. */
void model_cut(const struct model *m, const double *costs, uint32_t n, uint32_t *cuts)
{
    uint32_t n_layers = m->n_layers, width = n_layers + 1;
    CHECK(n >= 1 && n <= n_layers);
    double *least = MEM_NEW(double, (size_t)n *width);
    uint32_t *from = MEM_NEW(uint32_t, (size_t)n * width);
    for (uint32_t i = 1; i <= n_layers; i++)
        least[i] = least[i - 1] + costs[i - 1];
    for (uint32_t k = 1; k < n; k++)
        for (uint32_t i = k + 1; i <= n_layers; i++) {
            double last = 0, *here = &least[(size_t)k * width + i];
            *here = INFINITY;
            for (uint32_t j = i - 1; j >= k; j--) {
                last += costs[j];
                double before = least[(size_t)(k - 1) * width + j];
                double dearest = before > last ? before : last;
                if (dearest < *here) {
                    *here = dearest;
                    from[(size_t)k * width + i] = j;
                }
            }
        }
    cuts[n] = n_layers;
    for (uint32_t k = n; k-- > 0;)
        cuts[k] = from[(size_t)k * width + cuts[k + 1]];
    free(least);
    free(from);
}

/* Forward and backward of one layer, by itself. */
static double time_stage(const struct stage *s, const struct pass *pass, const float *params,
                         float *grads, uint32_t runs)
{
    uint32_t batch = pass->batch;
    float *in = MEM_NEW(float, (size_t)s->n_in *batch),
          *d_in = MEM_NEW(float, (size_t)s->n_in *batch);
    float *out = MEM_NEW(float, (size_t)s->n_out *batch);
    float *d_out = MEM_NEW(float, (size_t)s->n_out *batch);
    float *saved = MEM_NEW(float, stage_saved(s, batch));
    struct pass p = *pass;
    p.scratch = MEM_NEW(float, stage_scratch(s, batch));
    bool of_tokens = s->chain.first->n_tokens > 0;
    for (uint64_t i = 0; !of_tokens && i < (uint64_t)s->n_in * batch; i++)
        in[i] = (float)(i % 7) - 3.0f;
    uint64_t least = UINT64_MAX;
    for (uint32_t r = 0; r < runs; r++) {
        uint64_t start = clock_us();
        stage_forward(s, &p, params, in, out, saved);
        stage_backward(s, &p, params, in, out, saved, d_out, 0.0f, grads, of_tokens ? NULL : d_in);
        uint64_t took = clock_us() - start;
        least = took < least ? took : least;
    }
    void *all[] = {in, d_in, out, d_out, saved, p.scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    return (double)least * 1e-6;
}

void model_measure(const struct model *m, uint32_t batch, double *costs)
{
    enum { RUNS = 5 };
    struct pass pass = {.batch = batch, .training = true};
    float *theta = MEM_NEW(float, m->dim), *grads = MEM_NEW(float, m->dim);
    model_init(m, 1, theta);
    for (uint32_t i = 0; i < m->n_layers; i++) {
        struct stage s = model_stage(m, i, i + 1);
        costs[i] = time_stage(&s, &pass, theta + s.offset, grads + s.offset, RUNS);
    }
    free(theta);
    free(grads);
}

double model_flops(const struct model *m, uint32_t i)
{
    double sum = 0;
    for (uint32_t k = m->starts[i]; k < m->starts[i + 1]; k++)
        sum += m->nodes[k].ops->flops != NULL ? m->nodes[k].ops->flops(&m->nodes[k]) : 0;
    return sum;
}
