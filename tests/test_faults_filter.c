/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The n-th allocation fails, for every n: of a filter's handshake, an exchange and its free, and of
 * a connection that goes up to TLS and comes down again. No crash, no leak (under a sanitizer),
 * nothing in clear but what was written in plaintext, and what is below is freed or given back.
 */
#include "config.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include <evtls/engine.h>

#include "support/alloc_faults.h"
#include "support/bev_pair.h"
#include "support/faults.h"
#include "support/loop.h"
#include "support/suite.h"

#define MARK "a secret that must never be seen on the wire"

static struct bev_pair pair;

static void set_up_world(void)
{
    memset(&pair, 0, sizeof(pair));
    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
}

static void turn(unsigned n)
{
    while (n-- > 0) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
}

static void name_client(void)
{
    if (pair.client.bev) {
        evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                         NULL);
    }
}

static void write_marks(void)
{
    bufferevent_write(pair.client.bev, MARK, sizeof(MARK));
    bufferevent_write(pair.server.bev, MARK, sizeof(MARK));
}

/* ---- Filters ------------------------------------------------------------------------------- */

static void make_filters(int options)
{
    pair.client.bev = evtls_bufferevent_filter_new(pair.client.below, pair.client.ctx, EVTLS_CLIENT,
                                                   options, NULL);
    pair.server.bev = evtls_bufferevent_filter_new(pair.server.below, pair.server.ctx, EVTLS_SERVER,
                                                   options, NULL);
    name_client();
}

/* libevent's first high watermark of a bufferevent crashes without memory: it has had one here. */
static void set_first_watermark(struct bufferevent *bev)
{
    bufferevent_setwatermark(bev, EV_READ, 0, 1);
    bufferevent_setwatermark(bev, EV_READ, 0, 0);
}

/* owned: what is below goes with the filters, else it is the test's. */
static uint64_t run_filters(enum alloc_mode mode, uint64_t n, bool owned)
{
    struct bufferevent *halves[2];
    struct alloc_result result;

    ck_assert_int_eq(bufferevent_pair_new(pair.base, 0, halves), 0);
    pair.client.below = halves[0];
    pair.server.below = halves[1];
    set_first_watermark(halves[0]);
    set_first_watermark(halves[1]);
    alloc_faults_begin(mode, n);
    make_filters(owned ? BEV_OPT_CLOSE_ON_FREE : 0);
    if (pair.client.bev && pair.server.bev) {
        bufferevent_enable(pair.client.bev, EV_READ);
        bufferevent_enable(pair.server.bev, EV_READ);
        write_marks();
        turn(12);
    }
    for (int i = 0; i < 2; i++) {
        struct bev_side *side = i ? &pair.server : &pair.client;
        bool made = side->bev != NULL;

        bev_side_free(side);
        if (made && owned) {
            side->below = NULL;
        }
    }
    turn(3);
    result = alloc_faults_end();
    turn(3);
    for (int i = 0; i < 2; i++) {
        struct bev_side *side = i ? &pair.server : &pair.client;
        bufferevent_event_cb eventcb;

        if (side->below) {
            bufferevent_getcb(side->below, NULL, NULL, &eventcb, NULL);
            ck_assert_msg(!eventcb, "allocation %llu: callbacks are not given back",
                          (unsigned long long)n);
            bufferevent_free(side->below);
        }
    }
    turn(3);
    return mode == ALLOC_COUNT ? result.seen : result.failed;
}

START_TEST(alloc__every_allocation_of_filters)
{
    uint64_t n;

    set_up_world();
    run_filters(ALLOC_COUNT, 0, false);
    ck_assert_uint_gt(run_filters(ALLOC_COUNT, 0, true), 500);
    for (n = 1; run_filters(ALLOC_FAIL_AT, n, n % 2) > 0; n++) {
    }
    ck_assert_uint_gt(n, 500);
    for (n = 1; run_filters(ALLOC_FAIL_FROM, n, n % 2) > 0; n += 19) {
    }
    ck_assert_uint_eq(evtls_event_base_get_num_closing(pair.base), 0);
    bev_pair_close(&pair);
}
END_TEST

