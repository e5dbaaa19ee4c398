/* SPDX-License-Identifier: BSD-3-Clause */
/* The half of the policy that speaks to OpenSSL. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509_vfy.h>

#include "policy.h"

/*
 * Ciphers of TLS 1.2, which always agree on keys by (elliptic-curve) Diffie-Hellman and
 * authenticate by more than SHA-1.
 *
 * A context that may be a client also offers CBC with SHA-2, for servers that have nothing else; a
 * server's has AEAD ciphers alone: what speaks TLS 1.2 today speaks those, and the history of
 * padding oracles (Lucky Thirteen) is in the server's half of CBC.
 */
#define SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!aDSS:!PSK"
#define CLIENT_CIPHERS                                                                             \
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!aDSS:!PSK:!SHA1:!AESCCM"

/* Those that are off may be on in the system's configuration. */
#define OPTIONS_ON                                                                                 \
    (SSL_OP_NO_SSLv3 | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |                           \
     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_ENABLE_MIDDLEBOX_COMPAT | SSL_OP_ALL)
#define OPTIONS_OFF                                                                                \
    (SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA |                                     \
     SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT |                     \
     SSL_OP_ALLOW_CLIENT_RENEGOTIATION)

/* ---- Making an SSL_CTX ------------------------------------------------------------------ */

static bool has_cipher(const STACK_OF(SSL_CIPHER) * ciphers, const SSL_CIPHER *cipher)
{
    int i;

    for (i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
        if (sk_SSL_CIPHER_value(ciphers, i) == cipher)
            return true;
    return false;
}

static bool is_tls13_suite(const SSL_CIPHER *cipher)
{
    return SSL_CIPHER_get_protocol_id(cipher) >> 8 == 0x13;
}

/* The names of those up to TLS 1.2 in list that allowed has too, joined by colons. */
static char *join_common(const STACK_OF(SSL_CIPHER) * list, const STACK_OF(SSL_CIPHER) * allowed)
{
    size_t len = 0, size = 1;
    char *names;
    int i;

    for (i = 0; i < sk_SSL_CIPHER_num(list); i++)
        size += strlen(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, i))) + 1;
    names = malloc(size);
    if (names == NULL)
        return NULL;
    for (i = 0; i < sk_SSL_CIPHER_num(list); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(list, i);
        size_t name_len = strlen(SSL_CIPHER_get_name(cipher));

        if (is_tls13_suite(cipher) || !has_cipher(allowed, cipher))
            continue;
        if (len > 0)
            names[len++] = ':';
        memcpy(names + len, SSL_CIPHER_get_name(cipher), name_len);
        len += name_len;
    }
    names[len] = '\0';
    return names;
}

/* Our list without what the system's configuration left out of its own; the system's own where
 * they have nothing in common. */
static int apply_default_ciphers(SSL_CTX *ssl_ctx, bool client, struct evtls_error *err)
{
    STACK_OF(SSL_CIPHER) *system = sk_SSL_CIPHER_dup(SSL_CTX_get_ciphers(ssl_ctx));
    char *names = NULL;
    int status = 0;

    if (system == NULL ||
        SSL_CTX_set_cipher_list(ssl_ctx, client ? CLIENT_CIPHERS : SERVER_CIPHERS) <= 0)
        goto fail;
    names = join_common(SSL_CTX_get_ciphers(ssl_ctx), system);
    if (names == NULL)
        goto fail;
    if (names[0] == '\0') {
        free(names);
        names = join_common(system, system);
        if (names == NULL)
            goto fail;
    }
    if (SSL_CTX_set_cipher_list(ssl_ctx, names) > 0)
        goto out;
fail:
    status = evtls_policy_explain(err, "default ciphers");
out:
    free(names);
    sk_SSL_CIPHER_free(system);
    return status;
}

static int apply_ciphers(const struct evtls_policy *policy, SSL_CTX *ssl_ctx,
                         struct evtls_error *err)
{
    /* Before the list: one with @SECLEVEL in it was taken into account when it was set. */
    int level = evtls_policy_security_level(policy, ssl_ctx);

    if (policy->ciphers == NULL) {
        int status =
            apply_default_ciphers(ssl_ctx, policy->protocol != EVTLS_PROTOCOL_TLS_SERVER, err);

        if (status != 0)
            return status;
    } else if (SSL_CTX_set_cipher_list(ssl_ctx, policy->ciphers) <= 0) {
        return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "ciphers \"%s\"", policy->ciphers);
    }
    SSL_CTX_set_security_level(ssl_ctx, level);
    if (policy->suites != NULL && SSL_CTX_set_ciphersuites(ssl_ctx, policy->suites) <= 0)
        return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "TLS 1.3 cipher suites \"%s\"",
                                    policy->suites);
    return 0;
}

static int apply_versions(const struct evtls_policy *policy, SSL_CTX *ssl_ctx,
                          struct evtls_error *err)
{
    int min = policy->min_version, max = policy->max_version;

