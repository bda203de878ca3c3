/* Two struct tcp on one loop, and raw sockets for hostile clients. */
#include "net/tcp.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/tcp_link.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(tcp, .timeout = 30);

enum { BODY_MAX = 1 << 24, LOG_FRAMES = 1024 };

/* What one side has seen. */
struct side {
    struct tcp *tcp;
    uint16_t port;
    struct tcp_link *link; /* the last one opened */
    struct wire_message log[LOG_FRAMES];
    uint32_t n_received, n_opened, n_closed, n_bodies, n_dropped, n_sent, n_unsent;
    uint32_t released[LOG_FRAMES]; /* by token */
    uint64_t body_sum;             /* of the last body */
    char reason[512];
    bool freed;

    bool refuse_bodies;
    void *(*on_body)(struct side *s, struct tcp_link *link);
    void (*on_opened)(struct side *s, struct tcp_link *link);
    void (*on_received)(struct side *s, struct tcp_link *link);
    void (*on_closed)(struct side *s);
};

static uv_loop_t loop;
static uv_timer_t wake; /* so that a wait on the loop can look at the clock */
static struct side a, b;

static uint64_t sum_of(const void *bytes, size_t n)
{
    uint64_t sum = n;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + ((const uint8_t *)bytes)[i];
    return sum;
}

static void opened(void *ctx, struct tcp_link *link)
{
    struct side *s = ctx;
    s->link = link;
    s->n_opened++;
    if (s->on_opened != NULL)
        s->on_opened(s, link);
}

static void *body(void *ctx, struct tcp_link *link, const struct wire_message *message)
{
    struct side *s = ctx;
    if (s->on_body != NULL)
        return s->on_body(s, link);
    if (s->refuse_bodies)
        return NULL;
    s->n_bodies++;
    return malloc(message->body_bytes); /* exactly: a byte more shows under ASan */
}

static void received(void *ctx, struct tcp_link *link, const struct wire_message *message,
                     void *bytes)
{
    struct side *s = ctx;
    if (s->n_received < LOG_FRAMES)
        s->log[s->n_received] = *message;
    s->n_received++;
    if (bytes != NULL) {
        s->n_bodies--;
        s->body_sum = sum_of(bytes, message->body_bytes);
        free(bytes);
    }
    if (s->on_received != NULL)
        s->on_received(s, link);
}

static void dropped(void *ctx, struct tcp_link *link, void *bytes)
{
    struct side *s = ctx;
    (void)link;
    s->n_bodies--;
    s->n_dropped++;
    free(bytes);
}

static void released(void *ctx, struct tcp_link *link, void *token, bool sent)
{
    struct side *s = ctx;
    (void)link;
    s->released[(uintptr_t)token]++;
    s->n_sent += sent;
    s->n_unsent += !sent;
}

static void closed(void *ctx, struct tcp_link *link, const char *reason)
{
    struct side *s = ctx;
    s->n_closed++;
    if (s->link == link)
        s->link = NULL;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    if (s->on_closed != NULL)
        s->on_closed(s);
}

static const struct tcp_ops ops = {opened, body, received, dropped, released, closed};

static void freed(void *ctx)
{
    ((struct side *)ctx)->freed = true;
}

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until the condition holds; the test fails after ten seconds. */
#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        uint64_t wait_start = clock_us();                                                          \
        while (!(cond) && clock_us() - wait_start < 10 * SECOND_US)                                \
            uv_run(&loop, UV_RUN_ONCE);                                                            \
        cr_assert((cond), "never came true: %s (reasons \"%s\", \"%s\")", #cond, a.reason,         \
                  b.reason);                                                                       \
    } while (0)

static void run_for(uint64_t us)
{
    uint64_t start = clock_us();
    while (clock_us() - start < us)
        uv_run(&loop, UV_RUN_ONCE);
}

static const struct tcp_limits quick = {.links_max = 8,
                                        .hello_ms = 200,
                                        .silence_ms = 300,
                                        .frame_ms = 400,
                                        .drain_ms = 100,
                                        .tick_ms = 20};

static struct host_port at_loopback(uint16_t port)
{
    return (struct host_port){.host = "127.0.0.1", .port = port};
}

