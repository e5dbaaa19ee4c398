/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The n-th allocation fails, for every n of a handshake, a request, a reply and a close; on both
 * sides, since they share the process. Whatever happens: no crash, no leak (under a sanitizer), no
 * plaintext, no success that is none, and each bufferevent meets an end or can be freed.
 */
#include "config.h"

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
static unsigned connected[2]; /* CONNECTED told: client, server */

/* ---- Bufferevents ------------------------------------------------------------------------- */

static struct bufferevent *make(struct bev_side *side, enum evtls_role role)
{
    return evtls_bufferevent_socket_new(pair.base, side->fd, side->ctx, role, BEV_OPT_CLOSE_ON_FREE,
                                        NULL);
}

static void count_end(struct bufferevent *bev, short what, void *arg)
{
    struct bev_side *side = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        connected[side == &pair.server]++;
    /* After an end of file a failed write may still be told; nothing else may follow an end. */
    if (side->ended && !(what & BEV_EVENT_WRITING))
        side->n_write++;
    side->ended = side->ended || (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR));
}

/* One connection, as far as memory goes. */
static void converse(void)
{
    pair.client.bev = make(&pair.client, EVTLS_CLIENT);
    pair.server.bev = make(&pair.server, EVTLS_SERVER);
    if (!pair.client.bev || !pair.server.bev)
        return;
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                     NULL);
    bufferevent_setcb(pair.client.bev, NULL, NULL, count_end, &pair.client);
    bufferevent_setcb(pair.server.bev, NULL, NULL, count_end, &pair.server);
    bufferevent_enable(pair.client.bev, EV_READ | EV_WRITE);
    bufferevent_enable(pair.server.bev, EV_READ | EV_WRITE);
    bufferevent_write(pair.client.bev, MARK, sizeof(MARK));
    bufferevent_write(pair.server.bev, MARK, sizeof(MARK));
    evtls_bufferevent_shutdown_write(pair.client.bev);
    for (int i = 0; i < 12; i++)
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
}

static void check_side(struct bev_side *side, uint64_t n)
{
    char got[sizeof(MARK)] = "";
    size_t len;

    ck_assert_msg(side->n_write == 0, "allocation %llu: an event after the end",
                  (unsigned long long)n);
    ck_assert_uint_le(connected[side == &pair.server], 1);
    if (!side->bev)
        return;
    len = bufferevent_read(side->bev, got, sizeof(got));
    ck_assert_msg(memcmp(got, MARK, len) == 0, "allocation %llu: wrong bytes",
                  (unsigned long long)n);
    ck_assert_msg(len == 0 || connected[side == &pair.server], "allocation %llu: a false success",
                  (unsigned long long)n);
}

/* With memory again nothing stands still: one side ends, and when it is freed so does the other. */
static void check_ends(uint64_t n)
{
    struct bev_side *first, *second;

    if (!pair.client.bev || !pair.server.bev)
        return;
    loop_drain(pair.base, 100);
    ck_assert_msg(pair.client.ended || pair.server.ended, "allocation %llu: both are stuck",
                  (unsigned long long)n);
    first = pair.server.ended ? &pair.server : &pair.client;
    second = pair.server.ended ? &pair.client : &pair.server;
    check_side(first, n);
    bev_side_free(first);
    loop_drain(pair.base, 100);
    ck_assert_msg(second->ended, "allocation %llu: one is stuck", (unsigned long long)n);
}

static uint64_t run_bufferevents(enum alloc_mode mode, uint64_t n)
{
    struct alloc_result result;
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pair.client.fd = fds[0];
    pair.server.fd = fds[1];
    faults_watch(MARK);
    alloc_faults_begin(mode, n);
    converse();
    result = alloc_faults_end();
    ck_assert_msg(faults_watch_count() == 0, "allocation %llu: plaintext", (unsigned long long)n);
    check_ends(n);
    check_side(&pair.client, n);
    check_side(&pair.server, n);
    pair.client.ended = pair.server.ended = false;
    connected[0] = connected[1] = 0;
    if (!pair.client.bev)
        close(fds[0]);
    if (!pair.server.bev)
        close(fds[1]);
    bev_side_free(&pair.client);
    bev_side_free(&pair.server);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    faults_reset();
    return mode == ALLOC_COUNT ? result.seen : result.failed;
}

