/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way down from TLS: what the program may do between the end of TLS and the callback that says
 * so, and that the callback comes once, whatever happens.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/suite.h"

#define N_RUNS (BEV_OVER_N * BEV_PAIR_N_OPTIONS)

static struct bev_pair pair;

/* What the unwrap callback of a side was given. */
static struct down {
    struct bufferevent *plain; /* NULL: not called */
    unsigned calls;
    size_t protected_bytes, length;
    struct evtls_error error;
} down[2];

static int reply_rc; /* of a write in the read callback */
static bool replies, closes;

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
    memset(down, 0, sizeof(down));
    reply_rc = 1;
    replies = closes = false;
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

static void on_down(struct bufferevent *plain, size_t bytes, const struct evtls_error *err,
                    void *arg)
{
    struct bev_side *side = arg;
    struct down *d = &down[side == &pair.server];

    d->calls++;
    d->plain = plain;
    d->protected_bytes = bytes;
    d->length = evbuffer_get_length(bufferevent_get_input(plain));
    if (err) {
        d->error = *err;
    } else if (plain != side->bev) {
        side->bev = plain; /* of a filter */
    }
}

static bool both_are_down(void *arg)
{
    (void)arg;
    return down[0].calls > 0 && down[1].calls > 0;
}

static bool server_is_down(void *arg)
{
    (void)arg;
    return down[1].calls > 0;
}

/* The client's last words and its close_notify leave in one go. */
static void say_last_and_unwrap(struct bufferevent *bev, void *arg)
{
    bufferevent_write(bev, "last words", 10);
    ck_assert_int_eq(evtls_bufferevent_unwrap(bev, on_down, arg), 0);
}

static void unwrap_too(struct bufferevent *bev, void *arg)
{
    ck_assert_int_eq(evtls_bufferevent_unwrap(bev, on_down, arg), 0);
}

static void on_server_read(struct bufferevent *bev, void *arg)
{
    static const struct timeval soon = {0, 100000};

    (void)arg;
    evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
    if (replies && reply_rc == 1) {
        reply_rc = bufferevent_write(bev, "a reply meant for TLS", 21);
    }
    if (closes) {
        pair.server.bev = NULL;
        closes = false;
        evtls_bufferevent_close(bev, &soon);
    }
}

static void open_run(int i)
{
    pair.over = (enum bev_over)(i / BEV_PAIR_N_OPTIONS);
    pair.keep_below = pair.over != BEV_OVER_SOCKETS;
    bev_pair_open(&pair, bev_pair_options[i % BEV_PAIR_N_OPTIONS]);
    bev_pair_connect(&pair);
}

/* The server unwraps first, and reads the client's last words with its close_notify. */
static void begin_down(void)
{
    static const struct evtls_callbacks answer = {.close_notify = say_last_and_unwrap};

    bufferevent_setcb(pair.server.bev, on_server_read, NULL, NULL, NULL);
    ck_assert_int_eq(evtls_bufferevent_setcb(pair.client.bev, &answer, &pair.client), 0);
    ck_assert_int_eq(evtls_bufferevent_unwrap(pair.server.bev, on_down, &pair.server), 0);
}

/*
 * Who answers what came under TLS believes that the answer goes under TLS. Once that is over, and
 * before the program has been told, nothing can be written.
 */
START_TEST(unwrap__no_answer_in_clear_before_the_callback)
{
    open_run(_i);
    replies = true;
    begin_down();
    ck_assert(loop_until(pair.base, both_are_down, NULL, 3000));
    ck_assert_int_eq(down[1].error.status, EVTLS_OK);
    ck_assert_int_eq(reply_rc, -1);
    ck_assert_int_eq(bufferevent_write(down[1].plain, "in clear", 8), 0);
}
END_TEST

/* What the program took out before the callback is not counted: what came later would be. */
START_TEST(unwrap__protected_bytes_are_those_in_the_input)
{
    open_run(_i);
    begin_down();
    ck_assert(loop_until(pair.base, both_are_down, NULL, 3000));
    ck_assert_uint_eq(down[1].protected_bytes, 0);
    ck_assert_uint_eq(down[1].length, 0);
    ck_assert_uint_eq(down[1].calls, 1);
}
END_TEST

static bool nothing_is_closing(void *base)
{
    return evtls_event_base_get_num_closing(base) == 0;
}

START_TEST(unwrap__close_before_the_callback_is_the_last_word)
{
    open_run(_i);
    closes = true;
    begin_down();
    for (int i = 0; i < 100 && pair.server.bev; i++) {
        event_base_loop(pair.base, EVLOOP_ONCE);
    }
    ck_assert_ptr_null(pair.server.bev);
    if (pair.client.bev != pair.client.below && pair.keep_below) {
        bufferevent_free(pair.client.below); /* the program's, though the filter uses it */
    }
    bev_side_free(&pair.client);
    ck_assert(loop_until(pair.base, nothing_is_closing, pair.base, 3000));
    ck_assert_uint_eq(down[1].calls, 0);
    if (pair.keep_below) {
        bufferevent_free(pair.server.below);
    }
}
END_TEST

/* The peer's close_notify came, then it went away: our own can't be sent any more. */
START_TEST(unwrap__failure_in_answer_to_the_peer_is_told)
{
    static const struct evtls_callbacks answer = {.close_notify = unwrap_too};

    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    bufferevent_write(pair.server.bev, "x", 1);
    bev_pair_expect(&pair, &pair.client, "x");
    bufferevent_disable(pair.server.bev, EV_READ);
    evtls_bufferevent_setcb(pair.server.bev, &answer, &pair.server);
    evtls_bufferevent_shutdown_write(pair.client.bev);
    for (int i = 0; i < 5; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
    bev_side_free(&pair.client);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    bufferevent_enable(pair.server.bev, EV_READ);
    ck_assert(loop_until(pair.base, server_is_down, NULL, 3000));
    ck_assert_int_eq(down[1].error.status, EVTLS_ERR_IO);
    ck_assert_int_eq(down[1].error.sys_errno, EPIPE);
    ck_assert_ptr_eq(down[1].plain, pair.server.bev);
}
END_TEST

static Suite *unwrap_suite(void)
{
    Suite *suite = suite_create("unwrap");
    TCase *tcase = tcase_create("unwrap");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, unwrap__no_answer_in_clear_before_the_callback, 0, N_RUNS);
    tcase_add_loop_test(tcase, unwrap__protected_bytes_are_those_in_the_input, 0, N_RUNS);
    tcase_add_loop_test(tcase, unwrap__close_before_the_callback_is_the_last_word, 0, N_RUNS);
    tcase_add_loop_test(tcase, unwrap__failure_in_answer_to_the_peer_is_told, 0,
                        BEV_PAIR_N_OPTIONS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN);
    return suite_run(unwrap_suite());
}
