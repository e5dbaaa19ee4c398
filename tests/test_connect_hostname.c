/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connecting to names: addresses, order, times, errors, and the name that is verified.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "connect_world.h"
#include "support/connects.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/suite.h"

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* Far above every delay that is measured here, far below the deadline of 30 s. */
#define SOON_MS 15000

static void setup(void)
{
    world_open(0);
}

static void teardown(void)
{
    world_close();
}

static struct evtls_engine *engine(void)
{
    return evtls_bufferevent_get_engine(world.bev);
}

static void expect_connected(void)
{
    world_wait();
    ck_assert_msg(strcmp(world.log, "handshake connected") == 0, "%s: %s", world.log,
                  world.error.message);
    ck_assert_uint_eq(connects_open(), 1);
}

/* What the server was told: it completes its handshake after the client. */
static void expect_sni(const char *name)
{
    world_wait_for_server();
    ck_assert_str_eq(world.sni, name);
}

/* One failure, of the status and with the message, and no descriptor left. */
static void expect_failed(const char *log, enum evtls_status status, const char *message)
{
    world_wait();
    loop_turns(world.base, 20);
    ck_assert_str_eq(world.log, log);
    ck_assert_uint_eq(world.events, 1);
    ck_assert_int_eq(world.error.status, status);
    ck_assert_str_eq(world.error.message, message);
    ck_assert_str_eq(evtls_engine_get_error(engine())->message, message);
    ck_assert_int_eq(bufferevent_getfd(world.bev), -1);
    ck_assert_uint_eq(connects_open(), 0);
}

/* "connect to race.test ADDRESS:PORT" and what follows. */
static const char *message_of(const char *host, const char *address, const char *rest)
{
    static char text[512];

    snprintf(text, sizeof(text), "connect to %s%s:%u%s", host, address, (unsigned)world.port, rest);
    return text;
}

/* ---- Arguments ---------------------------------------------------------------------------- */

START_TEST(hostname__says_what_is_wrong)
{
    struct bufferevent *plain = bufferevent_socket_new(world.base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct bufferevent *bev = world.bev;

    ck_assert_int_eq(evtls_bufferevent_connect_hostname(NULL, NULL, AF_UNSPEC, "a.test", 1),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(plain, NULL, AF_UNSPEC, "127.0.0.1", 1),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(bev, NULL, AF_UNSPEC, NULL, 1),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(bev, NULL, AF_UNSPEC, "", 1),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(bev, NULL, AF_UNSPEC, "a.test", 0),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(bev, NULL, AF_UNSPEC, "a.test", 65536),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(bev, NULL, AF_UNIX, "a.test", 1),
                     EVTLS_ERR_USAGE);
    bufferevent_free(plain);
}
END_TEST

/* O6, FO-07, FO-08: what is a host name, and what is not. */
static const struct {
    const char *host;
    int rc;
} hosts[] = {
    {"www.xn--bcher-kva.example", 0},
    {"r2---sn-abc.example", 0},
    {"xn--mn8ha4uc.example", 0},
    {"foo_bar.example", 0},
    {"example.", 0},
    {"www.b\xc3\xbc"
     "cher.example",
     EVTLS_ERR_USAGE},
    {"*.example", EVTLS_ERR_USAGE},
    {"a..example", EVTLS_ERR_USAGE},
    {"a.example:443", EVTLS_ERR_USAGE},
    {"a b", EVTLS_ERR_USAGE},
    {"127.1", EVTLS_ERR_USAGE},
    {"127.0.0.1.", EVTLS_ERR_USAGE},
    {"127.0.0.1%lo", EVTLS_ERR_USAGE},
    {"[::1", EVTLS_ERR_USAGE},
    {"[127.0.0.1]", EVTLS_ERR_USAGE},
};

START_TEST(hostname__takes_names_only)
{
    ck_assert_msg(evtls_bufferevent_connect_hostname(world.bev, dns_resolver(world.dns), AF_UNSPEC,
                                                     hosts[_i].host, 443) == hosts[_i].rc,
                  "%s", hosts[_i].host);
    if (hosts[_i].rc != 0) {
        ck_assert_ptr_null(evtls_engine_get_server_hostname(engine()));
        ck_assert_uint_eq(dns_questions(world.dns), 0);
    }
}
END_TEST

START_TEST(hostname__only_without_a_descriptor)
{
    struct evdns_base *dns = dns_resolver(world.dns);

    ck_assert(world_serve("127.0.0.1"));
    world_connect(AF_UNSPEC, "127.0.0.1");
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(world.bev, dns, AF_UNSPEC, "127.0.0.1", 1),
                     EVTLS_ERR_USAGE);
    expect_connected();
    ck_assert_int_eq(evtls_bufferevent_connect_hostname(world.bev, dns, AF_UNSPEC, "127.0.0.1", 1),
                     EVTLS_ERR_USAGE);
}
END_TEST

