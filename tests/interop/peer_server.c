/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "peer.h"

/* A connection whose bytes are sent back. */
struct echo {
    struct server *server;
    struct bufferevent *bev;
    TAILQ_ENTRY(echo) next;
};

struct server {
    const struct peer_options *options;
    struct event_base *base;
    struct evtls_context *ctx; /* NULL: plain */
    struct evhttp *http;
    struct evconnlistener *listener;
    TAILQ_HEAD(, echo) echoes;
    struct {
        const char *name;
        struct evtls_context *ctx;
    } hosts[PEER_MAX_NAMES];
};

/* ---- What is said about a connection ---------------------------------------------------- */

static void on_handshake(struct bufferevent *bev, void *arg)
{
    peer_say_connected(bev);
}

static void on_close_notify(struct bufferevent *bev, void *arg)
{
    peer_say_ended(bev, NULL);
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    peer_say_ended(bev, err);
}

static const struct evtls_callbacks callbacks = {
    .handshake = on_handshake, .close_notify = on_close_notify, .error = on_error};

/* ---- Echo ------------------------------------------------------------------------------- */

static void drop(struct echo *echo)
{
    TAILQ_REMOVE(&echo->server->echoes, echo, next);
    free(echo);
}

/* As a process that dies: what the kernel has is sent, and no close_notify. */
static int is_cut(struct evbuffer *input)
{
    return evbuffer_get_length(input) == 4 && memcmp(evbuffer_pullup(input, 4), "cut\n", 4) == 0;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(bev);

    if (is_cut(input)) {
        shutdown(bufferevent_getfd(bev), SHUT_RDWR);
        bufferevent_free(bev);
        drop(arg);
        return;
    }
    bufferevent_write_buffer(bev, input);
}

static void on_drained(struct bufferevent *bev, void *arg)
{
    bufferevent_free(bev);
    drop(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct echo *echo = arg;

    if (what & BEV_EVENT_CONNECTED)
        return;
    if ((what & BEV_EVENT_ERROR) == 0) {
        bufferevent_write_buffer(bev, bufferevent_get_input(bev));
        if (echo->server->ctx != NULL) {
            evtls_bufferevent_close(bev, NULL);
            drop(echo);
            return;
        }
        if (evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
            bufferevent_setcb(bev, NULL, on_drained, on_event, echo);
            return;
        }
    }
    bufferevent_free(bev);
    drop(echo);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int len, void *arg)
{
    struct server *server = arg;
    struct echo *echo = calloc(1, sizeof(*echo));

    if (echo == NULL)
        peer_die("no memory", NULL);
    echo->server = server;
    if (server->ctx != NULL)
        echo->bev = evtls_bufferevent_socket_new(server->base, fd, server->ctx, EVTLS_SERVER,
                                                 BEV_OPT_CLOSE_ON_FREE, NULL);
    else
        echo->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (echo->bev == NULL)
        peer_die("no connection", NULL);
    TAILQ_INSERT_TAIL(&server->echoes, echo, next);
    if (server->ctx != NULL)
        evtls_bufferevent_setcb(echo->bev, &callbacks, NULL);
    bufferevent_setcb(echo->bev, on_read, NULL, on_event, echo);
    bufferevent_enable(echo->bev, EV_READ | EV_WRITE);
}

/* ---- HTTP ------------------------------------------------------------------------------- */

static void cut_connection(struct evhttp_connection *connection, void *arg)
{
    shutdown(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), SHUT_RDWR);
    evhttp_send_reply_end(arg);
}

/* The body of the request, or for a request without one its path. */
static void on_request(struct evhttp_request *request, void *arg)
{
    struct evbuffer *body = evbuffer_new(), *input = evhttp_request_get_input_buffer(request);

    if (is_cut(input)) {
        /* Half of what is announced. */
        evbuffer_add_buffer(body, input);
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", "8");
        evhttp_send_reply_start(request, HTTP_OK, "OK");
        evhttp_send_reply_chunk_with_cb(request, body, cut_connection, request);
        evbuffer_free(body);
        return;
    }
    evbuffer_add_buffer(body, input);
    if (evbuffer_get_length(body) == 0)
        evbuffer_add_printf(body, "%s\n", evhttp_request_get_uri(request));
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

static struct bufferevent *on_http_accept(struct event_base *base, void *ctx)
{
    struct bufferevent *bev = evtls_evhttp_bevcb(base, ctx);

    if (bev != NULL)
        evtls_bufferevent_setcb(bev, &callbacks, NULL);
    return bev;
}

static int listen_plain_http(struct server *server)
{
    struct evhttp_bound_socket *bound =
        evhttp_bind_socket_with_handle(server->http, "127.0.0.1", 0);
    struct sockaddr_in address;
    socklen_t len = sizeof(address);

    if (bound == NULL ||
        getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len) < 0)
        peer_die("cannot listen", NULL);
    return ntohs(address.sin_port);
}

