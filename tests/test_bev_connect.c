/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The phase before there is a descriptor, with a connector that does nothing by itself.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bev_connect.h"
#include "error.h"
#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/suite.h"

static struct bev_pair pair;
static struct bufferevent *bev; /* the client's, without a descriptor */
static unsigned cancelled;

static void setup(void)
{
    cancelled = 0;
    memset(&pair, 0, sizeof(pair));
    bev_pair_open(&pair, 0);
    bev = pair.client.bev;
    pair.client.fd = dup(pair.client.fd);
    bufferevent_setfd(bev, -1);
    loop_drain(pair.base, 20);
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

static void on_cancel(void *connector)
{
    ck_assert_ptr_eq(connector, &cancelled);
    cancelled++;
}

static void on_describe(void *connector, struct evtls_error *err)
{
    (void)connector;
    evtls_error_set_errno(err, EVTLS_ERR_TIMEOUT, ETIMEDOUT, "connect to somewhere");
}

static const struct evtls_connector_ops ops = {on_cancel, on_describe};

static int begin(const char *host)
{
    return evtls_bev_connect_begin(bev, host, &ops, &cancelled);
}

static const char *get_name(void)
{
    return evtls_engine_get_server_hostname(evtls_bufferevent_get_engine(bev));
}

START_TEST(connect__done_goes_on_with_the_handshake)
{
    ck_assert_int_eq(begin("localhost"), 0);
    bufferevent_write(bev, "early", 5);
    ck_assert_uint_le(loop_turns(pair.base, 20), 2);
    ck_assert_str_eq(pair.client.log, "");
    ck_assert(evtls_bev_connect_enter(bev, &cancelled));
    evtls_bev_connect_done(bev, pair.client.fd);
    evtls_bev_connect_leave(bev);
    bev_pair_connect(&pair);
    bev_pair_expect(&pair, &pair.server, "early");
    ck_assert_uint_eq(cancelled, 0);
}
END_TEST

START_TEST(connect__failed_is_one_error)
{
    struct evtls_error err;

    evtls_error_set_errno(&err, EVTLS_ERR_IO, ECONNREFUSED, "connect to here");
    ck_assert_int_eq(begin("localhost"), 0);
    ck_assert(evtls_bev_connect_enter(bev, &cancelled));
    evtls_bev_connect_failed(bev, &err);
    evtls_bev_connect_leave(bev);
    bev_pair_wait(&pair, &pair.client, "error");
    ck_assert_str_eq(pair.client.log, "failed error");
    ck_assert_int_eq(pair.client.error.sys_errno, ECONNREFUSED);
    ck_assert_uint_eq(cancelled, 0);
    ck_assert_int_eq(begin("localhost"), 0); /* and again */
}
END_TEST

static void by_setfd(void)
{
    bufferevent_setfd(bev, -1);
}

static void by_free(void)
{
    bev_side_free(&pair.client);
}

static void by_close(void)
{
    evtls_bufferevent_close(bev, NULL);
    pair.client.bev = NULL;
}

static void by_decref(void)
{
    bufferevent_decref(bev);
    pair.client.bev = NULL;
}

static void by_shutdown(void)
{
    ck_assert_int_eq(evtls_bufferevent_shutdown(bev, NULL), 0);
}

static void (*const ways[])(void) = {by_setfd, by_free, by_close, by_decref, by_shutdown};

START_TEST(connect__whatever_ends_it_cancels)
{
    ck_assert_int_eq(begin("localhost"), 0);
    ways[_i]();
    ck_assert_uint_eq(cancelled, 1);
    loop_drain(pair.base, 20);
    ck_assert_str_eq(pair.client.log, ways[_i] == by_shutdown ? "failed error" : "");
    if (pair.client.bev)
        ck_assert(!evtls_bev_connect_enter(bev, &cancelled));
}
END_TEST

START_TEST(connect__the_deadline_runs_whatever_is_disabled)
{
    static const struct timeval limit = {0, 50000};

    bufferevent_disable(bev, EV_READ | EV_WRITE);
    evtls_bufferevent_set_handshake_timeout(bev, &limit);
    ck_assert_int_eq(begin("localhost"), 0);
    bev_pair_wait(&pair, &pair.client, "timeouterror");
    ck_assert_str_eq(pair.client.log, "failed timeouterror");
    ck_assert_int_eq(pair.client.error.status, EVTLS_ERR_TIMEOUT);
    ck_assert_str_eq(pair.client.error.message, "connect to somewhere: Connection timed out");
    ck_assert_uint_eq(cancelled, 1);
}
END_TEST

/* The clock goes on from there: it does not start again with the descriptor. */
START_TEST(connect__the_deadline_is_one_for_all)
{
    static const struct timeval limit = {0, 200000};
    int fds[2];

    net_pair(NET_TCP, 0, fds); /* nobody answers */
    evtls_bufferevent_set_handshake_timeout(bev, &limit);
    ck_assert_int_eq(begin("localhost"), 0);
    usleep(250000);
    ck_assert(evtls_bev_connect_enter(bev, &cancelled));
    evtls_bev_connect_done(bev, fds[0]);
    evtls_bev_connect_leave(bev);
    ck_assert_uint_le(loop_turns(pair.base, 50), 20);
    ck_assert_str_eq(pair.client.log, "failed timeouterror");
    close(fds[1]);
}
END_TEST

START_TEST(connect__the_name_follows_the_host)
{
    bev_side_free(&pair.client);
    pair.client.bev = bev =
        evtls_bufferevent_socket_new(pair.base, -1, pair.client.ctx, EVTLS_CLIENT, 0, NULL);
    ck_assert_int_eq(begin("A.test."), 0);
    ck_assert_str_eq(get_name(), "a.test");
    bufferevent_setfd(bev, -1);
    ck_assert_int_eq(begin("[::1]"), 0);
    ck_assert_str_eq(get_name(), "::1");
    bufferevent_setfd(bev, -1);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), "mine.test", NULL);
    ck_assert_int_eq(begin("b.test"), 0);
    ck_assert_str_eq(get_name(), "mine.test");
}
END_TEST

START_TEST(connect__only_without_a_descriptor)
{
    struct bufferevent *plain = bufferevent_socket_new(pair.base, -1, 0);

    ck_assert_int_eq(evtls_bev_connect_begin(plain, "a.test", &ops, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bev_connect_begin(NULL, "a.test", &ops, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bev_connect_begin(pair.server.bev, "a.test", &ops, NULL),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(begin("no such host"), EVTLS_ERR_USAGE);
    ck_assert_int_eq(begin("a.test"), 0);
    ck_assert_int_eq(begin("a.test"), EVTLS_ERR_USAGE);
    bufferevent_free(plain);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("bev_connect");
    TCase *tc = tcase_create("connect");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, connect__done_goes_on_with_the_handshake);
    tcase_add_test(tc, connect__failed_is_one_error);
    tcase_add_loop_test(tc, connect__whatever_ends_it_cancels, 0, sizeof(ways) / sizeof(ways[0]));
    tcase_add_test(tc, connect__the_deadline_runs_whatever_is_disabled);
    tcase_add_test(tc, connect__the_deadline_is_one_for_all);
    tcase_add_test(tc, connect__the_name_follows_the_host);
    tcase_add_test(tc, connect__only_without_a_descriptor);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
