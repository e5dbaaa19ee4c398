/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of an engine and its settings.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <evtls/certificate.h>
#include <evtls/openssl.h>
#include <evtls/session.h>

#include "engine_internal.h"
#include "support/engine_pair.h"
#include "support/suite.h"

/* ---- Life ------------------------------------------------------------------------------- */

START_TEST(engine__null_is_accepted_everywhere)
{
    struct evtls_error err;
    size_t len = 7;
    char byte;

    evtls_engine_free(NULL);
    evtls_engine_destroy(NULL);
    evtls_engine_reset(NULL);
    evtls_engine_fail(NULL, NULL);
    evtls_engine_set_insecure_ragged_eof(NULL, 1);
    evtls_engine_set_output_limit(NULL, 1);
    evtls_engine_set_user_data(NULL, &len, NULL);
    evtls_engine_set_input_eof(NULL);
    ck_assert_int_eq(evtls_engine_set_server_hostname(NULL, "a", &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_session(NULL, NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_context(NULL, NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_handshake(NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_read(NULL, &byte, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_read_buffer(NULL, NULL, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_write(NULL, &byte, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_write_buffer(NULL, NULL, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_shutdown(NULL), EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_engine_get_user_data(NULL));
    ck_assert_ptr_null(evtls_engine_get_context(NULL));
    ck_assert_ptr_null(evtls_engine_get_bufferevent(NULL));
    ck_assert_ptr_null(evtls_engine_get_version(NULL));
    ck_assert_ptr_null(evtls_engine_get_cipher(NULL));
    ck_assert_ptr_null(evtls_engine_get_group(NULL));
    ck_assert_ptr_null(evtls_engine_get_alpn(NULL, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert_ptr_null(evtls_engine_get_server_name(NULL));
    ck_assert_ptr_null(evtls_engine_get_server_hostname(NULL));
    ck_assert_ptr_null(evtls_engine_get_peer_certificate(NULL));
    ck_assert_ptr_null(evtls_engine_get_session(NULL));
    ck_assert_ptr_null(evtls_engine_get_error(NULL));
    ck_assert_ptr_null(evtls_engine_get_ssl(NULL));
    ck_assert_ptr_null(evtls_engine_take_session(NULL));
    ck_assert_int_eq(evtls_engine_get_role(NULL), 0);
    ck_assert_int_eq(evtls_engine_get_peer_auth(NULL), EVTLS_PEER_UNAUTHENTICATED);
    ck_assert_int_eq(evtls_engine_get_session_reused(NULL), 0);
    ck_assert_int_eq(evtls_engine_is_handshake_done(NULL), 0);
    ck_assert_uint_eq(evtls_engine_get_pending(NULL), 0);
    ck_assert(!evtls_engine_is_busy(NULL));
}
END_TEST

START_TEST(engine__new_refuses_what_cannot_work)
{
    struct pair pair;
    struct evtls_error err;
    struct evbuffer *buf = evbuffer_new();
    struct evtls_context *empty = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);

    pair_prepare(&pair, 0);
    {
        const struct {
            struct evtls_context *ctx;
            int role;
            struct evbuffer *in, *out;
            int status;
        } rows[] = {
            {NULL, EVTLS_CLIENT, buf, buf, EVTLS_ERR_USAGE},
            {pair.client_ctx, EVTLS_CLIENT, NULL, buf, EVTLS_ERR_USAGE},
            {pair.client_ctx, EVTLS_CLIENT, buf, NULL, EVTLS_ERR_USAGE},
            {pair.client_ctx, 0, buf, buf, EVTLS_ERR_USAGE},
            {pair.client_ctx, 3, buf, buf, EVTLS_ERR_USAGE},
            {pair.client_ctx, EVTLS_SERVER, buf, buf, EVTLS_ERR_USAGE},
            {pair.server_ctx, EVTLS_CLIENT, buf, buf, EVTLS_ERR_USAGE},
            {empty, EVTLS_SERVER, buf, buf, EVTLS_ERR_CONFIG},
        };

        for (size_t i = 0; i < COUNT(rows); i++) {
            enum evtls_role role = (enum evtls_role)rows[i].role;

            evtls_error_init(&err);
            ck_assert_ptr_null(evtls_engine_new(rows[i].ctx, role, rows[i].in, rows[i].out, &err));
            ck_assert_msg(err.status == rows[i].status, "row %zu: %s", i,
                          evtls_status_name(err.status));
            ck_assert_str_ne(err.message, "");
            ck_assert_ptr_null(evtls_engine_new(rows[i].ctx, role, rows[i].in, rows[i].out, NULL));
        }
    }
    evtls_context_free(empty);
    evbuffer_free(buf);
    pair_close(&pair);
}
END_TEST

/* The program may drop the context as soon as the engine is made. */
START_TEST(engine__holds_its_context)
{
    struct pair pair;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    ck_assert(evtls_context_is_sealed(pair.client_ctx));
    ck_assert_ptr_eq(evtls_engine_get_context(pair.client.engine), pair.client_ctx);
    evtls_context_free(pair.client_ctx);
    evtls_context_free(pair.server_ctx);
    ck_assert(pair_connect(&pair));
    pair.client_ctx = pair.server_ctx = NULL;
    pair_close(&pair);
}
END_TEST

/* An idle connection costs little before its first byte. */
START_TEST(engine__is_small_and_makes_its_ssl_late)
{
    struct pair pair;

    ck_assert_uint_lt(sizeof(struct evtls_engine), 400);
    pair_prepare(&pair, 0);
    pair_open(&pair);
    ck_assert_ptr_null(evtls_engine_get_ssl(pair.client.engine));
    ck_assert_int_eq(evtls_engine_get_state(pair.client.engine), EVTLS_ENGINE_NEW);
    ck_assert_int_eq(evtls_engine_read(pair.client.engine, NULL, 0), 0);
    ck_assert_ptr_null(evtls_engine_get_ssl(pair.client.engine));
    ck_assert_uint_eq(evbuffer_get_length(pair.client.out), 0);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_ptr_nonnull(evtls_engine_get_ssl(pair.client.engine));
    ck_assert_int_eq(evtls_engine_get_state(pair.client.engine), EVTLS_ENGINE_HANDSHAKE);
    pair_close(&pair);
}
END_TEST

START_TEST(engine__two_roles_of_one_context)
{
    struct pair pair;
    struct evtls_context *both;

    pair_prepare(&pair, 0);
    both = evtls_context_new(EVTLS_PROTOCOL_TLS, NULL);
    load_identity(both, pki_issue(pair.pki, &(struct pki_spec){0}));
    ask_for_certificates(both, pair.pki, EVTLS_VERIFY_REQUIRED);
    evtls_context_free(pair.client_ctx);
    evtls_context_free(pair.server_ctx);
    pair.server_ctx = both;
    pair.client_ctx = evtls_context_incref(both);
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_get_role(pair.client.engine), EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_get_role(pair.server.engine), EVTLS_SERVER);
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_peer_auth(pair.client.engine), EVTLS_PEER_CERTIFICATE_HOST);
    ck_assert_int_eq(evtls_engine_get_peer_auth(pair.server.engine), EVTLS_PEER_CERTIFICATE);
    pair_close(&pair);
}
END_TEST

/* ---- Settings --------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *normalised; /* NULL: refused */
} hostnames[] = {
    {"localhost", "localhost"},
    {"LocalHost.", "localhost"},
    {"127.0.0.1", "127.0.0.1"},
    {"[::1]", "::1"},
    {"fe80::1%eth0", "fe80::1"},
    {NULL, NULL},
    {"", NULL},
    {".example.org", NULL},
    {"a..b", NULL},
    {"b\xc3\xbc"
     "cher.example",
     NULL},
    {"a b", NULL},
    {"example.org%eth0", NULL},
};

/* B33 */
START_TEST(engine__server_hostname)
{
    struct pair pair;
    struct evtls_error err;
    int status;

    pair_prepare(&pair, 0);
    end_open(&pair.client, pair.client_ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(pair.client.engine, "first.test", NULL), 0);
    status = evtls_engine_set_server_hostname(pair.client.engine, hostnames[_i].name, &err);
    ck_assert_int_eq(status, hostnames[_i].normalised != NULL ? 0 : EVTLS_ERR_USAGE);
    ck_assert_int_eq(err.status, status);
    ck_assert_str_eq(evtls_engine_get_server_hostname(pair.client.engine),
                     status == 0 ? hostnames[_i].normalised : "first.test");
    pair_close(&pair);
}
END_TEST

START_TEST(engine__settings_of_the_wrong_side_or_time)
{
    struct pair pair;
    struct evtls_error err;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_set_server_hostname(pair.server.engine, "localhost", &err),
                     EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_engine_get_server_hostname(pair.server.engine));
    ck_assert_int_eq(evtls_engine_set_session(pair.server.engine, NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_context(pair.server.engine, pair.server_ctx, &err),
                     EVTLS_ERR_USAGE);
    evtls_engine_handshake(pair.client.engine);
    ck_assert_int_eq(evtls_engine_set_server_hostname(pair.client.engine, "localhost", &err),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_session(pair.client.engine, NULL, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_context(pair.client.engine, pair.client_ctx, &err),
                     EVTLS_ERR_USAGE);
    ck_assert(pair_connect(&pair));
    pair_close(&pair);
}
END_TEST

static int freed[3];

static void count_free(void *data)
{
    *(int *)data += 1;
}

START_TEST(engine__user_data_is_freed_once)
{
    struct pair pair;

    memset(freed, 0, sizeof(freed));
    pair_prepare(&pair, 0);
    pair_open(&pair);
    ck_assert_ptr_null(evtls_engine_get_user_data(pair.client.engine));
    evtls_engine_set_user_data(pair.client.engine, &freed[0], count_free);
    ck_assert_ptr_eq(evtls_engine_get_user_data(pair.client.engine), &freed[0]);
    evtls_engine_set_user_data(pair.client.engine, &freed[1], NULL);
    ck_assert_int_eq(freed[0], 1);
    evtls_engine_set_user_data(pair.client.engine, &freed[2], count_free);
    evtls_engine_reset(pair.client.engine);
    ck_assert_ptr_eq(evtls_engine_get_user_data(pair.client.engine), &freed[2]);
    pair_close(&pair);
    ck_assert_int_eq(freed[0], 1);
    ck_assert_int_eq(freed[1], 0);
    ck_assert_int_eq(freed[2], 1);
}
END_TEST

/* ---- Engines that a transport moves ----------------------------------------------------- */

START_TEST(engine__of_a_transport_is_moved_by_it_alone)
{
    struct pair pair;
    struct evtls_port_evbuffer buffers = {.in = evbuffer_new(), .out = evbuffer_new()};
    const struct evtls_port port = {.ops = &evtls_port_evbuffer_ops, .arg = &buffers};
    struct bufferevent *bev = (struct bufferevent *)&buffers;
    struct evtls_engine *engine;
    char byte = 'x';

    pair_prepare(&pair, 0);
    engine = evtls_engine_new_with_port(pair.client_ctx, EVTLS_CLIENT, &port, bev, NULL);
    ck_assert_ptr_eq(evtls_engine_get_bufferevent(engine), bev);
    ck_assert_int_eq(evtls_engine_set_server_hostname(engine, "localhost", NULL), 0);
    ck_assert_int_eq(evtls_engine_handshake(engine), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_read(engine, &byte, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_read_buffer(engine, buffers.in, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_write(engine, &byte, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_write_buffer(engine, buffers.in, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_shutdown(engine), EVTLS_ERR_USAGE);
    evtls_engine_set_input_eof(engine);
    evtls_engine_free(engine);
    ck_assert_int_eq(evtls_engine_step_handshake(engine), EVTLS_ERR_WANT_READ);
    ck_assert_uint_gt(evbuffer_get_length(buffers.out), 0);
    evtls_engine_destroy(engine);
    evbuffer_free(buffers.in);
    evbuffer_free(buffers.out);
    pair_close(&pair);
}
END_TEST

START_TEST(engine__arguments_are_checked)
{
    struct pair pair;

    pair_open_connected(&pair, 0);
    ck_assert_int_eq(evtls_engine_read(pair.client.engine, NULL, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_read_buffer(pair.client.engine, NULL, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, NULL, 1), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, NULL, 0), 0);
    ck_assert_int_eq(evtls_engine_write_buffer(pair.client.engine, NULL, 1), EVTLS_ERR_USAGE);
    ck_assert_ptr_null(evtls_engine_get_error(pair.client.engine));
    pair_close(&pair);
}
END_TEST

/* The transport's own failure; the first one stays, also against what comes later from TLS. */
START_TEST(engine__fails_with_the_transport)
{
    struct pair pair;
    struct evtls_error err;
    char byte;

    pair_open_connected(&pair, 0);
    evtls_error_init(&err);
    evtls_error_set_errno(&err, EVTLS_ERR_IO, ECONNRESET, "read");
    evtls_engine_fail(pair.client.engine, &err);
    ck_assert_int_eq(evtls_engine_get_state(pair.client.engine), EVTLS_ENGINE_FAILED);
    evtls_error_set(&err, EVTLS_ERR_TIMEOUT, "later");
    evtls_engine_fail(pair.client.engine, &err);
    ck_assert_int_eq(evtls_engine_get_error(pair.client.engine)->status, EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_engine_get_error(pair.client.engine)->sys_errno, ECONNRESET);
    write_text(&pair.server, "late");
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_read(pair.client.engine, &byte, 1), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), EVTLS_ERR_IO);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_IO);
    ck_assert_uint_eq(evbuffer_get_length(pair.client.out), 0);
    /* What the handshake agreed on is still known. */
    ck_assert_str_eq(evtls_engine_get_version(pair.client.engine), "TLSv1.3");
    pair_close(&pair);
}
END_TEST

/* ---- Reset ------------------------------------------------------------------------------ */

START_TEST(engine__reset_is_a_new_connection)
{
    struct pair pair;
    struct evtls_error err;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    for (int round = 0; round < 3; round++) {
        ck_assert(pair_connect(&pair));
        ck_assert_ptr_nonnull(evtls_engine_get_peer_certificate(pair.client.engine));
        /* The session that came last is offered again. */
        ck_assert_int_eq(evtls_engine_get_session_reused(pair.client.engine), round > 0);
        evtls_error_init(&err);
        evtls_error_set(&err, EVTLS_ERR_TIMEOUT, "quiet");
        evtls_engine_fail(pair.client.engine, &err);
        evtls_engine_reset(pair.client.engine);
        ck_assert_int_eq(evtls_engine_get_state(pair.client.engine), EVTLS_ENGINE_NEW);
        ck_assert_ptr_null(evtls_engine_get_ssl(pair.client.engine));
        ck_assert_ptr_null(evtls_engine_get_error(pair.client.engine));
        ck_assert_ptr_null(evtls_engine_get_peer_certificate(pair.client.engine));
        ck_assert_ptr_null(evtls_engine_get_version(pair.client.engine));
        ck_assert_ptr_null(evtls_engine_take_session(pair.client.engine));
        ck_assert_int_eq(evtls_engine_is_handshake_done(pair.client.engine), 0);
        ck_assert_str_eq(evtls_engine_get_server_hostname(pair.client.engine), "localhost");
        evtls_engine_reset(pair.server.engine);
        drop_output(&pair.client);
        drop_output(&pair.server);
    }
    pair_close(&pair);
}
END_TEST

START_TEST(engine__reset_forgets_the_end_of_input)
{
    struct pair pair;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    evtls_engine_set_input_eof(pair.server.engine);
    ck_assert_int_eq(evtls_engine_handshake(pair.server.engine), EVTLS_ERR_TRUNCATED);
    evtls_engine_reset(pair.server.engine);
    ck_assert(pair_connect(&pair));
    pair_close(&pair);
}
END_TEST

static Suite *engine_suite(void)
{
    Suite *suite = suite_create("engine");
    TCase *tcase = tcase_create("engine");

    tcase_add_test(tcase, engine__null_is_accepted_everywhere);
    tcase_add_test(tcase, engine__new_refuses_what_cannot_work);
    tcase_add_test(tcase, engine__holds_its_context);
    tcase_add_test(tcase, engine__is_small_and_makes_its_ssl_late);
    tcase_add_test(tcase, engine__two_roles_of_one_context);
    tcase_add_loop_test(tcase, engine__server_hostname, 0, COUNT(hostnames));
    tcase_add_test(tcase, engine__settings_of_the_wrong_side_or_time);
    tcase_add_test(tcase, engine__user_data_is_freed_once);
    tcase_add_test(tcase, engine__of_a_transport_is_moved_by_it_alone);
    tcase_add_test(tcase, engine__arguments_are_checked);
    tcase_add_test(tcase, engine__fails_with_the_transport);
    tcase_add_test(tcase, engine__reset_is_a_new_connection);
    tcase_add_test(tcase, engine__reset_forgets_the_end_of_input);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_suite());
}
