/* Links over TCP on a libuv loop: frames out, frames in, nothing of what they mean.
 *
 * Everything here runs on the loop's thread. A link carries frames in both directions, in order.
 * It has two queues: control frames (HELLO, STATUS, SCORE, BYE) go out before the next tensor
 * frame; REQUEST, REPLY and DECLINE keep their order among themselves and leave together at the end
 * of the loop's turn, in chunks of TCP_CHUNK_BYTES, at most one of which is inside libuv at a time.
 * Each says how much follows it, so that the receiver wakes up once for all of them. Bodies are
 * read straight into the memory that `body` gave. No allocation per frame.
 */
#ifndef HUBBUB_NET_TCP_H
#define HUBBUB_NET_TCP_H

#include "base/error.h"
#include "base/parse.h"
#include "net/wire.h"

#include <uv.h>

#include <stdbool.h>

enum {
    TCP_CHUNK_BYTES = 256 * 1024,
    TCP_BURST_BYTES = 1024 * 1024, /* of a link that a receiver waits for, or that a turn writes */
    TCP_BURST_MS = 10,             /* and no longer than that: from about 1 Gbit/s on */
    TCP_LOCAL_SEND_BYTES = 128 * 1024, /* SO_SNDBUF within a machine; else the system's choice */
    TCP_LINKS_MAX = 1024,              /* one more takes the place of a stranger, or is told BUSY */
    TCP_STRANGERS_MAX = 512,           /* of them: accepted, and nothing whole has come yet */
    TCP_ACCEPTS_MAX = 16,          /* in one turn of the loop, so that a flood starves no link */
    TCP_FILES_KEPT = 64,           /* of the process's limit of open files: not for links */
    TCP_CONTROL_BYTES = 32 * 1024, /* of control frames waiting; a peer that reads none is cut */
    TCP_TENSORS_MAX = 256,         /* tensor frames waiting on a link; exchanges are far fewer */
    TCP_HELLO_MS = 5000,    /* resolving, each connecting, and from connected to the first frame */
    TCP_SILENCE_MS = 10000, /* nothing at all from a peer that should send each second */
    TCP_FRAME_MS = 60000,   /* one frame coming in, or one chunk going out */
    TCP_DRAIN_MS = 1000,
    TCP_TICK_MS = 500 /* how often the above are looked at: each may take this much longer */
};

/* The limits in force; the defaults are those above, fewer links where the system allows the
 * process few open files. */
struct tcp_limits {
    uint32_t links_max, strangers_max;
    uint32_t hello_ms, silence_ms, frame_ms, drain_ms, tick_ms;
};

struct tcp;
struct tcp_link;

/* Callbacks; none may be NULL. They may send, dial and close, the link at hand included. */
struct tcp_ops {
    /* Connected: frames may be sent. */
    void (*opened)(void *ctx, struct tcp_link *link);
    /* Header and map of a frame with a body have come and are well-formed (the checksum is not
     * known yet). Returns room for message->body_bytes, aligned for floats, lent to the link until
     * `received` or `dropped`; or NULL: the body is then read and thrown away. */
    void *(*body)(void *ctx, struct tcp_link *link, const struct wire_message *message);
    /* A whole frame with the right checksum and, of a REQUEST or REPLY, no element of the body that
     * is no number or beyond WIRE_ELEMENT_MAX. body is what `body` returned, or NULL. */
    void (*received)(void *ctx, struct tcp_link *link, const struct wire_message *message,
                     void *body);
    /* The link failed while `body` was being filled. */
    void (*dropped)(void *ctx, struct tcp_link *link, void *body);
    /* The memory given to tcp_send_tensor is free again; sent or, on a dying link, not. */
    void (*released)(void *ctx, struct tcp_link *link, void *token, bool sent);
    /* The last call for this link, also for a dial that failed (then without `opened`): reason
     * says why, in words, without the address (see tcp_remote). link is invalid afterwards. */
    void (*closed)(void *ctx, struct tcp_link *link, const char *reason);
};

struct tcp *tcp_new(uv_loop_t *loop, const struct tcp_ops *ops, void *ctx, uint32_t body_max);

/* Before links exist; for tests and small machines. */
void tcp_set_limits(struct tcp *tcp, const struct tcp_limits *limits);

/* at_turn(ctx) is called at the end of each turn of the loop: what it sends leaves with it. */
void tcp_set_turn(struct tcp *tcp, void (*at_turn)(void *ctx));

/* Whether somebody else needs the processor that receiving takes: then all that a sender said would
 * follow is waited for in one go (TCP_BURST_BYTES), a quarter of the wake-ups. Else, and until it
 * is said, each body is taken as soon as it is there, which moves more of them. */
void tcp_set_patient(struct tcp *tcp, bool patient);

/* Closes the listener and all links (each gets `closed`; those that drain finish that first); the
 * memory goes once the loop has run the close callbacks, then done(ctx) is called (it may be
 * NULL). No tcp_dial and no tcp_listen after this call. */
void tcp_free(struct tcp *tcp, void (*done)(void *ctx));

/* Listens. ERR_FAILURE: address in use and the like, with a hint. *port is the one bound (for
 * port 0). host may be a name, an IPv4 or an IPv6 address. */
int tcp_listen(struct tcp *tcp, const struct host_port *address, uint16_t *port,
               struct error *err) MUST_USE;

/* Resolves (names in libuv's pool) and connects, trying every address of the name. Never NULL and
 * no callback from inside: what fails is told by `closed`, later. */
struct tcp_link *tcp_dial(struct tcp *tcp, const struct host_port *address);

/* HELLO, STATUS, SCORE or BYE; copied. Ignored on a link that ends. No callback from inside. */
void tcp_send_control(struct tcp_link *link, const struct wire_message *message);

/* REQUEST, REPLY, DECLINE or SUMMARY. body, with its wire_body_sum, stays the caller's, untouched,
 * until released(token); a message without body may have token NULL and is then not reported. On a
 * link that ends, released(token, false) follows. No callback from inside.
 *
 * A body that starts 1 KiB after a page's begin leaves 1.4 times as fast as one that starts with
 * the page: there the kernel's copy, some bytes of head further on, trips over 4 KiB aliasing. */
void tcp_send_tensor(struct tcp_link *link, const struct wire_message *message, const void *body,
                     uint64_t body_sum, void *token);

/* Ends the link: `dropped` and `released` for what is under way, then `closed` with reason, all
 * from the loop, not from inside this call. With drain, control frames already queued still go
 * out, and the tensor frame that has begun before them (for at most TCP_DRAIN_MS): for a BYE. Of
 * several calls the first gives the reason. */
void tcp_close(struct tcp_link *link, bool drain, const char *reason);

void tcp_set_user(struct tcp_link *link, void *user);
void *tcp_user(const struct tcp_link *link);
bool tcp_is_dialled(const struct tcp_link *link);    /* by us */
const char *tcp_remote(const struct tcp_link *link); /* "1.2.3.4:7700", as dialled; for messages */

struct tcp_traffic {
    uint64_t bytes_in, bytes_out, frames_in, frames_out;
};
struct tcp_traffic tcp_traffic(const struct tcp *tcp); /* of all links, also past ones */
uint32_t tcp_n_links(const struct tcp *tcp);

#endif
