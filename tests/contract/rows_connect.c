/* bufferevent_socket_connect. */
#include "rows.h"
#include "world.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/net.h"

static void connects(struct contract *c)
{
    contract_listen(c);
    contract_connect(c);
    ck_assert_int_ge(bufferevent_getfd(c->client.bev), 0);
    ck_assert_uint_eq(c->client.connects, 0);
    contract_wait(c, &c->client.connects, 1, "the connection");
    ck_assert_int_eq(c->client.what, BEV_EVENT_CONNECTED);
    contract_expect_exchange(c);
}

/* Most clients write their request first and connect afterwards. */
static void write_before_connect(struct contract *c)
{
    contract_listen(c);
    contract_make(c, &c->client, -1);
    end_send(&c->client, 100000);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(end_connect(&c->client), 0);
    end_send(&c->client, 100000);
    contract_wait_bytes(c, &c->server, 200000);
    ck_assert_uint_eq(c->client.connects, 1);
    ck_assert_int_eq(c->client.log[0], 'C');
}

static void enable_after_connect(struct contract *c)
{
    contract_listen(c);
    contract_make(c, &c->client, -1);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_wait(c, &c->client.connects, 1, "the connection");
    contract_wait(c, &c->accepts, 1, "the accepted connection");
    end_send(&c->server, 1000);
    contract_settle(c, 30);
    ck_assert_uint_eq(c->client.received, 0);
    bufferevent_enable(c->client.bev, EV_READ);
    contract_wait_bytes(c, &c->client, 1000);
}

/* A client that only sends never enables reading. */
static void without_reading(struct contract *c)
{
    contract_listen(c);
    contract_make(c, &c->client, -1);
    c->client.on_write = end_free_when_empty;
    end_send(&c->client, 1000);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_wait(c, &c->server.eofs, 1, "the end of what the client sent");
    ck_assert_uint_eq(c->server.received, 1000);
    ck_assert_uint_eq(c->server.errors, 0);
}

static void disabled_before_connect(struct contract *c)
{
    contract_listen(c);
    contract_make(c, &c->client, -1);
    bufferevent_disable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_settle(c, 30);
    ck_assert_uint_eq(c->server.received, 0);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_uint_eq(c->client.connects, 1);
}

static void disabled_while_connecting(struct contract *c)
{
    contract_listen(c);
    contract_connect(c);
    bufferevent_disable(c->client.bev, EV_READ | EV_WRITE);
    contract_settle(c, 30);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_uint_eq(c->client.connects, 1);
}

static void send_and_free(struct end *e, short what)
{
    ck_assert_int_eq(what, BEV_EVENT_CONNECTED);
    e->on_write = end_free_when_empty;
    end_send(e, 300000);
}

static void write_when_connected(struct contract *c)
{
    contract_listen(c);
    contract_connect(c);
    c->client.on_event = send_and_free;
    contract_wait(c, &c->server.eofs, 1, "what was written when connected");
    ck_assert_uint_eq(c->server.received, 300000);
}

/* --- UNIX sockets --- */

static void to_unix_socket(struct contract *c)
{
    contract_listen_unix(c);
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_wait_bytes(c, &c->server, 1000);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    ck_assert_uint_eq(c->client.connects, 1);
}

/* connect(2) fails at once: the call says so, and nothing is called back. */
static void to_no_unix_socket(struct contract *c)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(
        bufferevent_socket_connect(c->client.bev, (struct sockaddr *)&sun, sizeof(sun)), -1);
    contract_settle(c, 20);
    ck_assert_uint_eq(c->client.ends, 0);
    ck_assert_uint_eq(c->client.connects, 0);
}

/* --- refused --- */

static void refuse(struct contract *c)
{
    contract_listen(c);
    contract_stop_listening(c);
    contract_make(c, &c->client, -1);
}

static void expect_one_refusal(struct contract *c)
{
    contract_wait(c, &c->client.errors, 1, "the refusal");
    contract_settle(c, 30);
    ck_assert_str_eq(c->client.log, "X");
    ck_assert_int_eq(c->client.what & (BEV_EVENT_CONNECTED | BEV_EVENT_EOF | BEV_EVENT_TIMEOUT), 0);
}

static void refused(struct contract *c)
{
    refuse(c);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(end_connect(&c->client), 0);
    expect_one_refusal(c);
}

static void refused_with_output(struct contract *c)
{
    refuse(c);
    end_send(&c->client, 1000);
    ck_assert_int_eq(end_connect(&c->client), 0);
    expect_one_refusal(c);
    ck_assert_uint_eq(end_output(&c->client), 1000);
}

/* (A18) */
static void errno_of_a_refusal(struct contract *c)
{
    refuse(c);
    ck_assert_int_eq(end_connect(&c->client), 0);
    errno = 0;
    contract_wait(c, &c->client.errors, 1, "the refusal");
    ck_assert_int_eq(c->client.err, ECONNREFUSED);
}

static void errno_of_a_refusal_deferred(struct contract *c)
{
    c->options |= BEV_OPT_DEFER_CALLBACKS;
    errno_of_a_refusal(c);
}

/* The second attempt on the same bufferevent, with a fresh descriptor. */
static void again_after_a_refusal(struct contract *c)
{
    refuse(c);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_wait(c, &c->client.ends, 1, "the refusal");
    close(bufferevent_getfd(c->client.bev));
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, -1), 0);
    contract_listen(c);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_wait(c, &c->client.connects, 1, "the second connection");
    contract_wait_bytes(c, &c->server, 1000);
}

/* --- the program's own descriptor --- */

