/* SPDX-License-Identifier: BSD-3-Clause */
/* What a message says about the names of a certificate that was refused for another. */
#include "config.h"

#include <string.h>

#include "support/engine_pair.h"
#include "support/suite.h"

#define PREFIX "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
#define HOST(name) "Hostname mismatch, certificate is not valid for '" name "'. "

static const struct pki_san nul_name = {PKI_SAN_DNS, "a.test\0.b", 9},
                            odd_names[] = {{PKI_SAN_DNS, "\x1b[2J\\\xc3\xa4\n\"", 9},
                                           {PKI_SAN_IP, "\xc0\x00\x02\x01\0\0\0\0", 8}};

#define SIXTY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_NAME SIXTY "." SIXTY "." SIXTY "." SIXTY ".test"

/* B36 to B38 */
static const struct {
    const char *name;
    struct pki_spec spec;
    const char *host;
    int code;
    const char *text;
} rows[] = {
    {"other names",
     {.cn = "CN", .san = "DNS:a.test,DNS:*.b.test,IP:192.0.2.1,IP:2001:db8::1"},
     "localhost",
     62,
     HOST("localhost") "(it is for a.test, *.b.test, 192.0.2.1, 2001:db8::1)"},
    {"many names",
     {.cn = "CN",
      .san = "email:x@y.test,DNS:a.test,DNS:b.test,DNS:c.test,URI:http://d/"
             ",DNS:e.test,DNS:f.test,DNS:g.test"},
     "localhost",
     62,
     HOST("localhost") "(it is for a.test, b.test, c.test, e.test and 2 more)"},
    {"name in the CN only",
     {.cn = "LocalHost", .san = "DNS:a.test"},
     "localhost",
     62,
     HOST("localhost") "(it is for a.test); 'localhost' is its common name only: it has to be an "
                       "alternative name of type DNS"},
    {"other CN, no alternative names",
     {.cn = "a\nb", .san = ""},
     "localhost",
     62,
     HOST("localhost") "(it has no alternative names, only the common name a\\x0ab)"},
    {"alternative names for mail only",
     {.cn = "a.test", .san = "email:x@localhost"},
     "localhost",
     62,
     HOST("localhost") "(it has no alternative names, only the common name a.test)"},
    {"no name at all",
     {.cn = "", .san = ""},
     "localhost",
     62,
     HOST("localhost") "(it has no alternative names)"},
    {"address in the CN only",
     {.cn = "192.0.2.7", .san = ""},
     "192.0.2.7",
     64,
     "IP address mismatch, certificate is not valid for '192.0.2.7'. (it has no alternative names, "
     "only the common name 192.0.2.7); '192.0.2.7' is its common name only: it has to be an "
     "alternative name of type IP"},
    {"address as a DNS name",
     {.san = "DNS:192.0.2.7"},
     "192.0.2.7",
     64,
     "IP address mismatch, certificate is not valid for '192.0.2.7'. (it is for 192.0.2.7); "
     "'192.0.2.7' stands there as a DNS name: it has to be an alternative name of type IP"},
    {"other addresses",
     {.san = "IP:192.0.2.1,IP:::1"},
     "2001:db8::7",
     64,
     "IP address mismatch, certificate is not valid for '2001:db8::7'. (it is for 192.0.2.1, ::1)"},
    {"name with a NUL",
     {.cn = "CN", .san = "DNS:c.test", .raw_san = &nul_name, .n_raw_san = 1},
     "a.test",
     62,
     HOST("a.test") "(it is for c.test, a.test\\x00.b)"},
    {"odd names",
     {.cn = "CN", .san = "DNS:c.test", .raw_san = odd_names, .n_raw_san = 2},
     "localhost",
     62,
     HOST("localhost") "(it is for c.test, \\x1b[2J\\x5c\\xc3\\xa4\\x0a\", an address of 8 bytes)"},
    {"long names",
     {.san = "DNS:" LONG_NAME ",DNS:b." LONG_NAME ",DNS:c." LONG_NAME},
     "x." LONG_NAME,
     62,
     "Hostname mismatch, certificate is not valid for 'x." LONG_NAME "'. (it is for " SIXTY
     "..., b.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... an..."},
};

START_TEST(verify_names__of_a_handshake)
{
    const struct evtls_error *err;
    struct pair pair;

    pair_prepare(&pair, _i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
    evtls_context_free(pair.server_ctx);
    pair.server_ctx = server_context(pki_issue(pair.pki, &rows[_i / 2].spec));
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_set_server_hostname(pair.client.engine, rows[_i / 2].host, NULL),
                     0);
    ck_assert(!pair_connect(&pair));
    err = error_of(&pair.client);
    ck_assert_int_eq(evtls_error_get_verify_code(err), rows[_i / 2].code);
    ck_assert_msg(strncmp(err->message, PREFIX, strlen(PREFIX)) == 0 &&
                      strcmp(err->message + strlen(PREFIX), rows[_i / 2].text) == 0,
                  "%s:\n  %s\n  %s", rows[_i / 2].name, err->message, rows[_i / 2].text);
    pair_close(&pair);
}
END_TEST

static Suite *verify_names_suite(void)
{
    Suite *suite = suite_create("verify_names");
    TCase *tcase = tcase_create("verify_names");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, verify_names__of_a_handshake, 0, 2 * COUNT(rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(verify_names_suite());
}
