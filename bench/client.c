/*
 * The bench's client: raw OpenSSL on epoll for every measurement, so that only the server differs.
 * It opens its connections and warms them up, waits for a line, works, and prints what it did.
 */
#include "common.h"
#include "raw.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD_BYTES ((size_t)64 * 1024)
#define WARM_UP_BYTES PAYLOAD_BYTES
#define TURN_BYTES ((size_t)256 * 1024) /* so that no connection starves the others */
#define OPENING_AT_ONCE 16

static const char usage[] =
    "usage: bench/client --port N --work NAME [--connections N] [--bytes N] [--count N]\n"
    "\n"
    "  sink       sends messages of --bytes\n"
    "  source     receives messages of --bytes\n"
    "  echo       sends messages of --bytes (64K at most) and checks what comes back\n"
    "  request    sends 100 bytes for 100 bytes\n"
    "  handshake  connects and closes, each time with a full handshake\n"
    "  resume     the same with the session of an earlier connection\n"
    "  idle       connects and waits for the session ticket; with --bytes it also echoes once\n"
    "\n"
    "  --connections N   opened before the work begins (1)\n"
    "  --count N         messages on each connection; for the last three: new connections (1)\n"
    "\n"
    "Prints `ready` when it could begin, then waits for a line on standard input; prints a JSON\n"
    "object when the work is done, and closes when a further line or the end comes.\n";

enum work {
    WORK_SINK,
    WORK_SOURCE,
    WORK_ECHO,
    WORK_REQUEST,
    WORK_HANDSHAKE,
    WORK_RESUME,
    WORK_IDLE
};

static const char *const work_names[] = {
    [WORK_SINK] = "sink",       [WORK_SOURCE] = "source",       [WORK_ECHO] = "echo",
    [WORK_REQUEST] = "request", [WORK_HANDSHAKE] = "handshake", [WORK_RESUME] = "resume",
    [WORK_IDLE] = "idle",
};

#define WORKS (sizeof(work_names) / sizeof(work_names[0]))

enum state {
    STATE_HANDSHAKE,
    STATE_EXCHANGE,
    STATE_TICKET,  /* wait for a session ticket: the server's side of the handshake is over then */
    STATE_CLOSING, /* our close_notify is out: wait for the server's */
    STATE_DONE     /* nothing is expected */
};

struct connection {
    struct raw raw;
    enum state state;
    bool has_ticket;
    uint64_t count; /* messages still to begin */
    uint64_t to_send;
    uint64_t to_receive;
};

struct client {
    enum work work;
    uint16_t port;
    uint64_t connections, bytes, count;

    SSL_CTX *ctx;
    int epoll_fd;
    SSL_SESSION *session; /* WORK_RESUME */
    struct connection *all;
    uint64_t next, end; /* connections still to be opened */
    uint64_t busy;
    uint64_t open_count; /* messages on a connection right after its handshake */
    bool closing;        /* each is closed after its handshake */

    uint64_t send_bytes, receive_bytes; /* of a message and of its answer */
    uint64_t sent, received, records, opened, resumed;
    unsigned char payload[PAYLOAD_BYTES], input[PAYLOAD_BYTES];
};

static void open_next(struct client *client);

static void set_message(struct client *client, uint64_t bytes)
{
    client->send_bytes = client->receive_bytes = bytes;
    if (client->work == WORK_SINK)
        client->receive_bytes = BENCH_HEADER;
    if (client->work == WORK_SOURCE)
        client->send_bytes = BENCH_HEADER;
    memcpy(client->payload, &bytes, BENCH_HEADER);
}

static void connection_done(struct client *client, struct connection *connection)
{
    connection->state = STATE_DONE;
    client->busy--;
    open_next(client);
}

static void next_message(struct client *client, struct connection *connection)
{
    if (connection->count == 0) {
        connection_done(client, connection);
        return;
    }
    connection->count--;
    connection->to_send = client->send_bytes;
    connection->to_receive = client->receive_bytes;
    connection->state = STATE_EXCHANGE;
}

static enum raw_status send_turn(struct client *client, struct connection *connection)
{
    enum raw_status status = RAW_OK;
    size_t turn = 0, offset, length;

    while (status == RAW_OK && connection->to_send > 0 && turn < TURN_BYTES) {
        offset = (client->send_bytes - connection->to_send) % PAYLOAD_BYTES;
        length = PAYLOAD_BYTES - offset < BENCH_RECORD ? PAYLOAD_BYTES - offset : BENCH_RECORD;
        if (length > connection->to_send)
            length = connection->to_send;
        status = raw_write(&connection->raw, client->payload + offset, length, &length);
        connection->to_send -= length;
        client->sent += length;
        turn += length;
    }
    return status;
}

