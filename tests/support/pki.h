/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Certificates made while a test runs.
 *
 * A struct pki has a root CA, an intermediate CA below it, and an unrelated second root; it issues
 * identities (certificate, key, chain) as a struct pki_spec describes them. In a spec every member
 * that is zero or NULL means the default, and an extension given as "" is left out, so
 *
 *     struct pki *pki = pki_new();
 *     struct pki_ident *server = pki_issue(pki, &(struct pki_spec){0});
 *     struct pki_ident *old = pki_issue(pki, &(struct pki_spec){.not_before = -2 * PKI_DAY,
 *                                                               .not_after = -1 * PKI_DAY});
 *
 * makes a good server and client certificate for localhost, 127.0.0.1 and ::1, and an expired one.
 *
 * Ownership: identities, strings and OpenSSL objects belong to the pki and live until pki_free.
 * EC and Ed25519 keys are fresh each time (cheap); RSA keys are made once a process and kind, so
 * two RSA identities of a kind share a key unless fresh_key asks for another.
 * Failures abort. Not for several threads at once.
 */
#ifndef EVTLS_TESTS_SUPPORT_PKI_H
#define EVTLS_TESTS_SUPPORT_PKI_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tmpdir.h"

#define PKI_DAY 86400L
/* The password of every encrypted key. */
#define PKI_PASSWORD "open sesame"

enum pki_issuer {
    PKI_BY_INTERMEDIATE,
    PKI_BY_ROOT,
    PKI_BY_OTHER, /* the unrelated root */
    PKI_BY_SELF,
};

enum pki_key_kind {
    PKI_KEY_P256,
    PKI_KEY_P384,
    PKI_KEY_ED25519,
    PKI_KEY_RSA_2048,
    PKI_KEY_RSA_1024,
    PKI_KEY_RSA_PSS, /* id-RSASSA-PSS, 2048 bits */
    PKI_KEY_KINDS
};

/* Of the issuer's signature. MD5 exists with RSA issuers only; Ed25519 issuers have no choice. */
enum pki_digest { PKI_SHA256, PKI_SHA384, PKI_SHA1, PKI_MD5 };

enum pki_san_kind { PKI_SAN_DNS, PKI_SAN_IP, PKI_SAN_EMAIL, PKI_SAN_URI };

/* An alternative name byte by byte: NULs, an IP address of eight bytes ... */
struct pki_san {
    enum pki_san_kind kind;
    const void *data;
    size_t len;
};

struct pki;
struct pki_ident;

struct pki_spec {
    enum pki_issuer by;
    struct pki_ident *issuer; /* not NULL: issued by this identity, whatever `by` says */
    bool ca;                  /* a CA certificate: changes the defaults of the extensions */
    const char *cn;           /* NULL: "localhost"; "": an empty subject */
    size_t cn_len;            /* 0: strlen(cn) */
    const char *org;          /* NULL: no O */

    /* "DNS:a.test,DNS:*.b.test,IP:127.0.0.1,IP:::1,email:x@a.test,URI:http://a/". NULL: localhost,
     * 127.0.0.1 and ::1 (CA: none); "": no extension. raw_san is put behind it. */
    const char *san;
    const struct pki_san *raw_san;
    size_t n_raw_san;

    /* Extensions in the words of openssl's x509v3_config(5). Defaults, leaf and CA:
     * critical,CA:FALSE / critical,CA:TRUE; critical,digitalSignature /
     * critical,keyCertSign,cRLSign; serverAuth,clientAuth / none; hash; keyid. */
    const char *basic_constraints;
    const char *key_usage;
    const char *eku;
    const char *subject_key_id;
    const char *authority_key_id;
    /* More of them, "nameConstraints=permitted;DNS:a.test", with a NULL at the end. */
    const char *const *extensions;

    long not_before; /* seconds from now; both zero: a day ago .. in a year */
    long not_after;

    enum pki_key_kind key_kind;
    EVP_PKEY *key; /* not NULL: this key (a renewed or cross-signed certificate); not taken over */
    bool fresh_key;
    enum pki_digest digest;
    bool corrupt_signature; /* one bit of the signature is wrong */
};

#define PKI_EKU_SERVER "serverAuth"
#define PKI_EKU_CLIENT "clientAuth"
#define PKI_EKU_NONE ""

struct pki *pki_new(void);
void pki_free(struct pki *pki);

/* The three CAs of every pki. */
struct pki_ident *pki_root(const struct pki *pki);
struct pki_ident *pki_intermediate(const struct pki *pki);
struct pki_ident *pki_other_root(const struct pki *pki);

struct pki_ident *pki_issue(struct pki *pki, const struct pki_spec *spec);

/* What an identity holds. The chain is the issuers below the root, nearest first, without the
 * identity's own certificate. */
X509 *pki_cert(const struct pki_ident *ident);
EVP_PKEY *pki_key(const struct pki_ident *ident);
STACK_OF(X509) * pki_chain(const struct pki_ident *ident);

/* The same as PEM text: the certificate; the certificate and its chain, as a server's file has
 * them; the key as PKCS#8; the key encrypted with PKI_PASSWORD; and key, certificate and chain
 * in one. */
const char *pki_cert_pem(struct pki_ident *ident);
const char *pki_chain_pem(struct pki_ident *ident);
const char *pki_key_pem(struct pki_ident *ident);
const char *pki_encrypted_key_pem(struct pki_ident *ident);
const char *pki_bundle_pem(struct pki_ident *ident);

/* The certificate as DER. */
const unsigned char *pki_cert_der(struct pki_ident *ident, size_t *len);

/* Writes NAME.pem (certificate and chain), NAME.key and NAME.enc.key (encrypted). */
struct pki_files {
    const char *chain;
    const char *key;
    const char *encrypted_key;
};
struct pki_files pki_write(struct pki_ident *ident, struct tmpdir *dir, const char *name);

/* Marks an identity as revoked: it is in each list that its issuer makes from now on. */
void pki_revoke(struct pki_ident *ident);

/* A new revocation list of an issuer; times as in a spec (both zero: an hour ago .. in a month). */
X509_CRL *pki_crl(struct pki_ident *issuer, long last_update, long next_update);
const char *pki_crl_pem(struct pki_ident *issuer, long last_update, long next_update);

/* What a memory BIO holds, which is freed; the text lives until the process ends. */
const char *pki_keep_text(BIO *bio);

#endif
