/* What goes over a link, and how long it may take. */
#include "net/tcp.h"

#include "base/mem.h"
#include "net/tcp_link.h"
#include "tests/support/tcp_sides.h"

#include <criterion/criterion.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(tcp, .timeout = 30);

#define TCP_TEST(name) SIDES_TEST(tcp, name)

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
        tcp_send_tensor(a.link, &decline, NULL, 0, NULL);
        tcp_send_tensor(b.link, &decline, NULL, 0, (void *)(uintptr_t)(ROUNDS + i));
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

static const uint8_t at_turn_bytes[4] = {1, 2, 3, 4};
static bool turn_sends;

static void at_turn(void *side)
{
    struct side *s = side;
    if (turn_sends)
        send_reply(s->link, 1, at_turn_bytes, sizeof at_turn_bytes);
    turn_sends = false;
}

TCP_TEST(what_the_end_of_a_turn_sends_leaves_with_it)
{
    dial();
    tcp_set_turn(b.tcp, at_turn);
    turn_sends = true;
    run_turn();
    cr_assert(!turn_sends && b.n_sent == 1);
    WAIT(a.n_received == 1);
    cr_assert_eq(a.body_sum, sum_of(at_turn_bytes, sizeof at_turn_bytes));
}

static int send_bytes_of(const struct tcp_link *link)
{
    int bytes = 0;
    cr_assert_eq(uv_send_buffer_size((uv_handle_t *)(uintptr_t)&link->handle, &bytes), 0);
    return bytes;
}

/* Linux doubles what is asked for, and counts its own overhead with it. */
TCP_TEST(within_a_machine_little_is_under_way)
{
    dial();
    cr_assert_leq(send_bytes_of(a.link), 2 * TCP_LOCAL_SEND_BYTES);
    cr_assert_leq(send_bytes_of(b.link), 2 * TCP_LOCAL_SEND_BYTES);
}

