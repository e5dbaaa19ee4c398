/* bufferevent_setfd: another connection under the same bufferevent. */
#include "rows.h"
#include "world.h"

#include <sys/socket.h>
#include <unistd.h>

/* A further connection: its server side becomes the next server end, its client side is for setfd.
 */
static evutil_socket_t next_connection(struct contract *c, struct end *next)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    end_init(c, next, CONTRACT_SERVER, "next server");
    contract_make(c, next, fds[1]);
    bufferevent_enable(next->bev, EV_READ | EV_WRITE);
    return fds[0];
}

static void expect_exchange(struct contract *c, struct end *next)
{
    /* Both sides of the new connection start the pattern anew. */
    c->client.sent = c->client.received = 0;
    end_send(&c->client, 10000);
    contract_wait_bytes(c, next, 10000);
    end_send(next, 10000);
    contract_wait_bytes(c, &c->client, 10000);
}

static void to_another(struct contract *c)
{
    struct end next;
    contract_pair(c);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    evutil_socket_t old = bufferevent_getfd(c->client.bev), fd = next_connection(c, &next);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, fd), 0);
    ck_assert_int_eq(bufferevent_getfd(c->client.bev), fd);
    close(old);
    expect_exchange(c, &next);
    ck_assert_uint_eq(c->client.ends, 0);
    contract_wait(c, &c->server.ends, 1, "the end of the old connection");
    end_free(&next);
}

static void to_none_and_another(struct contract *c)
{
    struct end next;
    contract_pair(c);
    evutil_socket_t old = bufferevent_getfd(c->client.bev);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, -1), 0);
    ck_assert_int_eq(bufferevent_getfd(c->client.bev), -1);
    close(old);
    contract_settle(c, 30);
    ck_assert_str_eq(c->client.log, "");
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, next_connection(c, &next)), 0);
    expect_exchange(c, &next);
    end_free(&next);
}

/* evhttp's way to a new connection: it closes, lets go, empties both buffers and connects again. */
static void reconnect_after_the_end(struct contract *c)
{
    contract_listen(c);
    contract_connect(c);
    for (uint64_t i = 1; i <= 3; i++) {
        contract_wait(c, &c->client.connects, i, "a connection");
        end_send(&c->client, 1000);
        contract_wait_bytes(c, &c->server, 1000);
        end_free(&c->server);
        contract_wait(c, &c->client.eofs, i, "its end");
        ck_assert_uint_eq(c->client.errors, 0);
        bufferevent_disable(c->client.bev, EV_READ | EV_WRITE);
        close(bufferevent_getfd(c->client.bev));
        ck_assert_int_eq(bufferevent_setfd(c->client.bev, -1), 0);
        ck_assert_int_eq(evbuffer_drain(bufferevent_get_output(c->client.bev), SIZE_MAX), 0);
        ck_assert_int_eq(evbuffer_drain(bufferevent_get_input(c->client.bev), SIZE_MAX), 0);
        end_init(c, &c->server, CONTRACT_SERVER, "server");
        c->client.sent = 0;
        bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
        ck_assert_int_eq(end_connect(&c->client), 0);
    }
    contract_wait(c, &c->client.connects, 4, "the last connection");
    ck_assert_uint_eq(c->accepts, 3 + (c->server.bev != NULL));
}

/* Made without a descriptor and given one later: how evhttp makes its servers' connections. */
static void given_later(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, &c->client, -1);
    contract_make(c, &c->server, -1);
    end_send(&c->client, 5000);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    contract_drain(c);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, fds[0]), 0);
    ck_assert_int_eq(bufferevent_setfd(c->server.bev, fds[1]), 0);
    bufferevent_enable(c->server.bev, EV_READ | EV_WRITE);
    contract_wait_bytes(c, &c->server, 5000);
    end_send(&c->server, 5000);
    contract_wait_bytes(c, &c->client, 5000);
    ck_assert_uint_eq(c->client.ends + c->server.ends, 0);
}

/* What was set stays set. */
static void keeps_settings(struct contract *c)
{
    struct timeval tv = {5, 0};
    struct end next;
    size_t low, high;
    contract_pair(c);
    bufferevent_set_timeouts(c->client.bev, &tv, &tv);
    bufferevent_setwatermark(c->client.bev, EV_READ, 10, 20000);
    bufferevent_disable(c->client.bev, EV_WRITE);
    evutil_socket_t old = bufferevent_getfd(c->client.bev);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, next_connection(c, &next)), 0);
    close(old);
    ck_assert_int_eq(bufferevent_get_enabled(c->client.bev), EV_READ);
    bufferevent_getwatermark(c->client.bev, EV_READ, &low, &high);
    ck_assert(low == 10 && high == 20000);
    bufferevent_enable(c->client.bev, EV_WRITE);
    expect_exchange(c, &next);
    end_free(&next);
}

/* From inside the event callback, at once: a client with a list of servers. */
static void move_on(struct end *e, short what)
{
    evutil_socket_t *fds = e->arg;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    close(bufferevent_getfd(e->bev));
    ck_assert_int_eq(bufferevent_setfd(e->bev, fds[0]), 0);
    bufferevent_enable(e->bev, EV_READ | EV_WRITE);
    fds[0] = -1;
}

static void in_the_event_callback(struct contract *c)
{
    struct end next;
    evutil_socket_t fd;
    contract_pair(c);
    fd = next_connection(c, &next);
    c->client.arg = &fd;
    c->client.on_event = move_on;
    end_free(&c->server);
    contract_wait(c, &c->client.ends, 1, "the end of the first connection");
    ck_assert_int_eq(fd, -1);
    expect_exchange(c, &next);
    end_free(&next);
}

/* CLOSE_ON_FREE closes the descriptor of the moment, and no other. */
static void closes_the_last(struct contract *c)
{
    struct end next;
    contract_pair(c);
    evutil_socket_t old = bufferevent_getfd(c->client.bev);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, next_connection(c, &next)), 0);
    end_free(&c->client);
    contract_wait(c, &next.ends, 1, "the end of the second connection");
    ck_assert_uint_eq(c->server.ends, 0);
    close(old);
    contract_wait(c, &c->server.ends, 1, "the end of the first connection");
    end_free(&next);
}

const struct contract_row contract_rows_setfd[] = {
    {.name = "setfd__to_another_connection", .run = to_another, .needs = CONTRACT_FD},
    {.name = "setfd__to_none_and_another", .run = to_none_and_another, .needs = CONTRACT_FD},
    {.name = "setfd__reconnect_after_the_end",
     .run = reconnect_after_the_end,
     .needs = CONTRACT_FD},
    {.name = "setfd__given_later", .run = given_later, .needs = CONTRACT_FD},
    {.name = "setfd__keeps_settings", .run = keeps_settings, .needs = CONTRACT_FD},
    {.name = "setfd__in_the_event_callback", .run = in_the_event_callback, .needs = CONTRACT_FD},
    {.name = "setfd__closes_the_last_on_free", .run = closes_the_last, .needs = CONTRACT_FD},
    {0},
};
