/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers that misbehave in how they end, or begin TLS behind plaintext. See support/hostile.h.
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
static const char failed[] = "handshake connected failed rerror";
static const char ended[] = "handshake connected close_notify reof";

#define NONE HOSTILE_NO_ALERT
#define CLIENT .role = EVTLS_CLIENT
#define TLS12 .version = TLS1_2_VERSION
#define TLS13 .version = TLS1_3_VERSION
#define NOT_OVER_PAIR .not_over = 1U << HOSTILE_PAIR

#define MUCH ((size_t)4 << 20)

/* ---- Ends ---------------------------------------------------------------------------------- */

static void play_finish(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    peer_write(h->peer, "data", 4);
    hostile_flush_peer(h);
    hostile_finish(h);
}

/* A record, and half of the next one. */
static void write_record_and_a_half(struct hostile *h)
{
    unsigned char half[200];

    hostile_connect(h, &(struct peer_options){0});
    peer_write(h->peer, "data", 4);
    hostile_flush_peer(h);
    peer_write(h->peer, hostile_pattern, 1000);
    peer_take(h->peer, half, sizeof(half));
    hostile_send(h, half, sizeof(half));
    hostile_settle(h);
}

static void play_half_record(struct hostile *h)
{
    write_record_and_a_half(h);
    hostile_finish(h);
}

static void play_half_record_and_reset(struct hostile *h)
{
    write_record_and_a_half(h);
    hostile_reset(h);
}

/* A socket of ours raises no SIGPIPE; libevent's own below a filter do. */
static void play_reset_while_writing(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    if (h->over == HOSTILE_SOCKET) {
        signal(SIGPIPE, SIG_DFL);
    }
    hostile_stop_reading(h);
    hostile_write_pattern(h, 2 * MUCH);
    hostile_settle(h);
    hostile_reset(h);
    hostile_wait_end(h);
    hostile_write_pattern(h, 100);
    hostile_settle(h);
    signal(SIGPIPE, SIG_IGN);
}

/* The kernel's answer to a write is EPIPE here, since the peer's FIN came first. */
static void play_close_and_reset_while_writing(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    if (h->over == HOSTILE_SOCKET) {
        signal(SIGPIPE, SIG_DFL);
    }
    hostile_stop_reading(h);
    peer_shutdown(h->peer);
    hostile_flush_peer(h);
    hostile_finish(h);
    hostile_wait_end(h);
    hostile_write_pattern(h, 2 * MUCH);
    hostile_settle(h);
    hostile_reset(h);
    hostile_wait(h, "werror");
    signal(SIGPIPE, SIG_IGN);
}

/* Where an end without close_notify is fine, in mid-record it is not. */
static void play_ragged(struct hostile *h)
{
    evtls_engine_set_insecure_ragged_eof(evtls_bufferevent_get_engine(h->side.bev), 1);
    if (h->row->status == EVTLS_OK) {
        play_finish(h);
        hostile_wait_end(h);
    } else {
        play_half_record(h);
    }
}

static void play_data_close_and_reset(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    peer_write(h->peer, "data", 4);
    peer_shutdown(h->peer);
    hostile_flush_peer_and_reset(h);
    hostile_wait_end(h);
}

/* All in one flight; the transport stays open. */
static void play_data_and_close(struct hostile *h)
{
    h->stubborn = true;
    hostile_connect(h, &(struct peer_options){0});
    peer_write(h->peer, "data", 4);
    peer_shutdown(h->peer);
    hostile_flush_peer(h);
    hostile_wait_end(h);
}

static void play_half_close(struct hostile *h)
{
    play_data_and_close(h);
    hostile_finish(h);
    hostile_write_pattern(h, MUCH);
    hostile_expect_at_peer(h, MUCH);
}

/* Its end comes while ours is blocked: all of ours arrives, and then our close_notify. */
static void play_close_while_blocked(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    hostile_stop_reading(h);
    hostile_write_pattern(h, 2 * MUCH);
    hostile_settle(h);
    peer_shutdown(h->peer);
    hostile_flush_peer(h);
    hostile_finish(h);
    hostile_wait_end(h);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(h->side.bev), 0);
    hostile_read_on(h);
    hostile_expect_at_peer(h, 2 * MUCH);
    hostile_settle(h);
    ck_assert_int_eq(peer_step(h->peer), PEER_CLOSED);
}

/* Sends and leaves without having read our tickets. */
static void write_and_leave(struct hostile *h)
{
    h->held = true;
    hostile_peer(h, &(struct peer_options){.min_version = TLS1_3_VERSION});
    hostile_settle(h);
    ck_assert_int_eq(peer_step(h->peer), PEER_WANT_INPUT);
    ck_assert(peer_is_open(h->peer));
    hostile_stop_reading(h);
    peer_write(h->peer, hostile_pattern, h->row->len);
}

static void play_write_and_finish(struct hostile *h)
{
    write_and_leave(h);
    hostile_flush_peer(h);
    hostile_finish(h);
    hostile_wait_end(h);
    hostile_expect_at_side(h, h->row->len);
}

static void play_write_and_reset(struct hostile *h)
{
    write_and_leave(h);
    hostile_flush_peer_and_reset(h);
    hostile_wait_end(h);
    hostile_expect_at_side(h, h->row->len);
}

static void play_never_answers(struct hostile *h)
{
    int64_t before;

    h->stubborn = true;
    hostile_connect(h, &(struct peer_options){0});
    h->held = true;
    before = vclock_elapsed_ms();
    evtls_bufferevent_shutdown(h->side.bev, &(struct timeval){1, 0});
    hostile_wait_end(h);
    ck_assert_int_ge(h->elapsed_ms - before, 990);
    ck_assert_int_le(h->elapsed_ms - before, 1200);
}

