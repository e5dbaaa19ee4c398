/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine as OpenSSL's callbacks see it. They run inside a step of the engine, get its SSL and
 * find the engine by it; what they have to say is noted here and acted upon when the SSL call
 * returns. An engine that is freed inside such a callback stays until its step ends.
 */
#ifndef EVTLS_SRC_ENGINE_SSL_H
#define EVTLS_SRC_ENGINE_SSL_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include <evtls/engine.h>

struct evtls_hostname;

/* The engine that ssl belongs to, or NULL where ssl is not of an engine. */
struct evtls_engine *evtls_engine_from_ssl(const SSL *ssl);

/* The context of construction, whatever the SNI callback chose. Borrowed. */
struct evtls_context *evtls_engine_get_initial_context(const struct evtls_engine *engine);

/* What a client verifies, or NULL where no name was set. Borrowed. */
const struct evtls_hostname *evtls_engine_get_hostname(const struct evtls_engine *engine);

/*
 * The session that a client's connection was offered and resumes, or NULL after a full
 * handshake. Borrowed. Right from the server's answer on, so also in the new-session callback.
 */
const struct evtls_session *evtls_engine_get_parent_session(const struct evtls_engine *engine);

/*
 * The SNI callback of the program is called between begin and end, at most once a connection:
 *
 *     if (evtls_engine_begin_sni(engine)) {
 *         ... evtls_engine_note_server_name, the callback ...
 *         failed = evtls_engine_end_sni(engine) < 0;
 *     }
 *     ... evtls_context_switch_ssl to evtls_engine_get_context(engine) if that is another ...
 *
 * begin answers false on the second ClientHello after a HelloRetryRequest: the choice stands.
 * Between the two evtls_engine_set_context is allowed, and what the program leaves in OpenSSL's
 * error queue is taken off by end, which returns 0, or EVTLS_ERR_* where the handshake has to end
 * with an alert whatever the callback returned: a set_context failed (its status), or the engine
 * was freed or reset (EVTLS_ERR_USAGE).
 */
bool evtls_engine_begin_sni(struct evtls_engine *engine);
int evtls_engine_end_sni(struct evtls_engine *engine);

/* Keeps a copy of the name that a ClientHello asked for: 0, or -1 when memory is exhausted, which
 * is then the step's failure. */
int evtls_engine_note_server_name(struct evtls_engine *engine, const char *name);

/* A client's new session; one reference is taken over. */
void evtls_engine_add_session(struct evtls_engine *engine, struct evtls_session *session);

/*
 * The step that is running fails with *err (copied) when its SSL call returns, whatever that
 * says: for callbacks that cannot fail by themselves, such as the key log's, and for a better
 * reason than OpenSSL's "callback failed". The first one stays.
 */
void evtls_engine_note_failure(struct evtls_engine *engine, const struct evtls_error *err);

/* The peer's certificate is being refused: keeps the reason, until the SSL goes. */
void evtls_engine_note_refusal(struct evtls_engine *engine, X509_STORE_CTX *store_ctx);

#endif
