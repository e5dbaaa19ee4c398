/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evhttp's client over TLS: pages, connecting, and connecting again.
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
#include "support/loop.h"
#include "support/net.h"
#include "support/suite.h"

/* ---- Arguments ---------------------------------------------------------------------------- */

START_TEST(client__says_what_is_wrong)
{
    struct evdns_base *resolver = dns_resolver(dns);
    const struct {
        struct event_base *base;
        struct evtls_context *ctx;
        const char *host;
        int port;
        enum evtls_status status;
    } rows[] = {
        {NULL, client_ctx, "a.test", 443, EVTLS_ERR_USAGE},
        {base, NULL, "a.test", 443, EVTLS_ERR_USAGE},
        {base, client_ctx, NULL, 443, EVTLS_ERR_USAGE},
        {base, client_ctx, "", 443, EVTLS_ERR_USAGE},
        {base, client_ctx, "a.test:443", 443, EVTLS_ERR_USAGE},
        {base, client_ctx, "a.test", 0, EVTLS_ERR_USAGE},
        {base, client_ctx, "a.test", 65536, EVTLS_ERR_USAGE},
        {base, server_ctx, "a.test", 443, EVTLS_ERR_USAGE},
    };
    struct evtls_error err;

    for (int i = 0; i < N(rows); i++) {
        ck_assert_ptr_null(evtls_evhttp_connection_new(rows[i].base, resolver, rows[i].ctx,
                                                       rows[i].host, rows[i].port, &err));
        ck_assert_msg(err.status == rows[i].status, "row %d: %s", i, err.message);
    }
    ck_assert_ptr_null(evtls_evhttp_connection_get_error(NULL));
}
END_TEST

START_TEST(client__says_where_it_connects)
{
    char *address;
    uint16_t its_port;

    port = 443;
    client_open("Race.test");
    evhttp_connection_get_peer(evcon, &address, &its_port);
    ck_assert_str_eq(address, "Race.test");
    ck_assert_uint_eq(its_port, 443);
    ck_assert_uint_eq(connects_words(), 0);
}
END_TEST

/* ---- Pages -------------------------------------------------------------------------------- */

START_TEST(client__three_requests_on_one_connection)
{
    serve("127.0.0.1");
    client_open("race.test");
    for (int i = 0; i < 3; i++)
        expect_page("/");
    ck_assert_uint_eq(accepted, 1);
    ck_assert_uint_eq(seen.handshakes, 1);
    ck_assert_str_eq(connects_log(), "::1 -::1 127.0.0.1"); /* B59 */
}
END_TEST

START_TEST(client__three_requests_at_once)
{
    serve("127.0.0.1");
    client_open("race.test");
    for (int i = 0; i < 3; i++)
        ask("/");
    wait_done(3);
    ck_assert_uint_eq(seen.good, 3);
    ck_assert_uint_eq(accepted, 1);
}
END_TEST

static const char *const literals[] = {"127.0.0.1", "::1", "[::1]"};

START_TEST(client__host_may_be_an_address)
{
    int fd = listen_at("::1", 0);

    if (fd < 0) {
        test_skip("no IPv6");
        return;
    }
    close(fd);
    serve(_i == 0 ? "127.0.0.1" : "::1");
    client_open(literals[_i]);
    expect_page("/");
    ck_assert_uint_eq(dns_questions(dns), 0);
}
END_TEST

/* evhttp's own idea of the family does not lead past us to plaintext or a hang. */
static const struct {
    const char *host;
    int family;
} families[] = {{"race.test", AF_UNSPEC},
                {"race.test", AF_INET6},
                {"race.test", AF_INET},
                {"127.0.0.1", AF_UNSPEC},
                {"127.0.0.1", AF_INET}};

START_TEST(client__family_of_evhttp)
{
    serve("127.0.0.1");
    client_open(families[_i].host);
    evhttp_connection_set_family(evcon, families[_i].family);
    expect_page("/close");
    expect_page("/");
    ck_assert_uint_eq(seen.errors, 0);
}
END_TEST

START_TEST(client__system_resolver)
{
    serve("127.0.0.1");
    connect_with(client_ctx, NULL, "localhost");
    expect_page("/");
}
END_TEST

