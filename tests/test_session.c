/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's sessions: what they are bound to, and which offers are refused.
 *
 * The server is plain OpenSSL: it takes back whatever it made.
 */
#include "config.h"

#include <string.h>

#include <openssl/x509_vfy.h>

#include <evtls/session.h>

#include "support/engines.h"
#include "support/suite.h"
#include "support/vclock.h"

struct world {
    struct pki *pki;
    struct peer *server; /* the one whose SSL_CTX the others share */
    struct evtls_context *ctx;
    int version;
};

/* The server is good for a.test and 192.0.2.1, not for b.test. */
static void world_open(struct world *world, int version, long server_end)
{
    world->version = version;
    world->pki = pki_new();
    world->ctx = client_context(world->pki);
    world->server = peer_new(&(struct peer_options){
        .server = true,
        .max_version = version,
        .ident =
            pki_issue(world->pki, &(struct pki_spec){.cn = "a.test",
                                                     .san = "DNS:a.test,IP:192.0.2.1",
                                                     .not_before = server_end != 0 ? -PKI_DAY : 0,
                                                     .not_after = server_end})});
}

static void world_close(struct world *world)
{
    peer_free(world->server);
    evtls_context_free(world->ctx);
    pki_free(world->pki);
}

struct result {
    bool connected, reused;
    int verify_code;
    struct evtls_session *session; /* the caller's */
};

static struct result finish(struct world *world, struct end *client)
{
    struct peer *server = peer_new(&(struct peer_options){.server = true, .like = world->server});
    struct result result = {.connected = end_connect_peer(client, server)};

    result.reused = evtls_engine_get_session_reused(client->engine);
    ck_assert_int_eq(result.connected && result.reused,
                     result.connected && peer_session_reused(server));
    result.verify_code = evtls_error_get_verify_code(evtls_engine_get_error(client->engine));
    result.session = evtls_session_incref(evtls_engine_get_session(client->engine));
    peer_free(server);
    end_close(client);
    return result;
}

static struct result visit(struct world *world, struct evtls_context *ctx, const char *host,
                           struct evtls_session *session)
{
    struct end client;

    end_open(&client, ctx, EVTLS_CLIENT);
    if (host != NULL)
        ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, host, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_session(client.engine, session, NULL), 0);
    return finish(world, &client);
}

static struct evtls_session *make_session(struct world *world)
{
    struct result result = visit(world, world->ctx, "a.test", NULL);

