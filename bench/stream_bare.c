#include "bench/stream.h"

#include "base/check.h"
#include "base/mem.h"
#include "node/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* ---- libuv -------------------------------------------------------------------------------- */

struct end {
    uv_loop_t loop;
    uv_tcp_t tcp;
    uv_write_t *writes; /* [pool.n], by buffer */
    struct pool pool;
    int side;
    uint32_t bytes, flight, chunk;
    uint32_t reading, got; /* the message coming in: its buffer, or POOL_NONE */
    uint32_t *waiting;     /* with chunks: ring of pool.n buffers to send */
    uint32_t first_waiting, n_waiting, sent, sending;
    struct stream *stream;
    pthread_t thread;
};

static void end_close(struct end *e)
{
    if (!uv_is_closing((uv_handle_t *)&e->tcp))
        uv_close((uv_handle_t *)&e->tcp, NULL);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct end *e = handle->data;
    (void)suggested;
    if (e->reading == POOL_NONE) {
        e->reading = pool_take(&e->pool);
        e->got = 0;
    }
    *buf = uv_buf_init((char *)pool_data(&e->pool, e->reading) + e->got, e->bytes - e->got);
}

/* A connection that ends is seen by the reader, so a write's status is of no interest. */
static void on_written(uv_write_t *req, int status)
{
    struct end *e = req->data;
    (void)status;
    pool_unref(&e->pool, (uint32_t)(req - e->writes));
}

static void on_chunk_written(uv_write_t *req, int status);

static void write_part(struct end *e, uint32_t buffer, uint32_t at, uint32_t n, uv_write_cb done)
{
    uv_buf_t buf = uv_buf_init((char *)pool_data(&e->pool, buffer) + at, n);
    e->writes[buffer].data = e;
    CHECK(uv_write(&e->writes[buffer], (uv_stream_t *)&e->tcp, &buf, 1, done) == 0);
}

static void write_chunk(struct end *e)
{
    uint32_t left = e->bytes - e->sent;
    e->sending = left < e->chunk ? left : e->chunk;
    write_part(e, e->waiting[e->first_waiting], e->sent, e->sending, on_chunk_written);
}

static void on_chunk_written(uv_write_t *req, int status)
{
    struct end *e = req->data;
    e->sent += e->sending;
    if (e->sent == e->bytes) {
        pool_unref(&e->pool, e->waiting[e->first_waiting]);
        e->first_waiting = (e->first_waiting + 1) % e->pool.n;
        e->n_waiting--;
        e->sent = 0;
    }
    if (e->n_waiting > 0 && status == 0 && !uv_is_closing((uv_handle_t *)&e->tcp))
        write_chunk(e);
}

static void send_buffer(struct end *e, uint32_t buffer)
{
    if (e->chunk == 0) {
        write_part(e, buffer, 0, e->bytes, on_written);
        return;
    }
    e->waiting[(e->first_waiting + e->n_waiting++) % e->pool.n] = buffer;
    if (e->n_waiting == 1)
        write_chunk(e);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct end *e = stream->data;
    (void)buf;
    if (n < 0) {
        end_close(e);
        return;
    }
    e->got += (uint32_t)n;
    if (e->got < e->bytes)
        return;
    uint32_t buffer = e->reading;
    e->reading = POOL_NONE;
    if (stream_pass(e->stream, 1)) {
        pool_unref(&e->pool, buffer);
        end_close(e);
    } else {
        send_buffer(e, buffer);
    }
}

static void *run_end(void *arg)
{
    struct end *e = arg;
    stream_pin(e->side);
    for (uint32_t i = 0; i < e->flight; i++)
        send_buffer(e, pool_take(&e->pool));
    CHECK(uv_read_start((uv_stream_t *)&e->tcp, on_alloc, on_read) == 0);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return NULL;
}

static int bare_open(struct stream *s, const struct stream_plan *plan, struct error *err)
{
    int fd[2], rc = stream_connect(fd, err);
    if (rc != 0)
        return rc;
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    struct end *e = MEM_NEW(struct end, 2);
    stream_init(s, e);
    for (int i = 0; i < 2; i++) {
        e[i] = (struct end){.side = i,
                            .bytes = plan->bytes,
                            .flight = plan->flight,
                            .chunk = plan->chunk,
                            .reading = POOL_NONE,
                            .stream = s};
        /* All messages may be here, and libuv reads up to 32 times before it confirms writes. */
        pool_init(&e[i].pool, 2 * plan->flight + 40, plan->bytes / sizeof(float), 0);
        e[i].writes = MEM_NEW(uv_write_t, e[i].pool.n);
        e[i].waiting = MEM_NEW(uint32_t, e[i].pool.n);
        CHECK(uv_loop_init(&e[i].loop) == 0 && uv_tcp_init(&e[i].loop, &e[i].tcp) == 0 &&
              uv_tcp_open(&e[i].tcp, fd[i]) == 0);
        e[i].tcp.data = &e[i];
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&e[i].thread, NULL, run_end, &e[i]) == 0);
    return 0;
}

static int bare_close(struct stream *s, struct error *err)
{
    struct end *e = s->sides;
    (void)err;
    stream_end(s);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(e[i].thread, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(uv_loop_close(&e[i].loop) == 0);
        pool_close(&e[i].pool);
        free(e[i].writes);
        free(e[i].waiting);
    }
    free(e);
    return 0;
}

const struct stream_kind stream_bare = {bare_open, bare_close};

/* ---- blocking sockets --------------------------------------------------------------------- */

struct half {
    int fd, side;
    uint32_t bytes;
    float *memory;
    struct stream *stream;
    pthread_t thread;
};

struct halves {
    struct half half[4]; /* two that send, two that receive */
    struct pool pool;
};

static void *run_sender(void *arg)
{
    struct half *h = arg;
    stream_pin(h->side);
    while (!stream_pass(h->stream, 0) && send(h->fd, h->memory, h->bytes, MSG_NOSIGNAL) > 0) {
    }
    shutdown(h->fd, SHUT_RDWR);
    return NULL;
}

static void *run_receiver(void *arg)
{
    struct half *h = arg;
    stream_pin(h->side);
    while (recv(h->fd, h->memory, h->bytes, MSG_WAITALL) == (ssize_t)h->bytes &&
           !stream_pass(h->stream, 1)) {
    }
    shutdown(h->fd, SHUT_RDWR);
    return NULL;
}

static int blocking_open(struct stream *s, const struct stream_plan *plan, struct error *err)
{
    int fd[2], rc = stream_connect(fd, err);
    if (rc != 0)
        return rc;
    struct halves *h = MEM_NEW(struct halves, 1);
    stream_init(s, h);
    pool_init(&h->pool, 4, plan->bytes / sizeof(float), 0);
    for (uint32_t i = 0; i < 4; i++) {
        h->half[i] = (struct half){.fd = fd[i % 2],
                                   .side = (int)i % 2,
                                   .bytes = plan->bytes,
                                   .memory = pool_data(&h->pool, i),
                                   .stream = s};
        CHECK(pthread_create(&h->half[i].thread, NULL, i < 2 ? run_sender : run_receiver,
                             &h->half[i]) == 0);
    }
    return 0;
}

static int blocking_close(struct stream *s, struct error *err)
{
    struct halves *h = s->sides;
    (void)err;
    stream_end(s);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(h->half[i].thread, NULL) == 0);
    close(h->half[0].fd);
    close(h->half[1].fd);
    pool_close(&h->pool);
    free(h);
    return 0;
}

const struct stream_kind stream_blocking = {blocking_open, blocking_close};