static void setup(void)
{
    struct error err = {0};
    struct host_port any = at_loopback(0);
    cr_assert_eq(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &wake);
    uv_timer_start(&wake, on_wake, 2, 2);
    a.tcp = tcp_new(&loop, &ops, &a, BODY_MAX);
    b.tcp = tcp_new(&loop, &ops, &b, BODY_MAX);
    cr_assert_eq(tcp_listen(a.tcp, &any, &a.port, &err), 0, "%s", err.text);
}

/* Everything that was lent has come back and libuv holds nothing. */
static void teardown(void)
{
    if (!a.freed)
        tcp_free(a.tcp, freed);
    if (!b.freed)
        tcp_free(b.tcp, freed);
    WAIT(a.freed && b.freed);
    cr_assert(a.n_bodies == 0 && b.n_bodies == 0);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

#define TCP_TEST(name) Test(tcp, name, .init = setup, .fini = teardown)

static void dial(void)
{
    struct host_port address = at_loopback(a.port);
    cr_assert(tcp_is_dialled(tcp_dial(b.tcp, &address)));
    WAIT(a.link != NULL && b.link != NULL);
}

static struct wire_message status(uint64_t step)
{
    return (struct wire_message){.kind = WIRE_STATUS, .status = {.step = step}};
}

static struct wire_message bye(void)
{
    return (struct wire_message){.kind = WIRE_BYE, .bye = {.reason = WIRE_BYE_DONE}};
}

static struct wire_message reply(uint64_t id, uint32_t bytes)
{
    return (struct wire_message){.kind = WIRE_REPLY,
                                 .id = id,
                                 .body_bytes = bytes,
                                 .tensor = {.count = bytes / 4, .mass = 1}};
}

static void send_status(struct side *s, uint64_t step)
{
    struct wire_message m = status(step);
    tcp_send_control(s->link, &m);
}

static void send_reply(struct tcp_link *link, uint64_t id, const void *bytes, uint32_t n)
{
    struct wire_message m = reply(id, n);
    tcp_send_tensor(link, &m, bytes, (void *)(uintptr_t)id);
}

static uint8_t *random_body(uint32_t n)
{
    uint8_t *bytes = mem_alloc(n, 1);
    for (uint32_t i = 0, x = 1; i < n; i++, x = x * 1664525 + 1013904223)
        bytes[i] = (uint8_t)(x >> 24);
    return bytes;
}

static void assert_released_once(const struct side *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        cr_assert_eq(s->released[i], 1, "token %u was released %u times", i, s->released[i]);
}

/* ---- raw clients -------------------------------------------------------------------------- */

static int raw_dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(a.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void raw_send(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Waits for the other side to end, and reads the BYE before it. */
static void raw_read_bye(int fd, struct wire_message *m)
{
    uint8_t bytes[4096];
    size_t n = 0;
    struct wire_header header;
    struct error err = {0};
    ssize_t got = -1;
    uint64_t start = clock_us();
    while (got != 0 && clock_us() - start < 5 * SECOND_US) {
        uv_run(&loop, UV_RUN_ONCE);
        got = recv(fd, bytes + n, sizeof bytes - n, MSG_DONTWAIT);
        n += got > 0 ? (size_t)got : 0;
    }
    cr_assert_eq(got, 0, "no end after %zu bytes", n);
    cr_assert_geq(n, WIRE_HEADER_BYTES);
    cr_assert_eq(wire_decode_header(bytes, 0, &header, &err), 0, "%s", err.text);
    cr_assert_eq(n, WIRE_HEADER_BYTES + header.map_bytes);
    cr_assert_eq(wire_decode_map(&header, bytes + WIRE_HEADER_BYTES, m, &err), 0, "%s", err.text);
    cr_assert_eq(m->kind, WIRE_BYE);
}

#define REASON(side, fragment)                                                                     \
    cr_assert(strstr((side).reason, fragment), "\"%s\" lacks \"%s\"", (side).reason, fragment)

/* Sends bytes that break the protocol; the link must end with such a reason and a BYE. */
static void expect_broken(const uint8_t *bytes, size_t n, const char *fragment)
{
    struct wire_message m;
    uint32_t n_received = a.n_received, n_closed = a.n_closed;
    int fd = raw_dial();
    raw_send(fd, bytes, n);
    raw_read_bye(fd, &m);
    close(fd);
    WAIT(a.n_closed == n_closed + 1);
    REASON(a, fragment);
    cr_assert_eq(m.bye.reason, WIRE_BYE_PROTOCOL);
    cr_assert_str_eq(m.bye.text, a.reason);
    cr_assert_eq(a.n_received, n_received);
}

/* ---- frames ------------------------------------------------------------------------------- */

TCP_TEST(frames_both_ways_in_order)
{
    enum { ROUNDS = 200 };
    uint8_t *bytes = random_body(4 * ROUNDS);
    dial();
    send_status(&a, 7);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        send_reply(a.link, i, bytes, 4 * i);
        send_reply(b.link, i, bytes, 4 * i);
        struct wire_message decline = {.kind = WIRE_DECLINE, .id = ROUNDS + i};
        tcp_send_tensor(a.link, &decline, NULL, NULL);
        tcp_send_tensor(b.link, &decline, NULL, (void *)(uintptr_t)(ROUNDS + i));
        WAIT(a.n_sent + TCP_TENSORS_MAX / 4 > i && b.n_sent + TCP_TENSORS_MAX / 4 > 2 * i);
    }
    WAIT(a.n_received == 2 * ROUNDS && b.n_received == 2 * ROUNDS + 1);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const struct wire_message *m = &a.log[2 * i];
        cr_assert(m[0].kind == WIRE_REPLY && m[0].id == i + 1 && m[0].body_bytes == 4 * (i + 1));
        cr_assert(m[1].kind == WIRE_DECLINE && m[1].id == ROUNDS + i + 1);
    }
    cr_assert_eq(a.body_sum, sum_of(bytes, 4 * ROUNDS));
    cr_assert_eq(b.log[0].kind, WIRE_STATUS);
    cr_assert_eq(b.log[0].status.step, 7);
    WAIT(a.n_sent == ROUNDS && b.n_sent == 2 * ROUNDS);
    assert_released_once(&a, 1, ROUNDS);
    assert_released_once(&b, 1, 2 * ROUNDS);
    struct tcp_traffic ta = tcp_traffic(a.tcp), tb = tcp_traffic(b.tcp);
    cr_assert(ta.bytes_out == tb.bytes_in && ta.bytes_in == tb.bytes_out);
    cr_assert(ta.frames_out == 2 * ROUNDS + 1 && tb.frames_in == ta.frames_out);
    cr_assert(ta.frames_in == 2 * ROUNDS && tb.frames_out == ta.frames_in);
    free(bytes);
}

TCP_TEST(control_overtakes_waiting_tensors)
{
    enum { BYTES = 4 << 20, FRAMES = 6 };
    uint8_t *bytes = random_body(BYTES);
    dial();
    for (uint64_t i = 1; i <= FRAMES; i++)
        send_reply(b.link, i, bytes, BYTES);
    send_status(&b, 1);
    send_status(&b, 2);
    WAIT(a.n_received == FRAMES + 2);
    cr_assert_eq(a.log[0].id, 1);
    cr_assert(a.log[1].kind == WIRE_STATUS && a.log[1].status.step == 1);
    cr_assert(a.log[2].kind == WIRE_STATUS && a.log[2].status.step == 2);
    for (uint32_t i = 2; i <= FRAMES; i++)
        cr_assert_eq(a.log[i + 1].id, i);
    cr_assert_eq(a.body_sum, sum_of(bytes, BYTES));
    free(bytes);
}

TCP_TEST(largest_body)
{
    uint8_t *bytes = random_body(BODY_MAX);
    dial();
    send_reply(a.link, 1, bytes, BODY_MAX);
    WAIT(b.n_received == 1 && a.n_sent == 1);
    cr_assert_eq(b.body_sum, sum_of(bytes, BODY_MAX));
    free(bytes);
}

TCP_TEST(refused_body_is_skipped)
{
    enum { BYTES = 300000 };
    uint8_t *bytes = random_body(BYTES);
    dial();
    a.refuse_bodies = true;
    send_reply(b.link, 1, bytes, BYTES);
    send_reply(b.link, 2, bytes, 8);
    send_status(&b, 5);
    WAIT(a.n_received == 3);
    cr_assert(a.log[0].id == 1 && a.log[1].kind == WIRE_STATUS && a.log[2].id == 2);
    cr_assert_eq(a.body_sum, 0);
    a.refuse_bodies = false;
    send_reply(b.link, 3, bytes, BYTES);
    WAIT(a.n_received == 4);
    cr_assert_eq(a.body_sum, sum_of(bytes, BYTES));
    free(bytes);
}

TCP_TEST(frames_arrive_byte_by_byte)
{
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8}, head[WIRE_HEAD_MAX];
    struct wire_message messages[] = {status(3), reply(4, sizeof bytes), status(5)};
    int fd = raw_dial(), one = 1;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
    for (int i = 0; i < 3; i++) {
        size_t n_body = messages[i].body_bytes;
        size_t n = wire_encode(&messages[i], n_body > 0 ? bytes : NULL, head);
        memcpy(head + n, bytes, n_body);
        for (size_t j = 0; j < n + n_body; j++) {
            raw_send(fd, head + j, 1);
            uv_run(&loop, UV_RUN_NOWAIT);
        }
    }
    WAIT(a.n_received == 3);
    cr_assert(a.log[0].status.step == 3 && a.log[1].id == 4 && a.log[2].status.step == 5);
    cr_assert_eq(a.body_sum, sum_of(bytes, sizeof bytes));
    close(fd);
    WAIT(a.n_closed == 1);
    cr_assert_str_eq(a.reason, "closed by the other side");
}