/* ---- Addresses ---------------------------------------------------------------------------- */

/* O5, FO-08: addresses in any spelling; none is sent as a name. */
static const struct {
    const char *host, *server;
} literals[] = {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"},         {"[::1]", "::1"},
                {"0:0:0:0:0:0:0:1", "::1"}, {"::1%lo", "::1"},      {"[::1%25lo]", "::1"},
                {"[::1%lo]", "::1"},        {"::ffff:7f00:1", NULL}};

START_TEST(hostname__may_be_an_address)
{
    if (!literals[_i].server) { /* mapped: another address to the certificate */
        ck_assert(world_serve("127.0.0.1"));
        world_connect(AF_UNSPEC, literals[_i].host);
        world_wait();
        ck_assert_int_eq(world.error.status, EVTLS_ERR_CERTIFICATE);
        return;
    }
    if (!world_serve(literals[_i].server)) {
        test_skip("no IPv6");
        return;
    }
    world_connect(AF_UNSPEC, literals[_i].host);
    expect_connected();
    expect_sni("-");
    ck_assert_uint_eq(dns_questions(world.dns), 0);
}
END_TEST

START_TEST(hostname__address_that_is_refused)
{
    world_dead_port();
    world_connect(AF_UNSPEC, "127.0.0.1");
    expect_failed("failed error", EVTLS_ERR_IO,
                  message_of("", "127.0.0.1", ": Connection refused"));
    ck_assert_int_eq(world.error.sys_errno, ECONNREFUSED);
    ck_assert_int_eq(world.sys_errno, ECONNREFUSED); /* A18 */
}
END_TEST

START_TEST(hostname__address_with_a_zone_that_is_none)
{
    world.port = 1;
    world_connect(AF_UNSPEC, "[fe80::1%25nosuch0]");
    world_wait();
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    ck_assert_str_eq(world.error.message, "address of fe80::1%nosuch0: there is no such interface");
    ck_assert_uint_eq(connects_words(), 0);
}
END_TEST

START_TEST(hostname__address_of_another_family)
{
    world.port = 1;
    world_connect(AF_INET, "::1");
    world_wait();
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    ck_assert_int_ne(world.error.resolve_code, 0);
    ck_assert_ptr_nonnull(strstr(world.error.message, "::1"));
}
END_TEST

/* B59: a name with both addresses and a server at one of them. */
static const struct {
    const char *server, *connects;
    int family;
} one_of_both[] = {
    {"127.0.0.1", "::1 -::1 127.0.0.1", AF_UNSPEC},
    {"::1", "::1", AF_UNSPEC},
    {"127.0.0.1", "127.0.0.1", AF_INET},
    {"::1", "::1", AF_INET6},
};

START_TEST(hostname__server_at_one_of_both)
{
    if (!world_serve(one_of_both[_i].server)) {
        test_skip("no IPv6");
        return;
    }
    dns_add(world.dns, "race.test", "::1");
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_connect(one_of_both[_i].family, "race.test");
    expect_connected();
    ck_assert_str_eq(connects_log(), one_of_both[_i].connects);
    expect_sni("race.test");
    ck_assert_uint_eq(world.accepted, 1);
}
END_TEST

START_TEST(hostname__hosts_file_counts)
{
    ck_assert(world_serve("127.0.0.1"));
    world_hosts("::1 race.test\n127.0.0.1 race.test\n");
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    ck_assert_str_eq(connects_log(), "::1 -::1 127.0.0.1");
    ck_assert_uint_eq(dns_questions(world.dns), 0);
}
END_TEST

