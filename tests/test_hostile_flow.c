/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers that misbehave while data flows, and what a program may do in its callbacks. See
 * support/hostile.h.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/thread.h>
#include <openssl/err.h>

#include "support/faults.h"
#include "support/hostile.h"
#include "support/loop.h"
#include "support/vclock.h"

static const char connected[] = "handshake connected";
static const char ended[] = "handshake connected close_notify reof";

#define NONE HOSTILE_NO_ALERT
#define CLIENT .role = EVTLS_CLIENT
#define TLS12 .version = TLS1_2_VERSION
#define TLS13 .version = TLS1_3_VERSION
#define NOT_OVER_PAIR .not_over = 1U << HOSTILE_PAIR

#define MUCH ((size_t)4 << 20)

/* Ciphertext that stands in what is below; 0 for a socket. */
static size_t below_holds(struct hostile *h)
{
    if (!h->side.below) {
        return 0;
    }
    return evbuffer_get_length(bufferevent_get_input(h->side.below)) +
           evbuffer_get_length(bufferevent_get_output(h->side.below));
}

/* ---- Data ---------------------------------------------------------------------------------- */

/* A hundred small records at once, and nothing behind them. */
static void play_burst(struct hostile *h)
{
    hostile_connect_sealed(h, h->row->version);
    for (size_t i = 0; i < 500; i++) {
        seal_record(h->seal, 23, hostile_pattern + i * 100, 100);
    }
    hostile_flush_peer(h);
    hostile_expect_at_side(h, 50000);
}

/* Eight pieces of memory are one record. */
static void play_pieces(struct hostile *h)
{
    const unsigned char *data;
    size_t len;

    hostile_connect(h, &(struct peer_options){0});
    evbuffer_drain(h->received, evbuffer_get_length(h->received));
    for (size_t i = 0; i < 8; i++) {
        evbuffer_add_reference(bufferevent_get_output(h->side.bev), hostile_pattern + i * 500, 500,
                               NULL, NULL);
    }
    hostile_expect_at_peer(h, 4000);
    len = evbuffer_get_length(h->received);
    data = evbuffer_pullup(h->received, -1);
    ck_assert_uint_eq(len, 5 + (size_t)(data[3] << 8 | data[4]));
}

/* TCP goes on by itself for a while: windows are probed, acknowledgements come late. */
static void settle_kernel(struct hostile *h)
{
    vclock_set_grace_ms(100);
    loop_turns(h->base, 1);
    vclock_set_grace_ms(2);
}

static void play_never_reads(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    hostile_stop_reading(h);
    hostile_write_pattern(h, (size_t)100 << 20);
    hostile_run_ms(h, 1000);
    settle_kernel(h);
    ck_assert_uint_le(below_holds(h), 200000);
    ck_assert_uint_gt(evbuffer_get_length(bufferevent_get_output(h->side.bev)), (size_t)80 << 20);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
}

static void play_never_stops(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    bufferevent_disable(h->side.bev, EV_READ);
    hostile_peer_write_pattern(h, 4 * MUCH);
    hostile_run_ms(h, 1000);
    settle_kernel(h);
    ck_assert_uint_eq(evbuffer_get_length(h->side.got), 0);
    ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(h->side.bev)), 0);
    ck_assert_uint_le(below_holds(h), 200000);
    ck_assert_uint_gt(evbuffer_get_length(bufferevent_get_output(h->raw)), 0);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_enable(h->side.bev, EV_READ);
    hostile_expect_at_side(h, 4 * MUCH);
}

