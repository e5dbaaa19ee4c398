#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "library.h"
#include "pem.h"
#include "pem_key.h"
#include "support/pki.h"
#include "support/suite.h"

static struct pki *pki;
static struct pki_ident *ident;

static void set_up(void)
{
    ck_assert_int_eq(evtls_library_init(NULL), 0);
    pki = pki_new();
    ident = pki_issue(pki, &(struct pki_spec){0});
}

static void tear_down(void)
{
    pki_free(pki);
}

/*
 * Reads a text to its end and writes what is in it: C certificate, T trusted, R revocation list, K
 * key, o other, each decoded where that is ours to do. Returns the last status.
 */
static int read_text(char *found, size_t size, const void *bytes, size_t len,
                     struct evtls_error *err)
{
    static const char letters[] = "CTRKo";
    struct evtls_input input;
    struct evtls_pem_cursor cursor;
    struct evtls_pem_block block;
    size_t n = 0;
    int status;

    found[0] = '\0';
    evtls_input_from_data(&input, "text", bytes, len);
    status = evtls_pem_begin(&cursor, &input, err);
    if (status != EVTLS_OK)
        return status;
    while ((status = evtls_pem_next(&cursor, &block, err)) == 1) {
        X509 *x509 = NULL;
        X509_CRL *crl = NULL;
        EVP_PKEY *key = NULL;

        ck_assert(block.text >= (const char *)bytes);
        ck_assert(block.text + block.len <= (const char *)bytes + len);
        if (block.kind == EVTLS_PEM_CERTIFICATE || block.kind == EVTLS_PEM_TRUSTED_CERTIFICATE)
            status = evtls_pem_get_certificate(&x509, &input, &block, err);
        else if (block.kind == EVTLS_PEM_CRL)
            status = evtls_pem_get_crl(&crl, &input, &block, err);
        else if (block.kind == EVTLS_PEM_PRIVATE_KEY)
            status = evtls_pem_get_private_key(&key, &input, &block, NULL, err);
        X509_free(x509);
        X509_CRL_free(crl);
        EVP_PKEY_free(key);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        if (status < 0)
            return status;
        if (n + 1 < size)
            found[n++] = letters[block.kind];
        found[n] = '\0';
    }
    return status;
}

/* In a pattern: @ is a certificate, ^ a key, ~ a revocation list, the rest stands for itself. */
static char *expand(const char *pattern, size_t *len)
{
    char *text = calloc(1, 65536), *end = text;

    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '@')
            end = stpcpy(end, pki_cert_pem(ident));
        else if (*pattern == '^')
            end = stpcpy(end, pki_key_pem(ident));
        else if (*pattern == '~')
            end = stpcpy(end, pki_crl_pem(pki_root(pki), 0, 0));
        else
            *end++ = *pattern;
    }
    *len = (size_t)(end - text);
    return text;
}

#define BOM "\xef\xbb\xbf"

static const struct {
    const char *label, *pattern, *found;
    int status;
    const char *words; /* of the message */
} texts[] = {
    {"one", "@", "C", 0, NULL},
    {"several", "@@^~@", "CCKRC", 0, NULL},
    {"text around", "hello\n@ - world --\n^# end", "CK", 0, NULL},
    {"O2 byte order mark", BOM "@" BOM "@", "CC", 0, NULL},
    {"empty block of another kind", "-----BEGIN X-----\n-----END X-----\n@", "oC", 0, NULL},
    {"blanks behind", "-----BEGIN X-----  \t\nAA==\n-----END X----- \r\n@", "oC", 0, NULL},

    {"B1 empty", "", "", EVTLS_ERR_CONFIG, "text is empty"},
    {"no block", "hello\n", "", EVTLS_ERR_CONFIG, "no PEM block"},
    {"BEGIN in a text", "when they BEGIN to\n", "", 0, NULL},
    {"O1 cut", "@-----BEGIN CERTIFICATE-----\nAAAA\n", "C", EVTLS_ERR_CONFIG,
     "certificate 2 in text is cut"},
    {"O1 cut before the next", "-----BEGIN CERTIFICATE-----\nAAAA\n@", "", EVTLS_ERR_CONFIG,
     "certificate 1 in text is cut"},
    {"cut key", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "", EVTLS_ERR_CONFIG,
     "the private key in text is cut"},
    {"another END", "@-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n", "C",
     EVTLS_ERR_CONFIG, "certificate 2 in text ends with"},
    {"damaged END", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE---\n", "",
     EVTLS_ERR_CONFIG, "damaged END"},
    {"B2 wrong header", "@----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "C",
     EVTLS_ERR_CONFIG, "block 2 in text has a damaged BEGIN line"},
    {"B2 header cut", "-----BEGIN CERTIFICATE---\nAAAA\n-----END CERTIFICATE-----\n", "",
     EVTLS_ERR_CONFIG, "block 1 in text has a damaged BEGIN line"},
    {"indented", "  -----BEGIN CERTIFICATE-----\n", "", EVTLS_ERR_CONFIG, "damaged BEGIN line"},
    {"B2 bad base64", "@-----BEGIN CERTIFICATE-----\nAA!A\n-----END CERTIFICATE-----\n", "C",
     EVTLS_ERR_CONFIG, "certificate 2 in text has bad base64"},
    {"padding in the middle",
     "-----BEGIN CERTIFICATE-----\nAAAA====\nAAAA\n-----END CERTIFICATE-----\n", "",
     EVTLS_ERR_CONFIG, "bad base64"},
    {"nothing in it", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "",
     EVTLS_ERR_CONFIG, "certificate 1 in text"},
    {"no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "",
     EVTLS_ERR_CONFIG, "certificate 1 in text is broken"},
    {"encrypted certificate",
     "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
     "-----END CERTIFICATE-----\n",
     "", EVTLS_ERR_CONFIG, "certificate 1 in text is encrypted"},
    {"no CRL", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "", EVTLS_ERR_CONFIG,
     "CRL 1 in text is broken"},
    {"no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "",
     EVTLS_ERR_CONFIG, "the private key in text is broken"},
    {"bad base64 in a key", "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n", "",
     EVTLS_ERR_CONFIG, "the private key in text has bad base64"},
    {"OpenSSH", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
     "", EVTLS_ERR_CONFIG, "OpenSSH"},
};

