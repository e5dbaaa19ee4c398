/* Read and write timeouts: they tell, stop their direction and end nothing. */
#include "rows.h"
#include "world.h"

static const struct timeval ms40 = {0, 40000};
static const struct timeval ms300 = {0, 300000};
static const struct timeval minute = {60, 0};

static void read_fires_once(struct contract *c)
{
    contract_pair(c);
    bufferevent_set_timeouts(c->server.bev, &ms40, NULL);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    ck_assert_int_eq(c->server.what, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
    contract_settle(c, 130);
    ck_assert_uint_eq(c->server.timeouts, 1);
    ck_assert_str_eq(c->server.log, "T");
    ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), EV_WRITE);
}

/* The connection lives on: what arrived meanwhile is there once reading is enabled again. */
static void read_is_not_the_end(struct contract *c)
{
    contract_pair(c);
    bufferevent_set_timeouts(c->server.bev, &ms40, NULL);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    end_send(&c->client, 1000);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    ck_assert_uint_eq(c->server.received, 0);
    bufferevent_enable(c->server.bev, EV_READ);
    contract_wait_bytes(c, &c->server, 1000);
    contract_wait(c, &c->server.timeouts, 2, "the next timeout");
}

/* Enabled again inside the timeout's own callback, as a server does that counts silent periods. */
static void enable_reading(struct end *e, short what)
{
    if (e->timeouts < 3)
        bufferevent_enable(e->bev, EV_READ);
}

static void read_again_in_the_callback(struct contract *c)
{
    contract_pair(c);
    c->server.on_event = enable_reading;
    bufferevent_set_timeouts(c->server.bev, &ms40, NULL);
    contract_wait(c, &c->server.timeouts, 3, "three timeouts");
    contract_settle(c, 100);
    ck_assert_uint_eq(c->server.timeouts, 3);
}

static void drip(struct end *e)
{
    if (e->bev != NULL && e->sent < 1500)
        end_send(e, 100);
}

static void read_restarts_with_each_read(struct contract *c)
{
    contract_pair(c);
    end_every(&c->client, 40, drip);
    bufferevent_set_timeouts(c->server.bev, &ms300, NULL);
    contract_wait_bytes(c, &c->server, 1500); /* 600 ms */
    ck_assert_uint_eq(c->server.timeouts, 0);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
}

static void read_not_while_disabled(struct contract *c)
{
    contract_pair(c);
    bufferevent_set_timeouts(c->server.bev, &ms40, NULL);
    bufferevent_disable(c->server.bev, EV_READ);
    contract_settle(c, 120);
    end_expect(&c->server, 0, "");
    bufferevent_enable(c->server.bev, EV_READ);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
}

/* A full input is our own pause, not the peer's silence. */
static void read_not_while_full(struct contract *c)
{
    contract_pair(c);
    bufferevent_setcb(c->server.bev, NULL, NULL, NULL, NULL);
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 1000);
    end_send(&c->client, 1000);
    while (end_input(&c->server) < 1000)
        contract_settle(c, 5);
    bufferevent_set_timeouts(c->server.bev, &ms40, NULL);
    contract_settle(c, 120);
    ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), EV_READ | EV_WRITE);
}

static void read_cancelled(struct contract *c)
{
    contract_pair(c);
    bufferevent_set_timeouts(c->server.bev, &ms300, NULL);
    contract_settle(c, 10);
    bufferevent_set_timeouts(c->server.bev, NULL, NULL);
    contract_settle(c, 350);
    end_expect(&c->server, 0, "");
}

static void read_set_before_enabling(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, &c->client, fds[0]);
    contract_make(c, &c->server, fds[1]);
    bufferevent_set_timeouts(c->server.bev, &ms300, NULL);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    bufferevent_enable(c->server.bev, EV_READ | EV_WRITE);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    ck_assert_int_eq(c->server.what, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
}

/* --- writing --- */

static void write_only_while_bytes_wait(struct contract *c)
{
    contract_pair(c);
    bufferevent_set_timeouts(c->server.bev, NULL, &ms300);
    contract_settle(c, 350);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    contract_settle(c, 350);
    ck_assert_uint_eq(c->server.timeouts, 0);
    ck_assert_uint_eq(c->server.writes, 1);
}

