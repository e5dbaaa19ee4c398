/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer may not send without end, and failures that OpenSSL cannot be told of.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include <openssl/err.h>

#include "engine_internal.h"
#include "support/engine_pair.h"
#include "support/seal.h"
#include "support/suite.h"

#define FREE_KEY_UPDATES 1024
#define FREE_TICKETS 64

/* A server or client engine and a plain peer, connected. */
static struct peer *open_with_peer(struct pair *pair, struct end **end, bool client, int version)
{
    struct pki_ident *ident;
    struct peer *peer;

    pair_prepare(pair, version);
    ident = pki_issue(pair->pki, &(struct pki_spec){0});
    pair_open(pair);
    peer = peer_new(&(struct peer_options){.server = client,
                                           .ident = client ? ident : NULL,
                                           .num_tickets = client ? 2 : 0,
                                           .min_version = version,
                                           .max_version = version});
    *end = client ? &pair->client : &pair->server;
    ck_assert(end_connect_peer(*end, peer));
    return peer;
}

/* ---- Key updates ------------------------------------------------------------------------ */

static void send_key_updates(struct end *end, struct peer *peer, int n, bool ask)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(peer_key_update(peer, ask), PEER_OK);
    end_connect_peer(end, peer);
}

/* A16, B49: so many are free, the next one ends the connection, with an alert. */
START_TEST(flood__of_key_updates)
{
    struct pair pair;
    struct end *end;
    struct peer *peer = open_with_peer(&pair, &end, _i / 2 != 0, TLS1_3_VERSION);
    bool ask = _i % 2 != 0;

    send_key_updates(end, peer, FREE_KEY_UPDATES, ask);
    ck_assert_ptr_null(error_of(end));
    ck_assert_int_eq(end->status, EVTLS_ERR_WANT_READ);
    send_key_updates(end, peer, 1, ask);
    ck_assert_ptr_nonnull(error_of(end));
    ck_assert_int_eq(error_of(end)->status, EVTLS_ERR_PROTOCOL);
    ck_assert_str_eq(error_of(end)->message, "the peer sent too many key updates");
    ck_assert_int_eq(error_of(end)->alert, EVTLS_ALERT_UNEXPECTED_MESSAGE);
    ck_assert_int_eq(peer_alert_received(peer), EVTLS_ALERT_UNEXPECTED_MESSAGE);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* Each 16 KiB of data earns one more. */
START_TEST(flood__of_key_updates_with_data)
{
    static const char page[16384];
    struct pair pair;
    struct end *end;
    struct peer *peer = open_with_peer(&pair, &end, false, TLS1_3_VERSION);

    send_key_updates(end, peer, FREE_KEY_UPDATES, false);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(peer_write(peer, page, sizeof(page)), PEER_OK);
        send_key_updates(end, peer, 1, false);
        ck_assert_ptr_null(error_of(end));
    }
    send_key_updates(end, peer, 1, false);
    ck_assert_ptr_nonnull(error_of(end));
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* ---- Tickets ---------------------------------------------------------------------------- */

START_TEST(flood__of_tickets)
{
    struct pair pair;
    struct end *end;
    struct peer *peer = open_with_peer(&pair, &end, true, TLS1_3_VERSION);

    for (int i = 2; i < FREE_TICKETS; i++) {
        ck_assert_int_eq(peer_send_ticket(peer), PEER_OK);
        if (i % 20 == 0)
            ck_assert_msg(end_connect_peer(end, peer), "ticket %d", i);
    }
    ck_assert(end_connect_peer(end, peer));
    peer_send_ticket(peer);
    end_connect_peer(end, peer);
    ck_assert_ptr_nonnull(error_of(end));
    ck_assert_str_eq(error_of(end)->message, "the peer sent too many session tickets");
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* ---- What OpenSSL counts itself --------------------------------------------------------- */

/* B20, B21: records of a kind, on an open connection. */
static const struct {
    const char *name;
    int version;
    uint8_t type;
    const char *content;
    size_t len;
    int many; /* more than OpenSSL takes */
} records[] = {
    {"empty data", TLS1_2_VERSION, 23, "", 0, 40},
    {"empty data", TLS1_3_VERSION, 23, "", 0, 40},
    {"warnings", TLS1_2_VERSION, 21, "\1\132", 2, 10},
    {"warnings", TLS1_3_VERSION, 21, "\1\132", 2, 10},
};

START_TEST(flood__of_records)
{
    struct pair pair;
    struct peer *peer;
    struct seal *seal;
    int version = records[_i].version;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    peer = peer_new(
        &(struct peer_options){.sealable = true, .min_version = version, .max_version = version});
    ck_assert(end_connect_peer(&pair.server, peer));
    seal = seal_new(peer);
    for (int i = 0; i < 3; i++) /* some are fine */
        seal_record(seal, records[_i].type, records[_i].content, records[_i].len);
    seal_record(seal, 23, "data", 4);
    end_feed_from_peer(&pair.server, peer);
    ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_WANT_READ);
    for (int i = 0; i < records[_i].many; i++)
        seal_record(seal, records[_i].type, records[_i].content, records[_i].len);
    end_feed_from_peer(&pair.server, peer);
    ck_assert_msg(read_text(&pair.server, "") == EVTLS_ERR_PROTOCOL, "%s", records[_i].name);
    ck_assert_int_gt(error_of(&pair.server)->alert, 0);
    seal_free(seal);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* B20, B21: the same in the clear, before a ClientHello. */
START_TEST(flood__before_the_handshake)
{
    static const char empty[] = "\x16\x03\x01\x00\x00";
    struct pair pair;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    for (int i = 0; i < 5000; i++)
        evbuffer_add(pair.server.in, empty, 5);
    ck_assert_int_eq(evtls_engine_handshake(pair.server.engine), EVTLS_ERR_PROTOCOL);
    ck_assert_uint_gt(evbuffer_get_length(pair.server.in), 4900 * 5);
    pair_close(&pair);
}
END_TEST

/* B24, B25: refused by a warning; the connection stays open under the keys it has. */
START_TEST(flood__of_renegotiations)
{
    struct pair pair;
    struct end *end;
    struct peer *peer = open_with_peer(&pair, &end, _i != 0, TLS1_2_VERSION);
    unsigned char bytes[4096];
    char list[4];

    peer_renegotiate(peer);
    evbuffer_add(end->in, bytes, peer_take(peer, bytes, sizeof(bytes)));
    end_step(end);
    ck_assert_int_eq(end->status, EVTLS_ERR_WANT_READ);
    ck_assert_uint_eq(evbuffer_get_length(end->in), 0);
    ck_assert_str_eq(list_records(end, list, sizeof(list)), "a");
    ck_assert_int_eq(evtls_engine_write(end->engine, "still", 5), 5);
    ck_assert_ptr_null(error_of(end));
    end_connect_peer(end, peer); /* OpenSSL takes no for a failure */
    ck_assert_int_eq(peer_alert_received(peer), EVTLS_ALERT_NO_RENEGOTIATION);
    ck_assert_int_eq(peer_reason(peer), SSL_R_NO_RENEGOTIATION);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* ---- Failures of callbacks -------------------------------------------------------------- */

/* Writes fail behind the size that the files have. */
static void fill_disk(long size)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size < 0 ? limit.rlim_max : (rlim_t)size;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* X9: a key log that cannot be written ends the connection, and the peer gets an alert. */
START_TEST(failure__of_the_key_log)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tmpdir *dir = tmpdir_new();
    struct pair pair;
    struct end *end, *other;
    const char *path = tmpdir_path(dir, "keys");
    bool client = _i / 2 != 0;

    pair_prepare(&pair, versions[_i % 2]);
    ck_assert_int_eq(
        evtls_context_set_keylog_file(client ? pair.client_ctx : pair.server_ctx, path, NULL), 0);
    pair_open(&pair);
    end = client ? &pair.client : &pair.server;
    other = client ? &pair.server : &pair.client;
    fill_disk(1);
    pair_connect(&pair);
    fill_disk(-1);
    ck_assert_ptr_nonnull(error_of(end));
    ck_assert_int_eq(error_of(end)->status, EVTLS_ERR_IO);
    ck_assert_int_eq(error_of(end)->sys_errno, EFBIG);
    ck_assert_ptr_nonnull(strstr(error_of(end)->message, path));
    ck_assert_int_eq(evtls_engine_write(end->engine, "x", 1), EVTLS_ERR_IO);
    ck_assert_int_gt(error_of(end)->alert, 0);
    ck_assert_ptr_nonnull(error_of(other));
    ck_assert_int_eq(error_of(other)->status, EVTLS_ERR_ALERT);
    ck_assert_int_eq(error_of(other)->alert, error_of(end)->alert);
    pair_close(&pair);
    tmpdir_free(dir);
}
END_TEST

/* The first failure that was noted is the one that counts. */
START_TEST(failure__noted_first_stays)
{
    struct pair pair;
    struct evtls_error err;

    pair_open_connected(&pair, 0);
    evtls_error_init(&err);
    evtls_error_set(&err, EVTLS_ERR_IO, "first");
    evtls_engine_note_failure(pair.client.engine, &err);
    evtls_error_set(&err, EVTLS_ERR_NOMEM, "second");
    evtls_engine_note_failure(pair.client.engine, &err);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_IO);
    ck_assert_str_eq(error_of(&pair.client)->message, "first");
    pair_close(&pair);
}
END_TEST

/* Output that has no place is memory that ran out. */
START_TEST(failure__of_the_output)
{
    struct pair pair;

    pair_open_connected(&pair, 0);
    evbuffer_freeze(pair.client.out, 0);
    if (_i == 0)
        ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_NOMEM);
    else
        ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_NOMEM);
    evbuffer_unfreeze(pair.client.out, 0);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_NOMEM);
    ck_assert_int_eq(error_of(&pair.client)->status, EVTLS_ERR_NOMEM);
    ck_assert_uint_eq(evbuffer_get_length(pair.client.out), 0);
    pair_close(&pair);
}
END_TEST

static Suite *engine_flood_suite(void)
{
    Suite *suite = suite_create("engine_flood");
    TCase *tcase = tcase_create("engine_flood");

    tcase_add_loop_test(tcase, flood__of_key_updates, 0, 4);
    tcase_add_test(tcase, flood__of_key_updates_with_data);
    tcase_add_test(tcase, flood__of_tickets);
    tcase_add_loop_test(tcase, flood__of_records, 0, COUNT(records));
    tcase_add_test(tcase, flood__before_the_handshake);
    tcase_add_loop_test(tcase, flood__of_renegotiations, 0, 2);
    tcase_add_loop_test(tcase, failure__of_the_key_log, 0, 4);
    tcase_add_test(tcase, failure__noted_first_stays);
    tcase_add_loop_test(tcase, failure__of_the_output, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_flood_suite());
}
