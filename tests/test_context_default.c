/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts with the defaults for a purpose, and the key log. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

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
    unsetenv("SSLKEYLOGFILE");
}

static void tear_down(void)
{
    pki_free(pki);
    tmpdir_free(dir);
}

/* ---- Purposes --------------------------------------------------------------------------- */

/* X2 */
START_TEST(context_default__verifies_strictly)
{
    enum evtls_purpose purpose = _i == 0 ? EVTLS_PURPOSE_SERVER_AUTH : EVTLS_PURPOSE_CLIENT_AUTH;
    struct evtls_context *ctx = evtls_context_new_default(purpose, NULL, NULL);
    X509_VERIFY_PARAM *param;

    ck_assert_ptr_nonnull(ctx);
    ck_assert_int_eq(evtls_context_get_protocol(ctx),
                     _i == 0 ? EVTLS_PROTOCOL_TLS_CLIENT : EVTLS_PROTOCOL_TLS_SERVER);
    if (_i != 0)
        load_identity(ctx, pki_issue(pki, &(struct pki_spec){0}));
    ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
    param = SSL_CTX_get0_param(evtls_context_get_ssl_ctx(ctx));
    ck_assert_uint_eq(X509_VERIFY_PARAM_get_flags(param), X509_V_FLAG_TRUSTED_FIRST |
                                                              X509_V_FLAG_PARTIAL_CHAIN |
                                                              X509_V_FLAG_X509_STRICT);
    ck_assert_int_eq(evtls_context_checks_hostname(ctx), _i == 0);
    ck_assert_int_eq(evtls_context_verifies(ctx, EVTLS_SERVER), _i == 0);
    evtls_context_free(ctx);
}
END_TEST

START_TEST(context_default__ca_replaces_the_systems)
{
    const char *root = pki_cert_pem(pki_root(pki));
    const char *file = tmpdir_write_text(dir, "root.pem", root);
    const char *system = tmpdir_write_text(dir, "system.pem", pki_cert_pem(pki_other_root(pki)));
    const struct evtls_ca none = {0}, by_file = {.file = file},
                          by_data = {.data = root, .data_len = strlen(root)},
                          by_dir = {.dir = tmpdir_root(dir)},
                          both = {.file = file, .data = root, .data_len = strlen(root)};
    const struct {
        const struct evtls_ca *ca;
        size_t server_auth, client_auth; /* certificates in the store */
    } rows[] = {{NULL, 1, 0},     {&none, 1, 0}, {&by_file, 1, 1},
                {&by_data, 1, 1}, {&both, 1, 1}, {&by_dir, 0, 0}};
    unsigned char digest[32], system_digest[32];
    struct evtls_context *ctx;
    size_t i;

    setenv("SSL_CERT_FILE", system, 1);
    setenv("SSL_CERT_DIR", "/no/such/dir", 1);
    for (i = 0; i < COUNT(rows); i++) {
        ctx = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, rows[i].ca, NULL);
        ck_assert_uint_eq(evtls_trust_get_num_certificates(ctx->trust), rows[i].server_auth);
        evtls_trust_get_digest(ctx->trust, digest);
        if (i == 0)
            memcpy(system_digest, digest, sizeof(digest));
        ck_assert_int_eq(memcmp(digest, system_digest, sizeof(digest)) == 0, i < 2);
        evtls_context_free(ctx);
        ctx = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, rows[i].ca, NULL);
        ck_assert_uint_eq(evtls_trust_get_num_certificates(ctx->trust), rows[i].client_auth);
        evtls_context_free(ctx);
    }
}
END_TEST

