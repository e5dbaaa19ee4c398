/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake: what is known before and after it, in pieces, cut off, suspended.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include <openssl/err.h>

#include <evtls/certificate.h>
#include <evtls/openssl.h>

#include "engine.h"
#include "support/engine_pair.h"
#include "support/suite.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define N_VERSIONS COUNT(versions)

/* ---- Questions -------------------------------------------------------------------------- */

static void check_answers(const struct evtls_engine *engine, bool done, int version)
{
    bool is_13 = version == TLS1_3_VERSION;

    ck_assert_int_eq(evtls_engine_is_handshake_done(engine), done);
    ck_assert_int_eq(evtls_engine_get_session_reused(engine), 0);
    ck_assert_ptr_null(evtls_engine_get_alpn(engine, NULL));
    ck_assert_ptr_null(evtls_engine_get_error(engine));
    ck_assert_ptr_null(evtls_engine_get_bufferevent(engine));
    ck_assert_uint_eq(evtls_engine_get_pending(engine), 0);
    if (!done) {
        ck_assert_ptr_null(evtls_engine_get_version(engine));
        ck_assert_ptr_null(evtls_engine_get_cipher(engine));
        ck_assert_ptr_null(evtls_engine_get_group(engine));
        ck_assert_ptr_null(evtls_engine_get_peer_certificate(engine));
        ck_assert_ptr_null(evtls_engine_get_session(engine));
        ck_assert_int_eq(evtls_engine_get_peer_auth(engine), EVTLS_PEER_UNAUTHENTICATED);
        return;
    }
    ck_assert_str_eq(evtls_engine_get_version(engine), is_13 ? "TLSv1.3" : "TLSv1.2");
    ck_assert_ptr_nonnull(strstr(evtls_engine_get_cipher(engine), is_13 ? "TLS_AES" : "ECDHE"));
    ck_assert_ptr_nonnull(evtls_engine_get_group(engine));
}

/* C4, C5, C9: none before, the same on both sides after, and still there after the end. */
START_TEST(handshake__answers)
{
    struct pair pair;
    struct evtls_engine *client, *server;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    client = pair.client.engine;
    server = pair.server.engine;
    check_answers(client, false, versions[_i]);
    evtls_engine_handshake(client);
    check_answers(client, false, versions[_i]);
    ck_assert(pair_connect(&pair));
    check_answers(client, true, versions[_i]);
    check_answers(server, true, versions[_i]);
    ck_assert_str_eq(evtls_engine_get_cipher(client), evtls_engine_get_cipher(server));
    ck_assert_int_eq(strcasecmp(evtls_engine_get_group(client), evtls_engine_get_group(server)), 0);
    ck_assert_ptr_nonnull(strstr(
        evtls_certificate_get_subject(evtls_engine_get_peer_certificate(client)), "CN=localhost"));
    ck_assert_ptr_null(evtls_engine_get_peer_certificate(server));
    evtls_engine_shutdown(client);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evtls_engine_shutdown(server);
    check_answers(client, true, versions[_i]);
    check_answers(server, true, versions[_i]);
    pair_close(&pair);
}
END_TEST

static const struct {
    int version;
    const char *group, *name;
} groups[] = {
    {TLS1_2_VERSION, "P-256", "secp256r1"},
    {TLS1_3_VERSION, "P-256", "secp256r1"},
    {TLS1_3_VERSION, "P-384", "secp384r1"}, /* after a HelloRetryRequest */
    {TLS1_3_VERSION, "X25519", "x25519"},
};

START_TEST(handshake__group_of_choice)
{
    struct pair pair;

    pair_prepare(&pair, groups[_i].version);
    ck_assert_int_eq(evtls_context_set_groups(pair.server_ctx, groups[_i].group, NULL), 0);
    pair_open(&pair);
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(strcasecmp(evtls_engine_get_group(pair.client.engine), groups[_i].name), 0);
    ck_assert_int_eq(strcasecmp(evtls_engine_get_group(pair.server.engine), groups[_i].name), 0);
    pair_close(&pair);
}
END_TEST

static const struct {
    const char *client[3], *server[3];
    const char *agreed;
} alpns[] = {
    {{"h2", "http/1.1"}, {"http/1.1", "h2"}, "http/1.1"},
    {{"h2"}, {"h2"}, "h2"},
    {{"h2"}, {"http/1.1"}, NULL},
    {{"h2"}, {NULL}, NULL},
    {{NULL}, {"h2"}, NULL},
};

static size_t list_len(const char *const *list)
{
    size_t n = 0;

    while (n < 3 && list[n] != NULL)
        n++;
    return n;
}

