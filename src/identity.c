/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sslerr.h>
#include <openssl/x509.h>
#include <openssl/x509err.h>
#include <openssl/x509v3.h>

#include "identity.h"

/* OpenSSL's level 2, in bits: RSA of 2048, curves of 224, SHA-224. */
#define SECURITY_LEVEL 2
#define SECURITY_BITS 112

struct evtls_identity {
    atomic_uint references;
    enum evtls_identity_kind kind;
    struct evtls_certificate *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
    unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH];
};

/* ---- Checks ----------------------------------------------------------------------------- */

/*
 * A key that could not be read although its bytes are good: OpenSSL reads it with the certificate,
 * and keeps "none" where memory was short then.
 */
static bool key_reads_now(X509 *x509)
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
    const unsigned char *p = der;
    EVP_PKEY *key = len > 0 ? d2i_PUBKEY(NULL, &p, len) : NULL;
    bool reads = key != NULL;

    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return reads;
}

static int check_key(X509 *x509, int number, const char *name, struct evtls_error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(x509);

    if (key == NULL || EVP_PKEY_get_bits(key) <= 0)
        return key_reads_now(x509)
                   ? evtls_error_set_nomem(err)
                   : evtls_error_set_ossl(err, EVTLS_ERR_CONFIG,
                                          "certificate %d in %s has a key that OpenSSL cannot use",
                                          number, name);
    if (EVP_PKEY_is_a(key, "DSA"))
        return evtls_error_set_reason(
            err, EVTLS_ERR_CONFIG, ERR_LIB_SSL, SSL_R_UNKNOWN_CERTIFICATE_TYPE,
            "certificate %d in %s has a DSA key, which TLS no longer knows", number, name);
    if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS)
        return evtls_error_set_reason(
            err, EVTLS_ERR_CONFIG, ERR_LIB_SSL,
            number == 1 ? SSL_R_EE_KEY_TOO_SMALL : SSL_R_CA_KEY_TOO_SMALL,
            "certificate %d in %s has a key of %d bits; RSA needs 2048, elliptic curves need 224",
            number, name, EVP_PKEY_get_bits(key));
    return EVTLS_OK;
}

/* The signature of a self-signed certificate protects nothing and is not looked at. */
static int check_digest(X509 *x509, int number, const char *name, struct evtls_error *err)
{
    int digest = NID_undef, bits = -1;
    const char *text;

    if ((X509_get_extension_flags(x509) & EXFLAG_SS) != 0)
        return EVTLS_OK;
    X509_get_signature_info(x509, &digest, NULL, &bits, NULL);
    if (bits >= SECURITY_BITS)
        return EVTLS_OK;
    text = digest != NID_undef ? OBJ_nid2sn(digest) : NULL;
    return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_SSL, SSL_R_CA_MD_TOO_WEAK,
                                  "certificate %d in %s is signed with %s", number, name,
                                  text != NULL ? text : "an unknown digest");
}

int evtls_identity_check_certificate(X509 *x509, int number, const char *name,
                                     struct evtls_error *err)
{
    int status = check_key(x509, number, name, err);

    if (status == EVTLS_OK)
        status = check_digest(x509, number, name, err);
    evtls_ossl_clear_queue();
    return status;
}

/* What no check of ours knows of is found by a context that is thrown away. */
static int try_out(const struct evtls_identity *identity, const char *name, struct evtls_error *err)
{
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());
    struct evtls_error detail;
    int status;

    if (ssl_ctx == NULL)
        return evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, NULL);
    SSL_CTX_set_security_level(ssl_ctx, SECURITY_LEVEL);
    status = evtls_identity_use(identity, ssl_ctx, &detail);
    SSL_CTX_free(ssl_ctx);
    if (status != EVTLS_OK)
        return evtls_error_set(err, status, "%s: %s", detail.message, name);
    return EVTLS_OK;
}

/* ---- Life ------------------------------------------------------------------------------- */

static enum evtls_identity_kind kind_of_key(EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        return EVTLS_IDENTITY_RSA;
    if (EVP_PKEY_is_a(key, "EC"))
        return EVTLS_IDENTITY_EC;
    if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
        return EVTLS_IDENTITY_EDDSA;
    return EVTLS_IDENTITY_OTHER;
}

static STACK_OF(X509) * copy_chain(STACK_OF(X509) * chain)
{
    return chain != NULL ? X509_chain_up_ref(chain) : sk_X509_new_null();
}

static int fill(struct evtls_identity *identity, X509 *leaf, EVP_PKEY *key, STACK_OF(X509) * chain)
{
    atomic_init(&identity->references, 1);
    identity->kind = kind_of_key(key);
    EVP_PKEY_up_ref(key);
    identity->key = key;
    identity->certificate = evtls_certificate_from_x509(leaf);
    identity->chain = copy_chain(chain);
    if (identity->certificate == NULL || identity->chain == NULL)
        return -1;
    return evtls_x509_digest(leaf, identity->digest);
}

