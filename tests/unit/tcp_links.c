/* How links come to be and how they end. */
#include "net/tcp.h"

#include "net/tcp_link.h"
#include "tests/support/tcp_sides.h"

#include <criterion/criterion.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(tcp_links, .timeout = 30);

#define LINKS_TEST(name) SIDES_TEST(tcp_links, name)

/* ---- dialling ----------------------------------------------------------------------------- */

LINKS_TEST(nobody_listens)
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
    tcp_send_tensor(link, &m, word, wire_body_sum(word, m.body_bytes), (void *)(uintptr_t)1);
    cr_assert_eq(b.n_closed, 0);
    WAIT(b.n_closed == 1);
    cr_assert_str_eq(b.reason, "connection refused: nobody listens there yet");
    cr_assert_eq(b.n_opened, 0);
    assert_released_once(&b, 1, 1);
    cr_assert_eq(tcp_n_links(b.tcp), 0);
    close(fd);
}

LINKS_TEST(name_that_is_none)
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

static void append_address(struct tcp_link *link, uint16_t port)
{
    char service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *more;
    snprintf(service, sizeof service, "%u", port);
    cr_assert_eq(getaddrinfo("127.0.0.1", service, &hints, &more), 0);
    struct addrinfo *last = link->addresses;
    while (last->ai_next != NULL)
        last = last->ai_next;
    last->ai_next = more;
}

