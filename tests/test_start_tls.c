/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection that begins in plaintext, goes up to TLS, comes down and goes up again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/suite.h"

static struct bev_pair pair;

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

static void turn(unsigned n)
{
    while (n-- > 0) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
}

/* Both sides in plaintext. */
static void open_plain(int i)
{
    pair.plain = true;
    bev_pair_open(&pair, bev_pair_options[i]);
}

/* The server in plaintext, and the client's end of the socket in the test's hands. */
static int open_server(int i)
{
    open_plain(i);
    bufferevent_setfd(pair.client.bev, -1);
    bev_side_free(&pair.client);
    turn(2);
    evutil_make_socket_nonblocking(pair.client.fd);
    return pair.client.fd;
}

static void start_server(int flags)
{
    struct evtls_error err;
    int rc =
        evtls_bufferevent_start_tls(pair.server.bev, pair.server.ctx, EVTLS_SERVER, flags, &err);

    ck_assert_msg(rc == 0, "%s", err.message);
}

static void start_client(void)
{
    struct evtls_engine *engine = evtls_bufferevent_get_engine(pair.client.bev);

    ck_assert_int_eq(
        evtls_bufferevent_start_tls(pair.client.bev, pair.client.ctx, EVTLS_CLIENT, 0, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_server_hostname(engine, "localhost", NULL), 0);
}

static void go_up(void)
{
    pair.client.log[0] = pair.server.log[0] = '\0';
    start_server(0);
    start_client();
    bev_pair_connect(&pair);
    ck_assert_ptr_nonnull(strstr(pair.client.log, "handshake connected"));
}

static void exchange(void)
{
    bufferevent_write(pair.client.bev, "question", 8);
    bev_pair_expect(&pair, &pair.server, "question");
    bufferevent_write(pair.server.bev, "answer", 6);
    bev_pair_expect(&pair, &pair.client, "answer");
}

/* ---- Plaintext ------------------------------------------------------------------------------ */

START_TEST(plain__carries_as_it_is)
{
    char text[16];
    int fd = open_server(_i);

    ck_assert_ptr_nonnull(evtls_bufferevent_get_engine(pair.server.bev));
    ck_assert_ptr_null(evtls_engine_get_version(evtls_bufferevent_get_engine(pair.server.bev)));
    bufferevent_write(pair.server.bev, "hello", 5);
    turn(3);
    ck_assert_int_eq(recv(fd, text, sizeof(text), 0), 5);
    ck_assert(memcmp(text, "hello", 5) == 0);
    ck_assert_int_eq(send(fd, "QUIT", 4, 0), 4);
    bev_pair_expect(&pair, &pair.server, "QUIT");
    close(fd);
    bev_pair_wait(&pair, &pair.server, "reof");
}
END_TEST

START_TEST(plain__connects_and_says_so)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
    open_plain(_i);
    close(pair.client.fd);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, -1), 0);
    /* Nobody listens yet. */
    ck_assert_int_eq(
        bufferevent_socket_connect(pair.client.bev, (struct sockaddr *)&sin, sizeof(sin)), 0);
    bev_pair_wait(&pair, &pair.client, "error");
    ck_assert_ptr_null(strstr(pair.client.log, "connected"));
    ck_assert_int_eq(listen(listener, 1), 0);
    if (bufferevent_getfd(pair.client.bev) >= 0) {
        close(bufferevent_getfd(pair.client.bev));
    }
    pair.client.log[0] = '\0';
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, -1), 0);
    bufferevent_enable(pair.client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(
        bufferevent_socket_connect(pair.client.bev, (struct sockaddr *)&sin, sizeof(sin)), 0);
    bev_pair_wait(&pair, &pair.client, "connected");
    close(listener);
}
END_TEST