    if (min == 0) {
        min = (int)SSL_CTX_get_min_proto_version(ssl_ctx);
        if (min < TLS1_2_VERSION)
            min = TLS1_2_VERSION;
    }
    if (max == 0)
        max = (int)SSL_CTX_get_max_proto_version(ssl_ctx);
    if (max != 0 && min > max)
        return evtls_error_set(err, EVTLS_ERR_CONFIG,
                               "no protocol version is left: minimum 0x%04x, maximum 0x%04x",
                               (unsigned)min, (unsigned)max);
    if (SSL_CTX_set_min_proto_version(ssl_ctx, min) <= 0 ||
        SSL_CTX_set_max_proto_version(ssl_ctx, max) <= 0)
        return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG,
                                    "OpenSSL has not the protocol versions 0x%04x to 0x%04x",
                                    (unsigned)min, (unsigned)max);
    return 0;
}

static int verify_mode(const struct evtls_policy *policy, enum evtls_role role)
{
    if (!evtls_policy_verifies(policy, role))
        return SSL_VERIFY_NONE;
    if (role == EVTLS_SERVER && policy->verify_mode == EVTLS_VERIFY_REQUIRED)
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    return SSL_VERIFY_PEER;
}

static const SSL_METHOD *method_for(enum evtls_protocol protocol)
{
    switch (protocol) {
    case EVTLS_PROTOCOL_TLS_CLIENT:
        return TLS_client_method();
    case EVTLS_PROTOCOL_TLS_SERVER:
        return TLS_server_method();
    default:
        return TLS_method();
    }
}

static void apply_values(const struct evtls_policy *policy, SSL_CTX *ssl_ctx)
{
    enum evtls_role role =
        policy->protocol == EVTLS_PROTOCOL_TLS_CLIENT ? EVTLS_CLIENT : EVTLS_SERVER;

    SSL_CTX_set_options(ssl_ctx, OPTIONS_ON);
    SSL_CTX_clear_options(ssl_ctx, OPTIONS_OFF);
    SSL_CTX_set_mode(ssl_ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_dh_auto(ssl_ctx, 1);
    SSL_CTX_set_num_tickets(ssl_ctx, policy->num_tickets);
    SSL_CTX_set_timeout(ssl_ctx, EVTLS_POLICY_SESSION_TIMEOUT);
    SSL_CTX_set_verify(ssl_ctx, verify_mode(policy, role), NULL);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl_ctx), policy->verify_flags);
}

SSL_CTX *evtls_policy_new_ssl_ctx(const struct evtls_policy *policy, struct evtls_error *err)
{
    SSL_CTX *ssl_ctx = SSL_CTX_new(method_for(policy->protocol));

    if (ssl_ctx == NULL) {
        evtls_policy_explain(err, "OpenSSL makes no SSL_CTX");
        return NULL;
    }
    apply_values(policy, ssl_ctx);
    if (apply_versions(policy, ssl_ctx, err) == 0 && apply_ciphers(policy, ssl_ctx, err) == 0) {
        /* 0 is success here. */
        if (policy->alpn == NULL ||
            SSL_CTX_set_alpn_protos(ssl_ctx, policy->alpn, (unsigned)policy->alpn_len) == 0)
            return ssl_ctx;
        evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, NULL);
    }
    SSL_CTX_free(ssl_ctx);
    return NULL;
}

int evtls_policy_check_ssl_ctx(SSL_CTX *ssl_ctx, struct evtls_error *err)
{
    SSL *ssl = SSL_new(ssl_ctx);
    STACK_OF(SSL_CIPHER) * usable;
    int status = 0;

    if (ssl == NULL)
        return evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, NULL);
    /* NULL also where no version is left. */
    usable = SSL_get1_supported_ciphers(ssl);
    if (usable == NULL || sk_SSL_CIPHER_num(usable) == 0)
        status = evtls_error_set_ossl(err, EVTLS_ERR_CONFIG,
                                      "nothing is left to negotiate: no cipher fits the protocol "
                                      "versions and the security level");
    sk_SSL_CIPHER_free(usable);
    SSL_free(ssl);
    evtls_ossl_clear_queue();
    return status;
}

/* ---- Each SSL --------------------------------------------------------------------------- */

int evtls_policy_apply_groups(const struct evtls_policy *policy, SSL *ssl, struct evtls_error *err)
{
    if (policy->groups == NULL || SSL_set1_groups_list(ssl, policy->groups) > 0)
        return 0;
    return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "groups \"%s\"", policy->groups);
}

int evtls_policy_apply_role(const struct evtls_policy *policy, SSL *ssl, enum evtls_role role,
                            struct evtls_error *err)
{
    SSL_set_verify(ssl, verify_mode(policy, role), NULL);
    if (role == EVTLS_SERVER) {
        SSL_set_accept_state(ssl);
        return 0;
    }
    SSL_set_connect_state(ssl);
    return evtls_policy_apply_groups(policy, ssl, err);
}

