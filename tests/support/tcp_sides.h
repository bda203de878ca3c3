/* Two struct tcp on one loop, a that listens and b that dials, and raw sockets for hostile
 * clients. Every callback is recorded. */
#ifndef HUBBUB_TESTS_TCP_SIDES_H
#define HUBBUB_TESTS_TCP_SIDES_H

#include "base/clock.h"
#include "net/tcp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 1 << 24, LOG_FRAMES = 1024 };

/* What one side has seen. */
struct side {
    struct tcp *tcp;
    uint16_t port;
    struct tcp_link *link; /* the last one opened; NULL once it is closed */
    struct wire_message log[LOG_FRAMES];
    uint32_t n_received, n_opened, n_closed;
    uint32_t n_bodies; /* lent now */
    uint32_t n_dropped, n_sent, n_unsent;
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

extern uv_loop_t loop;
extern struct side a, b;
extern const struct tcp_limits quick; /* fractions of a second */

/* Runs the loop until the condition holds; the test fails after ten seconds. */
#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        uint64_t wait_start = clock_us();                                                          \
        while (!(cond) && clock_us() - wait_start < 10 * SECOND_US)                                \
            uv_run(&loop, UV_RUN_ONCE);                                                            \
        cr_assert((cond), "never came true: %s (reasons \"%s\", \"%s\")", #cond, a.reason,         \
                  b.reason);                                                                       \
    } while (0)

#define REASON(side, fragment)                                                                     \
    cr_assert(strstr((side).reason, fragment), "\"%s\" lacks \"%s\"", (side).reason, fragment)

/* Afterwards asserts that everything lent has come back, libuv holds nothing and nothing leaks. Not
 * as .init and .fini: Criterion counts no failure of a .fini. */
#define SIDES_TEST(suite, name)                                                                    \
    static void suite##_##name##_between(void);                                                    \
    Test(suite, name)                                                                              \
    {                                                                                              \
        sides_open();                                                                              \
        suite##_##name##_between();                                                                \
        sides_close();                                                                             \
    }                                                                                              \
    static void suite##_##name##_between(void)
void sides_open(void);
void sides_close(void);
void sides_freed(void *side); /* for tcp_free */
void run_for(uint64_t us);
void run_turn(void); /* what was sent before it has begun to leave */

void dial(void); /* b to a */
struct host_port at_loopback(uint16_t port);

struct wire_message status(uint64_t step);
struct wire_message bye(void);
struct wire_message reply(uint64_t id, uint32_t bytes);
void send_status(struct side *s, uint64_t step);
/* The id is the token. */
void send_reply(struct tcp_link *link, uint64_t id, const void *bytes, uint32_t n);
uint8_t *random_body(uint32_t n); /* free() */
uint64_t sum_of(const void *bytes, size_t n);
void assert_released_once(const struct side *s, uint32_t first, uint32_t last);

int raw_dial(void); /* to a */
void raw_send(int fd, const void *bytes, size_t n);
/* Waits for the other side to end, and reads the BYE before it, the only frame. */
void raw_read_bye(int fd, struct wire_message *m);

#endif
