#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

#include "identity.h"
#include "library.h"
#include "support/pki.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static struct pki *pki;
static struct tmpdir *dir;
static struct pki_ident *leaf;

static void set_up(void)
{
    ck_assert_int_eq(evtls_library_init(NULL), 0);
    pki = pki_new();
    dir = tmpdir_new();
    tmpdir_mkdir(dir, "dir");
    leaf = pki_issue(pki, &(struct pki_spec){0});
}

static void tear_down(void)
{
    tmpdir_free(dir);
    pki_free(pki);
}

/* ---- Texts ------------------------------------------------------------------------------ */

static const char *old_key_pem(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_int_eq(
        PEM_write_bio_PrivateKey_traditional(bio, pki_key(leaf), NULL, NULL, 0, NULL, NULL), 1);
    return pki_keep_text(bio);
}

/* An encrypted key whose cipher only the legacy provider has; NULL where there is none. */
static const char *legacy_key_pem(void)
{
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(lib, "legacy");
    OSSL_PROVIDER *standard = OSSL_PROVIDER_load(lib, "default");
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(pki_key(leaf));
    unsigned char salt[8] = {1};
    X509_SIG *encrypted = NULL;
    const char *text = NULL;

    if (legacy != NULL)
        encrypted =
            PKCS8_encrypt_ex(NID_pbeWithMD5AndDES_CBC, NULL, PKI_PASSWORD,
                             (int)strlen(PKI_PASSWORD), salt, sizeof(salt), 1000, plain, lib, NULL);
    if (encrypted != NULL) {
        BIO *bio = BIO_new(BIO_s_mem());

        PEM_write_bio_PKCS8(bio, encrypted);
        text = pki_keep_text(bio);
    }
    ERR_clear_error();
    X509_SIG_free(encrypted);
    PKCS8_PRIV_KEY_INFO_free(plain);
    if (legacy != NULL)
        OSSL_PROVIDER_unload(legacy);
    OSSL_PROVIDER_unload(standard);
    OSSL_LIB_CTX_free(lib);
    return text;
}

/* O4: a certificate in OpenSSL's own form. */
static const char *trusted_pem(void)
{
    X509 *x509 = X509_dup(pki_cert(leaf));
    BIO *bio = BIO_new(BIO_s_mem());

    X509_add1_trust_object(x509, OBJ_nid2obj(NID_server_auth));
    PEM_write_bio_X509_AUX(bio, x509);
    X509_free(x509);
    return pki_keep_text(bio);
}

static char *utf16_of(const char *text, size_t *len)
{
    char *wide = calloc(1, 2 * strlen(text) + 2);

    memcpy(wide, "\xff\xfe", 2);
    for (*len = 2; *text != '\0'; *len += 2)
        wide[*len] = *text++;
    return wide;
}

/*
 * A pattern makes the content of a file. @ and a letter: L the leaf, I its issuer, K its key, k the
 * key in the old form, E the key encrypted, G the same by a cipher of the legacy provider, T the
 * leaf in OpenSSL's own form, X the key of another certificate, P curve parameters, O the unrelated
 * root, C and V the issuer cut and damaged. The rest stands for itself.
 */
static const char *part_of(char letter)
{
    switch (letter) {
    case 'L':
        return pki_cert_pem(leaf);
    case 'I':
    case 'C':
    case 'V':
        return pki_cert_pem(pki_intermediate(pki));
    case 'K':
        return pki_key_pem(leaf);
    case 'k':
        return old_key_pem();
    case 'E':
        return pki_encrypted_key_pem(leaf);
    case 'G':
        return legacy_key_pem();
    case 'T':
        return trusted_pem();
    case 'X':
        return pki_key_pem(pki_issue(pki, &(struct pki_spec){0}));
    case 'P':
        return "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    case 'O':
        return pki_cert_pem(pki_other_root(pki));
    }
    return NULL;
}

static void append_part(BIO *bio, char letter)
{
    const char *text = part_of(letter);

    ck_assert_ptr_nonnull(text);
    if (letter == 'C') {
        BIO_write(bio, text, (int)(strstr(text, "-----END") - text));
    } else if (letter == 'V') {
        BIO_write(bio, text, 200);
        BIO_puts(bio, "AAAA====");
        BIO_puts(bio, text + 208);
    } else {
        BIO_puts(bio, text);
    }
}

static const char *expand(const char *pattern)
{
    BIO *bio = BIO_new(BIO_s_mem());

    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '@')
            append_part(bio, *++pattern);
        else
            BIO_write(bio, pattern, 1);
    }
    return pki_keep_text(bio);
}

