/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a context becomes in OpenSSL: its SSL_CTX, the SSLs of its connections, and the callbacks
 * in which OpenSSL asks for keys, sessions and protocols.
 *
 * The callbacks find their context through the SSL's engine. OpenSSL asks those of the context that
 * a connection began with, whatever the SNI callback chose, so they are the same in all of ours.
 * Tickets are under the keys of the chosen context's lineage; the session cache is that of the
 * first one's, since OpenSSL names no other where a session is to be forgotten. What keeps a
 * session of one host from another is, besides its server name, the session-id context, which is
 * the policy digest of the chosen context.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <evtls/openssl.h>

#include "alpn.h"
#include "context_internal.h"
#include "engine_ssl.h"
#include "hostname.h"
#include "keylog.h"
#include "library.h"
#include "session.h"

SSL_CTX *evtls_context_get_ssl_ctx(const struct evtls_context *ctx)
{
    return ctx != NULL ? ctx->ssl_ctx : NULL;
}

/* ---- Callbacks -------------------------------------------------------------------------- */

static struct evtls_context *initial_context(const SSL *ssl)
{
    return evtls_engine_get_initial_context(evtls_engine_from_ssl(ssl));
}

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static int64_t uptime_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int seals)
{
    struct evtls_context *ctx = evtls_engine_get_context(evtls_engine_from_ssl(ssl));
    struct evtls_ticket_keys *keys = evtls_lineage_get_ticket_keys(ctx->lineage);

    return seals ? evtls_ticket_keys_seal(keys, uptime_s(), name, iv, cipher, mac)
                 : evtls_ticket_keys_open(keys, uptime_s(), name, iv, cipher, mac);
}

/* TLS 1.3 has tickets alone: what its clients may come back with needs no place here. */
static void keep_server_session(SSL *ssl, SSL_SESSION *session)
{
    int64_t expiry;

    if (SSL_version(ssl) >= TLS1_3_VERSION)
        return;
    expiry = evtls_session_mark(ssl, session);
    if (expiry >= 0)
        evtls_session_cache_add(evtls_lineage_get_session_cache(initial_context(ssl)->lineage),
                                session, now_s(), expiry);
}

/* Returns 1 where the reference on session is kept. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct evtls_engine *engine = evtls_engine_from_ssl(ssl);
    struct evtls_session *wrapped;

    if (SSL_is_server(ssl)) {
        keep_server_session(ssl, session);
        return 0;
    }
    wrapped =
        evtls_session_wrap(session, ssl, initial_context(ssl), evtls_engine_get_hostname(engine),
                           evtls_engine_get_parent_session(engine));
    if (wrapped == NULL)
        return 0;
    evtls_engine_add_session(engine, wrapped);
    return 1;
}

static SSL_SESSION *on_get_session(SSL *ssl, const unsigned char *id, int len, int *copy)
{
    struct evtls_session_cache *cache =
        evtls_lineage_get_session_cache(initial_context(ssl)->lineage);
    SSL_SESSION *session = evtls_session_cache_get(cache, id, (size_t)len, now_s());

    *copy = 0; /* the reference is OpenSSL's */
    if (session != NULL && !evtls_session_may_resume(ssl, session)) {
        SSL_SESSION_free(session);
        session = NULL;
    }
    return session;
}

/* -1 without memory. */
static int get_lineage_index(void)
{
    static atomic_int index = -1;

    return evtls_library_get_ex_index(CRYPTO_EX_INDEX_SSL_CTX, &index);
}

/* After a fatal alert a session must not be resumed (RFC 5246, section 7.2). */
static void on_remove_session(SSL_CTX *ssl_ctx, SSL_SESSION *session)
{
    struct evtls_lineage *lineage = SSL_CTX_get_ex_data(ssl_ctx, get_lineage_index());
    unsigned len;
    const unsigned char *id = SSL_SESSION_get_id(session, &len);

    evtls_session_cache_remove(evtls_lineage_get_session_cache(lineage), id, len);
}