static void check_input(struct client *client, struct connection *connection, size_t length)
{
    uint64_t offset = client->receive_bytes - connection->to_receive;

    if (length > connection->to_receive)
        bench_die("the server sent more than was asked for");
    if (client->work == WORK_ECHO && memcmp(client->payload + offset, client->input, length) != 0)
        bench_die("the echo differs from what was sent");
}

static enum raw_status receive_turn(struct client *client, struct connection *connection)
{
    enum raw_status status;
    size_t turn = 0, length;

    do {
        status = raw_read(&connection->raw, client->input, sizeof(client->input), &length);
        check_input(client, connection, length);
        connection->to_receive -= length;
        client->received += length;
        turn += length;
    } while (status == RAW_OK && length == BENCH_RECORD && connection->to_receive > 0 &&
             turn < TURN_BYTES);
    return status;
}

/* Answers are read first: what completes a message begins the next in the same turn. */
static void exchange(struct client *client, struct connection *connection)
{
    enum raw_status status = receive_turn(client, connection);

    if (status == RAW_OK || status == RAW_AGAIN) {
        if (connection->state == STATE_EXCHANGE && connection->to_receive == 0)
            next_message(client, connection);
        status = send_turn(client, connection);
    }
    if (status != RAW_OK && status != RAW_AGAIN)
        bench_die_ssl("the server ended a connection");
}

static void handshake(struct client *client, struct connection *connection)
{
    enum raw_status status = raw_handshake(&connection->raw);

    if (status == RAW_AGAIN)
        return;
    if (status != RAW_OK)
        bench_die_ssl("handshake");
    client->opened++;
    client->resumed += (uint64_t)SSL_session_reused(connection->raw.ssl);
    if (client->closing) {
        SSL_shutdown(connection->raw.ssl);
        connection->state = STATE_CLOSING;
    } else if (client->open_count == 0) {
        connection->state = STATE_TICKET;
    } else {
        connection->count = client->open_count;
        next_message(client, connection);
    }
}

static void await_ticket(struct client *client, struct connection *connection)
{
    size_t length;

    if (raw_read(&connection->raw, client->input, sizeof(client->input), &length) != RAW_AGAIN)
        bench_die_ssl("the server ended a connection");
    if (connection->has_ticket)
        connection_done(client, connection);
}

static void await_close(struct client *client, struct connection *connection)
{
    size_t length;

    switch (raw_read(&connection->raw, client->input, sizeof(client->input), &length)) {
    case RAW_AGAIN:
        return;
    case RAW_CLOSED:
        raw_close(&connection->raw);
        connection_done(client, connection);
        return;
    default:
        bench_die_ssl("closing a connection");
    }
}

static void connection_ready(struct client *client, struct connection *connection)
{
    uint32_t events;

    if (connection->state == STATE_HANDSHAKE)
        handshake(client, connection);
    else if (connection->state == STATE_TICKET)
        await_ticket(client, connection);
    else if (connection->state == STATE_CLOSING)
        await_close(client, connection);
    else
        exchange(client, connection);

    if (connection->raw.ssl == NULL)
        return;
    if (connection->state == STATE_HANDSHAKE)
        events = raw_wants(&connection->raw);
    else
        events = EPOLLIN | (connection->to_send > 0 ? EPOLLOUT : 0);
    raw_watch(&connection->raw, client->epoll_fd, events, connection);
}

/* A copy: OpenSSL lets a TLS 1.3 session be offered once. */
static void offer_session(SSL *ssl, const SSL_SESSION *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);

    if (copy == NULL || !SSL_set_session(ssl, copy))
        bench_die_ssl("offering a session");
    SSL_SESSION_free(copy);
}

static void open_connection(struct client *client, struct connection *connection)
{
    SSL *ssl;

    if (raw_open(&connection->raw, client->ctx, bench_connect(client->port)) < 0)
        bench_die_ssl("making a connection");
    ssl = connection->raw.ssl;
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, connection);
    if (client->session != NULL)
        offer_session(ssl, client->session);
    connection->state = STATE_HANDSHAKE;
    raw_watch(&connection->raw, client->epoll_fd, EPOLLOUT, connection);
    client->busy++;
}

static void open_next(struct client *client)
{
    if (client->next < client->end)
        open_connection(client, &client->all[client->next++]);
}

static void loop(struct client *client)
{
    struct epoll_event events[256];

    while (client->busy > 0) {
        int n = epoll_wait(client->epoll_fd, events, 256, -1);

        for (int i = 0; i < n; i++)
            connection_ready(client, events[i].data.ptr);
    }
}

static void open_connections(struct client *client, uint64_t n)
{
    client->end += n;
    while (client->next < client->end && client->busy < OPENING_AT_ONCE)
        open_next(client);
    loop(client);
}

