/* SPDX-License-Identifier: BSD-3-Clause */
/* B57: contexts and the choice of one, while each allocation in turn fails. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "context_internal.h"
#include "support/alloc_faults.h"
#include "support/engines.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static struct pki *pki;
static const char *root, *chain, *key;
static struct evtls_context *rich; /* a server's, with a value for everything */
static struct evtls_context *ctx;  /* what is tried on it, made anew each time */

static const char *const protocols[] = {"h2", "http/1.1"};

static int on_name(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                   void *arg)
{
    (void)engine;
    (void)name;
    (void)initial;
    (void)arg;
    return 0;
}

static void set_up(void)
{
    struct pki_ident *ident;

    pki = pki_new();
    ident = pki_issue(pki, &(struct pki_spec){0});
    root = pki_cert_pem(pki_root(pki));
    chain = pki_chain_pem(ident);
    key = pki_key_pem(ident);
    rich = server_context(ident);
    ask_for_certificates(rich, pki, EVTLS_VERIFY_REQUIRED);
    ck_assert_int_eq(evtls_context_set_ciphers(rich, "ECDHE+AESGCM", NULL), 0);
    ck_assert_int_eq(evtls_context_set_ciphersuites(rich, "TLS_AES_128_GCM_SHA256", NULL), 0);
    ck_assert_int_eq(evtls_context_set_groups(rich, "X25519:P-256", NULL), 0);
    ck_assert_int_eq(evtls_context_set_alpn(rich, protocols, 2), 0);
    ck_assert_int_eq(evtls_context_set_sni_callback(rich, on_name, NULL, NULL), 0);
    ck_assert_int_eq(evtls_context_set_keylog_file(rich, "/dev/null", NULL), 0);
}

static void tear_down(void)
{
    evtls_context_free(rich);
    pki_free(pki);
}

/* ---- Operations ------------------------------------------------------------------------- */

static int new_plain(struct evtls_error *err)
{
    struct evtls_context *made = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, err);

    evtls_context_free(made);
    return made != NULL ? 0 : (int)err->status;
}

static int new_default(struct evtls_error *err)
{
    const struct evtls_ca ca = {.data = root, .data_len = strlen(root)};
    struct evtls_context *made = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, err);

    evtls_context_free(made);
    return made != NULL ? 0 : (int)err->status;
}

static int copy_it(struct evtls_error *err)
{
    struct evtls_context *made = evtls_context_copy(ctx, err);

    evtls_context_free(made);
    return made != NULL ? 0 : (int)err->status;
}

static int seal_it(struct evtls_error *err)
{
    return evtls_context_seal(ctx, err);
}

