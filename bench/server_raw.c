/* The server without libevent: OpenSSL's socket BIO on level-triggered epoll. */
#include "common.h"
#include "raw.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct raw raw;
    bool open;           /* the handshake is over */
    uint64_t left;       /* of the message that is being taken or sent */
    unsigned char *owed; /* what the socket did not take of an answer */
    size_t owed_bytes;
};

struct program {
    struct server *server;
    SSL_CTX *ctx;
    int epoll_fd;
    unsigned char scratch[SERVER_WINDOW];
};

/* Sends DATA now, or keeps what the socket doesn't take. */
static enum raw_status answer(struct connection *connection, const unsigned char *data,
                              size_t length)
{
    enum raw_status status = RAW_OK;
    size_t sent = 0, n;

    while (status == RAW_OK && sent < length) {
        status = raw_write(&connection->raw, data + sent, length - sent, &n);
        sent += n;
    }
    if (status == RAW_AGAIN) {
        connection->owed_bytes = length - sent;
        connection->owed = malloc(connection->owed_bytes);
        if (connection->owed == NULL)
            return RAW_FAILED;
        memcpy(connection->owed, data + sent, connection->owed_bytes);
    }
    return status;
}

static enum raw_status answer_owed(struct connection *connection)
{
    unsigned char *owed = connection->owed;
    enum raw_status status;

    connection->owed = NULL;
    status = answer(connection, owed, connection->owed_bytes);
    free(owed);
    return status;
}

/* All that is there, up to the window. A record that isn't full is taken for the last one: epoll
 * tells if it was not, and the read that would only say EAGAIN is saved. */
static enum raw_status read_all(struct program *program, struct connection *connection,
                                size_t *total)
{
    enum raw_status status;
    size_t n;

    *total = 0;
    do {
        status = raw_read(&connection->raw, program->scratch + *total,
                          sizeof(program->scratch) - *total, &n);
        *total += n;
    } while (status == RAW_OK && n == BENCH_RECORD && *total < sizeof(program->scratch));
    return *total > 0 ? RAW_OK : status;
}

static enum raw_status take_header(struct connection *connection, const unsigned char *data,
                                   size_t length)
{
    if (length < BENCH_HEADER)
        return RAW_FAILED;
    memcpy(&connection->left, data, BENCH_HEADER);
    return RAW_OK;
}

static enum raw_status sink_turn(struct program *program, struct connection *connection)
{
    size_t length;
    enum raw_status status = read_all(program, connection, &length);

    if (status == RAW_OK && connection->left == 0)
        status = take_header(connection, program->scratch, length);
    if (status != RAW_OK)
        return status;
    connection->left -= length;
    if (connection->left == 0)
        status = answer(connection, (const unsigned char *)"received", BENCH_HEADER);
    return status;
}

static enum raw_status source_turn(struct program *program, struct connection *connection)
{
    const struct server *server = program->server;
    enum raw_status status = RAW_OK;
    size_t turn = 0, length;

    if (connection->left == 0) {
        status = read_all(program, connection, &length);
        if (status == RAW_OK)
            status = take_header(connection, program->scratch, length);
    }
    while (status == RAW_OK && connection->left > 0 && turn < SERVER_WINDOW) {
        length = server->piece < connection->left ? server->piece : connection->left;
        status = raw_write(&connection->raw, server->data, length, &length);
        connection->left -= length;
        turn += length;
    }
    return status;
}

static enum raw_status echo_turn(struct program *program, struct connection *connection)
{
    size_t length;
    enum raw_status status = read_all(program, connection, &length);

    return status == RAW_OK ? answer(connection, program->scratch, length) : status;
}

static enum raw_status request_turn(struct program *program, struct connection *connection)
{
    size_t length;
    enum raw_status status = read_all(program, connection, &length);

    if (status != RAW_OK)
        return status;
    connection->left += length;
    length = connection->left - connection->left % BENCH_REQUEST;
    connection->left -= length;
    return answer(connection, program->scratch, length);
}

static enum raw_status (*const turns[])(struct program *, struct connection *) = {
    [SERVER_SINK] = sink_turn,
    [SERVER_SOURCE] = source_turn,
    [SERVER_ECHO] = echo_turn,
    [SERVER_REQUEST] = request_turn,
};

static uint32_t wanted_events(const struct program *program, const struct connection *connection,
                              enum raw_status status)
{
    if (status == RAW_AGAIN)
        return raw_wants(&connection->raw);
    return program->server->work == SERVER_SOURCE && connection->left > 0 ? EPOLLOUT : EPOLLIN;
}

static void connection_ready(struct program *program, struct connection *connection)
{
    enum raw_status status = RAW_OK;

    if (!connection->open) {
        status = raw_handshake(&connection->raw);
        connection->open = status == RAW_OK;
    } else {
        if (connection->owed != NULL)
            status = answer_owed(connection);
        if (status == RAW_OK)
            status = turns[program->server->work](program, connection);
    }
    if (status == RAW_OK || status == RAW_AGAIN) {
        raw_watch(&connection->raw, program->epoll_fd, wanted_events(program, connection, status),
                  connection);
        return;
    }
    if (status == RAW_FAILED)
        program->server->errors++;
    raw_close(&connection->raw);
    free(connection->owed);
    free(connection);
}

static void accept_all(struct program *program)
{
    struct connection *connection;
    int fd;

    while ((fd = accept4(program->server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        connection = calloc(1, sizeof(*connection));
        if (connection == NULL || raw_open(&connection->raw, program->ctx, fd) < 0)
            bench_die("cannot make a connection");
        program->server->connections++;
        SSL_set_accept_state(connection->raw.ssl);
        raw_watch(&connection->raw, program->epoll_fd, EPOLLIN, connection);
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        bench_die("accept: %s", strerror(errno));
}

static void watch(int epoll_fd, int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_die("cannot watch the sockets; standard input must be a pipe or a terminal");
}

static void loop(struct program *program)
{
    struct epoll_event events[256];

    for (;;) {
        int n = epoll_wait(program->epoll_fd, events, 256, -1);

        if (n < 0 && errno != EINTR)
            bench_die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &program->epoll_fd) {
                if (!server_control(program->server))
                    return;
            } else if (events[i].data.ptr == program->server) {
                accept_all(program);
            } else {
                connection_ready(program, events[i].data.ptr);
            }
        }
    }
}

void server_run_raw(struct server *server)
{
    struct program *program = calloc(1, sizeof(*program));

    if (program == NULL)
        bench_die("out of memory");
    program->server = server;
    program->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    program->ctx = server_ssl_ctx_new(server);
    SSL_CTX_set_mode(program->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    watch(program->epoll_fd, server->listen_fd, server);
    watch(program->epoll_fd, STDIN_FILENO, &program->epoll_fd);
    loop(program);

    SSL_CTX_free(program->ctx);
    close(program->epoll_fd);
    free(program);
}