/* B7 */
START_TEST(context_default__bad_arguments)
{
    int reserved = 1;
    const struct evtls_ca missing = {.file = "/no/such/file"}, no_data = {.data_len = 5},
                          empty = {.data = "", .data_len = 0},
                          garbage = {.data = "x", .data_len = 1},
                          future = {.reserved = {&reserved}};
    const struct {
        int purpose;
        const struct evtls_ca *ca;
        int status;
    } rows[] = {
        {0, NULL, EVTLS_ERR_USAGE},
        {3, NULL, EVTLS_ERR_USAGE},
        {EVTLS_PURPOSE_SERVER_AUTH, &missing, EVTLS_ERR_CONFIG},
        {EVTLS_PURPOSE_CLIENT_AUTH, &missing, EVTLS_ERR_CONFIG},
        {EVTLS_PURPOSE_SERVER_AUTH, &no_data, EVTLS_ERR_USAGE},
        {EVTLS_PURPOSE_SERVER_AUTH, &empty, EVTLS_ERR_USAGE},
        {EVTLS_PURPOSE_SERVER_AUTH, &garbage, EVTLS_ERR_CONFIG},
        {EVTLS_PURPOSE_SERVER_AUTH, &future, EVTLS_ERR_USAGE},
    };
    struct evtls_error err;
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        ck_assert_ptr_null(
            evtls_context_new_default((enum evtls_purpose)rows[i].purpose, rows[i].ca, &err));
        ck_assert_msg(err.status == rows[i].status, "row %zu: %s", i, err.message);
        ck_assert_str_ne(err.message, "");
    }
}
END_TEST

/* ---- SSLKEYLOGFILE ---------------------------------------------------------------------- */

/* The lines of a file that begin with what; 0 where there is no file. */
static int count_lines(const char *path, const char *what)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    int n = 0;

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        n += strncmp(line, what, strlen(what)) == 0;
    fclose(file);
    return n;
}

START_TEST(context_default__honours_the_environment)
{
    const char *path = tmpdir_path(dir, "keys");
    struct evtls_context *ctx;
    struct evtls_error err;

    setenv("SSLKEYLOGFILE", path, 1);
    ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    ck_assert(!evtls_lineage_has_keylog(ctx->lineage));
    evtls_context_free(ctx);
    ctx = evtls_context_new_default(_i == 0 ? EVTLS_PURPOSE_SERVER_AUTH : EVTLS_PURPOSE_CLIENT_AUTH,
                                    NULL, NULL);
    ck_assert(evtls_lineage_has_keylog(ctx->lineage));
    ck_assert_int_eq(count_lines(path, "#"), 1);
    evtls_context_free(ctx);
    setenv("SSLKEYLOGFILE", "", 1);
    ctx = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, NULL, NULL);
    ck_assert(!evtls_lineage_has_keylog(ctx->lineage));
    evtls_context_free(ctx);
    setenv("SSLKEYLOGFILE", "/no/such/dir/keys", 1);
    ck_assert_ptr_null(evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, NULL, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "/no/such/dir/keys"));
}
END_TEST

/* ---- Key log ---------------------------------------------------------------------------- */

static bool connect_once(struct evtls_context *server_ctx, int version, struct evtls_error *err)
{
    struct peer *peer = peer_new(&(struct peer_options){.max_version = version});
    struct end server;
    bool connected;

    end_open(&server, server_ctx, EVTLS_SERVER);
    connected = end_connect_peer(&server, peer);
    if (evtls_engine_get_error(server.engine) != NULL)
        *err = *evtls_engine_get_error(server.engine);
    peer_free(peer);
    end_close(&server);
    return connected;
}

/* X9: one line for 1.2, five for 1.3; live on a sealed context, and with its copies. */
START_TEST(keylog__is_live_and_shared)
{
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    struct evtls_context *copy = evtls_context_copy(ctx, NULL);
    const char *one = tmpdir_path(dir, "one"), *two = tmpdir_path(dir, "two");
    struct evtls_error err;

    ck_assert(connect_once(ctx, TLS1_3_VERSION, &err));
    ck_assert(connect_once(copy, TLS1_3_VERSION, &err));
    ck_assert_int_eq(evtls_context_set_keylog_file(ctx, one, NULL), 0);
    ck_assert(connect_once(ctx, TLS1_2_VERSION, &err));
    ck_assert_int_eq(count_lines(one, ""), 1 + 1);
    ck_assert_int_eq(count_lines(one, "CLIENT_RANDOM "), 1);
    ck_assert(connect_once(copy, TLS1_3_VERSION, &err));
    ck_assert_int_eq(count_lines(one, ""), 1 + 1 + 5);
    ck_assert_int_eq(count_lines(one, "EXPORTER_SECRET "), 1);
    ck_assert_int_eq(evtls_context_set_keylog_file(copy, two, NULL), 0);
    ck_assert(connect_once(ctx, TLS1_2_VERSION, &err));
    ck_assert_int_eq(count_lines(two, "CLIENT_RANDOM "), 1);
    ck_assert_int_eq(evtls_context_set_keylog_file(ctx, NULL, NULL), 0);
    ck_assert(connect_once(copy, TLS1_2_VERSION, &err));
    ck_assert_int_eq(count_lines(one, ""), 1 + 1 + 5);
    ck_assert_int_eq(count_lines(two, ""), 1 + 1);
    evtls_context_free(ctx);
    evtls_context_free(copy);
}
END_TEST

