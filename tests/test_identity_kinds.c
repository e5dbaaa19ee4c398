#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "identity.h"
#include "library.h"
#include "support/pki.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static struct pki *pki;
static struct tmpdir *dir;
static struct pki_ident *leaf;
/* Never looked into. */
static struct evtls_identity *const untouched = (struct evtls_identity *)&leaf;

static void set_up(void)
{
    ck_assert_int_eq(evtls_library_init(NULL), 0);
    pki = pki_new();
    dir = tmpdir_new();
    leaf = pki_issue(pki, &(struct pki_spec){0});
}

static void tear_down(void)
{
    tmpdir_free(dir);
    pki_free(pki);
}

static EVP_PKEY *dsa_key(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    EVP_PKEY *parameters = NULL, *key = NULL;

    EVP_PKEY_paramgen_init(ctx);
    EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024);
    ck_assert_int_eq(EVP_PKEY_paramgen(ctx, &parameters), 1);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new(parameters, NULL);
    EVP_PKEY_keygen_init(ctx);
    ck_assert_int_eq(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(parameters);
    return key;
}

/* B5, B6, B10: status, and the kind where it loads. */
static const struct strength {
    const char *label;
    struct pki_spec issuer, spec; /* issuer.ca false: the intermediate */
    const char *curve;            /* a key of this curve, or "DSA" */
    int status;
    enum evtls_identity_kind kind;
    const char *reason, *words;
} strengths[] = {
    {.label = "P-256", .kind = EVTLS_IDENTITY_EC},
    {.label = "P-384", .spec.key_kind = PKI_KEY_P384, .kind = EVTLS_IDENTITY_EC},
    {.label = "P-224", .curve = "P-224", .kind = EVTLS_IDENTITY_EC},
    {.label = "RSA 2048", .spec.key_kind = PKI_KEY_RSA_2048, .kind = EVTLS_IDENTITY_RSA},
    {.label = "B10 RSA-PSS", .spec.key_kind = PKI_KEY_RSA_PSS, .kind = EVTLS_IDENTITY_RSA},
    {.label = "B10 Ed25519", .spec.key_kind = PKI_KEY_ED25519, .kind = EVTLS_IDENTITY_EDDSA},
    {.label = "SHA-384", .spec.digest = PKI_SHA384, .kind = EVTLS_IDENTITY_EC},
    {.label = "B10 DSA",
     .curve = "DSA",
     .status = EVTLS_ERR_CONFIG,
     .reason = "UNKNOWN_CERTIFICATE_TYPE",
     .words = "certificate 1 in"},
    {.label = "B5 RSA 1024",
     .spec.key_kind = PKI_KEY_RSA_1024,
     .status = EVTLS_ERR_CONFIG,
     .reason = "EE_KEY_TOO_SMALL",
     .words = "1024 bits"},
    {.label = "B5 P-192",
     .curve = "P-192",
     .status = EVTLS_ERR_CONFIG,
     .reason = "EE_KEY_TOO_SMALL",
     .words = "192 bits"},
    {.label = "B5 issuer RSA 1024",
     .issuer = {.ca = true, .key_kind = PKI_KEY_RSA_1024},
     .status = EVTLS_ERR_CONFIG,
     .reason = "CA_KEY_TOO_SMALL",
     .words = "certificate 2 in"},
    {.label = "B6 SHA-1",
     .spec.digest = PKI_SHA1,
     .status = EVTLS_ERR_CONFIG,
     .reason = "CA_MD_TOO_WEAK",
     .words = "certificate 1 in"},
    {.label = "B6 MD5",
     .issuer = {.ca = true, .key_kind = PKI_KEY_RSA_2048},
     .spec.digest = PKI_MD5,
     .status = EVTLS_ERR_CONFIG,
     .reason = "CA_MD_TOO_WEAK",
     .words = "signed with MD5"},
    {.label = "B6 issuer SHA-1",
     .issuer = {.ca = true, .digest = PKI_SHA1},
     .status = EVTLS_ERR_CONFIG,
     .reason = "CA_MD_TOO_WEAK",
     .words = "certificate 2 in"},
    {.label = "SHA-1 by itself",
     .spec = {.by = PKI_BY_SELF, .digest = PKI_SHA1},
     .kind = EVTLS_IDENTITY_EC},
};

