/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The setters of evtls/context.h. Each builds what it was given on the side and puts it in place
 * when nothing can fail any more.
 */
#include "config.h"

#include <stdlib.h>

#include <openssl/x509_vfy.h>

#include "callbacks.h"
#include "context_internal.h"
#include "keylog.h"

/* EVTLS_OK when ctx may be changed. */
static int check_unsealed(const struct evtls_context *ctx, struct evtls_error *err)
{
    if (ctx == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no context");
    if (evtls_context_is_sealed(ctx))
        return evtls_error_set(err, EVTLS_ERR_SEALED,
                               "the context is sealed; change a copy (evtls_context_copy)");
    return evtls_error_set_ok(err);
}

/* ---- Identity --------------------------------------------------------------------------- */

int evtls_context_load_cert_chain(struct evtls_context *ctx, const char *certfile,
                                  const char *keyfile, const struct evtls_password *password,
                                  struct evtls_error *err)
{
    struct evtls_identity *identity = NULL;
    int status = check_unsealed(ctx, err);

    if (status == 0)
        status = evtls_identity_load_file(&identity, certfile, keyfile, password, err);
    if (status == 0)
        evtls_identity_set_put(&ctx->identities, identity);
    return status;
}

int evtls_context_load_cert_chain_data(struct evtls_context *ctx, const void *cert, size_t cert_len,
                                       const void *key, size_t key_len,
                                       const struct evtls_password *password,
                                       struct evtls_error *err)
{
    struct evtls_identity *identity = NULL;
    int status = check_unsealed(ctx, err);

    if (status == 0)
        status = evtls_identity_load_data(&identity, cert, cert_len, key, key_len, password, err);
    if (status == 0)
        evtls_identity_set_put(&ctx->identities, identity);
    return status;
}

int evtls_context_use_self_signed(struct evtls_context *ctx, const char *const *names, size_t n,
                                  struct evtls_error *err)
{
    struct evtls_identity *identity = NULL;
    int status = check_unsealed(ctx, err);

    if (status == 0)
        status = evtls_identity_self_signed(&identity, names, n, err);
    if (status == 0)
        evtls_identity_set_put(&ctx->identities, identity);
    return status;
}

const struct evtls_certificate *evtls_context_get_certificate(const struct evtls_context *ctx)
{
    if (ctx == NULL || ctx->identities.latest == NULL)
        return NULL;
    return evtls_identity_get_certificate(ctx->identities.latest);
}

/* ---- Trust ------------------------------------------------------------------------------ */

/* Puts *trust, made from one more reference on the context's, in place, or drops it. */
static int finish_trust(struct evtls_context *ctx, struct evtls_trust *trust, int status)
{
    if (status == 0) {
        evtls_trust_free(ctx->trust);
        ctx->trust = trust;
    } else {
        evtls_trust_free(trust);
    }
    return status;
}

int evtls_context_load_verify_locations(struct evtls_context *ctx, const char *cafile,
                                        const char *capath, struct evtls_error *err)
{
    struct evtls_trust *trust;
    int status = check_unsealed(ctx, err);

    if (status < 0)
        return status;
    if (cafile == NULL && capath == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "neither a CA file nor a CA directory");
    trust = evtls_trust_incref(ctx->trust);
    if (cafile != NULL)
        status = evtls_trust_add_file(&trust, cafile, err);
    if (status == 0 && capath != NULL)
        status = evtls_trust_add_dir(&trust, capath, err);
    return finish_trust(ctx, trust, status);
}

int evtls_context_load_verify_locations_data(struct evtls_context *ctx, const void *data,
                                             size_t len, struct evtls_error *err)
{
    struct evtls_trust *trust;
    int status = check_unsealed(ctx, err);

    if (status < 0)
        return status;
    trust = evtls_trust_incref(ctx->trust);
    return finish_trust(ctx, trust, evtls_trust_add_data(&trust, data, len, err));
}

int evtls_context_load_default_certs(struct evtls_context *ctx, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_trust_add_system(&ctx->trust, err);
}

int evtls_context_set_verify_mode(struct evtls_context *ctx, enum evtls_verify_mode mode,
                                  struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_verify_mode(&ctx->policy, mode, err);
}

int evtls_context_set_insecure_no_verify(struct evtls_context *ctx, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    if (status == 0)
        ctx->policy.no_verify = true;
    return status;
}

int evtls_context_set_insecure_no_hostname(struct evtls_context *ctx, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    if (status == 0)
        ctx->policy.no_hostname = true;
    return status;
}

/* ---- Versions and algorithms ------------------------------------------------------------ */

int evtls_context_set_min_version(struct evtls_context *ctx, enum evtls_tls_version version,
                                  struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_min_version(&ctx->policy, version, false, err);
}

int evtls_context_set_insecure_min_version(struct evtls_context *ctx,
                                           enum evtls_tls_version version, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_min_version(&ctx->policy, version, true, err);
}

int evtls_context_set_max_version(struct evtls_context *ctx, enum evtls_tls_version version,
                                  struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_max_version(&ctx->policy, version, err);
}

int evtls_context_set_ciphers(struct evtls_context *ctx, const char *list, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_ciphers(&ctx->policy, list, err);
}

int evtls_context_set_ciphersuites(struct evtls_context *ctx, const char *suites,
                                   struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_suites(&ctx->policy, suites, err);
}

int evtls_context_set_groups(struct evtls_context *ctx, const char *groups, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_groups(&ctx->policy, groups, err);
}

int evtls_context_set_alpn(struct evtls_context *ctx, const char *const *protocols, size_t n)
{
    int status = check_unsealed(ctx, NULL);

    return status < 0 ? status : evtls_policy_set_alpn(&ctx->policy, protocols, n);
}

int evtls_context_set_num_tickets(struct evtls_context *ctx, unsigned n, struct evtls_error *err)
{
    int status = check_unsealed(ctx, err);

    return status < 0 ? status : evtls_policy_set_num_tickets(&ctx->policy, n, err);
}

int evtls_context_set_handshake_timeout(struct evtls_context *ctx, const struct timeval *timeout,
                                        struct evtls_error *err)
{
    static const struct timeval usual = {EVTLS_HANDSHAKE_TIMEOUT_S, 0};
    int status = check_unsealed(ctx, err);

    if (status < 0)
        return status;
    if (timeout == NULL)
        timeout = &usual;
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0 || timeout->tv_usec >= 1000000 ||
        (timeout->tv_sec == 0 && timeout->tv_usec == 0))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "a handshake needs some time");
    ctx->handshake_timeout = *timeout;
    return 0;
}

