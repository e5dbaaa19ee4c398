/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <event2/thread.h>

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

static size_t got(const struct bev_side *side)
{
    return evbuffer_get_length(side->got);
}

/* ---- Failures ----------------------------------------------------------------------------- */

START_TEST(bev__end_of_file_without_close_notify_is_truncated)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    shutdown(pair.client.fd, SHUT_WR);
    bev_pair_wait(&pair, &pair.server, "rerror");
    ck_assert_ptr_nonnull(strstr(pair.server.log, "failed rerror"));
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_TRUNCATED);
    ck_assert_int_eq(evtls_engine_get_error(evtls_bufferevent_get_engine(pair.server.bev))->status,
                     EVTLS_ERR_TRUNCATED);
}
END_TEST

START_TEST(bev__ragged_end_is_clean_only_when_asked_for)
{
    bev_pair_open(&pair, 0);
    evtls_engine_set_insecure_ragged_eof(evtls_bufferevent_get_engine(pair.server.bev), 1);
    bev_pair_connect(&pair);
    shutdown(pair.client.fd, SHUT_WR);
    bev_pair_wait(&pair, &pair.server, "reof");
    ck_assert_ptr_null(strstr(pair.server.log, "close_notify"));
}
END_TEST

/* Plays a peer that is no TLS: sends bytes to a server, returns what came back. */
static size_t answer_to(const char *bytes, size_t len, unsigned char *answer, size_t size)
{
    size_t total = 0;
    ssize_t n;
    int fd;

    bev_pair_open(&pair, 0);
    fd = pair.client.fd = dup(pair.client.fd);
    bev_side_free(&pair.client);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    while (!pair.server.ended && total < size) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        n = recv(fd, answer + total, size - total, MSG_DONTWAIT);
        total += n > 0 ? (size_t)n : 0;
        if (n == 0) {
            shutdown(fd, SHUT_WR);
        }
    }
    close(fd);
    return total;
}

START_TEST(bev__plain_http_gets_an_alert_and_a_named_error) /* B12 */
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    unsigned char answer[256];
    size_t n = answer_to(request, sizeof(request) - 1, answer, sizeof(answer));

    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(pair.server.error.message, "HTTP"));
    ck_assert(n == 0 || answer[0] == 21); /* an alert record, never plaintext */
}
END_TEST

/* Enabling EV_WRITE asks for a write callback, but only once there is a connection to write to. */
START_TEST(bev__failed_handshake_asks_for_no_bytes)
{
    static const char empty_hello[] = {22, 3, 1, 0, 4, 1, 0, 0, 0};
    unsigned char answer[256];

    ck_assert_uint_eq(answer_to(empty_hello, sizeof(empty_hello), answer, sizeof(answer)), 7);
    ck_assert_str_eq(pair.server.log, "failed rerror");
    ck_assert_uint_eq(pair.server.n_write, 0);
}
END_TEST

START_TEST(bev__random_bytes_get_a_named_error) /* B13 */
{
    char junk[1000];
    unsigned char answer[256];
    size_t n;

    for (size_t i = 0; i < sizeof(junk); i++) {
        junk[i] = (char)(i * 151 + 7);
    }
    n = answer_to(junk, sizeof(junk), answer, sizeof(answer));
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_PROTOCOL);
    ck_assert_uint_gt(strlen(pair.server.error.message), 10);
    ck_assert(n == 0 || answer[0] == 21);
}
END_TEST

START_TEST(bev__refused_certificate_delivers_the_alert) /* invariant 6, A12 */
{
    struct evtls_context *other = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);

    bev_pair_make_contexts(&pair);
    evtls_context_free(pair.client.ctx);
    pair.client.ctx = other; /* trusts nobody */
    bev_pair_open(&pair, bev_pair_options[_i]);
    bufferevent_write(pair.client.bev, "secret", 6);
    bev_pair_wait(&pair, &pair.client, "error");
    bev_side_free(&pair.client);
    bev_pair_wait(&pair, &pair.server, "error");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_CERTIFICATE);
    ck_assert_int_ne(pair.client.error.verify_code, 0);
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_ALERT);
    ck_assert_int_eq(pair.server.error.alert, EVTLS_ALERT_UNKNOWN_CA);
    ck_assert_uint_eq(got(&pair.server), 0);
}
END_TEST

START_TEST(bev__wrong_host_is_refused)
{
    bev_pair_open(&pair, 0);
    ck_assert_int_eq(evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev),
                                                      "other.test", NULL),
                     0);
    bev_pair_wait(&pair, &pair.client, "error");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_CERTIFICATE);
    ck_assert_int_eq(pair.client.error.verify_code, 62);
    ck_assert_ptr_nonnull(strstr(pair.client.error.message, "other.test"));
}
END_TEST

