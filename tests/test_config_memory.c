#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "identity.h"
#include "keylog.h"
#include "library.h"
#include "support/alloc_faults.h"
#include "support/pki.h"
#include "support/suite.h"
#include "support/tmpdir.h"
#include "trust.h"

static struct pki *pki;
static struct tmpdir *dir;
static struct pki_files files;
static const char *ca_file, *wrong_key;
static const char *bundle, *encrypted;
static const unsigned char *ca_der;
static size_t ca_der_len;
static const struct evtls_password password = {.bytes = PKI_PASSWORD,
                                               .len = sizeof(PKI_PASSWORD) - 1};

static void set_up(void)
{
    struct pki_ident *ident;

    ck_assert_int_eq(evtls_library_init(NULL), 0);
    pki = pki_new();
    dir = tmpdir_new();
    ident = pki_issue(pki, &(struct pki_spec){0});
    files = pki_write(ident, dir, "leaf");
    wrong_key = pki_write(pki_issue(pki, &(struct pki_spec){0}), dir, "other").key;
    bundle = pki_bundle_pem(ident);
    encrypted = pki_encrypted_key_pem(ident);
    ca_file = tmpdir_write_text(dir, "ca.pem", pki_cert_pem(pki_root(pki)));
    ca_der = pki_cert_der(pki_root(pki), &ca_der_len);
    setenv("SSL_CERT_FILE", tmpdir_path(dir, "ca.pem"), 1);
    setenv("SSL_CERT_DIR", tmpdir_root(dir), 1);
}

static void tear_down(void)
{
    tmpdir_free(dir);
    pki_free(pki);
}

/* What is tried: each leaves nothing behind and says how it went. */
static struct evtls_identity *identity;
static struct evtls_trust *trust;

static int load_file(struct evtls_error *err)
{
    return evtls_identity_load_file(&identity, files.chain, files.key, NULL, err);
}

static int load_data(struct evtls_error *err)
{
    return evtls_identity_load_data(&identity, bundle, strlen(bundle), NULL, 0, NULL, err);
}

static int load_encrypted(struct evtls_error *err)
{
    return evtls_identity_load_data(&identity, bundle, strlen(bundle), encrypted, strlen(encrypted),
                                    &password, err);
}

static int load_mismatch(struct evtls_error *err)
{
    return evtls_identity_load_file(&identity, files.chain, wrong_key, NULL, err);
}

static int self_signed(struct evtls_error *err)
{
    static const char *const names[] = {"localhost", "::1"};

    return evtls_identity_self_signed(&identity, names, COUNT(names), err);
}

static int trust_file(struct evtls_error *err)
{
    return evtls_trust_add_file(&trust, ca_file, err);
}

static int trust_der(struct evtls_error *err)
{
    return evtls_trust_add_data(&trust, ca_der, ca_der_len, err);
}

static int trust_system(struct evtls_error *err)
{
    /* Another directory each time: nothing of the last time is found again. */
    static char list[64 * 8] = "/a";

    if (strlen(list) + 4 < sizeof(list))
        setenv("SSL_CERT_DIR", strcat(list, ":/a"), 1);
    return evtls_trust_add_system(&trust, err);
}

static int trust_more(struct evtls_error *err)
{
    int status = evtls_trust_add_file(&trust, ca_file, err);
    struct evtls_trust *before = trust, *shared = evtls_trust_incref(trust);

    if (status == EVTLS_OK) {
        status = evtls_trust_add_data(&trust, bundle, strlen(bundle), err);
        if (status != EVTLS_OK && trust != before)
            abort();
    }
    if (status != EVTLS_OK) {
        evtls_trust_free(trust);
        trust = NULL;
    }
    evtls_trust_free(shared);
    return status;
}

static int open_keylog(struct evtls_error *err)
{
    struct evtls_keylog *keylog = evtls_keylog_open("/dev/null", err);

    evtls_keylog_free(keylog);
    return keylog != NULL ? (int)EVTLS_OK : evtls_error_get_status(err);
}