int evtls_identity_new(struct evtls_identity **identity, X509 *leaf, EVP_PKEY *key,
                       STACK_OF(X509) * chain, const char *name, struct evtls_error *err)
{
    struct evtls_identity *made = calloc(1, sizeof(*made));
    int status;

    if (made == NULL)
        return evtls_error_set_nomem(err);
    if (fill(made, leaf, key, chain) != 0)
        status = evtls_error_set_nomem(err);
    else
        status = try_out(made, name, err);
    evtls_ossl_clear_queue();
    if (status != EVTLS_OK) {
        evtls_identity_free(made);
        return status;
    }
    *identity = made;
    return evtls_error_set_ok(err);
}

struct evtls_identity *evtls_identity_incref(struct evtls_identity *identity)
{
    if (identity != NULL)
        atomic_fetch_add_explicit(&identity->references, 1, memory_order_relaxed);
    return identity;
}

void evtls_identity_free(struct evtls_identity *identity)
{
    if (identity == NULL ||
        atomic_fetch_sub_explicit(&identity->references, 1, memory_order_acq_rel) != 1)
        return;
    evtls_certificate_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    sk_X509_pop_free(identity->chain, X509_free);
    free(identity);
}

enum evtls_identity_kind evtls_identity_get_kind(const struct evtls_identity *identity)
{
    return identity->kind;
}

const struct evtls_certificate *
evtls_identity_get_certificate(const struct evtls_identity *identity)
{
    return identity->certificate;
}

const unsigned char *evtls_identity_get_digest(const struct evtls_identity *identity)
{
    return identity->digest;
}

int evtls_identity_use(const struct evtls_identity *identity, SSL_CTX *ssl_ctx,
                       struct evtls_error *err)
{
    X509 *leaf = evtls_certificate_get_x509(identity->certificate);
    /* Before the call: making it empties the queue. */
    const char *subject = evtls_certificate_get_subject(identity->certificate);

    /* The last argument replaces what an earlier call installed for this kind of key. */
    if (SSL_CTX_use_cert_and_key(ssl_ctx, leaf, identity->key, identity->chain, 1) == 1)
        return evtls_error_set_ok(err);
    /* A refusal leaves an entry; memory that is short does not always. */
    if (ERR_peek_error() == 0)
        return evtls_error_set_nomem(err);
    return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "OpenSSL refuses the certificate of %s",
                                subject);
}

/* ---- Sets ------------------------------------------------------------------------------- */

void evtls_identity_set_init(struct evtls_identity_set *set)
{
    memset(set, 0, sizeof(*set));
}

void evtls_identity_set_cleanup(struct evtls_identity_set *set)
{
    for (int i = 0; i < EVTLS_IDENTITY_KINDS; i++)
        evtls_identity_free(set->by_kind[i]);
    evtls_identity_set_init(set);
}

void evtls_identity_set_copy(struct evtls_identity_set *dst, const struct evtls_identity_set *src)
{
    for (int i = 0; i < EVTLS_IDENTITY_KINDS; i++)
        dst->by_kind[i] = evtls_identity_incref(src->by_kind[i]);
    dst->latest = src->latest;
}

void evtls_identity_set_put(struct evtls_identity_set *set, struct evtls_identity *identity)
{
    struct evtls_identity *old = set->by_kind[identity->kind];

    set->by_kind[identity->kind] = identity;
    set->latest = identity;
    evtls_identity_free(old);
}

bool evtls_identity_set_is_empty(const struct evtls_identity_set *set)
{
    return set->latest == NULL;
}

int evtls_identity_set_use(const struct evtls_identity_set *set, SSL_CTX *ssl_ctx,
                           struct evtls_error *err)
{
    for (int i = 0; i < EVTLS_IDENTITY_KINDS; i++) {
        int status = set->by_kind[i] != NULL ? evtls_identity_use(set->by_kind[i], ssl_ctx, err)
                                             : (int)EVTLS_OK;

        if (status != EVTLS_OK)
            return status;
    }
    return evtls_error_set_ok(err);
}

int evtls_identity_set_digest(const struct evtls_identity_set *set,
                              unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH])
{
    unsigned char all[EVTLS_IDENTITY_KINDS * EVTLS_CERTIFICATE_DIGEST_LENGTH];
    size_t len = 0;
    int done;

    memset(digest, 0, EVTLS_CERTIFICATE_DIGEST_LENGTH);
    for (int i = 0; i < EVTLS_IDENTITY_KINDS; i++) {
        if (set->by_kind[i] == NULL)
            continue;
        memcpy(all + len, set->by_kind[i]->digest, EVTLS_CERTIFICATE_DIGEST_LENGTH);
        len += EVTLS_CERTIFICATE_DIGEST_LENGTH;
    }
    if (len <= EVTLS_CERTIFICATE_DIGEST_LENGTH) {
        memcpy(digest, all, len);
        return 0;
    }
    done = EVP_Digest(all, len, digest, NULL, EVP_sha256(), NULL);
    evtls_ossl_clear_queue();
    return done == 1 ? 0 : -1;
}
