/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A certificate made in memory, which is its own CA.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "hostname.h"
#include "identity.h"

#define DAY 86400L
#define VALID_DAYS 397
#define COMMON_NAME_MAX 64 /* ub-common-name: RFC 5280, appendix A.1 */

#define NAME_SIZE 256
#define MADE "the identity made"

/* Normalises a name, which may be a wildcard here. */
static int parse_name(char text[NAME_SIZE], const char *name, const char **type,
                      struct evtls_error *err)
{
    bool wildcard = name != NULL && strncmp(name, "*.", 2) == 0;
    struct evtls_hostname host;
    int status = evtls_hostname_parse(&host, wildcard ? name + 2 : name, err);

    if (status != EVTLS_OK)
        return status;
    if (wildcard && (host.is_ip || strlen(host.text) > 251))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "host name '%.120s': not a wildcard", name);
    *type = host.is_ip ? "IP:" : "DNS:";
    snprintf(text, NAME_SIZE, "%s%.253s", wildcard ? "*." : "", host.text);
    return EVTLS_OK;
}

/*
 * "DNS:a.test,IP:::1" with a NUL behind. What a normalised name is made of cannot be taken for
 * more of this notation.
 */
static int list_names(BIO *list, const char *const *names, size_t n, struct evtls_error *err)
{
    for (size_t i = 0; i < n; i++) {
        char text[NAME_SIZE];
        const char *type;
        int status = parse_name(text, names[i], &type, err);

        if (status != EVTLS_OK)
            return status;
        if (BIO_printf(list, "%s%s%s", i > 0 ? "," : "", type, text) <= 0)
            return evtls_error_set_nomem(err);
    }
    return BIO_write(list, "", 1) == 1 ? (int)EVTLS_OK : evtls_error_set_nomem(err);
}

static int add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    int added;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x509, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (extension == NULL)
        return -1;
    added = X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    return added == 1 ? 0 : -1;
}

/* What strict verification wants of a root, and a server's and a client's purpose of a leaf. */
static int add_extensions(X509 *x509, const char *names)
{
    const struct {
        int nid;
        const char *value;
    } extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,digitalSignature,keyCertSign"},
        {NID_ext_key_usage, "serverAuth,clientAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_subject_alt_name, names},
    };

    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (add_extension(x509, extensions[i].nid, extensions[i].value) != 0)
            return -1;
    }
    return 0;
}

/* Random and positive (RFC 5280, section 4.1.2.2). */
static int set_serial(X509 *x509)
{
    unsigned char bytes[16];
    BIGNUM *number;
    int done;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return -1;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    if (number == NULL)
        return -1;
    done = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL;
    BN_free(number);
    return done ? 0 : -1;
}

static int set_name(X509 *x509, const char *first)
{
    const char *text = strlen(first) <= COMMON_NAME_MAX ? first : "self-signed certificate";
    X509_NAME *name = X509_NAME_new();
    int done = name != NULL &&
               X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                          (const unsigned char *)text, -1, -1, 0) == 1 &&
               X509_set_subject_name(x509, name) == 1 && X509_set_issuer_name(x509, name) == 1;

    X509_NAME_free(name);
    return done ? 0 : -1;
}

static X509 *make_certificate(EVP_PKEY *key, const char *first, const char *names)
{
    X509 *x509 = X509_new();
    time_t from = time(NULL) - DAY;

    if (x509 != NULL && X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) == 0 &&
        set_name(x509, first) == 0 && ASN1_TIME_set(X509_getm_notBefore(x509), from) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(x509), from + VALID_DAYS * DAY) != NULL &&
        X509_set_pubkey(x509, key) == 1 && add_extensions(x509, names) == 0 &&
        X509_sign(x509, key, EVP_sha256()) > 0)
        return x509;
    X509_free(x509);
    return NULL;
}

int evtls_identity_self_signed(struct evtls_identity **identity, const char *const *names, size_t n,
                               struct evtls_error *err)
{
    BIO *list = NULL;
    EVP_PKEY *key = NULL;
    X509 *x509 = NULL;
    char first[NAME_SIZE], *text;
    const char *type;
    int status;

    if (names == NULL || n == 0)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no host name was given");
    list = BIO_new(BIO_s_mem());
    status = list != NULL ? list_names(list, names, n, err) : evtls_error_set_nomem(err);
    if (status != EVTLS_OK)
        goto out;
    parse_name(first, names[0], &type, NULL);
    BIO_get_mem_data(list, &text);
    key = EVP_EC_gen("P-256");
    if (key != NULL)
        x509 = make_certificate(key, first, text);
    if (x509 == NULL) {
        status = evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, "no certificate could be made");
        goto out;
    }
    status = evtls_identity_check_certificate(x509, 1, MADE, err);
    if (status == EVTLS_OK)
        status = evtls_identity_new(identity, x509, key, NULL, MADE, err);
out:
    X509_free(x509);
    EVP_PKEY_free(key);
    BIO_free(list);
    evtls_ossl_clear_queue();
    return status;
}
