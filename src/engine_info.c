/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions about a connection. What the handshake agreed on is kept, so that the answers stay.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "certificate.h"
#include "compat.h"
#include "context.h"
#include "engine_internal.h"
#include "hostname.h"
#include "session.h"

/* ---- What is kept ----------------------------------------------------------------------- */

static int keep_alpn(struct evtls_engine *engine)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(engine->ssl, &name, &len);
    if (len == 0)
        return 0;
    engine->alpn = malloc(len + 1);
    if (engine->alpn == NULL)
        return -1;
    memcpy(engine->alpn, name, len);
    engine->alpn[len] = '\0';
    engine->alpn_len = len;
    return 0;
}

static int keep_peer_certificate(struct evtls_engine *engine)
{
    X509 *x509 = SSL_get0_peer_certificate(engine->ssl);

    if (x509 == NULL)
        return 0;
    engine->peer_certificate = evtls_certificate_from_x509(x509);
    return engine->peer_certificate != NULL ? 0 : -1;
}

int evtls_engine_keep_results(struct evtls_engine *engine)
{
    return keep_alpn(engine) < 0 || keep_peer_certificate(engine) < 0 ? -1 : 0;
}

void evtls_engine_drop_results(struct evtls_engine *engine)
{
    for (size_t i = 0; i < EVTLS_ENGINE_MAX_ARRIVED; i++) {
        evtls_session_free(engine->arrived[i]);
        engine->arrived[i] = NULL;
    }
    evtls_session_free(engine->newest);
    engine->newest = NULL;
    evtls_certificate_free(engine->peer_certificate);
    engine->peer_certificate = NULL;
    free(engine->alpn);
    engine->alpn = NULL;
    engine->alpn_len = 0;
    free(engine->server_name);
    engine->server_name = NULL;
}

/* ---- For the transport ------------------------------------------------------------------ */

enum evtls_engine_state evtls_engine_get_state(const struct evtls_engine *engine)
{
    return engine->state;
}

/* OpenSSL may hold whole records where the program has switched its read-ahead on. */
static bool holds_records(const struct evtls_engine *engine)
{
    return engine->ssl != NULL &&
           (SSL_pending(engine->ssl) > 0 || (!engine->starved && SSL_has_pending(engine->ssl)));
}

bool evtls_engine_has_input(const struct evtls_engine *engine)
{
    const unsigned char *span;

    switch (engine->state) {
    case EVTLS_ENGINE_READ_CLOSED: /* what stands behind the close_notify is not ours */
    case EVTLS_ENGINE_CLOSED:
    case EVTLS_ENGINE_FAILED:
        return false;
    default:
        return holds_records(engine) || evtls_bio_link_peek(&engine->link, &span) > 0;
    }
}

bool evtls_engine_has_alpn(const struct evtls_engine *engine)
{
    return evtls_context_has_alpn(evtls_engine_get_context(engine));
}

bool evtls_engine_has_new_session(const struct evtls_engine *engine)
{
    return engine->arrived[0] != NULL;
}

bool evtls_engine_got_close_notify(const struct evtls_engine *engine)
{
    return engine->ssl != NULL && (SSL_get_shutdown(engine->ssl) & SSL_RECEIVED_SHUTDOWN);
}

/* ---- For everybody ---------------------------------------------------------------------- */

static bool is_done(const struct evtls_engine *engine)
{
    return engine != NULL && engine->handshake_done && engine->ssl != NULL;
}

size_t evtls_engine_get_pending(const struct evtls_engine *engine)
{
    return is_done(engine) ? (size_t)SSL_pending(engine->ssl) : 0;
}

int evtls_engine_is_handshake_done(const struct evtls_engine *engine)
{
    return engine != NULL && engine->handshake_done;
}

int evtls_engine_get_role(const struct evtls_engine *engine)
{
    return engine != NULL ? (int)engine->role : 0;
}

struct evtls_context *evtls_engine_get_context(const struct evtls_engine *engine)
{
    if (engine == NULL)
        return NULL;
    return engine->chosen != NULL ? engine->chosen : engine->initial;
}

struct bufferevent *evtls_engine_get_bufferevent(const struct evtls_engine *engine)
{
    return engine != NULL ? engine->bev : NULL;
}

const char *evtls_engine_get_version(const struct evtls_engine *engine)
{
    return is_done(engine) ? SSL_get_version(engine->ssl) : NULL;
}

const char *evtls_engine_get_cipher(const struct evtls_engine *engine)
{
    const SSL_CIPHER *cipher = is_done(engine) ? SSL_get_current_cipher(engine->ssl) : NULL;

    return cipher != NULL ? SSL_CIPHER_get_name(cipher) : NULL;
}

/* OpenSSL looks into the session without asking whether there is one. */
const char *evtls_engine_get_group(const struct evtls_engine *engine)
{
    if (!is_done(engine) || SSL_get_session(engine->ssl) == NULL)
        return NULL;
    return evtls_compat_group_name(engine->ssl);
}

const char *evtls_engine_get_alpn(const struct evtls_engine *engine, size_t *len)
{
    if (len != NULL)
        *len = engine != NULL ? engine->alpn_len : 0;
    return engine != NULL ? engine->alpn : NULL;
}

const char *evtls_engine_get_server_name(const struct evtls_engine *engine)
{
    if (engine == NULL)
        return NULL;
    if (engine->role == EVTLS_SERVER)
        return engine->server_name;
    return engine->host != NULL && !engine->host->is_ip ? engine->host->text : NULL;
}

const char *evtls_engine_get_server_hostname(const struct evtls_engine *engine)
{
    return engine != NULL && engine->host != NULL ? engine->host->text : NULL;
}

const struct evtls_certificate *evtls_engine_get_peer_certificate(const struct evtls_engine *engine)
{
    return engine != NULL ? engine->peer_certificate : NULL;
}

int evtls_engine_get_peer_auth(const struct evtls_engine *engine)
{
    const struct evtls_context *ctx = evtls_engine_get_context(engine);

    if (!is_done(engine) || engine->peer_certificate == NULL ||
        !evtls_context_verifies(ctx, engine->role) ||
        SSL_get_verify_result(engine->ssl) != X509_V_OK)
        return EVTLS_PEER_UNAUTHENTICATED;
    if (engine->role == EVTLS_CLIENT && evtls_context_checks_hostname(ctx))
        return EVTLS_PEER_CERTIFICATE_HOST;
    return EVTLS_PEER_CERTIFICATE;
}

struct evtls_session *evtls_engine_get_session(const struct evtls_engine *engine)
{
    if (engine == NULL)
        return NULL;
    if (engine->newest == NULL && evtls_engine_get_session_reused(engine))
        return engine->offered;
    return engine->newest;
}

int evtls_engine_get_session_reused(const struct evtls_engine *engine)
{
    return is_done(engine) && SSL_session_reused(engine->ssl);
}