void evtls_context_get_handshake_timeout(const struct evtls_context *ctx, struct timeval *timeout)
{
    static const struct timeval none = {0, 0};

    *timeout = ctx != NULL ? ctx->handshake_timeout : none;
}

/* ---- Callbacks of connections ------------------------------------------------------------ */

int evtls_context_set_callbacks(struct evtls_context *ctx, const struct evtls_callbacks *cb,
                                void *arg)
{
    int status = check_unsealed(ctx, NULL);

    if (status == 0)
        status = evtls_callbacks_copy(&ctx->callbacks, cb);
    if (status == 0)
        ctx->callbacks_arg = arg;
    return status;
}

const struct evtls_callbacks *evtls_context_get_callbacks(const struct evtls_context *ctx,
                                                          void **arg)
{
    *arg = ctx->callbacks_arg;
    return &ctx->callbacks;
}

/* ---- Live settings ---------------------------------------------------------------------- */

int evtls_context_set_sni_callback(struct evtls_context *ctx, evtls_sni_cb cb, void *arg,
                                   void (*free_arg)(void *))
{
    struct evtls_sni_hook *hook = NULL, *old;

    if (ctx == NULL || ctx->policy.protocol == EVTLS_PROTOCOL_TLS_CLIENT)
        return EVTLS_ERR_USAGE;
    if (cb != NULL) {
        hook = evtls_sni_hook_new(cb, arg, free_arg);
        if (hook == NULL)
            return EVTLS_ERR_NOMEM;
    }
    pthread_mutex_lock(&ctx->lock);
    old = ctx->sni;
    ctx->sni = hook;
    pthread_mutex_unlock(&ctx->lock);
    evtls_context_put_sni(old);
    return 0;
}