static void exchange_messages(struct client *client)
{
    for (uint64_t i = 0; i < client->connections; i++) {
        client->all[i].count = client->count;
        client->busy++;
        next_message(client, &client->all[i]);
        raw_watch(&client->all[i].raw, client->epoll_fd, EPOLLIN | EPOLLOUT, &client->all[i]);
    }
    loop(client);
}

static void count_record(int write, int version, int type, const void *data, size_t length,
                         SSL *ssl, void *arg)
{
    struct client *client = arg;

    (void)version, (void)data, (void)length, (void)ssl;
    if (!write && type == SSL3_RT_HEADER)
        client->records++;
}

static int new_session(SSL *ssl, SSL_SESSION *session)
{
    struct connection *connection = SSL_get_app_data(ssl);
    struct client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    connection->has_ticket = true;
    if (client->work != WORK_RESUME || client->session != NULL)
        return 0;
    client->session = session;
    return 1;
}

/* One cipher and group for all servers. The certificate isn't checked: the server is our own. */
static void make_ctx(struct client *client)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set1_groups_list(ctx, "X25519"))
        bench_die_ssl("making an SSL_CTX");
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, new_session);
    SSL_CTX_set_app_data(ctx, client);
    SSL_CTX_set_msg_callback(ctx, count_record);
    SSL_CTX_set_msg_callback_arg(ctx, client);
    client->ctx = ctx;
}

static void warm_up(struct client *client)
{
    if (client->work == WORK_REQUEST)
        set_message(client, BENCH_REQUEST);
    else
        set_message(client, WARM_UP_BYTES);
    client->open_count = client->work == WORK_IDLE && client->bytes == 0 ? 0 : 1;
    open_connections(client, client->connections);
}

static void work(struct client *client)
{
    if (client->bytes > 0)
        set_message(client, client->bytes);
    client->sent = client->received = client->records = client->opened = client->resumed = 0;
    if (client->work < WORK_HANDSHAKE) {
        exchange_messages(client);
        return;
    }
    client->closing = client->work != WORK_IDLE;
    open_connections(client, client->count);
    if (client->resumed != (client->work == WORK_RESUME ? client->count : 0))
        bench_die("%" PRIu64 " of %" PRIu64 " handshakes resumed", client->resumed, client->count);
}

static void await_line(void)
{
    char line[64];

    if (fgets(line, sizeof(line), stdin) == NULL)
        exit(0);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void parse_options(struct client *client, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"work", required_argument, NULL, 'w'},
        {"bytes", required_argument, NULL, 'b'},
        {"connections", required_argument, NULL, 'c'},
        {"count", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *name = NULL;
    size_t i;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            client->port = (uint16_t)bench_number("--port", optarg, 1);
            break;
        case 'w':
            name = optarg;
            break;
        case 'b':
            client->bytes = bench_number("--bytes", optarg, BENCH_HEADER + 1);
            break;
        case 'c':
            client->connections = bench_number("--connections", optarg, 1);
            break;
        case 'n':
            client->count = bench_number("--count", optarg, 1);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (client->port == 0 || name == NULL || optind != argc)
        bench_die("--port and --work are needed; see --help");
    for (i = 0; i < WORKS && strcmp(work_names[i], name) != 0; i++)
        ;
    if (i == WORKS)
        bench_die("--work: unknown work: %s", name);
    client->work = (enum work)i;
    if (client->bytes == 0 && client->work <= WORK_ECHO)
        bench_die("--work %s needs --bytes", name);
    if (client->bytes > PAYLOAD_BYTES && client->work >= WORK_ECHO)
        bench_die("--bytes: 64K at most with --work %s", name);
}

int main(int argc, char **argv)
{
    static struct client client = {.connections = 1, .count = 1};
    double start;

    parse_options(&client, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    bench_raise_descriptor_limit();
    for (size_t i = 0; i < PAYLOAD_BYTES; i++)
        client.payload[i] = (unsigned char)(i * 2654435761u >> 24);
    client.all = calloc(client.connections + client.count, sizeof(*client.all));
    client.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (client.all == NULL || client.epoll_fd < 0)
        bench_die("out of memory or descriptors");
    make_ctx(&client);

    warm_up(&client);
    puts("ready");
    fflush(stdout);
    await_line();

    start = now();
    work(&client);
    printf("{\"wall_s\": %.6f, \"sent_bytes\": %" PRIu64 ", \"received_bytes\": %" PRIu64
           ", \"records\": %" PRIu64 ", \"handshakes\": %" PRIu64 "}\n",
           now() - start, client.sent, client.received, client.records, client.opened);
    fflush(stdout);
    await_line();
    return 0;
}
