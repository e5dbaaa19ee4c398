/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <evtls/engine.h>

#include "support/peer.h"
#include "support/require.h"

/* ---- OpenSSL's random numbers ------------------------------------------------------------ */

/*
 * They decide the lengths of signatures, and with them what each byte of the script hits. So they
 * follow from the seed too: OpenSSL's generator for tests gives out what it is told.
 */
static void seed_one(EVP_RAND_CTX *generator, unsigned char *bytes, size_t len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_RAND_PARAM_TEST_ENTROPY, bytes, len),
        OSSL_PARAM_END,
    };

    support_require(generator != NULL && EVP_RAND_CTX_set_params(generator, params) == 1);
}

static void seed_openssl(uint64_t seed)
{
    static unsigned char bytes[65536];
    struct rng rng;

    rng_init(&rng, ~seed);
    rng_fill(&rng, bytes, sizeof(bytes));
    seed_one(RAND_get0_public(NULL), bytes, sizeof(bytes));
    rng_fill(&rng, bytes, sizeof(bytes));
    seed_one(RAND_get0_private(NULL), bytes, sizeof(bytes));
}

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
    static const char *const names[] = {SIM_ALPN};
    const char *root = pki_cert_pem(pki_root(world->pki));

    support_require(ctx != NULL);
    support_require(evtls_context_load_verify_locations_data(ctx, root, strlen(root), NULL) == 0);
    support_require(evtls_context_set_alpn(ctx, names, 1) == 0);
    return ctx;
}

void sim_world_init(struct sim_world *world)
{
    memset(world, 0, sizeof(*world));
    support_require(RAND_set_DRBG_type(NULL, "TEST-RAND", NULL, NULL, NULL) == 1);
    seed_openssl(0);
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

/* A connection in memory, for its session. */
static void take_session(struct sim *sim)
{
    struct evbuffer *up = evbuffer_new(), *down = evbuffer_new();
    struct evtls_engine *client =
        evtls_engine_new(sim_context(sim, SIM_CLIENT), EVTLS_CLIENT, down, up, NULL);
    struct evtls_engine *server =
        evtls_engine_new(sim_context(sim, SIM_SERVER), EVTLS_SERVER, up, down, NULL);
    char byte;

    evtls_engine_set_server_hostname(client, "localhost", NULL);
    for (int i = 0; i < 4; i++) {
        evtls_engine_read(client, &byte, 1);
        evtls_engine_read(server, &byte, 1);
    }
    sim->session = evtls_session_incref(evtls_engine_get_session(client));
    support_require(sim->session != NULL);
    evtls_engine_free(client);
    evtls_engine_free(server);
    evbuffer_free(up);
    evbuffer_free(down);
}

void sim_init(struct sim *sim, struct sim_world *world, uint64_t seed, bool verbose)
{
    memset(sim, 0, sizeof(*sim));
    sim->world = world;
    sim->seed = seed;
    sim->verbose = verbose;
    rng_init(&sim->rng, seed);
    seed_openssl(seed);
    sim->pairing = (enum sim_pairing)rng_below(&sim->rng, 3);
    sim->tls12 = rng_chance(&sim->rng, 333);
    sim->client_cert = rng_chance(&sim->rng, 250);
    sim->cut = rng_chance(&sim->rng, 400);
    sim->script =
        sim->cut ? script_make_cut(seed, 1 + rng_below(&sim->rng, 30000)) : script_make(seed);
    if (sim->pairing == SIM_BOTH_OURS && rng_chance(&sim->rng, 300))
        take_session(sim);
}

void sim_cleanup(struct sim *sim)
{
    evtls_session_free(sim->session);
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
        .alpn = SIM_ALPN,
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
    if (at % 64 < sizeof(SIM_MARK) - 1)
        return (unsigned char)SIM_MARK[at % 64];
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
