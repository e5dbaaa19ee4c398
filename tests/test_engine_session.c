/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions as a client's engine hands them out and offers them.
 */
#include "config.h"

#include <string.h>

#include <evtls/certificate.h>
#include <evtls/session.h>

#include "engine.h"
#include "error.h"
#include "support/engine_pair.h"
#include "support/suite.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define N_VERSIONS COUNT(versions)

/* A connection's session, the caller's; the engines are new afterwards. */
static struct evtls_session *get_session(struct pair *pair)
{
    struct evtls_session *session;

    ck_assert(pair_connect(pair));
    session = evtls_session_incref(evtls_engine_get_session(pair->client.engine));
    ck_assert_ptr_nonnull(session);
    pair_reopen(pair);
    return session;
}

/* C8 */
START_TEST(session__resumes)
{
    struct pair pair;
    struct evtls_session *session;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    session = get_session(&pair);
    ck_assert_ptr_null(evtls_engine_get_session(pair.client.engine));
    ck_assert_int_eq(evtls_engine_set_session(pair.client.engine, session, NULL), 0);
    ck_assert_ptr_null(evtls_engine_get_session(pair.client.engine));
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_session_reused(pair.client.engine), 1);
    ck_assert_int_eq(evtls_engine_get_session_reused(pair.server.engine), 1);
    ck_assert_ptr_nonnull(evtls_engine_get_session(pair.client.engine));
    /* What was verified then counts still. */
    ck_assert_ptr_nonnull(evtls_engine_get_peer_certificate(pair.client.engine));
    ck_assert_int_eq(evtls_engine_get_peer_auth(pair.client.engine), EVTLS_PEER_CERTIFICATE_HOST);
    evtls_session_free(session);
    pair_close(&pair);
}
END_TEST

START_TEST(session__offer_taken_back)
{
    struct pair pair;
    struct evtls_session *session;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    session = get_session(&pair);
    ck_assert_int_eq(evtls_engine_set_session(pair.client.engine, session, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_session(pair.client.engine, NULL, NULL), 0);
    evtls_session_free(session);
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_session_reused(pair.client.engine), 0);
    pair_close(&pair);
}
END_TEST

/* The engine holds what it was given. */
START_TEST(session__is_held)
{
    struct pair pair;
    struct evtls_session *session;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    session = get_session(&pair);
    ck_assert_int_eq(evtls_engine_set_session(pair.client.engine, session, NULL), 0);
    evtls_session_free(session);
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_session_reused(pair.client.engine), 1);
    pair_close(&pair);
}
END_TEST

/* Verified for one name, whichever of the two is set first. */
START_TEST(session__of_another_name_is_refused)
{
    struct pair pair;
    struct evtls_session *session;
    struct evtls_error err;
    struct evtls_engine *client;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    session = get_session(&pair);
    client = pair.client.engine;
    ck_assert_int_eq(evtls_engine_set_server_hostname(client, "127.0.0.1", NULL), 0);
    ck_assert_int_eq(evtls_engine_set_session(client, session, &err), EVTLS_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "localhost"));
    ck_assert_int_eq(evtls_engine_set_server_hostname(client, "LOCALHOST.", NULL), 0);
    ck_assert_int_eq(evtls_engine_set_session(client, session, &err), 0);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client, "127.0.0.1", &err), EVTLS_ERR_USAGE);
    ck_assert_str_eq(evtls_engine_get_server_hostname(client), "localhost");
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_session_reused(client), 1);
    evtls_session_free(session);
    pair_close(&pair);
}
END_TEST

/* The same settings in a context made anew are another lineage. */
START_TEST(session__of_another_context_is_refused)
{
    struct pair pair;
    struct evtls_session *session;
    struct evtls_context *first;
    struct evtls_error err;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    session = get_session(&pair);
    first = pair.client_ctx;
    pair.client_ctx = client_context(pair.pki);
    pair_reopen(&pair);
    ck_assert_int_eq(evtls_engine_set_session(pair.client.engine, session, &err), EVTLS_ERR_USAGE);
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_session_reused(pair.client.engine), 0);
    evtls_context_free(first);
    evtls_session_free(session);
    pair_close(&pair);
}
END_TEST

/* ---- Those that arrive ------------------------------------------------------------------ */

static const struct {
    int version;
    unsigned tickets;
    int taken;
} arrivals[] = {
    {TLS1_2_VERSION, 2, 1}, {TLS1_3_VERSION, 0, 0}, {TLS1_3_VERSION, 1, 1},
    {TLS1_3_VERSION, 2, 2}, {TLS1_3_VERSION, 4, 4}, {TLS1_3_VERSION, 16, 4},
};

/* In order, the newest last; what nobody takes is bounded. */
START_TEST(session__arrivals_are_taken_once)
{
    struct pair pair;
    struct evtls_session *session, *last = NULL;
    int n = 0;

    pair_prepare(&pair, arrivals[_i].version);
    evtls_context_set_num_tickets(pair.server_ctx, arrivals[_i].tickets, NULL);
    pair_open(&pair);
    ck_assert_ptr_null(evtls_engine_take_session(pair.client.engine));
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_has_new_session(pair.client.engine), arrivals[_i].taken > 0);
    while ((session = evtls_engine_take_session(pair.client.engine)) != NULL) {
        ck_assert_ptr_ne(session, last);
        evtls_session_free(last);
        last = session;
        n++;
    }
    ck_assert_int_eq(n, arrivals[_i].taken);
    ck_assert(!evtls_engine_has_new_session(pair.client.engine));
    ck_assert_ptr_eq(evtls_engine_get_session(pair.client.engine), last);
    evtls_session_free(last);
    pair_close(&pair);
}
END_TEST

