/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a filter and of what is below: freed in every callback, also in one of the other
 * half's input of a pair, which runs inside our own writing; idle; given another descriptor; left
 * behind. All in libevent's debug mode.
 */
#include "config.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/suite.h"

#define N_RUNS (BEV_OVER_N * BEV_PAIR_N_OPTIONS)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct bev_pair pair;

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
}

static void teardown(void)
{
    bev_pair_close(&pair);
}

static void open_run(int i)
{
    pair.over = (enum bev_over)(i / BEV_PAIR_N_OPTIONS % BEV_OVER_N);
    bev_pair_open(&pair, bev_pair_options[i % BEV_PAIR_N_OPTIONS]);
}

static void turn(unsigned n)
{
    while (n-- > 0) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
    }
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

static const char *const free_words[] = {"handshake", "connected",    "read",
                                         "write",     "close_notify", "reof"};

static bool server_is_freed(void *arg)
{
    (void)arg;
    return pair.server.bev == NULL;
}

START_TEST(life__free_inside_each_callback)
{
    open_run(_i);
    pair.server.free_at = free_words[_i / N_RUNS];
    bufferevent_write(pair.client.bev, "data", 4);
    bufferevent_write(pair.server.bev, "data", 4);
    evtls_bufferevent_shutdown_write(pair.client.bev);
    ck_assert(loop_until(pair.base, server_is_freed, NULL, 10000));
    bev_pair_wait(&pair, &pair.client, "eof");
    ck_assert_ptr_null(strstr(pair.client.log, "failed"));
}
END_TEST

/* ---- The other half of a pair, with a server's engine on it --------------------------------- */

static struct peer {
    struct bufferevent *bev;
    struct evtls_engine *engine;
    struct evbuffer *in, *out;
    char got[64];
    size_t n_got;
    ev_ssize_t rc;                        /* of the last read */
    void (*meddle)(struct bufferevent *); /* done to the filter when its data comes */
} peer;

static void on_peer_read(struct bufferevent *bev, void *arg)
{
    evbuffer_add_buffer(peer.in, bufferevent_get_input(bev));
    while ((peer.rc = evtls_engine_read(peer.engine, peer.got + peer.n_got,
                                        sizeof(peer.got) - peer.n_got)) > 0) {
        peer.n_got += (size_t)peer.rc;
    }
    bufferevent_write_buffer(bev, peer.out);
    (void)arg;
}

/* A pair's read callbacks are deferred; those of its buffers run where bytes are moved. */
static void on_peer_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    void (*meddle)(struct bufferevent *) = peer.meddle;

    (void)input;
    (void)arg;
    if (meddle && info->n_added > 0 && evtls_engine_is_handshake_done(peer.engine)) {
        peer.meddle = NULL;
        meddle(pair.client.bev);
    }
}

static void free_it(struct bufferevent *bev)
{
    (void)bev;
    bev_side_free(&pair.client);
}

static void take_its_descriptor(struct bufferevent *bev)
{
    ck_assert_int_eq(bufferevent_setfd(bev, -1), 0);
}

static void write_and_flush_it(struct bufferevent *bev)
{
    bufferevent_write(bev, " and more", 9);
    bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
}

static void finish_it(struct bufferevent *bev)
{
    bufferevent_flush(bev, EV_WRITE, BEV_FINISHED);
}

static const struct {
    void (*meddle)(struct bufferevent *);
    const char *text;
    ev_ssize_t rc;
} meddlings[] = {
    {free_it, "secret", EVTLS_ERR_CLOSED},
    {take_its_descriptor, "secret", EVTLS_ERR_WANT_READ},
    {write_and_flush_it, "secret and more", EVTLS_ERR_WANT_READ},
    {finish_it, "secret", EVTLS_ERR_CLOSED},
};

