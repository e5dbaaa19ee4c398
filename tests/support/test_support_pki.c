/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki.h"
#include "suite.h"

static struct pki *pki;

/* One PKI for all tests: made in the parent, so that forked tests share its cost. */
static void set_up(void)
{
    pki = pki_new();
}

static void tear_down(void)
{
    pki_free(pki);
}

struct verify_args {
    struct pki_ident *trust;
    const char *host;
    X509_CRL *crl;
    int purpose;
};

/* Verifies as a TLS peer does and returns OpenSSL's code. */
static int verify(struct pki_ident *ident, struct verify_args args)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    int code;

    X509_STORE_add_cert(store, pki_cert(args.trust != NULL ? args.trust : pki_root(pki)));
    if (args.crl != NULL) {
        X509_STORE_add_crl(store, args.crl);
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
    ck_assert_int_eq(X509_STORE_CTX_init(ctx, store, pki_cert(ident), pki_chain(ident)), 1);
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param,
                                  args.purpose != 0 ? args.purpose : X509_PURPOSE_SSL_SERVER);
    if (args.host != NULL)
        X509_VERIFY_PARAM_set1_host(param, args.host, 0);
    code = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return code;
}

static const char *const constrained[] = {"nameConstraints=permitted;DNS:b.test", NULL};

static const struct verdict {
    const char *name;
    struct pki_spec spec;
    const char *host;
    int purpose;
    int code;
} verdicts[] = {
    {"defaults", {0}, "localhost", 0, X509_V_OK},
    {"below the root", {.by = PKI_BY_ROOT}, "localhost", 0, X509_V_OK},
    {"P-384", {.key_kind = PKI_KEY_P384}, "localhost", 0, X509_V_OK},
    {"Ed25519", {.key_kind = PKI_KEY_ED25519}, "localhost", 0, X509_V_OK},
    {"RSA 2048", {.key_kind = PKI_KEY_RSA_2048}, "localhost", 0, X509_V_OK},
    {"RSA-PSS", {.key_kind = PKI_KEY_RSA_PSS}, "localhost", 0, X509_V_OK},
    {"another host", {.san = "DNS:a.test"}, "b.test", 0, X509_V_ERR_HOSTNAME_MISMATCH},
    {"wildcard", {.san = "DNS:*.a.test"}, "x.a.test", 0, X509_V_OK},
    {"common name only", {.san = "", .cn = "a.test"}, "a.test", 0, X509_V_OK},
    {"expired",
     {.not_before = -2 * PKI_DAY, .not_after = -PKI_DAY},
     NULL,
     0,
     X509_V_ERR_CERT_HAS_EXPIRED},
    {"not yet valid",
     {.not_before = PKI_DAY, .not_after = 2 * PKI_DAY},
     NULL,
     0,
     X509_V_ERR_CERT_NOT_YET_VALID},
    {"unrelated root", {.by = PKI_BY_OTHER}, NULL, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
    {"self-signed", {.by = PKI_BY_SELF}, NULL, 0, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
    {"client only", {.eku = PKI_EKU_CLIENT}, NULL, 0, X509_V_ERR_INVALID_PURPOSE},
    {"server only, as client",
     {.eku = PKI_EKU_SERVER},
     NULL,
     X509_PURPOSE_SSL_CLIENT,
     X509_V_ERR_INVALID_PURPOSE},
    {"no usage named", {.eku = PKI_EKU_NONE}, NULL, X509_PURPOSE_SSL_CLIENT, X509_V_OK},
    {"bad signature", {.corrupt_signature = true}, NULL, 0, X509_V_ERR_CERT_SIGNATURE_FAILURE},
};

START_TEST(pki__verdicts)
{
    const struct verdict *row = &verdicts[_i];
    struct pki_ident *ident = pki_issue(pki, &row->spec);
    int code = verify(ident, (struct verify_args){.host = row->host, .purpose = row->purpose});

    ck_assert_msg(code == row->code, "%s: %d (%s) instead of %d", row->name, code,
                  X509_verify_cert_error_string(code), row->code);
}
END_TEST

START_TEST(pki__weak_keys_and_digests)
{
    struct pki_ident *rsa = pki_issue(pki, &(struct pki_spec){.key_kind = PKI_KEY_RSA_1024});
    struct pki_ident *sha1 = pki_issue(pki, &(struct pki_spec){.digest = PKI_SHA1});
    struct pki_ident *ca =
        pki_issue(pki, &(struct pki_spec){.ca = true, .key_kind = PKI_KEY_RSA_2048});
    struct pki_ident *md5 = pki_issue(pki, &(struct pki_spec){.issuer = ca, .digest = PKI_MD5});

    ck_assert_int_eq(EVP_PKEY_get_bits(pki_key(rsa)), 1024);
    ck_assert_int_eq(X509_get_signature_nid(pki_cert(sha1)), NID_ecdsa_with_SHA1);
    ck_assert_int_eq(X509_get_signature_nid(pki_cert(md5)), NID_md5WithRSAEncryption);
}
END_TEST

START_TEST(pki__raw_names_keep_their_bytes)
{
    static const struct pki_san raw[] = {{PKI_SAN_DNS, "a\0b", 3}, {PKI_SAN_IP, "12345678", 8}};
    struct pki_ident *ident = pki_issue(
        pki, &(struct pki_spec){.cn = "a\0b", .cn_len = 3, .raw_san = raw, .n_raw_san = 2});
    X509_NAME *subject = X509_get_subject_name(pki_cert(ident));
    ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, 0));
    GENERAL_NAMES *names = X509_get_ext_d2i(pki_cert(ident), NID_subject_alt_name, NULL, NULL);
    GENERAL_NAME *ip;

    ck_assert_int_eq(ASN1_STRING_length(cn), 3);
    ck_assert_int_eq(sk_GENERAL_NAME_num(names), 2);
    ck_assert_int_eq(ASN1_STRING_length(sk_GENERAL_NAME_value(names, 0)->d.dNSName), 3);
    ip = sk_GENERAL_NAME_value(names, 1);
    ck_assert_int_eq(ip->type, GEN_IPADD);
    ck_assert_int_eq(ASN1_STRING_length(ip->d.iPAddress), 8);
    GENERAL_NAMES_free(names);
}
END_TEST