/* With TLS 1.3 there is none before the ticket is here, whatever the handshake's state. */
START_TEST(session__comes_after_the_handshake_in_13)
{
    struct pair pair;
    char byte;

    pair_prepare(&pair, TLS1_3_VERSION);
    pair_open(&pair);
    evtls_engine_handshake(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evtls_engine_handshake(pair.server.engine);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), 0);
    ck_assert_ptr_null(evtls_engine_get_session(pair.client.engine));
    carry(&pair.client, &pair.server, CARRY_ALL);
    evtls_engine_handshake(pair.server.engine);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_read(pair.client.engine, &byte, 1), EVTLS_ERR_WANT_READ);
    ck_assert_ptr_nonnull(evtls_engine_get_session(pair.client.engine));
    pair_close(&pair);
}
END_TEST

/* ---- What the end does to it ------------------------------------------------------------ */

static void end_by_free(struct pair *pair)
{
    (void)pair;
}

static void end_by_close(struct pair *pair)
{
    evtls_engine_shutdown(pair->client.engine);
    carry(&pair->client, &pair->server, CARRY_ALL);
    evtls_engine_shutdown(pair->server.engine);
}

static void end_by_cut(struct pair *pair)
{
    evtls_engine_set_input_eof(pair->client.engine);
    ck_assert_int_eq(read_text(&pair->client, ""), EVTLS_ERR_TRUNCATED);
}

static void end_by_transport(struct pair *pair)
{
    struct evtls_error err;

    evtls_error_init(&err);
    evtls_error_set(&err, EVTLS_ERR_TIMEOUT, "quiet");
    evtls_engine_fail(pair->client.engine, &err);
}

static void end_by_bad_record(struct pair *pair)
{
    evbuffer_add(pair->client.in,
                 "\x17\x03\x03\x00\x12"
                 "0123456789abcdefgh",
                 23);
    ck_assert_int_eq(read_text(&pair->client, ""), EVTLS_ERR_PROTOCOL);
}

static void end_by_lost_output(struct pair *pair)
{
    evbuffer_freeze(pair->client.out, 0);
    ck_assert_int_eq(evtls_engine_write(pair->client.engine, "x", 1), EVTLS_ERR_NOMEM);
    evbuffer_unfreeze(pair->client.out, 0);
}

static void end_by_alert(struct pair *pair)
{
    evbuffer_add(pair->server.in,
                 "\x17\x03\x03\x00\x12"
                 "0123456789abcdefgh",
                 23);
    ck_assert_int_eq(read_text(&pair->server, ""), EVTLS_ERR_PROTOCOL);
    carry(&pair->server, &pair->client, CARRY_ALL);
    ck_assert_int_eq(read_text(&pair->client, ""), EVTLS_ERR_ALERT);
}

static const struct {
    const char *name;
    void (*end)(struct pair *);
    bool resumes;
} endings[] = {
    {"free", end_by_free, true},
    {"close_notify", end_by_close, true},
    {"cut off", end_by_cut, true},
    {"the transport's failure", end_by_transport, true},
    {"lost output", end_by_lost_output, false},
    {"a bad record", end_by_bad_record, false},
    {"an alert", end_by_alert, false},
};

/* A5: a session survives its connection unless TLS itself failed (RFC 5246, section 7.2.2). */
START_TEST(session__after_the_end)
{
    struct pair pair;
    struct evtls_session *session;
    const char *name = endings[_i / 2].name;

    pair_prepare(&pair, versions[_i % 2]);
    pair_open(&pair);
    ck_assert(pair_connect(&pair));
    session = evtls_session_incref(evtls_engine_get_session(pair.client.engine));
    endings[_i / 2].end(&pair);
    pair_reopen(&pair);
    /* Refused at once or left out of the handshake: it must not be resumed. */
    evtls_engine_set_session(pair.client.engine, session, NULL);
    ck_assert_msg(pair_connect(&pair), "%s", name);
    ck_assert_msg(evtls_engine_get_session_reused(pair.client.engine) == endings[_i / 2].resumes,
                  "%s", name);
    evtls_session_free(session);
    pair_close(&pair);
}
END_TEST

static Suite *engine_session_suite(void)
{
    Suite *suite = suite_create("engine_session");
    TCase *tcase = tcase_create("engine_session");

    tcase_add_loop_test(tcase, session__resumes, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, session__offer_taken_back, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, session__is_held, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, session__of_another_name_is_refused, 0, N_VERSIONS);
    tcase_add_test(tcase, session__of_another_context_is_refused);
    tcase_add_loop_test(tcase, session__arrivals_are_taken_once, 0, COUNT(arrivals));
    tcase_add_test(tcase, session__comes_after_the_handshake_in_13);
    tcase_add_loop_test(tcase, session__after_the_end, 0, 2 * COUNT(endings));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_session_suite());
}
