#include "bench/stream.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

void stream_pin(int side)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0)
        return;
    int n = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && n++ == side) {
            CPU_SET(cpu, &one);
            pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        }
}

bool stream_meter_count(struct stream_meter *m)
{
    uint64_t now = clock_us();
    m->n_all++;
    if (now < m->start_us)
        return false;
    if (now >= m->stop_us)
        return true;
    if (m->first_us == 0)
        m->first_us = now;
    else
        m->n++;
    m->last_us = now;
    return false;
}

struct stream_outcome stream_sum(const struct stream_meter meters[2], uint64_t cpu_us)
{
    struct stream_outcome out = {0};
    for (int i = 0; i < 2; i++)
        if (meters[i].n > 0)
            out.messages_per_s +=
                (double)meters[i].n * 1e6 / (double)(meters[i].last_us - meters[i].first_us + 1);
    uint64_t n = meters[0].n_all + meters[1].n_all;
    out.cpu_us = (double)cpu_us / (double)(n > 0 ? n : 1);
    return out;
}

/* A connection within this process: both its ends. */
static int connect_pair(int fd[2], struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd[1] = -1;
    if (listener >= 0 && fd[0] >= 0 &&
        bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
        connect(fd[0], (struct sockaddr *)&address, sizeof address) == 0)
        fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int rc = 0;
    if (fd[1] < 0) {
        rc = error_set(err, ERR_FAILURE, "no connection over loopback: %s", strerror(errno));
        if (fd[0] >= 0)
            close(fd[0]);
    }
    for (int i = 0; rc == 0 && i < 2; i++)
        CHECK(setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    if (listener >= 0)
        close(listener);
    return rc;
}

static struct stream_meter meter_from_now(const struct stream_plan *plan)
{
    uint64_t start = clock_us() + plan->warm_us;
    return (struct stream_meter){.start_us = start, .stop_us = start + plan->window_us};
}

/* ---- libuv -------------------------------------------------------------------------------- */

struct end {
    uv_loop_t loop;
    uv_tcp_t stream;
    uv_write_t *writes; /* [pool.n], by buffer */
    struct pool pool;
    int side;
    uint32_t bytes, flight, chunk;
    uint32_t reading, got; /* the message coming in: its buffer, or POOL_NONE */
    uint32_t *waiting;     /* with chunks: ring of pool.n buffers to send */
    uint32_t first_waiting, n_waiting, sent, sending;
    struct stream_meter meter;
    uint64_t cpu_us;
};

static void end_close(struct end *e)
{
    if (!uv_is_closing((uv_handle_t *)&e->stream))
        uv_close((uv_handle_t *)&e->stream, NULL);
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
    CHECK(uv_write(&e->writes[buffer], (uv_stream_t *)&e->stream, &buf, 1, done) == 0);
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
    if (e->n_waiting > 0 && status == 0 && !uv_is_closing((uv_handle_t *)&e->stream))
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
    if (stream_meter_count(&e->meter)) {
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
    uint64_t before_us = clock_thread_us();
    for (uint32_t i = 0; i < e->flight; i++)
        send_buffer(e, pool_take(&e->pool));
    CHECK(uv_read_start((uv_stream_t *)&e->stream, on_alloc, on_read) == 0);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    e->cpu_us = clock_thread_us() - before_us;
    return NULL;
}

int stream_bare(const struct stream_plan *plan, struct stream_outcome *out, struct error *err)
{
    int fd[2], rc = connect_pair(fd, err);
    if (rc != 0)
        return rc;
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    struct end *e = MEM_NEW(struct end, 2);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        e[i] = (struct end){.side = i,
                            .bytes = plan->bytes,
                            .flight = plan->flight,
                            .chunk = plan->chunk,
                            .reading = POOL_NONE};
        /* All messages may be here, and libuv reads up to 32 times before it confirms writes. */
        pool_init(&e[i].pool, 2 * plan->flight + 40, plan->bytes / sizeof(float), 0);
        e[i].writes = MEM_NEW(uv_write_t, e[i].pool.n);
        e[i].waiting = MEM_NEW(uint32_t, e[i].pool.n);
        CHECK(uv_loop_init(&e[i].loop) == 0 && uv_tcp_init(&e[i].loop, &e[i].stream) == 0 &&
              uv_tcp_open(&e[i].stream, fd[i]) == 0);
        e[i].stream.data = &e[i];
    }
    for (int i = 0; i < 2; i++) {
        e[i].meter = meter_from_now(plan);
        CHECK(pthread_create(&threads[i], NULL, run_end, &e[i]) == 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    struct stream_meter meters[2] = {e[0].meter, e[1].meter};
    *out = stream_sum(meters, e[0].cpu_us + e[1].cpu_us);
    for (int i = 0; i < 2; i++) {
        CHECK(uv_loop_close(&e[i].loop) == 0);
        pool_close(&e[i].pool);
        free(e[i].writes);
        free(e[i].waiting);
    }
    free(e);
    return 0;
}

/* ---- blocking sockets --------------------------------------------------------------------- */

struct half {
    int fd, side;
    uint32_t bytes;
    float *memory;
    struct stream_meter meter; /* of the receiving half */
    uint64_t cpu_us;
};

static void *run_sender(void *arg)
{
    struct half *h = arg;
    stream_pin(h->side);
    uint64_t before_us = clock_thread_us();
    while (send(h->fd, h->memory, h->bytes, MSG_NOSIGNAL) > 0) {
    }
    h->cpu_us = clock_thread_us() - before_us;
    return NULL;
}

static void *run_receiver(void *arg)
{
    struct half *h = arg;
    stream_pin(h->side);
    uint64_t before_us = clock_thread_us();
    while (recv(h->fd, h->memory, h->bytes, MSG_WAITALL) == (ssize_t)h->bytes &&
           !stream_meter_count(&h->meter)) {
    }
    shutdown(h->fd, SHUT_RDWR);
    h->cpu_us = clock_thread_us() - before_us;
    return NULL;
}

int stream_blocking(const struct stream_plan *plan, struct stream_outcome *out, struct error *err)
{
    int fd[2], rc = connect_pair(fd, err);
    if (rc != 0)
        return rc;
    struct half halves[4];
    struct pool pool;
    pthread_t threads[4];
    pool_init(&pool, 4, plan->bytes / sizeof(float), 0);
    for (uint32_t i = 0; i < 4; i++) {
        halves[i] = (struct half){.fd = fd[i % 2],
                                  .side = (int)i % 2,
                                  .bytes = plan->bytes,
                                  .memory = pool_data(&pool, i),
                                  .meter = meter_from_now(plan)};
        CHECK(pthread_create(&threads[i], NULL, i < 2 ? run_sender : run_receiver, &halves[i]) ==
              0);
    }
    uint64_t cpu_us = 0;
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        cpu_us += halves[i].cpu_us;
    }
    struct stream_meter meters[2] = {halves[2].meter, halves[3].meter};
    *out = stream_sum(meters, cpu_us);
    close(fd[0]);
    close(fd[1]);
    pool_close(&pool);
    return 0;
}
