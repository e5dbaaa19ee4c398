/* Freeing an end, or the other end, inside each callback. */
#include "rows.h"
#include "world.h"

#include <string.h>

#include <sys/socket.h>

static void free_self(struct end *e)
{
    end_free(e);
}

static void free_other(struct end *e)
{
    end_free(end_other(e));
}

static void free_both(struct end *e)
{
    end_free(end_other(e));
    end_free(e);
}

static void free_other_on_event(struct end *e, short what)
{
    free_other(e);
}

static void free_both_on_event(struct end *e, short what)
{
    free_both(e);
}

/* --- in the read callback --- */

static void read_self(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = free_self;
    c->client.on_event = end_free_on_event;
    end_send(&c->client, 100000);
    contract_wait(c, &c->server.reads, 1, "a read");
    contract_wait(c, &c->client.ends, 1, "the end");
    contract_settle(c, 10);
    ck_assert_uint_eq(c->server.reads, 1);
    ck_assert_uint_eq(c->client.ends, 1);
    ck_assert_uint_eq(c->server.ends, 0);
}

static void read_other(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = free_other;
    end_send(&c->client, 1000);
    contract_wait(c, &c->server.eofs, 1, "the end");
    end_expect(&c->server, 1000, "RE");
}

static void read_both(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = free_both;
    end_send(&c->client, 100000);
    contract_wait(c, &c->server.reads, 1, "a read");
    contract_settle(c, 10);
    ck_assert_uint_eq(c->server.reads, 1);
    ck_assert_uint_eq(c->server.ends + c->client.ends, 0);
}

/* --- in the write callback --- */

static void write_other(struct contract *c)
{
    contract_pair(c);
    c->server.on_write = free_other;
    end_send(&c->server, 1000);
    contract_wait(c, &c->server.ends, 1, "the end");
    ck_assert_uint_eq(c->server.writes, 1);
}

static void write_both(struct contract *c)
{
    contract_pair(c);
    c->server.on_write = free_both;
    end_send(&c->server, 1000);
    contract_wait(c, &c->server.writes, 1, "a write");
    contract_settle(c, 10);
    ck_assert_uint_eq(c->server.writes, 1);
}

/* --- in the event callback: connected --- */

static void connected(struct contract *c, void (*hook)(struct end *, short))
{
    contract_listen(c);
    contract_make(c, &c->client, -1);
    c->client.on_event = hook;
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_connect(&c->client);
    end_send(&c->client, 1000);
    contract_wait(c, &c->client.connects, 1, "the connection");
    contract_settle(c, 20);
    ck_assert_ptr_null(c->client.bev);
    ck_assert_str_eq(c->client.log, "C");
}

static void connected_self(struct contract *c)
{
    connected(c, end_free_on_event);
}

static void connected_both(struct contract *c)
{
    connected(c, free_both_on_event);
    ck_assert_ptr_null(c->server.bev);
}

static void handshake_server_self(struct contract *c)
{
    contract_pair_start(c);
    c->server.on_event = end_free_on_event;
    end_send(&c->server, 1000);
    contract_wait(c, &c->server.connects, 1, "the server's handshake");
    contract_wait(c, &c->client.ends, 1, "the end");
    ck_assert_str_eq(c->server.log, "C");
    ck_assert_uint_eq(c->client.received, 0);
}

static void handshake_server_other(struct contract *c)
{
    contract_pair_start(c);
    c->server.on_event = free_other_on_event;
    contract_wait(c, &c->server.ends, 1, "the end");
    /* It may be asked for data first, since writing is enabled and nothing is written. */
    ck_assert_msg(strcmp(c->server.log, "CE") == 0 || strcmp(c->server.log, "CWE") == 0, "\"%s\"",
                  c->server.log);
}

/* --- in the event callback: end, error --- */

static void eof_self(struct contract *c)
{
    contract_pair(c);
    c->server.on_event = end_free_on_event;
    end_send(&c->client, 1000);
    c->client.on_write = end_free_when_empty;
    contract_wait(c, &c->server.eofs, 1, "the end");
    contract_settle(c, 10);
    end_expect(&c->server, 1000, "RE");
    ck_assert_ptr_null(c->server.bev);
}

static void error_self(struct contract *c)
{
    contract_pair(c);
    c->server.on_event = end_free_on_event;
    end_reset(&c->client);
    contract_wait(c, &c->server.ends, 1, "the reset");
    contract_settle(c, 10);
    ck_assert_uint_eq(c->server.ends, 1);
    ck_assert_uint_eq(c->server.errors, 1);
}

static void refused_self(struct contract *c)
{
    contract_listen(c);
    contract_stop_listening(c);
    contract_make(c, &c->client, -1);
    c->client.on_event = end_free_on_event;
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_connect(&c->client);
    contract_wait(c, &c->client.errors, 1, "the refusal");
    contract_settle(c, 10);
    ck_assert_str_eq(c->client.log, "X");
}

/* --- in the event callback: timeouts --- */

static const struct timeval ms30 = {0, 30000};