struct evtls_sni_hook *evtls_context_get_sni(struct evtls_context *ctx)
{
    struct evtls_sni_hook *hook;

    pthread_mutex_lock(&ctx->lock);
    hook = evtls_sni_hook_incref(ctx->sni);
    pthread_mutex_unlock(&ctx->lock);
    return hook;
}

int evtls_context_set_keylog_file(struct evtls_context *ctx, const char *path,
                                  struct evtls_error *err)
{
    struct evtls_keylog *keylog = NULL;
    struct evtls_error own;

    if (ctx == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no context");
    if (path != NULL) {
        keylog = evtls_keylog_open(path, &own);
        if (keylog == NULL)
            return evtls_error_copy(err, &own);
    }
    evtls_lineage_set_keylog(ctx->lineage, keylog);
    evtls_context_follow_keylog(ctx);
    return evtls_error_set_ok(err);
}

/* ---- Defaults --------------------------------------------------------------------------- */

/* 1 when ca names anything, 0 when not, or EVTLS_ERR_USAGE. */
static int check_ca(const struct evtls_ca *ca, struct evtls_error *err)
{
    if (ca == NULL)
        return 0;
    for (size_t i = 0; i < sizeof(ca->reserved) / sizeof(ca->reserved[0]); i++)
        if (ca->reserved[i] != NULL)
            return evtls_error_set(err, EVTLS_ERR_USAGE,
                                   "a reserved member of struct evtls_ca is not NULL");
    return ca->file != NULL || ca->dir != NULL || ca->data != NULL || ca->data_len > 0;
}

static int load_ca(struct evtls_context *ctx, const struct evtls_ca *ca, struct evtls_error *err)
{
    int status = 0;

    if (ca->file != NULL || ca->dir != NULL)
        status = evtls_context_load_verify_locations(ctx, ca->file, ca->dir, err);
    if (status == 0 && (ca->data != NULL || ca->data_len > 0))
        status = evtls_context_load_verify_locations_data(ctx, ca->data, ca->data_len, err);
    return status;
}

static int set_defaults(struct evtls_context *ctx, enum evtls_purpose purpose,
                        const struct evtls_ca *ca, struct evtls_error *err)
{
    const char *keylog = secure_getenv("SSLKEYLOGFILE");
    int given = check_ca(ca, err);
    int status = given < 0 ? given : 0;

    ctx->policy.verify_flags |= X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT;
    if (given > 0)
        status = load_ca(ctx, ca, err);
    else if (given == 0 && purpose == EVTLS_PURPOSE_SERVER_AUTH)
        status = evtls_context_load_default_certs(ctx, err);
    if (status == 0 && keylog != NULL && keylog[0] != '\0')
        status = evtls_context_set_keylog_file(ctx, keylog, err);
    return status;
}

struct evtls_context *evtls_context_new_default(enum evtls_purpose purpose,
                                                const struct evtls_ca *ca, struct evtls_error *err)
{
    struct evtls_context *ctx;

    if (purpose != EVTLS_PURPOSE_SERVER_AUTH && purpose != EVTLS_PURPOSE_CLIENT_AUTH) {
        evtls_error_set(err, EVTLS_ERR_USAGE, "unknown purpose %d", (int)purpose);
        return NULL;
    }
    ctx = evtls_context_new(purpose == EVTLS_PURPOSE_SERVER_AUTH ? EVTLS_PROTOCOL_TLS_CLIENT
                                                                 : EVTLS_PROTOCOL_TLS_SERVER,
                            err);
    if (ctx != NULL && set_defaults(ctx, purpose, ca, err) != 0) {
        evtls_context_free(ctx);
        ctx = NULL;
    }
    return ctx;
}
