/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "support/peer.h"
#include "support/require.h"

/* ---- The world -------------------------------------------------------------------------- */

static void load_identity(struct evtls_context *ctx, struct pki_ident *ident)
{
    const char *chain = pki_chain_pem(ident), *key = pki_key_pem(ident);

    support_require(evtls_context_load_cert_chain_data(ctx, chain, strlen(chain), key, strlen(key),
                                                       NULL, NULL) == 0);
}

static struct evtls_context *make_context(struct sim_world *world, enum evtls_protocol protocol)
{
    struct evtls_context *ctx = evtls_context_new(protocol, NULL);
    const char *root = pki_cert_pem(pki_root(world->pki));

    support_require(ctx != NULL);
    support_require(evtls_context_load_verify_locations_data(ctx, root, strlen(root), NULL) == 0);
    return ctx;
}

void sim_world_init(struct sim_world *world)
{
    memset(world, 0, sizeof(*world));
    world->pki = pki_new();
    world->ident = pki_issue(world->pki, &(struct pki_spec){0});
    world->client_ident = pki_issue(world->pki, &(struct pki_spec){.cn = "client"});
    for (int cert = 0; cert < 2; cert++) {
        struct evtls_context *server = make_context(world, EVTLS_PROTOCOL_TLS_SERVER);

        load_identity(server, world->ident);
        if (cert)
            evtls_context_set_verify_mode(server, EVTLS_VERIFY_REQUIRED, NULL);
        world->server[cert] = server;
        for (int old = 0; old < 2; old++) {
            struct evtls_context *client = make_context(world, EVTLS_PROTOCOL_TLS_CLIENT);

            if (cert)
                load_identity(client, world->client_ident);
            if (old)
                evtls_context_set_max_version(client, EVTLS_TLS_1_2, NULL);
            world->client[cert][old] = client;
        }
    }
}

void sim_world_cleanup(struct sim_world *world)
{
    for (int cert = 0; cert < 2; cert++) {
        evtls_context_free(world->server[cert]);
        evtls_context_free(world->client[cert][0]);
        evtls_context_free(world->client[cert][1]);
    }
    pki_free(world->pki);
}

/* ---- One run ---------------------------------------------------------------------------- */

void sim_init(struct sim *sim, struct sim_world *world, uint64_t seed, bool verbose)
{
    memset(sim, 0, sizeof(*sim));
    sim->world = world;
    sim->seed = seed;
    sim->verbose = verbose;
    rng_init(&sim->rng, seed);
    sim->pairing = (enum sim_pairing)rng_below(&sim->rng, 3);
    sim->tls12 = rng_chance(&sim->rng, 333);
    sim->client_cert = rng_chance(&sim->rng, 250);
    sim->cut = rng_chance(&sim->rng, 400);
    sim->script =
        sim->cut ? script_make_cut(seed, 1 + rng_below(&sim->rng, 30000)) : script_make(seed);
}

struct evtls_context *sim_context(const struct sim *sim, int side)
{
    return side == SIM_SERVER ? sim->world->server[sim->client_cert]
                              : sim->world->client[sim->client_cert][sim->tls12];
}

struct peer *sim_plain_peer(const struct sim *sim, int side)
{
    struct peer_options options = {
        .server = side == SIM_SERVER,
        .trust = pki_root(sim->world->pki),
        .max_version = sim->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION,
        .min_version = TLS1_2_VERSION,
    };

    if (side == SIM_SERVER) {
        options.ident = sim->world->ident;
        options.require_certificate = sim->client_cert;
    } else {
        options.ident = sim->client_cert ? sim->world->client_ident : NULL;
        options.host = "localhost";
    }
    return peer_new(&options);
}

unsigned char sim_byte(const struct sim *sim, int side, uint64_t at)
{
    return (unsigned char)(at * 131 + (at >> 8) * 17 + (uint64_t)side * 89 + sim->seed);
}

void sim_fill(const struct sim *sim, int side, uint64_t at, unsigned char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = sim_byte(sim, side, at + i);
}

void sim_check_bytes(const struct sim *sim, int side, uint64_t at, const unsigned char *data,
                     size_t len)
{
    for (size_t i = 0; i < len; i++)
        SIM_CHECK(sim, data[i] == sim_byte(sim, side, at + i),
                  "byte %llu of what side %d sent is wrong", (unsigned long long)(at + i), side);
}

/* Where a call moves a byte or two, or few fit into the network, there is no time for many. */
uint64_t sim_max_bytes(const struct sim *sim)
{
    uint64_t max = 100000;

    if (sim->script.max_bytes > 0 && sim->script.max_bytes * 200 < max)
        max = sim->script.max_bytes * 200;
    if (sim->script.capacity > 0 && sim->script.capacity * 200 < max)
        max = sim->script.capacity * 200;
    return max;
}

/* ---- Words ------------------------------------------------------------------------------ */

void sim_say(const struct sim *sim, const char *format, ...)
{
    va_list args;

    if (!sim->verbose)
        return;
    printf("%6u ", sim->step);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void sim_fail(const struct sim *sim, const char *file, int line, const char *what,
              const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "seed %llu, step %u: ", (unsigned long long)sim->seed, sim->step);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n  (%s:%d: %s)\n  ", file, line, what);
    script_print(&sim->script, stderr);
    exit(1);
}