START_TEST(handshake__alpn)
{
    struct pair pair;
    const char *agreed = alpns[_i].agreed;

    pair_prepare(&pair, 0);
    evtls_context_set_alpn(pair.client_ctx, alpns[_i].client, list_len(alpns[_i].client));
    evtls_context_set_alpn(pair.server_ctx, alpns[_i].server, list_len(alpns[_i].server));
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_has_alpn(pair.client.engine), alpns[_i].client[0] != NULL);
    ck_assert_int_eq(evtls_engine_has_alpn(pair.server.engine), alpns[_i].server[0] != NULL);
    ck_assert(pair_connect(&pair));
    for (int side = 0; side < 2; side++) {
        size_t len = 99;
        const char *got =
            evtls_engine_get_alpn(side != 0 ? pair.client.engine : pair.server.engine, &len);

        if (agreed == NULL)
            ck_assert_ptr_null(got);
        else
            ck_assert_str_eq(got, agreed);
        ck_assert_uint_eq(len, agreed != NULL ? strlen(agreed) : 0);
    }
    pair_close(&pair);
}
END_TEST

static const struct {
    const char *name;
    bool no_verify, no_hostname, asks, shows;
    int client, server;
} auths[] = {
    {"by default", false, false, false, false, EVTLS_PEER_CERTIFICATE_HOST, 0},
    {"any host", false, true, false, false, EVTLS_PEER_CERTIFICATE, 0},
    {"anybody", true, false, false, false, EVTLS_PEER_UNAUTHENTICATED, 0},
    {"asked, none shown", false, false, true, false, EVTLS_PEER_CERTIFICATE_HOST, 0},
    {"asked and shown", false, false, true, true, EVTLS_PEER_CERTIFICATE_HOST,
     EVTLS_PEER_CERTIFICATE},
};

START_TEST(handshake__peer_auth)
{
    struct pair pair;

    pair_prepare(&pair, versions[_i % 2]);
    if (auths[_i / 2].no_verify)
        evtls_context_set_insecure_no_verify(pair.client_ctx, NULL);
    if (auths[_i / 2].no_hostname)
        evtls_context_set_insecure_no_hostname(pair.client_ctx, NULL);
    if (auths[_i / 2].asks)
        ask_for_certificates(pair.server_ctx, pair.pki, EVTLS_VERIFY_OPTIONAL);
    if (auths[_i / 2].shows)
        load_identity(pair.client_ctx, pki_issue(pair.pki, &(struct pki_spec){0}));
    pair_open(&pair);
    ck_assert(pair_connect(&pair));
    ck_assert_msg(evtls_engine_get_peer_auth(pair.client.engine) == auths[_i / 2].client, "%s",
                  auths[_i / 2].name);
    ck_assert_msg(evtls_engine_get_peer_auth(pair.server.engine) == auths[_i / 2].server, "%s",
                  auths[_i / 2].name);
    ck_assert_ptr_nonnull(evtls_engine_get_peer_certificate(pair.client.engine));
    ck_assert_int_eq(evtls_engine_get_peer_certificate(pair.server.engine) != NULL,
                     auths[_i / 2].shows);
    pair_close(&pair);
}
END_TEST

/* The name that is looked at is the one asked for; an address is not sent as a name. */
START_TEST(handshake__by_address)
{
    struct pair pair;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    evtls_engine_set_server_hostname(pair.client.engine, "[::1]", NULL);
    ck_assert(pair_connect(&pair));
    ck_assert_ptr_null(evtls_engine_get_server_name(pair.client.engine));
    ck_assert_ptr_null(evtls_engine_get_server_name(pair.server.engine));
    ck_assert_int_eq(evtls_engine_get_peer_auth(pair.client.engine), EVTLS_PEER_CERTIFICATE_HOST);
    pair_close(&pair);
}
END_TEST

/* X17: not one byte is sent. */
START_TEST(handshake__without_a_name_fails_closed)
{
    struct pair pair;

    pair_prepare(&pair, 0);
    end_open(&pair.client, pair.client_ctx, EVTLS_CLIENT);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_CONFIG);
    ck_assert_uint_eq(evbuffer_get_length(pair.client.out), 0);
    ck_assert_int_eq(evtls_engine_get_error(pair.client.engine)->status, EVTLS_ERR_CONFIG);
    ck_assert_ptr_null(evtls_engine_get_ssl(pair.client.engine));
    pair_close(&pair);
}
END_TEST

/* ---- In pieces -------------------------------------------------------------------------- */

