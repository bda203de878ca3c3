#include "net/tcp_link.h"

#include "base/check.h"
#include "base/mem.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNSENT_MAX = TCP_CHUNK_BYTES };

/* ---- life --------------------------------------------------------------------------------- */

struct tcp_link *tcp_link_new(struct tcp *tcp, size_t name_bytes, enum link_state state)
{
    struct tcp_link *link = mem_alloc(1, sizeof *link + name_bytes);
    CHECK(uv_tcp_init(tcp->loop, &link->handle) == 0); /* makes no socket yet */
    link->handle.data = link;
    link->tcp = tcp;
    link->state = state;
    link->next = tcp->links;
    if (tcp->links != NULL)
        tcp->links->prev = link;
    tcp->links = link;
    tcp->n_links++;
    return link;
}

static void pump(struct tcp_link *link);

/* Both ends have the same address. */
static bool is_on_this_machine(const struct tcp_link *link)
{
    struct sockaddr_storage here, there;
    int n = sizeof here, m = sizeof there;
    char mine[64], theirs[64];
    return uv_tcp_getsockname(&link->handle, (struct sockaddr *)&here, &n) == 0 &&
           uv_tcp_getpeername(&link->handle, (struct sockaddr *)&there, &m) == 0 &&
           uv_ip_name((struct sockaddr *)&here, mine, sizeof mine) == 0 &&
           uv_ip_name((struct sockaddr *)&there, theirs, sizeof theirs) == 0 &&
           strcmp(mine, theirs) == 0;
}

/* Only latency hangs on a small frame. And the kernel takes no more than leaves soon: what waits
 * does so here, where control frames go before it and the owner knows that it has not left. Within
 * a machine there is no way to fill: what is under way should fit into the cache. */
