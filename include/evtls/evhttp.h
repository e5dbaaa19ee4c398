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

struct evhttp;
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
EVTLS_EXPORT int evtls_evhttp_bind(struct evhttp *http, struct evtls_context *ctx,
                                   const char *addr, int port, struct evtls_error *err);

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

#ifdef __cplusplus
}
#endif

#endif
