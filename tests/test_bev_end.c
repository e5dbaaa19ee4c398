/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/faults.h"
#include "support/loop.h"
#include "support/peer.h"
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

static void free_all_and_stop_clock(void)
{
    bev_pair_close(&pair);
    vclock_disable();
}

/* ---- Five ways to end --------------------------------------------------------------------- */

START_TEST(bev__free_sends_close_notify)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bev_side_free(&pair.client);
    bev_pair_wait(&pair, &pair.server, "eof");
    ck_assert_ptr_nonnull(strstr(pair.server.log, "close_notify reof"));
}
END_TEST

START_TEST(bev__close_sends_everything_first) /* O14 */
{
    static char data[2000000];

    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_write(pair.client.bev, data, sizeof(data));
    evtls_bufferevent_close(pair.client.bev, NULL);
    pair.client.bev = NULL;
    ck_assert_uint_eq(evtls_event_base_get_num_closing(pair.base), 1);
    bev_pair_wait_bytes(&pair, &pair.server, sizeof(data));
    bev_pair_wait(&pair, &pair.server, "eof");
    bev_side_free(&pair.server);
    while (evtls_event_base_get_num_closing(pair.base) > 0) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_str_eq(pair.client.log, "handshake connected");
}
END_TEST

/* libevent enables again only what the program has enabled: an ending must not wait for that. */
START_TEST(bev__close_is_not_stalled_by_a_rate_limit)
{
    static char data[60000];
    struct timeval linger = {60, 0}, tick = {1, 0};
    struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(5000, 5000, 5000, 5000, &tick);

    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_set_rate_limit(pair.client.bev, cfg);
    bufferevent_write(pair.client.bev, data, sizeof(data));
    loop_turns(pair.base, 1500); /* the bucket is empty */
    bufferevent_disable(pair.client.bev, EV_WRITE);
    evtls_bufferevent_close(pair.client.bev, &linger);
    pair.client.bev = NULL;
    bev_pair_wait(&pair, &pair.server, "reof");
    ck_assert_uint_eq(evbuffer_get_length(pair.server.got), sizeof(data));
    bev_side_free(&pair.server);
    while (evtls_event_base_get_num_closing(pair.base) > 0)
        event_base_loop(pair.base, EVLOOP_ONCE);
    free_all_and_stop_clock();
    ev_token_bucket_cfg_free(cfg);
}
END_TEST

START_TEST(bev__close_waits_no_longer_than_its_linger)
{
    static char data[4000000];
    struct timeval linger = {1, 0};
    int64_t before;

    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    bufferevent_disable(pair.server.bev, EV_READ);
    bufferevent_write(pair.client.bev, data, sizeof(data));
    before = vclock_elapsed_ms();
    evtls_bufferevent_close(pair.client.bev, &linger);
    pair.client.bev = NULL;
    while (evtls_event_base_get_num_closing(pair.base) > 0) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_int_ge(vclock_elapsed_ms() - before, 990);
    ck_assert_int_le(vclock_elapsed_ms() - before, 1200);
    ck_assert_str_eq(pair.client.log, "handshake connected");
    free_all_and_stop_clock();
}
END_TEST

START_TEST(bev__shutdown_ends_with_the_peers_close_notify)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_write(pair.client.bev, "last", 4);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.client.bev, NULL), 0);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.client.bev, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_ne(bufferevent_write(pair.client.bev, "no", 2), 0);
    bev_pair_wait(&pair, &pair.server, "eof");
    bev_pair_expect(&pair, &pair.server, "last");
    ck_assert_ptr_null(strstr(pair.client.log, "eof"));
    bufferevent_write(pair.server.bev, "answer", 6);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.server.bev), 0);
    bev_pair_wait(&pair, &pair.client, "eof");
    bev_pair_expect(&pair, &pair.client, "answer");
    ck_assert_ptr_nonnull(strstr(pair.client.log, "close_notify reof"));
}
END_TEST

START_TEST(bev__shutdown_of_a_silent_peer_times_out)
{
    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    bufferevent_disable(pair.server.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.client.bev, NULL), 0);
    bev_pair_wait(&pair, &pair.client, "timeouterror");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_TIMEOUT);
    ck_assert_int_ge(vclock_elapsed_ms(), 4990);
    free_all_and_stop_clock();
}
END_TEST

