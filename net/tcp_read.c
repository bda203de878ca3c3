#include "base/mem.h"
#include "base/vec.h"
#include "net/tcp_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- spare frames ------------------------------------------------------------------------- */

static struct tcp_frame *borrow_frame(struct tcp *tcp)
{
    struct tcp_frame *frame = tcp->spare_frames;
    if (frame != NULL) {
        tcp->spare_frames = frame->next;
        tcp->n_spare_frames--;
    } else {
        frame = MEM_NEW(struct tcp_frame, 1);
        wire_sum_init(&frame->sum);
    }
    frame->head_got = frame->body_got = frame->n_looked_at = 0;
    frame->in_body = frame->is_beyond = false;
    frame->body = NULL;
    return frame;
}

static void return_frame(struct tcp *tcp, struct tcp_frame *frame)
{
    if (tcp->n_spare_frames == TCP_SPARES_MAX) {
        tcp_frame_free(frame);
        return;
    }
    frame->next = tcp->spare_frames;
    tcp->spare_frames = frame;
    tcp->n_spare_frames++;
}

void tcp_frame_free(struct tcp_frame *frame)
{
    wire_sum_close(&frame->sum);
    free(frame);
}

void tcp_frame_drop(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    struct tcp_frame *frame = link->frame;
    if (frame == NULL)
        return;
    link->frame = NULL;
    if (frame->body != NULL)
        tcp->ops->dropped(tcp->ctx, link, frame->body);
    return_frame(tcp, frame);
}

/* ---- one frame ---------------------------------------------------------------------------- */

static bool has_wrong_sum(struct tcp_link *link)
{
    const struct tcp_frame *frame = link->frame;
    uint64_t body_sum = frame->header.body_bytes > 0 ? wire_sum_get(&frame->sum) : 0;
    if (wire_frame_sum(&frame->header, frame->head, body_sum) == frame->header.checksum)
        return false;
    char why[96];
    snprintf(why, sizeof why, "the checksum of a %s is wrong: damaged on the way",
             wire_kind_name((enum wire_kind)frame->header.kind));
    tcp_link_broken(link, why);
    return true;
}

static bool is_no_weights(struct tcp_link *link)
{
    if (!link->frame->is_beyond)
        return false;
    char why[64];
    snprintf(why, sizeof why, "its weights are not all numbers within +-%g",
             (double)WIRE_ELEMENT_MAX);
    tcp_link_broken(link, why);
    return true;
}

static void deliver(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    struct tcp_frame *frame = link->frame;
    link->frame = NULL; /* the body is the callee's again, even if it closes the link */
    link->greeted = true;
    tcp->traffic.frames_in++;
    tcp->ops->received(tcp->ctx, link, &frame->message, frame->body);
    return_frame(tcp, frame);
}

static void end_of_header(struct tcp_link *link)
{
    struct tcp_frame *frame = link->frame;
    struct error err;
    if (wire_decode_header(frame->head, link->tcp->body_max, &frame->header, &err) != 0) {
        tcp_link_broken(link, err.text);
    } else if (frame->header.version != WIRE_PROTOCOL) {
        char why[96];
        snprintf(why, sizeof why, "speaks protocol %u, we speak %d", frame->header.version,
                 WIRE_PROTOCOL);
        tcp_link_broken(link, why);
    }
}

static void end_of_map(struct tcp_link *link)
{
    struct tcp *tcp = link->tcp;
    struct tcp_frame *frame = link->frame;
    const uint8_t *map = frame->head + WIRE_HEADER_BYTES;
    wire_sum_start(&frame->sum);
    /* Without a body the sum is known now, and "damaged" is truer than what damage looks like. */
    if (frame->header.body_bytes == 0 && has_wrong_sum(link))
        return;
    struct error err;
    if (wire_decode_map(&frame->header, map, &frame->message, &err) != 0) {
        tcp_link_broken(link, err.text);
        return;
    }
    frame->in_body = true;
    if (frame->message.kind == WIRE_REQUEST || frame->message.kind == WIRE_REPLY)
        link->more = frame->message.tensor.more;
    else if (frame->message.kind == WIRE_DECLINE)
        link->more = 0; /* it was counted as following, but does not say what follows it */
    if (frame->header.body_bytes > 0)
        frame->body = tcp->ops->body(tcp->ctx, link, &frame->message);
    else
        deliver(link);
}

/* Those elements of a body that are complete and were not yet. */
static void look_at_elements(struct tcp_frame *frame)
{
    if (frame->body == NULL || frame->message.kind == WIRE_SUMMARY)
        return;
    const float *x = (const float *)(const void *)frame->body + frame->n_looked_at;
    uint32_t n = frame->body_got / (uint32_t)sizeof *x - frame->n_looked_at;
    frame->is_beyond |= vec_first_beyond(x, WIRE_ELEMENT_MAX, n) < n;
    frame->n_looked_at += n;
}

/* n bytes of the body are in place (or not wanted). They have just come, so the cache has them: all
 * that is to be known of them is found out now, a piece at a time. */