/* ---- broken frames ------------------------------------------------------------------------ */

TCP_TEST(wrong_checksum_ends_the_link)
{
    uint8_t head[WIRE_HEAD_MAX] = {0};
    struct wire_message m = status(3);
    size_t n = wire_encode(&m, NULL, head);
    head[n - 1] ^= 1;
    expect_broken(head, n, "the checksum of a STATUS is wrong");

    m = reply(1, 400);
    uint8_t bytes[400] = {0};
    n = wire_encode(&m, bytes, head);
    head[n + 399] = 1;
    expect_broken(head, n + 400, "the checksum of a REPLY is wrong");
    cr_assert_eq(a.n_dropped, 1);

    a.refuse_bodies = true; /* also where nobody wants the body */
    expect_broken(head, n + 400, "the checksum of a REPLY is wrong");
    cr_assert_eq(a.n_dropped, 1);
}

TCP_TEST(garbage_ends_the_link)
{
    static const uint8_t http[] = "GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n";
    expect_broken(http, sizeof http - 1, "starts with 47 45 54 20, not with \"HUBB\"");

    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(3);
    size_t n = wire_encode(&m, NULL, head);
    head[4] = 9;
    expect_broken(head, n, "speaks protocol 9, we speak 1");

    m = reply(1, 0);
    m.tensor.count = 1;
    n = wire_encode(&m, NULL, head); /* a right checksum over a wrong map */
    expect_broken(head, n, "REPLY: body of 0 bytes, must be 4");
    uint32_t huge = BODY_MAX + 1;
    memcpy(head + 12, &huge, sizeof huge);
    expect_broken(head, n, "REPLY with a body of 16777217 bytes, at most 16777216");
}

