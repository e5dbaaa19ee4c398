#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "support/suite.h"

#define L63 "a23456789012345678901234567890123456789012345678901234567890abc"
#define N253                                                                                       \
    L63 "." L63 "." L63 "."                                                                        \
        "a2345678901234567890123456789012345678901234567890123456789ab"

/* B33, B38, O5, O6, FO-07, FO-08. text NULL: refused, with these words in the message. */
static const struct {
    const char *label, *name;
    bool is_ip;
    const char *text, *words;
} names[] = {
    {"B33 NULL", NULL, false, NULL, "no host name"},
    {"B33 empty", "", false, NULL, "no host name"},
    {"plain", "www.example.org", false, "www.example.org", NULL},
    {"one label", "localhost", false, "localhost", NULL},
    {"B33 trailing dot", "www.example.org.", false, "www.example.org", NULL},
    {"B33 upper case", "WWW.Example.ORG", false, "www.example.org", NULL},
    {"B33 underscore", "foo_bar.example", false, "foo_bar.example", NULL},
    {"B33 A-label", "www.xn--bcher-kva.example", false, "www.xn--bcher-kva.example", NULL},
    {"O6 upper A-label", "WWW.XN--FOOBAR.TEST", false, "www.xn--foobar.test", NULL},
    {"FO-07 hyphens", "r2---sn-abc.example", false, "r2---sn-abc.example", NULL},
    {"FO-07 no such A-label", "xn--mn8ha4uc.example", false, "xn--mn8ha4uc.example", NULL},
    {"B33 U-label",
     "www.b\xc3\xbc"
     "cher.example",
     false, NULL, "A-labels"},
    {"Latin-1",
     "b\xfc"
     "cher.example",
     false, NULL, "A-labels"},
    {"digits", "4.example.a1", false, "4.example.a1", NULL},
    {"longest label", L63 ".example", false, L63 ".example", NULL},
    {"label too long", L63 "x.example", false, NULL, "63 bytes"},
    {"longest name", N253, false, N253, NULL},
    {"longest name and a dot", N253 ".", false, N253, NULL},
    {"name too long", N253 "x", false, NULL, "253 bytes"},
    {"leading dot", ".example.org", false, NULL, "begins with a dot"},
    {"empty label", "a..b", false, NULL, "empty label"},
    {"two trailing dots", "a.b..", false, NULL, "empty label"},
    {"dot alone", ".", false, NULL, "begins with a dot"},
    {"two dots", "..", false, NULL, "begins with a dot"},
    {"wildcard", "*.example.org", false, NULL, "wildcard"},
    {"blank", "a b", false, NULL, "character"},
    {"newline", "a\nb", false, NULL, "\\x0a"},
    {"slash", "a/b", false, NULL, "character"},
    {"DEL", "a\x7f", false, NULL, "ASCII"},
    {"user", "me@example.org", false, NULL, "character"},
    {"port", "example.org:443", false, NULL, "port"},
    {"URI", "https://example.org/", false, NULL, "port"},

    {"B33 IPv4", "127.0.0.1", true, "127.0.0.1", NULL},
    {"FO-08 short IPv4", "127.1", false, NULL, "looks like an IPv4"},
    {"FO-08 IPv4 with a dot", "127.0.0.1.", false, NULL, "looks like an IPv4"},
    {"number", "2130706433", false, NULL, "looks like an IPv4"},
    {"hexadecimal", "0x7f000001", false, NULL, "looks like an IPv4"},
    {"hexadecimal label", "127.0.0.0X1", false, NULL, "looks like an IPv4"},
    {"bare 0x", "a.0x", false, NULL, "looks like an IPv4"},
    {"five numbers", "1.2.3.4.5", false, NULL, "looks like an IPv4"},
    {"number too large", "256.0.0.1", false, NULL, "looks like an IPv4"},
    {"leading zero", "127.0.0.01", false, NULL, "looks like an IPv4"},
    {"number and letter", "127.0.0.1a", false, "127.0.0.1a", NULL},
    {"0x and a letter", "a.0xg", false, "a.0xg", NULL},
    {"O5 zone on IPv4", "127.0.0.1%lo", false, NULL, "zone"},
    {"O5 zone on a name", "localhost%lo", false, NULL, "zone"},
    {"IPv4 in brackets", "[127.0.0.1]", false, NULL, "not an IPv6"},
    {"name in brackets", "[localhost]", false, NULL, "not an IPv6"},

    {"IPv6", "::1", true, "::1", NULL},
    {"IPv6 any", "::", true, "::", NULL},
    {"FO-08 long IPv6", "0:0:0:0:0:0:0:1", true, "::1", NULL},
    {"FO-08 IPv6 spelling", "2001:DB8::0001", true, "2001:db8::1", NULL},
    {"O5 IPv6 upper case", "FE80:0::1", true, "fe80::1", NULL},
    {"O5 brackets", "[::1]", true, "::1", NULL},
    {"O5 zone", "fe80::1%lo", true, "fe80::1", NULL},
    {"O5 zone in a URI", "[fe80::1%25lo]", true, "fe80::1", NULL},
    {"zone in brackets", "[fe80::1%lo]", true, "fe80::1", NULL},
    {"zone 25", "[fe80::1%25]", true, "fe80::1", NULL},
    {"FO-08 mapped", "::ffff:127.0.0.1", true, "::ffff:127.0.0.1", NULL},
    {"empty zone", "fe80::1%", false, NULL, "not an IPv6"},
    {"two zones", "fe80::1%a%b", false, NULL, "not an IPv6"},
    {"zone too long", "fe80::1%" L63 "x", false, NULL, "not an IPv6"},
    {"zone with a blank", "fe80::1%a b", false, NULL, "not an IPv6"},
    {"zone not ASCII", "fe80::1%\xff", false, NULL, "not an IPv6"},
    {"no closing bracket", "[::1", false, NULL, "not an IPv6"},
    {"no opening bracket", "::1]", false, NULL, "not an IPv6"},
    {"bracket alone", "[", false, NULL, "not an IPv6"},
    {"empty brackets", "[]", false, NULL, "not an IPv6"},
    {"address and port", "[::1]:443", false, NULL, "not an IPv6"},
    {"dot behind", "::1.", false, NULL, "not an IPv6"},
    {"long", "::" N253 N253, false, NULL, "not an IPv6"},
};

