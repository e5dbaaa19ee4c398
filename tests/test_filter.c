/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters: the same facts over everything that can carry one (B60).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/suite.h"

/* Each looped test runs over every carrier with every set of options. */
#define N_RUNS (BEV_OVER_N * BEV_PAIR_N_OPTIONS)

static struct bev_pair pair;

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

static int options_of(int i)
{
    return bev_pair_options[i % BEV_PAIR_N_OPTIONS];
}

static void open_run(int i)
{
    pair.over = (enum bev_over)(i / BEV_PAIR_N_OPTIONS);
    bev_pair_open(&pair, options_of(i));
}

static void connect_run(int i)
{
    open_run(i);
    bev_pair_connect(&pair);
}

static unsigned char block[1000];

static void write_pattern(struct bufferevent *bev, size_t n)
{
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (unsigned char)(i * 7);
    }
    for (; n >= sizeof(block); n -= sizeof(block)) {
        ck_assert_int_eq(bufferevent_write(bev, block, sizeof(block)), 0);
    }
}

static void expect_pattern(struct bev_side *side, size_t n)
{
    const unsigned char *data;

    bev_pair_wait_bytes(&pair, side, n);
    ck_assert_uint_eq(evbuffer_get_length(side->got), n);
    data = evbuffer_pullup(side->got, -1);
    for (size_t i = 0; i + sizeof(block) <= n; i += sizeof(block)) {
        if (memcmp(data + i, block, sizeof(block)) != 0) {
            ck_abort_msg("wrong bytes behind byte %zu", i);
        }
    }
    evbuffer_drain(side->got, n);
}

/* ---- Data ---------------------------------------------------------------------------------- */

START_TEST(filter__carries_both_ways)
{
    connect_run(_i);
    bufferevent_write(pair.client.bev, "ping", 4);
    bev_pair_expect(&pair, &pair.server, "ping");
    bufferevent_write(pair.server.bev, "pong!", 5);
    bev_pair_expect(&pair, &pair.client, "pong!");
    write_pattern(pair.server.bev, 300000);
    write_pattern(pair.client.bev, 200000);
    expect_pattern(&pair.client, 300000);
    expect_pattern(&pair.server, 200000);
}
END_TEST

START_TEST(filter__free_is_a_clean_end_for_the_peer)
{
    connect_run(_i);
    bufferevent_write(pair.server.bev, "bye", 3);
    bev_pair_expect(&pair, &pair.client, "bye");
    bev_side_free(&pair.server);
    bev_pair_wait(&pair, &pair.client, "close_notify reof");
    ck_assert_ptr_null(strstr(pair.client.log, "failed"));
}
END_TEST

START_TEST(filter__shutdown_on_both_sides)
{
    connect_run(_i);
    write_pattern(pair.client.bev, 100000);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.client.bev, NULL), 0);
    bev_pair_wait(&pair, &pair.server, "reof");
    expect_pattern(&pair.server, 100000);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.server.bev, NULL), 0);
    bev_pair_wait(&pair, &pair.client, "reof");
    ck_assert_ptr_null(strstr(pair.client.log, "failed"));
    ck_assert_ptr_null(strstr(pair.server.log, "failed"));
}
END_TEST

START_TEST(filter__half_close_leaves_reading_on)
{
    connect_run(_i);
    write_pattern(pair.client.bev, 50000);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.client.bev), 0);
    bev_pair_wait(&pair, &pair.server, "reof");
    expect_pattern(&pair.server, 50000);
    write_pattern(pair.server.bev, 200000);
    expect_pattern(&pair.client, 200000);
}
END_TEST

START_TEST(filter__close_sends_everything_first)
{
    struct bufferevent *bev;

    connect_run(_i);
    write_pattern(pair.server.bev, 400000);
    bev = pair.server.bev;
    pair.server.bev = NULL;
    evtls_bufferevent_close(bev, NULL);
    bev_pair_wait(&pair, &pair.client, "reof");
    expect_pattern(&pair.client, 400000);
    bev_side_free(&pair.client);
}
END_TEST