TCP_TEST(cut_in_the_middle_of_a_body)
{
    uint8_t head[WIRE_HEAD_MAX], bytes[100] = {0};
    struct wire_message m = reply(1, sizeof bytes);
    size_t n = wire_encode(&m, bytes, head);
    int fd = raw_dial();
    raw_send(fd, head, n + 50);
    WAIT(a.n_bodies == 1);
    close(fd);
    WAIT(a.n_closed == 1);
    REASON(a, "closed by the other side in the middle of a frame");
    cr_assert(a.n_dropped == 1 && a.n_received == 0);
}

/* ---- time --------------------------------------------------------------------------------- */

TCP_TEST(silence_before_and_after_the_first_frame)
{
    tcp_set_limits(a.tcp, &quick);
    int fd = raw_dial();
    WAIT(a.n_closed == 1);
    REASON(a, "connected, but no whole frame for 0.2 s");
    close(fd);

    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(1);
    size_t n = wire_encode(&m, NULL, head);
    fd = raw_dial();
    for (int i = 0; i < 10; i++) { /* longer than any limit, but never silent */
        raw_send(fd, head, n);
        run_for(60 * MS_US);
    }
    cr_assert_eq(a.n_closed, 1);
    WAIT(a.n_closed == 2);
    REASON(a, "silent for 0.3 s");
    close(fd);
}