static const char *write_pattern(const char *name, const char *pattern)
{
    return pattern != NULL ? tmpdir_write_text(dir, name, expand(pattern)) : NULL;
}

/* ---- What loads ------------------------------------------------------------------------- */

static ssize_t get_password(char *buf, size_t size, void *arg)
{
    int *calls = arg;

    ck_assert_uint_gt(size, strlen(PKI_PASSWORD));
    memcpy(buf, PKI_PASSWORD, strlen(PKI_PASSWORD));
    ++*calls;
    return (ssize_t)strlen(PKI_PASSWORD);
}

static const struct evtls_password right = {.bytes = PKI_PASSWORD, .len = sizeof(PKI_PASSWORD) - 1};

static const struct {
    const char *label, *cert, *key;
    const struct evtls_password *password;
    int chain;
} good[] = {
    {"X12 two files", "@L@I", "@K", NULL, 1},
    {"X12 one file", "@L@I@K", NULL, NULL, 1},
    {"X12 key first", "@K@L@I", NULL, NULL, 1},
    {"no chain", "@L", "@K", NULL, 0},
    {"X12 encrypted", "@L@I", "@E", &right, 1},
    {"X12 password for a plain key", "@L@I", "@K", &right, 1},
    {"old form of key", "@L@I", "@k", NULL, 1},
    {"O1 text behind", "@L@I\n# renewed by cron\n-- not a PEM line --\n", "@K", NULL, 1},
    {"O2 parameters", "@L", "@P@k", NULL, 0},
    {"O2 all in one", "@P@k@L@I", NULL, NULL, 1},
    {"O2 byte order mark", "\xef\xbb\xbf@L@I", "\xef\xbb\xbf@K", NULL, 1},
    {"O4 trusted form", "@T@I", "@K", NULL, 1},
    {"B8 extra certificates", "@L@I@O", "@K", NULL, 2},
    {"B8 chain in another order", "@L@O@I", "@K", NULL, 2},
    {"two keys", "@L", "@K@X", NULL, 0},
};

/* X12: whether anything of the identity is an anchor. */
static bool is_trusted(X509_STORE *store)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool trusted;

    ck_assert_int_eq(X509_STORE_CTX_init(ctx, store, pki_cert(leaf), pki_chain(leaf)), 1);
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
    trusted = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return trusted;
}

static void check_loaded(struct evtls_identity *identity, const char *label, int chain)
{
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());
    STACK_OF(X509) *installed = NULL;
    unsigned char digest[32];
    struct evtls_error err;

    ck_assert_msg(evtls_identity_use(identity, ssl_ctx, &err) == 0, "%s: %s", label, err.message);
    ck_assert_int_eq(X509_cmp(SSL_CTX_get0_certificate(ssl_ctx), pki_cert(leaf)), 0);
    ck_assert_int_eq(EVP_PKEY_eq(SSL_CTX_get0_privatekey(ssl_ctx), pki_key(leaf)), 1);
    SSL_CTX_get0_chain_certs(ssl_ctx, &installed);
    ck_assert_msg(sk_X509_num(installed) == chain || (chain == 0 && installed == NULL), "%s: %d",
                  label, sk_X509_num(installed));
    ck_assert(!is_trusted(SSL_CTX_get_cert_store(ssl_ctx)));
    evtls_x509_digest(pki_cert(leaf), digest);
    ck_assert_int_eq(memcmp(evtls_identity_get_digest(identity), digest, sizeof(digest)), 0);
    ck_assert_int_eq(evtls_identity_get_kind(identity), EVTLS_IDENTITY_EC);
    ck_assert_str_eq(evtls_certificate_get_subject(evtls_identity_get_certificate(identity)),
                     "CN=localhost");
    SSL_CTX_free(ssl_ctx);
}

