#include "bench/stream.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "net/tcp.h"
#include "node/pool.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With two exchanges of a slice under way, mine and theirs, w = 1/(2k) = 1/4, and with equal
 * masses c = w (docs/DESIGN.md, section 3). */
#define C 0.25f

/* One exchange of each slice is open on each side all the time. */
struct peer {
    uv_loop_t loop;
    struct tcp *tcp;
    struct tcp_link *link;
    struct pool pool;
    int side;
    uint32_t count, n_slices; /* floats in a slice */
    float *theta;
    uint32_t n_open;
    bool stopping, said_bye, got_bye, freed;
    struct stream *stream;
    pthread_t thread;
    char failure[160];
};

struct both {
    struct peer peers[2];
    double mean, distance; /* of their weights, at the start */
};

static void send_slice(struct peer *p, enum wire_kind kind, uint32_t slice, uint32_t buffer)
{
    struct wire_message m = {.kind = kind,
                             .id = slice,
                             .body_bytes = p->count * (uint32_t)sizeof(float),
                             .tensor = {.offset = (uint64_t)slice * p->count,
                                        .count = p->count,
                                        .codec = WIRE_F32,
                                        .mode = WIRE_PAIRWISE,
                                        .weight = C,
                                        .mass = 1}};
    float *data = pool_data(&p->pool, buffer);
    tcp_send_tensor(p->link, &m, data, wire_body_sum(data, m.body_bytes), data);
}

static void initiate(struct peer *p, uint32_t slice)
{
    uint32_t buffer = pool_take(&p->pool);
    memcpy(pool_data(&p->pool, buffer), p->theta + (size_t)slice * p->count,
           p->count * sizeof(float));
    p->n_open++;
    send_slice(p, WIRE_REQUEST, slice, buffer);
}

/* The link ends when neither side has anything open: so no exchange is cut in two. */
static void end_if_over(struct peer *p)
{
    if (p->stopping && p->n_open == 0 && !p->said_bye) {
        struct wire_message bye = {.kind = WIRE_BYE, .bye = {.reason = WIRE_BYE_DONE}};
        tcp_send_control(p->link, &bye);
        p->said_bye = true;
    }
    if (p->said_bye && p->got_bye)
        tcp_close(p->link, true, "done");
}

static void opened(void *ctx, struct tcp_link *link)
{
    struct peer *p = ctx;
    p->link = link;
    for (uint32_t s = 0; s < p->n_slices; s++)
        initiate(p, s);
}

static void *body(void *ctx, struct tcp_link *link, const struct wire_message *m)
{
    struct peer *p = ctx;
    (void)link;
    if (m->tensor.count != p->count || m->tensor.offset % p->count != 0 ||
        m->tensor.offset / p->count >= p->n_slices)
        return NULL;
    return pool_data(&p->pool, pool_take(&p->pool));
}

static void received(void *ctx, struct tcp_link *link, const struct wire_message *m, void *bytes)
{
    struct peer *p = ctx;
    (void)link;
    if (m->kind == WIRE_BYE) {
        p->got_bye = true;
        end_if_over(p);
        return;
    }
    uint32_t slice = (uint32_t)(m->tensor.offset / p->count);
    if (bytes == NULL) {
        tcp_close(p->link, false, "a tensor that is no slice");
        return;
    }
    float *theta = p->theta + m->tensor.offset;
    uint32_t buffer = pool_handle(&p->pool, bytes);
    p->stopping |= stream_pass(p->stream, 1);
    if (m->kind == WIRE_REQUEST) {
        vec_answer(theta, m->tensor.weight, bytes, p->count);
        send_slice(p, WIRE_REPLY, slice, buffer);
        return;
    }
    vec_add_scaled(theta, m->tensor.weight, bytes, p->count);
    pool_unref(&p->pool, buffer);
    p->n_open--;
    if (!p->stopping)
        initiate(p, slice);
    end_if_over(p);
}

static void dropped(void *ctx, struct tcp_link *link, void *bytes)
{
    struct peer *p = ctx;
    (void)link;
    pool_unref(&p->pool, pool_handle(&p->pool, bytes));
}