/* Idle connections give their buffers back; a write may be repeated with other bytes. */
START_TEST(handshake__modes)
{
    struct pair pair;
    long mode = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

    pair_open_connected(&pair, 0);
    ck_assert_int_eq(SSL_get_mode(evtls_engine_get_ssl(pair.client.engine)) & mode, mode);
    ck_assert_int_eq(SSL_get_mode(evtls_engine_get_ssl(pair.server.engine)) & mode, mode);
    pair_close(&pair);
}
END_TEST

/* A reading, a writing or an empty writing call does it too; an empty read does not. */
START_TEST(handshake__runs_inside_other_calls)
{
    struct pair pair;
    struct evbuffer *data = evbuffer_new();
    char byte;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "", 0), EVTLS_ERR_WANT_READ);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 0), 0);
    ck_assert_int_eq(evtls_engine_read_buffer(pair.server.engine, data, 0), 0);
    ck_assert_uint_eq(evbuffer_get_length(pair.server.out), 0);
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), EVTLS_ERR_WANT_READ);
    carry(&pair.server, &pair.client, CARRY_ALL);
    evbuffer_add(data, "early", 5);
    ck_assert_int_eq(evtls_engine_write_buffer(pair.client.engine, data, 5), 5);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_read_buffer(pair.server.engine, data, 100), 5);
    evbuffer_free(data);
    pair_close(&pair);
}
END_TEST

/* B16 */
START_TEST(handshake__a_byte_at_a_time)
{
    struct pair pair;
    bool moved = true;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    while (moved) {
        end_step(&pair.client);
        end_step(&pair.server);
        ck_assert_int_eq(pair.client.status, EVTLS_ERR_WANT_READ);
        ck_assert_int_eq(pair.server.status, EVTLS_ERR_WANT_READ);
        moved = carry(&pair.client, &pair.server, 1) + carry(&pair.server, &pair.client, 1) > 0;
    }
    write_text(&pair.client, "to the server");
    write_text(&pair.server, "to the client");
    evtls_engine_shutdown(pair.client.engine);
    evtls_engine_shutdown(pair.server.engine);
    while (evbuffer_get_length(pair.client.out) > 1) {
        carry(&pair.client, &pair.server, 1);
        ck_assert_int_ne(evtls_engine_shutdown(pair.server.engine), 0);
    }
    carry(&pair.client, &pair.server, 1);
    ck_assert_int_eq(read_text(&pair.server, "to the server"), EVTLS_ERR_CLOSED);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(read_text(&pair.client, "to the client"), EVTLS_ERR_CLOSED);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), 0);
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    pair_close(&pair);
}
END_TEST

/*
 * A handshake in which `from` may send only so many bytes before its end of file.
 * True when `to` had enough for its handshake.
 */
static bool survives_cut(struct pair *pair, struct end *from, struct end *to, size_t bytes)
{
    size_t left = bytes, moved;

    do {
        evtls_engine_handshake(from->engine);
        moved = carry(from, to, left);
        left -= moved;
        evtls_engine_handshake(to->engine);
        moved += carry(to, from, CARRY_ALL);
    } while (moved > 0);
    if (evtls_engine_is_handshake_done(to->engine))
        return true;
    ck_assert_uint_eq(left, 0);
    evtls_engine_set_input_eof(to->engine);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(evtls_engine_handshake(to->engine), EVTLS_ERR_TRUNCATED);
    ck_assert_int_eq(evtls_engine_get_state(to->engine), EVTLS_ENGINE_FAILED);
    ck_assert_int_eq(evtls_engine_get_error(to->engine)->status, EVTLS_ERR_TRUNCATED);
    ck_assert_str_eq(evtls_engine_get_error(to->engine)->reason, "UNEXPECTED_EOF_WHILE_READING");
    ck_assert_int_eq(evtls_engine_get_error(to->engine)->alert, -1);
    ck_assert_uint_eq(evbuffer_get_length(to->out), 0); /* OpenSSL's alert for that stays away */
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return false;
}

/* B17: the end of file after each byte of the handshake, also where ragged ends are allowed. */
START_TEST(handshake__cut_at_every_byte)
{
    struct pair pair;
    bool client_is_cut = _i % 2 != 0;
    size_t bytes = 0;
    bool survived;

    pair_prepare(&pair, versions[_i / 2]);
    pair_open(&pair);
    do {
        struct end *from = client_is_cut ? &pair.client : &pair.server;
        struct end *to = client_is_cut ? &pair.server : &pair.client;

        evtls_engine_set_insecure_ragged_eof(to->engine, bytes % 2 != 0);
        survived = survives_cut(&pair, from, to, bytes++);
        pair_reopen(&pair);
    } while (!survived);
    ck_assert_uint_gt(bytes, 200);
    pair_close(&pair);
}
END_TEST

