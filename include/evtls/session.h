/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/session.h - what a client keeps to resume a connection.
 *
 * A session comes from the `session` callback of a connection or from evtls_engine_get_session,
 * and is offered again with evtls_engine_set_session. It remembers the policy under which it was
 * made, the name that was verified, our own certificate and the time of the full handshake; it is
 * offered only where all of these match (evtls_engine_set_session lists the refusals).
 *
 * Sessions are immutable and reference counted; the count is atomic, so one may be shared by
 * threads. With TLS 1.3 use each once (RFC 8446, appendix C.4).
 */
#ifndef EVTLS_SESSION_H
#define EVTLS_SESSION_H

#include <evtls/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evtls_session;

/* One more reference; each is dropped with evtls_session_free. NULL is passed through. */
EVTLS_EXPORT struct evtls_session *evtls_session_incref(struct evtls_session *session);

/* Drops a reference; the last one frees the session. NULL is fine. */
EVTLS_EXPORT void evtls_session_free(struct evtls_session *session);

#ifdef __cplusplus
}
#endif

#endif