START_TEST(life__other_half_meddles_inside_our_write)
{
    int options = bev_pair_options[_i % BEV_PAIR_N_OPTIONS], i = _i / BEV_PAIR_N_OPTIONS;
    struct bufferevent *halves[2];

    bev_pair_make_contexts(&pair);
    pair.base = event_base_new();
    ck_assert_int_eq(bufferevent_pair_new(pair.base, options & BEV_OPT_THREADSAFE, halves), 0);
    memset(&peer, 0, sizeof(peer));
    peer.bev = halves[1];
    peer.in = evbuffer_new();
    peer.out = evbuffer_new();
    peer.engine = evtls_engine_new(pair.server.ctx, EVTLS_SERVER, peer.in, peer.out, NULL);
    peer.meddle = meddlings[i].meddle;
    bufferevent_setcb(peer.bev, on_peer_read, NULL, NULL, NULL);
    evbuffer_add_cb(bufferevent_get_input(peer.bev), on_peer_input, NULL);
    bufferevent_enable(peer.bev, EV_READ | EV_WRITE);
    pair.client.bev = evtls_bufferevent_filter_new(halves[0], pair.client.ctx, EVTLS_CLIENT,
                                                   options | BEV_OPT_CLOSE_ON_FREE, NULL);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                     NULL);
    bev_pair_listen(&pair.client);
    bev_pair_wait(&pair, &pair.client, "connected");
    bufferevent_write(pair.client.bev, "secret", 6);
    turn(20);
    ck_assert_ptr_null(peer.meddle);
    ck_assert_uint_eq(peer.n_got, strlen(meddlings[i].text));
    ck_assert(memcmp(peer.got, meddlings[i].text, peer.n_got) == 0);
    ck_assert_int_eq(peer.rc, meddlings[i].rc);
    bev_side_free(&pair.client);
    turn(3);
    bufferevent_free(peer.bev);
    evtls_engine_free(peer.engine);
    evbuffer_free(peer.in);
    evbuffer_free(peer.out);
}
END_TEST

/* ---- Inside the handshake ------------------------------------------------------------------- */

static int free_and_read_below(struct evtls_engine *engine, const char *name,
                               struct evtls_context *initial, void *arg)
{
    (void)engine;
    (void)name;
    (void)initial;
    (void)arg;
    bev_side_free(&pair.server);
    evbuffer_drain(bufferevent_get_input(pair.server.below), SIZE_MAX);
    return 0;
}

/* What stands behind the ClientHello is the program's again, and TLS must not look at it. */
START_TEST(life__freed_in_the_sni_callback)
{
    struct evbuffer *hello = evbuffer_new(), *none = evbuffer_new();
    static const unsigned char record[4096] = {0x17, 3, 3, 0x0f, 0xfb};
    struct evtls_engine *client;
    struct bufferevent *halves[2];

    bev_pair_make_contexts(&pair);
    ck_assert_int_eq(
        evtls_context_set_sni_callback(pair.server.ctx, free_and_read_below, NULL, NULL), 0);
    client = evtls_engine_new(pair.client.ctx, EVTLS_CLIENT, none, hello, NULL);
    evtls_engine_set_server_hostname(client, "localhost", NULL);
    evtls_engine_handshake(client);
    evbuffer_add(hello, record, sizeof(record));
    pair.base = event_base_new();
    ck_assert_int_eq(
        bufferevent_pair_new(pair.base, bev_pair_options[_i] & BEV_OPT_THREADSAFE, halves), 0);
    pair.server.below = halves[0];
    pair.server.bev = evtls_bufferevent_filter_new(halves[0], pair.server.ctx, EVTLS_SERVER,
                                                   bev_pair_options[_i], NULL);
    bev_pair_listen(&pair.server);
    bufferevent_write_buffer(halves[1], hello);
    ck_assert(loop_until(pair.base, server_is_freed, NULL, 10000));
    turn(3);
    ck_assert_str_eq(pair.server.log, "");
    bufferevent_free(halves[0]);
    bufferevent_free(halves[1]);
    evtls_engine_free(client);
    evbuffer_free(hello);
    evbuffer_free(none);
}
END_TEST

/* ---- Nothing to do ------------------------------------------------------------------------- */

START_TEST(life__idle_is_quiet)
{
    open_run(_i);
    bev_pair_connect(&pair);
    bufferevent_write(pair.client.bev, "data", 4);
    bev_pair_expect(&pair, &pair.server, "data");
    loop_drain(pair.base, 100);
    ck_assert_uint_le(loop_turns(pair.base, 30), pair.over == BEV_OVER_RATE_LIMITED ? 10 : 0);
    /* The same with the end of one side known, and with reading off. */
    evtls_bufferevent_shutdown_write(pair.client.bev);
    bev_pair_wait(&pair, &pair.server, "reof");
    bufferevent_disable(pair.client.bev, EV_READ);
    bufferevent_write(pair.server.bev, "more", 4);
    loop_drain(pair.base, 100);
    ck_assert_uint_le(loop_turns(pair.base, 30), pair.over == BEV_OVER_RATE_LIMITED ? 10 : 0);
}
END_TEST

/* ---- What is below ------------------------------------------------------------------------- */

static bool client_has_all(void *arg)
{
    return evbuffer_get_length(pair.client.got) >= *(size_t *)arg;
}