LINKS_TEST(every_address_of_a_name_is_tried)
{
    int fds[4];
    uint16_t hole = black_hole(fds);
    struct host_port nobody = at_loopback(1);
    tcp_set_limits(b.tcp, &quick);
    struct tcp_link *link = tcp_dial(b.tcp, &nobody);
    append_address(link, hole);
    append_address(link, 1);
    append_address(link, a.port);
    WAIT(a.n_opened == 1 && b.n_opened == 1);
    cr_assert(b.n_closed == 0 && b.link == link);
    cr_assert_null(link->addresses);

    link = tcp_dial(b.tcp, &nobody);
    append_address(link, 1);
    WAIT(b.n_closed == 1);
    REASON(b, "connection refused");
    link = tcp_dial(b.tcp, &nobody);
    append_address(link, hole);
    tcp_dial_next(link, UV_ETIMEDOUT);
    cr_assert_eq(link->state, LINK_RETRYING);
    tcp_close(link, false, "between two addresses");
    WAIT(b.n_closed == 2);
    REASON(b, "between two addresses");
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

LINKS_TEST(names_are_resolved)
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

LINKS_TEST(port_in_use)
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

static void limit_links(uint32_t links_max, uint32_t strangers_max)
{
    tcp_set_limits(a.tcp, &(struct tcp_limits){.links_max = links_max,
                                               .strangers_max = strangers_max,
                                               .hello_ms = 5000,
                                               .silence_ms = 5000,
                                               .frame_ms = 5000,
                                               .drain_ms = 1000,
                                               .tick_ms = 20});
}

/* A connection over which a whole frame has come. */
static int raw_peer(void)
{
    uint32_t before = a.n_received;
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(1);
    int fd = raw_dial();
    raw_send(fd, head, wire_encode(&m, 0, head));
    WAIT(a.n_received == before + 1);
    return fd;
}

static bool is_ended(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Who comes and says nothing keeps nobody out, and drives out no peer. */
LINKS_TEST(the_oldest_stranger_makes_room)
{
    static const uint32_t links_max[] = {16, 6}; /* too many strangers; too many links */
    for (int i = 0; i < 2; i++) {
        int strangers[6], peers[3];
        WAIT(tcp_n_links(a.tcp) == 0);
        uint32_t opened = a.n_opened, closed = a.n_closed;
        limit_links(links_max[i], i == 0 ? 4 : 16);
        for (int k = 0; k < 2; k++)
            peers[k] = raw_peer();
        for (int k = 0; k < 4; k++)
            strangers[k] = raw_dial();
        WAIT(a.n_opened == opened + 6);
        run_for(20 * MS_US);
        cr_assert_eq(a.n_closed, closed, "there is room for these");
        strangers[4] = raw_dial();
        WAIT(a.n_closed == closed + 1);
        REASON(a, "no whole frame before 4 others");
        cr_assert(is_ended(strangers[0]) && !is_ended(strangers[1]));
        peers[2] = raw_peer();
        WAIT(a.n_closed == closed + 2);
        strangers[5] = raw_dial();
        WAIT(a.n_closed == closed + 2 + (uint32_t)i);
        cr_assert(is_ended(strangers[1]) && !is_ended(strangers[3]) && !is_ended(strangers[5]));
        for (int k = 0; k < 3; k++)
            cr_assert(!is_ended(peers[k]));
        for (int k = 0; k < 6; k++)
            close(strangers[k]);
        for (int k = 0; k < 3; k++)
            close(peers[k]);
    }
}

/* While connections come without end, links are read. */
LINKS_TEST(a_flood_of_connections_starves_no_link)
{
    enum { FLOOD = 4 * TCP_ACCEPTS_MAX };
    int peer = raw_peer(), flood[FLOOD];
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(2);
    for (int i = 0; i < FLOOD; i++)
        flood[i] = raw_dial();
    raw_send(peer, head, wire_encode(&m, 0, head));
    uv_run(&loop, UV_RUN_ONCE);
    for (int i = 0; i < 3 && a.n_received < 2; i++)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(a.n_received, 2);
    cr_assert_lt(a.n_opened, FLOOD, "accepted one by one, not all at once");
    WAIT(a.n_opened == 1 + FLOOD);
    for (int i = 0; i < FLOOD; i++)
        close(flood[i]);
    close(peer);
}

LINKS_TEST(links_leave_files_for_others)
{
    struct rlimit before, few = {.rlim_cur = TCP_FILES_KEPT + 10};
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct tcp *tcp = tcp_new(a.tcp->loop, a.tcp->ops, &b, BODY_MAX);
    cr_assert_eq(tcp->limits.links_max, 10);
    few.rlim_cur = 5;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct tcp *least = tcp_new(a.tcp->loop, a.tcp->ops, &b, BODY_MAX);
    cr_assert_eq(least->limits.links_max, 1);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    tcp_free(tcp, NULL);
    tcp_free(least, NULL);
}

LINKS_TEST(one_link_too_many_is_told_busy)
{
    limit_links(2, 2);
    int first = raw_peer(), second = raw_peer();
    cr_assert_eq(a.n_opened, 2);
    int third = raw_dial();
    struct wire_message m;
    raw_send(third, "HUBB", 4); /* unread bytes must not cost it the BYE */
    raw_read_bye(third, &m);
    cr_assert_eq(m.bye.reason, WIRE_BYE_BUSY);
    cr_assert_str_eq(m.bye.text, "all 2 links are taken");
    cr_assert(a.n_opened == 2 && a.n_closed == 0 && tcp_n_links(a.tcp) == 2);
    close(first);
    WAIT(a.n_closed == 1);
    int fourth = raw_peer();
    cr_assert_eq(a.n_opened, 3);

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

LINKS_TEST(closing_while_writing_releases_each_token_once)
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

LINKS_TEST(draining_ends_the_frame_begun_and_says_goodbye)
{
    enum { BYTES = 8 << 20 };
    uint8_t *bytes = random_body(BYTES);
    dial();
    struct tcp_link *link = a.link;
    for (uint64_t i = 1; i <= 3; i++)
        send_reply(link, i, bytes, BYTES);
    run_turn();
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

LINKS_TEST(freeing_lets_a_goodbye_out)
{
    enum { BYTES = 8 << 20 };
    uint8_t *bytes = random_body(BYTES);
    dial();
    send_reply(a.link, 1, bytes, BYTES);
    run_turn();
    struct wire_message m = bye();
    tcp_send_control(a.link, &m);
    tcp_close(a.link, true, "over");
    tcp_free(a.tcp, sides_freed);
    WAIT(a.freed && b.n_closed == 1);
    cr_assert(b.n_received == 2 && b.log[1].kind == WIRE_BYE && a.n_sent == 1);
    free(bytes);
}

LINKS_TEST(draining_to_who_does_not_read_ends_in_time)
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

LINKS_TEST(callbacks_may_close_their_link)
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
        tcp_free(s->tcp, sides_freed);
}

static void free_when_closed(struct side *s)
{
    tcp_free(s->tcp, sides_freed);
}

LINKS_TEST(callbacks_may_free_everything)
{
    dial();
    a.on_received = free_now;
    b.on_closed = free_when_closed;
    for (uint64_t i = 0; i < 20; i++)
        send_status(&b, i);
    WAIT(a.freed && b.freed);
    cr_assert(a.n_received == 1 && a.n_closed == 1 && b.n_closed == 1);
}

LINKS_TEST(dialling_into_a_black_hole_ends_in_time)
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

LINKS_TEST(freeing_with_links_in_every_state)
{
    enum { BYTES = 8 << 20, NAMES = 8 };
    int fds[4];
    uint8_t *bytes = random_body(BYTES), head[WIRE_HEAD_MAX];
    struct host_port hole = at_loopback(black_hole(fds)), name = {.host = "localhost", .port = 1};
    dial(); /* open, both */

    int half = raw_dial(), slow = raw_dial(), draining = raw_dial(); /* accepted in this order */
    WAIT(a.n_opened == 4);
    struct wire_message m = reply(1, 4000);
    raw_send(half, head, wire_encode(&m, wire_body_sum(bytes, m.body_bytes), head));
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

    tcp_free(a.tcp, sides_freed);
    tcp_free(b.tcp, sides_freed);
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
LINKS_TEST(an_idle_link_is_small)
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