/* As good as no callback, which OpenSSL can't be told to go back to. */
static int keep_verdict(int verdict, X509_STORE_CTX *store_ctx)
{
    return verdict;
}

/* Flags are cleared first: setting only adds. */
static int switch_verification(SSL *ssl, SSL_CTX *ssl_ctx)
{
    X509_VERIFY_PARAM *to = SSL_get0_param(ssl);
    X509_VERIFY_PARAM *from = SSL_CTX_get0_param(ssl_ctx);
    SSL_verify_cb callback = SSL_CTX_get_verify_callback(ssl_ctx);

    X509_VERIFY_PARAM_clear_flags(to, X509_VERIFY_PARAM_get_flags(to));
    if (X509_VERIFY_PARAM_set_flags(to, X509_VERIFY_PARAM_get_flags(from)) <= 0 ||
        X509_VERIFY_PARAM_set1(to, from) <= 0)
        return -1;
    X509_VERIFY_PARAM_set_depth(to, X509_VERIFY_PARAM_get_depth(from));
    X509_VERIFY_PARAM_set_hostflags(to, X509_VERIFY_PARAM_get_hostflags(from));
    if (callback == NULL && SSL_get_verify_callback(ssl) != NULL)
        callback = keep_verdict;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ssl_ctx), callback);
    return 0;
}

static int switch_limits(SSL *ssl, SSL_CTX *ssl_ctx)
{
    SSL_set_max_cert_list(ssl, SSL_CTX_get_max_cert_list(ssl_ctx));
    SSL_set_quiet_shutdown(ssl, SSL_CTX_get_quiet_shutdown(ssl_ctx));
    if (SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(ssl_ctx)) <= 0 ||
        SSL_set_max_early_data(ssl, SSL_CTX_get_max_early_data(ssl_ctx)) <= 0 ||
        SSL_set_recv_max_early_data(ssl, SSL_CTX_get_recv_max_early_data(ssl_ctx)) <= 0)
        return -1;
    return 0;
}

int evtls_policy_switch(SSL *ssl, SSL_CTX *ssl_ctx, struct evtls_error *err)
{
    if (SSL_set_SSL_CTX(ssl, ssl_ctx) == NULL)
        return evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, NULL);
    SSL_clear_options(ssl, SSL_get_options(ssl));
    SSL_set_options(ssl, SSL_CTX_get_options(ssl_ctx));
    SSL_clear_mode(ssl, SSL_get_mode(ssl));
    SSL_set_mode(ssl, SSL_CTX_get_mode(ssl_ctx));
    /* The bounds pass through an empty range where the two contexts have no version in common;
     * OpenSSL looks at them only when it chooses one. */
    if (switch_verification(ssl, ssl_ctx) < 0 || switch_limits(ssl, ssl_ctx) < 0 ||
        SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(ssl_ctx)) <= 0 ||
        SSL_set_max_proto_version(ssl, SSL_CTX_get_max_proto_version(ssl_ctx)) <= 0)
        return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "changing to the chosen context");
    return 0;
}

/* ---- Digest ----------------------------------------------------------------------------- */

/* With its length, so that no two sequences of values hash alike. */
static int hash_bytes(EVP_MD_CTX *hash, const void *data, size_t len)
{
    unsigned char prefix[8];
    size_t i;

    for (i = 0; i < sizeof(prefix); i++)
        prefix[i] = (unsigned char)((uint64_t)len >> (8 * (7 - i)));
    return EVP_DigestUpdate(hash, prefix, sizeof(prefix)) > 0 &&
                   (len == 0 || EVP_DigestUpdate(hash, data, len) > 0)
               ? 0
               : -1;
}

static int hash_ciphers(EVP_MD_CTX *hash, SSL_CTX *ssl_ctx)
{
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ssl_ctx);
    int i;

    for (i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i));

        if (hash_bytes(hash, name, strlen(name)) < 0)
            return -1;
    }
    return 0;
}

int evtls_policy_hash(const struct evtls_policy *policy, SSL_CTX *ssl_ctx, EVP_MD_CTX *hash)
{
    const X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);
    uint64_t values[] = {
        (uint64_t)policy->protocol,
        (uint64_t)policy->verify_mode,
        policy->no_verify,
        policy->no_hostname,
        X509_VERIFY_PARAM_get_flags((X509_VERIFY_PARAM *)param),
        (uint64_t)X509_VERIFY_PARAM_get_depth(param),
        (uint64_t)SSL_CTX_get_min_proto_version(ssl_ctx),
        (uint64_t)SSL_CTX_get_max_proto_version(ssl_ctx),
        (uint64_t)SSL_CTX_get_security_level(ssl_ctx),
    };

    return hash_bytes(hash, values, sizeof(values)) == 0 &&
                   hash_bytes(hash, policy->alpn, policy->alpn_len) == 0 &&
                   hash_ciphers(hash, ssl_ctx) == 0
               ? 0
               : -1;
}