static void released(void *ctx, struct tcp_link *link, void *token, bool sent)
{
    (void)sent;
    dropped(ctx, link, token);
}

static void closed(void *ctx, struct tcp_link *link, const char *reason)
{
    struct peer *p = ctx;
    (void)link;
    if (!p->said_bye || !p->got_bye)
        snprintf(p->failure, sizeof p->failure, "the link between the peers ended: %s", reason);
    if (!p->freed)
        tcp_free(p->tcp, NULL);
    p->freed = true;
}

static const struct tcp_ops ops = {opened, body, received, dropped, released, closed};

static void peer_init(struct peer *p, const struct stream_plan *plan, uint32_t number,
                      struct stream *stream)
{
    struct rng rng = rng_stream(1, number, RNG_TEST);
    *p = (struct peer){.side = (int)number,
                       .count = plan->bytes / (uint32_t)sizeof(float),
                       .n_slices = plan->flight,
                       .stream = stream};
    CHECK(uv_loop_init(&p->loop) == 0);
    p->tcp = tcp_new(&p->loop, &ops, p, plan->bytes);
    /* One for each of mine and of theirs, as many again for writes not yet confirmed. */
    pool_init(&p->pool, 4 * p->n_slices, p->count, 0);
    size_t dim = (size_t)p->count * p->n_slices;
    p->theta = MEM_NEW(float, dim);
    for (size_t i = 0; i < dim; i++)
        p->theta[i] = (float)number + (float)(rng_uniform(&rng) - 0.5);
}

static void peer_close(struct peer *p)
{
    CHECK(uv_loop_close(&p->loop) == 0);
    pool_close(&p->pool);
    free(p->theta);
}

static void *run(void *arg)
{
    struct peer *p = arg;
    stream_pin(p->side);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    return NULL;
}

static double mean_of_both(const struct peer p[2])
{
    size_t dim = (size_t)p->count * p->n_slices;
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)p[0].theta[i] + (double)p[1].theta[i];
    return sum / (double)(2 * dim);
}

static double distance_of_both(const struct peer p[2])
{
    return sqrt(vec_distance_sq(p[0].theta, p[1].theta, (size_t)p->count * p->n_slices));
}

/* That it was averaging: the mean stays, the two come together, nothing is left in the pools. */
static int verify(const struct both *b, struct error *err)
{
    const struct peer *p = b->peers;
    for (int i = 0; i < 2; i++)
        if (p[i].failure[0] != '\0')
            return error_set(err, ERR_FAILURE, "%s", p[i].failure);
    CHECK(p[0].pool.n_free == p[0].pool.n && p[1].pool.n_free == p[1].pool.n);
    double mean_after = mean_of_both(p), distance_after = distance_of_both(p);
    if (!(fabs(mean_after - b->mean) < 1e-5) || !(distance_after < 0.1 * b->distance))
        return error_set(err, ERR_FAILURE,
                         "the exchanges did not average: mean %.9g before and %.9g after, distance "
                         "%.3g and %.3g",
                         b->mean, mean_after, b->distance, distance_after);
    return 0;
}

static int exchange_open(struct stream *s, const struct stream_plan *plan, struct error *err)
{
    struct both *b = MEM_NEW(struct both, 1);
    struct host_port address = {.host = "127.0.0.1"};
    stream_init(s, b);
    for (uint32_t i = 0; i < 2; i++)
        peer_init(&b->peers[i], plan, i, s);
    b->mean = mean_of_both(b->peers);
    b->distance = distance_of_both(b->peers);
    int rc = tcp_listen(b->peers[0].tcp, &address, &address.port, err);
    if (rc != 0)
        return rc;
    tcp_dial(b->peers[1].tcp, &address);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&b->peers[i].thread, NULL, run, &b->peers[i]) == 0);
    return 0;
}

static int exchange_close(struct stream *s, struct error *err)
{
    struct both *b = s->sides;
    stream_end(s);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(b->peers[i].thread, NULL) == 0);
    int rc = verify(b, err);
    for (int i = 0; i < 2; i++)
        peer_close(&b->peers[i]);
    free(b);
    return rc;
}

const struct stream_kind stream_exchange = {exchange_open, exchange_close};
