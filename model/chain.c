#include "model/chain.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"

#include <string.h>

/* ---- where everything lies -------------------------------------------------------------------
 * A layer's output has a place of its own, or stands where its input does: a view's always, and
 * that of a layer that can work in place unless someone needs what stands there. */
enum place {
    PLACE_OWN,
    PLACE_SHARED,
    PLACE_INPUT /* a view of the chain's input */
};

struct plan {
    uint32_t n; /* layers, without inner nodes */
    const struct layer *layers[CHAIN_MAX];
    enum place places[CHAIN_MAX];
    uint64_t outs[CHAIN_MAX], saveds[CHAIN_MAX]; /* offsets in saved; GIVEN: the caller's out */
    uint64_t n_saved, n_widest;                  /* floats; of the largest activation inside */
};

static const uint64_t GIVEN = UINT64_MAX;

static enum place choose_place(const struct plan *plan, uint32_t i, bool is_kept)
{
    const struct layer_ops *ops = plan->layers[i]->ops;
    if (i == 0 || plan->places[i - 1] == PLACE_INPUT)
        return ops->is_view && i + 1 < plan->n ? PLACE_INPUT : PLACE_OWN;
    return ops->is_view || (ops->in_place && !is_kept) ? PLACE_SHARED : PLACE_OWN;
}

static void plan_chain(struct plan *plan, struct chain c, uint32_t batch)
{
    bool is_kept = true; /* what the layer before gave must stay as it is */
    plan->n = 0;
    plan->n_saved = plan->n_widest = 0;
    for (uint32_t node = 0; node < c.n; node += 1 + c.first[node].n_inner) {
        CHECK(plan->n < CHAIN_MAX);
        plan->layers[plan->n++] = &c.first[node];
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct layer_ops *ops = plan->layers[i]->ops;
        plan->places[i] = choose_place(plan, i, is_kept);
        is_kept = (ops->needs & NEEDS_OUT) != 0 || (ops->is_view && is_kept);
    }
    for (uint32_t i = plan->n; i-- > 0;) {
        const struct layer *l = plan->layers[i];
        uint64_t n_out = mem_round_floats((uint64_t)l->n_out * batch);
        bool is_last = i + 1 == plan->n;
        if (is_last) {
            plan->outs[i] = GIVEN;
        } else if (plan->places[i + 1] == PLACE_SHARED) {
            plan->outs[i] = plan->outs[i + 1];
        } else {
            plan->outs[i] = plan->n_saved;
            plan->n_saved += plan->places[i] != PLACE_INPUT ? n_out : 0;
        }
        plan->saveds[i] = plan->n_saved;
        plan->n_saved += l->ops->n_saved != NULL ? mem_round_floats(l->ops->n_saved(l, batch)) : 0;
        plan->n_widest = !is_last && n_out > plan->n_widest ? n_out : plan->n_widest;
    }
}

uint64_t chain_saved(struct chain c, uint32_t batch)
{
    struct plan plan;
    plan_chain(&plan, c, batch);
    return plan.n_saved;
}

/* Two gradients of activations, which take turns, then what the layers ask for. */
uint64_t chain_scratch(struct chain c, uint32_t batch)
{
    struct plan plan;
    uint64_t most = 0;
    plan_chain(&plan, c, batch);
    for (uint32_t i = 0; i < plan.n; i++) {
        const struct layer *l = plan.layers[i];
        uint64_t n = l->ops->n_scratch != NULL ? mem_round_floats(l->ops->n_scratch(l, batch)) : 0;
        most = n > most ? n : most;
    }
    return 2 * plan.n_widest + most;
}

/* ---- running ------------------------------------------------------------------------------- */

static const float *output_of(const struct plan *plan, uint32_t i, const float *out,
                              const float *saved)
{
    return plan->outs[i] == GIVEN ? out : saved + plan->outs[i];
}

/* Whether a layer takes what the chain does. */
static bool is_first(const struct plan *plan, uint32_t i)
{
    return i == 0 || plan->places[i - 1] == PLACE_INPUT;
}

static const float *input_of(const struct plan *plan, uint32_t i, const float *in, const float *out,
                             const float *saved)
{
    return is_first(plan, i) ? in : output_of(plan, i - 1, out, saved);
}

void chain_forward(struct chain c, const struct pass *p, const float *params, const float *in,
                   float *out, float *saved)
{
    struct plan plan;
    struct pass pass = *p;
    plan_chain(&plan, c, p->batch);
    pass.scratch += 2 * plan.n_widest;
    for (uint32_t i = 0; i < plan.n; i++) {
        const struct layer *l = plan.layers[i];
        if (l->ops->is_view && plan.places[i] != PLACE_OWN)
            continue;
        if (!is_first(&plan, i))
            pass.gather.set = NULL;
        CHECK(pass.gather.set == NULL || (l->ops->gathers && pass.gather.x == in));
        l->ops->forward(l, &pass, params + (l->offset - c.first->offset),
                        input_of(&plan, i, in, out, saved),
                        plan.outs[i] == GIVEN ? out : saved + plan.outs[i], saved + plan.saveds[i]);
    }
}

/* Layers below the first one that owns parameters have nothing to learn. */
static uint32_t lowest(const struct plan *plan, bool wants_d_in)
{
    uint32_t i = 0;
    while (!wants_d_in && i < plan->n && plan->layers[i]->n_params == 0)
        i++;
    return i;
}

void chain_backward(struct chain c, const struct pass *p, const float *params, const float *in,
                    const float *out, float *saved, float *d_out, float beta, float *grads,
                    float *d_in)
{
    struct plan plan;
    struct pass pass = *p;
    plan_chain(&plan, c, p->batch);
    float *turns[2] = {pass.scratch, pass.scratch + plan.n_widest};
    pass.scratch += 2 * plan.n_widest;
    uint32_t first = lowest(&plan, d_in != NULL);
    for (uint32_t i = plan.n; i-- > first;) {
        const struct layer *l = plan.layers[i];
        const struct layer_ops *ops = l->ops;
        uint64_t at = l->offset - c.first->offset;
        float *d_x = i == 0                          ? d_in
                     : i == first                    ? NULL
                     : ops->is_view || ops->in_place ? d_out
                                                     : turns[d_out == turns[0]];
        if (!ops->is_view || d_x != d_out)
            ops->backward(l, &pass, params + at, input_of(&plan, i, in, out, saved),
                          output_of(&plan, i, out, saved), saved + plan.saveds[i], d_out, beta,
                          grads + at, d_x);
        if (p->theta != NULL && l->n_params > 0 && !ops->moves)
            vec_add_scaled(p->theta + l->offset, -p->lr, grads + at, l->n_params);
        d_out = d_x;
    }
}