START_TEST(bev__shutdown_before_the_handshake_aborts)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.client.bev, NULL), 0);
    ck_assert_str_eq(pair.client.log, "");
    bev_pair_wait(&pair, &pair.client, "error");
    ck_assert_str_eq(pair.client.log, "failed error");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_PROTOCOL);
}
END_TEST

START_TEST(bev__half_close_leaves_the_other_direction_open)
{
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.client.bev), 0);
    bev_pair_wait(&pair, &pair.server, "reof");
    bufferevent_write(pair.server.bev, "still here", 10);
    bev_pair_expect(&pair, &pair.client, "still here");
    ck_assert_ptr_null(strstr(pair.client.log, "eof"));
    bev_side_free(&pair.server);
    bev_pair_wait(&pair, &pair.client, "reof");
}
END_TEST

struct unwrapped {
    int n;
    size_t protected_bytes;
    enum evtls_status status;
};

static void on_unwrapped(struct bufferevent *bev, size_t protected_bytes,
                         const struct evtls_error *err, void *arg)
{
    struct unwrapped *unwrapped = arg;

    unwrapped->n++;
    unwrapped->protected_bytes = protected_bytes;
    unwrapped->status = evtls_error_get_status(err);
    if (!err) {
        bufferevent_write(bev, "clear", 5);
    }
}

START_TEST(bev__unwrap_goes_on_in_plaintext)
{
    struct unwrapped client = {0}, server = {0};

    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_setcb(pair.server.bev, NULL, NULL, NULL, NULL);
    bufferevent_write(pair.client.bev, "protected", 9);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.client.bev, on_unwrapped, &client), 0);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.server.bev, on_unwrapped, &server), 0);
    ck_assert_int_eq(client.n + server.n, 0);
    while (client.n == 0 || server.n == 0) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_int_eq(client.status, EVTLS_OK);
    ck_assert_int_eq(server.status, EVTLS_OK);
    ck_assert_uint_eq(server.protected_bytes, 9);
    bev_pair_expect(&pair, &pair.client, "clear");
    while (evbuffer_get_length(bufferevent_get_input(pair.server.bev)) < 14) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_int_eq(
        memcmp(evbuffer_pullup(bufferevent_get_input(pair.server.bev), -1), "protectedclear", 14),
        0);
    shutdown(pair.server.fd, SHUT_WR);
    bev_pair_wait(&pair, &pair.client, "reof");
    ck_assert_int_eq(client.n, 1);
}
END_TEST

START_TEST(bev__unwrap_reports_truncation)
{
    struct unwrapped client = {0};

    bev_pair_open(&pair, 0);
    bev_pair_connect(&pair);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.client.bev, on_unwrapped, &client), 0);
    shutdown(pair.server.fd, SHUT_WR);
    while (client.n == 0) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_int_eq(client.status, EVTLS_ERR_TRUNCATED);
    ck_assert_ptr_null(strstr(pair.client.log, "error"));
}
END_TEST

/* Our close_notify cannot be sent after the peer's: nothing of the program's is lost by that. */
START_TEST(bev__end_of_file_is_the_last_event_where_nothing_is_owed)
{
    struct faults *faults;

    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    evtls_bufferevent_shutdown_write(pair.server.bev);
    bev_pair_wait(&pair, &pair.client, "eof");
    faults = faults_attach(pair.client.fd);
    faults_fail_from(faults, FAULTS_WRITE, 1, EPIPE);
    evtls_bufferevent_shutdown_write(pair.client.bev);
    loop_drain(pair.base, 50);
    ck_assert_uint_gt(faults_calls(faults, FAULTS_WRITE), 0);
    ck_assert_ptr_null(strstr(pair.client.log, "error"));
    bev_pair_close(&pair);
    faults_reset();
}
END_TEST

/* libevent starts the write timeout with the output: nothing may wait for it. */
START_TEST(bev__no_write_timeout_after_the_end)
{
    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, bev_pair_options[_i]);
    bufferevent_set_timeouts(pair.client.bev, NULL, &(struct timeval){1, 0});
    bev_side_free(&pair.server);
    bev_pair_wait(&pair, &pair.client, "error");
    bufferevent_enable(pair.client.bev, EV_WRITE);
    bufferevent_write(pair.client.bev, "late", 4);
    loop_turns(pair.base, 5000);
    ck_assert_ptr_null(strstr(pair.client.log, "timeout"));
    free_all_and_stop_clock();
}
END_TEST

