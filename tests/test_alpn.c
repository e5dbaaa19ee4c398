/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <evtls/error.h>

#include "alpn.h"
#include "support/suite.h"

#define WIRE(text) (const unsigned char *)(text), sizeof(text) - 1

START_TEST(alpn__names_are_encoded_in_order)
{
    const char *names[] = {"h2", "http/1.1"};
    unsigned char *wire = NULL;
    size_t len;

    ck_assert_int_eq(evtls_alpn_encode(names, 2, &wire, &len), 0);
    ck_assert_mem_eq(wire, "\x02h2\x08http/1.1", 12);
    ck_assert_uint_eq(len, 12);
    free(wire);
}
END_TEST

START_TEST(alpn__an_empty_list_is_none)
{
    unsigned char other, *wire = &other;
    size_t len = 7;

    ck_assert_int_eq(evtls_alpn_encode(NULL, 0, &wire, &len), 0);
    ck_assert_ptr_null(wire);
    ck_assert_uint_eq(len, 0);
}
END_TEST

/* B32 */
START_TEST(alpn__bad_names_are_refused)
{
    char *longest = calloc(1, 257);
    const char *names[300] = {"h2", ""};
    unsigned char other, *wire = &other;
    size_t len = 7, i;

    ck_assert_int_eq(evtls_alpn_encode(names, 2, &wire, &len), EVTLS_ERR_USAGE);
    names[1] = NULL;
    ck_assert_int_eq(evtls_alpn_encode(names, 2, &wire, &len), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_alpn_encode(NULL, 1, &wire, &len), EVTLS_ERR_USAGE);
    memset(longest, 'a', 256);
    names[1] = longest;
    ck_assert_int_eq(evtls_alpn_encode(names, 2, &wire, &len), EVTLS_ERR_USAGE);
    for (i = 0; i < COUNT(names); i++)
        names[i] = longest;
    longest[255] = '\0';
    ck_assert_int_eq(evtls_alpn_encode(names, 256, &wire, &len), EVTLS_ERR_USAGE);
    ck_assert_ptr_eq(wire, &other);
    ck_assert_uint_eq(len, 7);
    ck_assert_int_eq(evtls_alpn_encode(names, 255, &wire, &len), 0);
    ck_assert_uint_eq(len, 255 * 256);
    free(wire);
    free(longest);
}
END_TEST

static const struct {
    const char *name;
    const unsigned char *ours;
    size_t ours_len;
    const unsigned char *theirs;
    size_t theirs_len;
    const char *chosen; /* NULL: none */
} choices[] = {
    {"our order counts", WIRE("\x02h2\x08http/1.1"), WIRE("\x08http/1.1\x02h2"), "h2"},
    {"the only common one", WIRE("\x02h2\x08http/1.1"), WIRE("\x03xyz\x08http/1.1"), "http/1.1"},
    {"none in common", WIRE("\x02h2"), WIRE("\x02h3"), NULL},
    {"a prefix is no match", WIRE("\x02h2"), WIRE("\x03h2c\x01h"), NULL},
    {"we list nothing", WIRE(""), WIRE("\x02h2"), NULL},
    {"they list nothing", WIRE("\x02h2"), WIRE(""), NULL},
    {"a list that is cut", WIRE("\x02h2"), WIRE("\x03xyz\x02h"), NULL},
    {"what comes before the cut", WIRE("\x02h2"), WIRE("\x02h2\x40h"), "h2"},
    {"an empty name", WIRE("\x02h2"), WIRE("\x00\x02h2"), NULL},
    {"unknown reserved names (O10)", WIRE("\x02h2"), WIRE("\x02\x0a\x0a\x02h2"), "h2"},
};

START_TEST(alpn__selection)
{
    const unsigned char *name = NULL;
    unsigned char len = 0;
    bool found = evtls_alpn_select(choices[_i].ours, choices[_i].ours_len, choices[_i].theirs,
                                   choices[_i].theirs_len, &name, &len);

    ck_assert_msg(found == (choices[_i].chosen != NULL), "%s", choices[_i].name);
    if (found) {
        ck_assert_uint_eq(len, strlen(choices[_i].chosen));
        ck_assert_mem_eq(name, choices[_i].chosen, len);
        ck_assert(name > choices[_i].ours && name < choices[_i].ours + choices[_i].ours_len);
    }
}
END_TEST

static Suite *alpn_suite(void)
{
    Suite *suite = suite_create("alpn");
    TCase *tcase = tcase_create("alpn");

    tcase_add_test(tcase, alpn__names_are_encoded_in_order);
    tcase_add_test(tcase, alpn__an_empty_list_is_none);
    tcase_add_test(tcase, alpn__bad_names_are_refused);
    tcase_add_loop_test(tcase, alpn__selection, 0, COUNT(choices));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(alpn_suite());
}
