/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Not one byte in plaintext: every order of calls that give a bufferevent a descriptor, connect it,
 * write to it and enable it, against a server that never speaks TLS and keeps what it gets.
 */
#include "config.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>

#include <evtls/bufferevent.h>
#include <evtls/evhttp.h>

#include "support/alloc_faults.h"
#include "support/bev_pair.h"
#include "support/faults.h"
#include "support/net.h"
#include "support/suite.h"

#define MARK "a secret that must never be seen on the wire"

static struct bev_pair pair;
static int listener;

/* ---- The calls ---------------------------------------------------------------------------- */

static int connected_fd(void)
{
    int fd = net_connect(net_port(listener));

    ck_assert_int_ge(fd, 0);
    return fd;
}

static void call_setfd(struct bufferevent *bev)
{
    evutil_socket_t old = bufferevent_getfd(bev);

    bufferevent_setfd(bev, connected_fd());
    if (old >= 0)
        close(old);
}

static void call_setfd_none(struct bufferevent *bev)
{
    evutil_socket_t old = bufferevent_getfd(bev);

    bufferevent_setfd(bev, -1);
    if (old >= 0)
        close(old);
}

static void call_connect(struct bufferevent *bev)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};

    sin.sin_port = htons(net_port(listener));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bufferevent_getfd(bev) < 0)
        bufferevent_socket_connect(bev, (struct sockaddr *)&sin, sizeof(sin));
}

static void call_connect_hostname(struct bufferevent *bev)
{
    if (bufferevent_getfd(bev) < 0)
        bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", net_port(listener));
}

static void call_write(struct bufferevent *bev)
{
    bufferevent_write(bev, MARK, sizeof(MARK));
}

static void call_enable_write(struct bufferevent *bev)
{
    bufferevent_enable(bev, EV_WRITE);
}

static void call_enable_read(struct bufferevent *bev)
{
    bufferevent_enable(bev, EV_READ);
}

static void call_disable_write(struct bufferevent *bev)
{
    bufferevent_disable(bev, EV_WRITE);
}

static void call_flush(struct bufferevent *bev)
{
    bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
}

static void call_finish(struct bufferevent *bev)
{
    bufferevent_flush(bev, EV_WRITE, BEV_FINISHED);
}

static void call_loop(struct bufferevent *bev)
{
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
}

static void call_shutdown(struct bufferevent *bev)
{
    evtls_bufferevent_shutdown(bev, NULL);
}

static void (*const calls[])(struct bufferevent *) = {
    call_setfd,       call_setfd_none,    call_connect, call_connect_hostname,
    call_write,       call_enable_write,  call_flush,   call_loop,
    call_enable_read, call_disable_write, call_finish,  call_shutdown,
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))
#define LENGTH 4

/* ---- The server, which only listens ------------------------------------------------------- */

/* Takes what came on every connection so far: only TLS records may be in it. */
static void look_at_connections(unsigned long row)
{
    unsigned char data[4096];
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

        ck_assert_msg(n <= 0 || data[0] == 22 || data[0] == 21,
                      "order %lu: the first byte is 0x%02x", row, data[0]);
        ck_assert_msg(n <= 0 || memmem(data, (size_t)n, MARK, sizeof(MARK) - 1) == NULL,
                      "order %lu: plaintext", row);
        close(fd);
    }
}

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
    listener = net_listen(AF_INET, 64);
    net_set_nonblocking(listener, true);
}

static void teardown(void)
{
    close(listener);
    bev_pair_close(&pair);
    faults_reset();
}