/* ---- Endings from below -------------------------------------------------------------------- */

static bool has_nothing_closing(void *base)
{
    return evtls_event_base_get_num_closing(base) == 0;
}

/* The carrier goes without a close_notify of the filter's. */
START_TEST(filter__carrier_gone_is_truncated)
{
    connect_run(_i);
    if (pair.over == BEV_OVER_SOCKETS) {
        shutdown(pair.server.fd, SHUT_WR);
    } else {
        bufferevent_setcb(pair.server.below, NULL, NULL, NULL, NULL);
        bufferevent_flush(pair.server.below, EV_WRITE, BEV_FINISHED);
        if (pair.server.fd >= 0) {
            /* In TLS below the inner end has to leave first. */
            if (pair.over == BEV_OVER_TLS || pair.over == BEV_OVER_TLS_FILTER) {
                bev_pair_wait(&pair, &pair.client, "failed");
            }
            shutdown(pair.server.fd, SHUT_WR);
        }
    }
    bev_pair_wait(&pair, &pair.client, "failed rerror");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_TRUNCATED);
    if (pair.over != BEV_OVER_SOCKETS) { /* with callbacks of ours it is ours to free */
        struct bufferevent *below = pair.server.below;

        bev_side_free(&pair.server);
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        bufferevent_free(below);
    }
}
END_TEST

START_TEST(filter__failure_below_is_told_with_its_reason)
{
    static const struct linger reset = {1, 0};

    pair.over = BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, options_of(_i));
    bev_pair_connect(&pair);
    ck_assert_int_eq(pair.server.fd, bufferevent_getfd(pair.server.bev));
    write_pattern(pair.server.bev, 10000); /* unread: a reset for the other end */
    setsockopt(pair.client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    bufferevent_disable(pair.client.bev, EV_READ);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    shutdown(pair.client.fd, SHUT_RDWR);
    write_pattern(pair.client.bev, 10000);
    bev_pair_wait(&pair, &pair.client, "failed werror");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_IO);
    ck_assert_int_eq(pair.client.error.sys_errno, EPIPE);
    ck_assert_ptr_nonnull(strstr(pair.client.error.message, "underlying connection"));
}
END_TEST

/* TLS in TLS: the inner one's refusal is the outer one's error. */
START_TEST(filter__failure_of_inner_tls_is_told)
{
    bev_pair_make_contexts(&pair);
    evtls_context_free(pair.client.ctx);
    pair.client.ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    pair.over = BEV_OVER_TLS;
    bev_pair_open(&pair, options_of(_i));
    bev_pair_wait(&pair, &pair.client, "failed");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_CERTIFICATE);
    bev_pair_wait(&pair, &pair.server, "failed");
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_ALERT);
}
END_TEST

/* ---- What is below ------------------------------------------------------------------------- */

static void on_own_data(struct bufferevent *bev, void *arg)
{
    (void)bev;
    (void)arg;
}

START_TEST(filter__gives_back_what_it_took)
{
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    struct bufferevent *below[2];
    size_t low, high;
    void *arg;
    int fds[2];

    bev_pair_make_contexts(&pair);
    pair.base = event_base_new();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        evutil_make_socket_nonblocking(fds[i]);
        below[i] = bufferevent_socket_new(
            pair.base, fds[i], BEV_OPT_CLOSE_ON_FREE | (options_of(_i) & BEV_OPT_THREADSAFE));
        bufferevent_setcb(below[i], on_own_data, NULL, NULL, fds);
        bufferevent_setwatermark(below[i], EV_READ, 3, 7000);
        pair.server.bev = evtls_bufferevent_filter_new(below[i], pair.server.ctx, EVTLS_SERVER,
                                                       options_of(_i), NULL);
        ck_assert_ptr_eq(bufferevent_get_underlying(pair.server.bev), below[i]);
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        bev_side_free(&pair.server);
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        bufferevent_getcb(below[i], &readcb, &writecb, &eventcb, &arg);
        ck_assert(readcb == on_own_data && !writecb && !eventcb && arg == fds);
        bufferevent_getwatermark(below[i], EV_READ, &low, &high);
        ck_assert(low == 3 && high == 7000);
        ck_assert_int_eq(bufferevent_get_enabled(below[i]), EV_WRITE);
        ck_assert_int_ge(fcntl(fds[i], F_GETFD), 0);
    }
    bufferevent_free(below[0]);
    bufferevent_free(below[1]);
}
END_TEST

