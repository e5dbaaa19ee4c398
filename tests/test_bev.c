/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>

#include <event2/thread.h>

#include "bev_dead.h"
#include "bev_ops.h"
#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/suite.h"
#include "support/vclock.h"

static struct bev_pair pair;

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

/* ---- Construction ------------------------------------------------------------------------- */

START_TEST(bev__null_context_or_base_is_usage)
{
    struct evtls_error err;

    bev_pair_make_contexts(&pair);
    pair.base = event_base_new();
    ck_assert_ptr_null(evtls_bufferevent_socket_new(pair.base, -1, NULL, EVTLS_SERVER, 0, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_ptr_null(
        evtls_bufferevent_socket_new(NULL, -1, pair.server.ctx, EVTLS_SERVER, 0, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
}
END_TEST

START_TEST(bev__failed_construction_leaves_the_descriptor_open)
{
    struct evtls_error err;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    bev_pair_make_contexts(&pair);
    pair.base = event_base_new();
    ck_assert_ptr_null(evtls_bufferevent_socket_new(pair.base, fd, pair.server.ctx, EVTLS_SERVER,
                                                    BEV_OPT_CLOSE_ON_FREE, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "not a stream socket"));
    ck_assert_ptr_null(evtls_bufferevent_socket_new(pair.base, fd, pair.client.ctx, EVTLS_SERVER,
                                                    BEV_OPT_CLOSE_ON_FREE, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
    close(fd);
}
END_TEST

START_TEST(bev__unknown_libevent_is_refused)
{
    struct evtls_error err;
    struct bufferevent_ops ops;
    struct event_base *base = event_base_new();
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

    ck_assert_int_eq(evtls_bev_ops_check(bev->be_ops, LIBEVENT_VERSION_NUMBER, &err), 0);
    ops = *bev->be_ops;
    ops.type = "stream";
    ck_assert_int_eq(evtls_bev_ops_check(&ops, LIBEVENT_VERSION_NUMBER, &err),
                     EVTLS_ERR_UNSUPPORTED);
    ops = *bev->be_ops;
    ops.mem_offset = 8;
    ck_assert_int_eq(evtls_bev_ops_check(&ops, LIBEVENT_VERSION_NUMBER, &err),
                     EVTLS_ERR_UNSUPPORTED);
    ops = *bev->be_ops;
    ops.unlink = ops.destruct;
    ck_assert_int_eq(evtls_bev_ops_check(&ops, LIBEVENT_VERSION_NUMBER, &err),
                     EVTLS_ERR_UNSUPPORTED);
    ck_assert_int_eq(evtls_bev_ops_check(bev->be_ops, 0x02030000, &err), EVTLS_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "libevent"));
    bufferevent_free(bev);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}
END_TEST

START_TEST(bev__other_bufferevents_are_not_ours)
{
    struct event_base *base = event_base_new();
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    static const struct evtls_callbacks none;

    ck_assert_ptr_null(evtls_bufferevent_get_engine(bev));
    ck_assert_ptr_null(evtls_bufferevent_get_engine(NULL));
    ck_assert_int_eq(evtls_bufferevent_setcb(bev, &none, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_shutdown(bev, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(bev), EVTLS_ERR_USAGE);
    evtls_bufferevent_close(NULL, NULL);
    evtls_bufferevent_close(bev, NULL);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}
END_TEST

START_TEST(bev__reserved_callbacks_must_be_null)
{
    struct evtls_callbacks cb = {0};

    bev_pair_open(&pair, 0);
    cb.reserved[3] = (void (*)(void))abort;
    ck_assert_int_eq(evtls_bufferevent_setcb(pair.client.bev, &cb, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_setcb(pair.client.bev, NULL, NULL), 0);
}
END_TEST

/* ---- Order of events ---------------------------------------------------------------------- */

START_TEST(bev__alpn_handshake_connected_in_order)
{
    static const char *const both[] = {"h2", "http/1.1"};
    static const char *const one[] = {"http/1.1"};

    bev_pair_make_contexts(&pair);
    ck_assert_int_eq(evtls_context_set_alpn(pair.client.ctx, both, 2), 0);
    ck_assert_int_eq(evtls_context_set_alpn(pair.server.ctx, one, 1), 0);
    bev_pair_open(&pair, bev_pair_options[_i]);
    ck_assert_str_eq(pair.client.log, "");
    bev_pair_connect(&pair);
    ck_assert_str_eq(pair.client.log, "alpn(http/1.1) handshake connected");
    ck_assert_ptr_eq(strstr(pair.server.log, "alpn(http/1.1) handshake connected"),
                     pair.server.log);
}
END_TEST

START_TEST(bev__alpn_without_overlap_is_told_as_none)
{
    static const char *const h2[] = {"h2"};
    static const char *const http11[] = {"http/1.1"};

    bev_pair_make_contexts(&pair);
    evtls_context_set_alpn(pair.client.ctx, h2, 1);
    evtls_context_set_alpn(pair.server.ctx, http11, 1);
    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    ck_assert_str_eq(pair.client.log, "alpn() handshake connected");
}
END_TEST

START_TEST(bev__data_both_ways_then_a_clean_end)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    bufferevent_write(pair.client.bev, "early", 5); /* waits for the handshake */
    bev_pair_connect(&pair);
    bev_pair_expect(&pair, &pair.server, "early");
    bufferevent_write(pair.server.bev, "hello", 5);
    bev_pair_expect(&pair, &pair.client, "hello");
    bufferevent_write(pair.client.bev, "bye", 3);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.client.bev), 0);
    bev_pair_wait(&pair, &pair.server, "eof");
    bev_pair_expect(&pair, &pair.server, "bye");
    ck_assert_ptr_nonnull(strstr(pair.server.log, "read close_notify reof"));
    ck_assert_ptr_null(evtls_engine_get_error(evtls_bufferevent_get_engine(pair.server.bev)));
}
END_TEST

static const char *const free_words[] = {"handshake", "connected",    "read",
                                         "write",     "close_notify", "reof"};

START_TEST(bev__free_inside_each_callback)
{
    int options = bev_pair_options[_i % BEV_PAIR_N_OPTIONS];

    bev_pair_open(&pair, options);
    pair.server.free_at = free_words[_i / BEV_PAIR_N_OPTIONS];
    bufferevent_write(pair.client.bev, "data", 4);
    bufferevent_write(pair.server.bev, "data", 4);
    evtls_bufferevent_shutdown_write(pair.client.bev);
    while (pair.server.bev) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_str_eq(strrchr(pair.server.log, ' ') ? strrchr(pair.server.log, ' ') + 1
                                                   : pair.server.log,
                     pair.server.free_at);
    bev_pair_wait(&pair, &pair.client, "eof");
}
END_TEST

static void close_in_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    (void)protocol;
    (void)len;
    pair.server.bev = NULL;
    ++*(unsigned *)arg;
    evtls_bufferevent_close(bev, NULL);
}

static void count_handshake(struct bufferevent *bev, void *arg)
{
    (void)bev;
    *(unsigned *)arg += 100;
}

START_TEST(bev__close_in_a_callback_is_the_last_one)
{
    static const char *const names[] = {"one"};
    static const struct evtls_callbacks callbacks = {
        .alpn = close_in_alpn,
        .handshake = count_handshake,
    };
    unsigned calls = 0;

    bev_pair_make_contexts(&pair);
    evtls_context_set_alpn(pair.client.ctx, names, 1);
    evtls_context_set_alpn(pair.server.ctx, names, 1);
    bev_pair_open(&pair, bev_pair_options[_i]);
    evtls_bufferevent_setcb(pair.server.bev, &callbacks, &calls);
    bev_pair_wait(&pair, &pair.client, "eof");
    ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(bev__sessions_are_told_and_resume)
{
    bev_pair_make_contexts(&pair);
    if (_i == 1) {
        evtls_context_set_max_version(pair.client.ctx, EVTLS_TLS_1_2, NULL);
    }
    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    bufferevent_write(pair.server.bev, "x", 1);
    bev_pair_expect(&pair, &pair.client, "x");
    ck_assert_uint_ge(pair.client.n_sessions, 1);
    bev_side_free(&pair.client);
    bev_pair_wait(&pair, &pair.server, "eof");
    bev_side_free(&pair.server);
    bev_pair_reopen(&pair, 0);
    ck_assert_int_eq(evtls_engine_set_session(evtls_bufferevent_get_engine(pair.client.bev),
                                              pair.client.session, NULL),
                     0);
    bev_pair_connect(&pair);
    ck_assert_int_eq(evtls_engine_get_session_reused(evtls_bufferevent_get_engine(pair.client.bev)),
                     1);
    ck_assert_int_eq(evtls_engine_get_session_reused(evtls_bufferevent_get_engine(pair.server.bev)),
                     1);
}
END_TEST

START_TEST(bev__setfd_starts_anew_and_offers_the_session)
{
    int fds[2];

    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    bufferevent_write(pair.server.bev, "x", 1);
    bev_pair_expect(&pair, &pair.client, "x");
    bev_side_free(&pair.server);
    close(pair.client.fd);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, -1), 0);
    ck_assert_int_eq(bufferevent_getfd(pair.client.bev), -1);
    ck_assert_ptr_null(evtls_engine_get_version(evtls_bufferevent_get_engine(pair.client.bev)));
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    bufferevent_write(pair.client.bev, "again", 5);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, fds[0]), 0);
    pair.server.log[0] = pair.client.log[0] = '\0';
    pair.server.bev = evtls_bufferevent_socket_new(pair.base, fds[1], pair.server.ctx, EVTLS_SERVER,
                                                   BEV_OPT_CLOSE_ON_FREE, NULL);
    bufferevent_enable(pair.server.bev, EV_READ);
    bev_pair_wait(&pair, &pair.client, "connected");
    ck_assert_int_eq(evtls_engine_get_session_reused(evtls_bufferevent_get_engine(pair.client.bev)),
                     1);
    while (evbuffer_get_length(bufferevent_get_input(pair.server.bev)) < 5) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
}
END_TEST

/* ---- Processes and questions -------------------------------------------------------------- */

/* libevent's persistent events remember the timeout that they were last added with. */
START_TEST(bev__no_timeout_that_was_taken_back)
{
    const struct timeval soon = {0, 20000};

    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    if (_i == 0) {
        bufferevent_set_timeouts(pair.server.bev, &soon, NULL);
        bufferevent_disable(pair.server.bev, EV_READ);
    } else { /* it has fired, which disables reading */
        bufferevent_set_timeouts(pair.server.bev, &soon, NULL);
        bev_pair_wait(&pair, &pair.server, "timeout");
    }
    bufferevent_set_timeouts(pair.server.bev, NULL, NULL);
    pair.server.log[0] = '\0';
    bufferevent_enable(pair.server.bev, EV_READ);
    bufferevent_write(pair.client.bev, "late", 4);
    bev_pair_expect(&pair, &pair.server, "late");
    event_base_loopexit(pair.base, &(struct timeval){0, 100000});
    event_base_dispatch(pair.base);
    ck_assert_ptr_null(strstr(pair.server.log, "timeout"));
}
END_TEST

START_TEST(bev__forked_child_sends_nothing) /* FO-19 */
{
    pid_t pid;
    int status;

    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    pid = fork();
    if (pid == 0) {
        event_reinit(pair.base); /* or the parent's epoll would be changed */
        bufferevent_free(pair.client.bev);
        bufferevent_free(pair.server.bev);
        event_base_free(pair.base);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    bufferevent_write(pair.client.bev, "on", 2);
    bev_pair_expect(&pair, &pair.server, "on");
    ck_assert_ptr_null(strstr(pair.server.log, "eof"));
    ck_assert_ptr_null(strstr(pair.server.log, "error"));
}
END_TEST

START_TEST(bev__dump_has_a_line_a_connection)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    evtls_event_base_dump(pair.base, out);
    evtls_event_base_dump(NULL, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "client state=\"open\""));
    ck_assert_ptr_nonnull(strstr(text, "server state=\"open\""));
    ck_assert_ptr_nonnull(strstr(text, "version=TLSv1.3 name=localhost"));
    free(text);
}
END_TEST