START_TEST(hostname__system_resolver)
{
    ck_assert(world_serve("127.0.0.1"));
    connects_watch();
    ck_assert_int_eq(
        evtls_bufferevent_connect_hostname(world.bev, NULL, AF_UNSPEC, "localhost", world.port), 0);
    ck_assert_uint_eq(world.events, 0);
    world_wait();
    expect_connected();
    expect_sni("localhost");
}
END_TEST

START_TEST(hostname__all_are_refused)
{
    world_dead_port();
    dns_add(world.dns, "race.test", "127.0.0.1");
    dns_add(world.dns, "race.test", "127.0.0.2");
    world_connect(AF_UNSPEC, "race.test");
    expect_failed(
        "failed error", EVTLS_ERR_IO,
        message_of("race.test ", "127.0.0.2", ", the last of 2 addresses: Connection refused"));
    ck_assert_int_eq(world.error.sys_errno, ECONNREFUSED);
    ck_assert_str_eq(connects_log(), "127.0.0.1 -127.0.0.1 127.0.0.2 -127.0.0.2");
}
END_TEST

/* Nineteen that refuse, and the server last; each is tried once and at once. */
START_TEST(hostname__twenty_addresses)
{
    char address[32];

    ck_assert(world_serve("127.0.0.1"));
    for (int i = 2; i <= 20; i++) {
        snprintf(address, sizeof(address), "127.0.0.%d", i);
        dns_add(world.dns, "race.test", address);
        if (i <= 5)
            dns_add(world.dns, "race.test", address);
    }
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    ck_assert_uint_eq(connects_words(), 19 * 2 + 1);
}
END_TEST

/* ---- Times -------------------------------------------------------------------------------- */

/* O16: an address that never answers costs a quarter of a second. With EVTLS_RACE_LOG=1 it is the
 * log of a race. */
START_TEST(hostname__black_hole_first)
{
    if (!world_black_hole("::1")) {
        test_skip("no IPv6");
        return;
    }
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "race.test", "::1");
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    ck_assert_str_eq(connects_log(), "::1 127.0.0.1 -::1");
    ck_assert_int_ge(connects_at(1) - connects_at(0), 200);
    ck_assert_int_le(connects_at(1), SOON_MS);
}
END_TEST

START_TEST(hostname__black_hole_alone)
{
    ck_assert(world_black_hole("127.0.0.1"));
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_set_deadline(400);
    world_connect(AF_UNSPEC, "race.test");
    expect_failed("failed timeout", EVTLS_ERR_TIMEOUT,
                  message_of("race.test ", "127.0.0.1", ": Connection timed out"));
    ck_assert_int_eq(world.error.sys_errno, ETIMEDOUT);
    ck_assert_int_ge(connects_now(), 350);
}
END_TEST

/* A failure does not wait for the address that never answers, and the other way round. */
START_TEST(hostname__refused_beside_a_black_hole)
{
    ck_assert(world_black_hole("127.0.0.2"));
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "race.test", "127.0.0.2");
    dns_add(world.dns, "race.test", "127.0.0.3");
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    ck_assert_str_eq(connects_log(), "127.0.0.2 127.0.0.3 -127.0.0.3 127.0.0.1 -127.0.0.2");
    ck_assert_int_ge(connects_at(1) - connects_at(0), 200);
}
END_TEST

/* The kernel takes a second to send its SYN again: by then the loser's place is free. */
START_TEST(hostname__losers_are_told_nothing)
{
    ck_assert(world_serve("127.0.0.2"));
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "race.test", "127.0.0.2");
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    loop_turns(world.base, 400);
    ck_assert_str_eq(connects_log(), "127.0.0.2"); /* no second one once it has won */
    ck_assert_uint_eq(world.accepted, 1);
}
END_TEST

/* A before AAAA: it waits a little, and no longer. */
static const struct {
    const char *name;
    int delay_ipv6, delay_ipv4;
    const char *connects;
    int at_least_ms;
} arrivals[] = {
    {"AAAA first", 0, 200, "::1", 0},
    {"A first, AAAA in time", 25, 0, "::1", 20},
    {"A first, AAAA late", 600, 0, "127.0.0.1", 40},
    {"A first, AAAA never", -1, 0, "127.0.0.1", 40},
    {"AAAA alone, A never", 0, -1, "::1", 0},
};

