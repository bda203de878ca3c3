#include "sim/check.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STALL_CYCLES = 6, JOIN_TRIES = 40 };

/* An exchange, from the request on until its parcel is taken for another one. */
struct exchange {
    bool used, one_way, answered, mixed, forgotten, broken;
    uint32_t initiator, responder, slice;
    uint64_t id, sent_us;
    double *delta; /* [of a slice] what the responder's side left for the initiator's to add */
};

struct watch {
    uint64_t last_us;  /* of its events */
    uint64_t since_us; /* when it last initiated, started or joined */
    uint32_t n_tried;
    bool joining;
};

struct link_number {
    uint64_t link; /* src << 32 | dst, + 1; 0: free */
    uint32_t number;
};

struct check {
    const struct sim *sim;
    struct exchange *records;
    uint32_t n_records;
    struct watch *watches;
    struct link_number *links; /* open addressing */
    size_t n_links, links_size;
    float *before;    /* [dim] */
    double *expected; /* [dim] of the sum of all theta and the increments still open */
    double *sum;
    double largest; /* weight that was seen */
    uint64_t n_changes, longest_step_us;
    char failed[400];
};

static void fail(struct check *c, uint32_t node, uint64_t now_us, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void fail(struct check *c, uint32_t node, uint64_t now_us, const char *format, ...)
{
    char text[250];
    va_list args;
    if (c->failed[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(c->failed, sizeof c->failed, "%s (node %" PRIu32 ", %.6f virtual seconds)", text, node,
             (double)now_us / 1e6);
}

const char *check_failed_text(const struct check *c)
{
    return c != NULL && c->failed[0] != '\0' ? c->failed : NULL;
}

static uint32_t n_places(const struct sim *s)
{
    return (uint32_t)s->gossip_config.open_max + s->gossip_config.serve_max;
}

static void add_all_theta(const struct sim *s, double *sum)
{
    for (uint32_t id = 0; id < s->config.n_nodes; id++) {
        const float *theta = sim_theta(s, id);
        for (uint64_t d = 0; d < s->model.dim; d++)
            sum[d] += (double)theta[d];
    }
}

struct check *check_open(const struct sim *s)
{
    enum { LINKS_FIRST = 1024 };
    struct check *c = MEM_NEW(struct check, 1);
    uint64_t dim = s->model.dim;
    c->sim = s;
    c->watches = MEM_NEW(struct watch, s->config.n_nodes);
    c->links_size = LINKS_FIRST;
    c->links = MEM_NEW(struct link_number, c->links_size);
    c->before = MEM_NEW(float, dim);
    c->expected = MEM_NEW(double, dim);
    c->sum = MEM_NEW(double, dim);
    add_all_theta(s, c->expected);
    for (uint32_t id = 0; id < s->config.n_nodes; id++) {
        uint64_t step_us = speed_step_us(&s->config.speed, s->config.seed, id);
        c->longest_step_us = step_us > c->longest_step_us ? step_us : c->longest_step_us;
    }
    return c;
}

void check_close(struct check *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->n_records; i++)
        free(c->records[i].delta);
    free(c->records);
    free(c->watches);
    free(c->links);
    free(c->before);
    free(c->expected);
    free(c->sum);
    free(c);
}

/* ---- clocks and links ------------------------------------------------------------------------ */

static uint32_t n_jobs(const struct worker *w)
{
    uint32_t n = 1, last = w->node->last_job, job = w->node->first_job;
    if (last == PARCEL_NONE)
        return 0;
    for (; job != last && n <= n_places(w->sim); n++)
        job = parcel_at(&w->sim->parcels, job)->next;
    return n;
}

void check_event(struct worker *w)
{
    struct check *c = w->sim->check;
    struct watch *watch = &c->watches[w->id];
    uint32_t n_open = gossip_n_open(node_core(w->sim, w->node));
    if (w->now_us < watch->last_us)
        fail(c, w->id, w->now_us, "a node's clock goes back to before %.6f s",
             (double)watch->last_us / 1e6);
    watch->last_us = w->now_us;
    if (n_open > n_places(w->sim) || n_jobs(w) > n_places(w->sim))
        fail(c, w->id, w->now_us,
             "%" PRIu32 " open exchanges and %" PRIu32 " jobs, of %" PRIu32 " at most", n_open,
             n_jobs(w), n_places(w->sim));
}

static struct link_number *find_link(const struct check *c, uint64_t link)
{
    size_t i = (size_t)((link * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (c->links_size - 1);
    while (c->links[i].link != 0 && c->links[i].link != link)
        i = (i + 1) & (c->links_size - 1);
    return &c->links[i];
}

static void grow_links(struct check *c)
{
    struct link_number *old = c->links;
    size_t n = c->links_size;
    c->links_size = 2 * n;
    c->links = MEM_NEW(struct link_number, c->links_size);
    for (size_t i = 0; i < n; i++)
        if (old[i].link != 0)
            *find_link(c, old[i].link) = old[i];
    free(old);
}

void check_letter(struct worker *w, const struct letter *letter)
{
    struct check *c = w->sim->check;
    if (letter->arrival_us < letter->sent_us + w->sim->config.network.floor_us)
        fail(c, w->id, w->now_us, "a message of node %" PRIu32 " is faster than the floor",
             letter->src);
    if (2 * c->n_links >= c->links_size)
        grow_links(c);
    uint64_t link = ((uint64_t)letter->src << 32 | letter->dst) + 1;
    uint32_t number = letter->number & ~LETTER_IS_IN;
    struct link_number *l = find_link(c, link);
    c->n_links += l->link == 0;
    if (l->link != 0 && number <= l->number)
        fail(c, w->id, w->now_us,
             "message %" PRIu32 " of node %" PRIu32 " comes after its message %" PRIu32, number,
             letter->src, l->number);
    *l = (struct link_number){.link = link, .number = number};
}

void check_punished(struct worker *w, uint32_t peer, const char *reason)
{
    fail(w->sim->check, w->id, w->now_us, "node %" PRIu32 " broke the protocol: %s", peer, reason);
}

void check_answer(struct worker *w, const struct gossip_message *g)
{
    const struct sim *s = w->sim;
    bool joining = s->lives != NULL && s->lives[w->id].joining;
    if (joining && g->kind == GOSSIP_REPLY)
        fail(s->check, w->id, w->now_us, "a node that joins gives its weights to node %" PRIu32,
             g->peer);
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static struct exchange *record_of(struct check *c, uint32_t parcel)
{
    if (parcel >= c->n_records) {
        uint32_t n = 2 * parcel + 64;
        c->records = realloc(c->records, n * sizeof *c->records);
        CHECK(c->records != NULL);
        memset(c->records + c->n_records, 0, (n - c->n_records) * sizeof *c->records);
        c->n_records = n;
    }
    return &c->records[parcel];
}

static bool is_half_applied(const struct exchange *r)
{
    return r->used && !r->one_way && r->answered && !r->mixed;
}

static void check_half(struct check *c, const struct exchange *r, uint64_t now_us)
{
    if (is_half_applied(r) && r->forgotten && !r->broken)
        fail(c, r->initiator, now_us,
             "an exchange of slice %" PRIu32 " with node %" PRIu32
             " is applied on one side only, and their link holds",
             r->slice, r->responder);
}

/* Nobody can apply it any more: the other half is lost for good. */
static void close_record(struct check *c, struct exchange *r, uint64_t now_us)
{
    if (!is_half_applied(r)) {
        r->used = false;
        return;
    }
    r->forgotten = true;
    check_half(c, r, now_us);
    for (uint32_t k = 0; k < slice_count(c->sim, r->slice); k++)
        c->expected[slice_offset(r->slice) + k] -= r->delta[k];
    r->used = false;
}

void check_request(struct worker *w, const struct gossip_message *g, uint32_t parcel)
{
    struct check *c = w->sim->check;
    struct exchange *r = record_of(c, parcel);
    close_record(c, r, w->now_us);
    double *delta = r->delta;
    if (delta == NULL)
        delta = MEM_NEW(double, slice_count(w->sim, 0));
    *r = (struct exchange){.used = true,
                           .one_way = g->mode != GOSSIP_PAIRWISE,
                           .initiator = w->id,
                           .responder = g->peer,
                           .slice = g->slice,
                           .id = g->id,
                           .sent_us = w->now_us,
                           .delta = delta};
}

void check_forgotten(struct worker *w, uint32_t parcel)
{
    struct exchange *r = record_of(w->sim->check, parcel);
    if (!r->used || (r->initiator != w->id && r->responder != w->id))
        return;
    r->forgotten = true;
    check_half(w->sim->check, r, w->now_us);
}

void check_lost(struct worker *w, uint32_t parcel)
{
    record_of(w->sim->check, parcel)->broken = true;
}

void check_broke(struct worker *w, uint32_t peer)
{
    struct check *c = w->sim->check;
    for (uint32_t i = 0; i < c->n_records; i++) {
        struct exchange *r = &c->records[i];
        r->broken |= (r->initiator == w->id && r->responder == peer) ||
                     (r->initiator == peer && r->responder == w->id);
    }
}

void check_crashed(struct worker *w)
{
    struct check *c = w->sim->check;
    for (uint32_t i = 0; i < c->n_records; i++) {
        struct exchange *r = &c->records[i];
        r->broken |= r->initiator == w->id || r->responder == w->id;
        r->forgotten |= r->initiator == w->id;
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

void check_before(struct worker *w)
{
    memcpy(w->sim->check->before, node_floats(w->sim, w->node), w->sim->model.dim * sizeof(float));
}

static double change(struct check *c, const float *theta, uint64_t d)
{
    double size = fabs((double)theta[d]);
    c->largest = size > c->largest ? size : c->largest;
    return (double)theta[d] - (double)c->before[d];
}

/* Of a difference that should be none, of sums that rounded n times. */
static double tolerance(const struct check *c, double n)
{
    return 1e-6 * (1 + c->largest) * (4 + sqrt(n));
}

static void expect_change(struct worker *w, uint64_t from, uint64_t n)
{
    struct check *c = w->sim->check;
    const float *theta = node_floats(w->sim, w->node);
    for (uint64_t d = from; d < from + n; d++)
        c->expected[d] += change(c, theta, d);
    c->n_changes++;
}

void check_changed(struct worker *w)
{
    expect_change(w, 0, w->sim->model.dim);
}

/* The other of two nodes that asked each other at once, if it is served, too. */
static bool crosses(const struct check *c, const struct exchange *r)
{
    for (uint32_t i = 0; i < c->n_records; i++) {
        const struct exchange *other = &c->records[i];
        if (is_half_applied(other) && !other->broken && other->initiator == r->responder &&
            other->responder == r->initiator && other->slice == r->slice)
            return true;
    }
    return false;
}

/* Of models of one slice, where what is over is forgotten at once. Under way is what the core would
 * take an answer of; the one with the peer itself crosses, and gives way. */
void check_weight(struct worker *w, uint32_t peer, uint32_t slice, float weight)
{
    struct check *c = w->sim->check;
    uint32_t n = 1;
    for (uint32_t i = 0; i < c->n_records; i++) {
        const struct exchange *r = &c->records[i];
        n += r->used && !r->one_way && !r->mixed && !r->forgotten && !r->broken &&
             r->initiator == w->id && r->responder != peer && r->slice == slice &&
             gossip_expects(node_core(w->sim, w->node), r->responder, r->id);
    }
    if (w->sim->gossip_config.n_slices == 1 && weight * (float)n > 0.5f * (1 + 1e-6f))
        fail(c, w->id, w->now_us,
             "a request of node %" PRIu32 " is served with weight %g while %" PRIu32
             " exchanges of the slice are under way",
             peer, (double)weight, n - 1);
}

void check_answered(struct worker *w, uint32_t parcel)
{
    struct check *c = w->sim->check;
    struct exchange *r = record_of(c, parcel);
    const float *theta = node_floats(w->sim, w->node);
    if (!r->used || r->one_way || r->responder != w->id || r->answered || r->mixed) {
        fail(c, w->id, w->now_us, "a request of node %" PRIu32 " is served %s", r->initiator,
             r->answered ? "twice" : "that is not under way");
        return;
    }
    if (crosses(c, r))
        fail(c, w->id, w->now_us, "two exchanges with node %" PRIu32 " cross, and both are applied",
             r->initiator);
    r->answered = true;
    for (uint32_t k = 0; k < slice_count(w->sim, r->slice); k++)
        r->delta[k] = -change(c, theta, slice_offset(r->slice) + k);
    c->n_changes++;
    check_half(c, r, w->now_us);
}

static void check_cancels(struct worker *w, const struct exchange *r)
{
    struct check *c = w->sim->check;
    const float *theta = node_floats(w->sim, w->node);
    for (uint32_t k = 0; k < slice_count(w->sim, r->slice); k++) {
        uint64_t d = slice_offset(r->slice) + k;
        double mine = change(c, theta, d);
        if (!(fabs(mine - r->delta[k]) <= tolerance(c, 1))) {
            fail(c, w->id, w->now_us,
                 "an exchange with node %" PRIu32 " adds %g to weight %" PRIu64
                 " here, and took %g there",
                 r->responder, mine, d, r->delta[k]);
            return;
        }
        c->expected[d] += mine - r->delta[k];
    }
}

static bool is_applied_once(struct worker *w, const struct exchange *r, bool fits)
{
    bool good = r->used && !r->mixed && fits;
    if (!good)
        fail(w->sim->check, w->id, w->now_us,
             "an exchange of nodes %" PRIu32 " and %" PRIu32 " is applied %s", r->initiator,
             r->responder, r->mixed ? "twice" : "that is not under way");
    return good;
}

void check_added(struct worker *w, uint32_t parcel)
{
    struct exchange *r = record_of(w->sim->check, parcel);
    if (!is_applied_once(w, r, !r->one_way && r->answered && r->initiator == w->id))
        return;
    r->mixed = true;
    check_cancels(w, r);
    w->sim->check->n_changes++;
}

void check_mixed(struct worker *w, uint32_t parcel)
{
    struct exchange *r = record_of(w->sim->check, parcel);
    if (!is_applied_once(w, r, r->one_way))
        return;
    r->mixed = true;
    expect_change(w, slice_offset(r->slice), slice_count(w->sim, r->slice));
}

/* ---- everybody ------------------------------------------------------------------------------- */

static void check_sum(struct check *c, const struct sim *s)
{
    uint64_t dim = s->model.dim;
    memset(c->sum, 0, dim * sizeof *c->sum);
    add_all_theta(s, c->sum);
    for (uint32_t i = 0; i < c->n_records; i++) {
        const struct exchange *r = &c->records[i];
        for (uint32_t k = 0; is_half_applied(r) && k < slice_count(s, r->slice); k++)
            c->sum[slice_offset(r->slice) + k] += r->delta[k];
    }
    for (uint64_t d = 0; d < dim; d++)
        if (!(fabs(c->sum[d] - c->expected[d]) <= tolerance(c, (double)c->n_changes))) {
            fail(c, 0, s->now_us,
                 "the sum of weight %" PRIu64 " over all nodes and open increments is %g, and "
                 "should be %g",
                 d, c->sum[d], c->expected[d]);
            return;
        }
}

/* The longest that an exchange can take: there, its turn among the jobs, back, its turn again. */
static uint64_t longest_exchange_us(const struct check *c, const struct sim *s)
{
    uint64_t flight = atomic_load_explicit(&s->longest_us, memory_order_relaxed);
    return 2 * flight + 2 * (n_places(s) + 2) * (c->longest_step_us + 1) + 4 * s->day_us;
}

static void check_stalls(struct check *c, const struct sim *s, uint32_t id, uint64_t limit_us)
{
    struct node *node = sim_node(s, id);
    struct watch *watch = &c->watches[id];
    const struct life *life = s->lives != NULL ? &s->lives[id] : NULL;
    const struct gossip_counts *counts = gossip_counts(node_core(s, node));
    uint32_t n_tried = counts->initiated + counts->busy;
    bool joining = life != NULL && life->joining;
    uint64_t waited_us = s->now_us - watch->since_us; /* since: never after now */
    if (!node->started || s->config.alone || joining != watch->joining ||
        (!joining && n_tried != watch->n_tried)) {
        watch->joining = joining;
        watch->n_tried = n_tried;
        watch->since_us = s->now_us;
    } else if (waited_us > (joining ? JOIN_TRIES * s->gossip_config.n_slices : 1) * limit_us) {
        fail(c, id, s->now_us, "a node has %s for %.6f s",
             joining ? "been joining" : "not initiated an exchange", (double)waited_us / 1e6);
    }
    if (node->started && !joining && s->config.train == SIM_CONTINUOUS &&
        (node->busy_us == SIM_NEVER || node->busy_us < s->now_us))
        fail(c, id, s->now_us, "a node does not step");
}

void check_all(struct sim *s)
{
    struct check *c = s->check;
    uint64_t longest_us = longest_exchange_us(c, s);
    uint64_t limit_us =
        STALL_CYCLES * (s->cycle_us + c->longest_step_us *
                                          (s->config.every_steps > 0 ? s->config.every_steps : 1)) +
        2 * longest_us;
    check_sum(c, s);
    for (uint32_t i = 0; i < c->n_records; i++) {
        const struct exchange *r = &c->records[i];
        bool open = r->used && !r->one_way && !r->mixed && !r->forgotten && !r->broken;
        if (open && s->now_us > r->sent_us + longest_us)
            fail(c, r->initiator, s->now_us,
                 "an exchange with node %" PRIu32 " has been open for %.6f s, of %.6f at most",
                 r->responder, (double)(s->now_us - r->sent_us) / 1e6, (double)longest_us / 1e6);
    }
    for (uint32_t id = 0; id < s->config.n_nodes; id++)
        check_stalls(c, s, id, limit_us);
}