/* It does not stall the ending either. */
START_TEST(bev__write_timeout_of_an_ending_comes_once)
{
    static char data[2000000];

    vclock_enable();
    vclock_set_grace_ms(0);
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_disable(pair.server.bev, EV_READ);
    bufferevent_set_timeouts(pair.client.bev, NULL, &(struct timeval){1, 0});
    bufferevent_write(pair.client.bev, data, sizeof(data));
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.client.bev), 0);
    bev_pair_wait(&pair, &pair.client, "timeout");
    pair.client.log[0] = '\0';
    ck_assert_uint_le(loop_turns(pair.base, 60000), 2);
    ck_assert_ptr_null(strstr(pair.client.log, "timeout"));
    bufferevent_enable(pair.server.bev, EV_READ);
    bev_pair_wait_bytes(&pair, &pair.server, sizeof(data));
    bev_pair_wait(&pair, &pair.server, "close_notify reof");
    free_all_and_stop_clock();
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

/* ---- A peer that goes on ------------------------------------------------------------------- */

static void carry(struct peer *peer, int fd)
{
    unsigned char bytes[4096];
    const unsigned char *out;
    size_t len;
    ssize_t n;

    out = peer_peek(peer, &len);
    if (len > 0) {
        ck_assert_int_eq(send(fd, out, len, MSG_NOSIGNAL), (ssize_t)len);
        peer_discard(peer);
    }
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        peer_feed(peer, bytes, (size_t)n);
}

/* B47, B49: its key updates ask for answers that can no longer be given. */
START_TEST(bev__key_update_behind_our_close_notify)
{
    struct peer *peer = peer_new(&(struct peer_options){.min_version = TLS1_3_VERSION});
    int fd;

    bev_pair_open(&pair, bev_pair_options[_i]);
    fd = dup(pair.client.fd); /* it has not said anything yet: the peer takes its place */
    bev_side_free(&pair.client);
    while (!peer_is_open(peer) || strstr(pair.server.log, "connected") == NULL) {
        ck_assert_int_eq(peer_step(peer), PEER_WANT_INPUT);
        carry(peer, fd);
    }
    ck_assert_int_eq(evtls_bufferevent_shutdown_write(pair.server.bev), 0);
    loop_turns(pair.base, 10);
    for (int i = 0; i < 3; i++) {
        peer_key_update(peer, true);
        peer_write(peer, "late", 4);
        carry(peer, fd);
        bev_pair_expect(&pair, &pair.server, "late");
    }
    peer_shutdown(peer);
    carry(peer, fd);
    bev_pair_wait(&pair, &pair.server, "reof");
    ck_assert_ptr_null(strstr(pair.server.log, "failed"));
    ck_assert_int_eq(peer_step(peer), PEER_CLOSED);
    ck_assert_uint_eq(peer_key_updates_received(peer), 0);
    peer_free(peer);
    close(fd);
}
END_TEST

static Suite *bev_end_suite(void)
{
    Suite *suite = suite_create("bev_end");
    TCase *tcase = add_case(suite, "ends");

    tcase_add_loop_test(tcase, bev__free_sends_close_notify, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__close_sends_everything_first, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__close_is_not_stalled_by_a_rate_limit, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__close_waits_no_longer_than_its_linger);
    tcase_add_loop_test(tcase, bev__shutdown_ends_with_the_peers_close_notify, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__shutdown_of_a_silent_peer_times_out);
    tcase_add_loop_test(tcase, bev__shutdown_before_the_handshake_aborts, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__half_close_leaves_the_other_direction_open, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__key_update_behind_our_close_notify, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__unwrap_goes_on_in_plaintext, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, bev__unwrap_reports_truncation);
    tcase_add_loop_test(tcase, bev__end_of_file_is_the_last_event_where_nothing_is_owed, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__no_write_timeout_after_the_end, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, bev__write_timeout_of_an_ending_comes_once, 0, BEV_PAIR_N_OPTIONS);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    return suite_run(bev_end_suite());
}