TCP_TEST(control_overtakes_waiting_tensors)
{
    enum { BYTES = 4 << 20, FRAMES = 6 };
    uint8_t *bytes = random_body(BYTES);
    dial();
    for (uint64_t i = 1; i <= FRAMES; i++)
        send_reply(b.link, i, bytes, BYTES);
    run_turn();
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

/* The steps of the STATUS frames in bytes[0..n) must count on from *step; returns what is left of
 * the last frame, moved to the front. */
static size_t take_statuses(uint8_t *bytes, size_t n, uint64_t *step)
{
    size_t at = 0;
    struct wire_header header;
    struct wire_message m;
    struct error err = {0};
    while (n - at >= WIRE_HEADER_BYTES) {
        cr_assert_eq(wire_decode_header(bytes + at, 0, &header, &err), 0, "%s", err.text);
        if (n - at < WIRE_HEADER_BYTES + header.map_bytes)
            break;
        at += WIRE_HEADER_BYTES;
        cr_assert_eq(wire_decode_map(&header, bytes + at, &m, &err), 0, "%s", err.text);
        cr_assert_eq(m.status.step, (*step)++);
        at += header.map_bytes;
    }
    memmove(bytes, bytes + at, n - at);
    return n - at;
}

/* Waiting control frames go round their ring, also while a part of them is being written. */
TCP_TEST(control_frames_wait_in_order)
{
    enum { FRAMES = 4000 };
    int fd = raw_dial(), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    WAIT(a.link != NULL);
    uv_send_buffer_size((uv_handle_t *)&a.link->handle, &small);
    uint64_t sent = 0, step = 0;
    uint8_t bytes[8192];
    size_t n = 0;
    bool wrapped = false;
    while (step < FRAMES) {
        while (sent < FRAMES && (a.link->control == NULL || a.link->control->n < 30000))
            send_status(&a, sent++);
        const struct tcp_ring *ring = a.link->control;
        wrapped |= ring != NULL && ring->start + ring->n > TCP_CONTROL_BYTES;
        run_for(100);
        ssize_t got = recv(fd, bytes + n, sizeof bytes - n, MSG_DONTWAIT);
        n = take_statuses(bytes, n + (got > 0 ? (size_t)got : 0), &step);
    }
    WAIT(a.link->control == NULL);
    cr_assert(wrapped, "the ring was never full: the test shows nothing");
    close(fd);
}

/* Everything that a raw client got until it has n bytes. */
static void raw_read(int fd, uint8_t *bytes, size_t n)
{
    uint64_t start = clock_us();
    for (size_t at = 0; at < n;) {
        uv_run(&loop, UV_RUN_NOWAIT);
        ssize_t got = recv(fd, bytes + at, n - at, MSG_DONTWAIT);
        at += got > 0 ? (size_t)got : 0;
        cr_assert_lt(clock_us() - start, 10 * SECOND_US, "%zu bytes came, of %zu", at, n);
    }
}

TCP_TEST(frames_of_a_turn_say_what_follows)
{
    static const uint32_t sizes[] = {400, 2000, 4, 0};
    enum { N_FRAMES = sizeof sizes / sizeof sizes[0] };
    static uint8_t got[N_FRAMES * WIRE_HEAD_MAX + 4096];
    uint8_t *bytes = random_body(2000);
    int fd = raw_dial();
    WAIT(a.link != NULL);
    for (uint32_t i = 0; i < N_FRAMES; i++) {
        struct wire_message m = reply(i + 1, sizes[i]);
        if (sizes[i] == 0)
            m = (struct wire_message){.kind = WIRE_DECLINE, .id = i + 1};
        tcp_send_tensor(a.link, &m, bytes, wire_body_sum(bytes, sizes[i]), (void *)(uintptr_t)1);
    }
    cr_assert_eq(recv(fd, got, 1, MSG_DONTWAIT), -1, "they leave together");
    uint64_t more[N_FRAMES] = {0}, follows[N_FRAMES] = {0};
    for (uint32_t i = 0; i < N_FRAMES; i++) {
        struct wire_header header;
        struct wire_message m;
        struct error err;
        raw_read(fd, got, WIRE_HEADER_BYTES);
        cr_assert_eq(wire_decode_header(got, 4096, &header, &err), 0, "%s", err.text);
        cr_assert_eq(header.id, i + 1);
        raw_read(fd, got + WIRE_HEADER_BYTES, header.map_bytes + header.body_bytes);
        cr_assert_eq(wire_decode_map(&header, got + WIRE_HEADER_BYTES, &m, &err), 0);
        more[i] = m.kind == WIRE_REPLY ? m.tensor.more : 0;
        for (uint32_t j = 0; j < i; j++)
            follows[j] += WIRE_HEADER_BYTES + header.map_bytes + header.body_bytes;
    }
    for (uint32_t i = 0; i < N_FRAMES; i++) {
        cr_assert_leq(more[i], follows[i], "who waits for more than comes waits in vain");
        cr_assert_geq(more[i] + 64 * N_FRAMES, follows[i]);
    }
    close(fd);
    free(bytes);
}

/* It says that a megabyte follows, and then sends something else, or nothing. */
TCP_TEST(a_promise_that_is_not_kept)
{
    uint8_t *bytes = random_body(8), head[WIRE_HEAD_MAX];
    tcp_set_limits(a.tcp, &quick);
    tcp_set_patient(a.tcp, true);
    int fd = raw_dial();
    WAIT(a.link != NULL);
    for (uint32_t i = 0; i < 3; i++) {
        struct wire_message m = reply(1, 8);
        m.tensor.more = 1 << 20;
        raw_send(fd, head, wire_encode(&m, wire_body_sum(bytes, 8), head));
        raw_send(fd, bytes, 8);
        WAIT(a.n_received == 2 * i + 1);
        run_turn();
        m = status(i);
        raw_send(fd, head, wire_encode(&m, 0, head));
        WAIT(a.n_received == 2 * i + 2);
        cr_assert_eq(a.log[2 * i + 1].status.step, i);
    }
    cr_assert_eq(a.n_closed, 0);
    close(fd);
    WAIT(a.n_closed == 1);
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
    run_turn();
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
        size_t n = wire_encode(&messages[i], wire_body_sum(bytes, n_body), head);
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

TCP_TEST(wrong_checksum_ends_the_link)
{
    uint8_t head[WIRE_HEAD_MAX] = {0};
    struct wire_message m = status(3);
    size_t n = wire_encode(&m, 0, head);
    head[n - 1] ^= 1;
    expect_broken(head, n, "the checksum of a STATUS is wrong");

    m = reply(1, 400);
    uint8_t bytes[400] = {0};
    n = wire_encode(&m, wire_body_sum(bytes, m.body_bytes), head);
    head[n + 399] = 1;
    expect_broken(head, n + 400, "the checksum of a REPLY is wrong");
    cr_assert_eq(a.n_dropped, 1);

    a.refuse_bodies = true; /* also where nobody wants the body */
    expect_broken(head, n + 400, "the checksum of a REPLY is wrong");
    cr_assert_eq(a.n_dropped, 1);
}

/* Wherever the one element lies that is no weight, also where it comes in two pieces. */
TCP_TEST(what_is_no_weight_ends_the_link)
{
    enum { FLOATS = 40000 };
    static const float bad[] = {NAN, -INFINITY, 1e30f, -1.01f * WIRE_ELEMENT_MAX};
    static const uint32_t at[] = {0, TCP_PIECE_BYTES / 4, 32767, FLOATS - 1};
    struct wire_message m = reply(1, FLOATS * sizeof(float));
    uint8_t *bytes = mem_alloc(WIRE_HEAD_MAX + m.body_bytes, 1);
    for (int i = 0; i < 5; i++) {
        float *body = MEM_NEW(float, FLOATS);
        for (uint32_t j = 0; j < FLOATS; j++)
            body[j] = j % 2 == 0 ? WIRE_ELEMENT_MAX : -WIRE_ELEMENT_MAX;
        if (i < 4)
            body[at[i]] = bad[i];
        size_t n = wire_encode(&m, wire_body_sum(body, m.body_bytes), bytes);
        memcpy(bytes + n, body, m.body_bytes);
        free(body);
        if (i < 4) {
            expect_broken(bytes, n + m.body_bytes, "weights are not all numbers within +-1e+06");
            cr_assert_eq((int)a.n_dropped, i + 1);
            continue;
        }
        bytes[n + m.body_bytes - 1] = 0x7f; /* damage is the truer reason */
        expect_broken(bytes, n + m.body_bytes, "the checksum of a REPLY is wrong");
        bytes[n + m.body_bytes - 1] = 0xc9;
        int fd = raw_dial();
        raw_send(fd, bytes, n + m.body_bytes);
        WAIT(a.n_received == 1);
        close(fd);
    }
    free(bytes);
}

/* In the middle of a body the socket wakes nobody up until the rest is there. */
TCP_TEST(waits_for_the_rest_of_a_body)
{
    enum { BYTES = TCP_CHUNK_BYTES + 1000 };
    uint8_t head[WIRE_HEAD_MAX], *bytes = random_body(BYTES);
    struct wire_message m = reply(1, BYTES);
    size_t n = wire_encode(&m, wire_body_sum(bytes, BYTES), head);
    int fd = raw_dial(), low = 0, own;
    socklen_t size = sizeof low;
    raw_send(fd, head, n);
    raw_send(fd, bytes, 10);
    WAIT(a.n_bodies == 1 && a.link->frame->body_got == 10);
    cr_assert_eq(uv_fileno((uv_handle_t *)&a.link->handle, &own), 0);
    cr_assert_eq(getsockopt(own, SOL_SOCKET, SO_RCVLOWAT, &low, &size), 0);
    cr_assert_eq(low, TCP_CHUNK_BYTES);
    raw_send(fd, bytes + 10, 90);
    for (int i = 0; i < 20; i++) /* shorter than a tick */
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(a.link->frame->body_got, 10);
    raw_send(fd, bytes + 100, BYTES - 100);
    WAIT(a.n_received == 1);
    cr_assert_eq(a.body_sum, sum_of(bytes, BYTES));
    cr_assert_eq(getsockopt(own, SOL_SOCKET, SO_RCVLOWAT, &low, &size), 0);
    cr_assert_eq(low, 1);
    free(bytes);
    close(fd);
}

TCP_TEST(garbage_ends_the_link)
{
    static const uint8_t http[] = "GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n";
    expect_broken(http, sizeof http - 1, "starts with 47 45 54 20, not with \"HUBB\"");

    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(3);
    size_t n = wire_encode(&m, 0, head);
    head[4] = 9;
    expect_broken(head, n, "speaks protocol 9, we speak 1");

    m = reply(1, 0);
    m.tensor.count = 1;
    n = wire_encode(&m, 0, head); /* a right checksum over a wrong map */
    expect_broken(head, n, "REPLY: body of 0 bytes, must be 4");
    uint32_t huge = BODY_MAX + 1;
    memcpy(head + 12, &huge, sizeof huge);
    expect_broken(head, n, "REPLY with a body of 16777217 bytes, at most 16777216");
}

TCP_TEST(cut_in_the_middle_of_a_body)
{
    uint8_t head[WIRE_HEAD_MAX], bytes[100] = {0};
    struct wire_message m = reply(1, sizeof bytes);
    size_t n = wire_encode(&m, wire_body_sum(bytes, m.body_bytes), head);
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
    size_t n = wire_encode(&m, 0, head);
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
    raw_send(fd, head, wire_encode(&hello, 0, head));
    raw_send(fd, head, wire_encode(&m, wire_body_sum(bytes, m.body_bytes), head));
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
        tcp_send_tensor(a.link, &decline, NULL, 0, (void *)i);
    WAIT(a.n_closed == 2);
    REASON(a, "reads nothing: too many tensor frames wait");
    assert_released_once(&a, 1, TCP_TENSORS_MAX + 9);
    close(fd);

    tcp_set_limits(a.tcp, &quick);
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_message m = status(1);
    size_t n = wire_encode(&m, 0, head);
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
