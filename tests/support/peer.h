/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plain OpenSSL peer without I/O: the other side of a connection under test.
 *
 * It is an SSL over two memory BIOs. Ciphertext for it goes in by peer_feed, its own comes out by
 * peer_take; between the two it is driven by single steps (peer_handshake, peer_read ...) or by
 * peer_step, which does whatever its input allows and collects the plaintext.
 *
 *     struct peer *client = peer_new(&(struct peer_options){.trust = pki_root(pki),
 *                                                           .host = "localhost"});
 *     while (peer_step(client) == PEER_WANT_INPUT)
 *         ... peer_take -> the other side -> peer_feed ...
 *
 * In the options zero and NULL mean OpenSSL's default, but at security level 0 and with the lowest
 * and highest version that OpenSSL has, so that weak things can be tried on the other side. Every
 * step clears OpenSSL's error queue before and after; the reason of a failure is kept in the peer.
 */
#ifndef EVTLS_TESTS_SUPPORT_PEER_H
#define EVTLS_TESTS_SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "pki.h"

enum peer_result {
    PEER_OK,
    PEER_WANT_INPUT, /* nothing to do before more input */
    PEER_CLOSED,     /* the other side's close_notify came */
    PEER_EOF,        /* its bytes ended without one */
    PEER_FAILED,     /* see peer_reason, peer_alert_received, peer_alert_sent */
};

struct peer_options {
    bool server;
    struct pki_ident *ident;  /* certificate to present; NULL: none */
    struct pki_ident *ident2; /* a second one, of another key kind */
    struct pki_ident *trust;  /* verify the other side against this; NULL: verify nothing */
    const char *host;         /* client: the name to verify, and to send unless sni is given */
    const char *sni;          /* client: the name to send; "": none */
    bool request_certificate; /* server: ask for one, go on without */
    bool require_certificate; /* server: ask for one, fail without */
    int min_version;          /* TLS1_2_VERSION ... */
    int max_version;
    const char *ciphers; /* up to TLS 1.2 */
    const char *suites;  /* TLS 1.3 */
    const char *groups;
    const char *sigalgs;
    const char *alpn;     /* "h2,http/1.1"; a server takes its first that is offered */
    SSL_SESSION *session; /* client: offer this; not taken over */
    bool no_tickets;      /* server: issue none */
    size_t num_tickets;   /* server, TLS 1.3 */
    uint64_t ssl_options; /* SSL_OP_... added */
    size_t max_fragment;  /* largest plaintext of a record */
    bool sealable;        /* for seal.h: AES-GCM suites only unless others are named */
    /* Share this peer's SSL_CTX (ticket keys, session cache): the context options are ignored. */
    const struct peer *like;
};

struct peer;

struct peer *peer_new(const struct peer_options *options);
void peer_free(struct peer *peer);

/* Ciphertext for the peer; then, once, the end of it. */
void peer_feed(struct peer *peer, const void *data, size_t len);
void peer_feed_eof(struct peer *peer);

/* Ciphertext from the peer: how much waits, what it is, and up to size bytes of it taken out. */
size_t peer_pending(const struct peer *peer);
const unsigned char *peer_peek(const struct peer *peer, size_t *len);
size_t peer_take(struct peer *peer, void *data, size_t size);

/* Puts bytes into the peer's output, behind what is there. */
void peer_inject(struct peer *peer, const void *data, size_t len);

/* Throws the waiting ciphertext away. */
void peer_discard(struct peer *peer);

/* Moves up to max bytes of ciphertext from one peer to another and returns how many. */
size_t peer_transfer(struct peer *from, struct peer *to, size_t max);

/* Single steps. peer_write takes all or nothing: its output has no limit. */
enum peer_result peer_handshake(struct peer *peer);
enum peer_result peer_write(struct peer *peer, const void *data, size_t len);
enum peer_result peer_read(struct peer *peer, void *data, size_t size, size_t *len);

/* Sends our close_notify; PEER_CLOSED where the other's is here as well, else PEER_OK. */
enum peer_result peer_shutdown(struct peer *peer);

/* TLS 1.3: a KeyUpdate, with or without a request for one in return. */
enum peer_result peer_key_update(struct peer *peer, bool request);

/* TLS 1.2: starts a renegotiation (HelloRequest or ClientHello). */
enum peer_result peer_renegotiate(struct peer *peer);

/* TLS 1.3 server: sends one more ticket. */
enum peer_result peer_send_ticket(struct peer *peer);

/* Handshake if there is one to do, then every byte that can be read, into what peer_received gives.
 * PEER_WANT_INPUT while the connection is open. */
enum peer_result peer_step(struct peer *peer);

/* The plaintext that peer_step read, from the first byte on. */
const unsigned char *peer_received(const struct peer *peer, size_t *len);

/* What is known of the connection. */
bool peer_is_open(const struct peer *peer);       /* the handshake is complete */
int peer_alert_received(const struct peer *peer); /* description of the last one; -1: none */
int peer_alert_sent(const struct peer *peer);
int peer_reason(const struct peer *peer);       /* SSL_R_... of the failure; 0: none */
long peer_verify_code(const struct peer *peer); /* X509_V_... */
const char *peer_alpn(struct peer *peer);       /* "": none */
bool peer_session_reused(const struct peer *peer);
unsigned peer_tickets(const struct peer *peer);     /* client: sessions that came */
SSL_SESSION *peer_session(const struct peer *peer); /* the newest; borrowed; NULL: none */
unsigned peer_key_updates_received(const struct peer *peer);

/* TLS 1.3, sealable: the first secret that protects what it sends; its length, 0 without one. */
size_t peer_traffic_secret(const struct peer *peer, unsigned char *secret, size_t size);

/* The SSL itself, for what has no call here. */
SSL *peer_ssl(const struct peer *peer);

#endif