static void read_timeout(struct contract *c, void (*hook)(struct end *, short))
{
    contract_pair(c);
    c->server.on_event = hook;
    bufferevent_set_timeouts(c->server.bev, &ms30, NULL);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    contract_settle(c, 70);
    ck_assert_uint_eq(c->server.timeouts, 1);
}

static void read_timeout_self(struct contract *c)
{
    read_timeout(c, end_free_on_event);
    ck_assert_uint_eq(c->client.ends, 1);
}

static void read_timeout_both(struct contract *c)
{
    read_timeout(c, free_both_on_event);
}

static void write_timeout_self(struct contract *c)
{
    c->buffer_size = 16384;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    c->server.on_event = end_free_on_event;
    bufferevent_set_timeouts(c->server.bev, NULL, &ms30);
    end_send(&c->server, (size_t)4 << 20);
    contract_wait(c, &c->server.timeouts, 1, "the timeout");
    contract_settle(c, 20);
    ck_assert_ptr_null(c->server.bev);
}

/* --- elsewhere --- */

static void in_a_trigger(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = free_self;
    bufferevent_trigger(c->server.bev, EV_READ, 0);
    ck_assert_ptr_null(c->server.bev);
    contract_wait(c, &c->client.ends, 1, "the end");
}

static void in_a_trigger_event(struct contract *c)
{
    contract_pair(c);
    c->server.on_event = end_free_on_event;
    bufferevent_trigger_event(c->server.bev, BEV_EVENT_TIMEOUT, 0);
    ck_assert_ptr_null(c->server.bev);
    contract_wait(c, &c->client.ends, 1, "the end");
}

static void free_on_tick(struct end *e)
{
    end_free(end_other(e));
    event_del(e->tick);
}

/* From a timer, in the middle of a transfer in both directions. */
static void in_the_middle(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, (size_t)16 << 20);
    end_send(&c->server, (size_t)16 << 20);
    end_every(&c->client, 2, free_on_tick);
    c->client.on_event = end_free_on_event;
    contract_wait(c, &c->client.ends, 1, "the end");
    contract_settle(c, 10);
}

/* A deferred callback is waiting when the program frees: it is never delivered. */
static void deferred_pending(struct contract *c)
{
    c->options |= BEV_OPT_DEFER_CALLBACKS;
    contract_pair(c);
    bufferevent_trigger(c->server.bev, EV_READ | EV_WRITE, 0);
    bufferevent_trigger_event(c->server.bev, BEV_EVENT_ERROR, 0);
    end_free(&c->server);
    contract_wait(c, &c->client.ends, 1, "the end");
    end_expect(&c->server, 0, "");
}

static void at_once(struct contract *c)
{
    contract_pair_start(c);
    end_send(&c->client, 1000);
    end_free(&c->client);
    end_free(&c->server);
    contract_drain(c);
    end_expect(&c->client, 0, "");
    end_expect(&c->server, 0, "");
}

static void never_connected(struct contract *c)
{
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    contract_drain(c);
    end_free(&c->client);
    contract_drain(c);
    end_expect(&c->client, 0, "");
}

static void while_connecting(struct contract *c)
{
    contract_listen(c);
    contract_connect(c);
    end_send(&c->client, 1000);
    end_free(&c->client);
    contract_settle(c, 20);
    end_expect(&c->client, 0, "");
}

const struct contract_row contract_rows_free[] = {
    {.name = "free__itself_in_the_read_callback", .run = read_self},
    {.name = "free__the_other_in_the_read_callback", .run = read_other},
    {.name = "free__both_in_the_read_callback", .run = read_both},
    {.name = "free__the_other_in_the_write_callback", .run = write_other},
    {.name = "free__both_in_the_write_callback", .run = write_both},
    {.name = "free__itself_when_connected", .run = connected_self, .needs = CONTRACT_FD},
    {.name = "free__both_when_connected", .run = connected_both, .needs = CONTRACT_FD},
    {.name = "free__the_server_at_its_handshake",
     .run = handshake_server_self,
     .needs = CONTRACT_TLS},
    {.name = "free__the_client_at_the_servers_handshake",
     .run = handshake_server_other,
     .needs = CONTRACT_TLS},
    {.name = "free__itself_at_the_end", .run = eof_self},
    {.name = "free__itself_at_the_end_deferred",
     .run = eof_self,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "free__itself_at_an_error", .run = error_self, .needs = CONTRACT_FD},
    {.name = "free__itself_when_refused", .run = refused_self, .needs = CONTRACT_FD},
    {.name = "free__itself_at_a_read_timeout", .run = read_timeout_self},
    {.name = "free__both_at_a_read_timeout", .run = read_timeout_both},
    {.name = "free__itself_at_a_write_timeout", .run = write_timeout_self},
    {.name = "free__in_a_trigger", .run = in_a_trigger},
    {.name = "free__in_a_trigger_event", .run = in_a_trigger_event},
    {.name = "free__in_the_middle_of_a_transfer", .run = in_the_middle},
    {.name = "free__while_a_deferred_callback_waits", .run = deferred_pending},
    {.name = "free__at_once", .run = at_once},
    {.name = "free__never_connected", .run = never_connected, .needs = CONTRACT_FD},
    {.name = "free__while_connecting", .run = while_connecting, .needs = CONTRACT_FD},
    {0},
};