static int on_alpn(SSL *ssl, const unsigned char **name, unsigned char *name_len,
                   const unsigned char *theirs, unsigned theirs_len, void *arg)
{
    const struct evtls_policy *policy = arg;

    return evtls_alpn_select(policy->alpn, policy->alpn_len, theirs, theirs_len, name, name_len)
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static void on_keylog(const SSL *ssl, const char *line)
{
    struct evtls_engine *engine = evtls_engine_from_ssl(ssl);
    struct evtls_keylog *keylog =
        evtls_lineage_get_keylog(evtls_engine_get_context(engine)->lineage);
    struct evtls_error err;
    int failure;

    if (keylog == NULL)
        return;
    failure = evtls_keylog_write(keylog, line);
    if (failure != 0) {
        evtls_error_set_errno(&err, EVTLS_ERR_IO, failure, "key log %s",
                              evtls_keylog_get_path(keylog));
        evtls_engine_note_failure(engine, &err);
    }
    evtls_keylog_free(keylog);
}

/* Changes no verdict. Where nobody verifies, OpenSSL asks all the same. */
static int on_verdict(int verdict, X509_STORE_CTX *store_ctx)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct evtls_engine *engine = evtls_engine_from_ssl(ssl);

    if (!verdict && engine != NULL && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        evtls_engine_note_refusal(engine, store_ctx);
    return verdict;
}

/* OpenSSL formats each secret before it calls back, so it is asked to only where one wants it. */
void evtls_context_follow_keylog(struct evtls_context *ctx)
{
    if (!evtls_lineage_has_keylog(ctx->lineage))
        return;
    pthread_mutex_lock(&ctx->lock);
    if (ctx->ssl_ctx != NULL && !ctx->logs_keys) {
        SSL_CTX_set_keylog_callback(ctx->ssl_ctx, on_keylog);
        ctx->logs_keys = true;
    }
    pthread_mutex_unlock(&ctx->lock);
}

/* ---- Digests ---------------------------------------------------------------------------- */

/*
 * The names that our certificates are for: a copy of a context that serves other hosts does not
 * take its sessions. A renewed certificate for the same names does.
 */
static int hash_names(const struct evtls_identity_set *set, EVP_MD_CTX *hash)
{
    for (int i = 0; i < EVTLS_IDENTITY_KINDS; i++) {
        X509 *x509;
        int at;

        if (set->by_kind[i] == NULL)
            continue;
        x509 = evtls_certificate_get_x509(evtls_identity_get_certificate(set->by_kind[i]));
        at = X509_get_ext_by_NID(x509, NID_subject_alt_name, -1);
        if (at >= 0) {
            const ASN1_OCTET_STRING *names = X509_EXTENSION_get_data(X509_get_ext(x509, at));

            if (!EVP_DigestUpdate(hash, ASN1_STRING_get0_data(names),
                                  (size_t)ASN1_STRING_length(names)))
                return -1;
        }
    }
    return 0;
}

static int make_policy_digest(struct evtls_context *ctx, SSL_CTX *ssl_ctx)
{
    unsigned char trust[EVTLS_TRUST_DIGEST_LENGTH];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    int rc = -1;

    evtls_trust_get_digest(ctx->trust, trust);
    if (hash != NULL && EVP_DigestInit_ex2(hash, EVP_sha256(), NULL) &&
        EVP_DigestUpdate(hash, evtls_lineage_get_id(ctx->lineage), EVTLS_LINEAGE_ID_LENGTH) &&
        EVP_DigestUpdate(hash, trust, sizeof(trust)) &&
        evtls_policy_hash(&ctx->policy, ssl_ctx, hash) == 0 &&
        (ctx->policy.protocol == EVTLS_PROTOCOL_TLS_CLIENT ||
         hash_names(&ctx->identities, hash) == 0) &&
        EVP_DigestFinal_ex(hash, ctx->policy_digest, NULL))
        rc = 0;
    EVP_MD_CTX_free(hash);
    return rc;
}

/* ---- The SSL_CTX ------------------------------------------------------------------------ */

static int install_callbacks(struct evtls_context *ctx, SSL_CTX *ssl_ctx)
{
    SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL |
                                                SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_new_cb(ssl_ctx, on_new_session);
    SSL_CTX_set_verify(ssl_ctx, SSL_CTX_get_verify_mode(ssl_ctx), on_verdict);
    if (ctx->policy.protocol == EVTLS_PROTOCOL_TLS_CLIENT)
        return 0;
    if (get_lineage_index() < 0 ||
        SSL_CTX_set_ex_data(ssl_ctx, get_lineage_index(), ctx->lineage) != 1)
        return -1;
    SSL_CTX_sess_set_get_cb(ssl_ctx, on_get_session);
    SSL_CTX_sess_set_remove_cb(ssl_ctx, on_remove_session);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_ctx, on_ticket_key);
    SSL_CTX_set_client_hello_cb(ssl_ctx, evtls_sni_on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl_ctx, evtls_sni_on_server_name);
    if (ctx->policy.alpn_len > 0)
        SSL_CTX_set_alpn_select_cb(ssl_ctx, on_alpn, &ctx->policy);
    return evtls_session_setup_ssl_ctx(ssl_ctx);
}

