/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The peer of the interop rows: a client or a server on evtls that says in one line for each
 * connection what was agreed, and in one how it ended (interop/peer --help).
 */
#ifndef EVTLS_TESTS_INTEROP_PEER_H
#define EVTLS_TESTS_INTEROP_PEER_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <evtls/evtls.h>

enum { PEER_MAX_NAMES = 8, PEER_SECONDS = 60 };

struct peer_options {
    const char *connect, *host, *ca, *cert, *key, *tls, *send, *save;
    const char *alpn[PEER_MAX_NAMES];
    size_t n_alpn;
    const char *sni[PEER_MAX_NAMES];
    size_t n_sni;
    unsigned long times;
    int plain, http, wait_end, optional, no_end;
};

int peer_client(const struct peer_options *options, struct event_base *base);
int peer_server(const struct peer_options *options, struct event_base *base);

/* What both sides have in common: versions, ALPN, certificate. Exits where that fails. */
void peer_set_up(struct evtls_context *ctx, const struct peer_options *options);

/* "connected ..." and "ended ..." on standard output. */
void peer_say_connected(struct bufferevent *bev);
void peer_say_ended(struct bufferevent *bev, const struct evtls_error *err);

void peer_die(const char *what, const struct evtls_error *err);

#endif
