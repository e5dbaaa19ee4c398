/* The world of one row: base, ends, callbacks that log and check. */
#include "world.h"

#include "rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "support/loop.h"
#include "support/net.h"

double contract_patience_s = 10;

double contract_now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_log(int severity, const char *message)
{
    if (severity >= EVENT_LOG_WARN && getenv("CONTRACT_VERBOSE") != NULL)
        fprintf(stderr, "libevent: %s\n", message);
}

static void make_base(struct contract *c)
{
    c->base = event_base_new();
    ck_assert_ptr_nonnull(c->base);
    if (c->row->setup & CONTRACT_PRIORITIES)
        ck_assert_int_eq(event_base_priority_init(c->base, 3), 0);
    end_init(c, &c->client, CONTRACT_CLIENT, "client");
    end_init(c, &c->server, CONTRACT_SERVER, "server");
}

void contract_begin(struct contract *c, const struct contract_transport *t,
                    const struct contract_row *row)
{
    memset(c, 0, sizeof(*c));
    c->t = t;
    c->row = row;
    c->options = BEV_OPT_CLOSE_ON_FREE | row->bev_options;
    event_set_log_callback(on_log);
    if (row->setup & CONTRACT_DEBUG_MODE)
        event_enable_debug_mode();
    if (row->setup & CONTRACT_THREADS)
        ck_assert_int_eq(evthread_use_pthreads(), 0);
    c->fds_before = fd_count();
    make_base(c);
}

static void free_base(struct contract *c)
{
    end_free(&c->client);
    end_free(&c->server);
    contract_stop_listening(c);
    if (c->base != NULL) {
        contract_drain(c);
        event_base_free(c->base);
    }
    c->base = NULL;
    if (c->t->sweep != NULL)
        c->t->sweep();
}

void contract_finish(struct contract *c)
{
    free_base(c);
    ck_assert_msg(fd_count() == c->fds_before, "%u descriptors before the row, %u after it",
                  c->fds_before, fd_count());
    if (c->row->setup & (CONTRACT_DEBUG_MODE | CONTRACT_THREADS))
        libevent_global_shutdown();
}

void contract_again(struct contract *c)
{
    free_base(c);
    make_base(c);
}

/* --- running --- */

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    *(bool *)arg = true;
}

static void turn_until(struct contract *c, bool (*done)(const void *, uint64_t), const void *arg,
                       uint64_t goal, const char *what)
{
    bool late = false;
    struct timeval patience = {
        (time_t)contract_patience_s,
        (suseconds_t)((contract_patience_s - (double)(time_t)contract_patience_s) * 1e6)};
    struct event *guard = evtimer_new(c->base, on_late, &late);
    ck_assert_ptr_nonnull(guard);
    event_add(guard, &patience);
    while (!late && !done(arg, goal))
        if (event_base_loop(c->base, EVLOOP_ONCE) < 0)
            break;
    event_free(guard);
    ck_assert_msg(done(arg, goal),
                  "waited in vain for %s (client: log \"%s\", %llu received, what 0x%x; server: "
                  "log \"%s\", %llu received, "
                  "what 0x%x)",
                  what, c->client.log, (unsigned long long)c->client.received,
                  (unsigned)c->client.what, c->server.log, (unsigned long long)c->server.received,
                  (unsigned)c->server.what);
}

static bool counter_reached(const void *counter, uint64_t goal)
{
    return *(const volatile size_t *)counter >= goal;
}

void contract_wait(struct contract *c, const size_t *counter, size_t at_least, const char *what)
{
    turn_until(c, counter_reached, counter, at_least, what);
}

static bool place_reached(const void *end, uint64_t goal)
{
    return ((const struct end *)end)->received >= goal;
}

void contract_wait_bytes(struct contract *c, const struct end *e, uint64_t received)
{
    char what[80];
    snprintf(what, sizeof(what), "byte %llu at the %s", (unsigned long long)received, e->name);
    turn_until(c, place_reached, e, received, what);
}

