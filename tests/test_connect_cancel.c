/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connecting to a name, ended at every stage in every way: nothing is told, nothing is left.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect_world.h"
#include "support/bev_pair.h"
#include "support/connects.h"
#include "support/loop.h"
#include "support/suite.h"

static struct black_hole *second_hole;

static void open_with(int options)
{
    world_open(options);
    second_hole = NULL;
    ck_assert(world_black_hole("127.0.0.2"));
    second_hole = black_hole_new("127.0.0.3", world.port);
    dns_add(world.dns, "race.test", "127.0.0.2");
    dns_add(world.dns, "race.test", "127.0.0.3");
}

static void teardown(void)
{
    black_hole_free(second_hole);
    world_close();
}

/* ---- Stages ------------------------------------------------------------------------------- */

static bool has_words(void *arg)
{
    return connects_words() >= *(unsigned *)arg;
}

static void reach(unsigned words)
{
    ck_assert(loop_until(world.base, has_words, &words, 50000));
}

static void at_the_call(void)
{
    world_connect(AF_UNSPEC, "race.test");
}

static void in_the_lookup(void)
{
    dns_delay(world.dns, AF_INET, -1);
    dns_delay(world.dns, AF_INET6, -1);
    world_connect(AF_UNSPEC, "race.test");
    loop_turns(world.base, 20);
}

static void in_the_delay(void)
{
    dns_delay(world.dns, AF_INET6, -1);
    world_connect(AF_UNSPEC, "race.test");
    loop_turns(world.base, 20);
}

static void with_one_attempt(void)
{
    world_connect(AF_UNSPEC, "race.test");
    reach(1);
}

static void with_two_attempts(void)
{
    world_connect(AF_UNSPEC, "race.test");
    reach(2);
    ck_assert_uint_eq(connects_open(), 2);
}

/* An attempt while the other family is not answered. */
static void beside_the_lookup(void)
{
    dns_delay(world.dns, AF_INET6, -1);
    world_connect(AF_UNSPEC, "race.test");
    reach(1);
}

static void with_an_address(void)
{
    world_connect(AF_UNSPEC, "127.0.0.2");
}

/* ---- Ways --------------------------------------------------------------------------------- */

static void by_free(void)
{
    bufferevent_free(world.bev);
    world.bev = NULL;
}

static void by_close(void)
{
    evtls_bufferevent_close(world.bev, NULL);
    world.bev = NULL;
}

static void by_decref(void)
{
    bufferevent_decref(world.bev);
    world.bev = NULL;
}

static void by_setfd(void)
{
    bufferevent_setfd(world.bev, -1);
}

static void by_another_connect(void)
{
    bufferevent_setfd(world.bev, -1);
    dns_delay(world.dns, AF_INET, 0);
    dns_delay(world.dns, AF_INET6, 0);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(world.bev, dns_resolver(world.dns),
                                                        AF_UNSPEC, "race.test", world.port),
                     0);
    bufferevent_setfd(world.bev, -1);
}

static void by_end_of_dns_and_free(void)
{
    dns_free_resolver(world.dns, 1);
    by_free();
}

static void by_free_after_dns(void)
{
    dns_free_resolver(world.dns, 0);
    by_free();
}

static const struct {
    const char *name;
    void (*run)(void);
} stages[] = {
    {"at the call", at_the_call},
    {"in the lookup", in_the_lookup},
    {"in the delay", in_the_delay},
    {"with one attempt", with_one_attempt},
    {"with two attempts", with_two_attempts},
    {"beside the lookup", beside_the_lookup},
    {"with an address", with_an_address},
};

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"free", by_free},
    {"close", by_close},
    {"decref", by_decref},
    {"setfd", by_setfd},
    {"another connect", by_another_connect},
    {"evdns_base_free(1), free", by_end_of_dns_and_free},
    {"evdns_base_free(0), free", by_free_after_dns},
};

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const int options[] = {0, BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS |
                                     BEV_OPT_UNLOCK_CALLBACKS};

