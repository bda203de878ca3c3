/* Private to net/tcp*.c. tcp.c: who may connect, and when a link has waited too long; tcp_dial.c:
 * from a name to a connection; tcp_link.c: a link's life and what goes out; tcp_read.c: what
 * comes in.
 *
 * A link between frames holds neither of the two large buffers (struct tcp_frame, struct
 * tcp_ring): they are lent from a list of spares while a frame is incomplete or a control frame
 * waits. So a thousand idle links cost about a kilobyte each.
 */
#ifndef HUBBUB_NET_TCP_LINK_H
#define HUBBUB_NET_TCP_LINK_H

#include "net/tcp.h"

enum {
    TCP_TENSOR_HEAD_MAX = 128, /* header and map of REQUEST, REPLY and DECLINE */
    TCP_REFUSED_MAX = 32,      /* links being told BUSY; more are closed without a word */
    TCP_SPARES_MAX = 64,
    TCP_PIECE_BYTES = 8192,    /* of a body, summed and looked at out of the nearest cache */
    TCP_HEAD_READ_BYTES = 4096 /* read where a header is due: what it catches of a body is copied */
};

/* A frame coming in. */
struct tcp_frame {
    struct tcp_frame *next; /* in the list of spares */
    struct wire_sum sum;
    struct wire_header header;
    struct wire_message message;
    uint32_t head_got;
    bool in_body;                   /* `body` was asked */
    uint32_t body_got, n_looked_at; /* bytes that came; elements looked at */
    bool is_beyond;                 /* one of them is no weight */
    uint8_t *body;                  /* the callee's; NULL: thrown away */
    uint8_t head[WIRE_HEAD_MAX];
};

/* Control frames waiting: bytes [start, start + n) modulo the size. */
struct tcp_ring {
    struct tcp_ring *next; /* in the list of spares */
    uint32_t start, n;
    uint8_t bytes[TCP_CONTROL_BYTES];
};

/* A tensor frame waiting. */
struct tcp_item {
    enum wire_kind kind;
    uint32_t body_bytes;
    uint64_t id;
    struct wire_tensor tensor;
    const uint8_t *body;
    uint64_t body_sum;
    void *token;
};

enum link_state {
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_RETRYING, /* the handle is closing, to be opened again for the next address */
    LINK_OPEN,
    LINK_DRAINING, /* writes out what it must, then waits for the other side to close */
    LINK_CLOSING   /* the handle is closing; tcp_link_finish follows */
};

struct tcp_link {
    uv_tcp_t handle;
    union { /* one at a time */
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
        uv_write_t write;
        uv_shutdown_t shutdown;
    } req;
    struct tcp *tcp;
    struct tcp_link *prev, *next;
    void *user;
    char *reason; /* set once it ends */
    enum link_state state;
    bool dialled;
    bool refused; /* told BUSY; the owner never hears of it */
    bool resolving, handle_closed;
    bool greeted; /* a whole frame has come */
    bool writing; /* a uv_write is under way */
    bool shut;    /* uv_shutdown was called */

    /* In ticks of the timer, not in time: when the whole loop stood still, no peer is to blame. */
    uint32_t age, quiet, frame_age, write_age;

    struct addrinfo *addresses, *address; /* all of a dial, and the one at hand */

    struct tcp_frame *frame; /* NULL between frames */
    uint32_t more;           /* bytes that the last tensor frame said would follow it */
    uint32_t waits_for;      /* bytes: the socket is readable once so many are there; 0 is 1 */
    uint64_t waits_since_ms; /* the loop's time */
    bool is_slow;            /* what was waited for last took longer than TCP_BURST_MS */

    struct tcp_ring *control; /* NULL when none waits */
    uint32_t control_writing; /* bytes of it inside libuv */
    struct tcp_item *items;   /* ring of items_cap */
    uint32_t items_cap, first_item, n_items;
    bool sending; /* the first item has begun */
    bool is_due;  /* in the list of those that have something to write at the end of this turn */
    struct tcp_link *next_due;
    uint32_t head_bytes, body_sent, chunk_bytes;
    uint8_t head[TCP_TENSOR_HEAD_MAX];

    char remote[]; /* name_bytes long, filled by who made the link */
};

struct tcp {
    uv_loop_t *loop;
    const struct tcp_ops *ops;
    void *ctx;
    uint32_t body_max;
    struct tcp_limits limits;
    bool patient;               /* tcp_set_patient */
    void (*at_turn)(void *ctx); /* tcp_set_turn; or NULL */
    uv_tcp_t *listener;         /* NULL when it does not listen */
    uv_timer_t timer;
    uv_prepare_t turn; /* the end of one: all that came, and the timers, were handled */
    struct tcp_link *due;
    bool freeing;
    bool accept_warned;     /* since the last tick */
    bool accept_waits;      /* a connection, for the next turn of the loop */
    uint32_t n_accepted;    /* in this turn */
    uint32_t n_turned_away; /* since the last tick */
    uint32_t n_handles;     /* timer, turn and listeners, not yet closed */
    uint32_t n_links, n_refused;
    struct tcp_link *links;
    struct tcp_frame *spare_frames;
    struct tcp_ring *spare_rings;
    uint32_t n_spare_frames, n_spare_rings;
    struct tcp_traffic traffic;
    void (*done)(void *ctx);
    uint8_t scratch[TCP_CHUNK_BYTES]; /* libuv reads at once what it asked room for: all share it */
};

/* tcp.c */
void tcp_gone(struct tcp *tcp); /* frees tcp if it was the last thing to wait for */

/* tcp_dial.c */
void tcp_dial_next(struct tcp_link *link, int status); /* this address failed */
void tcp_dial_retry(struct tcp_link *link);            /* the handle has closed */

/* tcp_link.c */
struct tcp_link *tcp_link_new(struct tcp *tcp, size_t name_bytes, enum link_state state);
void tcp_link_open(struct tcp_link *link);   /* connected: reads, and calls `opened` */
void tcp_link_closed(uv_handle_t *handle);   /* close callback of the handle */
void tcp_link_write(struct tcp_link *link);  /* what waits; calls `released` */
void tcp_link_finish(struct tcp_link *link); /* once nothing of libuv points at it */
void tcp_link_fail(struct tcp_link *link, const char *what, int status); /* libuv's error code */
void tcp_link_broken(struct tcp_link *link, const char *why); /* by the peer: BYE PROTOCOL */

/* tcp_read.c */
void tcp_read_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
void tcp_read_done(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);
void tcp_read_end_wait(struct tcp_link *link); /* whatever came is to be told of again */
void tcp_frame_drop(struct tcp_link *link);    /* half a frame of a link that ends */
void tcp_frame_free(struct tcp_frame *frame);

#endif