static const struct {
    const char *label;
    int (*run)(struct evtls_error *err);
    int status; /* with memory enough */
} operations[] = {
    {"load files", load_file, 0},
    {"load data", load_data, 0},
    {"load an encrypted key", load_encrypted, 0},
    {"load the wrong key", load_mismatch, EVTLS_ERR_CONFIG},
    {"make self-signed", self_signed, 0},
    {"trust a file", trust_file, 0},
    {"trust DER", trust_der, 0},
    {"trust the system", trust_system, 0},
    {"trust more", trust_more, 0},
    {"key log", open_keylog, 0},
};

static void drop_results(void)
{
    evtls_identity_free(identity);
    evtls_trust_free(trust);
    identity = NULL;
    trust = NULL;
}

static void check_failures(size_t row, uint64_t step)
{
    uint64_t hits = 1, n;

    for (n = 1; hits > 0; n += n < 200 ? 1 : step) {
        struct evtls_error err;
        int status;

        alloc_faults_begin(ALLOC_FAIL_AT, n);
        status = operations[row].run(&err);
        hits = alloc_faults_end().failed;
        ck_assert_msg(status == operations[row].status || status == EVTLS_ERR_NOMEM, "%s, %d: %s",
                      operations[row].label, (int)n, err.message);
        ck_assert_int_eq(err.status, status);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        if (status != EVTLS_OK) {
            ck_assert_ptr_null(identity);
            ck_assert_ptr_null(trust);
        }
        drop_results();
    }
    ck_assert_msg(n > 2, "%s: no allocation was reached", operations[row].label);
}

/*
 * B57: the n-th allocation fails: for every n of our own; of OpenSSL's, which makes thousands to
 * decode a key, the first 200 and then every 41st. EVTLS_TEST_EVERY_ALLOCATION=1 tries them all,
 * which takes a minute.
 */
START_TEST(config__survives_each_allocation_that_fails)
{
    bool all = getenv("EVTLS_TEST_EVERY_ALLOCATION") != NULL;
    struct evtls_error err;

    alloc_faults_begin(ALLOC_COUNT, 0);
    operations[_i].run(&err);
    alloc_faults_end();
    ck_assert_msg(err.status == operations[_i].status, "%s: %s", operations[_i].label, err.message);
    drop_results();
    alloc_faults_select(ALLOC_PROGRAM);
    check_failures((size_t)_i, 1);
    alloc_faults_select(ALLOC_ALL);
    check_failures((size_t)_i, all ? 1 : 41);
}
END_TEST

/* The texts of a certificate are "" for once, and there the next time. */
START_TEST(config__certificate_texts_come_back)
{
    uint64_t hits = 1, n;

    ck_assert_int_eq(load_data(NULL), 0);
    for (n = 1; hits > 0; n++) {
        struct evtls_certificate *certificate = evtls_certificate_from_x509(
            evtls_certificate_get_x509(evtls_identity_get_certificate(identity)));
        const char *subject, *pem, *sha256;

        alloc_faults_begin(ALLOC_FAIL_AT, n);
        subject = evtls_certificate_get_subject(certificate);
        pem = evtls_certificate_get_pem(certificate, NULL);
        sha256 = evtls_certificate_get_sha256(certificate);
        hits = alloc_faults_end().failed;
        ck_assert(subject[0] == '\0' || strcmp(subject, "CN=localhost") == 0);
        ck_assert(pem[0] == '\0' || strncmp(pem, "-----BEGIN", 10) == 0);
        ck_assert(sha256[0] == '\0' || strlen(sha256) == 64);
        ck_assert_str_eq(evtls_certificate_get_subject(certificate), "CN=localhost");
        ck_assert_uint_eq(ERR_peek_error(), 0);
        evtls_certificate_free(certificate);
    }
    ck_assert_uint_gt(n, 2);
    drop_results();
}
END_TEST

static Suite *config_memory_suite(void)
{
    Suite *suite = suite_create("config_memory");
    TCase *tcase = tcase_create("config_memory");

    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, config__survives_each_allocation_that_fails, 0, COUNT(operations));
    tcase_add_test(tcase, config__certificate_texts_come_back);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(config_memory_suite());
}
