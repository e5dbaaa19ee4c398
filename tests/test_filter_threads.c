/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters that another thread writes to, enables, disables, flushes, makes and frees while the loop
 * runs. The lock of what is below is taken before the filter's: a thread that comes the other way
 * round stands still here, or ThreadSanitizer tells.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/suite.h"

/*
 * libevent holds the lock of what it destroys, the filter's, while the last reference on what is
 * below goes. Nobody else can want the first one any more.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "deadlock:op_destruct\n";
}

#define N_ROUNDS 60
#define LINE "0123456789abcdef"
#define LINE_BYTES (sizeof(LINE) - 1)

static struct bev_pair pair;
static atomic_bool done;

/* Not a filter of libevent's: with threads those take their two locks in both orders. */
static const enum bev_over carriers[] = {
    BEV_OVER_BEV_SOCKETS,
    BEV_OVER_PAIR,
    BEV_OVER_TLS,
    BEV_OVER_TLS_FILTER,
};

#define N_CARRIERS (sizeof(carriers) / sizeof(carriers[0]))

static const int options[] = {
    BEV_OPT_THREADSAFE,
    BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS,
};

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
    done = false;
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

static void open_run(int i)
{
    pair.over = carriers[i / 2];
    bev_pair_open(&pair, options[i % 2]);
    bev_pair_connect(&pair);
}

static void pause_ms(long ms)
{
    struct timespec ts = {0, ms * 1000000};

    nanosleep(&ts, NULL);
}

static bool is_done(void *arg)
{
    (void)arg;
    return done;
}

/* Runs the body in a thread and the loop until it is through. */
static void run_beside_the_loop(void *(*body)(void *))
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, body, NULL), 0);
    ck_assert(loop_until(pair.base, is_done, NULL, 4000));
    pthread_join(thread, NULL);
}

/* ---- Calls --------------------------------------------------------------------------------- */

static void *use(void *arg)
{
    static const struct timeval minute = {60, 0};
    struct bufferevent *bev = pair.client.bev;

    for (int i = 0; i < N_ROUNDS; i++) {
        bufferevent_write(bev, LINE, LINE_BYTES);
        bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
        bufferevent_disable(bev, i % 2 ? EV_READ : EV_WRITE);
        bufferevent_set_timeouts(bev, i % 3 ? &minute : NULL, i % 3 ? &minute : NULL);
        bufferevent_enable(bev, EV_READ | EV_WRITE);
        bufferevent_getfd(bev);
        bufferevent_lock(bev);
        evtls_engine_get_version(evtls_bufferevent_get_engine(bev));
        bufferevent_unlock(bev);
        if (i % 10 == 0) {
            pause_ms(1);
        }
    }
    done = true;
    return arg;
}

static void echo(struct bufferevent *bev, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

START_TEST(threads__calls_while_the_loop_runs)
{
    open_run(_i);
    bufferevent_setcb(pair.server.bev, echo, NULL, NULL, NULL);
    run_beside_the_loop(use);
    bev_pair_wait_bytes(&pair, &pair.client, N_ROUNDS * LINE_BYTES);
}
END_TEST

/* ---- Life ---------------------------------------------------------------------------------- */

static void *free_client(void *arg)
{
    bufferevent_write(pair.client.bev, LINE, LINE_BYTES);
    pause_ms(2);
    bev_side_free(&pair.client);
    done = true;
    return arg;
}

START_TEST(threads__freed_while_data_comes)
{
    static const char data[100000];

    open_run(_i);
    bufferevent_write(pair.server.bev, data, sizeof(data));
    run_beside_the_loop(free_client);
    bev_pair_wait(&pair, &pair.server, "reof");
}
END_TEST

/* Shut down without waiting, which sends what can be sent at once. */
static void *shut_client(void *arg)
{
    static const struct timeval none = {0, 0};

    bufferevent_write(pair.client.bev, LINE, LINE_BYTES);
    ck_assert_int_eq(evtls_bufferevent_shutdown(pair.client.bev, &none), 0);
    done = true;
    return arg;
}

START_TEST(threads__shut_down_at_once)
{
    open_run(_i);
    run_beside_the_loop(shut_client);
    bev_pair_wait(&pair, &pair.client, "timeouterror");
    bev_side_free(&pair.client);
    bev_pair_wait(&pair, &pair.server, "eof");
}
END_TEST

/* Made in another thread over what the loop reads already. */
static void *make_clients(void *arg)
{
    struct bufferevent *below = arg;

    for (int i = 0; i < N_ROUNDS; i++) {
        struct bufferevent *bev = evtls_bufferevent_filter_new(below, pair.server.ctx, EVTLS_SERVER,
                                                               BEV_OPT_THREADSAFE, NULL);

        ck_assert_ptr_nonnull(bev);
        pause_ms(i % 2);
        bufferevent_free(bev);
        pause_ms(3); /* until the loop has given back what it took */
    }
    done = true;
    return NULL;
}

START_TEST(threads__made_beside_the_loop)
{
    struct bufferevent *halves[2];
    pthread_t thread;

    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
    ck_assert_int_eq(bufferevent_pair_new(pair.base, BEV_OPT_THREADSAFE, halves), 0);
    bufferevent_enable(halves[1], EV_READ | EV_WRITE);
    ck_assert_int_eq(pthread_create(&thread, NULL, make_clients, halves[0]), 0);
    ck_assert(loop_until(pair.base, is_done, NULL, 4000));
    pthread_join(thread, NULL);
    for (int i = 0; i < 5; i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
    bufferevent_free(halves[0]);
    bufferevent_free(halves[1]);
}
END_TEST

static Suite *threads_suite(void)
{
    Suite *suite = suite_create("filter_threads");
    TCase *tcase = tcase_create("threads");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, threads__calls_while_the_loop_runs, 0, 2 * N_CARRIERS);
    tcase_add_loop_test(tcase, threads__freed_while_data_comes, 0, 2 * N_CARRIERS);
    tcase_add_loop_test(tcase, threads__shut_down_at_once, 0, 2 * N_CARRIERS);
    tcase_add_test(tcase, threads__made_beside_the_loop);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN);
    return suite_run(threads_suite());
}