static void turn_for(struct contract *c, unsigned ms)
{
    struct timeval tv = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    event_base_loopexit(c->base, &tv);
    event_base_dispatch(c->base);
}

void contract_settle(struct contract *c, unsigned ms)
{
    turn_for(c, ms);
    /* On a busy machine the time may have passed in one turn. */
    for (int i = 0; i < 10; i++)
        turn_for(c, 0);
}

void contract_drain(struct contract *c)
{
    for (int i = 0; i < 5; i++)
        event_base_loop(c->base, EVLOOP_NONBLOCK);
}

/* --- descriptors --- */

static void set_buffers(const struct contract *c, evutil_socket_t fd)
{
    if (c->buffer_size == 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &c->buffer_size, sizeof(c->buffer_size));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &c->buffer_size, sizeof(c->buffer_size));
}

void contract_fds(struct contract *c, evutil_socket_t fds[2])
{
    net_pair(c->unix_pair ? NET_UNIX : NET_TCP, c->buffer_size, fds);
    for (int i = 0; i < 2; i++)
        net_set_nonblocking(fds[i], true);
}

/* --- making ends --- */

void contract_pair_ends(struct contract *c, struct end *client, struct end *server)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, client, fds[0]);
    contract_make(c, server, fds[1]);
    ck_assert_int_eq(bufferevent_enable(client->bev, EV_READ | EV_WRITE), 0);
    ck_assert_int_eq(bufferevent_enable(server->bev, EV_READ | EV_WRITE), 0);
}

static void wait_until_open(struct contract *c, struct end *client, struct end *server)
{
    if (c->t->traits & CONTRACT_TLS) {
        contract_wait(c, &client->connects, 1, "the client's handshake");
        contract_wait(c, &server->connects, 1, "the server's handshake");
    }
    contract_drain(c);
    end_forget(client);
    end_forget(server);
}

void contract_pair_start(struct contract *c)
{
    contract_pair_ends(c, &c->client, &c->server);
}

void contract_pair(struct contract *c)
{
    contract_pair_start(c);
    wait_until_open(c, &c->client, &c->server);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
                      void *arg)
{
    struct contract *c = arg;
    c->accepts++;
    set_buffers(c, fd);
    if (c->on_accept != NULL) {
        c->on_accept(c, fd);
        return;
    }
    ck_assert_msg(c->server.bev == NULL, "a second connection was not expected");
    contract_make(c, &c->server, fd);
    bufferevent_enable(c->server.bev, EV_READ | EV_WRITE);
}

static void listen_on(struct contract *c, const void *sa, int len)
{
    socklen_t name_len = sizeof(c->address);
    c->listener = evconnlistener_new_bind(
        c->base, on_accept, c, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 128, sa, len);
    ck_assert_ptr_nonnull(c->listener);
    ck_assert_int_eq(
        getsockname(evconnlistener_get_fd(c->listener), (struct sockaddr *)&c->address, &name_len),
        0);
    c->address_len = (int)name_len;
}

void contract_listen(struct contract *c)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listen_on(c, &sin, sizeof(sin));
}

void contract_listen_unix(struct contract *c)
{
    /* Linux's abstract names leave no file behind: the kernel picks a free one for an empty
     * address. */
    struct sockaddr sa = {.sa_family = AF_UNIX};
    listen_on(c, &sa, sizeof(sa.sa_family));
}

unsigned contract_port(const struct contract *c)
{
    return ntohs(((const struct sockaddr_in *)&c->address)->sin_port);
}

void contract_connect(struct contract *c)
{
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(end_connect(&c->client), 0);
}

int end_connect(struct end *e)
{
    return bufferevent_socket_connect(e->bev, (struct sockaddr *)&e->c->address,
                                      e->c->address_len);
}

void contract_stop_listening(struct contract *c)
{
    if (c->listener != NULL)
        evconnlistener_free(c->listener);
    c->listener = NULL;
}

void contract_expect_exchange(struct contract *c)
{
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    ck_assert_uint_eq(c->client.connects, 1);
    ck_assert_int_eq(c->client.log[0], 'C');
}