static void run_order(unsigned long row, enum evtls_role role, int options)
{
    struct evtls_context *ctx = role == EVTLS_CLIENT ? pair.client.ctx : pair.server.ctx;
    struct bufferevent *bev = evtls_bufferevent_socket_new(pair.base, -1, ctx, role, options, NULL);
    evutil_socket_t fd;

    ck_assert_ptr_nonnull(bev);
    if (role == EVTLS_CLIENT)
        evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), "localhost", NULL);
    call_write(bev);
    for (unsigned long rest = row, i = 0; i < LENGTH; i++, rest /= N_CALLS)
        calls[rest % N_CALLS](bev);
    call_loop(bev);
    call_enable_write(bev);
    call_loop(bev);
    fd = bufferevent_getfd(bev);
    bufferevent_free(bev);
    call_loop(NULL);
    if (fd >= 0)
        close(fd);
    look_at_connections(row);
}

START_TEST(plaintext__in_no_order_of_calls)
{
    unsigned long n = 1;

    for (int i = 0; i < LENGTH; i++)
        n *= N_CALLS;
    faults_watch(MARK);
    for (unsigned long row = 0; row < n; row++)
        run_order(row, _i & 1 ? EVTLS_SERVER : EVTLS_CLIENT, row % 2 ? BEV_OPT_DEFER_CALLBACKS : 0);
    ck_assert_uint_eq(faults_watch_count(), 0);
}
END_TEST

/* ---- evhttp, which falls back to plaintext where it gets no bufferevent -------------------- */

static void reply(struct evhttp_request *req, void *arg)
{
    evhttp_add_header(evhttp_request_get_output_headers(req), "X-Mark", MARK);
    evhttp_send_reply(req, 200, "OK", NULL);
    (void)arg;
}

/* nth: which allocation of the server fails, 0: none. Returns whether it was reached. */
static bool ask_in_plaintext(int port, uint64_t nth)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct alloc_result result;
    char answer[4096];
    ssize_t n = -1;
    int fd = net_connect((uint16_t)port);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, request, sizeof(request) - 1), (ssize_t)sizeof(request) - 1);
    alloc_faults_begin(nth ? ALLOC_FAIL_AT : ALLOC_COUNT, nth);
    for (int i = 0; i < 20 && n < 0; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
    }
    result = alloc_faults_end();
    ck_assert_msg(n <= 0 || answer[0] == 21, "an answer of %zd bytes, first 0x%02x", n,
                  n > 0 ? (unsigned char)answer[0] : 0);
    close(fd);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    return result.failed > 0;
}

START_TEST(plaintext__not_by_evhttp_without_a_context)
{
    struct evhttp *http = evhttp_new(pair.base);

    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, NULL), 0);
    evhttp_set_gencb(http, reply, NULL);
    ask_in_plaintext(evtls_evhttp_get_port(http), 0);
    evhttp_set_bevcb(http, evtls_evhttp_bevcb, NULL); /* a mistake */
    ask_in_plaintext(evtls_evhttp_get_port(http), 0);
    evhttp_set_bevcb(http, evtls_evhttp_bevcb, pair.client.ctx); /* another */
    ask_in_plaintext(evtls_evhttp_get_port(http), 0);
    evhttp_free(http);
}
END_TEST

START_TEST(plaintext__not_by_evhttp_without_memory)
{
    struct evhttp *http = evhttp_new(pair.base);
    uint64_t n;

    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, NULL), 0);
    evhttp_set_gencb(http, reply, NULL);
    /* evhttp itself aborts where some of its own allocations fail. */
    alloc_faults_select(ALLOC_PROGRAM | ALLOC_OPENSSL);
    ask_in_plaintext(evtls_evhttp_get_port(http), 0);
    for (n = 1; ask_in_plaintext(evtls_evhttp_get_port(http), n); n++) {
    }
    ck_assert_uint_gt(n, 1);
    alloc_faults_select(ALLOC_ALL);
    evhttp_free(http);
}
END_TEST

static Suite *plaintext_suite(void)
{
    Suite *suite = suite_create("plaintext");
    TCase *tcase = tcase_create("orders");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 200);
    tcase_add_loop_test(tcase, plaintext__in_no_order_of_calls, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("evhttp");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, plaintext__not_by_evhttp_without_a_context);
    tcase_add_test(tcase, plaintext__not_by_evhttp_without_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(plaintext_suite());
}