START_TEST(hostname__is_normalised_or_refused)
{
    struct evtls_hostname host = {.is_ip = true, .text = "untouched"};
    struct evtls_error err;
    int status = evtls_hostname_parse(&host, names[_i].name, &err);
    const char *label = names[_i].label;

    ck_assert_int_eq(err.status, status);
    if (names[_i].text == NULL) {
        ck_assert_msg(status == EVTLS_ERR_USAGE, "%s: accepted as '%s'", label, host.text);
        ck_assert_msg(strstr(err.message, names[_i].words) != NULL, "%s: %s", label, err.message);
        ck_assert_str_eq(host.text, "untouched");
        return;
    }
    ck_assert_msg(status == EVTLS_OK, "%s: %s", label, err.message);
    ck_assert_msg(strcmp(host.text, names[_i].text) == 0, "%s: '%s'", label, host.text);
    ck_assert_msg(host.is_ip == names[_i].is_ip, "%s", label);
}
END_TEST

#define WIRE(text) text, sizeof(text) - 1

/* B31. */
static const struct {
    const char *label, *bytes;
    size_t len;
    int result;
    const char *name;
} wires[] = {
    {"plain", WIRE("www.example.org"), 1, "www.example.org"},
    {"B31 upper case", WIRE("WWW.Example.Org"), 1, "www.example.org"},
    {"B31 trailing dot", WIRE("a.example."), 1, "a.example"},
    {"longest", WIRE(N253), 1, N253},
    {"longest with a dot", WIRE(N253 "."), 1, N253},
    {"underscore", WIRE("_a.example"), 1, "_a.example"},
    {"B31 NUL", WIRE("a.example\0.evil"), -1, NULL},
    {"NUL alone", WIRE("\0"), -1, NULL},
    {"B31 0xff", WIRE("a\xff.example"), -1, NULL},
    {"DEL", WIRE("a\x7f"), -1, NULL},
    {"blank", WIRE("a b"), -1, NULL},
    {"B31 empty", WIRE(""), -1, NULL},
    {"dot", WIRE("."), -1, NULL},
    {"dots", WIRE(".."), -1, NULL},
    {"B31 too long", WIRE(N253 "xy"), -1, NULL},
    {"B31 64 kB", NULL, 65535, -1, NULL},
    {"B31 IPv4", WIRE("127.0.0.1"), 0, NULL},
    {"IPv4 with a dot", WIRE("127.0.0.1."), 0, NULL},
    {"B31 IPv6", WIRE("2001:DB8::1"), 0, NULL},
    {"IPv6 in brackets", WIRE("[::1]"), 0, NULL},
    {"IPv6 with zone", WIRE("fe80::1%eth0"), 0, NULL},
};

START_TEST(hostname__from_the_wire)
{
    static unsigned char block[65535];
    const unsigned char *bytes = (const unsigned char *)wires[_i].bytes;
    char *copy = malloc(wires[_i].len > 0 ? wires[_i].len : 1), out[256];
    int result;

    /* An exact copy, so that a sanitizer sees a read beyond it. */
    memset(block, 'a', sizeof(block));
    memcpy(copy, bytes != NULL ? bytes : block, wires[_i].len);
    result = evtls_hostname_from_wire(out, (unsigned char *)copy, wires[_i].len);
    ck_assert_msg(result == wires[_i].result, "%s: %d", wires[_i].label, result);
    if (result == 1)
        ck_assert_str_eq(out, wires[_i].name);
    free(copy);
}
END_TEST

static Suite *hostname_suite(void)
{
    Suite *suite = suite_create("hostname");
    TCase *tcase = tcase_create("hostname");

    tcase_add_loop_test(tcase, hostname__is_normalised_or_refused, 0, COUNT(names));
    tcase_add_loop_test(tcase, hostname__from_the_wire, 0, COUNT(wires));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(hostname_suite());
}
