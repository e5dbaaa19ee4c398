/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evhttp's client over TLS: connecting, connecting again, and every way not to.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/thread.h>

#include <evtls/evtls.h>

#include "support/connects.h"
#include "support/dns.h"
#include "support/engines.h"
#include "support/faults.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/pki.h"
#include "support/suite.h"

#define BIG_BYTES (6 * 1024 * 1024)

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct event_base *base;
static struct pki *pki;
static struct evtls_context *server_ctx, *client_ctx;
static struct dns *dns;
static struct evhttp *http;
static struct evhttp_connection *evcon;
static uint16_t port;
static struct evhttp_connection *served; /* the server's end of the last request */
static unsigned accepted;
static struct evhttp_request *unanswered[8]; /* they are ours until a reply */
static unsigned n_unanswered;

static struct {
    unsigned done, good; /* request callbacks; those with a page */
    unsigned handshakes, reused, errors;
    size_t body;
    struct evtls_error error; /* what get_error said in the last callback */
} seen;

/* ---- The server --------------------------------------------------------------------------- */

static struct bufferevent *counting_bevcb(struct event_base *its_base, void *ctx)
{
    accepted++;
    return evtls_evhttp_bevcb(its_base, ctx);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct evbuffer *body = evbuffer_new();
    const char *uri = evhttp_request_get_uri(req);

    (void)arg;
    served = evhttp_request_get_connection(req);
    if (strcmp(uri, "/big") == 0) {
        static char block[65536];

        for (size_t n = 0; n < BIG_BYTES; n += sizeof(block))
            evbuffer_add(body, block, sizeof(block));
    } else if (strcmp(uri, "/echo") == 0) {
        evbuffer_add_buffer(body, evhttp_request_get_input_buffer(req));
    } else {
        evbuffer_add_printf(body, "page");
    }
    if (strcmp(uri, "/close") == 0)
        evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
    if (strcmp(uri, "/never") == 0)
        unanswered[n_unanswered++] = req;
    else
        evhttp_send_reply(req, 200, "OK", body);
    evbuffer_free(body);
}

static void serve(const char *address)
{
    struct evtls_error err;

    if (!http) {
        http = evhttp_new(base);
        evhttp_set_gencb(http, on_request, NULL);
    }
    ck_assert_msg(evtls_evhttp_bind(http, server_ctx, address, port, &err) == 0, "%s", err.message);
    port = (uint16_t)evtls_evhttp_get_port(http);
    evhttp_set_bevcb(http, counting_bevcb, server_ctx);
}

static void setup(void)
{
    memset(&seen, 0, sizeof(seen));
    evthread_use_pthreads();
    base = event_base_new();
    pki = pki_new();
    server_ctx = server_context(pki_issue(
        pki, &(struct pki_spec){.san = "DNS:localhost,DNS:race.test,IP:127.0.0.1,IP:::1"}));
    client_ctx = client_context(pki);
    dns = dns_new(base);
    dns_add(dns, "race.test", "::1");
    dns_add(dns, "race.test", "127.0.0.1");
    dns_add(dns, "other.test", "127.0.0.1");
    http = NULL;
    evcon = NULL;
    port = 0;
    accepted = 0;
    n_unanswered = 0;
    faults_watch("HTTP/1.1"); /* no request and no reply is ever seen in clear */
    connects_watch();
}

static void teardown(void)
{
    if (evcon)
        evhttp_connection_free(evcon);
    loop_drain(base, 50);
    ck_assert_uint_eq(connects_open(), 0);
    while (n_unanswered > 0)
        evhttp_send_reply(unanswered[--n_unanswered], 200, "OK", NULL);
    if (http)
        evhttp_free(http);
    dns_free_resolver(dns, 1);
    loop_drain(base, 50);
    dns_free(dns);
    evtls_context_free(client_ctx);
    evtls_context_free(server_ctx);
    pki_free(pki);
    event_base_free(base);
    ck_assert_uint_eq(faults_watch_count(), 0);
}

/* ---- The client --------------------------------------------------------------------------- */

static void on_handshake(struct bufferevent *bev, void *arg)
{
    (void)arg;
    seen.handshakes++;
    seen.reused += evtls_engine_get_session_reused(evtls_bufferevent_get_engine(bev)) ? 1 : 0;
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    (void)bev;
    (void)err;
    (void)arg;
    seen.errors++;
}

static void connect_with(struct evtls_context *ctx, struct evdns_base *resolver, const char *host)
{
    static const struct evtls_callbacks callbacks = {.handshake = on_handshake, .error = on_error};
    struct evtls_error err;

    evcon = evtls_evhttp_connection_new(base, resolver, ctx, host, port, &err);
    ck_assert_msg(evcon != NULL, "%s", err.message);
    evtls_bufferevent_setcb(evhttp_connection_get_bufferevent(evcon), &callbacks, NULL);
}

static void client_open(const char *host)
{
    connect_with(client_ctx, dns_resolver(dns), host);
}

static void on_done(struct evhttp_request *req, void *arg)
{
    const struct evtls_error *err = evtls_evhttp_connection_get_error(evcon);

    (void)arg;
    seen.done++;
    memset(&seen.error, 0, sizeof(seen.error));
    if (err)
        seen.error = *err;
    if (req && evhttp_request_get_response_code(req) == 200) {
        seen.good++;
        seen.body = evbuffer_get_length(evhttp_request_get_input_buffer(req));
    }
}

static struct evhttp_request *ask(const char *uri)
{
    struct evhttp_request *req = evhttp_request_new(on_done, NULL);

    evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "race.test");
    ck_assert_int_eq(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, uri), 0);
    return req;
}

static void wait_done(unsigned n)
{
    ck_assert(loop_until_count(base, &seen.done, n, 50000));
    ck_assert_uint_eq(seen.done, n);
}

static void expect_page(const char *uri)
{
    unsigned good = seen.good;

    ask(uri);
    wait_done(seen.done + 1);
    ck_assert_msg(seen.good == good + 1, "%s", seen.error.message);
    ck_assert_ptr_null(evtls_evhttp_connection_get_error(evcon));
}

/* One request, one callback, no page, and why. */
static void expect_failure(const char *uri, enum evtls_status status)
{
    ask(uri);
    wait_done(1);
    loop_turns(base, 30);
    ck_assert_uint_eq(seen.done, 1);
    ck_assert_uint_eq(seen.good, 0);
    ck_assert_uint_eq(seen.errors, 1);
    ck_assert_msg(seen.error.status == status, "%s", seen.error.message);
    ck_assert_uint_eq(connects_open(), 0);
}

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

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, client__says_what_is_wrong);
    tcase_add_test(tc, client__says_where_it_connects);
    tcase_add_test(tc, client__three_requests_on_one_connection);
    tcase_add_test(tc, client__three_requests_at_once);
    tcase_add_loop_test(tc, client__host_may_be_an_address, 0, N(literals));
    tcase_add_test(tc, client__system_resolver);
    tcase_add_test(tc, client__black_hole_first);
    tcase_add_test(tc, client__big_bodies);
    tcase_add_loop_test(tc, client__connects_again_and_resumes, 0, N(ends));
    tcase_add_test(tc, client__recovers_from_a_server_that_was_gone);
    tcase_add_test(tc, client__retries_as_evhttp_does);
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
}

static Suite *suite(void)
{
    Suite *s = suite_create("evhttp_client");
    TCase *tc = tcase_create("client");

    tcase_set_timeout(tc, 100);
    tcase_add_checked_fixture(tc, setup, teardown);
    add_tests(tc);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
