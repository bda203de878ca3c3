/* Fuzzing a link by what comes in: the input is a program that writes frames, right and damaged,
 * and stray bytes, cut into pieces anywhere. Undamaged frames must arrive as they were sent and in
 * order, nothing damaged may, and everything lent must come back. */
#include "net/tcp_link.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FRAMES_MAX = 64, OUT_MAX = 1 << 18, FLOATS_MAX = 2048, TURNS_MAX = 10000 };

static uv_loop_t loop;
static struct tcp *tcp;
static float body[FLOATS_MAX];

static struct {
    const uint8_t *in, *end;
    int fd; /* the fuzzed peer's end */
    struct tcp_link *link;
    bool opened, closed, refuses, closes;
    uint32_t n_lent, n_received;
    struct wire_message sent[FRAMES_MAX];
    uint32_t n_sent, n_sound; /* frames, and those before the first damage */
    bool damaged, stray;      /* stray bytes may form a frame of their own */
    uint8_t out[OUT_MAX];
    uint32_t n_out, last; /* where the last frame starts */
} w;

static void opened(void *ctx, struct tcp_link *link)
{
    (void)ctx;
    (void)link;
    w.opened = true;
}

static void *lend(void *ctx, struct tcp_link *link, const struct wire_message *m)
{
    (void)ctx;
    if (w.closes)
        tcp_close(link, false, "told to");
    if (w.refuses)
        return NULL;
    w.n_lent++;
    return malloc(m->body_bytes); /* exactly: a byte more shows */
}

static void received(void *ctx, struct tcp_link *link, const struct wire_message *m, void *bytes)
{
    (void)ctx;
    (void)link;
    if (!w.stray) {
        CHECK(w.n_received < w.n_sound);
        CHECK(memcmp(m, &w.sent[w.n_received], sizeof *m) == 0);
        CHECK(bytes == NULL || memcmp(bytes, body, m->body_bytes) == 0);
    }
    w.n_received++;
    w.n_lent -= bytes != NULL;
    free(bytes);
}

static void dropped(void *ctx, struct tcp_link *link, void *bytes)
{
    (void)ctx;
    (void)link;
    w.n_lent--;
    free(bytes);
}

static void released(void *ctx, struct tcp_link *link, void *token, bool sent)
{
    (void)ctx;
    (void)link;
    (void)token;
    (void)sent;
}

static void closed(void *ctx, struct tcp_link *link, const char *reason)
{
    (void)ctx;
    (void)link;
    CHECK(reason[0] != '\0');
    w.closed = true;
}

static const struct tcp_ops ops = {opened, lend, received, dropped, released, closed};

static uint8_t next(void)
{
    return w.in < w.end ? *w.in++ : 0;
}

static uint32_t next16(void)
{
    uint32_t low = next();
    return low | (uint32_t)next() << 8;
}

static void append(const void *bytes, size_t n)
{
    n = n < OUT_MAX - w.n_out ? n : OUT_MAX - w.n_out;
    memcpy(w.out + w.n_out, bytes, n);
    w.n_out += (uint32_t)n;
}

static void write_frame(struct wire_message *m)
{
    uint8_t head[WIRE_HEAD_MAX];
    if (w.n_sent == FRAMES_MAX || OUT_MAX - w.n_out < sizeof head + m->body_bytes)
        return;
    size_t n = wire_encode(m, wire_body_sum(body, m->body_bytes), head);
    w.last = w.n_out;
    append(head, n);
    append(body, m->body_bytes);
    w.sent[w.n_sent++] = *m;
    w.n_sound += !w.damaged && !w.stray;
}

static void write_tensor(bool reply)
{
    uint32_t n = 1 + next16() % FLOATS_MAX;
    struct wire_message m;
    memset(&m, 0, sizeof m);
    m.kind = reply ? WIRE_REPLY : WIRE_REQUEST;
    m.id = next16();
    m.body_bytes = n * (uint32_t)sizeof(float);
    m.tensor.offset = next16();
    m.tensor.count = n;
    m.tensor.weight = 0.5f;
    m.tensor.mass = 1;
    write_frame(&m);
}

