/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tls-proxy: takes TLS connections and passes their bytes to a backend in plaintext, both ways,
 * with back-pressure: a side that doesn't read makes the other one stop being read.
 */
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>

#include "sample_server.h"

static const char usage[] =
    "Usage: tls-proxy --backend HOST:PORT [--listen ADDR:PORT] [--cert FILE [--key FILE]]\n"
    "                 [--write-cert FILE]\n"
    "Takes TLS connections and passes their bytes to the backend in plaintext. Listens on\n"
    "127.0.0.1:4433 unless told otherwise.\n"
    "  --listen ADDR:PORT   :PORT is all addresses, port 0 a free one\n"
    "  --backend HOST:PORT  where the plaintext goes; a name is looked up once, and its addresses\n"
    "                       are tried in turn\n"
    "  --cert FILE          certificate chain in PEM; without it one for localhost is made in "
    "memory\n"
    "  --key FILE           its private key, where that is not in the same file\n"
    "  --write-cert FILE    store the certificate, so that a client can trust it\n";

/* The most that one side holds for the other. */
#define MAX_OUTPUT 262144

/* One direction's reader and the other one's writer. */
struct side {
    struct bufferevent *bev;
    struct side *partner;
    struct pair *pair;
    int connected;
    int read_all; /* its clean end has been read */
    int sent_end; /* and the partner's has been passed on to it */
};

struct pair {
    struct side tls;
    struct side plain;
    const struct evutil_addrinfo *address; /* of the backend, which plain connects to */
    LIST_ENTRY(pair) next;
};

static LIST_HEAD(pairs, pair) pairs = LIST_HEAD_INITIALIZER(pairs);
static struct sample_connections none = LIST_HEAD_INITIALIZER(none);
static struct evutil_addrinfo *backend;

/* evtls sends the client what is left for it, and close_notify, before the connection goes. */
static void free_pair(struct pair *pair)
{
    LIST_REMOVE(pair, next);
    evtls_bufferevent_close(pair->tls.bev, NULL);
    bufferevent_free(pair->plain.bev);
    free(pair);
}

static void free_all(void)
{
    while (!LIST_EMPTY(&pairs)) {
        free_pair(LIST_FIRST(&pairs));
    }
}

/* Nothing is left to send to this side and nothing will come: half of the connection is closed. */
static void send_end(struct side *side)
{
    side->sent_end = 1;
    if (side == &side->pair->tls) {
        evtls_bufferevent_shutdown_write(side->bev);
    } else {
        shutdown(bufferevent_getfd(side->bev), SHUT_WR);
    }
    if (side->partner->sent_end) {
        free_pair(side->pair);
    }
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct side *side = arg;
    struct bufferevent *partner = side->partner->bev;

    bufferevent_write_buffer(partner, bufferevent_get_input(bev));
    if (evbuffer_get_length(bufferevent_get_output(partner)) >= MAX_OUTPUT) {
        bufferevent_disable(bev, EV_READ);
        bufferevent_setwatermark(partner, EV_WRITE, MAX_OUTPUT / 2, 0);
    }
}

/* The output is down to the low watermark. */
static void on_write(struct bufferevent *bev, void *arg)
{
    struct side *side = arg;
    int empty = evbuffer_get_length(bufferevent_get_output(bev)) == 0;

    bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
    if (!side->partner->read_all) {
        bufferevent_enable(side->partner->bev, EV_READ);
    } else if (empty && side->connected && !side->sent_end) {
        send_end(side);
    }
}

/* Plaintext has no close_notify: all that tells the backend of a cut connection is a reset. */
static void reset_on_close(struct bufferevent *bev)
{
    const struct linger now = {1, 0};

    setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Returns 1 when the backend has another address, which is tried now. */
static int connect_to_next(struct pair *pair)
{
    evutil_socket_t fd = bufferevent_getfd(pair->plain.bev);

    pair->address = pair->address ? pair->address->ai_next : backend;
    if (!pair->address) {
        return 0;
    }
    if (fd >= 0) {
        bufferevent_setfd(pair->plain.bev, -1);
        evutil_closesocket(fd);
    }
    /* on_event hears of a failure, perhaps at once: pair may be gone then. */
    bufferevent_socket_connect(pair->plain.bev, pair->address->ai_addr,
                               (int)pair->address->ai_addrlen);
    return 1;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct side *side = arg;

    if (what & BEV_EVENT_CONNECTED) {
        side->connected = 1;
        on_write(bev, side);
        return;
    }
    if (what & BEV_EVENT_EOF) {
        on_read(bev, side);
        side->read_all = 1;
        on_write(side->partner->bev, side->partner);
        return;
    }
    if (side == &side->pair->plain && !side->connected && connect_to_next(side->pair)) {
        return;
    }
    if (side == &side->pair->tls) {
        reset_on_close(side->pair->plain.bev);
    }
    free_pair(side->pair);
}

static void open_side(struct pair *pair, struct side *side, struct side *partner,
                      struct bufferevent *bev)
{
    side->bev = bev;
    side->partner = partner;
    side->pair = pair;
    bufferevent_setcb(bev, on_read, on_write, on_event, side);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                     int peer_len, void *ctx)
{
    struct event_base *base = evconnlistener_get_base(listener);
    struct pair *pair = calloc(1, sizeof(*pair));
    struct bufferevent *plain = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct bufferevent *tls =
        evtls_bufferevent_socket_new(base, fd, ctx, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE, NULL);

    if (!pair || !plain || !tls) {
        sample_error("cannot take a connection");
        if (tls) {
            bufferevent_free(tls);
        } else {
            evutil_closesocket(fd);
        }
        if (plain) {
            bufferevent_free(plain);
        }
        free(pair);
        return;
    }
    LIST_INSERT_HEAD(&pairs, pair, next);
    open_side(pair, &pair->tls, &pair->plain, tls);
    open_side(pair, &pair->plain, &pair->tls, plain);
    connect_to_next(pair);
}

static struct sample_endpoint backend_at;

static int set_backend(const char *text, void *arg)
{
    if (sample_parse_endpoint(&backend_at, text) < 0 || backend_at.host[0] == '\0' ||
        backend_at.port == 0) {
        return sample_usage_error("--backend needs HOST:PORT");
    }
    return SAMPLE_GO_ON;
}

static int start(struct sample_server *server)
{
    if (backend_at.port == 0) {
        return sample_usage_error("--backend is missing");
    }
    if (sample_resolve(&backend_at, 0, &backend) != 0) {
        return EXIT_FAILURE;
    }
    return sample_server_start(server);
}

int main(int argc, char **argv)
{
    const struct sample_option own[] = {{.name = "backend", .add = set_backend}, {.name = NULL}};
    struct sample_server server;
    int status = sample_server_parse(&server, argc, argv, usage, own);

    if (status == SAMPLE_GO_ON) {
        status = start(&server);
    }
    if (status == SAMPLE_GO_ON) {
        server.stopping = free_all;
        status = sample_server_run(&server, accepted, server.ctx, &none);
    }
    sample_server_cleanup(&server);
    if (backend) {
        evutil_freeaddrinfo(backend);
    }
    return status;
}