START_TEST(hostname__answers_in_any_order)
{
    if (!world_serve("::1")) {
        test_skip("no IPv6");
        return;
    }
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "race.test", "::1");
    dns_add(world.dns, "race.test", "127.0.0.1");
    dns_delay(world.dns, AF_INET6, arrivals[_i].delay_ipv6);
    dns_delay(world.dns, AF_INET, arrivals[_i].delay_ipv4);
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    ck_assert_uint_eq(dns_questions(world.dns), 2);
    if (arrivals[_i].delay_ipv6 == 25 && connects_at(0) > 45) {
        test_skip("too slow for an answer in time");
        return;
    }
    ck_assert_str_eq(connects_log(), arrivals[_i].connects);
    ck_assert_int_ge(connects_at(0), arrivals[_i].at_least_ms);
}
END_TEST

/* No delay where AAAA is known to be empty; and addresses that come late still have their turn. */
START_TEST(hostname__addresses_come_late)
{
    ck_assert(world_serve("127.0.0.1"));
    ck_assert(world_black_hole("127.0.0.2") || true);
    dns_add(world.dns, "race.test", "::1");
    dns_add(world.dns, "race.test", "127.0.0.1");
    dns_delay(world.dns, AF_INET, 300);
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    ck_assert_str_eq(connects_log(), "::1 -::1 127.0.0.1");
    ck_assert_int_ge(connects_at(2), 250);
    ck_assert_int_le(connects_at(0), SOON_MS);
}
END_TEST

/* ---- Failures ----------------------------------------------------------------------------- */

START_TEST(hostname__no_such_name)
{
    world.port = 1;
    world_connect(AF_UNSPEC, "nowhere.test");
    world_wait();
    ck_assert_str_eq(world.log, "failed error");
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    ck_assert_int_eq(world.error.resolve_code, EVUTIL_EAI_NONAME);
    ck_assert_ptr_nonnull(strstr(world.error.message, "address of nowhere.test: "));
    ck_assert_uint_eq(connects_words(), 0);
}
END_TEST

START_TEST(hostname__no_such_name_for_the_system)
{
    ck_assert_int_eq(
        evtls_bufferevent_connect_hostname(world.bev, NULL, AF_UNSPEC, "no.such.host.invalid", 1),
        0);
    ck_assert_uint_eq(world.events, 0);
    world_wait();
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    ck_assert_int_ne(world.error.resolve_code, 0);
    ck_assert_ptr_nonnull(strstr(world.error.message, "no.such.host.invalid"));
}
END_TEST

START_TEST(hostname__name_server_is_silent)
{
    dns_delay(world.dns, AF_INET, -1);
    dns_delay(world.dns, AF_INET6, -1);
    world.port = 1;
    world_set_deadline(200);
    world_connect(AF_UNSPEC, "race.test");
    expect_failed("failed timeout", EVTLS_ERR_TIMEOUT,
                  "address of race.test: Connection timed out");
    ck_assert_int_eq(world.error.sys_errno, ETIMEDOUT);
}
END_TEST

/* evdns' own limit is shorter than ours. */
START_TEST(hostname__lookup_fails_by_time)
{
    evdns_base_set_option(dns_resolver(world.dns), "timeout:", "0.1");
    evdns_base_set_option(dns_resolver(world.dns), "attempts:", "1");
    dns_delay(world.dns, AF_INET, -1);
    dns_delay(world.dns, AF_INET6, -1);
    world.port = 1;
    world_connect(AF_UNSPEC, "race.test");
    world_wait();
    ck_assert_int_eq(world.error.status, EVTLS_ERR_RESOLVE);
    ck_assert_int_ne(world.error.resolve_code, 0);
    ck_assert_ptr_nonnull(strstr(world.error.message, "race.test"));
}
END_TEST

/* ---- The name to verify ------------------------------------------------------------------- */

START_TEST(hostname__is_the_name_to_verify)
{
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "other.test", "127.0.0.1");
    world_connect(AF_UNSPEC, "Other.test.");
    world_wait();
    ck_assert_str_eq(world.log, "failed reading-error");
    ck_assert_int_eq(world.error.status, EVTLS_ERR_CERTIFICATE);
    ck_assert_ptr_nonnull(strstr(world.error.message, "other.test"));
}
END_TEST