START_TEST(identity__strength)
{
    const struct strength *row = &strengths[_i];
    struct pki_spec spec = row->spec;
    struct evtls_identity *identity = untouched;
    struct evtls_error err;
    struct pki_files files;
    EVP_PKEY *key = NULL;
    int status;

    if (row->issuer.ca)
        spec.issuer = pki_issue(pki, &row->issuer);
    if (row->curve != NULL)
        spec.key = key = strcmp(row->curve, "DSA") == 0 ? dsa_key() : EVP_EC_gen(row->curve);
    files = pki_write(pki_issue(pki, &spec), dir, "s");
    EVP_PKEY_free(key);
    status = evtls_identity_load_file(&identity, files.chain, files.key, NULL, &err);
    ck_assert_msg(status == row->status, "%s: %d %s", row->label, status, err.message);
    if (status == EVTLS_OK) {
        ck_assert_int_eq(evtls_identity_get_kind(identity), row->kind);
        evtls_identity_free(identity);
        return;
    }
    ck_assert_msg(strcmp(err.reason, row->reason) == 0, "%s: %s", row->label, err.message);
    ck_assert_msg(strstr(err.message, row->words) != NULL, "%s: %s", row->label, err.message);
    ck_assert_msg(strstr(err.message, files.chain) != NULL, "%s: %s", row->label, err.message);
    ck_assert_ptr_eq(identity, untouched);
}
END_TEST

/* ---- Self-signed ------------------------------------------------------------------------ */

static int verify(X509 *x509, X509 *root, const char *host, const char *ip, int purpose)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    int code;

    X509_STORE_add_cert(store, root);
    ck_assert_int_eq(X509_STORE_CTX_init(ctx, store, x509, NULL), 1);
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_purpose(param, purpose);
    X509_VERIFY_PARAM_set_auth_level(param, 2);
    if (host != NULL)
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    if (ip != NULL)
        X509_VERIFY_PARAM_set1_ip_asc(param, ip);
    code = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return code;
}