/* Each stage, way and set of options. */
START_TEST(cancel__leaves_nothing)
{
    int stage = _i % N(stages), way = _i / N(stages) % N(ways);

    open_with(options[_i / N(stages) / N(ways)]);
    stages[stage].run();
    ways[way].run();
    ck_assert_msg(connects_open() == 0, "%s, %s", stages[stage].name, ways[way].name);
    loop_turns(world.base, 60);
    ck_assert_msg(world.events == 0 && connects_open() == 0 && world.log[0] == '\0', "%s, %s: %s",
                  stages[stage].name, ways[way].name, world.log);
}
END_TEST

/* The base is freed behind it without another turn. */
START_TEST(cancel__base_is_freed_at_once)
{
    open_with(0);
    stages[_i].run();
    by_free();
    black_hole_free(second_hole);
    second_hole = NULL;
    world_close_at_once();
    ck_assert_uint_eq(connects_open(), 0);
}
END_TEST

START_TEST(cancel__shutdown_aborts)
{
    open_with(0);
    stages[_i].run();
    ck_assert_int_eq(evtls_bufferevent_shutdown(world.bev, NULL), 0);
    ck_assert_uint_eq(world.events, 0);
    world_wait();
    ck_assert_str_eq(world.log, "failed error");
    ck_assert_uint_eq(connects_open(), 0);
}
END_TEST

/* ---- A resolver that goes away ------------------------------------------------------------ */

START_TEST(cancel__dns_is_freed_and_says_so)
{
    open_with(0);
    in_the_lookup();
    dns_free_resolver(world.dns, 1);
    world_wait();
    ck_assert_str_eq(world.log, "failed error");
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    ck_assert_int_ne(world.error.resolve_code, 0);
}
END_TEST

START_TEST(cancel__dns_is_freed_in_silence)
{
    open_with(0);
    world_set_deadline(200);
    in_the_lookup();
    dns_free_resolver(world.dns, 0);
    world_wait();
    ck_assert_str_eq(world.log, "failed timeout");
    ck_assert_int_eq(world.error.status, EVTLS_ERR_TIMEOUT);
}
END_TEST

/* What is answered to nobody does not reach the next who asks. */
START_TEST(cancel__late_answers_find_no_one)
{
    open_with(0);
    dns_delay(world.dns, AF_INET, 100);
    dns_delay(world.dns, AF_INET6, 100);
    world_connect(AF_UNSPEC, "race.test");
    loop_turns(world.base, 20);
    bufferevent_setfd(world.bev, -1);
    world_connect(AF_UNSPEC, "nowhere.test");
    world_wait();
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    loop_turns(world.base, 150);
    ck_assert_uint_eq(connects_words(), 0);
    ck_assert_uint_eq(world.events, 1);
}
END_TEST

/* ---- Again -------------------------------------------------------------------------------- */

static unsigned tries;

static void try_again(struct bufferevent *bev, short what, void *arg)
{
    (void)what;
    (void)arg;
    tries++;
    if (tries < 3)
        ck_assert_int_eq(
            evtls_bufferevent_connect_hostname(bev, NULL, AF_UNSPEC, "127.0.0.1", world.port), 0);
}

START_TEST(cancel__another_try_in_the_error_callback)
{
    tries = 0;
    world_open(bev_pair_options[_i]);
    world_dead_port();
    bufferevent_setcb(world.bev, NULL, NULL, try_again, NULL);
    world_connect(AF_UNSPEC, "127.0.0.1");
    ck_assert(loop_until_count(world.base, &tries, 3, 50000));
    loop_turns(world.base, 20);
    ck_assert_uint_eq(tries, 3);
    ck_assert_uint_eq(connects_words(), 6);
}
END_TEST

static void free_it(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    (void)err;
    (void)arg;
    bufferevent_free(bev);
    world.bev = NULL;
}

