/* A residual block (He et al. 2016): body(x) + shortcut(x); an empty shortcut gives x itself.
 * Its inner nodes follow it: those of the body, then those of the shortcut. */
#include "model/chain.h"
#include "model/shape.h"

#include "base/mem.h"
#include "base/vec.h"

#include <string.h>

static struct chain body_of(const struct layer *l)
{
    return (struct chain){.first = l + 1, .n = l->n_body};
}

static struct chain shortcut_of(const struct layer *l)
{
    return (struct chain){.first = l + 1 + l->n_body, .n = l->n_inner - l->n_body};
}

static uint64_t n_floats(uint32_t n, uint32_t batch)
{
    return mem_round_floats((uint64_t)n * batch);
}

/* Of both branches: what they give, and what they keep. */
static uint64_t n_saved(const struct layer *l, uint32_t batch)
{
    struct chain shortcut = shortcut_of(l);
    uint64_t n = n_floats(l->n_out, batch) + mem_round_floats(chain_saved(body_of(l), batch));
    if (shortcut.n > 0)
        n += n_floats(l->n_out, batch) + chain_saved(shortcut, batch);
    return n;
}

/* The gradient twice, as each branch may change its own, and what the body gives back; then what
 * the branches ask for. */
static uint64_t n_scratch(const struct layer *l, uint32_t batch)
{
    struct chain shortcut = shortcut_of(l);
    uint64_t body = chain_scratch(body_of(l), batch);
    uint64_t other = shortcut.n > 0 ? chain_scratch(shortcut, batch) : 0;
    return n_floats(l->n_out, batch) + n_floats(l->n_in, batch) + (body > other ? body : other);
}

struct branches {
    float *body_out, *body_saved, *shortcut_out, *shortcut_saved;
};

static struct branches place(const struct layer *l, uint32_t batch, float *saved)
{
    struct branches b = {.body_out = saved};
    b.body_saved = b.body_out + n_floats(l->n_out, batch);
    b.shortcut_out = b.body_saved + mem_round_floats(chain_saved(body_of(l), batch));
    if (l->n_inner > l->n_body)
        b.shortcut_saved = b.shortcut_out + n_floats(l->n_out, batch);
    return b;
}

static void forward(const struct layer *l, const struct pass *p, const float *params,
                    const float *in, float *out, float *saved)
{
    struct chain body = body_of(l), shortcut = shortcut_of(l);
    struct branches b = place(l, p->batch, saved);
    uint64_t n = (uint64_t)p->batch * l->n_out;
    const float *other = in;
    chain_forward(body, p, params, in, b.body_out, b.body_saved);
    if (shortcut.n > 0) {
        chain_forward(shortcut, p, params + (shortcut.first->offset - l->offset), in,
                      b.shortcut_out, b.shortcut_saved);
        other = b.shortcut_out;
    }
    for (uint64_t i = 0; i < n; i++)
        out[i] = b.body_out[i] + other[i];
}

static void backward(const struct layer *l, const struct pass *p, const float *params,
                     const float *in, const float *out, float *saved, float *d_out, float beta,
                     float *grads, float *d_in)
{
    struct chain body = body_of(l), shortcut = shortcut_of(l);
    struct branches b = place(l, p->batch, saved);
    struct pass inner = *p;
    uint64_t n_out = (uint64_t)p->batch * l->n_out, n_in = (uint64_t)p->batch * l->n_in;
    float *d_body_out = p->scratch, *d_body_in = d_body_out + n_floats(l->n_out, p->batch);
    (void)out;
    inner.scratch = d_body_in + n_floats(l->n_in, p->batch);
    memcpy(d_body_out, d_out, n_out * sizeof *d_out);
    chain_backward(body, &inner, params, in, b.body_out, b.body_saved, d_body_out, beta, grads,
                   d_in != NULL ? d_body_in : NULL);
    if (shortcut.n > 0) {
        uint64_t at = shortcut.first->offset - l->offset;
        chain_backward(shortcut, &inner, params + at, in, b.shortcut_out, b.shortcut_saved, d_out,
                       beta, grads + at, d_in);
    } else if (d_in != NULL) {
        memcpy(d_in, d_out, n_in * sizeof *d_in);
    }
    if (d_in != NULL)
        vec_add(d_in, d_body_in, n_in);
}

/* in and out are those of the body; the model checks them against the shortcut's. */
const struct layer_ops layer_res = {.name = "res",
                                    .args = ARGS_INNER,
                                    .moves = true,
                                    .layout = LAYOUT_EITHER,
                                    .needs = NEEDS_IN,
                                    .n_saved = n_saved,
                                    .n_scratch = n_scratch,
                                    .forward = forward,
                                    .backward = backward};