START_TEST(pem__blocks_are_found_or_refused_by_number)
{
    struct evtls_error err;
    char found[16];
    size_t len;
    char *text = expand(texts[_i].pattern, &len);
    int status = read_text(found, sizeof(found), text, len, &err);

    ck_assert_msg(status == texts[_i].status, "%s: %d %s", texts[_i].label, status, err.message);
    ck_assert_int_eq(err.status, status);
    ck_assert_msg(strcmp(found, texts[_i].found) == 0, "%s: %s", texts[_i].label, found);
    if (texts[_i].words != NULL)
        ck_assert_msg(strstr(err.message, texts[_i].words) != NULL, "%s: %s", texts[_i].label,
                      err.message);
    free(text);
}
END_TEST

START_TEST(pem__lines_may_end_as_on_windows)
{
    struct evtls_error err;
    char found[16];
    size_t len, n = 0;
    char *text = expand("@^", &len), *crlf = malloc(2 * len);

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            crlf[n++] = '\r';
        crlf[n++] = text[i];
    }
    ck_assert_msg(read_text(found, sizeof(found), crlf, n, &err) == 0, "%s", err.message);
    ck_assert_str_eq(found, "CK");
    free(crlf);
    free(text);
}
END_TEST

START_TEST(pem__last_line_may_lack_its_end)
{
    struct evtls_error err;
    char found[16];

    ck_assert_int_eq(
        read_text(found, sizeof(found), pki_cert_pem(ident), strlen(pki_cert_pem(ident)) - 1, &err),
        0);
    ck_assert_str_eq(found, "C");
}
END_TEST

/* Some tools write the base64 in one line. */
START_TEST(pem__one_long_line_of_base64)
{
    const char *pem = pki_cert_pem(ident);
    struct evtls_error err;
    char text[8192], found[16];
    size_t n = 0;

    for (const char *p = pem; *p != '\0'; p++) {
        if (*p != '\n' || p[1] == '\0' || p[-1] == '-' || p[1] == '-')
            text[n++] = *p;
    }
    ck_assert_msg(read_text(found, sizeof(found), text, n, &err) == 0, "%s", err.message);
    ck_assert_str_eq(found, "C");
}
END_TEST

/* O2: UTF-16 in both orders, with and without mark. */
START_TEST(pem__utf16_is_named)
{
    const char *pem = pki_cert_pem(ident);
    size_t len = strlen(pem), big = _i & 1, mark = _i & 2;
    char *text = calloc(2, len + 1), found[16];
    struct evtls_error err;
    size_t n = 0;

    if (mark) {
        text[n++] = big ? '\xfe' : '\xff';
        text[n++] = big ? '\xff' : '\xfe';
    }
    for (size_t i = 0; i < len; i++, n += 2)
        text[n + big] = pem[i];
    ck_assert_int_eq(read_text(found, sizeof(found), text, n, &err), EVTLS_ERR_CONFIG);
    ck_assert_str_eq(err.message,
                     "[PEM: NO_START_LINE] no start line: text is UTF-16 text, not PEM");
    free(text);
}
END_TEST

