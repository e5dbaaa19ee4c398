/* The life of a bufferevent: callbacks set and got, references, triggers, descriptors, deferral. */
#include "rows.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void no_read(struct bufferevent *bev, void *arg)
{
}

static void no_event(struct bufferevent *bev, short what, void *arg)
{
}

static void getcb(struct contract *c)
{
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    void *arg;
    contract_pair(c);
    bufferevent_setcb(c->client.bev, no_read, NULL, no_event, c);
    bufferevent_getcb(c->client.bev, &readcb, &writecb, &eventcb, &arg);
    ck_assert(readcb == no_read && writecb == NULL && eventcb == no_event && arg == c);
    bufferevent_getcb(c->client.bev, NULL, NULL, NULL, NULL);
}

/* Without callbacks bytes gather in the input; set again, the callbacks hear of what comes next. */
static void setcb_null_and_back(struct contract *c)
{
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    void *arg;
    contract_pair(c);
    bufferevent_getcb(c->server.bev, &readcb, &writecb, &eventcb, &arg);
    bufferevent_setcb(c->server.bev, NULL, NULL, NULL, NULL);
    end_send(&c->client, 1000);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    contract_settle(c, 10);
    end_expect(&c->server, 0, "");
    ck_assert_uint_eq(end_input(&c->server), 1000);
    bufferevent_setcb(c->server.bev, readcb, writecb, eventcb, arg);
    end_send(&c->client, 1);
    contract_wait_bytes(c, &c->server, 1001);
}

/* Hello-world has no read callback, le-proxy often no write callback. */
static void without_an_event_callback(struct contract *c)
{
    contract_pair(c);
    bufferevent_setcb(c->server.bev, NULL, NULL, NULL, NULL);
    end_free(&c->client);
    contract_settle(c, 20);
    end_free(&c->server);
}

static void getters(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, &c->client, fds[0]);
    contract_make(c, &c->server, fds[1]);
    ck_assert_ptr_eq(bufferevent_get_base(c->client.bev), c->base);
    ck_assert_ptr_nonnull(bufferevent_get_input(c->client.bev));
    ck_assert_ptr_nonnull(bufferevent_get_output(c->client.bev));
    ck_assert_ptr_ne(bufferevent_get_input(c->client.bev), bufferevent_get_output(c->client.bev));
    ck_assert_ptr_null(bufferevent_get_underlying(c->client.bev));
    ck_assert_int_eq(bufferevent_getfd(c->client.bev), fds[0]);
    ck_assert_int_eq(bufferevent_getfd(c->server.bev), fds[1]);
}

/* --- references --- */

static void incref_outlives_free(struct contract *c)
{
    contract_pair(c);
    struct bufferevent *bev = c->server.bev;
    bufferevent_incref(bev);
    end_free(&c->server);
    end_send(&c->client, 1000);
    contract_settle(c, 20);
    end_expect(&c->server, 0, ""); /* freed: it calls nobody */
    ck_assert_ptr_eq(bufferevent_get_base(bev), c->base);
    ck_assert_ptr_nonnull(bufferevent_get_input(bev));
    ck_assert_int_eq(bufferevent_decref(bev), 1);
    contract_wait(c, &c->client.ends, 1, "the end");
}

static void decref_alone(struct contract *c)
{
    contract_pair(c);
    bufferevent_incref(c->server.bev);
    ck_assert_int_eq(bufferevent_decref(c->server.bev), 0);
    end_send(&c->client, 10);
    contract_wait_bytes(c, &c->server, 10);
    /* The last reference may go without bufferevent_free. */
    struct bufferevent *bev = c->server.bev;
    bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
    c->server.bev = NULL;
    ck_assert_int_eq(bufferevent_decref(bev), 1);
    contract_wait(c, &c->client.ends, 1, "the end");
}

static void hold_in_callback(struct end *e)
{
    struct bufferevent *bev = e->bev;
    bufferevent_incref(bev);
    end_free(e);
    ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(bev)), 0);
    bufferevent_decref(bev);
}

