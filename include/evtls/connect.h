/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/connect.h - connecting to a host by its name. In libevtls_extra, which needs
 * libevent_extra.
 */
#ifndef EVTLS_CONNECT_H
#define EVTLS_CONNECT_H

#include <evtls/bufferevent.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evdns_base;

/*
 * Connects a socket bufferevent of evtls that has no descriptor to a port of a host, trying every
 * address that the host has (RFC 8305, "Happy Eyeballs"):
 *
 *  - AAAA and A records are asked for at once. Connecting starts when the AAAA records came; when
 *    the A records came first, they wait 50 ms for them.
 *  - The addresses take turns by family, in the order in which the resolver gave them otherwise; at
 *    most 24 of each family are tried.
 *  - The next address is tried when the last one has failed, or after 250 ms beside it. The first
 *    that is connected is taken, and the others are closed. Nothing is sent on any before.
 *
 * It takes the place of bufferevent_socket_connect_hostname, which works on bufferevents of evtls
 * as well, but tries the first address alone and sets no name.
 *
 * bev: made by evtls_bufferevent_socket_new with fd -1; or one whose last try failed without a
 * descriptor, which then starts afresh as after bufferevent_setfd. The descriptor is closed with
 * the bufferevent as BEV_OPT_CLOSE_ON_FREE says.
 *
 * dns: whom to ask; its hosts file counts (evdns_base_load_hosts). It may be freed at any time:
 * with fail_requests, evdns_base_free fails a lookup that is under way; without, nobody answers it,
 * the deadline ends it, and libevent does not free all that it kept for it. Since it may be gone, a
 * lookup that nobody waits for any more is not cancelled: evdns ends it by its own timeouts, and
 * keeps its events in the loop until then. NULL: the system's resolver, which blocks this call
 * until it has answered.
 *
 * family: AF_UNSPEC, or AF_INET or AF_INET6 for that one alone. host: a name in ASCII, or an IP
 * address, which is not looked up; an IPv6 address may stand in brackets and have a zone, with
 * which it is connected to ("fe80::1%eth0", "[fe80::1%25eth0]"). Copied. port: 1 to 65535.
 *
 * On a client, host becomes the name that is sent (SNI) and that the certificate is verified for,
 * unless evtls_engine_set_server_hostname was called on its engine. Then it may be any.
 *
 * The deadline of the handshake (evtls_bufferevent_set_handshake_timeout, 30 seconds unless set)
 * counts from this call on and is one for lookup, connecting and handshake. Lookup and connecting
 * go on, and their clock runs, whatever is disabled; the handshake obeys that as always.
 *
 * What comes of it is told from the loop: as after any connect (alpn, handshake,
 * BEV_EVENT_CONNECTED), or `error` and BEV_EVENT_ERROR, once, with a status
 * (evtls_engine_get_error)
 *
 *   EVTLS_ERR_RESOLVE  no address: resolve_code is EVUTIL_EAI_*; the message names the host
 *   EVTLS_ERR_IO       every address failed: sys_errno of the last; the message names host,
 *                      address and port, and says how many were tried
 *   EVTLS_ERR_TIMEOUT  the deadline passed (BEV_EVENT_TIMEOUT|BEV_EVENT_ERROR): sys_errno is
 *                      ETIMEDOUT; the message says what was waited for
 *
 * or any of the handshake's own. Until then bufferevent_free, evtls_bufferevent_close and
 * bufferevent_setfd cancel it: descriptors are closed, nothing is told.
 *
 * Returns 0, or, with nothing changed, EVTLS_ERR_USAGE (not a socket bufferevent of evtls; it has
 * or waits for a descriptor; a wrong family or port; host NULL, or refused as
 * evtls_engine_set_server_hostname refuses it, a session set for another name included) or
 * EVTLS_ERR_NOMEM. Any thread, as bufferevent.h says.
 */
EVTLS_EXPORT int evtls_bufferevent_connect_hostname(struct bufferevent *bev, struct evdns_base *dns,
                                                    int family, const char *host, int port);

#ifdef __cplusplus
}
#endif

#endif