START_TEST(hostname__leaves_the_name_of_the_program)
{
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "other.test", "127.0.0.1");
    ck_assert_int_eq(evtls_engine_set_server_hostname(engine(), "race.test", NULL), 0);
    world_connect(AF_UNSPEC, "other.test");
    expect_connected();
    expect_sni("race.test");
}
END_TEST

/* After another host on the same bufferevent, whose session is not offered to this one. */
START_TEST(hostname__follows_the_host)
{
    ck_assert(world_serve("127.0.0.1"));
    dns_add(world.dns, "race.test", "127.0.0.1");
    world_connect(AF_UNSPEC, "race.test");
    expect_connected();
    loop_turns(world.base, 20); /* tickets */
    for (int again = 0; again < 2; again++) {
        evutil_closesocket(bufferevent_getfd(world.bev));
        bufferevent_setfd(world.bev, -1);
        world_clear();
        world_connect(AF_UNSPEC, again == 0 ? "race.test" : "127.0.0.1");
        expect_connected();
        ck_assert_int_eq(evtls_engine_get_session_reused(engine()), again == 0);
        expect_sni(again == 0 ? "race.test" : "-");
        loop_turns(world.base, 20);
    }
}
END_TEST

/* Who connects may be the server. */
static struct bufferevent *reversed;

static void become_client(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    (void)arg;
    reversed =
        evtls_bufferevent_socket_new(world.base, accept(listener, NULL, NULL), world.client_ctx,
                                     EVTLS_CLIENT, BEV_OPT_CLOSE_ON_FREE, NULL);
    ck_assert_ptr_nonnull(reversed);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(reversed), "race.test", NULL);
}

START_TEST(hostname__roles_may_be_reversed)
{
    int listener = listen_at("127.0.0.1", 0);
    struct event *event = event_new(world.base, listener, EV_READ, become_client, NULL);

    event_add(event, NULL);
    world.port = net_port(listener);
    world_new_client_as(EVTLS_SERVER, world.server_ctx);
    world_connect(AF_UNSPEC, "127.0.0.1");
    expect_connected();
    ck_assert_ptr_null(evtls_engine_get_server_hostname(engine()));
    bufferevent_free(reversed);
    event_free(event);
    evutil_closesocket(listener);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("connect_hostname");
    TCase *tc = tcase_create("hostname");

    tcase_set_timeout(tc, 100);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, hostname__says_what_is_wrong);
    tcase_add_loop_test(tc, hostname__takes_names_only, 0, N(hosts));
    tcase_add_test(tc, hostname__only_without_a_descriptor);
    tcase_add_loop_test(tc, hostname__may_be_an_address, 0, N(literals));
    tcase_add_test(tc, hostname__address_that_is_refused);
    tcase_add_test(tc, hostname__address_with_a_zone_that_is_none);
    tcase_add_test(tc, hostname__address_of_another_family);
    tcase_add_loop_test(tc, hostname__server_at_one_of_both, 0, N(one_of_both));
    tcase_add_test(tc, hostname__hosts_file_counts);
    tcase_add_test(tc, hostname__system_resolver);
    tcase_add_test(tc, hostname__all_are_refused);
    tcase_add_test(tc, hostname__twenty_addresses);
    tcase_add_test(tc, hostname__black_hole_first);
    tcase_add_test(tc, hostname__black_hole_alone);
    tcase_add_test(tc, hostname__refused_beside_a_black_hole);
    tcase_add_test(tc, hostname__losers_are_told_nothing);
    tcase_add_loop_test(tc, hostname__answers_in_any_order, 0, N(arrivals));
    tcase_add_test(tc, hostname__addresses_come_late);
    tcase_add_test(tc, hostname__no_such_name);
    tcase_add_test(tc, hostname__no_such_name_for_the_system);
    tcase_add_test(tc, hostname__name_server_is_silent);
    tcase_add_test(tc, hostname__lookup_fails_by_time);
    tcase_add_test(tc, hostname__is_the_name_to_verify);
    tcase_add_test(tc, hostname__leaves_the_name_of_the_program);
    tcase_add_test(tc, hostname__follows_the_host);
    tcase_add_test(tc, hostname__roles_may_be_reversed);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