START_TEST(identity__loads_from_files)
{
    struct evtls_identity *identity = NULL;
    struct evtls_error err;
    int status =
        evtls_identity_load_file(&identity, write_pattern("c.pem", good[_i].cert),
                                 write_pattern("k.pem", good[_i].key), good[_i].password, &err);

    ck_assert_msg(status == 0, "%s: %s", good[_i].label, err.message);
    ck_assert_int_eq(err.status, 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    check_loaded(identity, good[_i].label, good[_i].chain);
    evtls_identity_free(identity);
}
END_TEST

START_TEST(identity__loads_from_memory)
{
    const char *cert = expand(good[_i].cert);
    const char *key = good[_i].key != NULL ? expand(good[_i].key) : NULL;
    struct evtls_identity *identity = NULL;
    struct evtls_error err;
    int status = evtls_identity_load_data(&identity, cert, strlen(cert), key,
                                          key != NULL ? strlen(key) : 0, good[_i].password, &err);

    ck_assert_msg(status == 0, "%s: %s", good[_i].label, err.message);
    check_loaded(identity, good[_i].label, good[_i].chain);
    evtls_identity_free(identity);
}
END_TEST

/* The key in the old form of encryption. */
static const char *old_encrypted_key_pem(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(bio, pki_key(leaf), EVP_aes_128_cbc(),
                                                          (const unsigned char *)PKI_PASSWORD,
                                                          (int)strlen(PKI_PASSWORD), NULL, NULL),
                     1);
    return pki_keep_text(bio);
}

START_TEST(identity__password_function_is_called_once_and_only_if_needed)
{
    const struct {
        const char *key;
        int calls;
    } keys[] = {
        {pki_key_pem(leaf), 0},
        {old_key_pem(), 0},
        {pki_encrypted_key_pem(leaf), 1},
        {old_encrypted_key_pem(), 1},
    };
    const char *cert = pki_cert_pem(leaf);

    for (size_t i = 0; i < COUNT(keys); i++) {
        int calls = 0;
        struct evtls_password password = {.get = get_password, .arg = &calls};
        struct evtls_identity *identity = NULL;
        struct evtls_error err;

        ck_assert_msg(evtls_identity_load_data(&identity, cert, strlen(cert), keys[i].key,
                                               strlen(keys[i].key), &password, &err) == 0,
                      "%s", err.message);
        ck_assert_int_eq(calls, keys[i].calls);
        evtls_identity_free(identity);
    }
}
END_TEST

static const char *key_with_password(const char *password, size_t len)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, pki_key(leaf), EVP_aes_256_cbc(), password,
                                                   (int)len, NULL, NULL),
                     1);
    return pki_keep_text(bio);
}

/* X12: the limit, from both sides, and what is no text. */
START_TEST(identity__password_limits)
{
    static const size_t lengths[] = {1, 1023, 1024, 1025, 5000};
    char bytes[5000];
    const char *cert = pki_cert_pem(leaf);

    memset(bytes, 'p', sizeof(bytes));
    bytes[0] = '\0';
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t len = lengths[i];
        const char *key = key_with_password(bytes, len <= 1024 ? len : 1024);
        struct evtls_password password = {.bytes = bytes, .len = len};
        struct evtls_identity *identity = NULL;
        struct evtls_error err;
        int status = evtls_identity_load_data(&identity, cert, strlen(cert), key, strlen(key),
                                              &password, &err);

        ck_assert_msg(status == (len <= 1024 ? EVTLS_OK : EVTLS_ERR_CONFIG), "%zu: %s", len,
                      err.message);
        if (status != EVTLS_OK)
            ck_assert_ptr_nonnull(strstr(err.message, "more than 1024 bytes"));
        evtls_identity_free(identity);
        /* The limit counts only when the password is used. */
        key = pki_key_pem(leaf);
        ck_assert_int_eq(evtls_identity_load_data(&identity, cert, strlen(cert), key, strlen(key),
                                                  &password, NULL),
                         0);
        evtls_identity_free(identity);
    }
}
END_TEST

/* ---- What is refused -------------------------------------------------------------------- */

static ssize_t give_none(char *buf, size_t size, void *arg)
{
    (void)buf, (void)size, (void)arg;
    return -1;
}

static ssize_t give_too_much(char *buf, size_t size, void *arg)
{
    (void)arg;
    memset(buf, 'x', size);
    return (ssize_t)size;
}

static const struct evtls_password wrong = {.bytes = "wrong", .len = 5};
static const struct evtls_password empty = {.bytes = "", .len = 0};
static const struct evtls_password none = {.get = give_none};
static const struct evtls_password much = {.get = give_too_much};
static const struct evtls_password twice = {.get = give_none, .bytes = "", .len = 0};
static const struct evtls_password later = {.reserved = {(void *)"x"}};

#define DES_KEY                                                                                    \
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "                           \
    "DES-CBC,0011223344556677\n\nAAAAAAAAAAA=\n-----END EC PRIVATE KEY-----\n"