TCP_TEST(a_dripping_frame_is_cut)
{
    uint8_t head[WIRE_HEAD_MAX], bytes[1000] = {0};
    tcp_set_limits(a.tcp, &quick);
    struct wire_message hello = status(1), m = reply(1, sizeof bytes);
    int fd = raw_dial();
    raw_send(fd, head, wire_encode(&hello, NULL, head));
    raw_send(fd, head, wire_encode(&m, bytes, head));
    for (int i = 0; i < 100 && a.n_closed == 0; i++) {
        raw_send(fd, bytes, 1);
        run_for(30 * MS_US);
    }
    REASON(a, "sent one frame for 0.4 s");
    cr_assert(a.n_closed == 1 && a.n_dropped == 1);
    close(fd);
}

TCP_TEST(who_reads_nothing_is_cut)
{
    enum { BYTES = 8 << 20 };
    uint8_t *bytes = random_body(BYTES);
    int fd = raw_dial();
    WAIT(a.link != NULL);
    send_reply(a.link, 1, bytes, BYTES);
    run_for(20 * MS_US);
    for (int i = 0; i < 800 && a.link != NULL; i++) /* 48 bytes each */
        send_status(&a, 1000);
    WAIT(a.n_closed == 1);
    REASON(a, "reads nothing: 32736 bytes of control frames wait");
    assert_released_once(&a, 1, 1);
    close(fd);

    fd = raw_dial();
    WAIT(a.link != NULL);
    send_reply(a.link, 2, bytes, BYTES);
    struct wire_message decline = {.kind = WIRE_DECLINE, .id = 1};
    for (uintptr_t i = 3; i < TCP_TENSORS_MAX + 10; i++)
        tcp_send_tensor(a.link, &decline, NULL, (void *)i);
    WAIT(a.n_closed == 2);
    REASON(a, "reads nothing: too many tensor frames wait");
    assert_released_once(&a, 1, TCP_TENSORS_MAX + 9);
    close(fd);

    tcp_set_limits(a.tcp, &quick);
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(1);
    size_t n = wire_encode(&m, NULL, head);
    fd = raw_dial();
    WAIT(a.link != NULL);
    send_reply(a.link, 300, bytes, BYTES);
    while (a.n_closed == 2) { /* it sends well, but does not read */
        send(fd, head, n, MSG_NOSIGNAL);
        run_for(50 * MS_US);
    }
    REASON(a, "reads nothing for 0.4 s");
    close(fd);
    free(bytes);
}

/* ---- dialling ----------------------------------------------------------------------------- */

TCP_TEST(nobody_listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    struct host_port nobody = at_loopback(ntohs(address.sin_port));
    struct tcp_link *link = tcp_dial(b.tcp, &nobody);
    char expect[32];
    snprintf(expect, sizeof expect, "127.0.0.1:%u", nobody.port);
    cr_assert_str_eq(tcp_remote(link), expect);
    uint8_t word[4] = {0};
    struct wire_message m = reply(1, 4); /* sent too early, and never */
    tcp_send_tensor(link, &m, word, (void *)(uintptr_t)1);
    cr_assert_eq(b.n_closed, 0);
    WAIT(b.n_closed == 1);
    cr_assert_str_eq(b.reason, "connection refused: nobody listens there yet");
    cr_assert_eq(b.n_opened, 0);
    assert_released_once(&b, 1, 1);
    cr_assert_eq(tcp_n_links(b.tcp), 0);
    close(fd);
}

