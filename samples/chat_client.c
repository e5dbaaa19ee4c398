/* SPDX-License-Identifier: BSD-3-Clause */
#include "chat_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <evtls/evtls.h>

#include "sample_address.h"
#include "sample_util.h"

#define MAX_LINE_BYTES 4096

struct chat_client {
    struct event_base *base;
    struct evtls_context *ctx;
    struct bufferevent *bev;
    char **lines;
    int n;
    int next; /* the line to say next; what is awaited answers the one before */
    int is_tls;
    int quitting;
    int status;
};

static void fail(struct chat_client *client, const char *why)
{
    sample_error("%s", why);
    event_base_loopbreak(client->base);
}

/* Through escape, since a server may send anything. */
static void show(const struct chat_client *client, char mark, const char *line)
{
    char text[MAX_LINE_BYTES * 4 + 1];

    printf("%s %c %s\n", client->is_tls ? "TLS  " : "clear", mark,
           sample_escape(text, sizeof(text), line));
}

static const char *line_before(const struct chat_client *client)
{
    return client->next > 0 ? client->lines[client->next - 1] : "";
}

static void say_next(struct chat_client *client)
{
    const char *line = client->next < client->n ? client->lines[client->next++] : "quit";

    client->quitting = strcasecmp(line, "quit") == 0;
    show(client, '>', line);
    evbuffer_add_printf(bufferevent_get_output(client->bev), "%s\r\n", line);
}

/* ---- Up and down ------------------------------------------------------------------------ */

/*
 * on_event hears of the rest: the handshake verifies the server, and nothing is sent before. What
 * came behind the answer to starttls came in clear and would be taken for the server's later; evtls
 * refuses to start then.
 */
static void go_up(struct chat_client *client)
{
    struct evtls_error err;

    if (evtls_bufferevent_start_tls(client->bev, client->ctx, EVTLS_CLIENT, 0, &err) != 0)
        fail(client, err.message);
}

static void is_up(struct chat_client *client)
{
    const struct evtls_engine *engine = evtls_bufferevent_get_engine(client->bev);

    client->is_tls = 1;
    printf("TLS   = %s, %s, verified: %s\n", evtls_engine_get_version(engine),
           evtls_engine_get_cipher(engine),
           evtls_engine_get_peer_auth(engine) == EVTLS_PEER_CERTIFICATE_HOST ? "yes" : "no");
    say_next(client);
}

static void is_down(struct bufferevent *plain, size_t protected_bytes,
                    const struct evtls_error *err, void *arg)
{
    struct chat_client *client = arg;

    if (err != NULL) {
        fail(client, err->message);
        return;
    }
    if (evbuffer_get_length(bufferevent_get_input(plain)) > 0) {
        fail(client, protected_bytes > 0 ? "the server says more behind its answer to stoptls"
                                         : "the server speaks in clear without being asked");
        return;
    }
    client->is_tls = 0;
    printf("clear = TLS was ended by both sides\n");
    say_next(client);
}

static void go_down(struct chat_client *client)
{
    if (evtls_bufferevent_unwrap(client->bev, is_down, client) != 0)
        fail(client, "cannot end TLS");
}

/* ---- Callbacks -------------------------------------------------------------------------- */

static void take_answer(struct chat_client *client, const char *line)
{
    const char *said = line_before(client);

    show(client, '<', line);
    if (client->quitting)
        return; /* the server closes */
    if (line[0] != '+') {
        fail(client, "the server refuses that");
    } else if (strcasecmp(said, "starttls") == 0) {
        go_up(client);
    } else if (strcasecmp(said, "stoptls") == 0) {
        go_down(client);
    } else {
        say_next(client);
    }
}

/* Each line of ours gets one back, so one at most is there to be taken. */
static void on_read(struct bufferevent *bev, void *arg)
{
    struct chat_client *client = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);

    if (line != NULL) {
        take_answer(client, line);
        free(line);
    } else if (evbuffer_get_length(input) > MAX_LINE_BYTES) {
        fail(client, "the server sends a line that is too long");
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct chat_client *client = arg;
    const struct evtls_error *err = evtls_engine_get_error(evtls_bufferevent_get_engine(bev));

    if (what & BEV_EVENT_CONNECTED) {
        if (strcasecmp(line_before(client), "starttls") == 0)
            is_up(client); /* else TCP is */
    } else if ((what & BEV_EVENT_EOF) && client->quitting) {
        client->status = EXIT_SUCCESS;
        event_base_loopbreak(client->base);
    } else if (what & BEV_EVENT_EOF) {
        fail(client, "the server ended the connection");
    } else {
        fail(client, err ? err->message : "the connection failed");
    }
}

/* ---- The program ------------------------------------------------------------------------ */

static int connect_to(struct chat_client *client, const struct sample_endpoint *server,
                      struct evtls_error *err)
{
    client->bev = evtls_bufferevent_plaintext_new(client->base, -1, BEV_OPT_CLOSE_ON_FREE, err);
    if (client->bev == NULL)
        return -1;
    bufferevent_setcb(client->bev, on_read, NULL, on_event, client);
    bufferevent_enable(client->bev, EV_READ | EV_WRITE);
    /* The name is kept: it is what the handshake will verify. */
    if (evtls_bufferevent_connect_hostname(client->bev, NULL, AF_UNSPEC, server->host,
                                           server->port) == 0)
        return 0;
    bufferevent_free(client->bev);
    snprintf(err->message, sizeof(err->message), "no host: %s", server->host);
    return -1;
}

int chat_client_run(const struct sample_endpoint *server, const char *cafile, char **lines, int n)
{
    struct chat_client client = {.lines = lines, .n = n};
    struct evtls_ca ca = {.file = cafile};
    struct sample_signals signals = {NULL, NULL, 0};
    struct evtls_error err = {.message = "out of memory"};

    client.status = EXIT_FAILURE;
    client.base = event_base_new();
    client.ctx = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, &err);
    if (client.base == NULL || client.ctx == NULL ||
        sample_signals_init(&signals, client.base) != 0 || connect_to(&client, server, &err) != 0) {
        sample_error("%s", err.message);
    } else {
        event_base_dispatch(client.base);
        bufferevent_free(client.bev);
    }
    sample_signals_cleanup(&signals);
    evtls_context_free(client.ctx);
    if (client.base)
        event_base_free(client.base);
    return client.status;
}
