/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's SSL object, and what OpenSSL's callbacks leave with the engine.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <evtls/openssl.h>

#include "context.h"
#include "engine_internal.h"
#include "library.h"
#include "session.h"
#include "verify_reason.h"

/*
 * KeyUpdates and tickets cost us work and buy the peer nothing, so it may send only so many
 * without data between them: this many, and one more for each record's worth of plaintext.
 */
#define FREE_KEY_UPDATES 1024
#define FREE_TICKETS 64

#define ALERT_LEVEL_FATAL 2

/* ---- From an SSL to its engine, and back ------------------------------------------------ */

/* -1 without memory. */
static int get_ssl_index(void)
{
    static atomic_int index = -1;

    return evtls_library_get_ex_index(CRYPTO_EX_INDEX_SSL, &index);
}

struct evtls_engine *evtls_engine_from_ssl(const SSL *ssl)
{
    int index = get_ssl_index();

    return ssl != NULL && index >= 0 ? SSL_get_ex_data(ssl, index) : NULL;
}

SSL *evtls_engine_get_ssl(const struct evtls_engine *engine)
{
    return engine != NULL ? engine->ssl : NULL;
}

/* ---- Messages --------------------------------------------------------------------------- */

/* In TLS 1.3 the level says nothing: all alerts but these two are fatal (RFC 8446, section 6). */
static bool is_fatal(int version, const unsigned char *alert)
{
    if (version == TLS1_3_VERSION)
        return alert[1] != SSL_AD_CLOSE_NOTIFY && alert[1] != SSL_AD_USER_CANCELLED;
    return alert[0] == ALERT_LEVEL_FATAL;
}

/* Counts a message that the peer must not send without end. */
static void count_message(struct evtls_engine *engine, uint64_t *count, uint64_t free_messages,
                          const char *name)
{
    *count += 1;
    if (*count <= free_messages + engine->plaintext_in / EVTLS_RECORD_MAX_PLAINTEXT)
        return;
    engine->flood = name;
    engine->link.poisoned = true;
}

static void note_handshake_message(struct evtls_engine *engine, unsigned char type)
{
    engine->heard = true;
    if (type == SSL3_MT_KEY_UPDATE)
        count_message(engine, &engine->key_updates, FREE_KEY_UPDATES, "key updates");
    else if (type == SSL3_MT_NEWSESSION_TICKET)
        count_message(engine, &engine->tickets, FREE_TICKETS, "session tickets");
}

static void on_message(int is_ours, int version, int content_type, const void *data, size_t len,
                       SSL *ssl, void *arg)
{
    struct evtls_engine *engine = arg;
    const unsigned char *bytes = data;

    if (content_type == SSL3_RT_HANDSHAKE && !is_ours && len > 0) {
        note_handshake_message(engine, bytes[0]);
    } else if (content_type == SSL3_RT_ALERT && len == 2 && is_fatal(version, bytes)) {
        if (is_ours)
            engine->alert_sent = bytes[1];
        else
            engine->alert_received = bytes[1];
    }
}

/* ---- Life of the SSL -------------------------------------------------------------------- */

/*
 * A session that may not be offered any more (its age, a certificate's end) is left out: the
 * handshake is then a full one.
 */
static int offer_session(struct evtls_engine *engine, SSL *ssl)
{
    if (engine->offered == NULL ||
        evtls_session_check(engine->offered, engine->initial, engine->host, NULL) < 0)
        return EVTLS_OK;
    if (SSL_set_session(ssl, evtls_session_get_ssl_session(engine->offered)) == 1)
        return EVTLS_OK;
    return EVTLS_ERR_NOMEM;
}

static int set_up_client(struct evtls_engine *engine, SSL *ssl, struct evtls_error *err)
{
    int status = evtls_context_set_ssl_hostname(engine->initial, ssl, engine->host, err);

    if (status < 0)
        return status;
    if (offer_session(engine, ssl) < 0)
        return evtls_error_set_ossl(err, EVTLS_ERR_NOMEM, "cannot offer a session");
    return EVTLS_OK;
}

static int set_up_ssl(struct evtls_engine *engine, SSL *ssl, struct evtls_error *err)
{
    int index = get_ssl_index();
    BIO *bio;

    if (index < 0 || SSL_set_ex_data(ssl, index, engine) != 1)
        return evtls_error_set_nomem(err);
    bio = evtls_bio_new(&engine->link);
    if (bio == NULL)
        return evtls_error_set_nomem(err);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, engine);
    return engine->role == EVTLS_CLIENT ? set_up_client(engine, ssl, err) : EVTLS_OK;
}