/* Asks for key updates while we cannot write: what it sends is read, and nothing spins. */
static void play_updates_while_blocked(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    hostile_stop_reading(h);
    hostile_write_pattern(h, 2 * MUCH);
    settle_kernel(h);
    for (size_t i = 0; i < 50; i++) {
        ck_assert_int_eq(peer_key_update(h->peer, true), PEER_OK);
        ck_assert_int_eq(peer_write(h->peer, hostile_pattern + i, 1), PEER_OK);
        hostile_flush_peer(h);
    }
    hostile_expect_at_side(h, 50);
    settle_kernel(h);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_disable(h->side.bev, EV_READ);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_enable(h->side.bev, EV_READ);
    hostile_read_on(h);
    hostile_expect_at_peer(h, 2 * MUCH);
    hostile_settle(h);
    ck_assert_uint_ge(peer_key_updates_received(h->peer), 1);
    ck_assert_uint_le(peer_key_updates_received(h->peer), 50);
}

/* A blocked write is gone on with from another place in memory, whatever else is tried. */
static void play_output_moves(struct hostile *h)
{
    struct evbuffer *output = bufferevent_get_output(h->side.bev);

    hostile_connect(h, &(struct peer_options){0});
    hostile_stop_reading(h);
    for (size_t at = 0; at < 2 * MUCH; at += 4096) {
        bufferevent_write(h->side.bev, hostile_pattern + at % sizeof(hostile_pattern), 4096);
    }
    hostile_settle(h);
    ck_assert_uint_gt(evbuffer_get_length(output), 100000);
    ck_assert_int_ne(evbuffer_drain(output, evbuffer_get_length(output) - 10), 0);
    ck_assert_int_ne(evbuffer_prepend(output, "x", 1), 0);
    evbuffer_pullup(output, -1);
    hostile_read_on(h);
    hostile_expect_at_peer(h, 2 * MUCH);
}

static void play_both_write_first(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    hostile_write_pattern(h, MUCH);
    hostile_peer_write_pattern(h, MUCH);
    hostile_expect_at_side(h, MUCH);
    hostile_expect_at_peer(h, MUCH);
}

#define REFILLS 2000

static unsigned refills;

static void on_write_refill(struct bufferevent *bev, void *arg)
{
    struct hostile *h = arg;

    (void)bev;
    if (refills < REFILLS) {
        refills++;
        hostile_write_pattern(h, 16384);
    }
}

static bool is_beside_served(void *arg)
{
    struct hostile *h = arg;

    return evbuffer_get_length(h->beside.server.got) == 4;
}

/* A writer that always has more lets others have their turns. */
static void play_refill(struct hostile *h)
{
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    void *arg;

    hostile_connect(h, &(struct peer_options){0});
    bufferevent_getcb(h->side.bev, &readcb, &writecb, &eventcb, &arg);
    refills = 0;
    bufferevent_setcb(h->side.bev, NULL, on_write_refill, NULL, h);
    bufferevent_write(h->beside.client.bev, "ping", 4);
    hostile_write_pattern(h, 16384);
    ck_assert(loop_until(h->base, is_beside_served, h, 10000));
    ck_assert_uint_lt(refills, REFILLS / 2);
    ck_assert_uint_le(evbuffer_get_length(bufferevent_get_output(h->side.bev)), 16384);
    evbuffer_drain(h->beside.server.got, 4);
    refills = REFILLS;
    bufferevent_setcb(h->side.bev, readcb, writecb, eventcb, arg);
    hostile_settle(h);
    hostile_expect_alive(h);
}

/* Errors that another connection left in OpenSSL's queue are not ours. */
static void play_stale_errors(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    for (int i = 0; i < 3; i++) {
        peer_write(h->peer, "x", 1);
        hostile_flush_peer(h);
        bufferevent_write(h->side.bev, "y", 1);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_PACKET);
        hostile_settle(h);
        ck_assert_uint_eq(evbuffer_get_length(h->side.got), (size_t)i + 1);
        ck_assert_uint_eq(hostile_peer_got(h), (size_t)i + 1);
    }
    ERR_clear_error();
    hostile_expect_alive(h);
}

