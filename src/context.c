/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of a context: made, copied, sealed, freed.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "callbacks.h"
#include "context_internal.h"
#include "library.h"

/* ---- Life ------------------------------------------------------------------------------- */

static struct evtls_context *context_alloc(struct evtls_error *err)
{
    struct evtls_context *ctx = calloc(1, sizeof(*ctx));

    if (ctx == NULL || pthread_mutex_init(&ctx->lock, NULL) != 0) {
        free(ctx);
        evtls_error_set_nomem(err);
        return NULL;
    }
    ctx->refs = 1;
    ctx->handshake_timeout = (struct timeval){EVTLS_HANDSHAKE_TIMEOUT_S, 0};
    evtls_identity_set_init(&ctx->identities);
    return ctx;
}

struct evtls_context *evtls_context_new(enum evtls_protocol protocol, struct evtls_error *err)
{
    struct evtls_context *ctx;

    if (protocol != EVTLS_PROTOCOL_TLS && protocol != EVTLS_PROTOCOL_TLS_CLIENT &&
        protocol != EVTLS_PROTOCOL_TLS_SERVER) {
        evtls_error_set(err, EVTLS_ERR_USAGE, "unknown protocol %d", (int)protocol);
        return NULL;
    }
    if (evtls_library_init(err) != 0)
        return NULL;
    ctx = context_alloc(err);
    if (ctx == NULL)
        return NULL;
    evtls_policy_init(&ctx->policy, protocol);
    ctx->lineage = evtls_lineage_new();
    if (ctx->lineage == NULL) {
        evtls_context_free(ctx);
        evtls_ossl_clear_queue();
        evtls_error_set_nomem(err);
        return NULL;
    }
    evtls_error_set_ok(err);
    return ctx;
}

struct evtls_context *evtls_context_incref(struct evtls_context *ctx)
{
    if (ctx != NULL)
        ctx->refs++;
    return ctx;
}

void evtls_context_free(struct evtls_context *ctx)
{
    if (ctx == NULL || --ctx->refs > 0)
        return;
    SSL_CTX_free(ctx->ssl_ctx);
    evtls_context_put_sni(ctx->sni);
    evtls_policy_cleanup(&ctx->policy);
    evtls_identity_set_cleanup(&ctx->identities);
    evtls_trust_free(ctx->trust);
    evtls_lineage_free(ctx->lineage);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx);
}

struct evtls_context *evtls_context_copy(struct evtls_context *ctx, struct evtls_error *err)
{
    struct evtls_context *copy;

    if (ctx == NULL) {
        evtls_error_set(err, EVTLS_ERR_USAGE, "no context to copy");
        return NULL;
    }
    copy = context_alloc(err);
    if (copy == NULL)
        return NULL;
    if (evtls_policy_copy(&copy->policy, &ctx->policy) != 0) {
        memset(&copy->policy, 0, sizeof(copy->policy));
        evtls_context_free(copy);
        evtls_error_set_nomem(err);
        return NULL;
    }
    evtls_identity_set_copy(&copy->identities, &ctx->identities);
    copy->trust = evtls_trust_incref(ctx->trust);
    copy->lineage = evtls_lineage_incref(ctx->lineage);
    copy->handshake_timeout = ctx->handshake_timeout;
    copy->callbacks = ctx->callbacks;
    copy->callbacks_arg = ctx->callbacks_arg;
    copy->sni = evtls_context_get_sni(ctx);
    evtls_error_set_ok(err);
    return copy;
}

/* ---- Sealing ---------------------------------------------------------------------------- */

int evtls_context_is_sealed(const struct evtls_context *ctx)
{
    return ctx != NULL && ctx->ssl_ctx != NULL;
}

int evtls_context_get_protocol(const struct evtls_context *ctx)
{
    return ctx != NULL ? (int)ctx->policy.protocol : 0;
}

