/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evhttp's client over TLS: every way not to get a page.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "evhttp_world.h"
#include "support/connects.h"
#include "support/dns.h"
#include "support/engines.h"
#include "support/faults.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/pki.h"
#include "support/suite.h"

/* ---- Failures ----------------------------------------------------------------------------- */

START_TEST(client__all_are_refused)
{
    char expected[128];

    port = net_dead_port();
    client_open("race.test");
    expect_failure("/", EVTLS_ERR_IO);
    snprintf(expected, sizeof(expected),
             "connect to race.test 127.0.0.1:%u, the last of 2 addresses: Connection refused",
             (unsigned)port);
    ck_assert_str_eq(seen.error.message, expected);
    ck_assert_str_eq(connects_log(), "::1 -::1 127.0.0.1 -127.0.0.1");
}
END_TEST

START_TEST(client__address_is_refused)
{
    port = net_dead_port();
    client_open("127.0.0.1");
    expect_failure("/", EVTLS_ERR_IO);
    ck_assert_int_eq(seen.error.sys_errno, ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(seen.error.message, "connect to 127.0.0.1:"));
    ck_assert_str_eq(connects_log(), "127.0.0.1 -127.0.0.1");
}
END_TEST

START_TEST(client__each_queued_request_fails_once)
{
    port = net_dead_port();
    client_open("race.test");
    for (int i = 0; i < 3; i++)
        ask("/");
    wait_done(3);
    loop_turns(base, 30);
    ck_assert_uint_eq(seen.done, 3);
    ck_assert_uint_eq(seen.good, 0);
}
END_TEST

START_TEST(client__no_such_host)
{
    port = 1;
    client_open("nowhere.test");
    expect_failure("/", EVTLS_ERR_RESOLVE);
    ck_assert_int_eq(seen.error.resolve_code, EVUTIL_EAI_NONAME);
}
END_TEST

START_TEST(client__wrong_name)
{
    serve("127.0.0.1");
    client_open("other.test");
    expect_failure("/", EVTLS_ERR_CERTIFICATE);
    ck_assert_ptr_nonnull(strstr(seen.error.message, "other.test"));
}
END_TEST

START_TEST(client__untrusted)
{
    struct pki *other = pki_new();
    struct evtls_context *ctx = client_context(other);

    serve("127.0.0.1");
    connect_with(ctx, dns_resolver(dns), "race.test");
    expect_failure("/", EVTLS_ERR_CERTIFICATE);
    evtls_context_free(ctx);
    pki_free(other);
}
END_TEST

/* A reply of some server that knows no TLS. */
static void answer_in_clear(evutil_socket_t listener, short what, void *arg)
{
    int *fd = arg;

    (void)what;
    *fd = accept(listener, NULL, NULL);
    ck_assert_int_eq(send(*fd, "HTTP/1.0 400 Bad\r\n\r\n", 20, MSG_NOSIGNAL), 20);
}

START_TEST(client__plaintext_server)
{
    int listener = listen_at("127.0.0.1", 0), fd = -1;
    struct event *event = event_new(base, listener, EV_READ, answer_in_clear, &fd);

    faults_watch("GET ");
    event_add(event, NULL);
    port = net_port(listener);
    client_open("race.test");
    expect_failure("/", EVTLS_ERR_PROTOCOL);
    event_free(event);
    close(fd);
    close(listener);
}
END_TEST

START_TEST(client__cut_reply)
{
    serve("127.0.0.1");
    client_open("race.test");
    evhttp_connection_set_timeout(evcon, 50);
    ask("/never");
    while (!served || accepted == 0 || seen.handshakes == 0)
        event_base_loop(base, EVLOOP_ONCE);
    loop_turns(base, 20);
    /* the server's end of TCP without its close_notify */
    shutdown(bufferevent_getfd(evhttp_connection_get_bufferevent(served)), SHUT_WR);
    wait_done(1);
    ck_assert_uint_eq(seen.good, 0);
    ck_assert_int_eq(seen.error.status, EVTLS_ERR_TRUNCATED);
}
END_TEST

/* Its own limit, and ours; each is one failure. */
static const struct {
    const char *name;
    struct timeval evhttps, ours;
    enum evtls_status status;
} limits[] = {
    {"evhttp's", {0, 300000}, {20, 0}, EVTLS_OK},
    {"the deadline", {20, 0}, {0, 300000}, EVTLS_ERR_TIMEOUT},
};