static void play_disabled_in_the_handshake(struct hostile *h)
{
    hostile_peer(h, &(struct peer_options){0});
    bufferevent_disable(h->side.bev, EV_READ | EV_WRITE);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    ck_assert_str_eq(h->side.log, "");
    bufferevent_enable(h->side.bev, EV_READ | EV_WRITE);
    hostile_wait(h, "connected");
    hostile_settle(h);
    hostile_expect_alive(h);
}

/* Short counts, and interrupted calls, all the way. */
static void play_short_counts(struct hostile *h)
{
    struct faults *faults = faults_attach(h->side.fd);

    faults_limit(faults, FAULTS_READ, h->row->step);
    faults_limit(faults, FAULTS_WRITE, h->row->step);
    if (h->row->len) {
        faults_fail_every(faults, FAULTS_READ, 3, (int)h->row->len);
        faults_fail_every(faults, FAULTS_WRITE, 3, (int)h->row->len);
    }
    hostile_connect(h, &(struct peer_options){0});
    hostile_write_pattern(h, 3000);
    hostile_peer_write_pattern(h, 3000);
    hostile_expect_at_side(h, 3000);
    hostile_expect_at_peer(h, 3000);
    faults_reset();
}

/* ---- Freed in a callback ------------------------------------------------------------------- */

static void free_at(struct hostile *h)
{
    h->side.free_at = h->row->data;
}

static void play_free_at_an_end(struct hostile *h)
{
    hostile_peer(h, &(struct peer_options){0});
    loop_turns(h->base, 10);
    if (h->side.bev) {
        peer_write(h->peer, "data", 4);
        peer_shutdown(h->peer);
        hostile_flush_peer(h);
        hostile_wait_end(h);
    }
    ck_assert_ptr_null(h->side.bev);
}

static void play_free_at_a_failure(struct hostile *h)
{
    hostile_send(h, "GET / HTTP/1.1\r\n\r\n", 18);
    hostile_wait_end(h);
    ck_assert_ptr_null(h->side.bev);
}

/* ---- Paused readers, idle timers ------------------------------------------------------------ */

/* What is not taken from the input stays there, and the rest inside: once the watermark goes, all
 * of it arrives, and then the end, without a byte from the peer. No read callback: libevent would
 * call it again and again. */
static void play_full_input(struct hostile *h)
{
    struct evbuffer *input = bufferevent_get_input(h->side.bev);
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    void *arg;

    bufferevent_getcb(h->side.bev, &readcb, &writecb, &eventcb, &arg);
    bufferevent_setcb(h->side.bev, NULL, writecb, eventcb, arg);
    bufferevent_setwatermark(h->side.bev, EV_READ, 0, 4096);
    hostile_connect(h, &(struct peer_options){0});
    hostile_peer_write_pattern(h, 50000);
    peer_shutdown(h->peer);
    hostile_flush_peer(h);
    hostile_run_ms(h, 100);
    ck_assert_uint_eq(evbuffer_get_length(input), 4096);
    ck_assert(!h->side.ended);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_setwatermark(h->side.bev, EV_READ, 0, 0);
    hostile_wait_end(h);
    ck_assert_uint_eq(evbuffer_get_length(input), 50000);
}

/* The idle timer stands while we pause, begins anew, and fires once a second later. */
static void play_idle_timer(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    bufferevent_set_timeouts(h->side.bev, &(struct timeval){1, 0}, NULL);
    bufferevent_disable(h->side.bev, EV_READ);
    hostile_run_ms(h, 3000);
    ck_assert_ptr_null(strstr(h->side.log, "timeout"));
    bufferevent_enable(h->side.bev, EV_READ);
    hostile_run_ms(h, 900);
    ck_assert_ptr_null(strstr(h->side.log, "timeout"));
    hostile_run_ms(h, 3000);
}

/* ---- Calls inside a callback ---------------------------------------------------------------- */

/* What the side's own callbacks were, and what is done behind them, once. */
struct inside {
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    void *arg;
    struct hostile *h;
    void (*act)(struct hostile *h);
    short what; /* the event, or 0: reading */
};