static int set_ciphers(struct evtls_error *err)
{
    return evtls_context_set_ciphers(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20", err);
}

static int set_suites(struct evtls_error *err)
{
    return evtls_context_set_ciphersuites(
        ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", err);
}

static int set_groups(struct evtls_error *err)
{
    return evtls_context_set_groups(ctx, "P-256:P-384", err);
}

static int set_alpn(struct evtls_error *err)
{
    int status = evtls_context_set_alpn(ctx, protocols, 1);

    err->status = (enum evtls_status)status;
    return status;
}

static int set_sni(struct evtls_error *err)
{
    int status = evtls_context_set_sni_callback(ctx, on_name, NULL, NULL);

    err->status = (enum evtls_status)status;
    return status;
}

static int set_keylog(struct evtls_error *err)
{
    return evtls_context_set_keylog_file(ctx, "/dev/null", err);
}

static int load_identity_data(struct evtls_error *err)
{
    return evtls_context_load_cert_chain_data(ctx, chain, strlen(chain), key, strlen(key), NULL,
                                              err);
}

static const struct {
    const char *label;
    int (*run)(struct evtls_error *err);
} operations[] = {
    {"new", new_plain},
    {"new_default", new_default},
    {"copy", copy_it},
    {"seal", seal_it},
    {"ciphers", set_ciphers},
    {"suites", set_suites},
    {"groups", set_groups},
    {"ALPN", set_alpn},
    {"SNI", set_sni},
    {"key log", set_keylog},
    {"identity", load_identity_data},
};

/*
 * Each works or says "no memory", leaves the context as it was, and works the next time. OpenSSL
 * makes thousands of allocations to decode a key and to make an SSL_CTX: the first 300 are tried,
 * and then every 23rd.
 */
START_TEST(context__survives_each_allocation_that_fails)
{
    uint64_t hits = 1, n;
    struct evtls_error err;

    ctx = evtls_context_copy(rich, NULL);
    ck_assert_int_eq(operations[_i].run(&err), 0);
    evtls_context_free(ctx);
    for (n = 1; hits > 0; n += n < 300 ? 1 : 23) {
        int status;

        ctx = evtls_context_copy(rich, NULL);
        alloc_faults_begin(ALLOC_FAIL_AT, n);
        status = operations[_i].run(&err);
        hits = alloc_faults_end().failed;
        ck_assert_msg(status == 0 || status == EVTLS_ERR_NOMEM, "%s, %d: %d %s",
                      operations[_i].label, (int)n, status, err.message);
        ck_assert_int_eq(err.status, status);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        if (operations[_i].run != seal_it)
            ck_assert_int_eq(evtls_context_is_sealed(ctx), 0);
        else
            ck_assert_int_eq(evtls_context_is_sealed(ctx), status == 0);
        ck_assert_int_eq(operations[_i].run(&err), 0);
        evtls_context_free(ctx);
    }
    ck_assert_msg(n > 2, "%s: no allocation was reached", operations[_i].label);
}
END_TEST

/* ---- The choice of a context ------------------------------------------------------------ */

static struct evtls_context *chosen;

static int choose(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                  void *arg)
{
    (void)name;
    (void)initial;
    (void)arg;
    return evtls_engine_set_context(engine, chosen, NULL);
}

/* The server's part of a handshake, from the ClientHello on. */
static void answer(struct end *server, struct peer *peer, uint64_t n, uint64_t *hits)
{
    while (peer_step(peer) == PEER_WANT_INPUT && peer_pending(peer) > 0) {
        end_feed_from_peer(server, peer);
        if (*hits == 0)
            alloc_faults_begin(ALLOC_FAIL_AT, n);
        end_step(server);
        if (*hits == 0)
            *hits = alloc_faults_end().failed;
        end_feed_to_peer(server, peer);
    }
}

/* Version by version: it connects, or fails as the engine says; with memory enough it connects. */
START_TEST(context__choice_survives_each_allocation_that_fails)
{
    int version = _i == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    struct evtls_context *initial;
    uint64_t hits = 1, n;
    unsigned failures = 0;

    initial = server_context(pki_issue(pki, &(struct pki_spec){0}));
    chosen = server_context(pki_issue(pki, &(struct pki_spec){.cn = "chosen"}));
    ck_assert_int_eq(evtls_context_set_alpn(chosen, protocols, 2), 0);
    ck_assert_int_eq(evtls_context_set_sni_callback(initial, choose, NULL, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(initial, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(chosen, NULL), 0);
    for (n = 1; hits > 0; n += n < 300 ? 1 : 7) {
        struct peer *peer = peer_new(&(struct peer_options){
            .sni = "a.test",
            .alpn = "h2",
            .max_version = version,
            .ssl_options = version == TLS1_2_VERSION ? SSL_OP_NO_TICKET : 0});
        struct end server;

        end_open(&server, initial, EVTLS_SERVER);
        hits = 0;
        answer(&server, peer, n, &hits);
        if (evtls_engine_get_error(server.engine) != NULL)
            failures++;
        else
            ck_assert(evtls_engine_is_handshake_done(server.engine));
        if (hits == 0)
            ck_assert_ptr_null(evtls_engine_get_error(server.engine));
        if (evtls_engine_is_handshake_done(server.engine))
            ck_assert_ptr_eq(evtls_engine_get_context(server.engine), chosen);
        end_close(&server);
        peer_free(peer);
    }
    ck_assert_uint_gt(failures, 50);
    evtls_context_free(initial);
    evtls_context_free(chosen);
}
END_TEST

static Suite *context_memory_suite(void)
{
    Suite *suite = suite_create("context_memory");
    TCase *tcase = tcase_create("context_memory");

    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, context__survives_each_allocation_that_fails, 0, COUNT(operations));
    tcase_add_loop_test(tcase, context__choice_survives_each_allocation_that_fails, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(context_memory_suite());
}