START_TEST(alloc__every_allocation_of_a_connection)
{
    uint64_t seen, n;

    memset(&pair, 0, sizeof(pair));
    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
    run_bufferevents(ALLOC_COUNT, 0);
    seen = run_bufferevents(ALLOC_COUNT, 0);
    ck_assert_uint_gt(seen, 500);
    for (n = 1; run_bufferevents(ALLOC_FAIL_AT, n) > 0; n++) {
    }
    ck_assert_uint_gt(n, 500);
    /* And it still works. */
    ck_assert_uint_gt(run_bufferevents(ALLOC_COUNT, 0), 500);
    bev_pair_close(&pair);
}
END_TEST

/* Memory stays away: nothing can go on, and nothing may break. */
START_TEST(alloc__none_from_the_nth_on)
{
    uint64_t n;

    memset(&pair, 0, sizeof(pair));
    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
    run_bufferevents(ALLOC_COUNT, 0);
    for (n = 1; run_bufferevents(ALLOC_FAIL_FROM, n) > 0; n += 3) {
    }
    ck_assert_uint_gt(n, 500);
    bev_pair_close(&pair);
}
END_TEST

/* ---- Engines ------------------------------------------------------------------------------ */

struct ends {
    struct evtls_engine *engine[2];
    struct evbuffer *buffer[2]; /* [0]: from client to server */
};

static void move(struct ends *ends, int i, ev_ssize_t *got)
{
    char data[sizeof(MARK)];
    ev_ssize_t n;

    evtls_engine_write(ends->engine[i], MARK, sizeof(MARK));
    n = evtls_engine_read(ends->engine[i], data, sizeof(data));
    if (n > 0)
        *got += n;
}

static uint64_t run_engines(enum alloc_mode mode, uint64_t n)
{
    struct ends ends = {{NULL, NULL}, {evbuffer_new(), evbuffer_new()}};
    ev_ssize_t got[2] = {0, 0};
    struct alloc_result result;

    alloc_faults_begin(mode, n);
    ends.engine[0] =
        evtls_engine_new(pair.client.ctx, EVTLS_CLIENT, ends.buffer[1], ends.buffer[0], NULL);
    ends.engine[1] =
        evtls_engine_new(pair.server.ctx, EVTLS_SERVER, ends.buffer[0], ends.buffer[1], NULL);
    if (ends.engine[0] && ends.engine[1]) {
        evtls_engine_set_server_hostname(ends.engine[0], "localhost", NULL);
        for (int i = 0; i < 8; i++)
            move(&ends, i & 1, &got[i & 1]);
        evtls_engine_shutdown(ends.engine[0]);
        evtls_engine_shutdown(ends.engine[1]);
    }
    result = alloc_faults_end();
    for (int i = 0; i < 2; i++) {
        const struct evtls_error *err = evtls_engine_get_error(ends.engine[i]);

        ck_assert_msg(!err || err->message[0], "allocation %llu: an error without a message",
                      (unsigned long long)n);
        if (got[i] > 0)
            ck_assert_int_eq(evtls_engine_is_handshake_done(ends.engine[i]), 1);
        evtls_engine_free(ends.engine[i]);
        evbuffer_free(ends.buffer[i]);
    }
    return mode == ALLOC_COUNT ? result.seen : result.failed;
}

START_TEST(alloc__every_allocation_of_two_engines)
{
    uint64_t n;

    memset(&pair, 0, sizeof(pair));
    bev_pair_make_contexts(&pair);
    run_engines(ALLOC_COUNT, 0);
    for (n = 1; run_engines(ALLOC_FAIL_AT, n) > 0; n++) {
    }
    ck_assert_uint_gt(n, 500);
    bev_pair_close(&pair);
}
END_TEST

static Suite *alloc_suite(void)
{
    Suite *suite = suite_create("faults_alloc");
    TCase *tcase = tcase_create("alloc");

    tcase_set_timeout(tcase, 200);
    tcase_add_test(tcase, alloc__every_allocation_of_a_connection);
    tcase_add_test(tcase, alloc__none_from_the_nth_on);
    tcase_add_test(tcase, alloc__every_allocation_of_two_engines);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(alloc_suite());
}
