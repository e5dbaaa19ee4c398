/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts: life, sealing, copies, and setters that are refused. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <evtls/certificate.h>
#include <evtls/openssl.h>

#include "context_internal.h"
#include "support/engines.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static struct pki *pki;
static struct tmpdir *dir;

static void set_up(void)
{
    pki = pki_new();
    dir = tmpdir_new();
}

static void tear_down(void)
{
    pki_free(pki);
    tmpdir_free(dir);
}

static struct evtls_context *new_server(void)
{
    return server_context(pki_issue(pki, &(struct pki_spec){0}));
}

static const unsigned char *digest_of(struct evtls_context *ctx)
{
    ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
    return evtls_context_get_policy_digest(ctx);
}

/* ---- Life ------------------------------------------------------------------------------- */

START_TEST(context__protocol_is_known_and_kept)
{
    static const int protocols[] = {EVTLS_PROTOCOL_TLS, EVTLS_PROTOCOL_TLS_CLIENT,
                                    EVTLS_PROTOCOL_TLS_SERVER};
    struct evtls_context *ctx;
    struct evtls_error err;
    size_t i;

    for (i = 0; i < COUNT(protocols); i++) {
        ctx = evtls_context_new((enum evtls_protocol)protocols[i], &err);
        ck_assert_ptr_nonnull(ctx);
        ck_assert_int_eq(err.status, EVTLS_OK);
        ck_assert_int_eq(evtls_context_get_protocol(ctx), protocols[i]);
        evtls_context_free(ctx);
    }
    ck_assert_ptr_null(evtls_context_new((enum evtls_protocol)4, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_context_new((enum evtls_protocol)0, NULL));
}
END_TEST

START_TEST(context__null_is_answered)
{
    struct timeval tv = {1, 1};
    struct evtls_error err;

    evtls_context_free(NULL);
    ck_assert_ptr_null(evtls_context_incref(NULL));
    ck_assert_int_eq(evtls_context_is_sealed(NULL), 0);
    ck_assert_int_eq(evtls_context_get_protocol(NULL), 0);
    ck_assert_ptr_null(evtls_context_get_certificate(NULL));
    ck_assert_ptr_null(evtls_context_get_ssl_ctx(NULL));
    ck_assert_int_eq(evtls_context_seal(NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_context_copy(NULL, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    evtls_context_get_handshake_timeout(NULL, &tv);
    ck_assert_int_eq(tv.tv_sec, 0);
}
END_TEST

START_TEST(context__lives_as_long_as_its_last_reference)
{
    struct evtls_context *ctx = new_server();
    struct peer *peer = peer_new(&(struct peer_options){0});
    struct end server;

    ck_assert_ptr_eq(evtls_context_incref(ctx), ctx);
    evtls_context_free(ctx);
    end_open(&server, ctx, EVTLS_SERVER);
    evtls_context_free(ctx); /* the engine has one */
    ck_assert(end_connect_peer(&server, peer));
    end_close(&server);
    peer_free(peer);
}
END_TEST

/* ---- Sealing ---------------------------------------------------------------------------- */

START_TEST(context__server_without_identity_is_not_sealed)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_error err;

    ck_assert_int_eq(evtls_context_seal(ctx, &err), EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "certificate"));
    ck_assert_int_eq(evtls_context_seal(ctx, NULL), EVTLS_ERR_CONFIG);
    ck_assert_int_eq(evtls_context_is_sealed(ctx), 0);
    ck_assert_ptr_null(evtls_context_get_ssl_ctx(ctx));
    load_identity(ctx, pki_issue(pki, &(struct pki_spec){0}));
    ck_assert_int_eq(evtls_context_seal(ctx, &err), 0);
    ck_assert_int_eq(err.status, EVTLS_OK);
    ck_assert_str_eq(err.message, "");
    ck_assert_int_eq(evtls_context_is_sealed(ctx), 1);
    ck_assert_ptr_nonnull(evtls_context_get_ssl_ctx(ctx));
    ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
    evtls_context_free(ctx);
}
END_TEST

START_TEST(context__client_without_trust_is_warned)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct evtls_error err;

    ck_assert_int_eq(evtls_context_seal(ctx, &err), 0);
    ck_assert_int_eq(err.status, EVTLS_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "no CA certificate"));
    evtls_context_free(ctx);
    ctx = client_context(pki);
    ck_assert_int_eq(evtls_context_seal(ctx, &err), 0);
    ck_assert_str_eq(err.message, "");
    evtls_context_free(ctx);
    ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    ck_assert_int_eq(evtls_context_set_insecure_no_verify(ctx, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(ctx, &err), 0);
    ck_assert_str_eq(err.message, "");
    evtls_context_free(ctx);
}
END_TEST

START_TEST(context__first_connection_seals)
{
    struct evtls_context *ctx = new_server();
    struct end server;

    end_open(&server, ctx, EVTLS_SERVER);
    ck_assert_int_eq(evtls_context_is_sealed(ctx), 1);
    end_close(&server);
    evtls_context_free(ctx);
}
END_TEST

enum preparation { PLAIN, VERIFIES, UNVERIFIED, HAS_IDENTITY };

static const struct {
    enum evtls_protocol protocol;
    enum preparation preparation;
    enum evtls_role role;
    int status;
} roles[] = {
    {EVTLS_PROTOCOL_TLS_CLIENT, PLAIN, EVTLS_CLIENT, 0},
    {EVTLS_PROTOCOL_TLS_CLIENT, UNVERIFIED, EVTLS_CLIENT, 0},
    {EVTLS_PROTOCOL_TLS_CLIENT, HAS_IDENTITY, EVTLS_SERVER, EVTLS_ERR_USAGE},
    {EVTLS_PROTOCOL_TLS_SERVER, HAS_IDENTITY, EVTLS_SERVER, 0},
    {EVTLS_PROTOCOL_TLS_SERVER, PLAIN, EVTLS_SERVER, EVTLS_ERR_CONFIG},
    {EVTLS_PROTOCOL_TLS_SERVER, HAS_IDENTITY, EVTLS_CLIENT, EVTLS_ERR_USAGE},
    {EVTLS_PROTOCOL_TLS, PLAIN, EVTLS_CLIENT, EVTLS_ERR_CONFIG},
    {EVTLS_PROTOCOL_TLS, VERIFIES, EVTLS_CLIENT, 0},
    {EVTLS_PROTOCOL_TLS, UNVERIFIED, EVTLS_CLIENT, 0},
    {EVTLS_PROTOCOL_TLS, PLAIN, EVTLS_SERVER, EVTLS_ERR_CONFIG},
    {EVTLS_PROTOCOL_TLS, HAS_IDENTITY, EVTLS_SERVER, 0},
    {EVTLS_PROTOCOL_TLS_CLIENT, PLAIN, (enum evtls_role)0, EVTLS_ERR_USAGE},
};

/* X1 */
START_TEST(context__plays_its_roles_alone)
{
    struct evtls_context *ctx = evtls_context_new(roles[_i].protocol, NULL);
    struct evbuffer *in = evbuffer_new(), *out = evbuffer_new();
    struct evtls_engine *engine;
    struct evtls_error err;

    if (roles[_i].preparation == VERIFIES)
        ck_assert_int_eq(evtls_context_set_verify_mode(ctx, EVTLS_VERIFY_REQUIRED, NULL), 0);
    if (roles[_i].preparation == UNVERIFIED)
        ck_assert_int_eq(evtls_context_set_insecure_no_verify(ctx, NULL), 0);
    if (roles[_i].preparation == HAS_IDENTITY)
        load_identity(ctx, pki_issue(pki, &(struct pki_spec){0}));
    engine = evtls_engine_new(ctx, roles[_i].role, in, out, &err);
    ck_assert_int_eq(err.status, roles[_i].status);
    ck_assert_int_eq(engine != NULL, roles[_i].status == 0);
    ck_assert_int_eq(evtls_context_is_sealed(ctx), roles[_i].status == 0);
    evtls_engine_free(engine);
    evbuffer_free(in);
    evbuffer_free(out);
    evtls_context_free(ctx);
}
END_TEST

/* ---- Sealed contexts -------------------------------------------------------------------- */

static const char *const localhost[] = {"localhost"};

static int call_load_cert_chain(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_load_cert_chain(ctx, "/no/such/file", NULL, NULL, err);
}

static int call_load_cert_chain_data(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_load_cert_chain_data(ctx, "x", 1, NULL, 0, NULL, err);
}

static int call_use_self_signed(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_use_self_signed(ctx, localhost, 1, err);
}

static int call_load_verify(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_load_verify_locations(ctx, "/no/such/file", NULL, err);
}

static int call_load_verify_data(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_load_verify_locations_data(ctx, "x", 1, err);
}

static int call_set_verify_mode(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_verify_mode(ctx, EVTLS_VERIFY_REQUIRED, err);
}

static int call_set_min_version(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_min_version(ctx, EVTLS_TLS_1_3, err);
}

static int call_set_max_version(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_max_version(ctx, EVTLS_TLS_1_2, err);
}

static int call_set_insecure_min(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_insecure_min_version(ctx, EVTLS_TLS_1_0, err);
}

static int call_set_ciphers(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_ciphers(ctx, "ECDHE+AESGCM", err);
}

static int call_set_suites(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256", err);
}

static int call_set_groups(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_groups(ctx, "P-256", err);
}

static int call_set_alpn(struct evtls_context *ctx, struct evtls_error *err)
{
    int status = evtls_context_set_alpn(ctx, localhost, 1);

    memset(err, 0, sizeof(*err));
    err->status = (enum evtls_status)status; /* it has no error of its own */
    strcpy(err->message, "-");
    return status;
}

static int call_set_num_tickets(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_num_tickets(ctx, 1, err);
}

static int call_set_handshake_timeout(struct evtls_context *ctx, struct evtls_error *err)
{
    return evtls_context_set_handshake_timeout(ctx, NULL, err);
}

static int (*const setters[])(struct evtls_context *, struct evtls_error *) = {
    call_load_cert_chain,
    call_load_cert_chain_data,
    call_use_self_signed,
    call_load_verify,
    call_load_verify_data,
    evtls_context_load_default_certs,
    call_set_verify_mode,
    evtls_context_set_insecure_no_verify,
    evtls_context_set_insecure_no_hostname,
    call_set_min_version,
    call_set_max_version,
    call_set_insecure_min,
    call_set_ciphers,
    call_set_suites,
    call_set_groups,
    call_set_alpn,
    call_set_num_tickets,
    call_set_handshake_timeout,
};

START_TEST(context__sealed_refuses_setters)
{
    struct evtls_context *ctx = new_server(), *same = evtls_context_copy(ctx, NULL);
    const struct evtls_certificate *before = evtls_context_get_certificate(ctx);
    struct evtls_error err;

    ck_assert_int_eq(setters[_i](NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
    ck_assert_int_eq(setters[_i](ctx, &err), EVTLS_ERR_SEALED);
    ck_assert_int_eq(err.status, EVTLS_ERR_SEALED);
    ck_assert_str_ne(err.message, "");
    ck_assert_ptr_eq(evtls_context_get_certificate(ctx), before);
    /* The recipe is as it was: a copy of it makes the same. */
    evtls_context_free(same);
    same = evtls_context_copy(ctx, NULL);
    ck_assert_mem_eq(digest_of(same), digest_of(ctx), EVTLS_POLICY_DIGEST_LENGTH);
    evtls_context_free(same);
    evtls_context_free(ctx);
}
END_TEST

/* ---- Copies ----------------------------------------------------------------------------- */

START_TEST(context__copy_is_the_same_and_unsealed)
{
    static const struct timeval timeout = {3, 500000};
    struct evtls_context *ctx = new_server(), *copy;
    struct timeval tv;

    ask_for_certificates(ctx, pki, EVTLS_VERIFY_OPTIONAL);
    ck_assert_int_eq(evtls_context_set_alpn(ctx, localhost, 1), 0);
    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ECDHE+AESGCM", NULL), 0);
    ck_assert_int_eq(evtls_context_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256", NULL), 0);
    ck_assert_int_eq(evtls_context_set_groups(ctx, "P-256", NULL), 0);
    ck_assert_int_eq(evtls_context_set_handshake_timeout(ctx, &timeout, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
    copy = evtls_context_copy(ctx, NULL);
    ck_assert_int_eq(evtls_context_is_sealed(copy), 0);
    ck_assert_int_eq(evtls_context_get_protocol(copy), EVTLS_PROTOCOL_TLS_SERVER);
    ck_assert_ptr_eq(evtls_context_get_certificate(copy), evtls_context_get_certificate(ctx));
    evtls_context_get_handshake_timeout(copy, &tv);
    ck_assert_int_eq(tv.tv_sec, 3);
    ck_assert_int_eq(tv.tv_usec, 500000);
    ck_assert_mem_eq(digest_of(copy), digest_of(ctx), EVTLS_POLICY_DIGEST_LENGTH);
    ck_assert_mem_eq(evtls_context_get_identity_digest(copy),
                     evtls_context_get_identity_digest(ctx), 32);
    ck_assert(evtls_context_get_ssl_ctx(copy) != evtls_context_get_ssl_ctx(ctx));
    evtls_context_free(ctx);
    evtls_context_free(copy);
}
END_TEST

START_TEST(context__copies_part_ways)
{
    struct evtls_context *ctx = client_context(pki), *copy = evtls_context_copy(ctx, NULL);
    const char *other = pki_cert_pem(pki_other_root(pki));

    ck_assert_ptr_eq(copy->trust, ctx->trust);
    ck_assert_int_eq(evtls_context_load_verify_locations_data(copy, other, strlen(other), NULL), 0);
    ck_assert_ptr_ne(copy->trust, ctx->trust);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(ctx->trust), 1);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(copy->trust), 2);
    load_identity(copy, pki_issue(pki, &(struct pki_spec){0}));
    ck_assert_ptr_null(evtls_context_get_certificate(ctx));
    ck_assert_int_eq(evtls_context_set_min_version(copy, EVTLS_TLS_1_3, NULL), 0);
    ck_assert_int_eq(evtls_context_set_insecure_no_hostname(copy, NULL), 0);
    ck_assert(evtls_context_checks_hostname(ctx));
    ck_assert_mem_ne(digest_of(copy), digest_of(ctx), EVTLS_POLICY_DIGEST_LENGTH);
    evtls_context_free(ctx);
    evtls_context_free(copy);
}
END_TEST

/* ---- Identity and trust ----------------------------------------------------------------- */

static const char *subject_of(const struct evtls_context *ctx)
{
    return evtls_certificate_get_subject(evtls_context_get_certificate(ctx));
}

/* X12, X25, B3: whatever fails, the working identity stays, in use too. */
START_TEST(context__identity_that_fails_leaves_the_old_one)
{
    struct pki_files good =
        pki_write(pki_issue(pki, &(struct pki_spec){.cn = "good"}), dir, "good");
    struct pki_files other =
        pki_write(pki_issue(pki, &(struct pki_spec){.cn = "other"}), dir, "other");
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_error err;
    struct peer *peer;
    struct end server;

    ck_assert_int_eq(evtls_context_load_cert_chain(ctx, good.chain, good.key, NULL, &err), 0);
    ck_assert_int_eq(evtls_context_load_cert_chain(ctx, other.chain, good.key, NULL, &err),
                     EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, good.key));
    ck_assert_int_eq(evtls_context_load_cert_chain(ctx, "/no/such/file", NULL, NULL, &err),
                     EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.sys_errno, ENOENT);
    ck_assert_int_eq(evtls_context_load_cert_chain(ctx, NULL, NULL, NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_load_cert_chain_data(ctx, NULL, 0, NULL, 0, NULL, NULL),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_use_self_signed(ctx, NULL, 0, NULL), EVTLS_ERR_USAGE);
    ck_assert_str_eq(subject_of(ctx), "CN=good");
    end_open(&server, ctx, EVTLS_SERVER);
    peer = peer_new(&(struct peer_options){.trust = pki_root(pki), .host = "localhost"});
    ck_assert(end_connect_peer(&server, peer));
    peer_free(peer);
    end_close(&server);
    evtls_context_free(ctx);
}
END_TEST

/* X13, X25 */
START_TEST(context__trust_that_fails_leaves_the_old_one)
{
    const char *root = tmpdir_write_text(dir, "root.pem", pki_cert_pem(pki_root(pki)));
    const char *other = tmpdir_write_text(dir, "other.pem", pki_cert_pem(pki_other_root(pki)));
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct evtls_trust *before;
    struct evtls_error err;

    ck_assert_int_eq(evtls_context_load_verify_locations(ctx, root, NULL, &err), 0);
    before = ctx->trust;
    ck_assert_int_eq(evtls_context_load_verify_locations(ctx, NULL, NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_load_verify_locations(ctx, "/no/such", NULL, &err),
                     EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.sys_errno, ENOENT);
    /* The file is good, the directory's name is not: nothing of both. */
    ck_assert_int_eq(evtls_context_load_verify_locations(ctx, other, "", &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_load_verify_locations_data(ctx, NULL, 0, &err), EVTLS_ERR_USAGE);
    ck_assert_ptr_eq(ctx->trust, before);
    ck_assert_uint_eq(evtls_trust_get_num_certificates(ctx->trust), 1);
    evtls_context_free(ctx);
}
END_TEST

/* X3 */
START_TEST(context__verify_mode_rules)
{
    struct evtls_context *client = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct evtls_context *both = evtls_context_new(EVTLS_PROTOCOL_TLS, NULL);
    struct evtls_context *server = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_error err;

    ck_assert(evtls_context_verifies(client, EVTLS_CLIENT));
    ck_assert(evtls_context_checks_hostname(client));
    ck_assert(!evtls_context_verifies(both, EVTLS_CLIENT));
    ck_assert(!evtls_context_verifies(server, EVTLS_SERVER));
    ck_assert_int_eq(evtls_context_set_verify_mode(client, EVTLS_VERIFY_NONE, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "insecure_no_verify"));
    ck_assert_int_eq(evtls_context_set_verify_mode(both, EVTLS_VERIFY_NONE, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_set_verify_mode(server, EVTLS_VERIFY_NONE, NULL), 0);
    ck_assert_int_eq(evtls_context_set_verify_mode(server, (enum evtls_verify_mode)3, NULL),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_set_verify_mode(client, EVTLS_VERIFY_OPTIONAL, NULL), 0);
    ck_assert(evtls_context_verifies(client, EVTLS_CLIENT));
    /* The later call counts, for clients; a server's mode stays. */
    ck_assert_int_eq(evtls_context_set_verify_mode(both, EVTLS_VERIFY_REQUIRED, NULL), 0);
    ck_assert(evtls_context_checks_hostname(both));
    ck_assert_int_eq(evtls_context_set_insecure_no_verify(both, NULL), 0);
    ck_assert(!evtls_context_verifies(both, EVTLS_CLIENT));
    ck_assert(!evtls_context_checks_hostname(both));
    ck_assert(evtls_context_verifies(both, EVTLS_SERVER));
    ck_assert_int_eq(evtls_context_set_verify_mode(both, EVTLS_VERIFY_REQUIRED, NULL), 0);
    ck_assert(evtls_context_checks_hostname(both));
    ck_assert_int_eq(evtls_context_set_insecure_no_hostname(both, NULL), 0);
    ck_assert(evtls_context_verifies(both, EVTLS_CLIENT));
    ck_assert(!evtls_context_checks_hostname(both));
    evtls_context_free(client);
    evtls_context_free(both);
    evtls_context_free(server);
}
END_TEST

START_TEST(context__handshake_timeout)
{
    static const struct timeval good = {0, 1}, bad[] = {{0, 0}, {-1, 0}, {1, -1}, {0, 1000000}};
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS, NULL);
    struct timeval tv;
    size_t i;

    evtls_context_get_handshake_timeout(ctx, &tv);
    ck_assert(tv.tv_sec == 30 && tv.tv_usec == 0);
    ck_assert_int_eq(evtls_context_set_handshake_timeout(ctx, &good, NULL), 0);
    for (i = 0; i < COUNT(bad); i++)
        ck_assert_int_eq(evtls_context_set_handshake_timeout(ctx, &bad[i], NULL), EVTLS_ERR_USAGE);
    evtls_context_get_handshake_timeout(ctx, &tv);
    ck_assert(tv.tv_sec == 0 && tv.tv_usec == 1);
    ck_assert_int_eq(evtls_context_set_handshake_timeout(ctx, NULL, NULL), 0);
    evtls_context_get_handshake_timeout(ctx, &tv);
    ck_assert(tv.tv_sec == 30 && tv.tv_usec == 0);
    evtls_context_free(ctx);
}
END_TEST

/* ---- Threads ---------------------------------------------------------------------------- */

static void *use_at_once(void *arg)
{
    struct evtls_context *ctx = arg, *copy;
    SSL_CTX *ssl_ctx = NULL;
    struct end server;
    int i;

    for (i = 0; i < 10; i++) {
        if (i % 2 == 0)
            ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
        end_open(&server, ctx, EVTLS_SERVER);
        if (ssl_ctx == NULL)
            ssl_ctx = evtls_context_get_ssl_ctx(ctx);
        ck_assert_ptr_eq(evtls_context_get_ssl_ctx(ctx), ssl_ctx);
        evtls_engine_handshake(server.engine);
        copy = evtls_context_copy(ctx, NULL);
        ck_assert_mem_eq(digest_of(copy), digest_of(ctx), EVTLS_POLICY_DIGEST_LENGTH);
        evtls_context_free(copy);
        end_close(&server);
    }
    return NULL;
}

/* B58: sealing, copying and connecting at once; one SSL_CTX comes of it. */
START_TEST(context__threads_seal_and_use_it)
{
    struct evtls_context *ctx = new_server();
    pthread_t threads[4];
    int i;

    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_at_once, ctx), 0);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    evtls_context_free(ctx);
}
END_TEST

static Suite *context_suite(void)
{
    Suite *suite = suite_create("context");
    TCase *tcase = tcase_create("context");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, context__protocol_is_known_and_kept);
    tcase_add_test(tcase, context__null_is_answered);
    tcase_add_test(tcase, context__lives_as_long_as_its_last_reference);
    tcase_add_test(tcase, context__server_without_identity_is_not_sealed);
    tcase_add_test(tcase, context__client_without_trust_is_warned);
    tcase_add_test(tcase, context__first_connection_seals);
    tcase_add_loop_test(tcase, context__plays_its_roles_alone, 0, COUNT(roles));
    tcase_add_loop_test(tcase, context__sealed_refuses_setters, 0, COUNT(setters));
    tcase_add_test(tcase, context__copy_is_the_same_and_unsealed);
    tcase_add_test(tcase, context__copies_part_ways);
    tcase_add_test(tcase, context__identity_that_fails_leaves_the_old_one);
    tcase_add_test(tcase, context__trust_that_fails_leaves_the_old_one);
    tcase_add_test(tcase, context__verify_mode_rules);
    tcase_add_test(tcase, context__handshake_timeout);
    tcase_add_test(tcase, context__threads_seal_and_use_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(context_suite());
}