static void take_body(struct tcp_link *link, const uint8_t *bytes, uint32_t n)
{
    struct tcp_frame *frame = link->frame;
    for (uint32_t at = 0; at < n; at += TCP_PIECE_BYTES) {
        uint32_t k = n - at < TCP_PIECE_BYTES ? n - at : TCP_PIECE_BYTES;
        wire_sum_add(&frame->sum, bytes + at, k);
        frame->body_got += k;
        look_at_elements(frame);
    }
    bool whole = frame->body_got == frame->header.body_bytes;
    if (whole && !has_wrong_sum(link) && !is_no_weights(link))
        deliver(link);
}

/* Takes what belongs to the current part of the current frame; returns how much that was. */
static uint32_t take_some(struct tcp_link *link, const uint8_t *bytes, uint32_t n)
{
    if (link->frame == NULL) {
        link->frame = borrow_frame(link->tcp);
        link->frame_age = 0;
    }
    struct tcp_frame *frame = link->frame;
    if (frame->in_body) {
        uint32_t left = frame->header.body_bytes - frame->body_got;
        n = n < left ? n : left;
        if (frame->body != NULL)
            memcpy(frame->body + frame->body_got, bytes, n);
        take_body(link, bytes, n);
        return n;
    }
    bool in_header = frame->head_got < WIRE_HEADER_BYTES;
    uint32_t end = WIRE_HEADER_BYTES + (in_header ? 0 : frame->header.map_bytes);
    n = n < end - frame->head_got ? n : end - frame->head_got;
    memcpy(frame->head + frame->head_got, bytes, n);
    frame->head_got += n;
    if (frame->head_got == end && in_header)
        end_of_header(link);
    else if (frame->head_got == end)
        end_of_map(link);
    return n;
}

/* ---- libuv -------------------------------------------------------------------------------- */

static bool fills_body(const struct tcp_link *link)
{
    return link->state == LINK_OPEN && link->frame != NULL && link->frame->body != NULL;
}

void tcp_read_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct tcp_link *link = handle->data;
    const struct tcp_frame *frame = link->frame;
    if (fills_body(link)) { /* never beyond the body: what follows is a header */
        uint32_t left = frame->header.body_bytes - frame->body_got;
        buf->base = (char *)frame->body + frame->body_got;
        buf->len = left < TCP_CHUNK_BYTES ? left : TCP_CHUNK_BYTES;
        return;
    }
    bool skips = link->state != LINK_OPEN || (frame != NULL && frame->in_body);
    buf->base = (char *)link->tcp->scratch;
    buf->len = skips ? sizeof link->tcp->scratch : TCP_HEAD_READ_BYTES;
}

/* Sets waits_for, at least 1. */
static void wait_for(struct tcp_link *link, uint32_t bytes)
{
    int fd, n = (int)bytes;
    if (link->waits_for == bytes || uv_fileno((uv_handle_t *)&link->handle, &fd) != 0)
        return;
    link->waits_for = bytes;
    link->waits_since_ms = uv_now(link->tcp->loop);
    /* Only what it costs hangs on it. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof n);
}

static uint32_t at_most(uint32_t x, uint32_t most)
{
    return x < most ? x : most;
}

/* Until the body is there, and, of who is patient, where they come fast, those of the frames that
 * follow: who wakes up for each takes the processor from the trainer as often, and the sender pays
 * for each waking. */
static void wait_for_rest(struct tcp_link *link)
{
    const struct tcp_frame *frame = link->frame;
    bool between = link->state == LINK_OPEN && frame == NULL;
    uint32_t left = fills_body(link) ? frame->header.body_bytes - frame->body_got : 0;
    bool waits = link->tcp->patient && !link->is_slow && (left > 0 || between);
    uint32_t more = waits ? link->more : 0;
    left = at_most(left, TCP_CHUNK_BYTES) + at_most(more, TCP_BURST_BYTES - TCP_CHUNK_BYTES);
    wait_for(link, left > 0 ? left : 1);
}

/* What was waited for is there. The rest is read until nothing is left, in as many pieces as libuv
 * likes, so none may be too small to be told of. */
void tcp_read_end_wait(struct tcp_link *link)
{
    if (link->waits_for <= 1)
        return;
    link->is_slow = uv_now(link->tcp->loop) - link->waits_since_ms > TCP_BURST_MS;
    wait_for(link, 1);
}

static void end_of_stream(struct tcp_link *link, int status)
{
    if (status != UV_EOF)
        tcp_link_fail(link, "", status);
    else if (link->frame != NULL)
        tcp_close(link, false, "closed by the other side in the middle of a frame");
    else
        tcp_close(link, false, "closed by the other side");
}

void tcp_read_done(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tcp_link *link = stream->data;
    if (n < 0) {
        end_of_stream(link, (int)n);
        return;
    }
    if (n > 0)
        link->quiet = 0;
    link->tcp->traffic.bytes_in += (uint64_t)n;
    const uint8_t *bytes = (const uint8_t *)buf->base;
    bool is_drained = (size_t)n < buf->len;
    tcp_read_end_wait(link);
    if (n > 0 && fills_body(link)) {
        take_body(link, bytes, (uint32_t)n);
    } else {
        for (uint32_t at = 0; at < (uint32_t)n && link->state == LINK_OPEN;)
            at += take_some(link, bytes + at, (uint32_t)n - at);
    }
    if (is_drained)
        wait_for_rest(link);
}