START_TEST(identity__self_signed_is_trusted_as_its_own_ca)
{
    static const char *const names[] = {"Localhost.", "127.0.0.1", "[::1]", "*.a.test"};
    struct evtls_identity *identity = NULL;
    const struct evtls_certificate *certificate;
    struct evtls_error err;
    int64_t now = time(NULL);
    X509 *x509;

    ck_assert_msg(evtls_identity_self_signed(&identity, names, COUNT(names), &err) == 0, "%s",
                  err.message);
    certificate = evtls_identity_get_certificate(identity);
    x509 = evtls_certificate_get_x509(certificate);
    ck_assert_str_eq(evtls_certificate_get_subject(certificate), "CN=localhost");
    /* RFC 5280, section 4.2.1.2: a CA must have one. */
    ck_assert_ptr_nonnull(X509_get0_subject_key_id(x509));
    ck_assert_int_eq(verify(x509, x509, "localhost", NULL, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    ck_assert_int_eq(verify(x509, x509, "x.a.test", NULL, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    ck_assert_int_eq(verify(x509, x509, NULL, "127.0.0.1", X509_PURPOSE_SSL_SERVER), X509_V_OK);
    ck_assert_int_eq(verify(x509, x509, NULL, "::1", X509_PURPOSE_SSL_CLIENT), X509_V_OK);
    ck_assert_int_eq(verify(x509, x509, "b.test", NULL, X509_PURPOSE_SSL_SERVER),
                     X509_V_ERR_HOSTNAME_MISMATCH);
    ck_assert_int_ne(verify(x509, pki_cert(pki_root(pki)), NULL, NULL, X509_PURPOSE_SSL_SERVER),
                     X509_V_OK);
    ck_assert_int_le(llabs(evtls_certificate_get_not_before(certificate) - (now - 86400)), 60);
    ck_assert_int_eq(evtls_certificate_get_not_after(certificate) -
                         evtls_certificate_get_not_before(certificate),
                     397 * 86400);
    ck_assert_int_eq(evtls_identity_get_kind(identity), EVTLS_IDENTITY_EC);
    evtls_identity_free(identity);
}
END_TEST

#define L60 "a23456789012345678901234567890123456789012345678901234567890"

START_TEST(identity__self_signed_with_a_long_name)
{
    static const char *const names[] = {L60 "." L60 "." L60 ".test"};
    struct evtls_identity *identity = NULL;
    X509 *x509;

    ck_assert_int_eq(evtls_identity_self_signed(&identity, names, 1, NULL), 0);
    x509 = evtls_certificate_get_x509(evtls_identity_get_certificate(identity));
    ck_assert_int_eq(verify(x509, x509, names[0], NULL, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    evtls_identity_free(identity);
}
END_TEST

START_TEST(identity__self_signed_is_new_each_time)
{
    static const char *const names[] = {"localhost"};
    struct evtls_identity *one = NULL, *two = NULL;

    ck_assert_int_eq(evtls_identity_self_signed(&one, names, 1, NULL), 0);
    ck_assert_int_eq(evtls_identity_self_signed(&two, names, 1, NULL), 0);
    ck_assert_int_ne(memcmp(evtls_identity_get_digest(one), evtls_identity_get_digest(two), 32), 0);
    evtls_identity_free(one);
    evtls_identity_free(two);
}
END_TEST

START_TEST(identity__self_signed_refuses_names)
{
    static const char *const names[] = {"",    "a,IP:::1", "a..b",     "*.127.0.0.1", "*.::1",
                                        "*.*", "a b",      "a\ndNS:b", "b\xc3\xbc",   NULL};
    struct evtls_identity *identity = untouched;
    struct evtls_error err;

    for (size_t i = 0; i < COUNT(names); i++) {
        const char *two[] = {"localhost", names[i]};

        ck_assert_msg(evtls_identity_self_signed(&identity, two, 2, &err) == EVTLS_ERR_USAGE,
                      "'%s'", names[i]);
        ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    }
    ck_assert_int_eq(evtls_identity_self_signed(&identity, NULL, 0, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_identity_self_signed(&identity, names, 0, &err), EVTLS_ERR_USAGE);
    ck_assert_ptr_eq(identity, untouched);
}
END_TEST

/* ---- Sets ------------------------------------------------------------------------------- */

static struct evtls_identity *load_ident(struct pki_ident *ident)
{
    struct evtls_identity *identity = NULL;
    const char *text = pki_bundle_pem(ident);

    ck_assert_int_eq(evtls_identity_load_data(&identity, text, strlen(text), NULL, 0, NULL, NULL),
                     0);
    return identity;
}

/* The leaf of a kind that ssl_ctx has, and the only certificate behind it. */
static void check_pair(SSL_CTX *ssl_ctx, int key_id, struct pki_ident *ident,
                       struct pki_ident *issuer)
{
    STACK_OF(X509) *chain = NULL;
    int found;

    for (found = SSL_CTX_set_current_cert(ssl_ctx, SSL_CERT_SET_FIRST); found == 1;
         found = SSL_CTX_set_current_cert(ssl_ctx, SSL_CERT_SET_NEXT)) {
        if (EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ssl_ctx)) == key_id)
            break;
    }
    ck_assert_int_eq(found, 1);
    ck_assert_int_eq(X509_cmp(SSL_CTX_get0_certificate(ssl_ctx), pki_cert(ident)), 0);
    SSL_CTX_get0_chain_certs(ssl_ctx, &chain);
    ck_assert_int_eq(sk_X509_num(chain), 1);
    ck_assert_int_eq(X509_cmp(sk_X509_value(chain, 0), pki_cert(issuer)), 0);
}

static struct pki_ident *middle(const char *cn)
{
    return pki_issue(pki, &(struct pki_spec){.by = PKI_BY_ROOT, .ca = true, .cn = cn});
}

/* FO-01: RSA and ECDSA side by side, each with its own issuer, in both orders, and one replaced. */
START_TEST(identity__set_keeps_a_chain_for_each_kind)
{
    struct pki_ident *a = middle("A"), *b = middle("B"), *c = middle("C");
    struct pki_ident *rsa =
        pki_issue(pki, &(struct pki_spec){.issuer = a, .key_kind = PKI_KEY_RSA_2048});
    struct pki_ident *ec = pki_issue(pki, &(struct pki_spec){.issuer = b});
    struct pki_ident *rsa2 =
        pki_issue(pki, &(struct pki_spec){.issuer = c, .key_kind = PKI_KEY_RSA_2048});
    struct evtls_identity_set set, copy;
    unsigned char before[32], after[32];
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());

    evtls_identity_set_init(&set);
    ck_assert(evtls_identity_set_is_empty(&set));
    evtls_identity_set_put(&set, load_ident(_i == 0 ? rsa : ec));
    evtls_identity_set_put(&set, load_ident(_i == 0 ? ec : rsa));
    ck_assert(!evtls_identity_set_is_empty(&set));
    ck_assert_int_eq(evtls_identity_set_use(&set, ssl_ctx, NULL), 0);
    check_pair(ssl_ctx, EVP_PKEY_RSA, rsa, a);
    check_pair(ssl_ctx, EVP_PKEY_EC, ec, b);
    SSL_CTX_free(ssl_ctx);

    /* A copy goes its own way. */
    evtls_identity_set_copy(&copy, &set);
    ck_assert_int_eq(evtls_identity_set_digest(&set, before), 0);
    evtls_identity_set_put(&copy, load_ident(rsa2));
    ck_assert_int_eq(evtls_identity_set_digest(&set, after), 0);
    ck_assert_int_eq(memcmp(before, after, sizeof(before)), 0);
    ck_assert_int_eq(evtls_identity_set_digest(&copy, after), 0);
    ck_assert_int_ne(memcmp(before, after, sizeof(before)), 0);
    evtls_identity_set_cleanup(&set);

    ssl_ctx = SSL_CTX_new(TLS_method());
    ck_assert_int_eq(evtls_identity_set_use(&copy, ssl_ctx, NULL), 0);
    check_pair(ssl_ctx, EVP_PKEY_RSA, rsa2, c);
    check_pair(ssl_ctx, EVP_PKEY_EC, ec, b);
    ck_assert_int_eq(
        X509_cmp(evtls_certificate_get_x509(evtls_identity_get_certificate(copy.latest)),
                 pki_cert(rsa2)),
        0);
    evtls_identity_set_cleanup(&copy);
    SSL_CTX_free(ssl_ctx);
}
END_TEST

START_TEST(identity__set_digest)
{
    static const unsigned char zeros[32];
    struct evtls_identity_set set;
    unsigned char digest[32];

    evtls_identity_set_init(&set);
    ck_assert_int_eq(evtls_identity_set_digest(&set, digest), 0);
    ck_assert_int_eq(memcmp(digest, zeros, sizeof(digest)), 0);
    evtls_identity_set_put(&set, load_ident(leaf));
    ck_assert_int_eq(evtls_identity_set_digest(&set, digest), 0);
    ck_assert_int_eq(memcmp(digest, evtls_identity_get_digest(set.latest), sizeof(digest)), 0);
    evtls_identity_set_cleanup(&set);
    ck_assert(evtls_identity_set_is_empty(&set));
}
END_TEST

static Suite *identity_kinds_suite(void)
{
    Suite *suite = suite_create("identity_kinds");
    TCase *tcase = tcase_create("identity_kinds");

    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, identity__strength, 0, COUNT(strengths));
    tcase_add_test(tcase, identity__self_signed_is_trusted_as_its_own_ca);
    tcase_add_test(tcase, identity__self_signed_with_a_long_name);
    tcase_add_test(tcase, identity__self_signed_is_new_each_time);
    tcase_add_test(tcase, identity__self_signed_refuses_names);
    tcase_add_loop_test(tcase, identity__set_keeps_a_chain_for_each_kind, 0, 2);
    tcase_add_test(tcase, identity__set_digest);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(identity_kinds_suite());
}