static int seal_locked(struct evtls_context *ctx, struct evtls_error *err)
{
    SSL_CTX *ssl_ctx;

    if (ctx->policy.protocol == EVTLS_PROTOCOL_TLS_SERVER &&
        evtls_identity_set_is_empty(&ctx->identities))
        return evtls_error_set(err, EVTLS_ERR_CONFIG,
                               "a server needs a certificate: evtls_context_load_cert_chain or "
                               "evtls_context_use_self_signed");
    evtls_ossl_clear_queue();
    ssl_ctx = evtls_context_make_ssl_ctx(ctx, err);
    evtls_ossl_clear_queue();
    if (ssl_ctx == NULL)
        return evtls_error_get_status(err) < 0 ? evtls_error_get_status(err) : EVTLS_ERR_CONFIG;
    ctx->ssl_ctx = ssl_ctx;
    return 0;
}

/* A client without anchors is no mistake that we can be sure of, but a likely one. */
static void warn_of_no_trust(const struct evtls_context *ctx, struct evtls_error *err)
{
    if (ctx->policy.protocol != EVTLS_PROTOCOL_TLS_SERVER &&
        evtls_policy_verifies(&ctx->policy, EVTLS_CLIENT) && evtls_trust_is_empty(ctx->trust))
        evtls_error_set(err, EVTLS_OK,
                        "no CA certificate is trusted, so that every server will be refused");
}

int evtls_context_seal(struct evtls_context *ctx, struct evtls_error *err)
{
    struct evtls_error own;
    int status = 0;

    if (ctx == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no context to seal");
    evtls_error_init(&own);
    pthread_mutex_lock(&ctx->lock);
    if (ctx->ssl_ctx == NULL)
        status = seal_locked(ctx, &own);
    pthread_mutex_unlock(&ctx->lock);
    if (status < 0)
        return evtls_error_copy(err, &own);
    evtls_error_set_ok(err);
    if (err != NULL)
        warn_of_no_trust(ctx, err);
    evtls_context_follow_keylog(ctx);
    return 0;
}

int evtls_context_prepare(struct evtls_context *ctx, enum evtls_role role, struct evtls_error *err)
{
    const struct evtls_policy *policy;
    int status;

    if (ctx == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "a connection needs a context");
    policy = &ctx->policy;
    if (!evtls_policy_can_play(policy, role))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "a context for %s cannot play a %s",
                               role == EVTLS_CLIENT ? "servers" : "clients",
                               role == EVTLS_CLIENT ? "client" : "server");
    if (role == EVTLS_CLIENT && !policy->no_verify && !evtls_policy_verifies(policy, role))
        return evtls_error_set(err, EVTLS_ERR_CONFIG,
                               "a client has to verify its servers: evtls_context_set_verify_mode, "
                               "or evtls_context_set_insecure_no_verify");
    if (role == EVTLS_SERVER && evtls_identity_set_is_empty(&ctx->identities))
        return evtls_error_set(err, EVTLS_ERR_CONFIG, "a server needs a certificate");
    status = ctx->ssl_ctx != NULL ? evtls_error_set_ok(err) : evtls_context_seal(ctx, err);
    return status;
}

/* ---- Questions of the engine ------------------------------------------------------------ */

bool evtls_context_verifies(const struct evtls_context *ctx, enum evtls_role role)
{
    return evtls_policy_verifies(&ctx->policy, role);
}

bool evtls_context_checks_hostname(const struct evtls_context *ctx)
{
    return evtls_policy_checks_hostname(&ctx->policy);
}

bool evtls_context_has_alpn(const struct evtls_context *ctx)
{
    return ctx->policy.alpn_len > 0;
}

const unsigned char *evtls_context_get_policy_digest(const struct evtls_context *ctx)
{
    return ctx->policy_digest;
}

const unsigned char *evtls_context_get_identity_digest(const struct evtls_context *ctx)
{
    return ctx->identity_digest;
}
