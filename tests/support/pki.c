/* SPDX-License-Identifier: BSD-3-Clause */
#include "pki.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki_key.h"
#include "require.h"

enum text { TEXT_CERT, TEXT_CHAIN, TEXT_KEY, TEXT_ENCRYPTED_KEY, TEXT_BUNDLE, TEXTS };

struct pki_ident {
    struct pki *pki;
    struct pki_ident *issuer; /* itself where self-signed */
    X509 *cert;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
    char *text[TEXTS];
    unsigned char *der;
    size_t der_len;
    bool revoked;
    struct pki_ident *next;
};

struct pki_text {
    char *text;
    struct pki_text *next;
};

struct pki_crl_entry {
    X509_CRL *crl;
    struct pki_crl_entry *next;
};

struct pki {
    struct pki_ident *idents;
    struct pki_crl_entry *crls;
    struct pki_text *texts;
    struct pki_ident *root;
    struct pki_ident *intermediate;
    struct pki_ident *other_root;
    long next_serial;
};

static void *zalloc(size_t size)
{
    void *p = calloc(1, size);

    support_require(p != NULL);
    return p;
}

/* Names. */

static void add_name_entry(X509_NAME *name, int nid, const char *value, size_t len)
{
    /* V_ASN1_UTF8STRING takes the bytes as they are: control characters and NULs go through. */
    support_require(X509_NAME_add_entry_by_NID(name, nid, V_ASN1_UTF8STRING,
                                               (const unsigned char *)value, (int)len, -1, 0) == 1);
}

static void set_subject(X509 *cert, const struct pki_spec *spec)
{
    X509_NAME *name = X509_NAME_new();
    const char *cn = spec->cn != NULL ? spec->cn : "localhost";
    size_t len = spec->cn_len != 0 ? spec->cn_len : strlen(cn);

    support_require(name != NULL);
    if (spec->org != NULL)
        add_name_entry(name, NID_organizationName, spec->org, strlen(spec->org));
    if (len > 0)
        add_name_entry(name, NID_commonName, cn, len);
    support_require(X509_set_subject_name(cert, name) == 1);
    X509_NAME_free(name);
}

static void push_san(GENERAL_NAMES *names, enum pki_san_kind kind, const void *data, size_t len)
{
    static const int types[] = {GEN_DNS, GEN_IPADD, GEN_EMAIL, GEN_URI};
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value;

    support_require(name != NULL);
    value = kind == PKI_SAN_IP ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    support_require(value != NULL && ASN1_STRING_set(value, data, (int)len) == 1);
    GENERAL_NAME_set0_value(name, types[kind], value);
    support_require(sk_GENERAL_NAME_push(names, name) > 0);
}

static void push_san_ip(GENERAL_NAMES *names, const char *text)
{
    unsigned char address[16];

    if (inet_pton(AF_INET, text, address) == 1) {
        push_san(names, PKI_SAN_IP, address, 4);
    } else {
        support_require(inet_pton(AF_INET6, text, address) == 1);
        push_san(names, PKI_SAN_IP, address, 16);
    }
}

static void push_san_text(GENERAL_NAMES *names, const char *item)
{
    if (strncmp(item, "DNS:", 4) == 0)
        push_san(names, PKI_SAN_DNS, item + 4, strlen(item + 4));
    else if (strncmp(item, "IP:", 3) == 0)
        push_san_ip(names, item + 3);
    else if (strncmp(item, "email:", 6) == 0)
        push_san(names, PKI_SAN_EMAIL, item + 6, strlen(item + 6));
    else if (strncmp(item, "URI:", 4) == 0)
        push_san(names, PKI_SAN_URI, item + 4, strlen(item + 4));
    else
        support_require(!"a name that starts with DNS: IP: email: or URI:");
}

static void add_san(X509 *cert, const struct pki_spec *spec)
{
    const char *list = spec->san;
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    int critical = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
    char *copy, *item, *rest;

    if (list == NULL)
        list = spec->ca || spec->n_raw_san > 0 ? "" : "DNS:localhost,IP:127.0.0.1,IP:::1";
    copy = strdup(list);
    support_require(names != NULL && copy != NULL);
    for (item = strtok_r(copy, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest))
        push_san_text(names, item);
    for (size_t i = 0; i < spec->n_raw_san; i++)
        push_san(names, spec->raw_san[i].kind, spec->raw_san[i].data, spec->raw_san[i].len);
    if (sk_GENERAL_NAME_num(names) > 0)
        support_require(
            X509_add1_ext_i2d(cert, NID_subject_alt_name, names, critical, X509V3_ADD_APPEND) == 1);
    GENERAL_NAMES_free(names);
    free(copy);
}

/* Extensions. */

