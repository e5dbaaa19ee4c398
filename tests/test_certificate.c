#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certificate.h"
#include "support/pki.h"
#include "support/suite.h"

static struct pki *pki;

static void set_up(void)
{
    pki = pki_new();
}

static void tear_down(void)
{
    pki_free(pki);
}

static struct evtls_certificate *wrap(struct pki_ident *ident)
{
    struct evtls_certificate *certificate = evtls_certificate_from_x509(pki_cert(ident));

    ck_assert_ptr_nonnull(certificate);
    return certificate;
}

/* FO-20, B38: what reaches a terminal is printable ASCII, and no two names look alike. */
static const struct {
    const char *label, *cn;
    size_t cn_len;
    const char *org, *subject;
} subjects[] = {
    {"order", "a.test", 0, "Example", "CN=a.test,O=Example"},
    {"empty", "", 0, NULL, ""},
    {"special characters", "a,b+c\"d<e>f;g", 0, NULL, "CN=a\\,b\\+c\\\"d\\<e\\>f\\;g"},
    {"leading and trailing", "# a ", 0, NULL, "CN=\\# a\\ "},
    {"backslash", "a\\x41", 0, NULL, "CN=a\\x5cx41"},
    {"B38 NUL", "a\0b", 3, NULL, "CN=a\\x00b"},
    {"FO-20 escape", "\033[31mred", 0, NULL, "CN=\\x1b[31mred"},
    {"FO-20 lines", "a\r\nb\x7f", 0, NULL, "CN=a\\x0d\\x0ab\\x7f"},
    {"FO-20 bidi", "x\xe2\x80\xaegnp", 0, NULL, "CN=x\\xe2\\x80\\xaegnp"},
    {"UTF-8",
     "b\xc3\xbc"
     "cher",
     0, NULL, "CN=b\\xc3\\xbccher"},
};

START_TEST(certificate__names_are_safe_to_print)
{
    struct pki_spec spec = {
        .cn = subjects[_i].cn, .cn_len = subjects[_i].cn_len, .org = subjects[_i].org};
    struct evtls_certificate *certificate = wrap(pki_issue(pki, &spec));
    const char *subject = evtls_certificate_get_subject(certificate);

    ck_assert_msg(strcmp(subject, subjects[_i].subject) == 0, "%s: %s", subjects[_i].label,
                  subject);
    ck_assert_ptr_eq(evtls_certificate_get_subject(certificate), subject);
    evtls_certificate_free(certificate);
}
END_TEST

START_TEST(certificate__issuer_is_that_of_the_issuer)
{
    struct evtls_certificate *leaf = wrap(pki_issue(pki, &(struct pki_spec){0}));
    struct evtls_certificate *intermediate = wrap(pki_intermediate(pki));

    ck_assert_str_ne(evtls_certificate_get_issuer(leaf), "");
    ck_assert_str_eq(evtls_certificate_get_issuer(leaf),
                     evtls_certificate_get_subject(intermediate));
    evtls_certificate_free(leaf);
    evtls_certificate_free(intermediate);
}
END_TEST

static const struct {
    const char *asn1;
    int64_t seconds;
} times[] = {
    {"19700101000000Z", 0},
    {"19700101000001Z", 1},
    {"19691231235959Z", -1},
    {"20000229120000Z", 951825600},
    {"20000301000000Z", 951868800},
    {"20380119031408Z", 2147483648LL},
    {"20991231235959Z", 4102444799LL},
    {"99991231235959Z", 253402300799LL},
    {"19500101000000Z", -631152000},
};

START_TEST(certificate__times_are_seconds_since_1970)
{
    X509 *x509 = X509_new();
    struct evtls_certificate *certificate;

    ck_assert_int_eq(ASN1_TIME_set_string_X509(X509_getm_notBefore(x509), times[_i].asn1), 1);
    ck_assert_int_eq(ASN1_TIME_set_string_X509(X509_getm_notAfter(x509), times[_i].asn1), 1);
    certificate = evtls_certificate_from_x509(x509);
    ck_assert_int_eq(evtls_certificate_get_not_before(certificate), times[_i].seconds);
    ck_assert_int_eq(evtls_certificate_get_not_after(certificate), times[_i].seconds);
    evtls_certificate_free(certificate);
    X509_free(x509);
}
END_TEST