static void incref_free_decref_in_callback(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = hold_in_callback;
    end_send(&c->client, 10);
    contract_wait(c, &c->client.ends, 1, "the end");
    ck_assert_uint_eq(c->server.received, 10);
}

/* --- triggers --- */

static void trigger(struct contract *c)
{
    contract_pair(c);
    bufferevent_setwatermark(c->server.bev, EV_READ, 100, 0);
    bufferevent_trigger(c->server.bev, EV_READ, 0);
    ck_assert_uint_eq(c->server.reads, 0); /* below the mark */
    bufferevent_trigger(c->server.bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
    ck_assert_uint_eq(c->server.reads, 1);
    bufferevent_trigger(c->server.bev, EV_WRITE, 0);
    ck_assert_uint_eq(c->server.writes, 1);
}

static void trigger_deferred(struct contract *c)
{
    contract_pair(c);
    bufferevent_trigger(c->server.bev, EV_READ | EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
    ck_assert_uint_eq(c->server.reads + c->server.writes, 0);
    contract_drain(c);
    end_expect(&c->server, 0, "RW");
}

static void trigger_event(struct contract *c)
{
    contract_pair(c);
    bufferevent_trigger_event(c->server.bev, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
    ck_assert_int_eq(c->server.what, BEV_EVENT_TIMEOUT | BEV_EVENT_READING);
    bufferevent_trigger_event(c->server.bev, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING,
                              BEV_TRIG_DEFER_CALLBACKS);
    ck_assert_uint_eq(c->server.timeouts, 1);
    contract_drain(c);
    ck_assert_uint_eq(c->server.timeouts, 2);
    ck_assert_int_eq(c->server.what, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING);
    /* A made-up event changes nothing. */
    end_send(&c->client, 10);
    contract_wait_bytes(c, &c->server, 10);
}

/* --- descriptors --- */

static void close_on_free(struct contract *c)
{
    contract_pair(c);
    evutil_socket_t fd = bufferevent_getfd(c->server.bev);
    end_free(&c->server);
    contract_drain(c);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    ck_assert_int_eq(errno, EBADF);
}

static void keep_on_free(struct contract *c)
{
    c->options &= ~BEV_OPT_CLOSE_ON_FREE;
    contract_pair(c);
    evutil_socket_t fds[2] = {bufferevent_getfd(c->client.bev), bufferevent_getfd(c->server.bev)};
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    end_free(&c->server);
    end_free(&c->client);
    contract_drain(c);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ge(fcntl(fds[i], F_GETFD), 0);
        close(fds[i]);
    }
}

/* The program closes its descriptor itself, right after the free; the number may be used again
 * before the loop turns. */
static void keep_on_free_number_reused(struct contract *c)
{
    struct end others[2];
    c->options &= ~BEV_OPT_CLOSE_ON_FREE;
    contract_pair(c);
    evutil_socket_t fds[2] = {bufferevent_getfd(c->client.bev), bufferevent_getfd(c->server.bev)};
    end_free(&c->client);
    end_free(&c->server);
    close(fds[0]);
    close(fds[1]);
    c->options |= BEV_OPT_CLOSE_ON_FREE;
    end_init(c, &others[0], CONTRACT_CLIENT, "next client");
    end_init(c, &others[1], CONTRACT_SERVER, "next server");
    contract_pair_ends(c, &others[0], &others[1]);
    end_send(&others[0], 1000);
    contract_wait_bytes(c, &others[1], 1000);
    end_free(&others[0]);
    end_free(&others[1]);
}

/* The same, freed while it waits for a slow reader. */
static void keep_on_free_blocked(struct contract *c)
{
    struct end others[2];
    c->options &= ~BEV_OPT_CLOSE_ON_FREE;
    c->buffer_size = 32768;
    contract_pair(c);
    evutil_socket_t fds[2] = {bufferevent_getfd(c->client.bev), bufferevent_getfd(c->server.bev)};
    bufferevent_disable(c->client.bev, EV_READ);
    end_send(&c->server, (size_t)2 << 20);
    contract_settle(c, 20);
    end_free(&c->server);
    close(fds[1]);
    c->options |= BEV_OPT_CLOSE_ON_FREE;
    end_init(c, &others[0], CONTRACT_CLIENT, "next client");
    end_init(c, &others[1], CONTRACT_SERVER, "next server");
    contract_pair_ends(c, &others[0], &others[1]);
    end_send(&others[0], 300000);
    end_send(&others[1], 300000);
    contract_wait_bytes(c, &others[1], 300000);
    contract_wait_bytes(c, &others[0], 300000);
    end_free(&others[0]);
    end_free(&others[1]);
    end_free(&c->client);
    close(fds[0]);
}

/* --- deferral --- */

static void nothing_inside_a_call(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_READ);
    end_send(&c->client, 1000);
    contract_settle(c, 10);
    end_forget(&c->server);
    bufferevent_enable(c->server.bev, EV_READ | EV_WRITE);
    end_send(&c->server, 1000);
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 100000);
    bufferevent_set_timeouts(c->server.bev, NULL, NULL);
    bufferevent_flush(c->server.bev, EV_READ | EV_WRITE, BEV_FLUSH);
    bufferevent_disable(c->server.bev, EV_WRITE);
    bufferevent_enable(c->server.bev, EV_WRITE);
    end_expect(&c->server, 0, "");
    contract_wait_bytes(c, &c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
}

/* Deferred, the callbacks of one turn come as one: connected first, then read, write, event. */
static void order_of_deferred(struct contract *c)
{
    c->options |= BEV_OPT_DEFER_CALLBACKS;
    contract_pair(c);
    bufferevent_trigger_event(c->server.bev, BEV_EVENT_TIMEOUT, 0);
    bufferevent_trigger(c->server.bev, EV_WRITE, 0);
    bufferevent_trigger(c->server.bev, EV_READ, 0);
    bufferevent_trigger_event(c->server.bev, BEV_EVENT_CONNECTED, 0);
    end_expect(&c->server, 0, "");
    contract_drain(c);
    end_expect(&c->server, 0, "CRWT");
}

/* A bufferevent that calls back in the middle of its owner's own call is a trap for programs
 * without deferral, too. */
static void write_calls_nobody(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000);
    end_send(&c->server, 1000);
    ck_assert_str_eq(c->client.log, "");
    ck_assert_str_eq(c->server.log, "");
    contract_wait_bytes(c, &c->server, 1000);
}