static struct inside inside;

static void act_once(short what)
{
    void (*act)(struct hostile *) = inside.act;

    if (act && what == inside.what) {
        inside.act = NULL;
        act(inside.h);
    }
}

static void on_read_inside(struct bufferevent *bev, void *arg)
{
    (void)arg;
    inside.readcb(bev, inside.arg);
    act_once(0);
}

static void on_event_inside(struct bufferevent *bev, short what, void *arg)
{
    (void)arg;
    inside.eventcb(bev, what, inside.arg);
    act_once(what);
}

static void act_shutdown(struct hostile *h)
{
    ck_assert_int_eq(evtls_bufferevent_shutdown(h->side.bev, NULL), 0);
}

static void act_shutdown_write(struct hostile *h)
{
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(h->side.bev), 0);
}

static void act_close(struct hostile *h)
{
    struct bufferevent *bev = h->side.bev;

    h->side.bev = NULL;
    evtls_bufferevent_close(bev, NULL);
}

static void act_disable(struct hostile *h)
{
    bufferevent_disable(h->side.bev, EV_READ | EV_WRITE);
}

struct act {
    short what;
    void (*act)(struct hostile *h);
};

/* The peer sends, and answers a close_notify. */
static void act_inside(struct hostile *h)
{
    const struct act *act = h->row->data;

    h->stubborn = true;
    inside = (struct inside){.h = h, .act = act->act, .what = act->what};
    bufferevent_getcb(h->side.bev, &inside.readcb, &inside.writecb, &inside.eventcb, &inside.arg);
    bufferevent_setcb(h->side.bev, on_read_inside, NULL, on_event_inside, NULL);
    hostile_peer(h, &(struct peer_options){0});
    hostile_run_ms(h, 10);
    if (h->side.bev || act->what == 0) {
        peer_write(h->peer, "data", 4);
        hostile_flush_peer(h);
        hostile_run_ms(h, 10);
    }
    ck_assert_ptr_null(inside.act);
}

static void play_end_inside(struct hostile *h)
{
    act_inside(h);
    ck_assert_int_eq(peer_step(h->peer), PEER_CLOSED);
    if (h->side.bev) {
        peer_shutdown(h->peer);
        hostile_flush_peer(h);
        hostile_wait_end(h);
    }
}

static void play_disable_inside(struct hostile *h)
{
    act_inside(h);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    peer_write(h->peer, "more", 4);
    hostile_flush_peer(h);
    bufferevent_write(h->side.bev, "x", 1);
    hostile_run_ms(h, 100);
    ck_assert_uint_eq(hostile_peer_got(h), 0);
    ck_assert_uint_le(evbuffer_get_length(h->side.got), 4);
    bufferevent_enable(h->side.bev, EV_READ | EV_WRITE);
    bev_pair_expect(&h->beside, &h->side, "datamore");
    hostile_settle(h);
    ck_assert_uint_eq(hostile_peer_got(h), 1);
}

/* ---- Tables -------------------------------------------------------------------------------- */

#define FINE .log = connected, .alert = NONE

static const struct hostile_row data[] = {
    {"a6__eight_pieces_one_record_1_2", play_pieces, FINE, TLS12},
    {"a6__eight_pieces_one_record_1_3", play_pieces, FINE, TLS13},
    {"a10__tail_of_a_burst_1_2", play_burst, FINE, TLS12},
    {"a10__tail_of_a_burst_1_3", play_burst, FINE, TLS13},
    {"a17__refills_in_the_write_callback", play_refill, FINE},
    {"b50__never_reads", play_never_reads, FINE},
    {"b51__never_stops", play_never_stops, FINE},
    {"b51__server_never_stops", play_never_stops, FINE, CLIENT},
    {"b52__updates_while_we_are_blocked", play_updates_while_blocked, FINE, TLS13},
    {"b53__output_moves", play_output_moves, FINE},
    {"b54__stale_errors", play_stale_errors, FINE},
    {"fo15__both_write_before_they_read", play_both_write_first, FINE},
    {"fo17__disabled_in_the_handshake", play_disabled_in_the_handshake, FINE},
    {"b58__a_byte_a_call", play_short_counts, FINE, NOT_OVER_PAIR, .step = 1},
    {"b58__seven_bytes_and_eintr", play_short_counts, FINE, NOT_OVER_PAIR, .step = 7, .len = EINTR},
    {"b58__seven_bytes_and_eagain", play_short_counts, FINE, NOT_OVER_PAIR, .step = 7,
     .len = EAGAIN},
};