START_TEST(pki__chains_of_any_length)
{
    struct pki_ident *ca = pki_root(pki);
    struct pki_ident *leaf;

    for (int i = 0; i < 10; i++)
        ca = pki_issue(pki, &(struct pki_spec){.issuer = ca, .ca = true, .cn = "link"});
    leaf = pki_issue(pki, &(struct pki_spec){.issuer = ca});
    ck_assert_int_eq(sk_X509_num(pki_chain(leaf)), 10);
    ck_assert_int_eq(verify(leaf, (struct verify_args){0}), X509_V_OK);
}
END_TEST

START_TEST(pki__extensions_can_be_given)
{
    struct pki_ident *ca =
        pki_issue(pki, &(struct pki_spec){.ca = true, .cn = "b only", .extensions = constrained});
    struct pki_ident *bad_ca =
        pki_issue(pki, &(struct pki_spec){.ca = true,
                                          .basic_constraints = "critical,CA:FALSE",
                                          .key_usage = "critical,digitalSignature"});
    struct pki_ident *a = pki_issue(pki, &(struct pki_spec){.issuer = ca, .san = "DNS:a.test"});
    struct pki_ident *b =
        pki_issue(pki, &(struct pki_spec){.issuer = ca, .san = "DNS:b.test", .cn = "b.test"});
    struct pki_ident *c = pki_issue(pki, &(struct pki_spec){.issuer = bad_ca});

    ck_assert_int_eq(verify(a, (struct verify_args){0}), X509_V_ERR_PERMITTED_VIOLATION);
    ck_assert_int_eq(verify(b, (struct verify_args){0}), X509_V_OK);
    ck_assert_int_ne(verify(c, (struct verify_args){0}), X509_V_OK);
}
END_TEST

START_TEST(pki__given_key_is_used)
{
    struct pki_ident *first = pki_issue(pki, &(struct pki_spec){0});
    struct pki_ident *renewed = pki_issue(pki, &(struct pki_spec){.key = pki_key(first)});
    struct pki_ident *rsa1 = pki_issue(pki, &(struct pki_spec){.key_kind = PKI_KEY_RSA_1024});
    struct pki_ident *rsa2 = pki_issue(pki, &(struct pki_spec){.key_kind = PKI_KEY_RSA_1024});
    struct pki_ident *rsa3 =
        pki_issue(pki, &(struct pki_spec){.key_kind = PKI_KEY_RSA_1024, .fresh_key = true});

    ck_assert_int_eq(X509_check_private_key(pki_cert(renewed), pki_key(first)), 1);
    ck_assert_int_ne(X509_cmp(pki_cert(first), pki_cert(renewed)), 0);
    ck_assert_ptr_eq(pki_key(rsa1), pki_key(rsa2));
    ck_assert_int_eq(EVP_PKEY_eq(pki_key(rsa1), pki_key(rsa3)), 0);
}
END_TEST

