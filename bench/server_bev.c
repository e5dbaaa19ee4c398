/* The server as a libevent program. It is the same for every TLS library: see struct server_tls. */
#include "common.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

struct program {
    struct server *server;
    const struct server_tls *tls;
    void *context;
    struct event_base *base;
};

struct connection {
    struct program *program;
    uint64_t left; /* of the message that is being taken or sent */
};

/* False: the header isn't all there yet. */
static bool take_header(struct evbuffer *input, uint64_t *length)
{
    if (evbuffer_get_length(input) < BENCH_HEADER)
        return false;
    evbuffer_remove(input, length, BENCH_HEADER);
    return true;
}

static void sink_read(struct bufferevent *bev, void *arg)
{
    struct connection *connection = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length;

    if (connection->left == 0) {
        if (!take_header(input, &connection->left))
            return;
        connection->left -= BENCH_HEADER;
    }
    length = evbuffer_get_length(input);
    evbuffer_drain(input, length);
    connection->left -= length;
    if (connection->left == 0)
        bufferevent_write(bev, "received", BENCH_HEADER);
}

static void source_write(struct bufferevent *bev, void *arg)
{
    struct connection *connection = arg;
    const struct server *server = connection->program->server;
    struct evbuffer *output = bufferevent_get_output(bev);

    while (connection->left > 0 && evbuffer_get_length(output) < SERVER_WINDOW) {
        size_t length = server->piece < connection->left ? server->piece : connection->left;

        if (server->reference)
            evbuffer_add_reference(output, server->data, length, NULL, NULL);
        else
            evbuffer_add(output, server->data, length);
        connection->left -= length;
    }
}

static void source_read(struct bufferevent *bev, void *arg)
{
    struct connection *connection = arg;

    if (connection->left == 0 && take_header(bufferevent_get_input(bev), &connection->left))
        source_write(bev, connection);
}

static void echo_read(struct bufferevent *bev, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void request_read(struct bufferevent *bev, void *arg)
{
    static const char reply[BENCH_REQUEST];
    struct evbuffer *input = bufferevent_get_input(bev);

    (void)arg;
    while (evbuffer_get_length(input) >= BENCH_REQUEST) {
        evbuffer_drain(input, BENCH_REQUEST);
        bufferevent_write(bev, reply, sizeof(reply));
    }
}

static void connection_event(struct bufferevent *bev, short what, void *arg)
{
    struct connection *connection = arg;
    struct program *program = connection->program;

    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
        return;
    if ((what & BEV_EVENT_ERROR) != 0)
        program->server->errors++;
    program->tls->bufferevent_free(bev);
    free(connection);
}

static const struct {
    bufferevent_data_cb read, write;
} callbacks[] = {
    [SERVER_SINK] = {sink_read, NULL},
    [SERVER_SOURCE] = {source_read, source_write},
    [SERVER_ECHO] = {echo_read, NULL},
    [SERVER_REQUEST] = {request_read, NULL},
};

static struct bufferevent *make_bufferevent(struct program *program, int fd)
{
    struct bufferevent *underlying;

    if (!program->server->filter)
        return program->tls->bufferevent_new(program->base, fd, program->context);
    underlying = bufferevent_socket_new(program->base, fd, BEV_OPT_CLOSE_ON_FREE);
    return underlying ? program->tls->filter_new(underlying, program->context) : NULL;
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                     int length, void *arg)
{
    struct program *program = arg;
    struct server *server = program->server;
    struct connection *connection = calloc(1, sizeof(*connection));
    struct bufferevent *bev = make_bufferevent(program, fd);

    (void)listener, (void)address, (void)length;
    if (connection == NULL || bev == NULL)
        bench_die("cannot make a connection");
    server->connections++;
    connection->program = program;
    bufferevent_setcb(bev, callbacks[server->work].read, callbacks[server->work].write,
                      connection_event, connection);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void control(evutil_socket_t fd, short what, void *arg)
{
    struct program *program = arg;

    (void)fd, (void)what;
    if (!server_control(program->server))
        event_base_loopbreak(program->base);
}

void server_run_bufferevents(struct server *server, const struct server_tls *tls)
{
    struct program program = {.server = server, .tls = tls, .base = event_base_new()};
    struct evconnlistener *listener;
    struct event *commands;

    if (program.base == NULL)
        bench_die("cannot make an event base");
    program.context = tls->context_new(server);
    listener = evconnlistener_new(program.base, accepted, &program, LEV_OPT_CLOSE_ON_EXEC, 0,
                                  server->listen_fd);
    commands = event_new(program.base, STDIN_FILENO, EV_READ | EV_PERSIST, control, &program);
    if (listener == NULL || commands == NULL || event_add(commands, NULL) < 0)
        bench_die("cannot watch the sockets; standard input must be a pipe or a terminal");
    event_base_dispatch(program.base);

    event_free(commands);
    evconnlistener_free(listener);
    tls->context_free(program.context);
    event_base_free(program.base);
}