/* The five ways to end, without a close_notify. */
START_TEST(plain__close_and_shutdown_send_everything)
{
    static const char zeros[100000];
    struct bufferevent *bev;
    size_t total = 0;
    char buf[65536];
    ssize_t n;
    int fd = open_server(_i);

    bufferevent_write(pair.server.bev, zeros, sizeof(zeros));
    bufferevent_write(pair.server.bev, zeros, sizeof(zeros));
    bufferevent_write(pair.server.bev, zeros, sizeof(zeros));
    if (_i % 2) {
        bev = pair.server.bev;
        pair.server.bev = NULL;
        evtls_bufferevent_close(bev, NULL);
    } else {
        ck_assert_int_eq(evtls_bufferevent_shutdown(pair.server.bev, NULL), 0);
        ck_assert_int_ne(bufferevent_write(pair.server.bev, "x", 1), 0);
    }
    for (;;) {
        turn(2);
        n = recv(fd, buf, sizeof(buf), 0);
        if (n == 0) {
            break;
        }
        ck_assert(n > 0 || errno == EAGAIN);
        total += n > 0 ? (size_t)n : 0;
    }
    ck_assert_uint_eq(total, 3 * sizeof(zeros));
    close(fd);
    if (!(_i % 2)) {
        bev_pair_wait(&pair, &pair.server, "reof");
    }
}
END_TEST

/* ---- Up ------------------------------------------------------------------------------------- */

static void answer_and_start(struct bufferevent *bev, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(bev);

    (void)arg;
    if (evbuffer_get_length(input) < 9) {
        return;
    }
    evbuffer_drain(input, 9);
    bufferevent_write(bev, "220 go ahead\n", 13);
    start_server(0);
    bufferevent_write(bev, "secret", 6);
}

START_TEST(start__what_was_written_leaves_first_and_in_clear)
{
    char text[64];
    int fd = open_server(_i);

    bufferevent_setcb(pair.server.bev, answer_and_start, NULL, NULL, NULL);
    ck_assert_int_eq(send(fd, "STARTTLS\n", 9, 0), 9);
    turn(20);
    ck_assert_int_eq(recv(fd, text, sizeof(text), 0), 13);
    ck_assert(memcmp(text, "220 go ahead\n", 13) == 0);
    /* The rest waits for the handshake; a client of ours makes one. */
    pair.client.bev =
        evtls_bufferevent_socket_new(pair.base, fd, pair.client.ctx, EVTLS_CLIENT,
                                     BEV_OPT_CLOSE_ON_FREE | bev_pair_options[_i], NULL);
    bev_pair_listen(&pair.client);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                     NULL);
    bev_pair_expect(&pair, &pair.client, "secret");
    bev_pair_wait(&pair, &pair.server, "handshake");
}
END_TEST

/* An attacker's command behind the STARTTLS line, and one that the loop has not read yet. */
START_TEST(start__unread_input_refuses)
{
    struct evtls_error err;
    int fd = open_server(_i);

    evbuffer_free(pair.server.got);
    pair.server.got = NULL;
    ck_assert_int_eq(send(fd, "STARTTLS\nMAIL FROM", 18, 0), 18);
    bev_pair_wait(&pair, &pair.server, "read");
    evbuffer_drain(bufferevent_get_input(pair.server.bev), 9);
    ck_assert_int_eq(
        evtls_bufferevent_start_tls(pair.server.bev, pair.server.ctx, EVTLS_SERVER, 0, &err),
        EVTLS_ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(err.message, "9 bytes"));
    /* Nothing has changed: plaintext goes on. */
    bufferevent_write(pair.server.bev, "500 no\n", 7);
    turn(3);
    ck_assert_int_eq(recv(fd, err.message, sizeof(err.message), 0), 7);
    ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(pair.server.bev)), 9);
    evbuffer_drain(bufferevent_get_input(pair.server.bev), 9);
    start_server(0);
    ck_assert_int_eq(send(fd, "MAIL FROM", 9, 0), 9);
    bev_pair_wait(&pair, &pair.server, "failed");
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_PROTOCOL);
    close(fd);
}
END_TEST

/*
 * A PROXY line and the ClientHello in one segment; the client is an evtls one behind a relay. The
 * second time something is still owed in plaintext.
 */
