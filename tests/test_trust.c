#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "library.h"
#include "support/pki.h"
#include "support/suite.h"
#include "support/tmpdir.h"
#include "support/trust_verify.h"
#include "trust.h"

static struct pki *pki;
static struct tmpdir *dir;
static struct pki_ident *leaf, *revoked, *foreign;

static void set_up(void)
{
    ck_assert_int_eq(evtls_library_init(NULL), 0);
    pki = pki_new();
    leaf = pki_issue(pki, &(struct pki_spec){0});
    foreign = pki_issue(pki, &(struct pki_spec){.by = PKI_BY_OTHER});
    revoked = pki_issue(pki, &(struct pki_spec){.by = PKI_BY_ROOT});
    pki_revoke(revoked);
}

static void tear_down(void)
{
    pki_free(pki);
}

static void make_dir(void)
{
    dir = tmpdir_new();
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
}

static void free_dir(void)
{
    tmpdir_free(dir);
}

/* ---- Help ------------------------------------------------------------------------------- */

/* O4: a certificate in OpenSSL's own form, trusted or rejected for one purpose. */
static const char *trusted_pem(struct pki_ident *ident, int nid, bool reject)
{
    X509 *x509 = X509_dup(pki_cert(ident));
    BIO *bio = BIO_new(BIO_s_mem());

    if (reject)
        X509_add1_reject_object(x509, OBJ_nid2obj(nid));
    else
        X509_add1_trust_object(x509, OBJ_nid2obj(nid));
    PEM_write_bio_X509_AUX(bio, x509);
    X509_free(x509);
    return pki_keep_text(bio);
}

/*
 * @ and a letter: R the root, O the other root, L a leaf, C a revocation list of the root, K a key,
 * E the root trusted for e-mail alone, J the root and j the leaf rejected for servers, c the root
 * cut, b broken.
 */
static const char *part_of(char letter)
{
    switch (letter) {
    case 'R':
    case 'c':
        return pki_cert_pem(pki_root(pki));
    case 'O':
        return pki_cert_pem(pki_other_root(pki));
    case 'L':
        return pki_cert_pem(leaf);
    case 'C':
        return pki_crl_pem(pki_root(pki), 0, 0);
    case 'K':
        return pki_key_pem(leaf);
    case 'E':
        return trusted_pem(pki_root(pki), NID_email_protect, false);
    case 'J':
        return trusted_pem(pki_root(pki), NID_server_auth, true);
    case 'j':
        return trusted_pem(leaf, NID_server_auth, true);
    case 'b':
        return "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    }
    return NULL;
}

static const char *expand(const char *pattern)
{
    BIO *bio = BIO_new(BIO_s_mem());

    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '@') {
            BIO_write(bio, pattern, 1);
        } else {
            const char *text = part_of(*++pattern);

            ck_assert_ptr_nonnull(text);
            BIO_write(
                bio, text,
                (int)(*pattern == 'c' ? strstr(text, "-----END") - text : (long)strlen(text)));
        }
    }
    return pki_keep_text(bio);
}

static struct evtls_trust *load(const char *pattern)
{
    struct evtls_trust *trust = NULL;
    struct evtls_error err;
    const char *text = expand(pattern);

    ck_assert_msg(evtls_trust_add_data(&trust, text, strlen(text), &err) == 0, "%s", err.message);
    return trust;
}

/* ---- PEM -------------------------------------------------------------------------------- */

