#include "net/tcp.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tcp_link.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { BACKLOG = 128 };

static void on_tick(uv_timer_t *timer);
static void on_turn(uv_prepare_t *turn);

/* So many that the process never runs out of open files: no accept fails then, and what else opens
 * one finds it. */
static uint32_t default_links_max(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= TCP_LINKS_MAX + TCP_FILES_KEPT)
        return TCP_LINKS_MAX;
    return files.rlim_cur > TCP_FILES_KEPT ? (uint32_t)(files.rlim_cur - TCP_FILES_KEPT) : 1;
}

struct tcp *tcp_new(uv_loop_t *loop, const struct tcp_ops *ops, void *ctx, uint32_t body_max)
{
    CHECK(ops->opened && ops->body && ops->received && ops->dropped && ops->released &&
          ops->closed && body_max <= WIRE_BODY_MAX);
    /* Writing to a connection the other side has left is an error code, not the end. */
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    struct tcp *tcp = MEM_NEW(struct tcp, 1);
    tcp->loop = loop;
    tcp->ops = ops;
    tcp->ctx = ctx;
    tcp->body_max = body_max;
    CHECK(uv_timer_init(loop, &tcp->timer) == 0);
    CHECK(uv_prepare_init(loop, &tcp->turn) == 0);
    CHECK(uv_prepare_start(&tcp->turn, on_turn) == 0);
    uv_unref((uv_handle_t *)&tcp->turn);
    tcp->timer.data = tcp->turn.data = tcp;
    tcp->n_handles = 2;
    tcp_set_limits(tcp, &(struct tcp_limits){.links_max = default_links_max(),
                                             .strangers_max = TCP_STRANGERS_MAX,
                                             .hello_ms = TCP_HELLO_MS,
                                             .silence_ms = TCP_SILENCE_MS,
                                             .frame_ms = TCP_FRAME_MS,
                                             .drain_ms = TCP_DRAIN_MS,
                                             .tick_ms = TCP_TICK_MS});
    return tcp;
}

void tcp_set_turn(struct tcp *tcp, void (*at_turn)(void *ctx))
{
    tcp->at_turn = at_turn;
}

void tcp_set_patient(struct tcp *tcp, bool patient)
{
    tcp->patient = patient;
}

void tcp_set_limits(struct tcp *tcp, const struct tcp_limits *limits)
{
    CHECK(limits->tick_ms > 0 && tcp->links == NULL);
    tcp->limits = *limits;
    CHECK(uv_timer_start(&tcp->timer, on_tick, limits->tick_ms, limits->tick_ms) == 0);
    uv_unref((uv_handle_t *)&tcp->timer); /* alone it is no reason for the loop to run on */
}

/* ---- time --------------------------------------------------------------------------------- */

static bool is_over(const struct tcp *tcp, uint32_t ticks, uint32_t limit_ms)
{
    return (uint64_t)ticks * tcp->limits.tick_ms > limit_ms;
}

/* Closes without a callback from inside, so the list of links stays as it is. */
static void end_late(struct tcp_link *link, const char *what, uint32_t limit_ms)
{
    char reason[128];
    snprintf(reason, sizeof reason, "%s for %g s", what, limit_ms / 1000.0);
    tcp_close(link, false, reason);
}

static void tick_open(struct tcp *tcp, struct tcp_link *link)
{
    const struct tcp_limits *limits = &tcp->limits;
    if (link->quiet > 0) /* what trickles in breaks the silence too */
        tcp_read_end_wait(link);
    link->quiet++;
    link->frame_age += link->frame != NULL;
    link->write_age += link->writing;
    if (!link->greeted && is_over(tcp, link->age, limits->hello_ms))
        end_late(link, "connected, but no whole frame", limits->hello_ms);
    else if (is_over(tcp, link->quiet, limits->silence_ms))
        end_late(link, "silent", limits->silence_ms);
    else if (is_over(tcp, link->frame_age, limits->frame_ms))
        end_late(link, "sent one frame", limits->frame_ms);
    else if (is_over(tcp, link->write_age, limits->frame_ms))
        end_late(link, "reads nothing", limits->frame_ms);
}