START_TEST(start__input_may_be_ciphertext)
{
    unsigned char hello[4096];
    struct evbuffer *input;
    int option = _i % BEV_PAIR_N_OPTIONS, fd = open_server(option), relay[2];
    bool owes = _i >= BEV_PAIR_N_OPTIONS;
    ssize_t n;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, relay), 0);
    pair.client.bev =
        evtls_bufferevent_socket_new(pair.base, relay[0], pair.client.ctx, EVTLS_CLIENT,
                                     BEV_OPT_CLOSE_ON_FREE | bev_pair_options[option], NULL);
    bev_pair_listen(&pair.client);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                     NULL);
    turn(3);
    memcpy(hello, "PROXY x\n", 8);
    n = recv(relay[1], hello + 8, sizeof(hello) - 8, 0);
    ck_assert_int_gt(n, 100);
    evbuffer_free(pair.server.got);
    pair.server.got = NULL;
    ck_assert_int_eq(send(fd, hello, (size_t)n + 8, 0), n + 8);
    bev_pair_wait(&pair, &pair.server, "read");
    input = bufferevent_get_input(pair.server.bev);
    ck_assert_uint_eq(evbuffer_get_length(input), (size_t)n + 8);
    evbuffer_drain(input, 8);
    if (owes) {
        bufferevent_write(pair.server.bev, "ok", 2);
    }
    start_server(EVTLS_INPUT_IS_CIPHERTEXT);
    ck_assert_uint_eq(evbuffer_get_length(input), 0);
    if (owes) {
        turn(1);
        ck_assert_int_eq(recv(fd, hello, 2, 0), 2);
    }
    while (!strstr(pair.server.log, "connected") || !strstr(pair.client.log, "connected")) {
        turn(1);
        n = recv(fd, hello, sizeof(hello), 0);
        ck_assert(n <= 0 || send(relay[1], hello, (size_t)n, 0) == n);
        n = recv(relay[1], hello, sizeof(hello), 0);
        ck_assert(n <= 0 || send(fd, hello, (size_t)n, 0) == n);
    }
    close(fd);
    close(relay[1]);
}
END_TEST

START_TEST(start__then_all_is_as_with_tls_from_the_start)
{
    open_plain(_i);
    bufferevent_write(pair.client.bev, "EHLO", 4);
    bev_pair_expect(&pair, &pair.server, "EHLO");
    go_up();
    exchange();
    ck_assert_str_eq(evtls_engine_get_version(evtls_bufferevent_get_engine(pair.client.bev)),
                     "TLSv1.3");
    bev_side_free(&pair.server);
    bev_pair_wait(&pair, &pair.client, "close_notify reof");
}
END_TEST

START_TEST(start__refuses_with_nothing_changed)
{
    struct evtls_context *client_ctx;
    struct bufferevent *bev;
    struct evtls_error err;

    open_plain(0);
    client_ctx = pair.client.ctx;
    bev = pair.server.bev;
    ck_assert_int_eq(evtls_bufferevent_start_tls(NULL, client_ctx, EVTLS_CLIENT, 0, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_start_tls(bev, NULL, EVTLS_CLIENT, 0, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_start_tls(bev, client_ctx, EVTLS_CLIENT, 2, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_start_tls(bev, client_ctx, EVTLS_SERVER, 0, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_start_tls(bev, client_ctx, (enum evtls_role)7, 0, &err),
                     EVTLS_ERR_USAGE);
    exchange();
    go_up();
    ck_assert_int_eq(evtls_bufferevent_start_tls(bev, pair.server.ctx, EVTLS_SERVER, 0, &err),
                     EVTLS_ERR_USAGE);
    exchange();
}
END_TEST

/* A peer that does not read what is owed to it in plaintext. */
START_TEST(start__time_limit_counts_from_the_call)
{
    static const struct timeval soon = {0, 100000};
    static const char zeros[4000000];

    open_server(_i);
    ck_assert_int_eq(evtls_bufferevent_set_handshake_timeout(pair.server.bev, &soon), 0);
    bufferevent_write(pair.server.bev, zeros, sizeof(zeros));
    start_server(0);
    bev_pair_wait(&pair, &pair.server, "failed timeouterror");
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_TIMEOUT);
    close(pair.client.fd);
}
END_TEST

/* Found out when it happens, not when the time limit ends. */
START_TEST(start__peer_that_goes_before_the_plaintext_is_out_is_told)
{
    static const char zeros[4000000];
    int fd = open_server(_i);

    bufferevent_write(pair.server.bev, zeros, sizeof(zeros));
    start_server(0);
    turn(5);
    close(fd);
    bev_pair_wait(&pair, &pair.server, "failed werror");
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_IO);
}
END_TEST

START_TEST(start__a_new_descriptor_begins_with_tls)
{
    char text[64];
    int fds[2];

    open_plain(_i);
    go_up();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    close(pair.client.fd);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, fds[0]), 0);
    bufferevent_write(pair.client.bev, "secret", 6);
    turn(3);
    ck_assert_int_gt(recv(fds[1], text, sizeof(text), 0), 40);
    ck_assert_int_eq(text[0], 0x16);
    close(fds[1]);
}
END_TEST