/* ---- Up and down --------------------------------------------------------------------------- */

static unsigned n_down;
static bool silent; /* an error without a message was told */

static void on_down(struct bufferevent *plain, size_t bytes, const struct evtls_error *err,
                    void *arg)
{
    (void)plain;
    (void)bytes;
    (void)arg;
    silent = silent || (err && !err->message[0]); /* asserting takes memory */
    n_down++;
}

static void go_up_and_down(void)
{
    pair.client.bev =
        evtls_bufferevent_plaintext_new(pair.base, pair.client.fd, BEV_OPT_CLOSE_ON_FREE, NULL);
    pair.server.bev =
        evtls_bufferevent_plaintext_new(pair.base, pair.server.fd, BEV_OPT_CLOSE_ON_FREE, NULL);
    if (!pair.client.bev || !pair.server.bev) {
        return;
    }
    bufferevent_enable(pair.client.bev, EV_READ);
    bufferevent_enable(pair.server.bev, EV_READ);
    bufferevent_write(pair.server.bev, "220 go ahead\n", 13);
    if (evtls_bufferevent_start_tls(pair.server.bev, pair.server.ctx, EVTLS_SERVER, 0, NULL) != 0) {
        return;
    }
    turn(3);
    evbuffer_drain(bufferevent_get_input(pair.client.bev), 13);
    if (evtls_bufferevent_start_tls(pair.client.bev, pair.client.ctx, EVTLS_CLIENT, 0, NULL) != 0) {
        return;
    }
    name_client();
    write_marks();
    turn(10);
    n_down = 0;
    if (evtls_bufferevent_unwrap(pair.client.bev, on_down, NULL) == 0 &&
        evtls_bufferevent_unwrap(pair.server.bev, on_down, NULL) == 0) {
        turn(6);
    }
}

static uint64_t run_up_and_down(enum alloc_mode mode, uint64_t n)
{
    struct alloc_result result;
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pair.client.fd = fds[0];
    pair.server.fd = fds[1];
    faults_watch(MARK);
    alloc_faults_begin(mode, n);
    go_up_and_down();
    result = alloc_faults_end();
    ck_assert_msg(faults_watch_count() == 0, "allocation %llu: plaintext", (unsigned long long)n);
    ck_assert(n_down <= 2 && !silent);
    if (mode == ALLOC_COUNT) {
        ck_assert_uint_eq(n_down, 2);
    }
    if (!pair.client.bev) {
        close(fds[0]);
    }
    if (!pair.server.bev) {
        close(fds[1]);
    }
    bev_side_free(&pair.client);
    bev_side_free(&pair.server);
    turn(2);
    faults_reset();
    return mode == ALLOC_COUNT ? result.seen : result.failed;
}

START_TEST(alloc__every_allocation_up_and_down)
{
    uint64_t n;

    set_up_world();
    run_up_and_down(ALLOC_COUNT, 0);
    ck_assert_uint_gt(run_up_and_down(ALLOC_COUNT, 0), 500);
    for (n = 1; run_up_and_down(ALLOC_FAIL_AT, n) > 0; n++) {
    }
    ck_assert_uint_gt(n, 500);
    for (n = 1; run_up_and_down(ALLOC_FAIL_FROM, n) > 0; n += 19) {
    }
    bev_pair_close(&pair);
}
END_TEST

static Suite *alloc_suite(void)
{
    Suite *suite = suite_create("faults_filter");
    TCase *tcase = tcase_create("alloc");

    tcase_set_timeout(tcase, 200);
    tcase_add_test(tcase, alloc__every_allocation_of_filters);
    tcase_add_test(tcase, alloc__every_allocation_up_and_down);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    signal(SIGPIPE, SIG_IGN);
    return suite_run(alloc_suite());
}