START_TEST(pki__pem_forms)
{
    struct pki_ident *ident = pki_issue(pki, &(struct pki_spec){0});
    BIO *bio = BIO_new_mem_buf(pki_chain_pem(ident), -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509 *issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *key;

    ck_assert_int_eq(X509_cmp(leaf, pki_cert(ident)), 0);
    ck_assert_int_eq(X509_cmp(issuer, pki_cert(pki_intermediate(pki))), 0);
    X509_free(leaf);
    X509_free(issuer);
    BIO_free(bio);

    bio = BIO_new_mem_buf(pki_encrypted_key_pem(ident), -1);
    ck_assert_ptr_null(PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"wrong"));
    BIO_free(bio);
    bio = BIO_new_mem_buf(pki_encrypted_key_pem(ident), -1);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)PKI_PASSWORD);
    ck_assert_int_eq(EVP_PKEY_eq(key, pki_key(ident)), 1);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ck_assert_ptr_nonnull(strstr(pki_bundle_pem(ident), "PRIVATE KEY"));
    ck_assert_ptr_nonnull(strstr(pki_bundle_pem(ident), pki_chain_pem(ident)));
}
END_TEST

START_TEST(pki__revocation)
{
    struct pki_ident *good = pki_issue(pki, &(struct pki_spec){0});
    struct pki_ident *bad = pki_issue(pki, &(struct pki_spec){0});
    X509_CRL *before = pki_crl(pki_intermediate(pki), 0, 0);
    X509_CRL *after;
    X509_CRL *old;

    pki_revoke(bad);
    after = pki_crl(pki_intermediate(pki), 0, 0);
    old = pki_crl(pki_intermediate(pki), -2 * PKI_DAY, -PKI_DAY);
    ck_assert_int_eq(verify(bad, (struct verify_args){.crl = before}), X509_V_OK);
    ck_assert_int_eq(verify(bad, (struct verify_args){.crl = after}), X509_V_ERR_CERT_REVOKED);
    ck_assert_int_eq(verify(good, (struct verify_args){.crl = after}), X509_V_OK);
    ck_assert_int_eq(verify(good, (struct verify_args){.crl = old}), X509_V_ERR_CRL_HAS_EXPIRED);
    ck_assert_ptr_nonnull(strstr(pki_crl_pem(pki_intermediate(pki), 0, 0), "BEGIN X509 CRL"));
}
END_TEST

START_TEST(tmpdir__files_come_and_go)
{
    struct tmpdir *dir = tmpdir_new();
    struct pki_files files = pki_write(pki_issue(pki, &(struct pki_spec){0}), dir, "server");
    char *root = strdup(tmpdir_root(dir));
    const char *sub = tmpdir_mkdir(dir, "sub");

    ck_assert_int_eq(access(files.chain, R_OK), 0);
    ck_assert_int_eq(access(files.key, R_OK), 0);
    ck_assert_int_eq(access(files.encrypted_key, R_OK), 0);
    tmpdir_write_text(dir, "sub/file", "x");
    ck_assert_int_eq(chmod(sub, 0), 0);
    tmpdir_free(dir);
    ck_assert_int_ne(access(root, F_OK), 0);
    free(root);
}
END_TEST

static Suite *support_pki_suite(void)
{
    Suite *suite = suite_create("support_pki");
    TCase *tc = tcase_create("pki");

    tcase_add_unchecked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, pki__verdicts, 0, sizeof verdicts / sizeof verdicts[0]);
    tcase_add_test(tc, pki__weak_keys_and_digests);
    tcase_add_test(tc, pki__raw_names_keep_their_bytes);
    tcase_add_test(tc, pki__chains_of_any_length);
    tcase_add_test(tc, pki__extensions_can_be_given);
    tcase_add_test(tc, pki__given_key_is_used);
    tcase_add_test(tc, pki__pem_forms);
    tcase_add_test(tc, pki__revocation);
    tcase_add_test(tc, tmpdir__files_come_and_go);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_pki_suite());
}
