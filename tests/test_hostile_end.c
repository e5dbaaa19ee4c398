/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers that misbehave while data flows, and in how they end. See support/hostile.h.
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
static unsigned char pattern[1 << 20];

static void fill_pattern(void)
{
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (unsigned char)(i * 31 + (i >> 8) * 7);
    }
}

static void connect_peer(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){0});
    ck_assert(!h->side.ended);
}

/* len bytes of the pattern for the output, 1 MiB at a time, without a copy. */
static void write_pattern(struct hostile *h, size_t len)
{
    for (size_t n; len > 0; len -= n) {
        n = len < sizeof(pattern) ? len : sizeof(pattern);
        evbuffer_add_reference(bufferevent_get_output(h->side.bev), pattern, n, NULL, NULL);
    }
}

static void peer_write_pattern(struct hostile *h, size_t len)
{
    for (size_t n; len > 0; len -= n) {
        n = len < sizeof(pattern) ? len : sizeof(pattern);
        ck_assert_int_eq(peer_write(h->peer, pattern, n), PEER_OK);
        hostile_flush_peer(h);
    }
}

struct target {
    struct hostile *h;
    size_t len;
};

static bool peer_has(void *arg)
{
    struct target *target = arg;

    return hostile_peer_got(target->h) >= target->len;
}

static void check_pattern(const unsigned char *data, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = len - at < sizeof(pattern) ? len - at : sizeof(pattern);
        ck_assert(memcmp(data + at, pattern, n) == 0);
    }
}

static void expect_at_peer(struct hostile *h, size_t len)
{
    struct target target = {h, len};
    size_t got;

    ck_assert_msg(loop_until(h->base, peer_has, &target, 60000), "%s: %zu of %zu", h->row->name,
                  hostile_peer_got(h), len);
    check_pattern(peer_received(h->peer, &got), len);
    ck_assert_uint_eq(got, len);
}

static void expect_at_side(struct hostile *h, size_t len)
{
    bev_pair_wait_bytes(&h->beside, &h->side, len);
    ck_assert_uint_eq(evbuffer_get_length(h->side.got), len);
    check_pattern(evbuffer_pullup(h->side.got, -1), len);
    evbuffer_drain(h->side.got, len);
}

/* Ciphertext that stands in what is below; 0 for a socket. */
static size_t below_holds(struct hostile *h)
{
    if (!h->side.below) {
        return 0;
    }
    return evbuffer_get_length(bufferevent_get_input(h->side.below)) +
           evbuffer_get_length(bufferevent_get_output(h->side.below));
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void play_finish(struct hostile *h)
{
    connect_peer(h);
    peer_write(h->peer, "data", 4);
    hostile_flush_peer(h);
    hostile_finish(h);
}

/* A record, and half of the next one. */
static void write_record_and_a_half(struct hostile *h)
{
    unsigned char half[200];

    connect_peer(h);
    peer_write(h->peer, "data", 4);
    hostile_flush_peer(h);
    peer_write(h->peer, pattern, 1000);
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
    connect_peer(h);
    if (h->over == HOSTILE_SOCKET) {
        signal(SIGPIPE, SIG_DFL);
    }
    hostile_stop_reading(h);
    write_pattern(h, 2 * MUCH);
    hostile_settle(h);
    hostile_reset(h);
    hostile_wait_end(h);
    write_pattern(h, 100);
    hostile_settle(h);
    signal(SIGPIPE, SIG_IGN);
}

static void play_data_close_and_reset(struct hostile *h)
{
    connect_peer(h);
    peer_write(h->peer, "data", 4);
    peer_shutdown(h->peer);
    hostile_flush_peer_and_reset(h);
    hostile_wait_end(h);
}

/* All in one flight; the transport stays open. */
static void play_data_and_close(struct hostile *h)
{
    h->stubborn = true;
    connect_peer(h);
    peer_write(h->peer, "data", 4);
    peer_shutdown(h->peer);
    hostile_flush_peer(h);
    hostile_wait_end(h);
}

static void play_half_close(struct hostile *h)
{
    play_data_and_close(h);
    hostile_finish(h);
    write_pattern(h, MUCH);
    expect_at_peer(h, MUCH);
}

/* Its end comes while ours is blocked: all of ours arrives, and then our close_notify. */
static void play_close_while_blocked(struct hostile *h)
{
    connect_peer(h);
    hostile_stop_reading(h);
    write_pattern(h, 2 * MUCH);
    hostile_settle(h);
    peer_shutdown(h->peer);
    hostile_flush_peer(h);
    hostile_finish(h);
    hostile_wait_end(h);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(h->side.bev), 0);
    hostile_read_on(h);
    expect_at_peer(h, 2 * MUCH);
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
    peer_write(h->peer, pattern, h->row->len);
}

static void play_write_and_finish(struct hostile *h)
{
    write_and_leave(h);
    hostile_flush_peer(h);
    hostile_finish(h);
    hostile_wait_end(h);
    expect_at_side(h, h->row->len);
}

static void play_write_and_reset(struct hostile *h)
{
    write_and_leave(h);
    hostile_flush_peer_and_reset(h);
    hostile_wait_end(h);
    expect_at_side(h, h->row->len);
}