/* Freed with a full socket below: the rest leaves all the same, then the socket is closed. */
START_TEST(filter__free_keeps_what_is_below_until_its_output_is_out)
{
    int small = 4096;

    pair.over = BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, options_of(_i));
    setsockopt(pair.server.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    bev_pair_connect(&pair);
    bufferevent_disable(pair.client.bev, EV_READ);
    write_pattern(pair.server.bev, 3000000);
    for (int i = 0; i < 100; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
    bev_side_free(&pair.server);
    for (int i = 0; i < 10; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
    ck_assert_uint_eq(evtls_event_base_get_num_closing(pair.base), 1);
    ck_assert_int_ge(fcntl(pair.server.fd, F_GETFD), 0);
    bufferevent_enable(pair.client.bev, EV_READ);
    bev_pair_wait(&pair, &pair.client, "close_notify reof");
    ck_assert(loop_until(pair.base, has_nothing_closing, pair.base, 10000));
}
END_TEST

/* FO-19: neither the filter nor what is below it sends or takes anything in a forked child. */
START_TEST(filter__forked_child_is_silent)
{
    pid_t child;

    pair.over = BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, options_of(_i));
    bev_pair_connect(&pair);
    bufferevent_write(pair.client.bev, "to the parent", 13);
    for (int i = 0; i < 3; i++) { /* it is in the socket, or on its way there */
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
    child = fork();
    if (child == 0) {
        event_reinit(pair.base);
        bufferevent_disable(pair.client.below,
                            EV_READ); /* what would come is the parent's to see */
        bev_side_free(&pair.server);
        for (int i = 0; i < 5; i++) {
            event_base_loop(pair.base, EVLOOP_NONBLOCK);
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    bev_pair_expect(&pair, &pair.server, "to the parent");
    bufferevent_write(pair.server.bev, "to the client", 13);
    bev_pair_expect(&pair, &pair.client, "to the client");
    ck_assert_ptr_null(strstr(pair.client.log, "close_notify"));
    ck_assert_ptr_null(strstr(pair.client.log, "failed"));
}
END_TEST

/* A paused reader holds at most a bounded amount below (A7). */
START_TEST(filter__paused_reader_bounds_what_is_below)
{
    size_t most = 0;

    pair.over = _i ? BEV_OVER_PAIR : BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    bufferevent_disable(pair.client.bev, EV_READ);
    write_pattern(pair.server.bev, 8000000);
    for (int i = 0; i < 300; i++) {
        size_t held;

        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        held = evbuffer_get_length(bufferevent_get_input(pair.client.below)) +
               evbuffer_get_length(bufferevent_get_output(pair.server.below));
        most = held > most ? held : most;
    }
    ck_assert_uint_le(most, 200000);
    ck_assert_uint_gt(evbuffer_get_length(bufferevent_get_output(pair.server.bev)), 5000000);
    bufferevent_enable(pair.client.bev, EV_READ);
    expect_pattern(&pair.client, 8000000);
}
END_TEST

START_TEST(filter__output_is_empty_only_when_below_is)
{
    connect_run(_i);
    write_pattern(pair.server.bev, 500000);
    for (int i = 0; i < 2000 && evbuffer_get_length(pair.client.got) < 500000; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        if (pair.server.below &&
            evbuffer_get_length(bufferevent_get_output(pair.server.bev)) == 0) {
            ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_output(pair.server.below)), 0);
        }
    }
    expect_pattern(&pair.client, 500000);
}
END_TEST

/* Plaintext that waits below leaves first: the way to start TLS that libevent's programs know. */
START_TEST(filter__plaintext_below_leaves_first)
{
    struct bufferevent *plain;
    char line[64];
    int fds[2];

    bev_pair_make_contexts(&pair);
    pair.base = event_base_new();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    evutil_make_socket_nonblocking(fds[0]);
    plain = bufferevent_socket_new(pair.base, fds[0], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_write(plain, "220 go ahead\n", 13);
    pair.client.bev = evtls_bufferevent_filter_new(plain, pair.client.ctx, EVTLS_CLIENT,
                                                   BEV_OPT_CLOSE_ON_FREE, NULL);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                     NULL);
    for (int i = 0; i < 5; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
    ck_assert_int_eq(recv(fds[1], line, 14, 0), 14);
    ck_assert(memcmp(line, "220 go ahead\n\x16", 14) == 0);
    close(fds[1]);
}
END_TEST

static bool has_text(struct bufferevent *bev, const char *text)
{
    return evbuffer_search(bufferevent_get_input(bev), text, strlen(text), NULL).pos >= 0;
}

/* What comes behind TLS on a bufferevent that stays the program's is not discarded. */
START_TEST(filter__close_leaves_what_follows_below)
{
    struct bufferevent *bev;

    pair.keep_below = true;
    open_run(_i + BEV_PAIR_N_OPTIONS);
    bev_pair_connect(&pair);
    for (int i = 0; i < 2; i++) {
        struct bev_side *side = i ? &pair.client : &pair.server;

        write_pattern(side->bev, 3000);
        bev = side->bev;
        side->bev = NULL;
        evtls_bufferevent_close(bev, NULL);
    }
    for (int i = 0; i < 200 && evtls_event_base_get_num_closing(pair.base) > 0; i++) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_uint_eq(evtls_event_base_get_num_closing(pair.base), 0);
    bufferevent_enable(pair.client.below, EV_READ);
    bufferevent_write(pair.server.below, "open", 4);
    /* Records that were not read any more stand before it. */
    for (int i = 0; i < 200 && !has_text(pair.client.below, "open"); i++) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert(has_text(pair.client.below, "open"));
    bufferevent_free(pair.client.below);
    bufferevent_free(pair.server.below);
}
END_TEST

/* ---- Refusals ------------------------------------------------------------------------------ */

START_TEST(filter__refuses_with_nothing_changed)
{
    struct bufferevent *below;
    struct evtls_error err;

    bev_pair_make_contexts(&pair);
    pair.base = event_base_new();
    below = bufferevent_socket_new(pair.base, -1, 0);
    bufferevent_setcb(below, on_own_data, NULL, NULL, &pair);
    ck_assert_ptr_null(evtls_bufferevent_filter_new(NULL, pair.server.ctx, EVTLS_SERVER, 0, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_bufferevent_filter_new(below, NULL, EVTLS_SERVER, 0, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_bufferevent_filter_new(below, pair.client.ctx, EVTLS_SERVER,
                                                    BEV_OPT_CLOSE_ON_FREE, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    ck_assert_ptr_eq(bufferevent_get_base(below), pair.base);
    bufferevent_free(below);
}
END_TEST

/* ---- Unwrap -------------------------------------------------------------------------------- */

static struct bufferevent *unwrapped[2];
static size_t protected_bytes[2];

static void on_unwrapped(struct bufferevent *plain, size_t bytes, const struct evtls_error *err,
                         void *arg)
{
    int i = arg == &pair.server;

    ck_assert_ptr_null(err);
    unwrapped[i] = plain;
    protected_bytes[i] = bytes;
    ((struct bev_side *)arg)->bev = NULL;
}

static bool both_unwrapped(void *arg)
{
    (void)arg;
    return unwrapped[0] && unwrapped[1];
}

START_TEST(filter__unwrap_gives_the_one_below)
{
    char text[16];

    open_run(_i + BEV_PAIR_N_OPTIONS); /* not without filters */
    pair.keep_below = true;
    unwrapped[0] = unwrapped[1] = NULL;
    bev_pair_connect(&pair);
    evbuffer_free(pair.client.got);
    pair.client.got = NULL; /* stays in the input */
    bufferevent_write(pair.server.bev, "secret", 6);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.server.bev, on_unwrapped, &pair.server), 0);
    bev_pair_wait(&pair, &pair.client, "read");
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.client.bev, on_unwrapped, &pair.client), 0);
    ck_assert(loop_until(pair.base, both_unwrapped, NULL, 10000));
    ck_assert_ptr_eq(unwrapped[0], pair.client.below);
    ck_assert_ptr_eq(unwrapped[1], pair.server.below);
    ck_assert_uint_eq(protected_bytes[0], 6);
    ck_assert_uint_eq(bufferevent_read(unwrapped[0], text, sizeof(text)), 6);
    ck_assert(memcmp(text, "secret", 6) == 0);
    bufferevent_write(unwrapped[1], "open", 4);
    bufferevent_enable(unwrapped[0], EV_READ); /* disabled when the end of TLS was told */
    for (int i = 0; i < 50 && evbuffer_get_length(bufferevent_get_input(unwrapped[0])) < 4; i++) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_uint_eq(bufferevent_read(unwrapped[0], text, sizeof(text)), 4);
    ck_assert(memcmp(text, "open", 4) == 0);
    bufferevent_free(unwrapped[0]);
    bufferevent_free(unwrapped[1]);
}
END_TEST

/* ---- Another descriptor -------------------------------------------------------------------- */

START_TEST(filter__setfd_goes_below)
{
    int fds[2];

    pair.over = BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, options_of(_i));
    bev_pair_connect(&pair);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, -1), 0);
    ck_assert_int_eq(bufferevent_getfd(pair.client.bev), -1);
    ck_assert_int_eq(bufferevent_getfd(pair.client.below), pair.client.fd);
    close(pair.client.fd);
    close(pair.server.fd);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    evutil_make_socket_nonblocking(fds[0]);
    evutil_make_socket_nonblocking(fds[1]);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, fds[0]), 0);
    ck_assert_int_eq(bufferevent_getfd(pair.client.bev), fds[0]);
    ck_assert_int_eq(bufferevent_setfd(pair.server.bev, fds[1]), 0);
    pair.client.log[0] = pair.server.log[0] = '\0';
    bev_pair_connect(&pair);
    bufferevent_write(pair.client.bev, "again", 5);
    bev_pair_expect(&pair, &pair.server, "again");
}
END_TEST

