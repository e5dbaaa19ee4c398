/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connecting by name where memory or descriptors run out: an error that is returned or told, never
 * a connection that waits for nothing, and nothing left behind.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/http.h>

#include "connect_world.h"
#include "support/alloc_faults.h"
#include "support/connects.h"
#include "support/loop.h"
#include "support/suite.h"

static void setup(void)
{
    world_open(0);
    ck_assert(world_serve("127.0.0.1"));
    world_hosts("127.0.0.2 race.test\n127.0.0.1 race.test\n");
}

static void teardown(void)
{
    world_close();
}

/* Lets things happen without waiting for any: what is refused is refused at once. */
static void turn(void)
{
    for (int i = 0; i < 20; i++)
        event_base_loop(world.base, EVLOOP_NONBLOCK);
}

static bool is_over(void *arg)
{
    (void)arg;
    return world.over;
}

/* ---- Memory ------------------------------------------------------------------------------- */

static uint64_t connect_once(enum alloc_mode mode, uint64_t n)
{
    struct alloc_result result;
    int rc;

    world_new_client(0);
    loop_drain(world.base, 50);
    connects_watch();
    alloc_faults_begin(mode, n);
    rc = evtls_bufferevent_connect_hostname(world.bev, dns_resolver(world.dns), AF_UNSPEC,
                                            "race.test", world.port);
    if (rc == 0)
        turn();
    result = alloc_faults_end();
    ck_assert(rc == 0 || rc == EVTLS_ERR_NOMEM);
    if (rc == 0)
        ck_assert_msg(loop_until(world.base, is_over, NULL, 20000), "allocation %llu: stuck",
                      (unsigned long long)n);
    ck_assert_uint_le(world.events, 1);
    ck_assert_uint_eq(connects_open(),
                      rc == 0 && !world.error.status ? 1 : bufferevent_getfd(world.bev) >= 0);
    bufferevent_free(world.bev);
    world.bev = NULL;
    loop_drain(world.base, 50);
    ck_assert_uint_eq(connects_open(), 0);
    return mode == ALLOC_COUNT ? result.seen : result.failed;
}

START_TEST(connect__every_allocation)
{
    unsigned fds;
    uint64_t n = 1;

    ck_assert_uint_gt(connect_once(ALLOC_COUNT, 0), 10);
    fds = fd_count();
    alloc_faults_select(ALLOC_PROGRAM | ALLOC_LIBEVENT);
    while (connect_once(ALLOC_FAIL_AT, n) > 0)
        n++;
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_le(fd_count(), fds);
}
END_TEST

static unsigned done;

static void on_done(struct evhttp_request *req, void *arg)
{
    (void)req;
    (void)arg;
    done++;
}

/* The server knows no HTTP: a request that reaches it waits. */
static bool failed_or_connected(void *arg)
{
    return done > 0 || world.accepted > *(unsigned *)arg;
}

/* Only what evtls asks for: evhttp itself does not look at all of its own. */
START_TEST(connect__every_allocation_of_an_evhttp_client)
{
    uint64_t failed = 1;

    alloc_faults_select(ALLOC_PROGRAM);
    for (uint64_t n = 1; failed > 0; n++) {
        struct evhttp_connection *evcon;
        struct evtls_error err;
        unsigned accepted = world.accepted;

        done = 0;
        alloc_faults_begin(ALLOC_FAIL_AT, n);
        evcon = evtls_evhttp_connection_new(world.base, dns_resolver(world.dns), world.client_ctx,
                                            "race.test", world.port, &err);
        if (evcon) {
            evhttp_make_request(evcon, evhttp_request_new(on_done, NULL), EVHTTP_REQ_GET, "/");
            turn();
        }
        failed = alloc_faults_end().failed;
        ck_assert(evcon || err.status == EVTLS_ERR_NOMEM);
        if (evcon) {
            ck_assert_msg(loop_until(world.base, failed_or_connected, &accepted, 20000),
                          "allocation %llu: stuck", (unsigned long long)n);
            ck_assert_uint_le(done, 1);
            evhttp_connection_free(evcon);
        }
        loop_drain(world.base, 50);
    }
}
END_TEST

/* ---- Descriptors -------------------------------------------------------------------------- */

/* B56. */
START_TEST(connect__no_descriptor)
{
    struct rlimit old, none;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 3; /* no number is free below it */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    world_connect(AF_UNSPEC, "race.test");
    world_wait();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_str_eq(world.log, "failed error");
    ck_assert_int_eq(world.error.status, EVTLS_ERR_IO);
    ck_assert_int_eq(world.error.sys_errno, EMFILE);
}
END_TEST

/* ---- libevent's own checks ---------------------------------------------------------------- */

/* Its debug mode follows every event from event_assign to the end. */
START_TEST(connect__debug_mode)
{
    event_enable_debug_mode();
    setup();
    for (int i = 0; i < 3; i++) {
        world_new_client(0);
        world_connect(AF_UNSPEC, i == 1 ? "nowhere.test" : "race.test");
        world_wait();
        ck_assert_str_eq(world.log, i == 1 ? "failed error" : "handshake connected");
    }
    teardown();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("faults_connect");
    TCase *debug = tcase_create("debug"), *tc = tcase_create("faults");

    tcase_add_test(debug, connect__debug_mode);
    suite_add_tcase(s, debug);
    tcase_set_timeout(tc, 200);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, connect__every_allocation);
    tcase_add_test(tc, connect__every_allocation_of_an_evhttp_client);
    tcase_add_test(tc, connect__no_descriptor);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(suite());
}