/* A full socket, and a reader that does not read. */
static void block_server(size_t bytes)
{
    static const char zeros[1000000];
    int small = 4096;

    setsockopt(pair.server.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    bufferevent_disable(pair.client.bev, EV_READ);
    for (; bytes > 0; bytes -= sizeof(zeros)) {
        ck_assert_int_eq(bufferevent_write(pair.server.bev, zeros, sizeof(zeros)), 0);
    }
    turn(20);
}

/* The write timeout of what is below disables writing there; the filter's EV_WRITE is for both. */
START_TEST(life__write_timeout_below_is_told_and_writing_goes_on)
{
    static const struct timeval soon = {0, 50000};
    size_t all = 2000000;

    pair.over = BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    block_server(all);
    bufferevent_set_timeouts(pair.server.below, NULL, &soon);
    bev_pair_wait(&pair, &pair.server, "wtimeout");
    ck_assert_int_eq(bufferevent_get_enabled(pair.server.bev) & EV_WRITE, 0);
    bufferevent_set_timeouts(pair.server.below, NULL, NULL);
    bufferevent_enable(pair.client.bev, EV_READ);
    bufferevent_enable(pair.server.bev, EV_WRITE);
    ck_assert(loop_until(pair.base, client_has_all, &all, 3000));
}
END_TEST

/* Nothing of the old connection is sent on the new one, wherever below it stood. */
START_TEST(life__new_descriptor_below_a_filter_of_libevents)
{
    int fds[2], old[2];

    pair.over = BEV_OVER_LIBEVENT_FILTER;
    bev_pair_open(&pair, bev_pair_options[_i]);
    bev_pair_connect(&pair);
    block_server(2000000);
    old[0] = pair.client.fd;
    old[1] = pair.server.fd;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    ck_assert_int_eq(bufferevent_setfd(pair.client.bev, fds[0]), 0);
    ck_assert_int_eq(bufferevent_setfd(pair.server.bev, fds[1]), 0);
    bufferevent_enable(pair.client.bev, EV_READ);
    pair.client.log[0] = pair.server.log[0] = '\0';
    bev_pair_connect(&pair);
    close(old[0]);
    close(old[1]);
}
END_TEST

/* Freed when no loop runs any more, with output that nobody takes: what is below goes as well. */
START_TEST(life__left_to_a_base_that_is_freed)
{
    unsigned before;

    bev_pair_make_contexts(&pair);
    before = fd_count();
    pair.over = BEV_OVER_BEV_SOCKETS;
    bev_pair_open(&pair, BEV_OPT_THREADSAFE | bev_pair_options[_i]);
    bev_pair_connect(&pair);
    block_server(2000000);
    bev_side_free(&pair.server);
    bev_side_free(&pair.client);
    event_base_free(pair.base);
    pair.base = NULL;
    ck_assert_uint_eq(fd_count(), before);
}
END_TEST

static bool nothing_is_closing(void *base)
{
    return evtls_event_base_get_num_closing(base) == 0;
}

/* With a loop that goes on, every descriptor comes back. */
START_TEST(life__every_descriptor_comes_back)
{
    unsigned before;

    bev_pair_make_contexts(&pair);
    before = fd_count();
    open_run(_i);
    bev_pair_connect(&pair);
    bufferevent_write(pair.server.bev, "data", 4);
    bev_side_free(&pair.server);
    bev_pair_wait(&pair, &pair.client, "reof");
    bev_side_free(&pair.client);
    turn(3);
    ck_assert(loop_until(pair.base, nothing_is_closing, pair.base, 10000));
    turn(3);
    event_base_free(pair.base);
    pair.base = NULL;
    ck_assert_uint_eq(fd_count(), before);
}
END_TEST

static Suite *life_suite(void)
{
    Suite *suite = suite_create("filter_life");
    TCase *tcase = tcase_create("life");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, life__free_inside_each_callback, 0, COUNT(free_words) * N_RUNS);
    tcase_add_loop_test(tcase, life__other_half_meddles_inside_our_write, 0,
                        COUNT(meddlings) * BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, life__freed_in_the_sni_callback, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, life__idle_is_quiet, 0, N_RUNS);
    tcase_add_loop_test(tcase, life__write_timeout_below_is_told_and_writing_goes_on, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, life__new_descriptor_below_a_filter_of_libevents, 0,
                        BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, life__left_to_a_base_that_is_freed, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tcase, life__every_descriptor_comes_back, 0, N_RUNS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    event_enable_debug_mode();
    signal(SIGPIPE, SIG_IGN);
    return suite_run(life_suite());
}
