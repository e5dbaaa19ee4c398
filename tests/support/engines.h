/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Engines over memory, and what they are made of in most tests.
 *
 *     struct end client, server;
 *     end_open(&client, client_ctx, EVTLS_CLIENT);
 *     evtls_engine_set_server_hostname(client.engine, "localhost", NULL);
 *     end_open(&server, server_ctx, EVTLS_SERVER);
 *     ck_assert(ends_connect(&client, &server));
 *     end_close(&client);
 *     end_close(&server);
 *
 * The other side may be a plain OpenSSL peer: end_connect_peer.
 */
#ifndef EVTLS_TESTS_SUPPORT_ENGINES_H
#define EVTLS_TESTS_SUPPORT_ENGINES_H

#include <stdbool.h>

#include <event2/buffer.h>

#include <evtls/engine.h>

#include "peer.h"
#include "pki.h"

struct end {
    struct evtls_engine *engine;
    struct evbuffer *in, *out;
    int status; /* of the last step */
};

void end_open(struct end *end, struct evtls_context *ctx, enum evtls_role role);
void end_close(struct end *end);

/* Lets the engine do what its input permits: the handshake, then reading (and dropping) data. */
void end_step(struct end *end);

/* Both take turns until nothing moves any more, so that tickets and late alerts have arrived too.
 * True when both handshakes are complete and neither has failed since. */
bool ends_connect(struct end *client, struct end *server);
bool end_connect_peer(struct end *end, struct peer *peer);

/* All ciphertext at hand, one way: how many bytes. */
size_t end_feed_from_peer(struct end *end, struct peer *peer);
size_t end_feed_to_peer(struct end *end, struct peer *peer);

/* What ended the engine, or NULL. */
const struct evtls_error *error_of(const struct end *end);

/* A server that presents ident, and a client that trusts the root; unsealed. */
struct evtls_context *server_context(struct pki_ident *ident);
struct evtls_context *client_context(const struct pki *pki);

/* Makes ctx, a server, ask for client certificates of the root. */
void ask_for_certificates(struct evtls_context *ctx, const struct pki *pki,
                          enum evtls_verify_mode mode);

/* Loads an identity into ctx. */
void load_identity(struct evtls_context *ctx, struct pki_ident *ident);

#endif
