#include "tests/support/tcp_sides.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Criterion's children end without the check for leaks that ASan makes at exit. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define N_LEAKS() __lsan_do_recoverable_leak_check()
#else
#define N_LEAKS() 0
#endif

uv_loop_t loop;
struct side a, b;
static uv_timer_t wake; /* so that a wait on the loop can look at the clock */

uint64_t sum_of(const void *bytes, size_t n)
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

void sides_freed(void *ctx)
{
    ((struct side *)ctx)->freed = true;
}

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

void run_for(uint64_t us)
{
    uint64_t start = clock_us();
    while (clock_us() - start < us)
        uv_run(&loop, UV_RUN_ONCE);
}

const struct tcp_limits quick = {.links_max = 8,
                                 .strangers_max = 8,
                                 .hello_ms = 200,
                                 .silence_ms = 300,
                                 .frame_ms = 400,
                                 .drain_ms = 100,
                                 .tick_ms = 20};

struct host_port at_loopback(uint16_t port)
{
    return (struct host_port){.host = "127.0.0.1", .port = port};
}

void sides_open(void)
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

void sides_close(void)
{
    if (!a.freed)
        tcp_free(a.tcp, sides_freed);
    if (!b.freed)
        tcp_free(b.tcp, sides_freed);
    WAIT(a.freed && b.freed);
    cr_assert(a.n_bodies == 0 && b.n_bodies == 0);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    cr_assert_eq(N_LEAKS(), 0);
}

void run_turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

void dial(void)
{
    struct host_port address = at_loopback(a.port);
    cr_assert(tcp_is_dialled(tcp_dial(b.tcp, &address)));
    WAIT(a.link != NULL && b.link != NULL);
}

struct wire_message status(uint64_t step)
{
    return (struct wire_message){.kind = WIRE_STATUS, .status = {.step = step}};
}

struct wire_message bye(void)
{
    return (struct wire_message){.kind = WIRE_BYE, .bye = {.reason = WIRE_BYE_DONE}};
}

struct wire_message reply(uint64_t id, uint32_t bytes)
{
    return (struct wire_message){.kind = WIRE_REPLY,
                                 .id = id,
                                 .body_bytes = bytes,
                                 .tensor = {.count = bytes / 4, .weight = 0.5f, .mass = 1}};
}

void send_status(struct side *s, uint64_t step)
{
    struct wire_message m = status(step);
    tcp_send_control(s->link, &m);
}

void send_reply(struct tcp_link *link, uint64_t id, const void *bytes, uint32_t n)
{
    struct wire_message m = reply(id, n);
    tcp_send_tensor(link, &m, bytes, wire_body_sum(bytes, n), (void *)(uintptr_t)id);
}

uint8_t *random_body(uint32_t n)
{
    uint8_t *bytes = mem_alloc(n, 1);
    for (uint32_t i = 0, x = 1; i < n; i++, x = x * 1664525 + 1013904223)
        bytes[i] = (uint8_t)(i % 4 == 3 ? 0x3f : x >> 24); /* as a float within 2 */
    return bytes;
}

void assert_released_once(const struct side *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        cr_assert_eq(s->released[i], 1, "token %u was released %u times", i, s->released[i]);
}

/* ---- raw clients -------------------------------------------------------------------------- */

int raw_dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(a.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void raw_send(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Waits for the other side to end, and reads the BYE before it. */
void raw_read_bye(int fd, struct wire_message *m)
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