static void on_tick(uv_timer_t *timer)
{
    struct tcp *tcp = timer->data;
    tcp->accept_warned = false;
    if (tcp->n_turned_away > 0)
        log_warn("all %u links are taken: turned away %u", tcp->limits.links_max,
                 tcp->n_turned_away);
    tcp->n_turned_away = 0;
    for (struct tcp_link *link = tcp->links; link != NULL; link = link->next) {
        link->age++;
        switch (link->state) {
        case LINK_RESOLVING:
            if (is_over(tcp, link->age, tcp->limits.hello_ms))
                end_late(link, "no answer from the name service", tcp->limits.hello_ms);
            break;
        case LINK_CONNECTING:
            if (is_over(tcp, link->age, tcp->limits.hello_ms))
                tcp_dial_next(link, UV_ETIMEDOUT);
            break;
        case LINK_OPEN:
            tick_open(tcp, link);
            break;
        case LINK_DRAINING:
            if (is_over(tcp, link->age, tcp->limits.drain_ms))
                tcp_close(link, false, "");
            break;
        case LINK_RETRYING:
        case LINK_CLOSING:
            break;
        }
    }
}

/* ---- listening ---------------------------------------------------------------------------- */

static uint16_t port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

static void remote_name(const uv_tcp_t *handle, char *name, size_t size)
{
    struct sockaddr_storage address;
    int length = sizeof address;
    char host[64];
    if (uv_tcp_getpeername(handle, (struct sockaddr *)&address, &length) != 0 ||
        uv_ip_name((const struct sockaddr *)&address, host, sizeof host) != 0) {
        snprintf(name, size, "(unknown)");
        return;
    }
    bool v6 = address.ss_family == AF_INET6;
    static const char mapped[] = "::ffff:"; /* an IPv4 peer of an IPv6 listener */
    bool v4 = strncmp(host, mapped, sizeof mapped - 1) == 0 && strchr(host, '.') != NULL;
    snprintf(name, size, v6 && !v4 ? "[%s]:%u" : "%s:%u", v4 ? host + sizeof mapped - 1 : host,
             port_of(&address));
}

/* The owner never hears of this link. */
static void refuse(struct tcp_link *link, const char *why)
{
    struct tcp *tcp = link->tcp;
    link->refused = true;
    tcp->n_links--;
    tcp->n_refused++;
    if (tcp->n_refused <= TCP_REFUSED_MAX && link->remote[0] != '\0') {
        struct wire_message bye = {.kind = WIRE_BYE, .bye = {.reason = WIRE_BYE_BUSY}};
        snprintf(bye.bye.text, sizeof bye.bye.text, "%s", why);
        tcp_link_open(link);
        tcp_send_control(link, &bye);
    }
    tcp_close(link, true, why);
}

/* Accepted, and no whole frame has come yet; or one that is only let finish its goodbye. */
static bool is_stranger(const struct tcp_link *link)
{
    bool waits = (link->state == LINK_OPEN && !link->greeted) || link->state == LINK_DRAINING;
    return waits && !link->dialled && !link->refused;
}

/* A place for one more link, if need be that of the stranger who has had his for longest: a flood
 * of connections drives out itself, and a peer, who says HELLO at once, gets in. */
static bool make_room(struct tcp *tcp)
{
    const struct tcp_limits *limits = &tcp->limits;
    struct tcp_link *oldest = NULL;
    uint32_t n_strangers = 0;
    for (struct tcp_link *link = tcp->links; link != NULL; link = link->next)
        if (is_stranger(link)) {
            oldest = link; /* the list begins with the newest */
            n_strangers++;
        }
    if (n_strangers < limits->strangers_max && tcp->n_links < limits->links_max)
        return true;
    if (oldest == NULL)
        return false;
    char reason[96];
    snprintf(reason, sizeof reason, "no whole frame before %u others came that said none either",
             n_strangers);
    tcp_close(oldest, false, reason);
    return true;
}