/* ---- Down and up again ---------------------------------------------------------------------- */

static unsigned n_down;
static size_t protected_bytes[2];

static void on_down(struct bufferevent *plain, size_t bytes, const struct evtls_error *err,
                    void *arg)
{
    struct bev_side *side = arg;

    ck_assert_ptr_null(err);
    ck_assert_ptr_eq(plain, side->bev);
    protected_bytes[side == &pair.server] = bytes;
    n_down++;
}

static void unwrap_too(struct bufferevent *bev, void *arg)
{
    ck_assert_int_eq(evtls_bufferevent_unwrap(bev, on_down, arg), 0);
}

static bool both_are_down(void *arg)
{
    (void)arg;
    return n_down == 2;
}

static void go_down(void)
{
    static const struct evtls_callbacks answer = {.close_notify = unwrap_too};

    n_down = 0;
    ck_assert_int_eq(evtls_bufferevent_setcb(pair.server.bev, &answer, &pair.server), 0);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.client.bev, on_down, &pair.client), 0);
    ck_assert(loop_until(pair.base, both_are_down, NULL, 10000));
    ck_assert_ptr_null(strstr(pair.server.log, "eof"));
    ck_assert_ptr_null(strstr(pair.client.log, "eof"));
    bev_pair_listen(&pair.server);
}

START_TEST(start__up_down_and_up_again)
{
    open_plain(_i);
    for (int i = 0; i < 3; i++) {
        exchange();
        go_up();
        exchange();
        go_down();
    }
    exchange();
    bufferevent_write(pair.client.bev, "QUIT", 4);
    bev_pair_expect(&pair, &pair.server, "QUIT");
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.client.bev), 0);
    bev_pair_wait(&pair, &pair.server, "reof");
}
END_TEST

/* What the peer sends behind its close_notify, in the same segment, is told apart from TLS. */
START_TEST(start__nothing_is_lost_behind_a_close_notify)
{
    open_plain(_i);
    go_up();
    evbuffer_free(pair.server.got);
    pair.server.got = NULL; /* all stays in the input */
    bufferevent_disable(pair.server.bev, EV_READ);
    bufferevent_write(pair.client.bev, "under TLS", 9);
    n_down = 0;
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.client.bev, on_down, &pair.client), 0);
    turn(10);
    ck_assert_uint_eq(n_down, 0);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.server.bev, on_down, &pair.server), 0);
    turn(10);
    ck_assert_uint_eq(n_down, 1); /* the client has the server's close_notify and is down */
    bufferevent_write(pair.client.bev, "in clear", 8);
    turn(10);
    bufferevent_enable(pair.server.bev, EV_READ);
    ck_assert(loop_until(pair.base, both_are_down, NULL, 10000));
    ck_assert_uint_eq(protected_bytes[1], 9);
    turn(10);
    ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(pair.server.bev)), 17);
    ck_assert(memcmp(evbuffer_pullup(bufferevent_get_input(pair.server.bev), -1),
                     "under TLSin clear", 17) == 0);
}
END_TEST

static Suite *start_suite(void)
{
    Suite *suite = suite_create("start_tls");
    TCase *tcase = tcase_create("start_tls");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, plain__carries_as_it_is, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, plain__connects_and_says_so, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, plain__close_and_shutdown_send_everything, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__what_was_written_leaves_first_and_in_clear, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__unread_input_refuses, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__input_may_be_ciphertext, 0, 2 * BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__then_all_is_as_with_tls_from_the_start, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, start__refuses_with_nothing_changed);
    tcase_add_loop_test(tcase, start__time_limit_counts_from_the_call, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__peer_that_goes_before_the_plaintext_is_out_is_told, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__a_new_descriptor_begins_with_tls, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__up_down_and_up_again, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, start__nothing_is_lost_behind_a_close_notify, 0, BEV_PAIR_N_OPTIONS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    return suite_run(start_suite());
}