static void write_small(enum wire_kind kind)
{
    struct wire_message m;
    memset(&m, 0, sizeof m);
    m.kind = kind;
    if (kind == WIRE_DECLINE)
        m.id = next16();
    else if (kind == WIRE_STATUS)
        m.status.step = next16();
    else
        m.bye.text[0] = 'x';
    write_frame(&m);
}

/* Everything written so far, in pieces of `piece` bytes, the loop running in between. */
static void flush(uint32_t piece)
{
    for (uint32_t at = 0, turns = 0; at < w.n_out && !w.closed && turns < TURNS_MAX; turns++) {
        uint32_t n = w.n_out - at < piece ? w.n_out - at : piece;
        ssize_t put = send(w.fd, w.out + at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += put > 0 ? (uint32_t)put : 0;
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    w.n_out = w.last = 0;
}

static void damage(void)
{
    uint32_t at = next16(), bits = next();
    if (w.n_out == w.last || bits == 0) /* flushed, or damaged already */
        return;
    w.out[w.last + at % (w.n_out - w.last)] ^= (uint8_t)bits;
    if (!w.damaged && !w.stray)
        w.n_sound = w.n_sent - 1;
    w.damaged = true;
    w.last = w.n_out; /* twice could undo it */
}

static void write_stray(void)
{
    uint32_t n = next(), left = (uint32_t)(w.end - w.in);
    n = n < left ? n : left;
    w.stray |= n > 0;
    append(w.in, n);
    w.in += n;
    w.last = w.n_out;
}

static void step(void)
{
    switch (next() % 10) {
    case 0:
    case 1:
        write_tensor(next() % 2 == 0);
        break;
    case 2:
        write_small(WIRE_STATUS);
        break;
    case 3:
        write_small(WIRE_DECLINE);
        break;
    case 4:
        write_small(WIRE_BYE);
        break;
    case 5:
        write_stray();
        break;
    case 6:
        damage();
        break;
    case 7:
        w.refuses = next() % 2 == 0;
        break;
    case 8:
        flush(32 + next16());
        break;
    case 9:
        w.closes = next() % 8 == 0;
        break;
    }
}

static void start(void)
{
    if (tcp != NULL)
        return;
    CHECK(uv_loop_init(&loop) == 0);
    tcp = tcp_new(&loop, &ops, NULL, sizeof body);
    uint32_t never = 1u << 30;
    struct tcp_limits limits = {.links_max = 4,
                                .strangers_max = 4,
                                .hello_ms = never,
                                .silence_ms = never,
                                .frame_ms = never,
                                .drain_ms = never,
                                .tick_ms = 1000};
    tcp_set_limits(tcp, &limits);
    for (uint32_t i = 0; i < FLOATS_MAX; i++)
        body[i] = (float)i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd[2];
    start();
    memset(&w, 0, offsetof(__typeof__(w), out));
    w.n_out = w.last = 0;
    w.in = data;
    w.end = data + n;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    w.fd = fd[1];
    w.link = tcp_link_new(tcp, 1, LINK_CONNECTING);
    CHECK(uv_tcp_open(&w.link->handle, fd[0]) == 0);
    tcp_link_open(w.link);
    CHECK(w.opened);
    uint32_t turns = 0;
    while (w.in < w.end)
        step();
    flush(1 + n % 4096);
    for (; turns < 100; turns++)
        uv_run(&loop, UV_RUN_NOWAIT);
    if (!w.damaged && !w.stray && !w.closed)
        CHECK(w.n_received == w.n_sent);
    close(fd[1]);
    for (turns = 0; !w.closed && turns < TURNS_MAX; turns++)
        uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(w.closed && w.n_lent == 0 && tcp_n_links(tcp) == 0);
    return 0;
}