/* ---- Output limit ----------------------------------------------------------------------- */

/* A handshake and its tickets do not wait for output to be taken. */
START_TEST(handshake__is_exempt_from_the_output_limit)
{
    struct pair pair;

    pair_prepare(&pair, TLS1_3_VERSION);
    evtls_context_set_num_tickets(pair.server_ctx, 16, NULL);
    pair_open(&pair);
    evtls_engine_set_output_limit(pair.server.engine, 512);
    evtls_engine_set_output_limit(pair.client.engine, 1);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), EVTLS_ERR_WANT_READ);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_handshake(pair.server.engine), EVTLS_ERR_WANT_READ);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), 0);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_handshake(pair.server.engine), 0);
    ck_assert_uint_gt(evbuffer_get_length(pair.server.out), 16 * 200);
    /* Data waits, in both directions, and goes when it may. */
    ck_assert_int_eq(evtls_engine_write(pair.server.engine, "x", 1), EVTLS_ERR_WANT_WRITE);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "from client", 11), 11);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_WANT_WRITE);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(read_text(&pair.server, "from client"), EVTLS_ERR_WANT_READ);
    carry(&pair.server, &pair.client, CARRY_ALL);
    write_text(&pair.server, "from server");
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(read_text(&pair.client, "from server"), EVTLS_ERR_WANT_READ);
    pair_close(&pair);
}
END_TEST

/* ---- Suspended -------------------------------------------------------------------------- */

static bool decided;

static int on_certificate(SSL *ssl, void *arg)
{
    (void)ssl;
    (void)arg;
    return decided ? 1 : -1;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return decided ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}

static int on_verify(int ok, X509_STORE_CTX *store_ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());

    if (decided)
        return ok;
    SSL_set_retry_verify(ssl); /* OpenSSL wants "verified" with it */
    return 1;
}

static void suspend_server_certificate(struct pair *pair)
{
    SSL_set_cert_cb(evtls_engine_get_ssl(pair->server.engine), on_certificate, NULL);
}

static void suspend_client_certificate(struct pair *pair)
{
    SSL_set_cert_cb(evtls_engine_get_ssl(pair->client.engine), on_certificate, NULL);
}

static void suspend_client_hello(struct pair *pair)
{
    SSL_CTX_set_client_hello_cb(evtls_context_get_ssl_ctx(pair->server_ctx), on_client_hello, NULL);
}

static void suspend_verify(struct pair *pair)
{
    SSL_set_verify(evtls_engine_get_ssl(pair->client.engine), SSL_VERIFY_PEER, on_verify);
}

static const struct {
    const char *name;
    void (*prepare)(struct pair *);
    bool client;
    int state;
} suspensions[] = {
    {"ClientHello", suspend_client_hello, false, EVTLS_ENGINE_AWAIT_CLIENT_HELLO},
    {"server's certificate", suspend_server_certificate, false, EVTLS_ENGINE_AWAIT_CERTIFICATE},
    {"client's certificate", suspend_client_certificate, true, EVTLS_ENGINE_AWAIT_CERTIFICATE},
    {"verification", suspend_verify, true, EVTLS_ENGINE_AWAIT_VERIFY},
};

/* A11 */
START_TEST(handshake__suspended_and_resumed)
{
    struct pair pair;
    struct end *end;
    char byte;

    decided = false;
    pair_prepare(&pair, versions[_i % 2]);
    ask_for_certificates(pair.server_ctx, pair.pki, EVTLS_VERIFY_REQUIRED);
    load_identity(pair.client_ctx, pki_issue(pair.pki, &(struct pki_spec){0}));
    pair_open(&pair);
    evtls_engine_handshake(pair.client.engine);
    evtls_engine_handshake(pair.server.engine); /* so that both have their SSL */
    suspensions[_i / 2].prepare(&pair);
    end = suspensions[_i / 2].client ? &pair.client : &pair.server;
    ck_assert(!pair_connect(&pair));
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(evtls_engine_handshake(end->engine), EVTLS_ERR_SUSPENDED);
        ck_assert_int_eq(evtls_engine_get_state(end->engine), suspensions[_i / 2].state);
        ck_assert_int_eq(evtls_engine_read(end->engine, &byte, 1), EVTLS_ERR_SUSPENDED);
        ck_assert_int_eq(evtls_engine_write(end->engine, "x", 1), EVTLS_ERR_SUSPENDED);
        ck_assert_int_eq(evtls_engine_shutdown(end->engine), EVTLS_ERR_PROTOCOL);
        ck_assert_ptr_null(evtls_engine_get_error(end->engine));
    }
    decided = true;
    ck_assert_msg(pair_connect(&pair), "%s", suspensions[_i / 2].name);
    pair_close(&pair);
}
END_TEST