static Suite *filter_suite(void)
{
    Suite *suite = suite_create("filter");
    TCase *tcase = tcase_create("filter");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, filter__carries_both_ways, 0, N_RUNS);
    tcase_add_loop_test(tcase, filter__free_is_a_clean_end_for_the_peer, 0, N_RUNS);
    tcase_add_loop_test(tcase, filter__shutdown_on_both_sides, 0, N_RUNS);
    tcase_add_loop_test(tcase, filter__half_close_leaves_reading_on, 0, N_RUNS);
    tcase_add_loop_test(tcase, filter__close_sends_everything_first, 0, N_RUNS);
    tcase_add_loop_test(tcase, filter__carrier_gone_is_truncated, 0, N_RUNS);
    tcase_add_loop_test(tcase, filter__failure_below_is_told_with_its_reason, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__failure_of_inner_tls_is_told, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__gives_back_what_it_took, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__forked_child_is_silent, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__free_keeps_what_is_below_until_its_output_is_out, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__paused_reader_bounds_what_is_below, 0, 2);
    tcase_add_loop_test(tcase, filter__output_is_empty_only_when_below_is, 0, N_RUNS);
    tcase_add_test(tcase, filter__plaintext_below_leaves_first);
    tcase_add_test(tcase, filter__refuses_with_nothing_changed);
    tcase_add_loop_test(tcase, filter__close_leaves_what_follows_below, 0,
                        N_RUNS - BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__unwrap_gives_the_one_below, 0, N_RUNS - BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, filter__setfd_goes_below, 0, BEV_PAIR_N_OPTIONS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN); /* libevent's own sockets write as they always do */
    return suite_run(filter_suite());
}