static const struct {
    const char *label, *pattern;
    size_t certificates, crls;
    int code; /* of the leaf below the root */
} good[] = {
    {"one", "@R", 1, 0, X509_V_OK},
    {"X13 several", "@O@R", 2, 0, X509_V_OK},
    {"X13 text between", "junk\n@O# more\n\n@R-- end", 2, 0, X509_V_OK},
    {"B7 duplicates", "@R@R@O@R", 2, 0, X509_V_OK},
    {"another root", "@O", 1, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
    {"X13 list only", "@C", 0, 1, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
    {"certificate and list", "@R@C", 1, 1, X509_V_OK},
    {"a key is passed over", "@K@R", 1, 0, X509_V_OK},
    {"the leaf itself", "@L", 1, 0, X509_V_OK},
    {"O4 trusted for e-mail", "@E", 1, 0, X509_V_ERR_CERT_REJECTED},
    {"O4 rejected", "@J", 1, 0, X509_V_ERR_CERT_REJECTED},
    {"O4 leaf rejected, root trusted", "@R@j", 2, 0, X509_V_OK},
    {"O4 leaf rejected", "@j", 1, 0, X509_V_ERR_CERT_REJECTED},
};

static void check_good(const struct evtls_trust *trust, size_t row)
{
    ck_assert_uint_eq(evtls_trust_get_num_certificates(trust), good[row].certificates);
    ck_assert_uint_eq(evtls_trust_get_num_crls(trust), good[row].crls);
    ck_assert_int_eq(evtls_trust_is_empty(trust), good[row].certificates == 0);
    ck_assert_msg(trust_verify(trust, leaf, 0) == good[row].code, "%s: %d", good[row].label,
                  trust_verify(trust, leaf, 0));
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(trust__pem_of_a_file)
{
    const char *path = tmpdir_write_text(dir, "ca.pem", expand(good[_i].pattern));
    struct evtls_trust *trust = NULL;
    struct evtls_error err;

    ck_assert_msg(evtls_trust_add_file(&trust, path, &err) == 0, "%s: %s", good[_i].label,
                  err.message);
    ck_assert_int_eq(err.status, 0);
    check_good(trust, (size_t)_i);
    evtls_trust_free(trust);
}
END_TEST

START_TEST(trust__pem_of_data)
{
    struct evtls_trust *trust = load(good[_i].pattern);

    check_good(trust, (size_t)_i);
    evtls_trust_free(trust);
}
END_TEST

/* B7: 200 certificates, the one that counts at the end. */
START_TEST(trust__two_hundred_certificates)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct evtls_trust *trust = NULL;
    const char *text;

    for (int i = 0; i < 199; i++) {
        char cn[16];

        snprintf(cn, sizeof(cn), "Root %d", i);
        BIO_puts(bio, pki_cert_pem(pki_issue(
                          pki, &(struct pki_spec){.by = PKI_BY_SELF, .ca = true, .cn = cn})));
    }
    BIO_puts(bio, pki_cert_pem(pki_root(pki)));
    text = pki_keep_text(bio);
    ck_assert_int_eq(evtls_trust_add_data(&trust, text, strlen(text), NULL), 0);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(trust), 200);
    ck_assert_int_eq(trust_verify(trust, leaf, 0), X509_V_OK);
    evtls_trust_free(trust);
}
END_TEST

static const struct {
    const char *label, *pattern, *reason, *words;
} bad[] = {
    {"B7 empty", "", "NO_START_LINE", "is empty"},
    {"B7 garbage", "garbage\n", "NO_START_LINE", "no PEM block"},
    {"B7 no certificate", "@K", "NO_START_LINE", "no certificate or CRL"},
    {"B7 one bad in the middle", "@R@b@O", NULL, "certificate 2 in"},
    {"cut at the end", "@O@c", "BAD_END_LINE", "certificate 2 in"},
    {"cut in the middle", "@O@c@R", "BAD_END_LINE", "certificate 2 in"},
    {"bad list", "@R-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", NULL, "CRL 1 in"},
};

/* X25: nothing of a refused text is taken, and the handle is what it was. */
START_TEST(trust__refuses_pem_with_place_and_reason)
{
    const char *text = expand(bad[_i].pattern), *path = tmpdir_write_text(dir, "ca.pem", text);
    struct evtls_trust *trust = load("@O"), *before = trust;
    struct evtls_error err;

    ck_assert_int_eq(evtls_trust_add_file(&trust, path, &err), EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.status, EVTLS_ERR_CONFIG);
    ck_assert_msg(strstr(err.message, path) != NULL, "%s: %s", bad[_i].label, err.message);
    ck_assert_msg(strstr(err.message, bad[_i].words) != NULL, "%s: %s", bad[_i].label, err.message);
    if (bad[_i].reason != NULL)
        ck_assert_str_eq(err.reason, bad[_i].reason);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ck_assert_ptr_eq(trust, before);
    ck_assert_int_eq(evtls_trust_add_data(&trust, text, strlen(text), &err),
                     text[0] != '\0' ? EVTLS_ERR_CONFIG : EVTLS_ERR_USAGE);
    ck_assert_ptr_eq(trust, before);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(trust), 1);
    ck_assert_int_eq(trust_verify(trust, foreign, 0), X509_V_OK);
    ck_assert_int_ne(trust_verify(trust, leaf, 0), X509_V_OK);
    evtls_trust_free(trust);
}
END_TEST