START_TEST(pem__der_is_named)
{
    struct evtls_error err;
    char found[16];
    size_t len;
    const unsigned char *der = pki_cert_der(ident, &len);

    ck_assert_int_eq(read_text(found, sizeof(found), der, len, &err), EVTLS_ERR_CONFIG);
    ck_assert_str_eq(err.message, "[PEM: NO_START_LINE] no start line: text is DER, not PEM");
}
END_TEST

static char *cert_block(const char *label, const unsigned char *der, size_t len)
{
    char *text = malloc(len * 2 + 256), *end;

    end = text + sprintf(text, "-----BEGIN %s-----\n", label);
    for (size_t i = 0; i < len; i += 48) {
        size_t part = len - i < 48 ? len - i : 48;

        end += EVP_EncodeBlock((unsigned char *)end, der + i, (int)part);
        *end++ = '\n';
    }
    sprintf(end, "-----END %s-----\n", label);
    return text;
}

START_TEST(pem__bytes_behind_a_certificate_are_refused)
{
    size_t len;
    const unsigned char *der = pki_cert_der(ident, &len);
    unsigned char *more = malloc(len + 1);
    struct evtls_error err;
    char found[16], *text;

    memcpy(more, der, len);
    more[len] = 0;
    text = cert_block("CERTIFICATE", more, len + 1);
    ck_assert_int_eq(read_text(found, sizeof(found), text, strlen(text), &err), EVTLS_ERR_CONFIG);
    ck_assert_msg(strstr(err.message, "certificate 1 in text has more bytes") != NULL, "%s",
                  err.message);
    free(text);
    text = cert_block("TRUSTED CERTIFICATE", more, len + 1);
    ck_assert_int_eq(read_text(found, sizeof(found), text, strlen(text), &err), EVTLS_ERR_CONFIG);
    free(text);
    text = cert_block("TRUSTED CERTIFICATE", der, len);
    ck_assert_int_eq(read_text(found, sizeof(found), text, strlen(text), &err), 0);
    ck_assert_str_eq(found, "T");
    free(text);
    free(more);
}
END_TEST

/* B2: cut at every byte: never a crash, never a certificate out of half a one. */
START_TEST(pem__cut_anywhere_is_never_taken_for_less)
{
    size_t len, first = strlen(pki_cert_pem(ident));
    char *text = expand("@@", &len);

    for (size_t cut = 0; cut < len; cut++) {
        /* An exact copy, so that a sanitizer sees a read beyond it. */
        char *copy = malloc(cut > 0 ? cut : 1), found[16];
        struct evtls_error err;
        int status;

        memcpy(copy, text, cut);
        status = read_text(found, sizeof(found), copy, cut, &err);
        if (cut >= strlen("BEGIN ") && cut < first - 1)
            ck_assert_int_eq(status, EVTLS_ERR_CONFIG);
        else if (cut > first + strlen("-----") && cut < len - 1)
            ck_assert_int_eq(status, EVTLS_ERR_CONFIG);
        else if (cut >= first - 1)
            ck_assert_int_eq(status, 0);
        ck_assert_str_eq(found, cut < first - 1 ? "" : cut < len - 1 ? "C" : "CC");
        free(copy);
    }
    free(text);
}
END_TEST

/* Bytes changed at random, from a fixed seed: no crash, and each answer is 0 or CONFIG. */
START_TEST(pem__changed_bytes_do_no_harm)
{
    unsigned seed = (unsigned)_i * 7919u + 1;
    size_t len;
    char *text = expand("@^~", &len), found[16];

    for (int round = 0; round < 200; round++) {
        char *copy = malloc(len);
        struct evtls_error err;
        int status;

        memcpy(copy, text, len);
        for (int i = 0; i <= round % 4; i++) {
            seed = seed * 1103515245u + 12345u;
            copy[(seed >> 8) % len] = (char)(seed >> 3);
        }
        status = read_text(found, sizeof(found), copy, len, &err);
        ck_assert(status == 0 || status == EVTLS_ERR_CONFIG);
        free(copy);
    }
    free(text);
}
END_TEST

static Suite *pem_suite(void)
{
    Suite *suite = suite_create("pem");
    TCase *tcase = tcase_create("pem");

    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, pem__blocks_are_found_or_refused_by_number, 0, COUNT(texts));
    tcase_add_test(tcase, pem__lines_may_end_as_on_windows);
    tcase_add_test(tcase, pem__last_line_may_lack_its_end);
    tcase_add_test(tcase, pem__one_long_line_of_base64);
    tcase_add_loop_test(tcase, pem__utf16_is_named, 0, 4);
    tcase_add_test(tcase, pem__der_is_named);
    tcase_add_test(tcase, pem__bytes_behind_a_certificate_are_refused);
    tcase_add_test(tcase, pem__cut_anywhere_is_never_taken_for_less);
    tcase_add_loop_test(tcase, pem__changed_bytes_do_no_harm, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(pem_suite());
}