START_TEST(client__black_hole_alone)
{
    struct black_hole *hole = black_hole_new("127.0.0.1", 0);

    port = black_hole_port(hole);
    connects_watch();
    client_open("other.test");
    evhttp_connection_set_timeout_tv(evcon, &limits[_i].evhttps);
    evtls_bufferevent_set_handshake_timeout(evhttp_connection_get_bufferevent(evcon),
                                            &limits[_i].ours);
    ask("/");
    wait_done(1);
    loop_turns(base, 30);
    ck_assert_uint_eq(seen.done, 1);
    ck_assert_int_eq(seen.error.status, limits[_i].status);
    ck_assert_int_ge(connects_now(), 250);
    ck_assert_uint_eq(connects_open(), 0);
    black_hole_free(hole);
}
END_TEST

/* evhttp's local address leads past us: nothing in clear, one failure. */
START_TEST(client__local_address_is_refused)
{
    serve("127.0.0.1");
    client_open("race.test");
    evhttp_connection_set_local_address(evcon, "127.0.0.1");
    faults_watch("GET ");
    ask("/");
    wait_done(1);
    ck_assert_uint_eq(seen.good, 0);
}
END_TEST

/* ---- Let go ------------------------------------------------------------------------------- */

static void free_connection(void)
{
    evhttp_connection_free(evcon);
    evcon = NULL;
}

static void nothing(void)
{
}

static void one_turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void until_connect(void)
{
    while (connects_words() == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void until_handshake(void)
{
    while (accepted == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void until_served(void)
{
    while (seen.handshakes == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void (*const moments[])(void) = {nothing, one_turn, until_connect, until_handshake,
                                        until_served};

START_TEST(client__freed_at_any_moment)
{
    serve("127.0.0.1");
    client_open("race.test");
    ask("/never");
    moments[_i]();
    free_connection();
    loop_turns(base, 50);
    ck_assert_uint_eq(seen.done, 0);
    ck_assert_uint_eq(connects_open(), 0);
}
END_TEST

/* A request is cancelled and another one made in its place. */
START_TEST(client__cancelled_and_asked_again)
{
    struct evhttp_request *req;

    serve("127.0.0.1");
    client_open("race.test");
    for (int again = 0; again < 3; again++) {
        req = ask("/never");
        moments[_i]();
        evhttp_cancel_request(req);
    }
    expect_page("/");
    ck_assert_uint_eq(seen.done, 1);
}
END_TEST

static void free_in_callback(struct evhttp_request *req, void *arg)
{
    (void)req;
    (void)arg;
    seen.done++;
    free_connection();
}

static const bool found[] = {false, true};

START_TEST(client__freed_in_a_callback)
{
    struct evhttp_request *req = evhttp_request_new(free_in_callback, NULL);

    if (found[_i])
        serve("127.0.0.1");
    else
        port = net_dead_port();
    client_open("race.test");
    ck_assert_int_eq(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, "/"), 0);
    wait_done(1);
    loop_turns(base, 30);
    ck_assert_uint_eq(seen.done, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("evhttp_client_fail");
    TCase *tc = tcase_create("client");

    tcase_set_timeout(tc, 100);
    tcase_add_checked_fixture(tc, evhttp_world_open, evhttp_world_close);
    tcase_add_test(tc, client__all_are_refused);
    tcase_add_test(tc, client__address_is_refused);
    tcase_add_test(tc, client__each_queued_request_fails_once);
    tcase_add_test(tc, client__no_such_host);
    tcase_add_test(tc, client__wrong_name);
    tcase_add_test(tc, client__untrusted);
    tcase_add_test(tc, client__plaintext_server);
    tcase_add_test(tc, client__cut_reply);
    tcase_add_loop_test(tc, client__black_hole_alone, 0, N(limits));
    tcase_add_test(tc, client__local_address_is_refused);
    tcase_add_loop_test(tc, client__freed_at_any_moment, 0, N(moments));
    tcase_add_loop_test(tc, client__cancelled_and_asked_again, 0, N(moments));
    tcase_add_loop_test(tc, client__freed_in_a_callback, 0, N(found));
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