START_TEST(certificate__without_times_answers_zero)
{
    X509 *x509 = X509_new();
    struct evtls_certificate *certificate = evtls_certificate_from_x509(x509);

    ck_assert_int_eq(evtls_certificate_get_not_after(certificate), 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    evtls_certificate_free(certificate);
    X509_free(x509);
}
END_TEST

START_TEST(certificate__pem_and_digest_are_openssl_s)
{
    struct pki_ident *ident = pki_issue(pki, &(struct pki_spec){0});
    struct evtls_certificate *certificate = wrap(ident);
    unsigned char digest[32];
    char hex[65];
    size_t der_len, pem_len = 0;
    const unsigned char *der = pki_cert_der(ident, &der_len);

    EVP_Digest(der, der_len, digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    ck_assert_str_eq(evtls_certificate_get_sha256(certificate), hex);
    ck_assert_str_eq(evtls_certificate_get_pem(certificate, &pem_len), pki_cert_pem(ident));
    ck_assert_uint_eq(pem_len, strlen(pki_cert_pem(ident)));
    ck_assert_ptr_eq(evtls_certificate_get_pem(certificate, NULL),
                     evtls_certificate_get_pem(certificate, NULL));
    evtls_certificate_free(certificate);
}
END_TEST

START_TEST(certificate__null_answers_none)
{
    size_t len = 7;

    ck_assert_str_eq(evtls_certificate_get_subject(NULL), "");
    ck_assert_str_eq(evtls_certificate_get_issuer(NULL), "");
    ck_assert_str_eq(evtls_certificate_get_sha256(NULL), "");
    ck_assert_str_eq(evtls_certificate_get_pem(NULL, &len), "");
    ck_assert_uint_eq(len, 0);
    ck_assert_int_eq(evtls_certificate_get_not_before(NULL), 0);
    ck_assert_int_eq(evtls_certificate_get_not_after(NULL), 0);
    ck_assert_ptr_null(evtls_certificate_incref(NULL));
    ck_assert_ptr_null(evtls_certificate_from_x509(NULL));
    ck_assert_ptr_null(evtls_certificate_get_x509(NULL));
    evtls_certificate_free(NULL);
}
END_TEST

START_TEST(certificate__lives_as_long_as_a_reference)
{
    struct pki *own = pki_new();
    struct evtls_certificate *certificate = wrap(pki_issue(own, &(struct pki_spec){0}));

    pki_free(own);
    ck_assert_ptr_eq(evtls_certificate_incref(certificate), certificate);
    evtls_certificate_free(certificate);
    ck_assert_str_eq(evtls_certificate_get_subject(certificate), "CN=localhost");
    evtls_certificate_free(certificate);
}
END_TEST

static const struct {
    struct pki_spec spec;
    const char *text, *issued; /* as the issuer of another */
} descriptions[] = {
    {{.cn = "a.test", .ca = true}, "CN=a.test", "CN=a.test"},
    {{.cn = "", .san = "IP:::1,DNS:b.test", .ca = true}, "b.test", "(no name)"},
    {{.cn = "", .san = "", .ca = true}, "(no name)", "(no name)"},
    {{.cn = "a-name-that-is-longer-than-the-buffer", .ca = true},
     "CN=a-name-that-is-longer-tha...",
     "CN=a-name-that-is-longer-tha..."},
};

START_TEST(certificate__is_described_in_one_line)
{
    struct pki_ident *ca = pki_issue(pki, &descriptions[_i].spec);
    char text[32];

    evtls_x509_describe(text, sizeof(text), pki_cert(ca));
    ck_assert_str_eq(text, descriptions[_i].text);
    evtls_x509_describe_issuer(text, sizeof(text),
                               pki_cert(pki_issue(pki, &(struct pki_spec){.issuer = ca})));
    ck_assert_str_eq(text, descriptions[_i].issued);
}
END_TEST

struct race {
    struct evtls_certificate *certificate;
    pthread_barrier_t barrier;
};

static void *ask(void *arg)
{
    struct race *race = arg;
    const char *subject;

    pthread_barrier_wait(&race->barrier);
    evtls_certificate_incref(race->certificate);
    evtls_certificate_get_pem(race->certificate, NULL);
    subject = evtls_certificate_get_subject(race->certificate);
    evtls_certificate_free(race->certificate);
    return (void *)subject;
}

START_TEST(certificate__threads_see_one_text)
{
    struct race race = {.certificate = wrap(pki_issue(pki, &(struct pki_spec){0}))};
    pthread_t threads[4];

    pthread_barrier_init(&race.barrier, NULL, COUNT(threads));
    for (size_t i = 0; i < COUNT(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &race), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *subject;

        pthread_join(threads[i], &subject);
        ck_assert_ptr_eq(subject, evtls_certificate_get_subject(race.certificate));
    }
    pthread_barrier_destroy(&race.barrier);
    evtls_certificate_free(race.certificate);
}
END_TEST

static Suite *certificate_suite(void)
{
    Suite *suite = suite_create("certificate");
    TCase *tcase = tcase_create("certificate");

    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, certificate__names_are_safe_to_print, 0, COUNT(subjects));
    tcase_add_test(tcase, certificate__issuer_is_that_of_the_issuer);
    tcase_add_loop_test(tcase, certificate__times_are_seconds_since_1970, 0, COUNT(times));
    tcase_add_test(tcase, certificate__without_times_answers_zero);
    tcase_add_test(tcase, certificate__pem_and_digest_are_openssl_s);
    tcase_add_test(tcase, certificate__null_answers_none);
    tcase_add_test(tcase, certificate__lives_as_long_as_a_reference);
    tcase_add_loop_test(tcase, certificate__is_described_in_one_line, 0, COUNT(descriptions));
    tcase_add_test(tcase, certificate__threads_see_one_text);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(certificate_suite());
}
