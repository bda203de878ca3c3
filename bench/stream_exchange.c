#include "bench/stream.h"

#include "base/check.h"
#include "base/clock.h"
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
    uint32_t *sent; /* [n_slices]: what I sent of it, until the reply */
    uint32_t n_open;
    bool stopping, said_bye, got_bye, freed;
    struct stream_meter meter;
    uint64_t cpu_us;
    char failure[160];
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
    tcp_send_tensor(p->link, &m, data, data);
}

static void initiate(struct peer *p, uint32_t slice)
{
    uint32_t buffer = pool_take(&p->pool);
    memcpy(pool_data(&p->pool, buffer), p->theta + (size_t)slice * p->count,
           p->count * sizeof(float));
    p->sent[slice] = buffer;
    pool_ref(&p->pool, buffer); /* the write's */
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
    if (bytes == NULL || vec_first_beyond(bytes, WIRE_ELEMENT_MAX, p->count) < p->count) {
        tcp_close(p->link, false, "a tensor that is no slice");
        return;
    }
    float *theta = p->theta + m->tensor.offset;
    uint32_t buffer = pool_handle(&p->pool, bytes);
    p->stopping |= stream_meter_count(&p->meter);
    if (m->kind == WIRE_REQUEST) {
        vec_swap_mix(theta, m->tensor.weight, bytes, p->count);
        send_slice(p, WIRE_REPLY, slice, buffer);
        return;
    }
    vec_mix(theta, m->tensor.weight, bytes, pool_data(&p->pool, p->sent[slice]), p->count);
    pool_unref(&p->pool, p->sent[slice]);
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

static void peer_init(struct peer *p, const struct stream_plan *plan, uint32_t number)
{
    struct rng rng = rng_stream(1, number, RNG_TEST);
    *p = (struct peer){.side = (int)number,
                       .count = plan->bytes / (uint32_t)sizeof(float),
                       .n_slices = plan->flight};
    CHECK(uv_loop_init(&p->loop) == 0);
    p->tcp = tcp_new(&p->loop, &ops, p, plan->bytes);
    /* Two for each of mine, one for each of theirs, as many again for writes not yet confirmed. */
    pool_init(&p->pool, 6 * p->n_slices, p->count, 0);
    p->sent = MEM_NEW(uint32_t, p->n_slices);
    size_t dim = (size_t)p->count * p->n_slices;
    p->theta = MEM_NEW(float, dim);
    for (size_t i = 0; i < dim; i++)
        p->theta[i] = (float)number + (float)(rng_uniform(&rng) - 0.5);
}

static void peer_close(struct peer *p)
{
    CHECK(uv_loop_close(&p->loop) == 0);
    pool_close(&p->pool);
    free(p->sent);
    free(p->theta);
}

static void *run(void *arg)
{
    struct peer *p = arg;
    stream_pin(p->side);
    uint64_t before_us = clock_thread_us();
    uv_run(&p->loop, UV_RUN_DEFAULT);
    p->cpu_us = clock_thread_us() - before_us;
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
static int verify(const struct peer p[2], double mean, double distance, struct error *err)
{
    for (int i = 0; i < 2; i++)
        if (p[i].failure[0] != '\0')
            return error_set(err, ERR_FAILURE, "%s", p[i].failure);
    CHECK(p[0].pool.n_free == p[0].pool.n && p[1].pool.n_free == p[1].pool.n);
    double mean_after = mean_of_both(p), distance_after = distance_of_both(p);
    if (!(fabs(mean_after - mean) < 1e-5) || !(distance_after < 0.1 * distance))
        return error_set(err, ERR_FAILURE,
                         "the exchanges did not average: mean %.9g before and %.9g after, distance "
                         "%.3g and %.3g",
                         mean, mean_after, distance, distance_after);
    return 0;
}

int stream_exchange(const struct stream_plan *plan, struct stream_outcome *out, struct error *err)
{
    struct peer *p = MEM_NEW(struct peer, 2);
    struct host_port address = {.host = "127.0.0.1"};
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++)
        peer_init(&p[i], plan, i);
    double mean = mean_of_both(p), distance = distance_of_both(p);
    int rc = tcp_listen(p[0].tcp, &address, &address.port, err);
    uint64_t now = clock_us();
    if (rc == 0)
        tcp_dial(p[1].tcp, &address);
    for (int i = 0; i < 2; i++) {
        p[i].meter.start_us = now + plan->warm_us;
        p[i].meter.stop_us = now + plan->warm_us + plan->window_us;
        if (rc != 0)
            tcp_free(p[i].tcp, NULL);
        CHECK(pthread_create(&threads[i], NULL, run, &p[i]) == 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    if (rc == 0)
        rc = verify(p, mean, distance, err);
    struct stream_meter meters[2] = {p[0].meter, p[1].meter};
    *out = stream_sum(meters, p[0].cpu_us + p[1].cpu_us);
    for (int i = 0; i < 2; i++)
        peer_close(&p[i]);
    free(p);
    return rc;
}
