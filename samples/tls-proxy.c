/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tls-proxy: takes TLS connections and passes their bytes to a backend in plaintext, both ways,
 * with back-pressure: a side that doesn't read makes the other one stop being read.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/util.h>

#include "sample_server.h"

static const char usage[] =
    "Usage: tls-proxy --backend ADDR:PORT [--listen ADDR:PORT] [--cert FILE [--key FILE]]\n"
    "                 [--write-cert FILE]\n"
    "Takes TLS connections and passes their bytes to the backend in plaintext. Listens on\n"
    "127.0.0.1:4433 unless told otherwise.\n"
    "  --backend ADDR:PORT  where the plaintext goes\n"
    "  --cert FILE          certificate chain in PEM; without it one for localhost is made in "
    "memory\n"
    "  --key FILE           its private key, where that is not in the same file\n"
    "  --write-cert FILE    store the certificate, so that a client can trust it\n";

/* The most that one side holds for the other. */
#define MAX_OUTPUT 262144

static struct sample_connections connections = LIST_HEAD_INITIALIZER(connections);
static struct sockaddr_storage backend;
static int backend_len = sizeof(backend);

/* The arg of each bufferevent is its partner, NULL once that one is gone. */
static void on_read(struct bufferevent *bev, void *arg)
{
    struct bufferevent *partner = arg;

    if (!partner) {
        evbuffer_drain(bufferevent_get_input(bev), evbuffer_get_length(bufferevent_get_input(bev)));
        return;
    }
    bufferevent_write_buffer(partner, bufferevent_get_input(bev));
    if (evbuffer_get_length(bufferevent_get_output(partner)) >= MAX_OUTPUT) {
        bufferevent_disable(bev, EV_READ);
        bufferevent_setwatermark(partner, EV_WRITE, MAX_OUTPUT / 2, 0);
    }
}

static void release(struct bufferevent *bev)
{
    sample_forget(bev);
    evtls_bufferevent_close(bev, NULL); /* a plaintext one is simply freed */
}

/* The output is down to the low watermark. */
static void on_write(struct bufferevent *bev, void *arg)
{
    struct bufferevent *partner = arg;

    if (partner) {
        bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
        bufferevent_enable(partner, EV_READ);
    } else if (evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
        release(bev);
    }
}

/* One side has ended: the other gets what is left for it, then ends too. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct bufferevent *partner = arg;

    if (what & BEV_EVENT_CONNECTED) {
        return;
    }
    if (partner) {
        on_read(bev, partner);
        bufferevent_setcb(partner, on_read, on_write, on_event, NULL);
        bufferevent_setwatermark(partner, EV_WRITE, 0, 0);
        bufferevent_enable(partner, EV_READ | EV_WRITE);
        if (evbuffer_get_length(bufferevent_get_output(partner)) == 0) {
            release(partner);
        }
    }
    release(bev);
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                     int peer_len, void *ctx)
{
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *plain = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct evtls_error err;
    struct bufferevent *tls =
        evtls_bufferevent_socket_new(base, fd, ctx, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE, &err);

    if (!tls || !plain) {
        sample_error("%s", tls ? "out of memory" : err.message);
        evutil_closesocket(fd);
        if (plain) {
            bufferevent_free(plain);
        }
        return;
    }
    sample_remember(&connections, tls);
    bufferevent_setcb(tls, on_read, on_write, on_event, plain);
    bufferevent_setcb(plain, on_read, on_write, on_event, tls);
    bufferevent_enable(tls, EV_READ | EV_WRITE);
    bufferevent_enable(plain, EV_READ | EV_WRITE);
    bufferevent_socket_connect(plain, (struct sockaddr *)&backend, backend_len);
}

int main(int argc, char **argv)
{
    struct sample_server server;
    int status = sample_server_init(&server, argc, argv, usage, 1);

    if (status == SAMPLE_GO_ON &&
        evutil_parse_sockaddr_port(server.backend, (struct sockaddr *)&backend, &backend_len) !=
            0) {
        status = sample_usage_error("--backend needs ADDR:PORT");
    }
    if (status == SAMPLE_GO_ON) {
        status = sample_server_run(&server, accepted, server.ctx, &connections);
    }
    sample_server_cleanup(&server);
    return status;
}
