/* SPDX-License-Identifier: BSD-3-Clause */
/* tls-echo-server: sends back what it receives, over TLS. */
#include <event2/buffer.h>

#include "sample_server.h"

static const char usage[] =
    "Usage: tls-echo-server [--listen ADDR:PORT] [--cert FILE [--key FILE]] [--write-cert FILE]\n"
    "Sends back what it receives, over TLS. Listens on 127.0.0.1:4433 unless told otherwise.\n"
    "  --cert FILE        certificate chain in PEM; without it one for localhost is made in "
    "memory\n"
    "  --key FILE         its private key, where that is not in the same file\n"
    "  --write-cert FILE  store the certificate, so that a client can trust it\n";

static struct sample_connections connections = LIST_HEAD_INITIALIZER(connections);

static void echo(struct bufferevent *bev, void *arg)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
    if (evbuffer_get_length(bufferevent_get_output(bev)) > 65536)
        bufferevent_disable(bev, EV_READ); /* a peer that does not read; sent() goes on */
}

static void sent(struct bufferevent *bev, void *arg)
{
    bufferevent_enable(bev, EV_READ);
}

static void event(struct bufferevent *bev, short what, void *arg)
{
    if (what & BEV_EVENT_CONNECTED)
        return;
    sample_forget(bev);
    evtls_bufferevent_close(bev, NULL); /* sends what is left and a close_notify first */
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                     int peer_len, void *ctx)
{
    struct bufferevent *bev = evtls_bufferevent_socket_new(
        evconnlistener_get_base(listener), fd, ctx, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE, NULL);

    if (bev == NULL) {
        evutil_closesocket(fd);
        return;
    }
    sample_remember(&connections, bev); /* to be closed properly when the program ends */
    bufferevent_setcb(bev, echo, sent, event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    struct sample_server server;
    int status = sample_server_init(&server, argc, argv, usage);

    if (status == SAMPLE_GO_ON)
        status = sample_server_run(&server, accepted, server.ctx, &connections);
    sample_server_cleanup(&server);
    return status;
}
