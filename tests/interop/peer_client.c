/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <event2/buffer.h>

#include "peer.h"

struct client {
    const struct peer_options *options;
    struct event_base *base;
    struct evtls_context *ctx; /* NULL: plain */
    struct evtls_session *session;
    struct bufferevent *bev;
    FILE *save;
    size_t sent, received;
    int in_header;
    int ending; /* our side has nothing more to do */
    int failed;
};

static void finish(struct client *client, int failed)
{
    client->failed |= failed;
    bufferevent_free(client->bev);
    client->bev = NULL;
    event_base_loopbreak(client->base);
}

static int all_is_back(const struct client *client)
{
    return !client->options->wait_end && !client->options->http && client->received >= client->sent;
}

/* Everything came back: the end is ours to begin. */
static void begin_end(struct client *client)
{
    client->ending = 1;
    if (client->ctx == NULL || client->options->no_end) {
        finish(client, 0);
        return;
    }
    if (evtls_bufferevent_shutdown(client->bev, NULL) < 0)
        peer_die("shutdown", NULL);
}

/* Takes the header of an answer off; what is no answer of success is told, and its body is not
 * data. */
static void read_header(struct client *client, struct evbuffer *input)
{
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    char *line;

    if (end.pos < 0)
        return;
    client->in_header = 0;
    line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    if (strstr(line, " 200 ") == NULL) {
        printf("answer \"%s\"\n", line);
        free(line);
        finish(client, 1);
        return;
    }
    free(line);
    while ((line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF)) != NULL && *line != '\0')
        free(line);
    free(line);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct client *client = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    char data[16384];
    int n;

    if (client->in_header)
        read_header(client, input);
    if (client->in_header || client->bev == NULL)
        return;
    while ((n = evbuffer_remove(input, data, sizeof(data))) > 0) {
        client->received += (size_t)n;
        if (client->save != NULL && fwrite(data, 1, (size_t)n, client->save) != (size_t)n)
            peer_die("cannot save", NULL);
    }
    if (client->save != NULL)
        fflush(client->save);
    if (!client->ending && all_is_back(client))
        begin_end(client);
}

/* The data that came before an end counts; whether there was enough of it is seen here. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct client *client = arg;

    if (what & BEV_EVENT_CONNECTED)
        return;
    on_read(bev, client);
    if (client->bev == NULL)
        return;
    if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) == BEV_EVENT_EOF) {
        if (client->ctx != NULL)
            peer_say_ended(bev, NULL);
        finish(client, !client->options->wait_end && client->received < client->sent);
        return;
    }
    if (client->ctx == NULL)
        printf("ended status=IO message=\"%s\"\n", strerror(errno));
    finish(client, 1);
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    peer_say_connected(bev);
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    peer_say_ended(bev, err);
}

static void on_session(struct bufferevent *bev, struct evtls_session *session, void *arg)
{
    struct client *client = arg;

    evtls_session_free(client->session);
    client->session = evtls_session_incref(session);
}

static struct bufferevent *make(struct client *client)
{
    static const struct evtls_callbacks callbacks = {
        .handshake = on_handshake, .error = on_error, .session = on_session};
    struct evtls_engine *engine;
    struct evtls_error err;
    struct bufferevent *bev;

    if (client->ctx == NULL)
        return bufferevent_socket_new(client->base, -1, BEV_OPT_CLOSE_ON_FREE);
    bev = evtls_bufferevent_socket_new(client->base, -1, client->ctx, EVTLS_CLIENT,
                                       BEV_OPT_CLOSE_ON_FREE, &err);
    if (bev == NULL)
        peer_die("no connection", &err);
    engine = evtls_bufferevent_get_engine(bev);
    if (evtls_engine_set_server_hostname(engine, client->options->host, &err) < 0)
        peer_die("--host", &err);
    if (client->session != NULL && evtls_engine_set_session(engine, client->session, &err) < 0)
        peer_die("session", &err);
    evtls_bufferevent_setcb(bev, &callbacks, client);
    return bev;
}

/* The file, and before it the header of a request that has it as its body. */
static void add_file(struct client *client)
{
    struct evbuffer *output = bufferevent_get_output(client->bev), *body = evbuffer_new();
    char data[16384];
    FILE *file;
    size_t n;

    file = fopen(client->options->send ? client->options->send : "/dev/null", "rb");
    if (file == NULL)
        peer_die(client->options->send, NULL);
    while ((n = fread(data, 1, sizeof(data), file)) > 0)
        evbuffer_add(body, data, n);
    fclose(file);
    client->sent = evbuffer_get_length(body);
    client->in_header = client->options->http;
    if (client->options->http)
        evbuffer_add_printf(output, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n%s\r\n",
                            client->options->host, client->sent,
                            client->options->wait_end ? "" : "Connection: close\r\n");
    evbuffer_add_buffer(output, body);
    evbuffer_free(body);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    peer_die("no end within the time limit", NULL);
}

static void connect_once(struct client *client)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    to.sin_port = htons((unsigned short)strtoul(client->options->connect, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->sent = client->received = 0;
    client->ending = 0;
    client->bev = make(client);
    if (client->bev == NULL)
        peer_die("no connection", NULL);
    bufferevent_setcb(client->bev, on_read, NULL, on_event, client);
    add_file(client);
    bufferevent_enable(client->bev, EV_READ | EV_WRITE);
    bufferevent_socket_connect(client->bev, (struct sockaddr *)&to, sizeof(to));
    if (client->bev != NULL)
        event_base_dispatch(client->base);
}

static struct evtls_context *make_context(const struct peer_options *options)
{
    struct evtls_ca ca = {.file = options->ca};
    struct evtls_error err;
    struct evtls_context *ctx = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, &err);

    if (ctx == NULL)
        peer_die("context", &err);
    peer_set_up(ctx, options);
    return ctx;
}

int peer_client(const struct peer_options *options, struct event_base *base)
{
    struct client client = {.options = options, .base = base};
    const struct timeval limit = {PEER_SECONDS, 0};
    struct event *deadline = event_new(base, -1, 0, on_deadline, NULL);

    event_add(deadline, &limit);
    if (!options->plain)
        client.ctx = make_context(options);
    if (options->save != NULL && (client.save = fopen(options->save, "wb")) == NULL)
        peer_die(options->save, NULL);
    for (unsigned long i = 0; i < options->times && !client.failed; i++)
        connect_once(&client);
    if (client.save != NULL && fclose(client.save) != 0)
        peer_die(options->save, NULL);
    evtls_session_free(client.session);
    evtls_context_free(client.ctx);
    event_free(deadline);
    return client.failed;
}