static evutil_socket_t own_socket(void)
{
    evutil_socket_t fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void own_descriptor(struct contract *c)
{
    evutil_socket_t fd = own_socket();
    contract_listen(c);
    contract_make(c, &c->client, -1);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, fd), 0);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(end_connect(&c->client), 0);
    ck_assert_int_eq(bufferevent_getfd(c->client.bev), fd);
    contract_wait(c, &c->client.connects, 1, "the connection");
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
}

/* The program has called connect(2) itself and asks only to be told. */
static void own_connect(struct contract *c)
{
    evutil_socket_t fd = own_socket();
    contract_listen(c);
    int r = connect(fd, (struct sockaddr *)&c->address, (socklen_t)c->address_len);
    ck_assert(r == 0 || errno == EINPROGRESS);
    contract_make(c, &c->client, fd);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(bufferevent_socket_connect(c->client.bev, NULL, 0), 0);
    contract_wait(c, &c->client.connects, 1, "the connection");
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_uint_eq(c->client.connects, 1);
}

static void without_anything(struct contract *c)
{
    contract_make(c, &c->client, -1);
    ck_assert_int_eq(bufferevent_getfd(c->client.bev), -1);
    ck_assert_int_eq(bufferevent_socket_connect(c->client.bev, NULL, 0), -1);
}

/* --- many --- */

static void take_as_server(struct contract *c, evutil_socket_t fd)
{
    static size_t n;
    struct end *servers = c->server.arg;
    struct end *e = &servers[n++];
    end_init(c, e, CONTRACT_SERVER, "one of many servers");
    contract_make(c, e, fd);
    bufferevent_enable(e->bev, EV_READ | EV_WRITE);
}

#define MANY 50

static void many_at_once(struct contract *c)
{
    static struct end clients[MANY], servers[MANY];
    contract_listen(c);
    c->server.arg = servers;
    c->on_accept = take_as_server;
    for (int i = 0; i < MANY; i++) {
        end_init(c, &clients[i], CONTRACT_CLIENT, "one of many clients");
        contract_make(c, &clients[i], -1);
        end_send(&clients[i], 10000);
        ck_assert_int_eq(end_connect(&clients[i]), 0);
    }
    contract_wait(c, &c->accepts, MANY, "all of them to be accepted");
    for (int i = 0; i < MANY; i++)
        contract_wait_bytes(c, &servers[i], 10000);
    for (int i = 0; i < MANY; i++) {
        end_free(&clients[i]);
        end_free(&servers[i]);
    }
}

/* --- a peer that accepts late, or never --- */

/* The kernel completes no more connections than the backlog has room for: this one stays in the
 * middle. */
static void timeout_while_connecting(struct contract *c)
{
    struct timeval tv = {0, 50000};
    struct sockaddr_storage sa;
    socklen_t len;
    evutil_socket_t l = net_listen(AF_INET, 0), filler[2];
    net_address(l, &sa, &len);
    for (int i = 0; i < 2; i++) {
        filler[i] = own_socket();
        connect(filler[i], (struct sockaddr *)&sa, len);
    }
    contract_make(c, &c->client, -1);
    bufferevent_set_timeouts(c->client.bev, &tv, &tv);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(bufferevent_socket_connect(c->client.bev, (struct sockaddr *)&sa, (int)len),
                     0);
    contract_wait(c, &c->client.timeouts, 1, "the timeout");
    ck_assert_uint_eq(c->client.connects, 0);
    ck_assert_uint_eq(c->client.ends, 0);
    close(filler[0]);
    close(filler[1]);
    close(l);
}

const struct contract_row contract_rows_connect[] = {
    {.name = "connect__tcp", .run = connects, .needs = CONTRACT_FD},
    {.name = "connect__tcp_deferred",
     .run = connects,
     .needs = CONTRACT_FD,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "connect__write_before", .run = write_before_connect, .needs = CONTRACT_FD},
    {.name = "connect__enable_reading_after", .run = enable_after_connect, .needs = CONTRACT_FD},
    {.name = "connect__reading_never_enabled", .run = without_reading, .needs = CONTRACT_FD},
    {.name = "connect__disabled_before", .run = disabled_before_connect, .needs = CONTRACT_FD},
    {.name = "connect__disabled_while_connecting",
     .run = disabled_while_connecting,
     .needs = CONTRACT_FD},
    {.name = "connect__write_when_connected", .run = write_when_connected, .needs = CONTRACT_FD},
    {.name = "connect__to_a_unix_socket", .run = to_unix_socket, .needs = CONTRACT_FD},
    {.name = "connect__to_a_missing_unix_socket", .run = to_no_unix_socket, .needs = CONTRACT_FD},
    {.name = "connect__refused", .run = refused, .needs = CONTRACT_FD},
    {.name = "connect__refused_deferred",
     .run = refused,
     .needs = CONTRACT_FD,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "connect__refused_with_output", .run = refused_with_output, .needs = CONTRACT_FD},
    {.name = "connect__errno_of_a_refusal", .run = errno_of_a_refusal, .needs = CONTRACT_FD},
    {.name = "connect__errno_of_a_refusal_deferred",
     .run = errno_of_a_refusal_deferred,
     .needs = CONTRACT_FD},
    {.name = "connect__again_after_a_refusal", .run = again_after_a_refusal, .needs = CONTRACT_FD},
    {.name = "connect__own_descriptor", .run = own_descriptor, .needs = CONTRACT_FD},
    {.name = "connect__own_connect", .run = own_connect, .needs = CONTRACT_FD},
    {.name = "connect__without_descriptor_or_address",
     .run = without_anything,
     .needs = CONTRACT_FD},
    {.name = "connect__many_at_once", .run = many_at_once, .needs = CONTRACT_FD},
    {.name = "connect__timeout_while_connecting",
     .run = timeout_while_connecting,
     .needs = CONTRACT_FD},
    {0},
};