/* words: the message has them, and the name of the file at fault (1: certificate, 2: key). */
static const struct {
    const char *label, *cert, *key;
    const struct evtls_password *password;
    int status, file;
    const char *reason, *words;
} bad[] = {
    {"NULL", NULL, "@K", NULL, EVTLS_ERR_USAGE, 0, "", "no "},
    {"password both ways", "@L", "@K", &twice, EVTLS_ERR_USAGE, 0, "", "both"},
    {"password from the future", "@L", "@K", &later, EVTLS_ERR_USAGE, 0, "", "reserved"},
    {"B1 empty certificate", "", "@K", NULL, EVTLS_ERR_CONFIG, 1, "NO_START_LINE", "is empty"},
    {"B1 empty key", "@L", "", NULL, EVTLS_ERR_CONFIG, 2, "NO_START_LINE", "is empty"},
    {"B1 garbage", "garbage", "@K", NULL, EVTLS_ERR_CONFIG, 1, "NO_START_LINE", "no PEM block"},
    {"key only", "@K", NULL, NULL, EVTLS_ERR_CONFIG, 1, "NO_START_LINE", "no certificate"},
    {"certificate only", "@L@I", NULL, NULL, EVTLS_ERR_CONFIG, 1, "NO_START_LINE",
     "no private key in it, and no other"},
    {"certificate as key", "@L", "@L", NULL, EVTLS_ERR_CONFIG, 2, "NO_START_LINE",
     "no private key in it"},
    {"parameters as key", "@L", "@P", NULL, EVTLS_ERR_CONFIG, 2, "NO_START_LINE", "no private key"},
    {"O1 cut chain", "@L@C", "@K", NULL, EVTLS_ERR_CONFIG, 1, "BAD_END_LINE", "certificate 2 in"},
    {"O1 damaged chain", "@L@V", "@K", NULL, EVTLS_ERR_CONFIG, 1, "BAD_BASE64_DECODE",
     "certificate 2 in"},
    {"B2 cut leaf", "@C", "@K", NULL, EVTLS_ERR_CONFIG, 1, "BAD_END_LINE", "certificate 1 in"},
    {"B2 wrong header", "@L----BEGIN CERTIFICATE-----\nAA==\n", "@K", NULL, EVTLS_ERR_CONFIG, 1,
     "NO_START_LINE", "damaged BEGIN"},
    {"B3 another key", "@L@I", "@X", NULL, EVTLS_ERR_CONFIG, 2, "KEY_VALUES_MISMATCH",
     "is not that of certificate 1"},
    {"B8 issuer first", "@I@L", "@K", NULL, EVTLS_ERR_CONFIG, 2, "KEY_VALUES_MISMATCH",
     "is that of certificate 2"},
    {"B4 no password", "@L", "@E", NULL, EVTLS_ERR_CONFIG, 2, "BAD_PASSWORD_READ", "no password"},
    {"B4 none given", "@L", "@E", &none, EVTLS_ERR_CONFIG, 2, "BAD_PASSWORD_READ", "no password"},
    {"wrong password", "@L", "@E", &wrong, EVTLS_ERR_CONFIG, 2, "BAD_DECRYPT", "wrong password"},
    {"empty password", "@L", "@E", &empty, EVTLS_ERR_CONFIG, 2, "BAD_DECRYPT", "wrong password"},
    {"too long a password", "@L", "@E", &much, EVTLS_ERR_CONFIG, 2, "PROBLEMS_GETTING_PASSWORD",
     "more than 1024 bytes"},
    {"DES", "@L", DES_KEY, &right, EVTLS_ERR_CONFIG, 2, "UNSUPPORTED_ENCRYPTION", "cipher"},
    {"PBE with DES", "@L", "@G", &right, EVTLS_ERR_CONFIG, 2, "UNSUPPORTED_ENCRYPTION", "cipher"},
    {"DES without password", "@L", DES_KEY, NULL, EVTLS_ERR_CONFIG, 2, "BAD_PASSWORD_READ",
     "no password"},
};

static bool needs_legacy(const char *pattern)
{
    if (pattern == NULL || strcmp(pattern, "@G") != 0 || legacy_key_pem() != NULL)
        return false;
    test_skip("OpenSSL's legacy provider is not here to make the key");
    return true;
}

