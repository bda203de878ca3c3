#include "bench/stream_paced.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 256 << 10, LAG_BURSTS = 4 };

/* Goes round two buffers of a burst each: a model is sent from all of its memory and received into
 * all of another's, not out of the same hot 256 KiB. */
struct half {
    struct paced *paced;
    int fd, side;
    uint8_t *out, *in;
    uint32_t out_at, in_at;
    pthread_t thread;
};

struct paced {
    struct stream stream;
    struct half halves[2];
    uint32_t burst;
    uint64_t period_us;
};

/* Bytes from here to the end of the buffer, a message at most. */
static uint32_t piece(const struct half *h, uint32_t at, uint64_t most)
{
    uint32_t left = h->paced->burst - at;
    left = left < MESSAGE ? left : MESSAGE;
    return most < left ? (uint32_t)most : left;
}

/* Returns the bytes that came. */
static uint64_t take_all(struct half *h)
{
    uint64_t sum = 0;
    ssize_t n;
    while ((n = recv(h->fd, h->in + h->in_at, piece(h, h->in_at, MESSAGE), MSG_DONTWAIT)) > 0) {
        sum += (uint64_t)n;
        h->in_at = (h->in_at + (uint32_t)n) % h->paced->burst;
    }
    return sum;
}

static uint64_t send_some(struct half *h, uint64_t owed)
{
    ssize_t n = 1;
    while (owed > 0 && n > 0) {
        n = send(h->fd, h->out + h->out_at, piece(h, h->out_at, owed), MSG_DONTWAIT | MSG_NOSIGNAL);
        owed -= n > 0 ? (uint64_t)n : 0;
        h->out_at = (h->out_at + (uint32_t)(n > 0 ? n : 0)) % h->paced->burst;
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
                                     .out = mem_alloc(burst_bytes, 1),
                                     .in = mem_alloc(burst_bytes, 1)};
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

uint64_t paced_work_us(const struct paced *p)
{
    return clock_us_of_thread(p->halves[0].thread) + clock_us_of_thread(p->halves[1].thread);
}

struct stream *paced_stream(struct paced *p)
{
    return &p->stream;
}