TCP_TEST(name_that_is_none)
{
    static const char *const names[] = {"no-such-peer.invalid", "", "a..b", "1.2.3.4.5",
                                        "this label is no name"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct host_port address = {.port = 7700};
        snprintf(address.host, sizeof address.host, "%s", names[i]);
        tcp_dial(b.tcp, &address);
        WAIT(b.n_closed == i + 1);
        REASON(b, i == 1 ? "" : "cannot resolve the name: ");
    }
    struct host_port longest = {.port = 1};
    memset(longest.host, 'x', sizeof longest.host - 1);
    tcp_dial(b.tcp, &longest);
    WAIT(b.n_closed == sizeof names / sizeof names[0] + 1);
    REASON(b, "cannot resolve the name: ");
}

/* localhost may be ::1 first, where nobody listens. */
TCP_TEST(every_address_of_a_name_is_tried)
{
    struct host_port address = {.host = "localhost", .port = a.port};
    tcp_dial(b.tcp, &address);
    WAIT(b.link != NULL && a.link != NULL);
    send_status(&b, 1);
    WAIT(a.n_received == 1);
    cr_assert(strncmp(tcp_remote(a.link), "127.0.0.1:", 10) == 0, "%s", tcp_remote(a.link));
    cr_assert(strncmp(tcp_remote(b.link), "localhost:", 10) == 0, "%s", tcp_remote(b.link));
    cr_assert(!tcp_is_dialled(a.link));
}

TCP_TEST(port_in_use)
{
    struct error err;
    struct host_port taken = at_loopback(a.port), nowhere = {.host = "192.0.2.1"};
    struct host_port nobody = {.host = "no-such-host.invalid"};
    char expect[64];
    uint16_t port;
    snprintf(expect, sizeof expect, "127.0.0.1:%u: address already in use: another", a.port);
    cr_assert_eq(tcp_listen(b.tcp, &taken, &port, &err), ERR_FAILURE);
    cr_assert(strstr(err.text, expect), "%s", err.text);
    cr_assert_eq(tcp_listen(b.tcp, &nowhere, &port, &err), ERR_FAILURE);
    cr_assert(strstr(err.text, "192.0.2.1:0: address not available: no such"), "%s", err.text);
    cr_assert_eq(tcp_listen(b.tcp, &nobody, &port, &err), ERR_FAILURE);
    cr_assert(strstr(err.text, "check the name"), "%s", err.text);
    taken.port = 0; /* and then it can still listen elsewhere */
    cr_assert_eq(tcp_listen(b.tcp, &taken, &port, &err), 0);
    cr_assert_neq(port, a.port);
}

TCP_TEST(one_link_too_many_is_told_busy)
{
    tcp_set_limits(a.tcp, &(struct tcp_limits){.links_max = 2,
                                               .hello_ms = 5000,
                                               .silence_ms = 5000,
                                               .frame_ms = 5000,
                                               .drain_ms = 1000,
                                               .tick_ms = 20});
    int first = raw_dial(), second = raw_dial();
    WAIT(a.n_opened == 2);
    int third = raw_dial();
    struct wire_message m;
    raw_send(third, "HUBB", 4); /* unread bytes must not cost it the BYE */
    raw_read_bye(third, &m);
    cr_assert_eq(m.bye.reason, WIRE_BYE_BUSY);
    cr_assert_str_eq(m.bye.text, "all 2 links are taken");
    cr_assert(a.n_opened == 2 && a.n_closed == 0 && tcp_n_links(a.tcp) == 2);
    close(first);
    WAIT(a.n_closed == 1);
    int fourth = raw_dial();
    WAIT(a.n_opened == 3);

    int flood[2 * TCP_REFUSED_MAX]; /* more than are told so */
    for (int i = 0; i < 2 * TCP_REFUSED_MAX; i++)
        flood[i] = raw_dial();
    run_for(100 * MS_US);
    cr_assert_leq(a.tcp->n_refused, TCP_REFUSED_MAX);
    cr_assert_gt(a.tcp->n_refused, 0);
    WAIT(a.tcp->n_refused == 0);
    for (int i = 0; i < 2 * TCP_REFUSED_MAX; i++)
        close(flood[i]);
    cr_assert(a.n_opened == 3 && tcp_n_links(a.tcp) == 2);
    close(second);
    close(third);
    close(fourth);
}

/* ---- closing ------------------------------------------------------------------------------ */