START_TEST(cancel__free_in_the_error_callback)
{
    static const struct evtls_callbacks callbacks = {.error = free_it};

    world_open(bev_pair_options[_i]);
    world_dead_port();
    evtls_bufferevent_setcb(world.bev, &callbacks, NULL);
    world_connect(AF_UNSPEC, "127.0.0.1");
    loop_turns(world.base, 100);
    ck_assert_ptr_null(world.bev);
    ck_assert_uint_eq(world.events, 0);
}
END_TEST

/* ---- Other threads ------------------------------------------------------------------------ */

static void *free_later(void *arg)
{
    usleep((useconds_t)(*(int *)arg));
    bufferevent_free(world.bev);
    return NULL;
}

/* Frees at all moments of lookup and race, from another thread than the loop's. */
START_TEST(cancel__from_another_thread)
{
    pthread_t thread;

    open_with(BEV_OPT_THREADSAFE);
    for (int us = 0; us < 4000; us += 100) {
        world_connect(AF_UNSPEC, us % 200 ? "race.test" : "127.0.0.2");
        ck_assert_int_eq(pthread_create(&thread, NULL, free_later, &us), 0);
        loop_turns(world.base, 8);
        pthread_join(thread, NULL);
        loop_turns(world.base, 2);
        ck_assert_uint_eq(connects_open(), 0);
        ck_assert_uint_eq(world.events, 0);
        world.bev = NULL; /* freed */
        world_new_client(BEV_OPT_THREADSAFE);
    }
}
END_TEST

/* ---- Meanwhile ---------------------------------------------------------------------------- */

START_TEST(cancel__dump_shows_what_is_awaited)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    open_with(0);
    in_the_lookup();
    evtls_event_base_dump(world.base, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "fd=-1 client state=\"connecting\""));
    ck_assert_ptr_nonnull(strstr(text, "name=race.test"));
    free(text);
}
END_TEST

/* The program's write timeout runs, as it does while a socket of libevent's connects. */
START_TEST(cancel__write_timeout_runs)
{
    static const struct timeval limit = {0, 100000};

    open_with(0);
    bufferevent_set_timeouts(world.bev, NULL, &limit);
    with_one_attempt();
    world_wait();
    ck_assert_str_eq(world.log, "write-timeout");
}
END_TEST

/* Disabled both ways it connects, and the handshake waits. */
START_TEST(cancel__disabled_connects_but_says_nothing)
{
    world_open(0);
    ck_assert(world_serve("127.0.0.1"));
    bufferevent_disable(world.bev, EV_READ | EV_WRITE);
    world_connect(AF_UNSPEC, "127.0.0.1");
    ck_assert(loop_until_count(world.base, &world.accepted, 1, 50000));
    loop_turns(world.base, 50);
    ck_assert_uint_eq(world.events, 0);
    bufferevent_enable(world.bev, EV_READ | EV_WRITE);
    world_wait();
    ck_assert_str_eq(world.log, "handshake connected");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("connect_cancel");
    TCase *tc = tcase_create("cancel");

    tcase_set_timeout(tc, 100);
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_loop_test(tc, cancel__leaves_nothing, 0, N(stages) * N(ways) * N(options));
    tcase_add_loop_test(tc, cancel__base_is_freed_at_once, 0, N(stages));
    tcase_add_loop_test(tc, cancel__shutdown_aborts, 0, N(stages));
    tcase_add_test(tc, cancel__dns_is_freed_and_says_so);
    tcase_add_test(tc, cancel__dns_is_freed_in_silence);
    tcase_add_test(tc, cancel__late_answers_find_no_one);
    tcase_add_loop_test(tc, cancel__another_try_in_the_error_callback, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_loop_test(tc, cancel__free_in_the_error_callback, 0, BEV_PAIR_N_OPTIONS);
    tcase_add_test(tc, cancel__from_another_thread);
    tcase_add_test(tc, cancel__dump_shows_what_is_awaited);
    tcase_add_test(tc, cancel__write_timeout_runs);
    tcase_add_test(tc, cancel__disabled_connects_but_says_nothing);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
