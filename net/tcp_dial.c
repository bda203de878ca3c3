#include "base/check.h"
#include "net/tcp_link.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

static void on_connected(uv_connect_t *req, int status)
{
    struct tcp_link *link = req->data;
    if (link->state != LINK_CONNECTING)
        return; /* closed meanwhile: the close callback goes on from here */
    if (status != 0) {
        tcp_dial_next(link, status);
        return;
    }
    uv_freeaddrinfo(link->addresses);
    link->addresses = link->address = NULL;
    tcp_link_open(link);
}

/* From a fresh handle to link->address. */
static void connect_now(struct tcp_link *link)
{
    link->state = LINK_CONNECTING;
    link->age = 0;
    link->req.connect.data = link;
    int rc =
        uv_tcp_connect(&link->req.connect, &link->handle, link->address->ai_addr, on_connected);
    if (rc != 0)
        tcp_dial_next(link, rc);
}

/* A handle that failed to connect cannot be used for another address. */
void tcp_dial_next(struct tcp_link *link, int status)
{
    link->address = link->address->ai_next;
    if (link->address == NULL) {
        tcp_link_fail(link, "", status);
        return;
    }
    link->state = LINK_RETRYING;
    uv_close((uv_handle_t *)&link->handle, tcp_link_closed);
}

void tcp_dial_retry(struct tcp_link *link)
{
    CHECK(uv_tcp_init(link->tcp->loop, &link->handle) == 0);
    link->handle.data = link;
    connect_now(link);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *addresses)
{
    struct tcp_link *link = req->data;
    link->resolving = false;
    link->addresses = addresses;
    if (link->state == LINK_CLOSING) {
        if (link->handle_closed)
            tcp_link_finish(link);
    } else if (status != 0) {
        tcp_link_fail(link, "cannot resolve the name: ", status);
    } else {
        link->address = addresses;
        connect_now(link);
    }
}

struct tcp_link *tcp_dial(struct tcp *tcp, const struct host_port *address)
{
    CHECK(!tcp->freeing);
    char remote[sizeof address->host + 16], service[8];
    bool v6 = strchr(address->host, ':') != NULL;
    snprintf(remote, sizeof remote, v6 ? "[%s]:%u" : "%s:%u", address->host, address->port);
    snprintf(service, sizeof service, "%u", address->port);
    struct tcp_link *link = tcp_link_new(tcp, strlen(remote) + 1, LINK_RESOLVING);
    strcpy(link->remote, remote);
    link->dialled = true;
    link->req.resolve.data = link;

    /* An address in digits does not queue behind slow names in libuv's pool of four threads. */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    hints.ai_flags |= AI_NUMERICSERV;
    if (uv_getaddrinfo(tcp->loop, &link->req.resolve, NULL, address->host, service, &hints) == 0) {
        link->addresses = link->address = link->req.resolve.addrinfo;
        connect_now(link);
        return link;
    }
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    int rc =
        uv_getaddrinfo(tcp->loop, &link->req.resolve, on_resolved, address->host, service, &hints);
    link->resolving = rc == 0;
    if (rc != 0)
        tcp_link_fail(link, "cannot resolve the name: ", rc);
    return link;
}