static int set_up(struct evtls_context *ctx, SSL_CTX *ssl_ctx, struct evtls_error *err)
{
    int status = evtls_identity_set_use(&ctx->identities, ssl_ctx, err);

    if (status == 0)
        status = evtls_trust_use(ctx->trust, ssl_ctx, err);
    if (status == 0 && ctx->policy.verify_mode != EVTLS_VERIFY_NONE &&
        ctx->policy.protocol != EVTLS_PROTOCOL_TLS_CLIENT)
        status = evtls_trust_use_client_ca_names(ctx->trust, ssl_ctx, err);
    if (status < 0)
        return status;
    if (install_callbacks(ctx, ssl_ctx) < 0 || make_policy_digest(ctx, ssl_ctx) < 0 ||
        evtls_identity_set_digest(&ctx->identities, ctx->identity_digest) < 0 ||
        SSL_CTX_set_session_id_context(ssl_ctx, ctx->policy_digest, EVTLS_POLICY_DIGEST_LENGTH) !=
            1)
        return evtls_error_set_nomem(err);
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ssl_ctx),
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return evtls_policy_check_ssl_ctx(ssl_ctx, err);
}

SSL_CTX *evtls_context_make_ssl_ctx(struct evtls_context *ctx, struct evtls_error *err)
{
    SSL_CTX *ssl_ctx = evtls_policy_new_ssl_ctx(&ctx->policy, err);

    if (ssl_ctx != NULL && set_up(ctx, ssl_ctx, err) < 0) {
        SSL_CTX_free(ssl_ctx);
        ssl_ctx = NULL;
    }
    return ssl_ctx;
}

/* ---- SSLs ------------------------------------------------------------------------------- */

SSL *evtls_context_new_ssl(struct evtls_context *ctx, enum evtls_role role, struct evtls_error *err)
{
    SSL *ssl;

    evtls_context_follow_keylog(ctx);
    ssl = SSL_new(ctx->ssl_ctx);
    if (ssl == NULL) {
        evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, "no SSL object");
        return NULL;
    }
    if (evtls_policy_apply_role(&ctx->policy, ssl, role, err) < 0) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

int evtls_context_switch_ssl(struct evtls_context *ctx, SSL *ssl, struct evtls_error *err)
{
    int status = 0;

    evtls_context_follow_keylog(ctx);
    if (SSL_get_SSL_CTX(ssl) != ctx->ssl_ctx)
        status = evtls_policy_switch(ssl, ctx->ssl_ctx, err);
    if (status == 0 &&
        SSL_set_session_id_context(ssl, ctx->policy_digest, EVTLS_POLICY_DIGEST_LENGTH) != 1)
        status = evtls_error_set_nomem(err);
    return status < 0 ? status : evtls_policy_apply_groups(&ctx->policy, ssl, err);
}

int evtls_context_set_ssl_hostname(struct evtls_context *ctx, SSL *ssl,
                                   const struct evtls_hostname *host, struct evtls_error *err)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    bool checks = evtls_policy_checks_hostname(&ctx->policy);
    int ok = 1;

    if (host == NULL) {
        if (!checks)
            return 0;
        return evtls_error_set(err, EVTLS_ERR_CONFIG,
                               "no host name to verify was set: evtls_engine_set_server_hostname");
    }
    if (!host->is_ip)
        ok = (int)SSL_set_tlsext_host_name(ssl, host->text);
    if (ok == 1 && checks)
        ok = host->is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, host->text)
                         : X509_VERIFY_PARAM_set1_host(param, host->text, 0);
    return ok == 1 ? 0 : evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, "host name %s", host->text);
}