/* A client's context that was sealed before its sister got the key log. */
START_TEST(keylog__reaches_clients_that_are_sealed)
{
    struct evtls_context *ctx = client_context(pki), *sister = evtls_context_copy(ctx, NULL);
    struct peer *server = peer_new(
        &(struct peer_options){.server = true, .ident = pki_issue(pki, &(struct pki_spec){0})});
    const char *path = tmpdir_path(dir, "keys");
    struct end client;

    ck_assert_int_eq(evtls_context_seal(ctx, NULL), 0);
    ck_assert_int_eq(evtls_context_set_keylog_file(sister, path, NULL), 0);
    end_open(&client, ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, "localhost", NULL), 0);
    ck_assert(end_connect_peer(&client, server));
    ck_assert_int_eq(count_lines(path, ""), 1 + 5);
    end_close(&client);
    peer_free(server);
    evtls_context_free(ctx);
    evtls_context_free(sister);
}
END_TEST

/* X25 */
START_TEST(keylog__that_can_t_be_opened_leaves_the_old_one)
{
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    const char *path = tmpdir_path(dir, "keys");
    struct evtls_error err;

    ck_assert_int_eq(evtls_context_set_keylog_file(ctx, path, NULL), 0);
    ck_assert_int_eq(evtls_context_set_keylog_file(ctx, "/no/such/dir/keys", &err),
                     EVTLS_ERR_CONFIG);
    ck_assert_int_eq(err.sys_errno, ENOENT);
    ck_assert_ptr_nonnull(strstr(err.message, "/no/such/dir/keys"));
    ck_assert_int_eq(evtls_context_set_keylog_file(ctx, "", NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_set_keylog_file(NULL, path, NULL), EVTLS_ERR_USAGE);
    ck_assert(connect_once(ctx, TLS1_2_VERSION, &err));
    ck_assert_int_eq(count_lines(path, "CLIENT_RANDOM "), 1);
    evtls_context_free(ctx);
}
END_TEST

/* X9: the write error surfaces in the connection. */
START_TEST(keylog__failed_write_fails_the_handshake)
{
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    struct evtls_error err;

    evtls_error_init(&err);
    ck_assert_int_eq(evtls_context_set_keylog_file(ctx, "/dev/full", &err), 0);
    ck_assert(!connect_once(ctx, _i == 0 ? TLS1_2_VERSION : TLS1_3_VERSION, &err));
    ck_assert_int_eq(err.status, EVTLS_ERR_IO);
    ck_assert_int_eq(err.sys_errno, ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.message, "/dev/full"));
    evtls_context_free(ctx);
}
END_TEST

static Suite *context_default_suite(void)
{
    Suite *suite = suite_create("context_default");
    TCase *tcase = tcase_create("context_default");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, context_default__verifies_strictly, 0, 2);
    tcase_add_test(tcase, context_default__ca_replaces_the_systems);
    tcase_add_test(tcase, context_default__bad_arguments);
    tcase_add_loop_test(tcase, context_default__honours_the_environment, 0, 2);
    tcase_add_test(tcase, keylog__is_live_and_shared);
    tcase_add_test(tcase, keylog__reaches_clients_that_are_sealed);
    tcase_add_test(tcase, keylog__that_can_t_be_opened_leaves_the_old_one);
    tcase_add_loop_test(tcase, keylog__failed_write_fails_the_handshake, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(context_default_suite());
}