START_TEST(trust__a_file_that_cannot_be_read_has_an_errno)
{
    const char *missing = tmpdir_path(dir, "none.pem");
    struct evtls_trust *trust = NULL;
    struct evtls_error err;

    ck_assert_int_eq(evtls_trust_add_file(&trust, missing, &err), EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.sys_errno, ENOENT);
    ck_assert_ptr_nonnull(strstr(err.message, missing));
    ck_assert_int_eq(evtls_trust_add_file(&trust, tmpdir_root(dir), &err), EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.sys_errno, EISDIR);
    ck_assert_ptr_null(trust);
}
END_TEST

START_TEST(trust__nothing_to_add_is_usage)
{
    struct evtls_trust *trust = NULL;

    ck_assert_int_eq(evtls_trust_add_file(&trust, NULL, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_trust_add_file(&trust, "", NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_trust_add_dir(&trust, NULL, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_trust_add_dir(&trust, "", NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_trust_add_data(&trust, NULL, 5, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_trust_add_data(&trust, "x", 0, NULL), EVTLS_ERR_USAGE);
    ck_assert_ptr_null(trust);
}
END_TEST

/* ---- DER -------------------------------------------------------------------------------- */

/* R root, O other root; x a byte behind; a digit cuts as many tenths of the next certificate. */
static unsigned char *der_of(const char *pattern, size_t *len)
{
    unsigned char *all = malloc(65536);

    for (*len = 0; *pattern != '\0'; pattern++) {
        size_t part, tenths = 10;
        const unsigned char *der;

        if (*pattern == 'x') {
            all[(*len)++] = 0;
            continue;
        }
        if (*pattern >= '0' && *pattern <= '9')
            tenths = (size_t)(*pattern++ - '0');
        der = pki_cert_der(*pattern == 'R' ? pki_root(pki) : pki_other_root(pki), &part);
        memcpy(all + *len, der, part * tenths / 10);
        *len += part * tenths / 10;
    }
    return all;
}

static const struct {
    const char *label, *pattern;
    int status;
    size_t certificates;
    const char *words;
} ders[] = {
    {"one", "R", 0, 1, NULL},
    {"X13 several", "ROR", 0, 2, NULL},
    {"X13 a byte behind", "Rx", EVTLS_ERR_CONFIG, 0, "certificate 2 in CA data"},
    {"X13 a byte between", "RxO", EVTLS_ERR_CONFIG, 0, "certificate 2 in CA data"},
    {"X13 cut", "5R", EVTLS_ERR_CONFIG, 0, "certificate 1 in CA data is cut"},
    {"second cut", "R9O", EVTLS_ERR_CONFIG, 0, "certificate 2 in CA data is cut"},
};

START_TEST(trust__der_of_data)
{
    size_t len;
    unsigned char *der = der_of(ders[_i].pattern, &len), *copy = malloc(len);
    struct evtls_trust *trust = NULL;
    struct evtls_error err;
    int status;

    memcpy(copy, der, len);
    status = evtls_trust_add_data(&trust, copy, len, &err);
    ck_assert_msg(status == ders[_i].status, "%s: %s", ders[_i].label, err.message);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(trust), ders[_i].certificates);
    if (ders[_i].words != NULL)
        ck_assert_msg(strstr(err.message, ders[_i].words) != NULL, "%s: %s", ders[_i].label,
                      err.message);
    else
        ck_assert_int_eq(trust_verify(trust, leaf, 0), X509_V_OK);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    evtls_trust_free(trust);
    free(copy);
    free(der);
}
END_TEST

START_TEST(trust__der_file_is_refused)
{
    size_t len;
    const unsigned char *der = pki_cert_der(pki_root(pki), &len);
    struct evtls_trust *trust = NULL;
    struct evtls_error err;

    ck_assert_int_eq(evtls_trust_add_file(&trust, tmpdir_write(dir, "ca.der", der, len), &err),
                     EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "is DER, not PEM"));
}
END_TEST

START_TEST(trust__changed_bytes_do_no_harm)
{
    unsigned seed = (unsigned)_i + 1;
    size_t len;
    unsigned char *der = der_of("RO", &len);

    for (int round = 0; round < 300; round++) {
        unsigned char *copy = malloc(len);
        struct evtls_trust *trust = NULL;
        int status;

        memcpy(copy, der, len);
        seed = seed * 1103515245u + 12345u;
        copy[(seed >> 8) % len] = (unsigned char)(seed >> 3);
        status = evtls_trust_add_data(&trust, copy, len - (seed >> 4) % 3, NULL);
        ck_assert(status == 0 || status == EVTLS_ERR_CONFIG);
        ck_assert((trust != NULL) == (status == 0));
        evtls_trust_free(trust);
        free(copy);
    }
    free(der);
}
END_TEST

/* ---- Revocation lists and directories --------------------------------------------------- */

START_TEST(trust__a_list_revokes)
{
    struct evtls_trust *trust = load("@R");

    ck_assert_int_eq(trust_verify(trust, revoked, 0), X509_V_OK);
    ck_assert_int_eq(trust_verify(trust, revoked, X509_V_FLAG_CRL_CHECK),
                     X509_V_ERR_UNABLE_TO_GET_CRL);
    evtls_trust_free(trust);
    trust = load("@R@C");
    ck_assert_int_eq(trust_verify(trust, revoked, X509_V_FLAG_CRL_CHECK), X509_V_ERR_CERT_REVOKED);
    evtls_trust_free(trust);
}
END_TEST

static void write_hashed(const char *folder, struct pki_ident *ident, const char *suffix,
                         const char *text)
{
    unsigned long hash =
        X509_NAME_hash_ex(X509_get_subject_name(pki_cert(ident)), NULL, NULL, NULL);
    char name[64];

    snprintf(name, sizeof(name), "%s/%08lx.%s", folder, hash, suffix);
    tmpdir_write_text(dir, name, text);
}

START_TEST(trust__a_directory_is_looked_into_when_needed)
{
    const char *path = tmpdir_mkdir(dir, "certs");
    struct evtls_trust *trust = NULL;

    ck_assert_int_eq(evtls_trust_add_dir(&trust, path, NULL), 0);
    ck_assert(evtls_trust_is_empty(trust));
    ck_assert_int_ne(trust_verify(trust, leaf, 0), X509_V_OK);
    tmpdir_write_text(dir, "certs/README", "x");
    tmpdir_write_text(dir, "certs/1234567.0", "x");
    ck_assert(evtls_trust_is_empty(trust));
    write_hashed("certs", pki_root(pki), "0", pki_cert_pem(pki_root(pki)));
    write_hashed("certs", pki_root(pki), "r0", pki_crl_pem(pki_root(pki), 0, 0));
    ck_assert(!evtls_trust_is_empty(trust));
    ck_assert_int_eq(trust_verify(trust, leaf, 0), X509_V_OK);
    ck_assert_int_eq(trust_verify(trust, revoked, X509_V_FLAG_CRL_CHECK), X509_V_ERR_CERT_REVOKED);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(trust), 0);
    evtls_trust_free(trust);
}
END_TEST

START_TEST(trust__a_directory_that_is_missing_is_no_error)
{
    struct evtls_trust *trust = NULL;

    ck_assert_int_eq(evtls_trust_add_dir(&trust, tmpdir_path(dir, "none"), NULL), 0);
    ck_assert(evtls_trust_is_empty(trust));
    evtls_trust_free(trust);
}
END_TEST

/* ---- Handles ---------------------------------------------------------------------------- */

START_TEST(trust__a_shared_one_stays_as_it_is)
{
    struct evtls_trust *one = load("@O"), *two = evtls_trust_incref(one);
    const char *root = pki_cert_pem(pki_root(pki));

    ck_assert_int_eq(evtls_trust_add_data(&two, root, strlen(root), NULL), 0);
    ck_assert_ptr_ne(one, two);
    ck_assert_int_ne(trust_verify(one, leaf, 0), X509_V_OK);
    ck_assert_int_eq(trust_verify(two, leaf, 0), X509_V_OK);
    ck_assert_int_eq(trust_verify(two, foreign, 0), X509_V_OK);
    evtls_trust_free(one);
    ck_assert_int_eq(trust_verify(two, foreign, 0), X509_V_OK);
    evtls_trust_free(two);
}
END_TEST

START_TEST(trust__null_trusts_nobody)
{
    unsigned char digest[EVTLS_TRUST_DIGEST_LENGTH];
    static const unsigned char zeros[EVTLS_TRUST_DIGEST_LENGTH];

    ck_assert_int_eq(trust_verify(NULL, leaf, 0), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    ck_assert(evtls_trust_is_empty(NULL));
    ck_assert_uint_eq(evtls_trust_get_num_certificates(NULL), 0);
    ck_assert_uint_eq(evtls_trust_get_num_crls(NULL), 0);
    evtls_trust_get_digest(NULL, digest);
    ck_assert_int_eq(memcmp(digest, zeros, sizeof(digest)), 0);
    ck_assert_ptr_null(evtls_trust_incref(NULL));
    evtls_trust_free(NULL);
}
END_TEST

/* The digest of two trusts, made of patterns and, behind a slash, a directory. */
static void digest_of(const char *pattern, const char *folder,
                      unsigned char digest[EVTLS_TRUST_DIGEST_LENGTH])
{
    struct evtls_trust *trust = load(pattern);

    if (folder != NULL)
        ck_assert_int_eq(evtls_trust_add_dir(&trust, folder, NULL), 0);
    evtls_trust_get_digest(trust, digest);
    evtls_trust_free(trust);
}

static const struct {
    const char *one, *one_dir, *two, *two_dir;
    bool equal;
} digests[] = {
    {"@R@O", NULL, "@O@R", NULL, true}, {"@R", NULL, "@R@R", NULL, true},
    {"@R", NULL, "@O", NULL, false},    {"@R", NULL, "@R@O", NULL, false},
    {"@R", NULL, "@R@C", NULL, false},  {"@R", NULL, "@J", NULL, false},
    {"@R", "/a", "@R", "/a", true},     {"@R", "/a", "@R", "/b", false},
    {"@R", "/a", "@R", NULL, false},
};

START_TEST(trust__digest_is_of_the_content)
{
    unsigned char one[EVTLS_TRUST_DIGEST_LENGTH], two[EVTLS_TRUST_DIGEST_LENGTH];

    digest_of(digests[_i].one, digests[_i].one_dir, one);
    digest_of(digests[_i].two, digests[_i].two_dir, two);
    ck_assert_int_eq(memcmp(one, two, sizeof(one)) == 0, digests[_i].equal);
}
END_TEST

START_TEST(trust__names_for_clients_are_those_of_files_and_data)
{
    struct evtls_trust *trust = load("@R@O@R@C");
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());
    STACK_OF(X509_NAME) * names;
    const char *renewed = pki_cert_pem(pki_issue(
        pki, &(struct pki_spec){.by = PKI_BY_SELF, .ca = true, .cn = "Test Root", .org = "Test"}));

    setenv("SSL_CERT_FILE", tmpdir_write_text(dir, "system.pem", expand("@L")), 1);
    setenv("SSL_CERT_DIR", tmpdir_path(dir, "none"), 1);
    ck_assert_int_eq(evtls_trust_add_system(&trust, NULL), 0);
    ck_assert_int_eq(evtls_trust_add_data(&trust, renewed, strlen(renewed), NULL), 0);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(trust), 4);
    ck_assert_int_eq(evtls_trust_use_client_ca_names(trust, ssl_ctx, NULL), 0);
    names = SSL_CTX_get_client_CA_list(ssl_ctx);
    ck_assert_int_eq(sk_X509_NAME_num(names), 2);
    ck_assert_int_eq(
        X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(pki_cert(pki_root(pki)))),
        0);
    ck_assert_int_eq(evtls_trust_use_client_ca_names(NULL, ssl_ctx, NULL), 0);
    ck_assert_int_eq(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(ssl_ctx)), 0);
    evtls_trust_free(trust);
    SSL_CTX_free(ssl_ctx);
}
END_TEST

