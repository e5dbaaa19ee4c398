/* SPDX-License-Identifier: BSD-3-Clause */
#include "https_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "https_verbose.h"
#include "sample_util.h"

/* ---- The end of a URL ------------------------------------------------------------------- */

static void finish(struct https_client *client, int status, const char *why)
{
    char url[512];

    if (client->done) {
        return;
    }
    client->done = 1;
    client->status = status;
    progress_clear(&client->progress);
    if (why) {
        sample_error("%s: %s", sample_escape(url, sizeof(url), client->url->text), why);
    }
    event_base_loopbreak(client->base);
}

/* A reset came from someone who was there. */
static int could_not_connect(const struct evtls_error *err)
{
    return err->status == EVTLS_ERR_RESOLVE ||
           (err->status == EVTLS_ERR_IO && err->sys_errno != ECONNRESET && err->sys_errno != EPIPE);
}

static void finish_by_error(struct https_client *client, const struct evtls_error *err)
{
    static const struct {
        enum evtls_status status;
        int code;
    } codes[] = {
        {EVTLS_ERR_CERTIFICATE, HTTPS_CERTIFICATE},
        {EVTLS_ERR_TIMEOUT, HTTPS_TIMEOUT},
    };
    int connected = evtls_engine_is_handshake_done(evtls_bufferevent_get_engine(client->bev));
    int code = could_not_connect(err) ? HTTPS_CONNECT : HTTPS_TLS;

    if (connected && (err->status == EVTLS_ERR_TRUNCATED || err->status == EVTLS_ERR_IO)) {
        finish(client, HTTPS_TRUNCATED, "the answer is truncated: the connection was cut off");
        return;
    }
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (err->status == codes[i].status) {
            code = codes[i].code;
        }
    }
    finish(client, code, err->message);
}

/* The answer is whole, so nothing that follows matters; but we part as TLS asks. */
static void part(struct https_client *client)
{
    static const struct timeval linger = {0, 500000};

    client->whole = 1;
    progress_clear(&client->progress);
    if (evtls_bufferevent_shutdown(client->bev, &linger) != 0) {
        finish(client, EXIT_SUCCESS, NULL);
    }
}

/* Whether the next request may go out on this connection. More bytes than the answer has are
 * nobody's: what would follow them is not to be trusted. */
static int stays_open(const struct https_client *client)
{
    return client->keep && !client->ended && http_response_keeps_connection(&client->response) &&
           evbuffer_get_length(bufferevent_get_input(client->bev)) == 0;
}

static void look_at_response(struct https_client *client)
{
    const char *problem = client->response.problem;

    if (client->whole || client->done) {
        return;
    }
    if (client->response.state == HTTP_BAD) {
        finish(client, EXIT_FAILURE, problem ? problem : "cannot write the output");
    } else if (client->response.state == HTTP_COMPLETE && stays_open(client)) {
        finish(client, EXIT_SUCCESS, NULL);
    } else if (client->response.state == HTTP_COMPLETE) {
        part(client);
    }
}

/* ---- What is called back ---------------------------------------------------------------- */

static int take_body(const void *data, size_t len, void *arg)
{
    struct https_client *client = arg;
    const struct http_response *response = &client->response;
    int known = response->has_length && !response->is_chunked;

    client->body_bytes += len;
    progress_set(&client->progress, client->body_bytes, known ? response->length : 0);
    return client->write_body(data, len);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct https_client *client = arg;

    if (client->done) {
        return;
    }
    http_response_read(&client->response, bufferevent_get_input(bev));
    look_at_response(client);
}

static void connect_anew(struct https_client *client);

/* A server may close a connection it has kept open just when we ask again. Nothing was answered,
 * and to GET twice does no harm (RFC 9112, section 9.3.1). */
static int was_closed_meanwhile(const struct https_client *client)
{
    return client->reused && client->response.state == HTTP_STATUS_LINE &&
           client->response.header_bytes == 0 &&
           evbuffer_get_length(bufferevent_get_input(client->bev)) == 0;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct https_client *client = arg;
    const struct evtls_error *err = evtls_engine_get_error(evtls_bufferevent_get_engine(bev));

    if (what & BEV_EVENT_CONNECTED) {
        return;
    }
    client->ended = 1;
    if (client->done) {
        return;
    }
    if (client->whole) {
        finish(client, EXIT_SUCCESS, NULL);
    } else if (was_closed_meanwhile(client)) {
        connect_anew(client); /* bev is gone */
    } else if ((what & BEV_EVENT_EOF) && http_response_end(&client->response)) {
        finish(client, EXIT_SUCCESS, NULL);
    } else if (what & BEV_EVENT_EOF) {
        finish(client, HTTPS_TRUNCATED, "the answer is truncated: the server ended it early");
    } else {
        finish_by_error(client, err);
    }
}

static void on_time_up(evutil_socket_t fd, short what, void *arg)
{
    struct https_client *client = arg;

    if (client->whole) { /* only the server's close_notify is still awaited */
        finish(client, EXIT_SUCCESS, NULL);
    } else {
        finish(client, HTTPS_TIMEOUT, "timeout");
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct https_client *client = arg;

    if (client->body_bytes > 0 && !client->whole) {
        progress_tick(&client->progress);
    }
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    https_verbose_handshake(bev);
}

static void on_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    https_verbose_alpn(protocol);
}