    ck_assert(result.connected && !result.reused);
    ck_assert_ptr_nonnull(result.session);
    return result.session;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- Resumption ------------------------------------------------------------------------- */

static void change_nothing(struct world *world, struct evtls_context *ctx)
{
    (void)world;
    (void)ctx;
}

static void no_hostname(struct world *world, struct evtls_context *ctx)
{
    (void)world;
    ck_assert_int_eq(evtls_context_set_insecure_no_hostname(ctx, NULL), 0);
}

static void no_verify(struct world *world, struct evtls_context *ctx)
{
    (void)world;
    ck_assert_int_eq(evtls_context_set_insecure_no_verify(ctx, NULL), 0);
}

static void other_trust(struct world *world, struct evtls_context *ctx)
{
    const char *other = pki_cert_pem(pki_other_root(world->pki));

    ck_assert_int_eq(evtls_context_load_verify_locations_data(ctx, other, strlen(other), NULL), 0);
}

static void other_protocols(struct world *world, struct evtls_context *ctx)
{
    const char *const names[] = {"h2"};

    (void)world;
    ck_assert_int_eq(evtls_context_set_alpn(ctx, names, 1), 0);
}

static void other_versions(struct world *world, struct evtls_context *ctx)
{
    (void)world;
    ck_assert_int_eq(evtls_context_set_insecure_min_version(ctx, EVTLS_TLS_1_1, NULL), 0);
}

static void other_ciphers(struct world *world, struct evtls_context *ctx)
{
    (void)world;
    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ECDHE+AESGCM", NULL), 0);
}

static void own_certificate(struct world *world, struct evtls_context *ctx)
{
    load_identity(ctx, pki_issue(world->pki, &(struct pki_spec){.cn = "client"}));
}

#define POLICY "the session was made under another policy"
static const struct {
    const char *label;
    void (*change)(struct world *, struct evtls_context *);
    const char *message; /* NULL: it resumes */
} copies[] = {
    {"nothing", change_nothing, NULL},
    {"host names unchecked", no_hostname, POLICY},
    {"unverified", no_verify, POLICY},
    {"trust", other_trust, POLICY},
    {"ALPN", other_protocols, POLICY},
    {"versions", other_versions, POLICY},
    {"ciphers", other_ciphers, POLICY},
    {"our certificate", own_certificate, "the session was made with another certificate of ours"},
};

/* C8, B30, FO-09: by the same context or a copy of equal policy only; both ways. */
START_TEST(session__belongs_to_its_policy)
{
    int row = _i / 2;
    struct evtls_session *session, *other;
    struct evtls_context *copy;
    struct evtls_error err;
    struct world world;
    struct result result;
    struct end client;

    world_open(&world, versions[_i % 2], 0);
    copy = evtls_context_copy(world.ctx, NULL);
    copies[row].change(&world, copy);
    session = make_session(&world);
    result = visit(&world, copy, "a.test", NULL);
    ck_assert(result.connected);
    other = result.session;
    ck_assert_ptr_nonnull(other);
    if (copies[row].message == NULL) {
        result = visit(&world, copy, "a.test", session);
        ck_assert(result.connected && result.reused);
        evtls_session_free(result.session);
    } else {
        end_open(&client, copy, EVTLS_CLIENT);
        ck_assert_int_eq(evtls_engine_set_session(client.engine, session, &err), EVTLS_ERR_USAGE);
        ck_assert_str_eq(err.message, copies[row].message);
        result = finish(&world, &client);
        ck_assert(!result.reused);
        evtls_session_free(result.session);
        end_open(&client, world.ctx, EVTLS_CLIENT);
        ck_assert_int_eq(evtls_engine_set_session(client.engine, other, &err), EVTLS_ERR_USAGE);
        ck_assert_str_eq(err.message, copies[row].message);
        end_close(&client);
    }
    evtls_session_free(session);
    evtls_session_free(other);
    evtls_context_free(copy);
    world_close(&world);
}
END_TEST

START_TEST(session__of_another_context_is_refused)
{
    struct evtls_session *session;
    struct evtls_context *stranger;
    struct evtls_error err;
    struct world world;
    struct end client;

    world_open(&world, TLS1_3_VERSION, 0);
    session = make_session(&world);
    stranger = client_context(world.pki); /* of the same policy */
    end_open(&client, stranger, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_session(client.engine, session, &err), EVTLS_ERR_USAGE);
    ck_assert_str_eq(err.message, POLICY);
    end_close(&client);
    evtls_session_free(session);
    evtls_context_free(stranger);
    world_close(&world);
}
END_TEST

/* ---- Names ------------------------------------------------------------------------------ */

static const struct {
    const char *host, *message;
} hosts[] = {
    {"b.test", "the session was verified for a.test, not for b.test"},
    {"192.0.2.1", "the session was verified for a.test, not for 192.0.2.1"},
};

/* O8, FO-09: refused in either order of the calls; then a full handshake that checks the name. */
START_TEST(session__belongs_to_its_host)
{
    int row = _i / 2;
    struct evtls_session *session;
    struct evtls_error err;
    struct world world;
    struct result result;
    struct end client;

    world_open(&world, versions[_i % 2], 0);
    session = make_session(&world);
    end_open(&client, world.ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, hosts[row].host, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_session(client.engine, session, &err), EVTLS_ERR_USAGE);
    ck_assert_str_eq(err.message, hosts[row].message);
    result = finish(&world, &client);
    ck_assert(!result.reused);
    ck_assert_int_eq(result.connected, row == 1);
    ck_assert_int_eq(result.verify_code, row == 1 ? 0 : X509_V_ERR_HOSTNAME_MISMATCH);
    evtls_session_free(result.session);

    end_open(&client, world.ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_session(client.engine, session, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, hosts[row].host, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_str_eq(err.message, hosts[row].message);
    /* Taken back, the name is free again. */
    ck_assert_int_eq(evtls_engine_set_session(client.engine, NULL, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, hosts[row].host, NULL), 0);
    end_close(&client);
    evtls_session_free(session);
    world_close(&world);
}
END_TEST

START_TEST(session__host_is_compared_as_normalised)
{
    struct evtls_session *session;
    struct world world;
    struct result result;

    world_open(&world, TLS1_3_VERSION, 0);
    session = make_session(&world);
    result = visit(&world, world.ctx, "A.TEST.", session);
    ck_assert(result.connected && result.reused);
    evtls_session_free(result.session);
    evtls_session_free(session);
    world_close(&world);
}
END_TEST

/* Where no name was verified, none can be inherited: the copy that verifies names refuses. */
START_TEST(session__without_host_stays_without)
{
    struct evtls_context *unnamed;
    struct world world;
    struct result result, again;

    world_open(&world, versions[_i], 0);
    unnamed = evtls_context_copy(world.ctx, NULL);
    no_hostname(&world, unnamed);
    result = visit(&world, unnamed, NULL, NULL);
    ck_assert(result.connected);
    again = visit(&world, unnamed, "b.test", result.session);
    ck_assert(again.connected && again.reused);
    evtls_session_free(result.session);
    evtls_session_free(again.session);
    evtls_context_free(unnamed);
    world_close(&world);
}
END_TEST

/* ---- Calls ------------------------------------------------------------------------------ */

START_TEST(session__is_set_on_clients_before_the_handshake)
{
    struct evtls_context *server_ctx;
    struct evtls_session *session;
    struct world world;
    struct end client, server;

    world_open(&world, TLS1_3_VERSION, 0);
    session = make_session(&world);
    server_ctx = server_context(pki_issue(world.pki, &(struct pki_spec){0}));
    end_open(&server, server_ctx, EVTLS_SERVER);
    ck_assert_int_eq(evtls_engine_set_session(server.engine, session, NULL), EVTLS_ERR_USAGE);
    end_open(&client, world.ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, "a.test", NULL), 0);
    end_step(&client);
    ck_assert_int_eq(evtls_engine_set_session(client.engine, session, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_session(NULL, session, NULL), EVTLS_ERR_USAGE);
    end_close(&client);
    end_close(&server);
    evtls_context_free(server_ctx);
    evtls_session_free(session);
    evtls_session_free(NULL);
    ck_assert_ptr_null(evtls_session_incref(NULL));
    world_close(&world);
}
END_TEST

/* A session outlives the context it came from, and is then of use to nobody. */
START_TEST(session__outlives_its_context)
{
    struct evtls_session *session;
    struct world world;
    struct result result;

    world_open(&world, TLS1_3_VERSION, 0);
    session = make_session(&world);
    evtls_context_free(world.ctx);
    world.ctx = client_context(world.pki);
    result = visit(&world, world.ctx, "a.test", NULL);
    ck_assert(result.connected);
    evtls_session_free(session);
    evtls_session_free(result.session);
    world_close(&world);
}
END_TEST

/* ---- Age -------------------------------------------------------------------------------- */

#define DAY_MS (24 * 3600 * (int64_t)1000)

static const struct {
    const char *label;
    long server_end, client_end; /* seconds from now; 0: a year */
    int hours;                   /* that the chain goes on */
} ages[] = {
    {"seven days", 0, 0, 7 * 24},
    {"the server's certificate", 50 * 3600L + 60, 0, 51},
    {"our own certificate", 0, 30 * 3600L + 60, 31},
};

/* O7: a server that renews its tickets for ever does not make the first proof last for ever. */
START_TEST(session__chain_of_resumptions_ends)
{
    struct evtls_session *session;
    struct evtls_error err;
    struct world world;
    struct result result;
    struct end client;
    int hours, status;

    world_open(&world, TLS1_3_VERSION, ages[_i].server_end);
    if (ages[_i].client_end != 0)
        load_identity(world.ctx,
                      pki_issue(world.pki, &(struct pki_spec){.cn = "client",
                                                              .not_before = -PKI_DAY,
                                                              .not_after = ages[_i].client_end}));
    vclock_enable();
    session = make_session(&world);
    for (hours = 1; hours < 200; hours++) {
        vclock_advance_ms(DAY_MS / 24);
        end_open(&client, world.ctx, EVTLS_CLIENT);
        ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, "a.test", NULL), 0);
        status = evtls_engine_set_session(client.engine, session, &err);
        if (status < 0)
            break;
        result = finish(&world, &client);
        ck_assert(result.connected && result.reused);
        evtls_session_free(session);
        session = result.session;
    }
    ck_assert_msg(hours == ages[_i].hours, "%s: %d hours", ages[_i].label, hours);
    ck_assert_str_eq(err.message, "the session is past its time");
    end_close(&client);
    evtls_session_free(session);
    vclock_disable();
    world_close(&world);
}
END_TEST

/* Offered in time, used late: the handshake is a full one. */
START_TEST(session__that_ages_while_it_waits_is_not_used)
{
    struct evtls_session *session;
    struct world world;
    struct result result;
    struct end client;

    world_open(&world, TLS1_3_VERSION, 0);
    vclock_enable();
    session = make_session(&world);
    end_open(&client, world.ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, "a.test", NULL), 0);
    ck_assert_int_eq(evtls_engine_set_session(client.engine, session, NULL), 0);
    vclock_advance_ms(7 * DAY_MS);
    result = finish(&world, &client);
    ck_assert(result.connected && !result.reused);
    evtls_session_free(result.session);
    evtls_session_free(session);
    vclock_disable();
    world_close(&world);
}
END_TEST

static Suite *session_suite(void)
{
    Suite *suite = suite_create("session");
    TCase *tcase = tcase_create("session");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, session__belongs_to_its_policy, 0, 2 * COUNT(copies));
    tcase_add_test(tcase, session__of_another_context_is_refused);
    tcase_add_loop_test(tcase, session__belongs_to_its_host, 0, 2 * COUNT(hosts));
    tcase_add_test(tcase, session__host_is_compared_as_normalised);
    tcase_add_loop_test(tcase, session__without_host_stays_without, 0, COUNT(versions));
    tcase_add_test(tcase, session__is_set_on_clients_before_the_handshake);
    tcase_add_test(tcase, session__outlives_its_context);
    tcase_add_loop_test(tcase, session__chain_of_resumptions_ends, 0, COUNT(ages));
    tcase_add_test(tcase, session__that_ages_while_it_waits_is_not_used);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(session_suite());
}