static void play_never_answers(struct hostile *h)
{
    int64_t before;

    h->stubborn = true;
    connect_peer(h);
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
    connect_peer(h);
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

/* ---- Data ---------------------------------------------------------------------------------- */

/* A hundred small records at once, and nothing behind them. */
static void play_burst(struct hostile *h)
{
    hostile_connect_sealed(h, h->row->version);
    for (size_t i = 0; i < 500; i++) {
        seal_record(h->seal, 23, pattern + i * 100, 100);
    }
    hostile_flush_peer(h);
    expect_at_side(h, 50000);
}

/* Eight pieces of memory are one record. */
static void play_pieces(struct hostile *h)
{
    const unsigned char *data;
    size_t len;

    connect_peer(h);
    evbuffer_drain(h->received, evbuffer_get_length(h->received));
    for (size_t i = 0; i < 8; i++) {
        evbuffer_add_reference(bufferevent_get_output(h->side.bev), pattern + i * 500, 500, NULL,
                               NULL);
    }
    expect_at_peer(h, 4000);
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
    connect_peer(h);
    hostile_stop_reading(h);
    write_pattern(h, (size_t)100 << 20);
    hostile_run_ms(h, 1000);
    settle_kernel(h);
    ck_assert_uint_le(below_holds(h), 200000);
    ck_assert_uint_gt(evbuffer_get_length(bufferevent_get_output(h->side.bev)), (size_t)80 << 20);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
}

static void play_never_stops(struct hostile *h)
{
    connect_peer(h);
    bufferevent_disable(h->side.bev, EV_READ);
    peer_write_pattern(h, 4 * MUCH);
    hostile_run_ms(h, 1000);
    settle_kernel(h);
    ck_assert_uint_eq(evbuffer_get_length(h->side.got), 0);
    ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(h->side.bev)), 0);
    ck_assert_uint_le(below_holds(h), 200000);
    ck_assert_uint_gt(evbuffer_get_length(bufferevent_get_output(h->raw)), 0);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_enable(h->side.bev, EV_READ);
    expect_at_side(h, 4 * MUCH);
}

/* Asks for key updates while we cannot write: what it sends is read, and nothing spins. */
static void play_updates_while_blocked(struct hostile *h)
{
    connect_peer(h);
    hostile_stop_reading(h);
    write_pattern(h, 2 * MUCH);
    settle_kernel(h);
    for (size_t i = 0; i < 50; i++) {
        ck_assert_int_eq(peer_key_update(h->peer, true), PEER_OK);
        ck_assert_int_eq(peer_write(h->peer, pattern + i, 1), PEER_OK);
        hostile_flush_peer(h);
    }
    expect_at_side(h, 50);
    settle_kernel(h);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_disable(h->side.bev, EV_READ);
    ck_assert_uint_le(loop_turns(h->base, 500), 2);
    bufferevent_enable(h->side.bev, EV_READ);
    hostile_read_on(h);
    expect_at_peer(h, 2 * MUCH);
    hostile_settle(h);
    ck_assert_uint_ge(peer_key_updates_received(h->peer), 1);
    ck_assert_uint_le(peer_key_updates_received(h->peer), 50);
}

/* A blocked write is gone on with from another place in memory, whatever else is tried. */
static void play_output_moves(struct hostile *h)
{
    struct evbuffer *output = bufferevent_get_output(h->side.bev);

    connect_peer(h);
    hostile_stop_reading(h);
    for (size_t at = 0; at < 2 * MUCH; at += 4096) {
        bufferevent_write(h->side.bev, pattern + at % sizeof(pattern), 4096);
    }
    hostile_settle(h);
    ck_assert_uint_gt(evbuffer_get_length(output), 100000);
    ck_assert_int_ne(evbuffer_drain(output, evbuffer_get_length(output) - 10), 0);
    ck_assert_int_ne(evbuffer_prepend(output, "x", 1), 0);
    evbuffer_pullup(output, -1);
    hostile_read_on(h);
    expect_at_peer(h, 2 * MUCH);
}

static void play_both_write_first(struct hostile *h)
{
    connect_peer(h);
    write_pattern(h, MUCH);
    peer_write_pattern(h, MUCH);
    expect_at_side(h, MUCH);
    expect_at_peer(h, MUCH);
}

/* Errors that another connection left in OpenSSL's queue are not ours. */
static void play_stale_errors(struct hostile *h)
{
    connect_peer(h);
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
    connect_peer(h);
    write_pattern(h, 3000);
    peer_write_pattern(h, 3000);
    expect_at_side(h, 3000);
    expect_at_peer(h, 3000);
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
    {"b46__fin_in_a_record", play_half_record, CUT, .got = "data"},
    {"b46__reset_in_a_record", play_half_record_and_reset, BROKEN, .got = "data"},
    {"b46__reset_while_we_write", play_reset_while_writing, BROKEN, .or_truncated = true},
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

static const struct hostile_row data[] = {
    {"a6__eight_pieces_one_record_1_2", play_pieces, FINE, TLS12},
    {"a6__eight_pieces_one_record_1_3", play_pieces, FINE, TLS13},
    {"a10__tail_of_a_burst_1_2", play_burst, FINE, TLS12},
    {"a10__tail_of_a_burst_1_3", play_burst, FINE, TLS13},
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

START_TEST(hostile__ends)
{
    hostile_run(ends, _i);
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

static Suite *hostile_end_suite(void)
{
    Suite *suite = suite_create("hostile_end");

    tcase_add_loop_test(hostile_case(suite, "ends"), hostile__ends, 0, HOSTILE_RUNS(ends));
    tcase_add_loop_test(hostile_case(suite, "data"), hostile__data, 0, HOSTILE_RUNS(data));
    tcase_add_loop_test(hostile_case(suite, "frees"), hostile__frees, 0, HOSTILE_RUNS(frees));
    return suite;
}

int main(void)
{
    fill_pattern();
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN); /* libevent's own sockets, the other side among them */
    return suite_run(hostile_end_suite());
}
