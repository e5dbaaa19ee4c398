/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * starttls-chat: a line protocol that starts in clear, goes up to TLS on the same connection, and
 * comes down again; with enough of SMTP and IMAP that their clients can upgrade.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/queue.h>

#include <event2/buffer.h>
#include <evtls/evtls.h>

#include "chat_client.h"
#include "chat_dialects.h"
#include "sample_server.h"

static const char usage[] =
    "Usage: starttls-chat [--listen ADDR:PORT] [--cert FILE [--key FILE]] [--write-cert FILE]\n"
    "                     [--smtp | --imap]\n"
    "       starttls-chat --connect HOST:PORT [--cafile FILE] LINE...\n"
    "A server on 127.0.0.1:4433 unless told otherwise, or a client that says its LINEs to one and\n"
    "then quits. What the server takes, a line each, answered by a line that starts with + or -:\n"
    "  say TEXT   is said back\n"
    "  starttls   goes on under TLS\n"
    "  stoptls    ends TLS, by close_notify both ways, and goes on in clear\n"
    "  quit\n"
    "Nothing may follow starttls before TLS is up: it could be somebody else's, and would be "
    "taken\n"
    "for said under TLS.\n"
    "  --smtp             speak SMTP in place of that: EHLO, STARTTLS, and under TLS MAIL, RCPT "
    "and\n"
    "                     DATA, which is read and forgotten\n"
    "  --imap             speak IMAP: CAPABILITY, STARTTLS, NOOP, LOGOUT, and under TLS LOGIN,\n"
    "                     AUTHENTICATE PLAIN and LIST\n"
    "  --cert FILE        certificate chain in PEM; without it one for localhost is made in "
    "memory\n"
    "  --key FILE         its private key, where that is not in the same file\n"
    "  --write-cert FILE  store the certificate, so that a client can trust it\n"
    "  --cafile FILE      the client: trust these CAs in place of the system's\n"
    "Exit status: 0; 1 failure; 2 wrong usage.\n";

#define MAX_LINE_BYTES 4096
#define MAX_OUTPUT 65536
#define IDLE_SECONDS 300

struct connection {
    struct bufferevent *bev;
    struct evtls_context *ctx;
    const struct chat_dialect *dialect;
    struct chat_state state;
    LIST_ENTRY(connection) next;
};

static LIST_HEAD(connections, connection) connections = LIST_HEAD_INITIALIZER(connections);
static struct sample_connections none = LIST_HEAD_INITIALIZER(none);

/* evtls sends what is left, and under TLS a close_notify, before the connection goes. */
static void end(struct connection *connection)
{
    LIST_REMOVE(connection, next);
    evtls_bufferevent_close(connection->bev, NULL);
    free(connection);
}

static void end_all(void)
{
    while (!LIST_EMPTY(&connections))
        end(LIST_FIRST(&connections));
}

static void log_line(const struct connection *connection, const char *text)
{
    char peer[SAMPLE_ADDRESS_SIZE];

    sample_log(STDOUT_FILENO, "%s: %s",
               sample_format_peer(peer, bufferevent_getfd(connection->bev)), text);
}

/* Refuses to go on. */
static void end_with(struct connection *connection, const char *line)
{
    log_line(connection, line);
    evbuffer_add_printf(bufferevent_get_output(connection->bev), "%s\r\n", line);
    end(connection);
}

static void on_read(struct bufferevent *bev, void *arg);

/* ---- Up and down ------------------------------------------------------------------------ */

/*
 * What a client sends behind its STARTTLS without waiting for the answer arrived in clear: somebody
 * in between may have put it there. It must not be left to be read as if it had come under TLS.
 */
static void go_up(struct connection *connection, struct evbuffer *answer)
{
    struct evtls_error err;

    if (evbuffer_get_length(bufferevent_get_input(connection->bev)) > 0) {
        end_with(connection, connection->dialect->impatient);
        return;
    }
    bufferevent_write_buffer(connection->bev,
                             answer); /* in clear; all that follows waits for TLS */
    if (evtls_bufferevent_start_tls(connection->bev, connection->ctx, EVTLS_SERVER, 0, &err) != 0) {
        log_line(connection, err.message);
        end(connection);
        return;
    }
    connection->state = (struct chat_state){.is_tls = 1};
}

static void is_down(struct bufferevent *plain, size_t protected_bytes,
                    const struct evtls_error *err, void *arg)
{
    struct connection *connection = arg;

    log_line(connection, err ? err->message : "in clear");
    if (err != NULL) {
        end(connection);
    } else if (protected_bytes > 0) {
        end_with(connection, "- nothing may follow stoptls");
    } else {
        connection->state = (struct chat_state){.is_tls = 0};
        on_read(plain, connection); /* what may have come in clear by now */
    }
}

static void go_down(struct connection *connection, struct evbuffer *answer)
{
    bufferevent_write_buffer(connection->bev, answer); /* the last thing under TLS */
    if (evtls_bufferevent_unwrap(connection->bev, is_down, connection) != 0)
        end(connection);
}

