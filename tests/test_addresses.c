/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addresses.h"
#include "support/suite.h"

static struct evtls_addresses addresses;

static void setup(void)
{
    memset(&addresses, 0, sizeof(addresses));
}

/* Adds addresses that stand with blanks between them. */
static void add(const char *text)
{
    char copy[4096], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct evutil_addrinfo hints = {.ai_flags = EVUTIL_AI_NUMERICHOST,
                                        .ai_socktype = SOCK_STREAM};
        struct evutil_addrinfo *ai;

        ck_assert_int_eq(evutil_getaddrinfo(word, "443", &hints, &ai), 0);
        evtls_addresses_add(&addresses, ai);
        evutil_freeaddrinfo(ai);
    }
}

/* Takes up to n and compares. */
static void expect(unsigned n, const char *text)
{
    char got[4096] = "", one[EVTLS_ADDRESS_TEXT_SIZE];
    const struct evtls_address *address;

    while (n-- > 0 && (address = evtls_addresses_take(&addresses)) != NULL) {
        size_t len = strlen(got);

        snprintf(got + len, sizeof(got) - len, "%s%s", len ? " " : "",
                 evtls_address_format(one, address));
    }
    ck_assert_str_eq(got, text);
}

static const struct {
    const char *name, *given, *order;
} orders[] = {
    {"none", "", ""},
    {"one family", "10.0.0.2 10.0.0.1", "10.0.0.2:443 10.0.0.1:443"},
    {"IPv6 first", "::1 ::2 10.0.0.1 10.0.0.2", "[::1]:443 10.0.0.1:443 [::2]:443 10.0.0.2:443"},
    {"IPv4 first", "10.0.0.1 ::1 ::2", "10.0.0.1:443 [::1]:443 [::2]:443"},
    {"mixed already", "::1 10.0.0.1 ::2 10.0.0.2 10.0.0.3",
     "[::1]:443 10.0.0.1:443 [::2]:443 10.0.0.2:443 10.0.0.3:443"},
    {"duplicates", "10.0.0.1 10.0.0.2 10.0.0.1 ::1 0:0::1", "10.0.0.1:443 [::1]:443 10.0.0.2:443"},
    {"a zone is part of it", "fe80::1 fe80::1%lo", "[fe80::1]:443 [fe80::1%lo]:443"},
};

START_TEST(addresses__order)
{
    add(orders[_i].given);
    expect(99, orders[_i].order);
    expect(1, "");
}
END_TEST

START_TEST(addresses__come_later_and_take_turns)
{
    add("10.0.0.1 10.0.0.2 10.0.0.3");
    expect(2, "10.0.0.1:443 10.0.0.2:443");
    add("10.0.0.1 ::1 ::2");
    expect(9, "[::1]:443 10.0.0.3:443 [::2]:443");
    add("::3");
    expect(9, "[::3]:443");
}
END_TEST

START_TEST(addresses__are_bounded_by_family)
{
    char text[4096] = "", one[32];

    for (unsigned i = 1; i <= 200; i++) {
        snprintf(one, sizeof(one), "10.0.1.%u ", i);
        strcat(text, one);
    }
    strcat(text, "::1");
    add(text);
    ck_assert_uint_eq(addresses.n, EVTLS_MAX_ADDRESSES_A_FAMILY + 1);
    expect(2, "10.0.1.1:443 [::1]:443");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("addresses");
    TCase *tc = tcase_create("addresses");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, addresses__order, 0, sizeof(orders) / sizeof(orders[0]));
    tcase_add_test(tc, addresses__come_later_and_take_turns);
    tcase_add_test(tc, addresses__are_bounded_by_family);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
