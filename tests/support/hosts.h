/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server with two hosts behind an SNI callback, and visits to it by a plain OpenSSL client that
 * offers whatever session it is given.
 *
 *     hosts_open(&hosts);
 *     hosts.a = server_context(host_ident(&hosts, "a.test"));
 *     hosts.b = server_context(host_ident(&hosts, "b.test"));
 *     session = make_session(&hosts, &(struct visit){.sni = "a.test"});
 *     ... is_resumed(&hosts, session, (struct visit){.sni = "b.test"}) ...
 *     hosts_close(&hosts);
 */
#ifndef EVTLS_TESTS_SUPPORT_HOSTS_H
#define EVTLS_TESTS_SUPPORT_HOSTS_H

#include "engines.h"

struct hosts {
    struct pki *pki;
    struct pki_ident *client;             /* what clients present if asked */
    struct evtls_context *initial;        /* what connections begin with */
    struct evtls_context *a, *b;          /* for a.test, and for every other name */
    struct evtls_context *chosen_for_all; /* not NULL: for every name */
};

void hosts_open(struct hosts *hosts);
void hosts_close(struct hosts *hosts);

/* A new certificate for name, and for it alone. */
struct pki_ident *host_ident(struct hosts *hosts, const char *name);

struct visit {
    const char *sni;
    int version;
    bool no_tickets; /* TLS 1.2: the server's cache */
    bool anonymous;  /* the client shows no certificate */
    SSL_SESSION *session;
};

/* What a connection came to. */
struct outcome {
    bool connected, reused;
    bool peer_seen;       /* the server has the client's certificate */
    SSL_SESSION *session; /* the newest, or NULL; belongs to the caller */
};

/* A connection that begins with hosts->initial, or with ctx. */
struct outcome visit_hosts(struct hosts *hosts, const struct visit *visit);
struct outcome visit_context(struct hosts *hosts, struct evtls_context *ctx,
                             const struct visit *visit);

/* A full handshake, which must succeed; its session, the caller's. */
SSL_SESSION *make_session(struct hosts *hosts, const struct visit *visit);

/* Offers session on that visit: whether it was resumed. The connection must work anyway. */
bool is_resumed(struct hosts *hosts, SSL_SESSION *session, struct visit visit);

/* The three ways in which a session travels. */
#define N_WAYS 3
struct way {
    const char *name;
    int version;
    bool no_tickets;
};
extern const struct way ways[N_WAYS];

#endif