static Suite *trust_suite(void)
{
    Suite *suite = suite_create("trust");
    TCase *tcase = tcase_create("trust");

    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_checked_fixture(tcase, make_dir, free_dir);
    tcase_add_loop_test(tcase, trust__pem_of_a_file, 0, COUNT(good));
    tcase_add_loop_test(tcase, trust__pem_of_data, 0, COUNT(good));
    tcase_add_test(tcase, trust__two_hundred_certificates);
    tcase_add_loop_test(tcase, trust__refuses_pem_with_place_and_reason, 0, COUNT(bad));
    tcase_add_test(tcase, trust__a_file_that_cannot_be_read_has_an_errno);
    tcase_add_test(tcase, trust__nothing_to_add_is_usage);
    tcase_add_loop_test(tcase, trust__der_of_data, 0, COUNT(ders));
    tcase_add_test(tcase, trust__der_file_is_refused);
    tcase_add_loop_test(tcase, trust__changed_bytes_do_no_harm, 0, 3);
    tcase_add_test(tcase, trust__a_list_revokes);
    tcase_add_test(tcase, trust__a_directory_is_looked_into_when_needed);
    tcase_add_test(tcase, trust__a_directory_that_is_missing_is_no_error);
    tcase_add_test(tcase, trust__a_shared_one_stays_as_it_is);
    tcase_add_test(tcase, trust__null_trusts_nobody);
    tcase_add_loop_test(tcase, trust__digest_is_of_the_content, 0, COUNT(digests));
    tcase_add_test(tcase, trust__names_for_clients_are_those_of_files_and_data);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(trust_suite());
}