START_TEST(client__black_hole_first)
{
    struct black_hole *hole = black_hole_new("::1", 0);

    if (!hole) {
        test_skip("no IPv6");
        return;
    }
    port = black_hole_port(hole);
    connects_watch();
    serve("127.0.0.1");
    client_open("race.test");
    expect_page("/");
    ck_assert_str_eq(connects_log(), "::1 127.0.0.1 -::1");
    ck_assert_int_ge(connects_at(1) - connects_at(0), 200);
    black_hole_free(hole);
}
END_TEST

START_TEST(client__big_bodies)
{
    struct evhttp_request *req;
    static char block[65536];

    serve("127.0.0.1");
    client_open("race.test");
    expect_page("/big");
    ck_assert_uint_eq(seen.body, BIG_BYTES);
    req = evhttp_request_new(on_done, NULL);
    for (size_t n = 0; n < BIG_BYTES; n += sizeof(block))
        evbuffer_add(evhttp_request_get_output_buffer(req), block, sizeof(block));
    ck_assert_int_eq(evhttp_make_request(evcon, req, EVHTTP_REQ_POST, "/echo"), 0);
    wait_done(2);
    ck_assert_uint_eq(seen.body, BIG_BYTES);
    ck_assert_uint_eq(accepted, 1);
}
END_TEST

/* ---- Again -------------------------------------------------------------------------------- */

static void server_closes(void)
{
    evhttp_connection_free(served);
    loop_turns(base, 50);
}

static void nothing(void)
{
}

/* How the first connection ends; the second resumes its session. */
static const struct {
    const char *name, *uri;
    void (*between)(void);
} ends[] = {
    {"Connection: close", "/close", nothing},
    {"the server closes in between", "/", server_closes},
};

START_TEST(client__connects_again_and_resumes)
{
    struct evtls_engine *engine;

    serve("127.0.0.1");
    client_open("race.test");
    engine = evtls_bufferevent_get_engine(evhttp_connection_get_bufferevent(evcon));
    for (unsigned i = 0; i < 3; i++) {
        expect_page(ends[_i].uri);
        ck_assert_uint_eq(seen.handshakes, i + 1);
        ck_assert_uint_eq(seen.reused, i);
        ends[_i].between();
    }
    ck_assert_uint_eq(accepted, 3);
    ck_assert_ptr_eq(engine,
                     evtls_bufferevent_get_engine(evhttp_connection_get_bufferevent(evcon)));
}
END_TEST

/* The server is gone, and comes back. */
START_TEST(client__recovers_from_a_server_that_was_gone)
{
    serve("127.0.0.1");
    client_open("race.test");
    expect_page("/close");
    evhttp_free(http);
    http = NULL;
    ask("/");
    wait_done(2);
    ck_assert_uint_eq(seen.good, 1);
    ck_assert_int_eq(seen.error.status, EVTLS_ERR_IO);
    ck_assert_int_eq(seen.error.sys_errno, ECONNREFUSED);
    serve("127.0.0.1");
    expect_page("/");
    ck_assert_uint_eq(seen.reused, 1);
}
END_TEST

START_TEST(client__retries_as_evhttp_does)
{
    static const struct timeval soon = {0, 100000};

    port = net_dead_port();
    client_open("race.test");
    evhttp_connection_set_retries(evcon, 3);
    evhttp_connection_set_initial_retry_tv(evcon, &soon);
    ask("/");
    ck_assert(loop_until_count(base, &seen.errors, 1, 50000));
    ck_assert_uint_eq(seen.done, 0);
    serve("127.0.0.1");
    wait_done(1);
    ck_assert_uint_eq(seen.good, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("evhttp_client");
    TCase *tc = tcase_create("client");

    tcase_set_timeout(tc, 100);
    tcase_add_checked_fixture(tc, evhttp_world_open, evhttp_world_close);
    tcase_add_test(tc, client__says_what_is_wrong);
    tcase_add_test(tc, client__says_where_it_connects);
    tcase_add_test(tc, client__three_requests_on_one_connection);
    tcase_add_test(tc, client__three_requests_at_once);
    tcase_add_loop_test(tc, client__host_may_be_an_address, 0, N(literals));
    tcase_add_loop_test(tc, client__family_of_evhttp, 0, N(families));
    tcase_add_test(tc, client__system_resolver);
    tcase_add_test(tc, client__black_hole_first);
    tcase_add_test(tc, client__big_bodies);
    tcase_add_loop_test(tc, client__connects_again_and_resumes, 0, N(ends));
    tcase_add_test(tc, client__recovers_from_a_server_that_was_gone);
    tcase_add_test(tc, client__retries_as_evhttp_does);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
