#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1err.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "error.h"
#include "support/suite.h"

static const struct {
    int value;
    const char *name, *text;
} statuses[] = {
    {0, "OK", "success"},
    {EVTLS_ERR_WANT_READ, "ERR_WANT_READ", "more input is needed"},
    {EVTLS_ERR_TRUNCATED, "ERR_TRUNCATED", "end of file without close_notify"},
    {EVTLS_ERR_UNSUPPORTED, "ERR_UNSUPPORTED", "not supported by the libraries in use"},
    {1, "ERR_UNKNOWN", "unknown status"},
    {-1000, "ERR_UNKNOWN", "unknown status"},
};

START_TEST(error__statuses_have_names_and_texts)
{
    ck_assert_str_eq(evtls_status_name(statuses[_i].value), statuses[_i].name);
    ck_assert_str_eq(evtls_status_text(statuses[_i].value), statuses[_i].text);
}
END_TEST

START_TEST(error__alerts_have_names)
{
    ck_assert_str_eq(evtls_alert_name(0), "close_notify");
    ck_assert_str_eq(evtls_alert_name(EVTLS_ALERT_UNKNOWN_CA), "unknown_ca");
    ck_assert_str_eq(evtls_alert_name(120), "no_application_protocol");
    ck_assert_str_eq(evtls_alert_name(-1), "unknown_alert");
    ck_assert_str_eq(evtls_alert_name(255), "unknown_alert");
}
END_TEST

START_TEST(error__null_answers_as_ok)
{
    ck_assert_int_eq(evtls_error_get_status(NULL), EVTLS_OK);
    ck_assert_int_eq(evtls_error_get_alert(NULL), -1);
    ck_assert_int_eq(evtls_error_get_sys_errno(NULL), 0);
    ck_assert_int_eq(evtls_error_get_resolve_code(NULL), 0);
    ck_assert_int_eq(evtls_error_get_verify_code(NULL), 0);
    ck_assert_uint_eq(evtls_error_get_ossl_code(NULL), 0);
    ck_assert_str_eq(evtls_error_get_library(NULL), "");
    ck_assert_str_eq(evtls_error_get_reason(NULL), "");
    ck_assert_str_eq(evtls_error_get_message(NULL), "");
    evtls_error_init(NULL);
    evtls_error_free(NULL);
    ck_assert_int_eq(evtls_error_set(NULL, EVTLS_ERR_BUSY, "x"), EVTLS_ERR_BUSY);
    ck_assert_int_eq(evtls_error_set_errno(NULL, EVTLS_ERR_IO, EPIPE, "x"), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_error_set_ossl(NULL, EVTLS_ERR_IO, NULL), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_error_set_nomem(NULL), EVTLS_ERR_NOMEM);
    ck_assert_int_eq(evtls_error_copy(NULL, NULL), EVTLS_OK);
}
END_TEST

START_TEST(error__accessors_show_the_members)
{
    struct evtls_error err, *copy;

    ck_assert_int_eq(evtls_error_set_errno(&err, EVTLS_ERR_IO, ECONNRESET, "read"), EVTLS_ERR_IO);
    err.resolve_code = 3;
    err.verify_code = 62;
    copy = evtls_error_new(&err);
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(evtls_error_get_status(copy), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_error_get_sys_errno(copy), ECONNRESET);
    ck_assert_int_eq(evtls_error_get_resolve_code(copy), 3);
    ck_assert_int_eq(evtls_error_get_verify_code(copy), 62);
    ck_assert_int_eq(evtls_error_get_alert(copy), -1);
    ck_assert_str_eq(evtls_error_get_message(copy), "read: Connection reset by peer");
    evtls_error_free(copy);

    copy = evtls_error_new(NULL);
    ck_assert_int_eq(evtls_error_get_status(copy), EVTLS_OK);
    ck_assert_int_eq(evtls_error_get_alert(copy), -1);
    ck_assert_int_eq(evtls_error_copy(copy, &err), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_error_get_verify_code(copy), 62);
    ck_assert_int_eq(evtls_error_set_ok(copy), EVTLS_OK);
    ck_assert_int_eq(evtls_error_get_verify_code(copy), 0);
    ck_assert_str_eq(evtls_error_get_message(copy), "");
    evtls_error_free(copy);
}
END_TEST