/* ---- Callbacks -------------------------------------------------------------------------- */

/* Returns 1 while more lines may be taken from the input; connection may be gone otherwise. */
static int take_line(struct connection *connection, const char *line)
{
    struct evbuffer *answer = evbuffer_new();
    enum chat_action action = connection->dialect->take(&connection->state, line, answer);

    switch (action) {
    case CHAT_START_TLS:
        go_up(connection, answer);
        break;
    case CHAT_STOP_TLS:
        go_down(connection, answer);
        break;
    case CHAT_QUIT:
        bufferevent_write_buffer(connection->bev, answer);
        end(connection);
        break;
    case CHAT_GO_ON:
        bufferevent_write_buffer(connection->bev, answer);
        break;
    }
    evbuffer_free(answer);
    return action == CHAT_GO_ON;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct connection *connection = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    struct evbuffer *output = bufferevent_get_output(bev);
    int more = 1;
    char *line;

    while (more && evbuffer_get_length(output) < MAX_OUTPUT &&
           (line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF)) != NULL) {
        more = take_line(connection, line);
        free(line);
    }
    if (!more)
        return;
    if (evbuffer_get_length(output) >= MAX_OUTPUT)
        bufferevent_disable(bev, EV_READ); /* it does not read our answers; on_write goes on */
    else if (evbuffer_get_length(input) > MAX_LINE_BYTES)
        end_with(connection, connection->dialect->too_long);
}

/* The output is empty. */
static void on_write(struct bufferevent *bev, void *arg)
{
    if (bufferevent_get_enabled(bev) & EV_READ)
        return;
    bufferevent_enable(bev, EV_READ);
    on_read(bev, arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct connection *connection = arg;
    const struct evtls_engine *engine = evtls_bufferevent_get_engine(bev);
    const struct evtls_error *err = evtls_engine_get_error(engine);

    if (what & BEV_EVENT_CONNECTED) {
        log_line(connection, evtls_engine_get_version(engine));
        return;
    }
    if (err != NULL)
        log_line(connection, err->message);
    end(connection);
}

/* ---- The program ------------------------------------------------------------------------ */

struct program {
    struct sample_server server;
    struct sample_endpoint connect_to;
    const char *cafile;
    int smtp;
    int imap;
    const struct chat_dialect *dialect;
};

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                     int peer_len, void *arg)
{
    const struct timeval idle = {IDLE_SECONDS, 0};
    struct program *program = arg;
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection != NULL)
        connection->bev =
            evtls_bufferevent_plaintext_new(program->server.base, fd, BEV_OPT_CLOSE_ON_FREE, NULL);
    if (connection == NULL || connection->bev == NULL) {
        evutil_closesocket(fd);
        free(connection);
        return;
    }
    connection->ctx = program->server.ctx;
    connection->dialect = program->dialect;
    LIST_INSERT_HEAD(&connections, connection, next);
    bufferevent_setcb(connection->bev, on_read, on_write, on_event, connection);
    bufferevent_set_timeouts(connection->bev, &idle, &idle);
    connection->dialect->greet(bufferevent_get_output(connection->bev));
    bufferevent_enable(connection->bev, EV_READ | EV_WRITE);
}

static int set_server(const char *text, void *arg)
{
    struct sample_endpoint *endpoint = arg;

    if (sample_parse_endpoint(endpoint, text) != 0 || !endpoint->host[0] || endpoint->port == 0)
        return sample_usage_error("--connect needs HOST:PORT");
    return SAMPLE_GO_ON;
}

static int serve(struct program *program)
{
    int status = sample_server_start(&program->server);

    if (status != SAMPLE_GO_ON)
        return status;
    program->dialect = program->smtp ? &chat_smtp : program->imap ? &chat_imap : &chat_own;
    program->server.stopping = end_all;
    return sample_server_run(&program->server, accepted, program, &none);
}

static int run(struct program *program)
{
    struct sample_server *server = &program->server;

    int as_server = program->smtp || program->imap || server->cert || server->write_cert;

    if (program->connect_to.port > 0 && as_server)
        return sample_usage_error("--connect is for a client, which has no certificate or dialect");
    if (program->connect_to.port > 0)
        return chat_client_run(&program->connect_to, program->cafile, server->operands,
                               server->n_operands);
    if (program->cafile != NULL)
        return sample_usage_error("--cafile needs --connect");
    if (program->smtp && program->imap)
        return sample_usage_error("--smtp or --imap, not both");
    return serve(program);
}

int main(int argc, char **argv)
{
    struct program program = {.smtp = 0};
    const struct sample_option own[] = {
        {.name = "connect", .add = set_server, .arg = &program.connect_to},
        {.name = "cafile", .value = &program.cafile},
        {.name = "smtp", .flag = &program.smtp},
        {.name = "imap", .flag = &program.imap},
        {.name = NULL},
    };
    int status = sample_server_parse(&program.server, argc, argv, usage, own);

    if (status == SAMPLE_GO_ON)
        status = run(&program);
    sample_server_cleanup(&program.server);
    return status;
}