static void block_writer(struct contract *c)
{
    c->buffer_size = 32768;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    bufferevent_set_timeouts(c->server.bev, NULL, &ms40);
    end_send(&c->server, (size_t)2 << 20);
}

static void write_fires_once(struct contract *c)
{
    block_writer(c);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    ck_assert_int_eq(c->server.what, BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT);
    contract_settle(c, 130);
    end_expect(&c->server, 0, "T");
    ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), EV_READ);
    ck_assert_uint_gt(end_output(&c->server), 0);
}

static void write_is_not_the_end(struct contract *c)
{
    block_writer(c);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    /* Not none: 2.1's persistent events remember an old timeout. */
    bufferevent_set_timeouts(c->server.bev, NULL, &minute);
    bufferevent_enable(c->client.bev, EV_READ);
    end_send(&c->client, 10); /* reading goes on */
    contract_wait_bytes(c, &c->server, 10);
    bufferevent_enable(c->server.bev, EV_WRITE);
    contract_wait_bytes(c, &c->client, (size_t)2 << 20);
}

static void write_not_while_disabled(struct contract *c)
{
    contract_pair(c);
    bufferevent_set_timeouts(c->server.bev, NULL, &ms40);
    bufferevent_disable(c->server.bev, EV_WRITE);
    end_send(&c->server, 1000);
    contract_settle(c, 120);
    end_expect(&c->server, 0, "");
}

/* The timeout is far longer than a busy machine or a closed window stops the stream, and the stream
 * far longer than the timeout. */
static void write_not_while_it_moves(struct contract *c)
{
    static const struct timeval second = {1, 0};
    c->buffer_size = 32768;
    contract_pair(c);
    end_read_slowly(&c->client, 16384, 3);
    bufferevent_set_timeouts(c->server.bev, NULL, &second);
    end_send(&c->server, (size_t)8 << 20);
    contract_wait_bytes(c, &c->client, (size_t)8 << 20); /* 1,500 ms and more */
    ck_assert_uint_eq(c->server.timeouts, 0);
}

/* evhttp uses both timers on one connection. */
static void both_run_on_their_own(struct contract *c)
{
    c->buffer_size = 32768;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    bufferevent_set_timeouts(c->server.bev, &ms40, &ms300);
    end_send(&c->server, (size_t)2 << 20);
    contract_wait(c, &c->server.timeouts, 1, "the read timeout");
    ck_assert_int_eq(c->server.what, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
    contract_wait(c, &c->server.timeouts, 2, "the write timeout");
    ck_assert_int_eq(c->server.what, BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT);
    ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), 0);
}

const struct contract_row contract_rows_timers[] = {
    {.name = "timers__read_fires_once", .run = read_fires_once},
    {.name = "timers__read_fires_once_deferred",
     .run = read_fires_once,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "timers__read_is_not_the_end", .run = read_is_not_the_end},
    {.name = "timers__read_enabled_again_in_the_callback", .run = read_again_in_the_callback},
    {.name = "timers__read_restarts_with_each_read", .run = read_restarts_with_each_read},
    {.name = "timers__read_not_while_disabled", .run = read_not_while_disabled},
    {.name = "timers__read_not_while_the_input_is_full", .run = read_not_while_full},
    {.name = "timers__read_cancelled", .run = read_cancelled},
    {.name = "timers__read_set_before_enabling", .run = read_set_before_enabling},
    {.name = "timers__write_only_while_bytes_wait", .run = write_only_while_bytes_wait},
    {.name = "timers__write_fires_once", .run = write_fires_once},
    {.name = "timers__write_is_not_the_end", .run = write_is_not_the_end},
    {.name = "timers__write_not_while_disabled", .run = write_not_while_disabled},
    {.name = "timers__write_not_while_it_moves", .run = write_not_while_it_moves},
    {.name = "timers__both_run_on_their_own", .run = both_run_on_their_own},
    {0},
};