/* What a message may hold (FO-20): one line, printable, UTF-8. */
static const struct {
    const char *name, *in, *out;
} messages[] = {
    {"plain", "a 'b' \\x41", "a 'b' \\x41"},
    {"empty", "", "wrong argument or wrong state for this call"},
    {"newline", "a\r\nb\t", "a\\x0d\\x0ab\\x09"},
    {"escape sequence", "\033[31m\177", "\\x1b[31m\\x7f"},
    {"UTF-8",
     "b\xc3\xbc"
     "cher \xe2\x82\xac \xf0\x9f\x98\x80",
     "b\xc3\xbc"
     "cher \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"Latin-1",
     "b\xfc"
     "cher",
     "b\\xfccher"},
    {"cut character", "a\xe2\x82", "a\\xe2\\x82"},
    {"overlong", "\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf"},
    {"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
    {"beyond Unicode", "\xf4\x90\x80\x80\xff", "\\xf4\\x90\\x80\\x80\\xff"},
    {"C1 control",
     "\xc2\x9b"
     "31m",
     "\\xc2\\x9b31m"},
    {"right-to-left override", "x\xe2\x80\xaegnp.exe", "x\\xe2\\x80\\xaegnp.exe"},
    {"line separator", "\xe2\x80\xa8", "\\xe2\\x80\\xa8"},
};

START_TEST(error__a_message_is_one_printable_line)
{
    struct evtls_error err;

    evtls_error_set(&err, EVTLS_ERR_USAGE, "%s", messages[_i].in);
    ck_assert_msg(strcmp(err.message, messages[_i].out) == 0, "%s: %s", messages[_i].name,
                  err.message);
}
END_TEST

/* Every length around the limit: NUL-terminated, marked when cut, no character in halves. */
START_TEST(error__a_long_message_is_cut_at_a_character)
{
    static const char *const units[] = {"a", "\xc3\xbc", "\xe2\x82\xac", "\n"};
    struct evtls_error err;
    char text[1000];

    for (size_t u = 0; u < COUNT(units); u++) {
        size_t unit = strlen(units[u]), shown = units[u][0] == '\n' ? 4 : unit;

        for (size_t n = 100; n * unit < sizeof(text) && n < 600; n++) {
            size_t len;

            for (size_t i = 0; i < n; i++)
                memcpy(text + i * unit, units[u], unit + 1);
            evtls_error_set(&err, EVTLS_ERR_USAGE, "%s", text);
            len = strlen(err.message);
            if (n * shown < sizeof(err.message)) {
                ck_assert_uint_eq(len, n * shown);
            } else {
                ck_assert_str_eq(err.message + len - 3, "...");
                ck_assert_uint_eq((len - 3) % shown, 0);
                ck_assert_uint_gt(len, sizeof(err.message) - 1 - 2 * shown);
            }
        }
    }
}
END_TEST

START_TEST(error__escape_spells_out_what_a_peer_could_abuse)
{
    char out[64], small[6];

    ck_assert_str_eq(evtls_escape(out, sizeof(out), "a\\\n\0\x7f\x80z", 7),
                     "a\\x5c\\x0a\\x00\\x7f\\x80z");
    ck_assert_str_eq(evtls_escape(out, sizeof(out), NULL, 0), "");
    ck_assert_str_eq(evtls_escape(small, sizeof(small), "abcdefgh", 8), "abcde");
    ck_assert_str_eq(evtls_escape(small, sizeof(small), "ab\n", 3), "ab");
    ck_assert_str_eq(evtls_escape(small, sizeof(small), "a\n", 2), "a\\x0a");
    ck_assert_str_eq(evtls_escape(small, 1, "a", 1), "");
}
END_TEST

static const struct {
    const char *text, *cut; /* to nine bytes */
} cut_texts[] = {
    {"", ""},
    {"12345678", "12345678"},
    {"123456789", "12345..."},
    {"1\\x0a6789", "1\\x0a..."},
    {"12\\x0a7890", "12..."},
    {"1234\\x0a90", "1234..."},
};

START_TEST(error__cut_text_has_no_half_escape)
{
    char out[9];

    evtls_copy_cut(out, sizeof(out), cut_texts[_i].text);
    ck_assert_str_eq(out, cut_texts[_i].cut);
}
END_TEST

#define SSL_CODE(reason) ERR_PACK(ERR_LIB_SSL, 0, reason)

static const struct {
    unsigned long code;
    const char *library, *reason;
} mnemonics[] = {
    {SSL_CODE(SSL_R_CERTIFICATE_VERIFY_FAILED), "SSL", "CERTIFICATE_VERIFY_FAILED"},
    {SSL_CODE(SSL_R_UNEXPECTED_EOF_WHILE_READING), "SSL", "UNEXPECTED_EOF_WHILE_READING"},
    {SSL_CODE(SSL_R_CA_DN_LENGTH_MISMATCH), "SSL", "CA_DN_LENGTH_MISMATCH"},
    {SSL_CODE(1010), "SSL", "SSLV3_ALERT_UNEXPECTED_MESSAGE"},
    {SSL_CODE(1040), "SSL", "SSLV3_ALERT_HANDSHAKE_FAILURE"},
    {SSL_CODE(1048), "SSL", "TLSV1_ALERT_UNKNOWN_CA"},
    {SSL_CODE(1116), "SSL", "TLSV13_ALERT_CERTIFICATE_REQUIRED"},
    {SSL_CODE(1120), "SSL", "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"},
    {SSL_CODE(1199), "SSL", "TLS_ALERT_199"},
    {SSL_CODE(ERR_R_INTERNAL_ERROR), "SSL", "INTERNAL_ERROR"},
    {SSL_CODE(158), "SSL", "AT_LEAST_TLS_1_2_NEEDED_IN_SUITEB_MODE"},
    {ERR_PACK(ERR_LIB_PEM, 0, 108), "PEM", "NO_START_LINE"},
    {ERR_PACK(ERR_LIB_PEM, 0, ERR_R_ASN1_LIB), "PEM", "ASN1_LIB"},
    {ERR_PACK(ERR_LIB_ASN1, 0, ASN1_R_HEADER_TOO_LONG), "ASN1", "HEADER_TOO_LONG"},
    {ERR_PACK(ERR_LIB_RSA, 0, 136), "RSA", "SLEN_CHECK_FAILED"},
    {ERR_PACK(ERR_LIB_X509, 0, 116), "X509", "KEY_VALUES_MISMATCH"},
    {ERR_PACK(ERR_LIB_OSSL_DECODER, 0, ERR_R_UNSUPPORTED), "OSSL_DECODER", "UNSUPPORTED"},
    {ERR_PACK(ERR_LIB_SSL, 0, 999), "SSL", "INVALID_SESSION_ID"},
    {ERR_PACK(ERR_LIB_SSL, 0, 998), "SSL", "REASON_998"},
    {ERR_PACK(200, 0, 7), "", "REASON_7"},
};

START_TEST(error__mnemonics_are_the_names_of_the_headers)
{
    char library[16], reason[64];

    evtls_ossl_mnemonics(mnemonics[_i].code, library, sizeof(library), reason, sizeof(reason));
    ck_assert_str_eq(library, mnemonics[_i].library);
    ck_assert_str_eq(reason, mnemonics[_i].reason);
}
END_TEST

START_TEST(error__every_alert_has_a_mnemonic)
{
#define CHECK_ALERT(value, name, text)                                                             \
    do {                                                                                           \
        char library[16], reason[64];                                                              \
        evtls_ossl_mnemonics(SSL_CODE(1000 + (value)), library, sizeof(library), reason,           \
                             sizeof(reason));                                                      \
        ck_assert_int_eq(evtls_ossl_alert(SSL_CODE(1000 + (value))), value);                       \
        if ((value) != EVTLS_ALERT_CLOSE_NOTIFY)                                                   \
            ck_assert_msg(strncmp(reason, "TLS_ALERT", 9) != 0, "%s: %s", #name, reason);          \
    } while (0);
    EVTLS_ALERT_MAP(CHECK_ALERT)
#undef CHECK_ALERT
    ck_assert_int_eq(evtls_ossl_alert(SSL_CODE(SSL_R_WRONG_VERSION_NUMBER)), -1);
    ck_assert_int_eq(evtls_ossl_alert(ERR_PACK(ERR_LIB_X509, 0, 1048)), -1);
}
END_TEST

START_TEST(error__openssl_gives_the_first_entry_and_an_empty_queue)
{
    struct evtls_error err;

    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    ERR_raise(ERR_LIB_PEM, ERR_R_ASN1_LIB);
    ck_assert_int_eq(evtls_error_set_ossl(&err, EVTLS_ERR_CERTIFICATE, "host '%s'", "a.test"),
                     EVTLS_ERR_CERTIFICATE);
    ck_assert_str_eq(err.library, "SSL");
    ck_assert_str_eq(err.reason, "CERTIFICATE_VERIFY_FAILED");
    ck_assert_uint_eq(err.ossl_code, SSL_CODE(SSL_R_CERTIFICATE_VERIFY_FAILED));
    ck_assert_str_eq(err.message,
                     "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: host 'a.test'");
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(error__reason_of_our_own_finding)
{
    struct evtls_error err;

    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    ck_assert_int_eq(evtls_error_set_reason(&err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, 108, "'%s'", "x"),
                     EVTLS_ERR_CONFIG);
    ck_assert_str_eq(err.message, "[PEM: NO_START_LINE] no start line: 'x'");
    ck_assert_uint_eq(err.ossl_code, ERR_PACK(ERR_LIB_PEM, 0, 108));
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
    ck_assert_int_eq(evtls_error_set_reason(&err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, 108, "x"),
                     EVTLS_ERR_NOMEM);
    ck_assert_int_eq(err.status, EVTLS_ERR_NOMEM);
}
END_TEST

START_TEST(error__openssl_alert_is_a_member)
{
    struct evtls_error err;

    ERR_raise(ERR_LIB_SSL, 1048);
    evtls_error_set_ossl(&err, EVTLS_ERR_ALERT, NULL);
    ck_assert_int_eq(err.alert, EVTLS_ALERT_UNKNOWN_CA);
    ck_assert_str_eq(err.message, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca");
}
END_TEST

START_TEST(error__openssl_empty_queue_leaves_our_words)
{
    struct evtls_error err;

    evtls_error_set_ossl(&err, EVTLS_ERR_CONFIG, "groups 'x'");
    ck_assert_str_eq(err.message, "groups 'x'");
    ck_assert_uint_eq(err.ossl_code, 0);
    ck_assert_str_eq(err.library, "");
    evtls_error_set_ossl(&err, EVTLS_ERR_CONFIG, NULL);
    ck_assert_str_eq(err.message, "bad configuration or bad input file");
}
END_TEST

START_TEST(error__openssl_out_of_memory_is_nomem)
{
    struct evtls_error err;

    ERR_raise(ERR_LIB_EVP, ERR_R_EVP_LIB);
    ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
    ERR_raise(ERR_LIB_PEM, ERR_R_ASN1_LIB);
    ck_assert_int_eq(evtls_error_set_ossl(&err, EVTLS_ERR_CONFIG, "x"), EVTLS_ERR_NOMEM);
    ck_assert_int_eq(err.status, EVTLS_ERR_NOMEM);
}
END_TEST

START_TEST(error__openssl_system_error_keeps_errno)
{
    struct evtls_error err;

    ERR_raise_data(ERR_LIB_SYS, ENOENT, "calling fopen");
    ck_assert_int_eq(evtls_error_set_ossl(&err, EVTLS_ERR_CONFIG, "'x.pem'"), EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.sys_errno, ENOENT);
    ck_assert_str_eq(err.library, "SYS");
    ck_assert_str_eq(err.message, "'x.pem': No such file or directory");
}
END_TEST

static Suite *error_suite(void)
{
    Suite *suite = suite_create("error");
    TCase *tcase = tcase_create("error");

    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    tcase_add_loop_test(tcase, error__statuses_have_names_and_texts, 0, COUNT(statuses));
    tcase_add_loop_test(tcase, error__cut_text_has_no_half_escape, 0, COUNT(cut_texts));
    tcase_add_test(tcase, error__alerts_have_names);
    tcase_add_test(tcase, error__null_answers_as_ok);
    tcase_add_test(tcase, error__accessors_show_the_members);
    tcase_add_loop_test(tcase, error__a_message_is_one_printable_line, 0, COUNT(messages));
    tcase_add_test(tcase, error__a_long_message_is_cut_at_a_character);
    tcase_add_test(tcase, error__escape_spells_out_what_a_peer_could_abuse);
    tcase_add_loop_test(tcase, error__mnemonics_are_the_names_of_the_headers, 0, COUNT(mnemonics));
    tcase_add_test(tcase, error__every_alert_has_a_mnemonic);
    tcase_add_test(tcase, error__openssl_gives_the_first_entry_and_an_empty_queue);
    tcase_add_test(tcase, error__reason_of_our_own_finding);
    tcase_add_test(tcase, error__openssl_alert_is_a_member);
    tcase_add_test(tcase, error__openssl_empty_queue_leaves_our_words);
    tcase_add_test(tcase, error__openssl_out_of_memory_is_nomem);
    tcase_add_test(tcase, error__openssl_system_error_keeps_errno);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(error_suite());
}