TCP_TEST(closing_while_writing_releases_each_token_once)
{
    enum { BYTES = 8 << 20, FRAMES = 10 };
    uint8_t *bytes = random_body(BYTES);
    int fd = raw_dial();
    WAIT(a.link != NULL);
    for (uint64_t i = 1; i <= FRAMES; i++)
        send_reply(a.link, i, bytes, BYTES);
    run_for(20 * MS_US); /* the socket is full: one frame has begun */
    cr_assert(a.link->writing && a.link->sending);
    struct tcp_link *link = a.link;
    tcp_close(link, false, "enough");
    tcp_close(link, false, "of no effect");
    send_reply(link, FRAMES + 1, bytes, BYTES);
    send_status(&a, 1);
    cr_assert(a.n_unsent == 0 && a.n_closed == 0, "called from inside");
    WAIT(a.n_closed == 1);
    cr_assert_str_eq(a.reason, "enough");
    cr_assert(a.n_unsent == FRAMES + 1 && a.n_sent == 0);
    assert_released_once(&a, 1, FRAMES + 1);
    close(fd);
    free(bytes);
}

TCP_TEST(draining_ends_the_frame_begun_and_says_goodbye)
{
    enum { BYTES = 8 << 20 };
    uint8_t *bytes = random_body(BYTES);
    dial();
    struct tcp_link *link = a.link;
    for (uint64_t i = 1; i <= 3; i++)
        send_reply(link, i, bytes, BYTES);
    struct wire_message m = bye();
    tcp_send_control(link, &m);
    tcp_close(link, true, "over");
    send_status(&a, 1); /* too late */
    WAIT(b.n_closed == 1 && a.n_closed == 1);
    cr_assert_eq(b.n_received, 2);
    cr_assert(b.log[0].id == 1 && b.log[1].kind == WIRE_BYE);
    cr_assert_eq(b.body_sum, sum_of(bytes, BYTES));
    cr_assert_str_eq(b.reason, "closed by the other side");
    cr_assert_str_eq(a.reason, "over");
    cr_assert(a.n_sent == 1 && a.n_unsent == 2);
    assert_released_once(&a, 1, 3);
    free(bytes);
}

TCP_TEST(draining_to_who_does_not_read_ends_in_time)
{
    enum { BYTES = 8 << 20 };
    uint8_t *bytes = random_body(BYTES);
    tcp_set_limits(a.tcp, &quick);
    int fd = raw_dial();
    WAIT(a.link != NULL);
    send_reply(a.link, 1, bytes, BYTES);
    struct wire_message m = bye();
    tcp_send_control(a.link, &m);
    uint64_t start = clock_us();
    tcp_close(a.link, true, "over");
    WAIT(a.n_closed == 1);
    cr_assert_geq(clock_us() - start, 80 * MS_US);
    cr_assert_str_eq(a.reason, "over");
    assert_released_once(&a, 1, 1);
    close(fd);
    free(bytes);
}

static void close_now(struct side *s, struct tcp_link *link)
{
    (void)s;
    tcp_close(link, false, "closed inside");
}

static void *close_in_body(struct side *s, struct tcp_link *link)
{
    tcp_close(link, false, "closed inside");
    s->n_bodies++;
    return malloc(4096);
}

TCP_TEST(callbacks_may_close_their_link)
{
    uint8_t bytes[4096] = {0};
    struct host_port address = at_loopback(a.port);
    a.on_opened = close_now;
    tcp_dial(b.tcp, &address);
    WAIT(a.n_closed == 1 && b.n_closed == 1);
    cr_assert_str_eq(a.reason, "closed inside");

    a.on_opened = NULL;
    a.on_received = close_now;
    dial();
    for (uint64_t i = 0; i < 20; i++)
        send_status(&b, i);
    WAIT(a.n_closed == 2 && b.n_closed == 2);
    cr_assert_eq(a.n_received, 1, "nothing after tcp_close");

    a.on_received = NULL;
    a.on_body = close_in_body;
    dial();
    send_reply(b.link, 1, bytes, sizeof bytes);
    WAIT(a.n_closed == 3 && b.n_closed == 3);
    cr_assert(a.n_received == 1 && a.n_dropped == 1);
}