static void on_close_notify(struct bufferevent *bev, void *arg)
{
    fprintf(stderr, "* close_notify\n");
}

static void keep_session(struct bufferevent *bev, struct evtls_session *session, void *arg)
{
    struct https_client *client = arg;

    https_sessions_keep(&client->sessions, client->url->authority, session);
    if (client->verbose) {
        fprintf(stderr, "* session\n");
    }
}

/* ---- Connecting ------------------------------------------------------------------------- */

static void drop_connection(struct https_client *client)
{
    if (client->bev) {
        bufferevent_free(client->bev);
    }
    client->bev = NULL;
}

/* On a connection that is open, or for one that will be. */
static void ask(struct https_client *client)
{
    evbuffer_add_printf(bufferevent_get_output(client->bev),
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: https-get\r\n"
                        "Accept: */*\r\n%s\r\n",
                        client->url->path, client->url->authority,
                        client->keep ? "" : "Connection: close\r\n");
}

/* A bufferevent for a new connection, with the request in its output. */
static int make_connection(struct https_client *client, struct evtls_error *err)
{
    static const struct evtls_callbacks verbose = {.handshake = on_handshake,
                                                   .alpn = on_alpn,
                                                   .close_notify = on_close_notify,
                                                   .session = keep_session};
    static const struct evtls_callbacks quiet = {.session = keep_session};
    const struct timeval limit = {client->timeout_seconds, 0};
    struct evtls_engine *engine;

    client->bev = evtls_bufferevent_socket_new(client->base, -1, client->ctx, EVTLS_CLIENT,
                                               BEV_OPT_CLOSE_ON_FREE, err);
    engine = evtls_bufferevent_get_engine(client->bev);
    /* What is verified is the URL's host, wherever we connect. */
    if (!client->bev || evtls_engine_set_server_hostname(engine, client->url->host, err) != 0) {
        return -1;
    }
    client->ended = 0;
    evtls_engine_set_session(engine, client->offered, NULL);
    evtls_bufferevent_set_handshake_timeout(client->bev, &limit);
    evtls_bufferevent_setcb(client->bev, client->verbose ? &verbose : &quiet, client);
    bufferevent_setcb(client->bev, on_read, NULL, on_event, client);
    bufferevent_enable(client->bev, EV_READ | EV_WRITE);
    ask(client);
    return 0;
}

/* To the first address of the host that answers; on_event hears of what fails. */
static void connect_anew(struct https_client *client)
{
    const struct sample_endpoint *to = client->connect_to;
    const char *host = to ? to->host : client->url->host;
    int port = to ? to->port : client->url->port;
    struct evtls_error err;

    drop_connection(client);
    client->reused = 0;
    if (client->verbose) {
        fprintf(stderr, "* connecting to %s port %d\n", host, port);
    }
    evtls_session_free(client->offered);
    client->offered = https_sessions_take(&client->sessions, client->url->authority);
    if (make_connection(client, &err) != 0) {
        finish(client, EXIT_FAILURE, err.message);
    } else if (evtls_bufferevent_connect_hostname(client->bev, client->dns, AF_UNSPEC, host,
                                                  port) != 0) {
        finish(client, EXIT_FAILURE, "no host to connect to");
    }
}

static void start(evutil_socket_t fd, short what, void *arg)
{
    struct https_client *client = arg;

    if (!client->bev) {
        connect_anew(client);
        return;
    }
    client->reused = 1;
    if (client->verbose) {
        fprintf(stderr, "* the same connection\n");
    }
    ask(client);
}

/* ---- One URL ---------------------------------------------------------------------------- */

static int same_host(const struct https_url *a, const struct https_url *b)
{
    return b && strcasecmp(a->host, b->host) == 0 && a->port == b->port;
}

static void run(struct https_client *client)
{
    const struct timeval limit = {client->timeout_seconds, 0}, often = {0, 200000};
    const struct timeval at_once = {0, 0};
    struct event *time_up = evtimer_new(client->base, on_time_up, client);
    struct event *tick = event_new(client->base, -1, EV_PERSIST, on_tick, client);

    event_add(time_up, &limit);
    if (client->progress.fd >= 0) {
        event_add(tick, &often);
    }
    /* From the loop, so that whatever happens at once can end it. */
    event_base_once(client->base, -1, EV_TIMEOUT, start, client, &at_once);
    event_base_dispatch(client->base);
    event_free(tick);
    event_free(time_up);
}

int https_client_get(struct https_client *client, const struct https_url *url,
                     const struct https_url *next)
{
    client->url = url;
    client->keep = same_host(url, next);
    client->body_bytes = 0;
    client->reused = client->whole = client->done = 0;
    client->status = EXIT_FAILURE;
    http_response_init(&client->response, take_body, client);
    progress_start(&client->progress, client->terminal);
    run(client);
    progress_clear(&client->progress);
    if (client->status != EXIT_SUCCESS || client->whole || !stays_open(client)) {
        drop_connection(client);
    }
    return client->status;
}

void https_client_cleanup(struct https_client *client)
{
    drop_connection(client);
    evtls_session_free(client->offered);
    https_sessions_cleanup(&client->sessions);
}
