/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/evhttp.h - HTTPS with libevent's evhttp. In libevtls_extra, which needs libevent_extra.
 */
#ifndef EVTLS_EVHTTP_H
#define EVTLS_EVHTTP_H

#include <evtls/bufferevent.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evdns_base;
struct event_base;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;

/*
 * For evhttp_set_bevcb(http, evtls_evhttp_bevcb, ctx): every connection that http accepts from
 * then on speaks TLS as a server of ctx, a struct evtls_context * that the caller keeps alive
 * while http uses it. To change it, call evhttp_set_bevcb again; connections that exist keep
 * their own.
 *
 * Returns a bufferevent for evhttp. evhttp would go on in plaintext if it got NULL, so where TLS
 * cannot be had (ctx NULL or refused, no memory) it is one that never sends anything and reports
 * one error; NULL only when libevent itself cannot allocate a bufferevent, where evhttp's own
 * attempt fails as well.
 */
EVTLS_EXPORT struct bufferevent *evtls_evhttp_bevcb(struct event_base *base, void *ctx);

/*
 * Lets http serve HTTPS at an address and port: binds a listener and does
 * evhttp_set_bevcb(http, evtls_evhttp_bevcb, ctx), so that all connections http accepts from then
 * on use ctx, which the caller keeps alive as above. When descriptors run out, accepting rests and
 * is tried again, while existing connections are served.
 *
 * addr: an IP address or a name that resolves at once; NULL: all addresses, IPv6 and IPv4. port
 * 0: a free one. Returns 0, or EVTLS_ERR_USAGE (NULL, a client context, a bad port),
 * EVTLS_ERR_CONFIG (as evtls_context_seal), EVTLS_ERR_RESOLVE (resolve_code), EVTLS_ERR_IO
 * (sys_errno: in use, not allowed), EVTLS_ERR_NOMEM; nothing has changed then.
 */
EVTLS_EXPORT int evtls_evhttp_bind(struct evhttp *http, struct evtls_context *ctx, const char *addr,
                                   int port, struct evtls_error *err);

/* The port that the latest evtls_evhttp_bind of http got, or 0: tells after port 0 was asked. */
EVTLS_EXPORT int evtls_evhttp_get_port(struct evhttp *http);

/*
 * The engine of the connection that req came on (on a server) or goes out on (on a client), which
 * has everything about its TLS: version, ALPN, the name asked for, the peer's certificate. NULL
 * where that is not a connection of evtls, where req has none (any more), and for NULL. On a
 * client evhttp parts them before it calls back that the request is complete: ask in the header or
 * chunk callback (evhttp_request_set_header_cb), or evhttp_connection_get_bufferevent.
 *
 * Borrowed; it lives as long as the connection's bufferevent, so ask again for each request. With
 * keep-alive all requests of a connection have the same one.
 */
EVTLS_EXPORT struct evtls_engine *evtls_evhttp_request_get_engine(struct evhttp_request *req);

/* ---- Clients ---------------------------------------------------------------------------- */

/*
 * A connection for HTTPS requests to a host, for evhttp_make_request and all the other calls for
 * evhttp's client connections; freed by evhttp_connection_free, which frees all of it.
 *
 * It connects at the first request, and again when one comes after the connection was closed, by
 * either side. Every address of the host is tried then, as evtls_bufferevent_connect_hostname
 * (evtls/connect.h) does it, which also says what host and port may be. dns must outlive the
 * connection; NULL blocks the loop while the system's resolver works. Connecting again resumes the
 * last session.
 *
 * The certificate must be valid for host, whatever the Host header says; another name may be set
 * by evtls_engine_set_server_hostname before the first request, on the engine of
 * evhttp_connection_get_bufferevent. That bufferevent takes evtls_bufferevent_setcb as well; its
 * own callbacks (bufferevent_setcb) are evhttp's.
 *
 * Time: the deadline for lookup, connecting and handshake is the context's
 * (evtls_context_set_handshake_timeout), or set by evtls_bufferevent_set_handshake_timeout;
 * evhttp_connection_set_timeout bounds each of evhttp's steps, connecting (with the handshake)
 * among them. evhttp_connection_set_retries counts as always: evhttp tries again where a connect
 * was refused everywhere, or timed out.
 *
 * Not with evhttp_connection_set_local_address and _set_local_port: requests fail then.
 * evhttp_connection_set_family has no effect on names.
 *
 * Returns NULL and changes nothing with EVTLS_ERR_USAGE (a NULL argument but dns; port not 1 to
 * 65535; a context for servers; a host that evtls_engine_set_server_hostname refuses),
 * EVTLS_ERR_CONFIG (as evtls_bufferevent_socket_new), EVTLS_ERR_UNSUPPORTED, EVTLS_ERR_NOMEM. The
 * context is referenced.
 */
EVTLS_EXPORT struct evhttp_connection *evtls_evhttp_connection_new(struct event_base *base,
                                                                   struct evdns_base *dns,
                                                                   struct evtls_context *ctx,
                                                                   const char *host, int port,
                                                                   struct evtls_error *err);

/*
 * Why a connection made by evtls_evhttp_connection_new last failed: for a request's callback whose
 * request is NULL or has no response code, since evhttp has reset the bufferevent by then and its
 * engine's error is gone. NULL when nothing has failed since the last complete handshake, or where
 * it was evhttp that gave up (its own time limits, a reply it does not understand), and for any
 * other connection. Borrowed, until the next failure or evhttp_connection_free.
 */
EVTLS_EXPORT const struct evtls_error *
evtls_evhttp_connection_get_error(struct evhttp_connection *evcon);

#ifdef __cplusplus
}
#endif

#endif
