#include "bench/stream.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "bench/processors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void stream_init(struct stream *s, void *sides)
{
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0 && pthread_cond_init(&s->opened, NULL) == 0);
    s->sides = sides;
}

void stream_set_open(struct stream *s, bool open)
{
    pthread_mutex_lock(&s->lock);
    s->open = open;
    pthread_cond_broadcast(&s->opened);
    pthread_mutex_unlock(&s->lock);
}

void stream_end(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_broadcast(&s->opened);
    pthread_mutex_unlock(&s->lock);
}

bool stream_pass(struct stream *s, uint64_t n)
{
    pthread_mutex_lock(&s->lock);
    if (s->open)
        s->n_messages += n;
    while (!s->open && !s->ending)
        pthread_cond_wait(&s->opened, &s->lock);
    bool ending = s->ending;
    pthread_mutex_unlock(&s->lock);
    return ending;
}

uint64_t stream_count(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t n = s->n_messages;
    pthread_mutex_unlock(&s->lock);
    return n;
}

double stream_window(struct stream *s, uint64_t window_us)
{
    stream_set_open(s, true);
    clock_sleep_until(clock_us() + window_us / 4); /* up to speed */
    uint64_t start_us = clock_us(), n = stream_count(s);
    clock_sleep_until(start_us + window_us);
    n = stream_count(s) - n;
    uint64_t took_us = clock_us() - start_us;
    stream_set_open(s, false);
    return (double)n * 1e6 / (double)took_us;
}

void stream_pin(int side)
{
    struct processors p;
    struct error err = {0};
    if (processors_get(&p, &err) != 0 ||
        ((uint32_t)side < p.n && processors_use(&p, (uint32_t)side, &err) != 0))
        log_warn("%s", err.text);
}

int stream_connect(int fd[2], struct error *err)
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