START_TEST(handshake__freed_and_reset_while_suspended)
{
    struct pair pair;

    decided = false;
    pair_prepare(&pair, 0);
    pair_open(&pair);
    evtls_engine_handshake(pair.server.engine);
    suspend_server_certificate(&pair);
    ck_assert(!pair_connect(&pair));
    ck_assert_int_eq(pair.server.status, EVTLS_ERR_SUSPENDED);
    evtls_engine_reset(pair.server.engine);
    ck_assert_int_eq(evtls_engine_get_state(pair.server.engine), EVTLS_ENGINE_NEW);
    evtls_engine_reset(pair.client.engine);
    ck_assert(pair_connect(&pair));
    pair_reopen(&pair);
    evtls_engine_handshake(pair.server.engine);
    suspend_server_certificate(&pair);
    ck_assert(!pair_connect(&pair));
    pair_close(&pair);
}
END_TEST

/* ---- With others ------------------------------------------------------------------------ */

START_TEST(handshake__with_plain_openssl)
{
    struct pair pair;
    struct pki_ident *ident;
    struct peer *peer;
    bool is_server = _i % 2 != 0;
    int version = versions[_i / 2];
    size_t len;

    pair_prepare(&pair, 0);
    ident = pki_issue(pair.pki, &(struct pki_spec){0});
    pair_open(&pair);
    peer = peer_new(&(struct peer_options){.server = !is_server,
                                           .ident = is_server ? NULL : ident,
                                           .trust = is_server ? pki_root(pair.pki) : NULL,
                                           .host = is_server ? "localhost" : NULL,
                                           .min_version = version,
                                           .max_version = version});
    ck_assert(end_connect_peer(is_server ? &pair.server : &pair.client, peer));
    write_text(is_server ? &pair.server : &pair.client, "hello");
    ck_assert(end_connect_peer(is_server ? &pair.server : &pair.client, peer));
    ck_assert(memcmp(peer_received(peer, &len), "hello", 5) == 0);
    ck_assert_uint_eq(len, 5);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* B54: what others left in the thread's queue before a call has no part in it. */
START_TEST(handshake__with_a_dirty_queue)
{
    struct pair pair;
    size_t moved = 1;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    while (moved > 0) {
        ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
        ck_assert_int_ge(evtls_engine_handshake(pair.client.engine), EVTLS_ERR_WANT_READ);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        moved = carry(&pair.client, &pair.server, 100);
        ERR_raise(ERR_LIB_SSL, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE);
        ck_assert_int_ge(evtls_engine_handshake(pair.server.engine), EVTLS_ERR_WANT_READ);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        moved += carry(&pair.server, &pair.client, 100);
    }
    ck_assert_int_eq(evtls_engine_is_handshake_done(pair.server.engine), 1);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    write_text(&pair.client, "data");
    carry(&pair.client, &pair.server, CARRY_ALL);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_WANT_READ);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    pair_close(&pair);
}
END_TEST

static Suite *engine_handshake_suite(void)
{
    Suite *suite = suite_create("engine_handshake");
    TCase *tcase = tcase_create("engine_handshake");

    tcase_add_loop_test(tcase, handshake__answers, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, handshake__group_of_choice, 0, COUNT(groups));
    tcase_add_loop_test(tcase, handshake__alpn, 0, COUNT(alpns));
    tcase_add_loop_test(tcase, handshake__peer_auth, 0, 2 * COUNT(auths));
    tcase_add_test(tcase, handshake__by_address);
    tcase_add_test(tcase, handshake__without_a_name_fails_closed);
    tcase_add_test(tcase, handshake__modes);
    tcase_add_test(tcase, handshake__runs_inside_other_calls);
    tcase_add_loop_test(tcase, handshake__a_byte_at_a_time, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, handshake__cut_at_every_byte, 0, 2 * N_VERSIONS);
    tcase_add_test(tcase, handshake__is_exempt_from_the_output_limit);
    tcase_add_loop_test(tcase, handshake__suspended_and_resumed, 0, 2 * COUNT(suspensions));
    tcase_add_test(tcase, handshake__freed_and_reset_while_suspended);
    tcase_add_loop_test(tcase, handshake__with_plain_openssl, 0, 2 * N_VERSIONS);
    tcase_add_loop_test(tcase, handshake__with_a_dirty_queue, 0, N_VERSIONS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_handshake_suite());
}