static void count_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    ck_assert_int_eq(what, BEV_EVENT_READING | BEV_EVENT_ERROR);
    ++*(int *)arg;
}

START_TEST(bev__dead_one_reports_one_error_and_sends_nothing)
{
    struct event_base *base = event_base_new();
    struct bufferevent *bev = evtls_bev_new_dead(base);
    int fds[2], n = 0;
    char c;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    bufferevent_setcb(bev, NULL, NULL, count_event, &n);
    ck_assert_int_eq(bufferevent_setfd(bev, fds[0]), 0);
    bufferevent_write(bev, "plain", 5);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(n, 0);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(recv(fds[1], &c, 1, MSG_DONTWAIT), -1);
    bufferevent_free(bev);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static Suite *bev_suite(void)
{
    Suite *suite = suite_create("bev");
    TCase *tcase = add_case(suite, "construction");

    tcase_add_test(tcase, bev__null_context_or_base_is_usage);
    tcase_add_test(tcase, bev__failed_construction_leaves_the_descriptor_open);
    tcase_add_test(tcase, bev__unknown_libevent_is_refused);
    tcase_add_test(tcase, bev__other_bufferevents_are_not_ours);
    tcase_add_test(tcase, bev__reserved_callbacks_must_be_null);
    tcase = add_case(suite, "events");
    tcase_add_loop_test(tcase, bev__alpn_handshake_connected_in_order, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__alpn_without_overlap_is_told_as_none);
    tcase_add_loop_test(tcase, bev__data_both_ways_then_a_clean_end, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__free_inside_each_callback, 0,
                        COUNT(free_words) * BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__close_in_a_callback_is_the_last_one, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__sessions_are_told_and_resume, 0, 2);
    tcase_add_test(tcase, bev__setfd_starts_anew_and_offers_the_session);
    tcase_add_loop_test(tcase, bev__no_timeout_that_was_taken_back, 0, 2);
    tcase = add_case(suite, "processes");
    tcase_add_test(tcase, bev__forked_child_sends_nothing);
    tcase_add_test(tcase, bev__dump_has_a_line_a_connection);
    tcase_add_test(tcase, bev__dead_one_reports_one_error_and_sends_nothing);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    return suite_run(bev_suite());
}
