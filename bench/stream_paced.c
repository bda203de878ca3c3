#include "bench/stream_paced.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 256 << 10, LAG_BURSTS = 4 };

struct half {
    struct paced *paced;
    int fd, side;
    uint8_t *out, *in;
    pthread_t thread;
};

struct paced {
    struct stream stream;
    struct half halves[2];
    uint32_t burst;
    uint64_t period_us;
};

/* Returns the bytes that came. */
static uint64_t take_all(const struct half *h)
{
    uint64_t sum = 0;
    ssize_t n;
    while ((n = recv(h->fd, h->in, MESSAGE, MSG_DONTWAIT)) > 0)
        sum += (uint64_t)n;
    return sum;
}

static uint64_t send_some(const struct half *h, uint64_t owed)
{
    ssize_t n = 1;
    while (owed > 0 && n > 0) {
        n = send(h->fd, h->out, owed < MESSAGE ? owed : MESSAGE, MSG_DONTWAIT | MSG_NOSIGNAL);
        owed -= n > 0 ? (uint64_t)n : 0;
    }
    return owed;
}

static void wait_until(const struct half *h, uint64_t due_us, bool owes)
{
    uint64_t now = clock_us(), us = due_us > now ? due_us - now : 0;
    struct pollfd p = {.fd = h->fd, .events = owes ? POLLIN | POLLOUT : POLLIN};
    struct timespec t = {.tv_sec = (time_t)(us / SECOND_US),
                         .tv_nsec = (long)(us % SECOND_US) * 1000};
    ppoll(&p, 1, &t, NULL);
}

static void *run(void *arg)
{
    struct half *h = arg;
    const struct paced *p = h->paced;
    uint64_t owed = 0, came = 0, due_us = 0;
    stream_pin(h->side);
    while (!stream_pass(&h->paced->stream, came)) {
        uint64_t now = clock_us();
        if (now >= due_us) {
            bool late = now - due_us > LAG_BURSTS * p->period_us; /* it stood still */
            due_us = (late ? now : due_us) + p->period_us;
            owed += p->burst;
        }
        owed = send_some(h, owed);
        came = take_all(h);
        wait_until(h, due_us, owed > 0);
    }
    return NULL;
}

struct paced *paced_new(uint32_t burst_bytes, uint64_t period_us, struct error *err)
{
    int fd[2];
    if (stream_connect(fd, err) != 0)
        return NULL;
    struct paced *p = MEM_NEW(struct paced, 1);
    p->burst = burst_bytes;
    p->period_us = period_us;
    stream_init(&p->stream, p);
    for (int i = 0; i < 2; i++) {
        p->halves[i] = (struct half){.paced = p,
                                     .fd = fd[i],
                                     .side = i,
                                     .out = mem_alloc(MESSAGE, 1),
                                     .in = mem_alloc(MESSAGE, 1)};
        CHECK(pthread_create(&p->halves[i].thread, NULL, run, &p->halves[i]) == 0);
    }
    return p;
}

void paced_free(struct paced *p)
{
    stream_end(&p->stream);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(p->halves[i].thread, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        close(p->halves[i].fd);
        free(p->halves[i].out);
        free(p->halves[i].in);
    }
    free(p);
}

struct stream *paced_stream(struct paced *p)
{
    return &p->stream;
}