const struct contract_row contract_rows_life[] = {
    {.name = "life__getcb", .run = getcb},
    {.name = "life__setcb_null_and_back", .run = setcb_null_and_back},
    {.name = "life__without_callbacks", .run = without_an_event_callback},
    {.name = "life__getters", .run = getters, .needs = CONTRACT_FD | CONTRACT_LONE},
    {.name = "life__incref_outlives_free", .run = incref_outlives_free},
    {.name = "life__decref_is_the_last", .run = decref_alone},
    {.name = "life__incref_free_decref_in_a_callback", .run = incref_free_decref_in_callback},
    {.name = "life__trigger", .run = trigger},
    {.name = "life__trigger_deferred", .run = trigger_deferred},
    {.name = "life__trigger_event", .run = trigger_event},
    {.name = "life__close_on_free", .run = close_on_free, .needs = CONTRACT_FD},
    {.name = "life__without_close_on_free",
     .run = keep_on_free,
     .needs = CONTRACT_FD | CONTRACT_LONE},
    {.name = "life__without_close_on_free_number_reused",
     .run = keep_on_free_number_reused,
     .needs = CONTRACT_FD | CONTRACT_LONE},
    {.name = "life__without_close_on_free_blocked",
     .run = keep_on_free_blocked,
     .needs = CONTRACT_FD | CONTRACT_LONE},
    {.name = "life__nothing_inside_a_call", .run = nothing_inside_a_call},
    {.name = "life__nothing_inside_a_call_deferred",
     .run = nothing_inside_a_call,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "life__order_of_deferred_callbacks", .run = order_of_deferred},
    {.name = "life__write_calls_nobody", .run = write_calls_nobody},
    {0},
};