static void free_now(struct side *s, struct tcp_link *link)
{
    (void)link;
    if (s->n_received == 1)
        tcp_free(s->tcp, freed);
}

static void free_when_closed(struct side *s)
{
    tcp_free(s->tcp, freed);
}

TCP_TEST(callbacks_may_free_everything)
{
    dial();
    a.on_received = free_now;
    b.on_closed = free_when_closed;
    for (uint64_t i = 0; i < 20; i++)
        send_status(&b, i);
    WAIT(a.freed && b.freed);
    cr_assert(a.n_received == 1 && a.n_closed == 1 && b.n_closed == 1);
}

/* A listener whose queue is full answers no SYN. */
static uint16_t black_hole(int fds[4])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    for (int i = 0; i < 4; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fds[0], (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fds[0], 0), 0);
    cr_assert_eq(getsockname(fds[0], (struct sockaddr *)&address, &length), 0);
    for (int i = 1; i < 4; i++)
        (void)!connect(fds[i], (struct sockaddr *)&address, length);
    return ntohs(address.sin_port);
}

TCP_TEST(dialling_into_a_black_hole_ends_in_time)
{
    int fds[4];
    struct host_port address = at_loopback(black_hole(fds));
    tcp_set_limits(b.tcp, &quick);
    tcp_dial(b.tcp, &address);
    run_for(100 * MS_US);
    cr_assert_eq(b.n_closed, 0);
    WAIT(b.n_closed == 1);
    REASON(b, "connection timed out: the machine is down");
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

TCP_TEST(freeing_with_links_in_every_state)
{
    enum { BYTES = 8 << 20, NAMES = 8 };
    int fds[4];
    uint8_t *bytes = random_body(BYTES), head[WIRE_HEAD_MAX];
    struct host_port hole = at_loopback(black_hole(fds)), name = {.host = "localhost", .port = 1};
    dial(); /* open, both */

    int half = raw_dial(), slow = raw_dial(), draining = raw_dial(); /* accepted in this order */
    WAIT(a.n_opened == 4);
    struct wire_message m = reply(1, 4000);
    raw_send(half, head, wire_encode(&m, bytes, head));
    WAIT(a.n_bodies == 1);
    struct tcp_link *last = a.link, *before = a.link->next;
    send_reply(before, 1, bytes, BYTES);
    send_reply(last, 2, bytes, BYTES);
    run_for(10 * MS_US);
    tcp_close(last, true, "draining");
    cr_assert_eq(last->state, LINK_DRAINING);

    struct tcp_link *connecting = tcp_dial(b.tcp, &hole);
    run_for(5 * MS_US);
    cr_assert_eq(connecting->state, LINK_CONNECTING);
    for (int i = 0; i < NAMES; i++) /* more than libuv has threads: some are running, some wait */
        cr_assert_eq(tcp_dial(b.tcp, &name)->state, LINK_RESOLVING);
    struct tcp_link *closing = tcp_dial(b.tcp, &name);
    tcp_close(closing, false, "at once");

    tcp_free(a.tcp, freed);
    tcp_free(b.tcp, freed);
    cr_assert(!a.freed && !b.freed && a.n_closed == 0 && b.n_closed == 0);
    WAIT(a.freed && b.freed);
    cr_assert_eq(a.n_closed, 4);
    cr_assert_eq(b.n_closed, 1 + 1 + NAMES + 1);
    cr_assert_eq(a.n_dropped, 1);
    assert_released_once(&a, 1, 2);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(half);
    close(slow);
    close(draining);
    free(bytes);
}

/* 10,000 idle links in 16 MiB is where this is to go. */
TCP_TEST(an_idle_link_is_small)
{
    uint8_t bytes[4096] = {0};
    dial();
    for (uint64_t i = 1; i <= 4; i++)
        send_reply(a.link, i, bytes, sizeof bytes);
    for (uint64_t i = 1; i <= 4; i++)
        send_status(&a, i);
    WAIT(b.n_received == 8);
    cr_assert(a.link->control == NULL && a.link->frame == NULL && b.link->frame == NULL);
    size_t bytes_each = sizeof *a.link + a.link->items_cap * sizeof *a.link->items;
    cr_assert_leq(bytes_each, 1600);
}