#define FREED(words, word, number) .log = words, .alert = (number), .prepare = free_at, .data = word

static const struct hostile_row frees[] = {
    {"b55__free_at_handshake", play_free_at_an_end, FREED("handshake", "handshake", 0)},
    {"b55__free_at_connected", play_free_at_an_end, FREED("handshake connected", "connected", 0)},
    {"b55__free_at_read", play_free_at_an_end, FREED("handshake connected", "read", 0)},
    {"b55__free_at_close_notify", play_free_at_an_end,
     FREED("handshake connected close_notify", "close_notify", 0)},
    {"b55__free_at_end_of_file", play_free_at_an_end, FREED(ended, "reof", 0)},
    {"b55__free_at_failed", play_free_at_a_failure, FREED("failed", "failed", NONE),
     .status = EVTLS_ERR_PROTOCOL},
    {"b55__free_at_error", play_free_at_a_failure, FREED("failed rerror", "rerror", NONE),
     .status = EVTLS_ERR_PROTOCOL},
};

#define INSIDE(when, call, words, number)                                                          \
    .data = &(struct act){when, call}, .log = words, .alert = (number)

static const struct hostile_row calls[] = {
    {"b55__shutdown_when_connected", play_end_inside,
     INSIDE(BEV_EVENT_CONNECTED, act_shutdown, ended, 0), .got = "data"},
    {"b55__shutdown_in_read", play_end_inside, INSIDE(0, act_shutdown, ended, 0), .got = "data"},
    {"b55__shutdown_write_when_connected", play_end_inside,
     INSIDE(BEV_EVENT_CONNECTED, act_shutdown_write, ended, 0), .got = "data"},
    {"b55__shutdown_write_in_read", play_end_inside, INSIDE(0, act_shutdown_write, ended, 0),
     .got = "data"},
    {"b55__close_when_connected", play_end_inside,
     INSIDE(BEV_EVENT_CONNECTED, act_close, connected, 0)},
    {"b55__close_in_read", play_end_inside, INSIDE(0, act_close, connected, 0), .got = "data"},
    {"b55__disable_when_connected", play_disable_inside,
     INSIDE(BEV_EVENT_CONNECTED, act_disable, connected, NONE)},
    {"b55__disable_in_read", play_disable_inside, INSIDE(0, act_disable, connected, NONE)},
    {"o17__input_is_full", play_full_input, .log = ended, .alert = NONE},
    {"o18__idle_timer_stands_in_a_pause", play_idle_timer, .log = "handshake connected rtimeout",
     .alert = NONE},
};

START_TEST(hostile__calls)
{
    hostile_run(calls, _i);
}
END_TEST

START_TEST(hostile__data)
{
    hostile_run(data, _i);
}
END_TEST

START_TEST(hostile__frees)
{
    hostile_run(frees, _i);
}
END_TEST

static Suite *hostile_flow_suite(void)
{
    Suite *suite = suite_create("hostile_flow");

    hostile_add_rows(suite, "data", hostile__data, data, COUNT(data));
    hostile_add_rows(suite, "frees", hostile__frees, frees, COUNT(frees));
    hostile_add_rows(suite, "calls", hostile__calls, calls, COUNT(calls));
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN); /* libevent's own sockets, the other side among them */
    return suite_run(hostile_flow_suite());
}