static void accept_one(struct tcp *tcp)
{
    enum { NAME_BYTES = 80 };
    char busy[64];
    snprintf(busy, sizeof busy, "all %u links are taken", tcp->limits.links_max);
    bool has_room = make_room(tcp);
    struct tcp_link *link = tcp_link_new(tcp, NAME_BYTES, LINK_CONNECTING);
    tcp->n_accepted++;
    if (uv_accept((uv_stream_t *)tcp->listener, (uv_stream_t *)&link->handle) != 0) {
        refuse(link, "gone before it was accepted");
        return;
    }
    remote_name(&link->handle, link->remote, NAME_BYTES);
    if (has_room) {
        tcp_link_open(link);
    } else {
        tcp->n_turned_away++;
        refuse(link, busy);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct tcp *tcp = listener->data;
    if (status != 0) {
        if (!tcp->accept_warned) /* EMFILE comes once for each of a flood */
            log_warn("cannot accept a connection: %s", uv_strerror(status));
        tcp->accept_warned = true;
    } else if (tcp->n_accepted < TCP_ACCEPTS_MAX) {
        accept_one(tcp);
    } else {
        tcp->accept_waits = true; /* libuv takes no more until this one is taken */
    }
}

static void write_due(struct tcp *tcp)
{
    while (tcp->due != NULL) {
        struct tcp_link *link = tcp->due;
        tcp->due = link->next_due;
        link->is_due = false;
        tcp_link_write(link);
    }
}

static void on_turn(uv_prepare_t *turn)
{
    struct tcp *tcp = turn->data;
    if (tcp->at_turn != NULL)
        tcp->at_turn(tcp->ctx);
    write_due(tcp);
    tcp->n_accepted = 0;
    if (tcp->accept_waits && !tcp->freeing)
        accept_one(tcp);
    tcp->accept_waits = false;
}

/* Binds and listens on one address; a libuv error code. */
static int listen_at(uv_tcp_t *listener, const struct sockaddr *address)
{
    int rc = uv_tcp_bind(listener, address, 0);
    return rc != 0 ? rc : uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
}

static const char *listen_hint(int status)
{
    switch (status) {
    case UV_EADDRINUSE:
        return ": another program or peer has that port; choose another, or 0 for any free one";
    case UV_EADDRNOTAVAIL:
        return ": no such address on this machine; 0.0.0.0 takes all of them";
    case UV_EACCES:
        return ": ports below 1024 need privileges; choose a higher one";
    default:
        return "";
    }
}

static void on_own_closed(uv_handle_t *handle)
{
    struct tcp *tcp = handle->data;
    tcp->n_handles--;
    tcp_gone(tcp);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct tcp *tcp = handle->data;
    free(handle);
    tcp->n_handles--;
    tcp_gone(tcp);
}

int tcp_listen(struct tcp *tcp, const struct host_port *address, uint16_t *port, struct error *err)
{
    CHECK(tcp->listener == NULL && !tcp->freeing);
    char service[8];
    snprintf(service, sizeof service, "%u", address->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    uv_getaddrinfo_t resolve;
    int rc = uv_getaddrinfo(tcp->loop, &resolve, NULL, address->host, service, &hints);
    if (rc != 0)
        return error_set(err, ERR_FAILURE,
                         "cannot listen on %s:%u: %s: check the name, or use an IP address",
                         address->host, address->port, uv_strerror(rc));
    uv_tcp_t *listener = MEM_NEW(uv_tcp_t, 1);
    CHECK(uv_tcp_init(tcp->loop, listener) == 0);
    listener->data = tcp;
    tcp->n_handles++;
    rc = listen_at(listener, resolve.addrinfo->ai_addr);
    uv_freeaddrinfo(resolve.addrinfo);
    struct sockaddr_storage bound = {0};
    int length = sizeof bound;
    if (rc == 0)
        rc = uv_tcp_getsockname(listener, (struct sockaddr *)&bound, &length);
    if (rc != 0) {
        uv_close((uv_handle_t *)listener, on_listener_closed);
        return error_set(err, ERR_FAILURE, "cannot listen on %s:%u: %s%s", address->host,
                         address->port, uv_strerror(rc), listen_hint(rc));
    }
    *port = port_of(&bound);
    tcp->listener = listener;
    return 0;
}

/* ---- the end ------------------------------------------------------------------------------ */

void tcp_free(struct tcp *tcp, void (*done)(void *ctx))
{
    CHECK(!tcp->freeing);
    tcp->freeing = true;
    tcp->done = done;
    for (struct tcp_link *link = tcp->links; link != NULL; link = link->next)
        if (link->state != LINK_DRAINING)
            tcp_close(link, false, "we stop");
    if (tcp->listener != NULL)
        uv_close((uv_handle_t *)tcp->listener, on_listener_closed);
    tcp_gone(tcp);
}

/* The timer outlives the links: it ends those that drain. */
void tcp_gone(struct tcp *tcp)
{
    if (!tcp->freeing || tcp->links != NULL)
        return;
    if (!uv_is_closing((uv_handle_t *)&tcp->timer)) {
        uv_close((uv_handle_t *)&tcp->timer, on_own_closed);
        uv_close((uv_handle_t *)&tcp->turn, on_own_closed);
    }
    if (tcp->n_handles > 0)
        return;
    for (struct tcp_frame *frame = tcp->spare_frames, *next; frame != NULL; frame = next) {
        next = frame->next;
        tcp_frame_free(frame);
    }
    for (struct tcp_ring *ring = tcp->spare_rings, *next; ring != NULL; ring = next) {
        next = ring->next;
        free(ring);
    }
    void (*done)(void *) = tcp->done;
    void *ctx = tcp->ctx;
    free(tcp);
    if (done != NULL)
        done(ctx);
}

struct tcp_traffic tcp_traffic(const struct tcp *tcp)
{
    return tcp->traffic;
}

uint32_t tcp_n_links(const struct tcp *tcp)
{
    return tcp->n_links;
}