int evtls_engine_make_ssl(struct evtls_engine *engine)
{
    struct evtls_error err;
    SSL *ssl;
    int status;

    evtls_ossl_clear_queue();
    evtls_error_init(&err);
    ssl = evtls_context_new_ssl(engine->initial, engine->role, &err);
    if (ssl == NULL)
        return evtls_engine_end_with(engine, &err);
    status = set_up_ssl(engine, ssl, &err);
    evtls_ossl_clear_queue();
    if (status < 0) {
        SSL_free(ssl);
        return evtls_engine_end_with(engine, &err);
    }
    engine->ssl = ssl;
    return EVTLS_OK;
}

/*
 * A connection that ended by a TLS error must not be resumed (RFC 5246, section 7.2.2); one whose
 * transport failed, or that was cut off, may be.
 */
static bool is_sound(const struct evtls_engine *engine)
{
    if (!engine->handshake_done)
        return false;
    if (engine->error == NULL)
        return true;
    switch (engine->error->status) {
    case EVTLS_ERR_IO:
    case EVTLS_ERR_TIMEOUT:
    case EVTLS_ERR_TRUNCATED:
        return true;
    default:
        return false;
    }
}

void evtls_engine_drop_ssl(struct evtls_engine *engine)
{
    SSL *ssl = engine->ssl;

    free(engine->refused);
    engine->refused = NULL;
    if (ssl == NULL)
        return;
    /* OpenSSL takes a session for broken that is freed without a close in both directions. */
    if (is_sound(engine))
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    engine->ssl = NULL;
    SSL_free(ssl);
    evtls_ossl_clear_queue();
}

/* ---- Questions and notes of callbacks --------------------------------------------------- */

struct evtls_context *evtls_engine_get_initial_context(const struct evtls_engine *engine)
{
    return engine->initial;
}

const struct evtls_hostname *evtls_engine_get_hostname(const struct evtls_engine *engine)
{
    return engine->host;
}

const struct evtls_session *evtls_engine_get_parent_session(const struct evtls_engine *engine)
{
    if (engine->ssl == NULL || engine->role != EVTLS_CLIENT || !SSL_session_reused(engine->ssl))
        return NULL;
    return engine->offered;
}

bool evtls_engine_begin_sni(struct evtls_engine *engine)
{
    if (engine->sni != EVTLS_SNI_NOT_ASKED)
        return false;
    engine->sni = EVTLS_SNI_ASKING;
    return true;
}

int evtls_engine_end_sni(struct evtls_engine *engine)
{
    /* SSL_get_error takes what the program left there for the failure of the call around it. */
    evtls_ossl_clear_queue();
    engine->sni = EVTLS_SNI_ASKED;
    if (engine->link.cut)
        return EVTLS_ERR_USAGE;
    return engine->choice_status;
}

int evtls_engine_note_server_name(struct evtls_engine *engine, const char *name)
{
    char *copy = strdup(name);

    if (copy == NULL) {
        engine->link.exhausted = true;
        return -1;
    }
    free(engine->server_name);
    engine->server_name = copy;
    return 0;
}

void evtls_engine_add_session(struct evtls_engine *engine, struct evtls_session *session)
{
    size_t n = 0;

    while (n < EVTLS_ENGINE_MAX_ARRIVED && engine->arrived[n] != NULL)
        n++;
    if (n == EVTLS_ENGINE_MAX_ARRIVED) {
        evtls_session_free(engine->arrived[0]);
        memmove(&engine->arrived[0], &engine->arrived[1], (n - 1) * sizeof(engine->arrived[0]));
        n--;
    }
    engine->arrived[n] = evtls_session_incref(session);
    evtls_session_free(engine->newest);
    engine->newest = session;
}

struct evtls_session *evtls_engine_take_session(struct evtls_engine *engine)
{
    struct evtls_session *session;

    if (engine == NULL)
        return NULL;
    session = engine->arrived[0];
    memmove(&engine->arrived[0], &engine->arrived[1],
            (EVTLS_ENGINE_MAX_ARRIVED - 1) * sizeof(engine->arrived[0]));
    engine->arrived[EVTLS_ENGINE_MAX_ARRIVED - 1] = NULL;
    return session;
}

void evtls_engine_note_failure(struct evtls_engine *engine, const struct evtls_error *err)
{
    if (engine->noted != NULL || engine->link.exhausted)
        return;
    engine->noted = evtls_error_new(err);
    if (engine->noted == NULL)
        engine->link.exhausted = true;
}

void evtls_engine_note_refusal(struct evtls_engine *engine, X509_STORE_CTX *store_ctx)
{
    free(engine->refused);
    engine->refused = evtls_verify_reason_new(store_ctx, engine->role, engine->host);
}
