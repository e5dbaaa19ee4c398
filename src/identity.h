/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who we are: a certificate, the chain that is sent behind it, and the private key.
 *
 * A struct evtls_identity is immutable and reference counted. It is whole and checked: the key is
 * the certificate's, each certificate satisfies OpenSSL's security level 2, and
 * evtls_identity_use fails for lack of memory or because OpenSSL is set to be stricter.
 *
 * A struct evtls_identity_set is what a context has: at most one identity of each kind of key. It
 * is a plain value; a copy shares the identities.
 */
#ifndef EVTLS_SRC_IDENTITY_H
#define EVTLS_SRC_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <evtls/context.h>

#include "certificate.h"
#include "error.h"

struct evtls_identity;

enum evtls_identity_kind {
    EVTLS_IDENTITY_RSA, /* RSA-PSS too */
    EVTLS_IDENTITY_EC,
    EVTLS_IDENTITY_EDDSA,
    EVTLS_IDENTITY_OTHER, /* what a later OpenSSL brings */
    EVTLS_IDENTITY_KINDS
};

/*
 * Each makes an identity, puts it into *identity and returns 0; the caller owns the reference.
 * On failure *identity is untouched. Errors: as evtls_context_load_cert_chain lists them, but for
 * SEALED. password NULL: none. keyfile (key) NULL: certfile (cert) holds the key too.
 */
int evtls_identity_load_file(struct evtls_identity **identity, const char *certfile,
                             const char *keyfile, const struct evtls_password *password,
                             struct evtls_error *err);
int evtls_identity_load_data(struct evtls_identity **identity, const void *cert, size_t cert_len,
                             const void *key, size_t key_len, const struct evtls_password *password,
                             struct evtls_error *err);

/* As evtls_context_use_self_signed says. */
int evtls_identity_self_signed(struct evtls_identity **identity, const char *const *names, size_t n,
                               struct evtls_error *err);

/*
 * Whether security level 2 lets x509 into an identity: the leaf (number 1) and what is sent behind
 * it. name says in messages where it came from, as struct evtls_input does. Errors:
 * EVTLS_ERR_CONFIG, EVTLS_ERR_NOMEM.
 */
int evtls_identity_check_certificate(X509 *x509, int number, const char *name,
                                     struct evtls_error *err);

/*
 * From parts that were checked: the leaf, its key, and what is sent behind it (NULL: nothing). One
 * more reference is taken of each. Errors: EVTLS_ERR_CONFIG, EVTLS_ERR_NOMEM.
 */
int evtls_identity_new(struct evtls_identity **identity, X509 *leaf, EVP_PKEY *key,
                       STACK_OF(X509) * chain, const char *name, struct evtls_error *err);

struct evtls_identity *evtls_identity_incref(struct evtls_identity *identity);
void evtls_identity_free(struct evtls_identity *identity);

enum evtls_identity_kind evtls_identity_get_kind(const struct evtls_identity *identity);

/* The leaf; borrowed, as long as the identity. */
const struct evtls_certificate *
evtls_identity_get_certificate(const struct evtls_identity *identity);

/* SHA-256 of the leaf, EVTLS_CERTIFICATE_DIGEST_LENGTH bytes; borrowed. */
const unsigned char *evtls_identity_get_digest(const struct evtls_identity *identity);

/*
 * Installs leaf, key and chain in ssl_ctx, where the chain belongs to this leaf alone.
 * Errors: EVTLS_ERR_CONFIG, EVTLS_ERR_NOMEM.
 */
int evtls_identity_use(const struct evtls_identity *identity, SSL_CTX *ssl_ctx,
                       struct evtls_error *err);

struct evtls_identity_set {
    struct evtls_identity *by_kind[EVTLS_IDENTITY_KINDS]; /* owned */
    struct evtls_identity *latest;                        /* one of them, or NULL */
};

void evtls_identity_set_init(struct evtls_identity_set *set);
void evtls_identity_set_cleanup(struct evtls_identity_set *set);

/* Fills dst, which holds nothing yet, with the identities of src. Can't fail. */
void evtls_identity_set_copy(struct evtls_identity_set *dst, const struct evtls_identity_set *src);

/* Takes over the caller's reference; what was there of the same kind goes. Can't fail. */
void evtls_identity_set_put(struct evtls_identity_set *set, struct evtls_identity *identity);

bool evtls_identity_set_is_empty(const struct evtls_identity_set *set);

/* Installs all of them; a failure leaves ssl_ctx in an undefined state, to be thrown away. */
int evtls_identity_set_use(const struct evtls_identity_set *set, SSL_CTX *ssl_ctx,
                           struct evtls_error *err);

/*
 * What the set is, for sessions: the digest of the only leaf; of several, SHA-256 over theirs in
 * the order of kinds; zeros for an empty set. 0, or -1 when there is no memory.
 */
int evtls_identity_set_digest(const struct evtls_identity_set *set,
                              unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH]);

#endif