static void check_refused(size_t row, int status, const struct evtls_error *err, const char *cert,
                          const char *key)
{
    const char *file = bad[row].file == 1 ? cert : bad[row].file == 2 ? key : NULL;

    ck_assert_msg(status == bad[row].status, "%s: %d %s", bad[row].label, status, err->message);
    ck_assert_int_eq(err->status, status);
    ck_assert_msg(strcmp(err->reason, bad[row].reason) == 0, "%s: %s", bad[row].label,
                  err->message);
    ck_assert_msg(strstr(err->message, bad[row].words) != NULL, "%s: %s", bad[row].label,
                  err->message);
    if (file != NULL)
        ck_assert_msg(strstr(err->message, file) != NULL, "%s: %s", bad[row].label, err->message);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

static struct evtls_identity *const untouched = (struct evtls_identity *)&right;

START_TEST(identity__refuses_files_with_file_and_reason)
{
    const char *cert = write_pattern("c.pem", bad[_i].cert), *key;
    struct evtls_identity *identity = untouched;
    struct evtls_error err;
    int status;

    if (needs_legacy(bad[_i].key))
        return;
    key = write_pattern("k.pem", bad[_i].key);
    status = evtls_identity_load_file(&identity, cert, key, bad[_i].password, &err);
    check_refused((size_t)_i, status, &err, cert, key);
    ck_assert_ptr_eq(identity, untouched);
}
END_TEST

START_TEST(identity__refuses_data_with_name_and_reason)
{
    const char *cert = bad[_i].cert != NULL ? expand(bad[_i].cert) : NULL;
    const char *key;
    struct evtls_identity *identity = untouched;
    struct evtls_error err;
    int status;

    if (needs_legacy(bad[_i].key))
        return;
    key = bad[_i].key != NULL ? expand(bad[_i].key) : NULL;
    status = evtls_identity_load_data(&identity, cert, cert != NULL ? strlen(cert) : 0, key,
                                      key != NULL ? strlen(key) : 0, bad[_i].password, &err);
    check_refused((size_t)_i, status, &err, "cert", "key");
    ck_assert_ptr_eq(identity, untouched);
}
END_TEST

/* O2. */
START_TEST(identity__utf16_is_named)
{
    struct evtls_identity *identity = untouched;
    struct evtls_error err;
    size_t len;
    char *wide = utf16_of(pki_chain_pem(leaf), &len);
    const char *path = tmpdir_write(dir, "utf16.pem", wide, len);

    ck_assert_int_eq(
        evtls_identity_load_file(&identity, path, write_pattern("k.pem", "@K"), NULL, &err),
        EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "is UTF-16 text"));
    ck_assert_ptr_nonnull(strstr(err.message, path));
    free(wide);
}
END_TEST

static const struct {
    const char *label, *name;
    int sys_errno;
} unreadable[] = {
    {"B1 missing", "none.pem", ENOENT},
    {"B1 directory", "dir", EISDIR},
    {"too large", "large.pem", EFBIG},
};

START_TEST(identity__a_file_that_cannot_be_read_has_an_errno)
{
    const char *good_cert = write_pattern("c.pem", "@L@K");
    const char *path = tmpdir_path(dir, unreadable[_i].name);
    struct evtls_identity *identity = untouched;

    ck_assert_int_eq(truncate(tmpdir_write_text(dir, "large.pem", ""), 9 << 20), 0);
    for (int as_key = 0; as_key < 2; as_key++) {
        struct evtls_error err;

        ck_assert_int_eq(evtls_identity_load_file(&identity, as_key ? good_cert : path,
                                                  as_key ? path : NULL, NULL, &err),
                         EVTLS_ERR_CONFIG);
        ck_assert_msg(err.sys_errno == unreadable[_i].sys_errno, "%s", err.message);
        ck_assert_msg(strstr(err.message, path) != NULL, "%s", err.message);
        ck_assert_ptr_eq(identity, untouched);
    }
}
END_TEST

static Suite *identity_suite(void)
{
    Suite *suite = suite_create("identity");
    TCase *tcase = tcase_create("identity");

    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, identity__loads_from_files, 0, COUNT(good));
    tcase_add_loop_test(tcase, identity__loads_from_memory, 0, COUNT(good));
    tcase_add_test(tcase, identity__password_function_is_called_once_and_only_if_needed);
    tcase_add_test(tcase, identity__password_limits);
    tcase_add_loop_test(tcase, identity__refuses_files_with_file_and_reason, 0, COUNT(bad));
    tcase_add_loop_test(tcase, identity__refuses_data_with_name_and_reason, 0, COUNT(bad));
    tcase_add_test(tcase, identity__utf16_is_named);
    tcase_add_loop_test(tcase, identity__a_file_that_cannot_be_read_has_an_errno, 0,
                        COUNT(unreadable));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(identity_suite());
}