START_TEST(bev__refused_connect_keeps_its_errno) /* A18 */
{
    struct sockaddr_in sin = {.sin_family = AF_INET};

    bev_pair_open(&pair, 0);
    sin.sin_port = htons((unsigned short)net_dead_port());
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    close(pair.client.fd);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, -1), 0);
    ck_assert_int_eq(
        bufferevent_socket_connect(pair.client.bev, (struct sockaddr *)&sin, sizeof(sin)), 0);
    bev_pair_wait(&pair, &pair.client, "error");
    ck_assert_str_eq(pair.client.log, "failed error");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_IO);
    ck_assert_int_eq(pair.client.error.sys_errno, ECONNREFUSED);
}
END_TEST

/* ---- Deadlines ---------------------------------------------------------------------------- */

static void free_all_and_stop_clock(void)
{
    bev_pair_close(&pair);
    vclock_disable();
}

START_TEST(bev__silent_peer_meets_the_deadline) /* A15 */
{
    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, bev_pair_options[_i]);
    dup(pair.client.fd);
    bev_side_free(&pair.client);
    bev_pair_wait(&pair, &pair.server, "timeouterror");
    ck_assert_int_ge(vclock_elapsed_ms(), 29990);
    ck_assert_int_le(vclock_elapsed_ms(), 30100);
    ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_TIMEOUT);
    free_all_and_stop_clock();
}
END_TEST

START_TEST(bev__deadline_stands_while_both_directions_are_disabled)
{
    struct timeval second = {1, 0};

    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_make_contexts(&pair);
    evtls_context_set_handshake_timeout(pair.server.ctx, &second, NULL);
    bev_pair_open(&pair, 0);
    dup(pair.client.fd);
    bev_side_free(&pair.client);
    bufferevent_disable(pair.server.bev, EV_READ | EV_WRITE);
    loop_turns(pair.base, 20000);
    ck_assert_str_eq(pair.server.log, "");
    bufferevent_enable(pair.server.bev, EV_READ);
    bev_pair_wait(&pair, &pair.server, "timeouterror");
    ck_assert_int_ge(vclock_elapsed_ms(), 20990);
    ck_assert_int_le(vclock_elapsed_ms(), 21200);
    free_all_and_stop_clock();
}
END_TEST

/* A read bucket that is empty after one flight neither holds the handshake up nor makes it spin.
 */
START_TEST(bev__handshake_is_not_held_up_by_a_rate_limit)
{
    struct timeval tick = {10, 0};
    struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(100, 100, 1000000, 1000000, &tick);

    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, bev_pair_options[_i]);
    bufferevent_set_rate_limit(pair.client.bev, cfg);
    bufferevent_set_rate_limit(pair.server.bev, cfg);
    bev_pair_connect(&pair);
    ck_assert_int_le(vclock_elapsed_ms(), 5000);
    ck_assert_uint_le(loop_turns(pair.base, 5000), 2);
    free_all_and_stop_clock();
    ev_token_bucket_cfg_free(cfg);
}
END_TEST

START_TEST(bev__handshake_timeout_of_one_connection)
{
    struct timeval two = {2, 0}, none = {0, 0};

    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, 0);
    dup(pair.client.fd);
    bev_side_free(&pair.client);
    ck_assert_int_eq(evtls_bufferevent_set_handshake_timeout(pair.server.bev, &none),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_set_handshake_timeout(pair.server.bev, &two), 0);
    bev_pair_wait(&pair, &pair.server, "timeouterror");
    ck_assert_int_ge(vclock_elapsed_ms(), 1990);
    ck_assert_int_le(vclock_elapsed_ms(), 2100);
    free_all_and_stop_clock();
}
END_TEST

START_TEST(bev__idle_open_connection_is_quiet)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_write(pair.server.bev, "x", 1);
    bev_pair_expect(&pair, &pair.client, "x");
    ck_assert_uint_le(loop_turns(pair.base, 200), 2);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static Suite *bev_fail_suite(void)
{
    Suite *suite = suite_create("bev_fail");
    TCase *tcase = add_case(suite, "failures");

    tcase_add_loop_test(tcase, bev__end_of_file_without_close_notify_is_truncated, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__ragged_end_is_clean_only_when_asked_for);
    tcase_add_test(tcase, bev__plain_http_gets_an_alert_and_a_named_error);
    tcase_add_test(tcase, bev__failed_handshake_asks_for_no_bytes);
    tcase_add_test(tcase, bev__random_bytes_get_a_named_error);
    tcase_add_loop_test(tcase, bev__refused_certificate_delivers_the_alert, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__wrong_host_is_refused);
    tcase_add_test(tcase, bev__refused_connect_keeps_its_errno);
    tcase = add_case(suite, "deadlines");
    tcase_add_loop_test(tcase, bev__silent_peer_meets_the_deadline, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__deadline_stands_while_both_directions_are_disabled);
    tcase_add_loop_test(tcase, bev__handshake_is_not_held_up_by_a_rate_limit, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__handshake_timeout_of_one_connection);
    tcase_add_loop_test(tcase, bev__idle_open_connection_is_quiet, 0, BEV_PAIR_N_OPTIONS);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    return suite_run(bev_fail_suite());
}