static void set_socket(struct tcp_link *link)
{
    int fd, unsent_max = UNSENT_MAX, send_bytes = TCP_LOCAL_SEND_BYTES;
    uv_tcp_nodelay(&link->handle, 1);
    if (uv_fileno((uv_handle_t *)&link->handle, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
    if (is_on_this_machine(link))
        (void)uv_send_buffer_size((uv_handle_t *)&link->handle, &send_bytes);
}

void tcp_link_open(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    set_socket(link);
    int rc = uv_read_start((uv_stream_t *)&link->handle, tcp_read_alloc, tcp_read_done);
    if (rc != 0) {
        tcp_link_fail(link, "cannot read: ", rc);
        return;
    }
    link->state = LINK_OPEN;
    link->age = 0;
    if (!link->refused)
        tcp->ops->opened(tcp->ctx, link);
    pump(link);
}

static void end(struct tcp_link *link)
{
    bool handle_closing = link->state == LINK_RETRYING;
    link->state = LINK_CLOSING;
    if (link->resolving)
        uv_cancel((uv_req_t *)&link->req.resolve); /* or, when it runs already, its callback */
    if (!handle_closing)
        uv_close((uv_handle_t *)&link->handle, tcp_link_closed);
}

void tcp_close(struct tcp_link *link, bool drain, const char *reason)
{
    if (link->state == LINK_CLOSING || (link->state == LINK_DRAINING && drain))
        return;
    if (link->reason == NULL) {
        size_t n = strlen(reason) + 1;
        link->reason = memcpy(mem_alloc(n, 1), reason, n);
    }
    if (drain && link->state == LINK_OPEN) {
        link->state = LINK_DRAINING;
        link->age = 0;
        pump(link);
    } else {
        end(link);
    }
}

static const char *fail_hint(int status)
{
    switch (status) {
    case UV_ECONNREFUSED:
        return ": nobody listens there yet";
    case UV_ETIMEDOUT:
        return ": the machine is down, or a firewall drops what we send";
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        return ": check the address and the network";
    case UV_ECONNRESET:
    case UV_EPIPE:
        return ": the other side ended without a goodbye";
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
        return ": check its spelling";
    case UV_EAI_AGAIN:
        return ": the name service does not answer";
    case UV_EMFILE:
        return ": raise the limit of open files (ulimit -n)";
    default:
        return "";
    }
}

void tcp_link_fail(struct tcp_link *link, const char *what, int status)
{
    char reason[256], text[96];
    uv_strerror_r(status, text, sizeof text); /* uv_strerror leaks for a code it does not know */
    snprintf(reason, sizeof reason, "%s%s%s", what, text, fail_hint(status));
    tcp_close(link, false, reason);
}

void tcp_link_broken(struct tcp_link *link, const char *why)
{
    struct wire_message bye = {.kind = WIRE_BYE, .bye = {.reason = WIRE_BYE_PROTOCOL}};
    snprintf(bye.bye.text, sizeof bye.bye.text, "%s", why);
    tcp_send_control(link, &bye);
    tcp_close(link, true, why);
}

void tcp_link_closed(uv_handle_t *handle)
{
    struct tcp_link *link = handle->data;
    if (link->state == LINK_RETRYING) {
        tcp_dial_retry(link);
        return;
    }
    link->handle_closed = true;
    if (!link->resolving)
        tcp_link_finish(link);
}

static void free_control(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    struct tcp_ring *ring = link->control;
    link->control = NULL;
    if (tcp->n_spare_rings == TCP_SPARES_MAX) {
        free(ring);
        return;
    }
    ring->next = tcp->spare_rings;
    tcp->spare_rings = ring;
    tcp->n_spare_rings++;
}

static struct tcp_item pop_item(struct tcp_link *link)
{
    struct tcp_item item = link->items[link->first_item];
    link->first_item = (link->first_item + 1) % link->items_cap;
    link->n_items--;
    return item;
}

void tcp_link_finish(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    tcp_frame_drop(link);
    struct tcp_link **at = &tcp->due;
    while (link->is_due && *at != link)
        at = &(*at)->next_due;
    if (link->is_due)
        *at = link->next_due;
    while (link->n_items > 0) {
        void *token = pop_item(link).token;
        if (token != NULL)
            tcp->ops->released(tcp->ctx, link, token, false);
    }
    if (link->control != NULL)
        free_control(link);
    if (link->next != NULL)
        link->next->prev = link->prev;
    if (link->prev != NULL)
        link->prev->next = link->next;
    else
        tcp->links = link->next;
    if (link->refused) {
        tcp->n_refused--;
    } else {
        tcp->n_links--;
        tcp->ops->closed(tcp->ctx, link, link->reason);
    }
    if (link->addresses != NULL)
        uv_freeaddrinfo(link->addresses);
    free(link->items);
    free(link->reason);
    free(link);
    tcp_gone(tcp);
}

/* ---- sending ------------------------------------------------------------------------------ */

static void on_shut(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status; /* either way the other side's end, or the drain's time, ends the link */
}

/* Closing at once, with bytes of the peer unread, would reset the connection and could take the
 * goodbye with it. */
static void shut(struct tcp_link *link)
{
    link->shut = true;
    if (uv_shutdown(&link->req.shutdown, (uv_stream_t *)&link->handle, on_shut) != 0)
        end(link);
}

static void on_written(uv_write_t *req, int status);

static void write_out(struct tcp_link *link, const uv_buf_t *bufs, unsigned n)
{
    link->writing = true;
    link->write_age = 0;
    link->req.write.data = link;
    int rc = uv_write(&link->req.write, (uv_stream_t *)&link->handle, bufs, n, on_written);
    if (rc != 0) {
        link->writing = false;
        tcp_link_fail(link, "cannot write: ", rc);
    }
}

static uv_buf_t buf_of(const void *bytes, uint32_t n)
{
    return (uv_buf_t){.base = (char *)(uintptr_t)bytes, .len = n}; /* only read by uv_write */
}

static void write_control(struct tcp_link *link)
{
    struct tcp_ring *ring = link->control;
    uint32_t to_end = TCP_CONTROL_BYTES - ring->start;
    uint32_t first = ring->n < to_end ? ring->n : to_end;
    uv_buf_t bufs[2] = {buf_of(ring->bytes + ring->start, first),
                        buf_of(ring->bytes, ring->n - first)};
    link->control_writing = ring->n;
    write_out(link, bufs, ring->n > first ? 2 : 1);
}

/* Bytes, at least, of the items behind the first one. */
static uint32_t follow(const struct tcp_link *link)
{
    uint64_t bytes = 0;
    for (uint32_t i = 1; i < link->n_items && bytes < TCP_BURST_BYTES; i++)
        bytes +=
            WIRE_HEADER_BYTES + link->items[(link->first_item + i) % link->items_cap].body_bytes;
    return (uint32_t)bytes;
}

static void encode_head(struct tcp_link *link, const struct tcp_item *item)
{
    struct wire_message message = {
        .kind = item->kind, .id = item->id, .body_bytes = item->body_bytes, .tensor = item->tensor};
    if (item->kind == WIRE_REQUEST || item->kind == WIRE_REPLY)
        message.tensor.more = follow(link);
    uint8_t head[WIRE_HEAD_MAX];
    link->head_bytes = (uint32_t)wire_encode(&message, item->body_sum, head);
    CHECK(link->head_bytes <= TCP_TENSOR_HEAD_MAX);
    memcpy(link->head, head, link->head_bytes);
}

/* The next chunk of the first item, with its head before the first one; returns the number of
 * bufs. */
static unsigned next_chunk(struct tcp_link *link, uv_buf_t bufs[2])
{
    const struct tcp_item *item = &link->items[link->first_item];
    unsigned n = 0;
    if (!link->sending) {
        encode_head(link, item);
        link->sending = true;
        link->body_sent = 0;
        bufs[n++] = buf_of(link->head, link->head_bytes);
    }
    uint32_t left = item->body_bytes - link->body_sent;
    link->chunk_bytes = left < TCP_CHUNK_BYTES ? left : TCP_CHUNK_BYTES;
    if (link->chunk_bytes > 0)
        bufs[n++] = buf_of(item->body + link->body_sent, link->chunk_bytes);
    return n;
}

static void write_chunk(struct tcp_link *link)
{
    uv_buf_t bufs[2];
    unsigned n = next_chunk(link, bufs);
    write_out(link, bufs, n);
}

/* Gives libuv the next thing to write, if it has none of this link. */
static void pump(struct tcp_link *link)
{
    bool draining = link->state == LINK_DRAINING;
    if (link->writing || (link->state != LINK_OPEN && !draining))
        return;
    if (link->sending)
        write_chunk(link);
    else if (link->control != NULL)
        write_control(link);
    else if (draining && !link->shut)
        shut(link);
    else if (!draining && link->n_items > 0)
        write_chunk(link);
}

static void control_written(struct tcp_link *link)
{
    struct tcp_ring *ring = link->control;
    link->tcp->traffic.bytes_out += link->control_writing;
    ring->start = (ring->start + link->control_writing) % TCP_CONTROL_BYTES;
    ring->n -= link->control_writing;
    link->control_writing = 0;
    if (ring->n == 0)
        free_control(link);
}

static void chunk_written(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    tcp->traffic.bytes_out += link->chunk_bytes + (link->body_sent == 0 ? link->head_bytes : 0);
    link->body_sent += link->chunk_bytes;
    if (link->body_sent < link->items[link->first_item].body_bytes)
        return;
    link->sending = false;
    tcp->traffic.frames_out++;
    void *token = pop_item(link).token;
    if (token != NULL)
        tcp->ops->released(tcp->ctx, link, token, true);
}

/* Straight into the socket; what it does not take waits inside libuv. False when the link failed or
 * something waits. */
static bool write_chunk_now(struct tcp_link *link)
{
    uv_buf_t bufs[2];
    unsigned n = next_chunk(link, bufs), first = 0;
    int rc = uv_try_write((uv_stream_t *)&link->handle, bufs, n);
    if (rc < 0 && rc != UV_EAGAIN) {
        tcp_link_fail(link, "cannot write: ", rc);
        return false;
    }
    size_t done = rc > 0 ? (size_t)rc : 0;
    while (first < n && done >= bufs[first].len)
        done -= bufs[first++].len;
    if (first == n) {
        chunk_written(link);
        return true;
    }
    bufs[first].base += done;
    bufs[first].len -= done;
    write_out(link, bufs + first, n - first);
    return false;
}

void tcp_link_write(struct tcp_link *link)
{
    for (uint32_t bytes = 0; bytes < TCP_BURST_BYTES;
         bytes += link->head_bytes + link->chunk_bytes) {
        bool can = link->state == LINK_OPEN && !link->writing &&
                   (link->sending || link->control == NULL) && link->n_items > 0;
        if (!can || !write_chunk_now(link))
            break;
    }
    pump(link);
}

static void on_written(uv_write_t *req, int status)
{
    struct tcp_link *link = req->data;
    link->writing = false;
    if (status != 0) {
        tcp_link_fail(link, "cannot write: ", status);
        return;
    }
    if (link->control_writing > 0)
        control_written(link);
    else
        chunk_written(link);
    tcp_link_write(link);
}

static void push_control(struct tcp_link *link, const uint8_t *bytes, uint32_t n)
{
    struct tcp *tcp = link->tcp;
    if (link->control == NULL && tcp->spare_rings != NULL) {
        link->control = tcp->spare_rings;
        tcp->spare_rings = link->control->next;
        tcp->n_spare_rings--;
    } else if (link->control == NULL) {
        link->control = MEM_NEW(struct tcp_ring, 1);
    }
    struct tcp_ring *ring = link->control;
    if (n > TCP_CONTROL_BYTES - ring->n) {
        char reason[96];
        snprintf(reason, sizeof reason, "reads nothing: %u bytes of control frames wait", ring->n);
        tcp_close(link, false, reason);
        return;
    }
    uint32_t at = (ring->start + ring->n) % TCP_CONTROL_BYTES;
    uint32_t first = n < TCP_CONTROL_BYTES - at ? n : TCP_CONTROL_BYTES - at;
    memcpy(ring->bytes + at, bytes, first);
    memcpy(ring->bytes, bytes + first, n - first);
    ring->n += n;
    tcp->traffic.frames_out++;
}

void tcp_send_control(struct tcp_link *link, const struct wire_message *message)
{
    CHECK(message->body_bytes == 0);
    if (link->state == LINK_DRAINING || link->state == LINK_CLOSING)
        return;
    uint8_t head[WIRE_HEAD_MAX];
    uint32_t n = (uint32_t)wire_encode(message, 0, head), written = 0;
    /* Straight into the socket when nothing is before it: a thousand idle links that send STATUS
     * at the same moment need no ring each. */
    if (link->state == LINK_OPEN && !link->writing && link->control == NULL) {
        uv_buf_t buf = buf_of(head, n);
        int rc = uv_try_write((uv_stream_t *)&link->handle, &buf, 1);
        if (rc < 0 && rc != UV_EAGAIN) {
            tcp_link_fail(link, "cannot write: ", rc);
            return;
        }
        written = rc > 0 ? (uint32_t)rc : 0;
        link->tcp->traffic.bytes_out += written;
    }
    if (written == n) {
        link->tcp->traffic.frames_out++;
        return;
    }
    push_control(link, head + written, n - written);
    pump(link);
}

static void grow_items(struct tcp_link *link)
{
    uint32_t cap = link->items_cap > 0 ? 2 * link->items_cap : 4;
    struct tcp_item *items = MEM_NEW(struct tcp_item, cap);
    for (uint32_t i = 0; i < link->n_items; i++)
        items[i] = link->items[(link->first_item + i) % link->items_cap];
    free(link->items);
    link->items = items;
    link->items_cap = cap;
    link->first_item = 0;
}

void tcp_send_tensor(struct tcp_link *link, const struct wire_message *message, const void *body,
                     uint64_t body_sum, void *token)
{
    CHECK(body == NULL || token != NULL);
    bool ends = link->state == LINK_DRAINING || link->state == LINK_CLOSING;
    if (!ends && link->n_items >= TCP_TENSORS_MAX) {
        tcp_close(link, false, "reads nothing: too many tensor frames wait");
        ends = true;
    }
    /* What ends still owes a released(token): so these go beyond the limit, as many as the caller
     * has tokens. */
    if (ends && token == NULL)
        return;
    if (link->n_items == link->items_cap)
        grow_items(link);
    struct tcp_item *item = &link->items[(link->first_item + link->n_items) % link->items_cap];
    *item = (struct tcp_item){.kind = message->kind,
                              .body_bytes = message->body_bytes,
                              .id = message->id,
                              .body = body,
                              .body_sum = body_sum,
                              .token = token};
    if (message->kind == WIRE_REQUEST || message->kind == WIRE_REPLY)
        item->tensor = message->tensor;
    link->n_items++;
    if (!link->is_due) {
        link->is_due = true;
        link->next_due = link->tcp->due;
        link->tcp->due = link;
    }
}

/* ---- what the owner asks ------------------------------------------------------------------ */

void tcp_set_user(struct tcp_link *link, void *user)
{
    link->user = user;
}

void *tcp_user(const struct tcp_link *link)
{
    return link->user;
}

bool tcp_is_dialled(const struct tcp_link *link)
{
    return link->dialled;
}

const char *tcp_remote(const struct tcp_link *link)
{
    return link->remote;
}
