/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's session with what it is bound to, and the server's side of the same rule: a session
 * resumes only under the policy that made it, and no chain of resumptions outlives
 * EVTLS_SESSION_MAX_AGE seconds since the full handshake or the end of validity of either side's
 * certificate.
 */
#ifndef EVTLS_SRC_SESSION_H
#define EVTLS_SRC_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <evtls/session.h>

#include "error.h"

#define EVTLS_SESSION_MAX_AGE (7 * 24 * 3600)

struct evtls_context;
struct evtls_hostname;

/*
 * Wraps session (one reference is taken over on success) that arrived on ssl, a client's
 * connection under ctx to host (NULL: none). parent: the session that the connection resumed, or
 * NULL after a full handshake; age and expiry are inherited from it.
 */
struct evtls_session *evtls_session_wrap(SSL_SESSION *session, SSL *ssl, struct evtls_context *ctx,
                                         const struct evtls_hostname *host,
                                         const struct evtls_session *parent);

/*
 * 0 when session may be offered now on a client connection under ctx to host (NULL: not set yet,
 * which passes), or EVTLS_ERR_USAGE with the reason.
 */
int evtls_session_check(const struct evtls_session *session, struct evtls_context *ctx,
                        const struct evtls_hostname *host, struct evtls_error *err);

SSL_SESSION *evtls_session_get_ssl_session(const struct evtls_session *session);

/*
 * On a server: notes in session, which has just been made on ssl, the time of the full handshake,
 * the end that follows from it and the server name, unless it has them from the session it
 * resumes, and shortens its timeout to that. Returns when it stops being accepted, in seconds
 * since 1970, or -1 when memory is exhausted.
 */
int64_t evtls_session_mark(SSL *ssl, SSL_SESSION *session);

/* On a server that is offered session: whether what was noted in it permits to resume it. */
bool evtls_session_may_resume(SSL *ssl, SSL_SESSION *session);

/* Installs the server's half on a context that is being sealed: 0 or -1 (no memory). */
int evtls_session_setup_ssl_ctx(SSL_CTX *ssl_ctx);

#endif