static void add_ext(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *ext;

    if (value[0] == '\0')
        return;
    ext = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);
    support_require(ext != NULL && X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

static void add_named_ext(X509 *cert, X509V3_CTX *ctx, const char *assignment)
{
    const char *value = strchr(assignment, '=');
    char *name;
    X509_EXTENSION *ext;

    support_require(value != NULL);
    name = strndup(assignment, (size_t)(value - assignment));
    support_require(name != NULL);
    ext = X509V3_EXT_nconf(NULL, ctx, name, value + 1);
    support_require(ext != NULL && X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
    free(name);
}

static const char *or_default(const char *given, const char *normal)
{
    return given != NULL ? given : normal;
}

static void add_extensions(X509 *cert, X509 *issuer, const struct pki_spec *spec)
{
    X509V3_CTX ctx;
    const char *aki = "keyid";

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    add_ext(
        cert, &ctx, NID_basic_constraints,
        or_default(spec->basic_constraints, spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE"));
    add_ext(cert, &ctx, NID_key_usage,
            or_default(spec->key_usage,
                       spec->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"));
    add_ext(cert, &ctx, NID_ext_key_usage,
            or_default(spec->eku, spec->ca ? "" : "serverAuth,clientAuth"));
    add_ext(cert, &ctx, NID_subject_key_identifier, or_default(spec->subject_key_id, "hash"));
    /* A self-signed one needs none, and "keyid" fails where the issuer has no identifier. */
    if (issuer == cert || X509_get0_subject_key_id(issuer) == NULL)
        aki = "";
    add_ext(cert, &ctx, NID_authority_key_identifier, or_default(spec->authority_key_id, aki));
    add_san(cert, spec);
    for (size_t i = 0; spec->extensions != NULL && spec->extensions[i] != NULL; i++)
        add_named_ext(cert, &ctx, spec->extensions[i]);
}

/* Issuing. */

static const EVP_MD *digest_for(EVP_PKEY *signer, enum pki_digest digest)
{
    if (EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519)
        return NULL;
    switch (digest) {
    case PKI_SHA384:
        return EVP_sha384();
    case PKI_SHA1:
        return EVP_sha1();
    case PKI_MD5:
        return EVP_md5();
    case PKI_SHA256:
        break;
    }
    return EVP_sha256();
}

static X509 *with_corrupt_signature(X509 *cert)
{
    unsigned char *der = NULL;
    const unsigned char *p;
    int len = i2d_X509(cert, &der);
    X509 *bad;

    support_require(len > 0);
    der[len - 1] ^= 1; /* the signature is the last part of a certificate */
    p = der;
    bad = d2i_X509(NULL, &p, len);
    support_require(bad != NULL);
    OPENSSL_free(der);
    X509_free(cert);
    return bad;
}

static void set_validity(X509 *cert, const struct pki_spec *spec)
{
    bool given = spec->not_before != 0 || spec->not_after != 0;
    time_t now = time(NULL);

    support_require(ASN1_TIME_adj(X509_getm_notBefore(cert), now, 0,
                                  given ? spec->not_before : -PKI_DAY) != NULL);
    support_require(ASN1_TIME_adj(X509_getm_notAfter(cert), now, 0,
                                  given ? spec->not_after : 365 * PKI_DAY) != NULL);
}

static struct pki_ident *find_issuer(struct pki *pki, const struct pki_spec *spec,
                                     struct pki_ident *self)
{
    if (spec->issuer != NULL)
        return spec->issuer;
    switch (spec->by) {
    case PKI_BY_ROOT:
        return pki->root;
    case PKI_BY_OTHER:
        return pki->other_root;
    case PKI_BY_SELF:
        return self;
    case PKI_BY_INTERMEDIATE:
        break;
    }
    return pki->intermediate;
}

static void set_chain(struct pki_ident *ident)
{
    ident->chain = sk_X509_new_null();
    support_require(ident->chain != NULL);
    for (struct pki_ident *ca = ident; ca->issuer != ca; ca = ca->issuer) {
        if (ca != ident)
            support_require(X509_add_cert(ident->chain, ca->cert, X509_ADD_FLAG_UP_REF) == 1);
    }
}

struct pki_ident *pki_issue(struct pki *pki, const struct pki_spec *spec)
{
    struct pki_ident *ident = zalloc(sizeof *ident);
    X509 *cert = X509_new();
    X509 *issuer;

    support_require(cert != NULL);
    ident->pki = pki;
    ident->next = pki->idents;
    pki->idents = ident;
    ident->issuer = find_issuer(pki, spec, ident);
    ident->key =
        spec->key != NULL ? pki_key_ref(spec->key) : pki_key_get(spec->key_kind, spec->fresh_key);
    issuer = ident->issuer == ident ? cert : ident->issuer->cert;

    support_require(X509_set_version(cert, X509_VERSION_3) == 1);
    support_require(ASN1_INTEGER_set(X509_get_serialNumber(cert), pki->next_serial++) == 1);
    set_subject(cert, spec);
    support_require(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1);
    set_validity(cert, spec);
    support_require(X509_set_pubkey(cert, ident->key) == 1);
    add_extensions(cert, issuer, spec);
    support_require(
        X509_sign(cert, ident->issuer->key, digest_for(ident->issuer->key, spec->digest)) > 0);
    ident->cert = spec->corrupt_signature ? with_corrupt_signature(cert) : cert;
    set_chain(ident);
    return ident;
}

struct pki *pki_new(void)
{
    struct pki *pki = zalloc(sizeof *pki);

    pki->next_serial = 0x1001;
    pki->root = pki_issue(
        pki, &(struct pki_spec){.by = PKI_BY_SELF, .ca = true, .cn = "Test Root", .org = "Test"});
    pki->other_root = pki_issue(
        pki, &(struct pki_spec){.by = PKI_BY_SELF, .ca = true, .cn = "Other Root", .org = "Test"});
    pki->intermediate = pki_issue(
        pki, &(struct pki_spec){
                 .by = PKI_BY_ROOT, .ca = true, .cn = "Test Intermediate", .org = "Test"});
    return pki;
}

static void ident_free(struct pki_ident *ident)
{
    X509_free(ident->cert);
    EVP_PKEY_free(ident->key);
    sk_X509_pop_free(ident->chain, X509_free);
    for (int i = 0; i < TEXTS; i++)
        free(ident->text[i]);
    OPENSSL_free(ident->der);
    free(ident);
}

void pki_free(struct pki *pki)
{
    if (pki == NULL)
        return;
    while (pki->idents != NULL) {
        struct pki_ident *ident = pki->idents;

        pki->idents = ident->next;
        ident_free(ident);
    }
    while (pki->crls != NULL) {
        struct pki_crl_entry *entry = pki->crls;

        pki->crls = entry->next;
        X509_CRL_free(entry->crl);
        free(entry);
    }
    while (pki->texts != NULL) {
        struct pki_text *entry = pki->texts;

        pki->texts = entry->next;
        free(entry->text);
        free(entry);
    }
    free(pki);
}

struct pki_ident *pki_root(const struct pki *pki)
{
    return pki->root;
}

struct pki_ident *pki_intermediate(const struct pki *pki)
{
    return pki->intermediate;
}

struct pki_ident *pki_other_root(const struct pki *pki)
{
    return pki->other_root;
}

X509 *pki_cert(const struct pki_ident *ident)
{
    return ident->cert;
}

EVP_PKEY *pki_key(const struct pki_ident *ident)
{
    return ident->key;
}

STACK_OF(X509) * pki_chain(const struct pki_ident *ident)
{
    return ident->chain;
}

/* Text forms. */

static BIO *new_bio(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    support_require(bio != NULL);
    return bio;
}

static char *bio_to_string(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = zalloc((size_t)len + 1);

    if (len > 0) /* An empty BIO has no data at all. */
        memcpy(text, data, (size_t)len);
    BIO_free(bio);
    return text;
}

const char *pki_keep_text(BIO *bio)
{
    static struct kept {
        struct kept *next;
        char *text;
    } * all;
    struct kept *kept = zalloc(sizeof(*kept));

    kept->text = bio_to_string(bio);
    kept->next = all;
    all = kept;
    return kept->text;
}

static void write_certs(BIO *bio, const struct pki_ident *ident, bool with_chain)
{
    support_require(PEM_write_bio_X509(bio, ident->cert) == 1);
    for (int i = 0; with_chain && i < sk_X509_num(ident->chain); i++)
        support_require(PEM_write_bio_X509(bio, sk_X509_value(ident->chain, i)) == 1);
}

static void write_key(BIO *bio, const struct pki_ident *ident, bool encrypted)
{
    const EVP_CIPHER *cipher = encrypted ? EVP_aes_128_cbc() : NULL;
    const char *password = encrypted ? PKI_PASSWORD : NULL;

    support_require(PEM_write_bio_PKCS8PrivateKey(bio, ident->key, cipher, password,
                                                  encrypted ? (int)strlen(password) : 0, NULL,
                                                  NULL) == 1);
}

static const char *text_of(struct pki_ident *ident, enum text form)
{
    BIO *bio;

    if (ident->text[form] != NULL)
        return ident->text[form];
    bio = new_bio();
    if (form == TEXT_KEY || form == TEXT_BUNDLE)
        write_key(bio, ident, false);
    if (form == TEXT_ENCRYPTED_KEY)
        write_key(bio, ident, true);
    if (form == TEXT_CERT || form == TEXT_CHAIN || form == TEXT_BUNDLE)
        write_certs(bio, ident, form != TEXT_CERT);
    ident->text[form] = bio_to_string(bio);
    return ident->text[form];
}

const char *pki_cert_pem(struct pki_ident *ident)
{
    return text_of(ident, TEXT_CERT);
}

const char *pki_chain_pem(struct pki_ident *ident)
{
    return text_of(ident, TEXT_CHAIN);
}

const char *pki_key_pem(struct pki_ident *ident)
{
    return text_of(ident, TEXT_KEY);
}

const char *pki_encrypted_key_pem(struct pki_ident *ident)
{
    return text_of(ident, TEXT_ENCRYPTED_KEY);
}

const char *pki_bundle_pem(struct pki_ident *ident)
{
    return text_of(ident, TEXT_BUNDLE);
}

const unsigned char *pki_cert_der(struct pki_ident *ident, size_t *len)
{
    if (ident->der == NULL) {
        int n = i2d_X509(ident->cert, &ident->der);

        support_require(n > 0);
        ident->der_len = (size_t)n;
    }
    *len = ident->der_len;
    return ident->der;
}

static const char *write_file(struct tmpdir *dir, const char *name, const char *suffix,
                              const char *text)
{
    char file[256];

    support_require(strlen(name) + strlen(suffix) < sizeof file);
    strcpy(file, name);
    strcat(file, suffix);
    return tmpdir_write_text(dir, file, text);
}

struct pki_files pki_write(struct pki_ident *ident, struct tmpdir *dir, const char *name)
{
    return (struct pki_files){
        .chain = write_file(dir, name, ".pem", pki_chain_pem(ident)),
        .key = write_file(dir, name, ".key", pki_key_pem(ident)),
        .encrypted_key = write_file(dir, name, ".enc.key", pki_encrypted_key_pem(ident)),
    };
}

/* Revocation. */

void pki_revoke(struct pki_ident *ident)
{
    ident->revoked = true;
}

static void add_revoked(X509_CRL *crl, const struct pki_ident *ident, const ASN1_TIME *when)
{
    X509_REVOKED *entry = X509_REVOKED_new();

    support_require(entry != NULL);
    support_require(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(ident->cert)) == 1);
    support_require(X509_REVOKED_set_revocationDate(entry, (ASN1_TIME *)when) == 1);
    support_require(X509_CRL_add0_revoked(crl, entry) == 1);
}

static void add_crl_extensions(X509_CRL *crl, X509 *issuer, long number)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    ASN1_INTEGER *value = ASN1_INTEGER_new();

    support_require(value != NULL && ASN1_INTEGER_set(value, number) == 1);
    support_require(X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, X509V3_ADD_APPEND) == 1);
    ASN1_INTEGER_free(value);
    if (X509_get0_subject_key_id(issuer) == NULL)
        return;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
    ext = X509V3_EXT_nconf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
    support_require(ext != NULL && X509_CRL_add_ext(crl, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

X509_CRL *pki_crl(struct pki_ident *issuer, long last_update, long next_update)
{
    struct pki *pki = issuer->pki;
    struct pki_crl_entry *entry = zalloc(sizeof *entry);
    X509_CRL *crl = X509_CRL_new();
    bool given = last_update != 0 || next_update != 0;
    time_t now = time(NULL);
    ASN1_TIME *last = ASN1_TIME_adj(NULL, now, 0, given ? last_update : -3600);
    ASN1_TIME *next = ASN1_TIME_adj(NULL, now, 0, given ? next_update : 30 * PKI_DAY);

    support_require(crl != NULL && last != NULL && next != NULL);
    support_require(X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
    support_require(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert)) == 1);
    support_require(X509_CRL_set1_lastUpdate(crl, last) == 1);
    support_require(X509_CRL_set1_nextUpdate(crl, next) == 1);
    for (struct pki_ident *ident = pki->idents; ident != NULL; ident = ident->next) {
        if (ident->revoked && ident->issuer == issuer)
            add_revoked(crl, ident, last);
    }
    add_crl_extensions(crl, issuer->cert, pki->next_serial++);
    support_require(X509_CRL_sort(crl) == 1);
    support_require(X509_CRL_sign(crl, issuer->key, digest_for(issuer->key, PKI_SHA256)) > 0);
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    entry->crl = crl;
    entry->next = pki->crls;
    pki->crls = entry;
    return crl;
}

const char *pki_crl_pem(struct pki_ident *issuer, long last_update, long next_update)
{
    struct pki_text *entry = zalloc(sizeof *entry);
    BIO *bio = new_bio();

    support_require(PEM_write_bio_X509_CRL(bio, pki_crl(issuer, last_update, next_update)) == 1);
    entry->text = bio_to_string(bio);
    entry->next = issuer->pki->texts;
    issuer->pki->texts = entry;
    return entry->text;
}
