/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greeter: a daemon that gets accepted descriptors from a listener of its own (as one started by
 * inetd or systemd has), and hands each accepted descriptor to evtls. Says hello and closes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <evtls/evtls.h>

#include "sample_server.h"

static const char usage[] =
    "Usage: greeter [--listen ADDR:PORT] [--cert FILE [--key FILE]] [--write-cert FILE]\n"
    "Greets each client over TLS and closes. Listens on 127.0.0.1:4433 unless told otherwise.\n"
    "  --cert FILE        certificate chain in PEM; without it one for localhost is made in "
    "memory\n"
    "  --key FILE         its private key, where that is not in the same file\n"
    "  --write-cert FILE  store the certificate, so that a client can trust it\n";

static const char greeting[] = "hello\n";

static struct sample_connections connections = LIST_HEAD_INITIALIZER(connections);

static void event(struct bufferevent *bev, short what, void *arg)
{
    if (what & BEV_EVENT_CONNECTED) {
        bufferevent_write(bev, greeting, sizeof(greeting) - 1);
    }
    sample_forget(bev);
    evtls_bufferevent_close(bev, NULL); /* the greeting and close_notify leave first */
}

/* fd is an accepted connection, from wherever the daemon gets its connections. */
static int greet(struct event_base *base, struct evtls_context *ctx, int fd)
{
    struct evtls_error err;
    struct bufferevent *bev =
        evtls_bufferevent_socket_new(base, fd, ctx, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE, &err);

    if (!bev) {
        sample_error("%s", err.message);
        return -1; /* fd is still ours */
    }
    sample_remember(&connections, bev);
    bufferevent_setcb(bev, NULL, NULL, event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return 0;
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                     int peer_len, void *ctx)
{
    if (greet(evconnlistener_get_base(listener), ctx, fd) != 0) {
        close(fd);
    }
}

int main(int argc, char **argv)
{
    struct sample_server server;
    int status = sample_server_init(&server, argc, argv, usage);

    if (status == SAMPLE_GO_ON) {
        status = sample_server_run(&server, accepted, server.ctx, &connections);
    }
    sample_server_cleanup(&server);
    return status;
}