static int listen_http(struct server *server)
{
    struct evtls_error err;

    server->http = evhttp_new(server->base);
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT);
    evhttp_set_gencb(server->http, on_request, NULL);
    if (server->ctx == NULL)
        return listen_plain_http(server);
    if (evtls_evhttp_bind(server->http, server->ctx, "127.0.0.1", 0, &err) < 0)
        peer_die("listen", &err);
    evhttp_set_bevcb(server->http, on_http_accept, server->ctx);
    return evtls_evhttp_get_port(server->http);
}

static int listen_echo(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = evconnlistener_new_bind(server->base, on_accept, server,
                                               LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1,
                                               (struct sockaddr *)&address, sizeof(address));
    if (server->listener == NULL ||
        getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&address, &len) < 0)
        peer_die("cannot listen", NULL);
    return ntohs(address.sin_port);
}

/* ---- Contexts --------------------------------------------------------------------------- */

static struct evtls_context *make_context(const struct peer_options *options)
{
    struct evtls_ca ca = {.file = options->ca};
    struct evtls_error err;
    struct evtls_context *ctx = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, &ca, &err);

    if (ctx == NULL)
        peer_die("context", &err);
    peer_set_up(ctx, options);
    if (options->ca != NULL &&
        evtls_context_set_verify_mode(
            ctx, options->optional ? EVTLS_VERIFY_OPTIONAL : EVTLS_VERIFY_REQUIRED, &err) < 0)
        peer_die("--ca", &err);
    return ctx;
}

static int choose_host(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                       void *arg)
{
    const struct server *server = arg;

    for (size_t i = 0; name != NULL && i < server->options->n_sni; i++)
        if (strcmp(server->hosts[i].name, name) == 0)
            return evtls_engine_set_context(engine, server->hosts[i].ctx, NULL);
    return 0;
}

static void add_host(struct server *server, size_t i)
{
    struct peer_options options = *server->options;
    char *name = strdup(server->options->sni[i]), *cert = strchr(name, '='), *key;

    if (cert == NULL || (key = strchr(cert + 1, '=')) == NULL)
        peer_die("--sni needs NAME=CERT=KEY", NULL);
    *cert++ = *key++ = '\0';
    options.cert = cert;
    options.key = key;
    server->hosts[i].name = name;
    server->hosts[i].ctx = make_context(&options);
}

static void set_contexts(struct server *server)
{
    server->ctx = make_context(server->options);
    for (size_t i = 0; i < server->options->n_sni; i++)
        add_host(server, i);
    if (server->options->n_sni > 0)
        evtls_context_set_sni_callback(server->ctx, choose_host, server, NULL);
}

/* ---- Start and end ---------------------------------------------------------------------- */

static void on_terminate(evutil_socket_t number, short what, void *arg)
{
    event_base_loopbreak(arg);
}

static void clean_up(struct server *server)
{
    struct echo *echo;

    while ((echo = TAILQ_FIRST(&server->echoes)) != NULL) {
        bufferevent_free(echo->bev);
        drop(echo);
    }
    if (server->http != NULL)
        evhttp_free(server->http);
    if (server->listener != NULL)
        evconnlistener_free(server->listener);
    evtls_context_free(server->ctx);
    for (size_t i = 0; i < server->options->n_sni; i++) {
        evtls_context_free(server->hosts[i].ctx);
        free((char *)server->hosts[i].name);
    }
}

int peer_server(const struct peer_options *options, struct event_base *base)
{
    struct server server = {.options = options, .base = base};
    struct event *terminate = evsignal_new(base, SIGTERM, on_terminate, base);

    TAILQ_INIT(&server.echoes);
    event_add(terminate, NULL);
    if (!options->plain)
        set_contexts(&server);
    printf("listening %d\n", options->http ? listen_http(&server) : listen_echo(&server));
    event_base_dispatch(base);
    clean_up(&server);
    event_free(terminate);
    return 0;
}