static void play_never_closes(struct hostile *h)
{
    struct bufferevent *bev = h->side.bev;

    h->stubborn = true;
    hostile_connect(h, &(struct peer_options){0});
    h->held = true;
    h->side.bev = NULL;
    evtls_bufferevent_close(bev, &(struct timeval){1, 0});
    hostile_run_ms(h, 900);
    ck_assert_uint_eq(evtls_event_base_get_num_closing(h->base), 1);
    hostile_run_ms(h, 300);
    if (h->over == HOSTILE_SOCKET) {
        ck_assert_uint_eq(evtls_event_base_get_num_closing(h->base), 0);
    }
}

/* ---- TLS over what spoke plaintext before -------------------------------------------------- */

static bool has_line(void *below)
{
    return evbuffer_search_eol(bufferevent_get_input(below), NULL, NULL, EVBUFFER_EOL_CRLF).pos >=
           0;
}

/* A line, and what follows it in the same segment; the line is taken from what is below. */
static void take_line(struct hostile *h, const void *rest, size_t len)
{
    struct evbuffer *both = evbuffer_new();
    char *line;

    evbuffer_add_printf(both, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n");
    evbuffer_add(both, rest, len);
    bufferevent_write_buffer(h->raw, both);
    evbuffer_free(both);
    bufferevent_enable(h->side.below, EV_READ);
    ck_assert(loop_until(h->base, has_line, h->side.below, 1000));
    line = evbuffer_readln(bufferevent_get_input(h->side.below), NULL, EVBUFFER_EOL_CRLF);
    free(line);
}

static void play_line_and_hello(struct hostile *h)
{
    unsigned char hello[4096];

    h->peer = peer_new(&(struct peer_options){0});
    peer_handshake(h->peer);
    take_line(h, hello, peer_take(h->peer, hello, sizeof(hello)));
    hostile_make_side(h);
    hostile_wait(h, "connected");
    hostile_settle(h);
    hostile_expect_alive(h);
}

/* Commands put in behind the line are no TLS. */
static void play_line_and_injection(struct hostile *h)
{
    take_line(h, "DELETE everything\r\n", 19);
    hostile_make_side(h);
}

/* ---- Tables -------------------------------------------------------------------------------- */

#define FINE .log = connected, .alert = NONE
#define ENDED .log = ended, .alert = NONE
#define CUT .log = failed, .status = EVTLS_ERR_TRUNCATED, .alert = NONE
#define BROKEN .log = failed, .status = EVTLS_ERR_IO, .alert = NONE, NOT_OVER_PAIR

static const struct hostile_row ends[] = {
    {"b45__fin_alone_1_2", play_finish, CUT, TLS12, .got = "data"},
    {"b45__fin_alone_1_3", play_finish, CUT, TLS13, .got = "data"},
    {"b45__fin_alone_of_a_server", play_finish, CUT, CLIENT, .got = "data"},
    {"fo14__end_without_close_notify_where_that_is_fine", play_ragged,
     .log = "handshake connected reof", .alert = NONE, .got = "data"},
    {"fo14__end_in_a_record_where_that_is_fine", play_ragged, CUT, .got = "data"},
    {"b46__fin_in_a_record", play_half_record, CUT, .got = "data"},
    {"b46__reset_in_a_record", play_half_record_and_reset, BROKEN, .got = "data"},
    {"b46__reset_while_we_write", play_reset_while_writing, BROKEN, .or_truncated = true},
    {"a9__reset_behind_a_half_close", play_close_and_reset_while_writing,
     .log = "handshake connected close_notify reof failed werror", .status = EVTLS_ERR_IO,
     .alert = NONE, NOT_OVER_PAIR},
    {"b47__data_close_and_reset", play_data_close_and_reset, ENDED, NOT_OVER_PAIR, .got = "data"},
    {"b47__half_close_1_2", play_half_close, ENDED, TLS12, .got = "data"},
    {"b47__half_close_1_3", play_half_close, ENDED, TLS13, .got = "data"},
    {"b47__half_close_of_a_server", play_half_close, ENDED, CLIENT, .got = "data"},
    {"a3__data_and_close_in_one_flight", play_data_and_close, ENDED, .got = "data"},
    {"fo13__writes_and_finishes", play_write_and_finish, CUT, .len = 100},
    {"o13__writes_much_and_finishes", play_write_and_finish, CUT, .len = 70000},
    {"fo13__writes_and_resets", play_write_and_reset, BROKEN, .or_truncated = true, .len = 100},
    {"o13__writes_much_and_resets", play_write_and_reset, BROKEN, .or_truncated = true,
     .len = 30000},
    {"o14__never_answers_a_shutdown", play_never_answers,
     .log = "handshake connected failed timeouterror", .status = EVTLS_ERR_TIMEOUT, .alert = NONE},
    {"o14__never_answers_a_close", play_never_closes, FINE},
    {"o14__closes_while_we_are_blocked", play_close_while_blocked, .log = ended, .alert = 0},
    {"o15__proxy_line_and_hello", play_line_and_hello, FINE, .late = true,
     .not_over = 1U << HOSTILE_SOCKET},
    {"o15__injection_behind_the_line", play_line_and_injection, .log = "failed rerror",
     .status = EVTLS_ERR_PROTOCOL, .alert = NONE, .late = true, .not_over = 1U << HOSTILE_SOCKET},
};

START_TEST(hostile__ends)
{
    hostile_run(ends, _i);
}
END_TEST

static Suite *hostile_end_suite(void)
{
    Suite *suite = suite_create("hostile_end");

    hostile_add_rows(suite, "ends", hostile__ends, ends, COUNT(ends));
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN); /* libevent's own sockets, the other side among them */
    return suite_run(hostile_end_suite());
}
