/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "support/engines.h"

#include <string.h>

#include "support/require.h"

void end_open(struct end *end, struct evtls_context *ctx, enum evtls_role role)
{
    end->in = evbuffer_new();
    end->out = evbuffer_new();
    end->status = 0;
    support_require(end->in != NULL && end->out != NULL);
    end->engine = evtls_engine_new(ctx, role, end->in, end->out, NULL);
    support_require(end->engine != NULL);
}

void end_close(struct end *end)
{
    evtls_engine_free(end->engine);
    evbuffer_free(end->in);
    evbuffer_free(end->out);
    memset(end, 0, sizeof(*end));
}

void end_step(struct end *end)
{
    char data[4096];

    end->status = evtls_engine_handshake(end->engine);
    if (end->status != 0)
        return;
    do {
        end->status = (int)evtls_engine_read(end->engine, data, sizeof(data));
    } while (end->status > 0);
}

static bool is_well(const struct end *end)
{
    return evtls_engine_is_handshake_done(end->engine) &&
           evtls_engine_get_error(end->engine) == NULL;
}

bool ends_connect(struct end *client, struct end *server)
{
    size_t moved;

    do {
        end_step(client);
        moved = evbuffer_get_length(client->out);
        support_require(evbuffer_add_buffer(server->in, client->out) == 0);
        end_step(server);
        moved += evbuffer_get_length(server->out);
        support_require(evbuffer_add_buffer(client->in, server->out) == 0);
    } while (moved > 0);
    return is_well(client) && is_well(server);
}

size_t end_feed_from_peer(struct end *end, struct peer *peer)
{
    unsigned char bytes[4096];
    size_t n, moved = 0;

    while ((n = peer_take(peer, bytes, sizeof(bytes))) > 0) {
        support_require(evbuffer_add(end->in, bytes, n) == 0);
        moved += n;
    }
    return moved;
}

size_t end_feed_to_peer(struct end *end, struct peer *peer)
{
    unsigned char bytes[4096];
    size_t n, moved = 0;

    while ((n = (size_t)evbuffer_remove(end->out, bytes, sizeof(bytes))) > 0) {
        peer_feed(peer, bytes, n);
        moved += n;
    }
    return moved;
}

const struct evtls_error *error_of(const struct end *end)
{
    return evtls_engine_get_error(end->engine);
}

bool end_connect_peer(struct end *end, struct peer *peer)
{
    enum peer_result result;
    size_t moved;

    do {
        result = peer_step(peer);
        moved = end_feed_from_peer(end, peer);
        end_step(end);
        moved += end_feed_to_peer(end, peer);
    } while (moved > 0);
    return is_well(end) && peer_is_open(peer) && result == PEER_WANT_INPUT;
}

void load_identity(struct evtls_context *ctx, struct pki_ident *ident)
{
    const char *chain = pki_chain_pem(ident), *key = pki_key_pem(ident);

    support_require(evtls_context_load_cert_chain_data(ctx, chain, strlen(chain), key, strlen(key),
                                                       NULL, NULL) == 0);
}

static void load_root(struct evtls_context *ctx, const struct pki *pki)
{
    const char *root = pki_cert_pem(pki_root(pki));

    support_require(evtls_context_load_verify_locations_data(ctx, root, strlen(root), NULL) == 0);
}

struct evtls_context *server_context(struct pki_ident *ident)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);

    support_require(ctx != NULL);
    load_identity(ctx, ident);
    return ctx;
}

struct evtls_context *client_context(const struct pki *pki)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);

    support_require(ctx != NULL);
    load_root(ctx, pki);
    return ctx;
}

void ask_for_certificates(struct evtls_context *ctx, const struct pki *pki,
                          enum evtls_verify_mode mode)
{
    load_root(ctx, pki);
    support_require(evtls_context_set_verify_mode(ctx, mode, NULL) == 0);
}
