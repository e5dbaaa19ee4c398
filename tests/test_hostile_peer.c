/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSSL peers that go wrong in the handshake or behind it: what they may not send, what they may
 * not send without end, tickets that are not ours. See support/hostile.h.
 */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/thread.h>

#include "support/engines.h"
#include "support/hostile.h"
#include "support/loop.h"
#include "support/vclock.h"

static const char connected[] = "handshake connected";
static const char failed[] = "handshake connected failed rerror";
static const char refused[] = "failed rerror";

#define NONE HOSTILE_NO_ALERT
#define CLIENT .role = EVTLS_CLIENT
#define TLS12 .version = TLS1_2_VERSION
#define TLS13 .version = TLS1_3_VERSION

/* ---- Records by hand ----------------------------------------------------------------------- */

struct flood {
    uint8_t type;
    const char *content;
    size_t len;
    int n;
};

static void play_flood(struct hostile *h)
{
    const struct flood *flood = h->row->data;

    hostile_connect_sealed(h, h->row->version);
    seal_record(h->seal, 23, "data", 4);
    for (int i = 0; i < flood->n; i++) {
        seal_record(h->seal, flood->type, flood->content, flood->len);
    }
    hostile_flush_peer(h);
    if (h->row->status == EVTLS_OK) {
        bev_pair_expect(&h->beside, &h->side, "data");
        hostile_expect_alive(h);
    }
}

/* Even where an end without close_notify is fine, an alert is none. */
static void play_fatal_alert(struct hostile *h)
{
    evtls_engine_set_insecure_ragged_eof(evtls_bufferevent_get_engine(h->side.bev), 1);
    play_flood(h);
    hostile_finish(h);
}

static void play_clear_change_cipher_spec(struct hostile *h)
{
    hostile_connect_sealed(h, TLS1_3_VERSION);
    hostile_send(h, "\x14\x03\x03\x00\x01\x01", 6);
}

/* With output of ours on its way, which the alert follows. */
static void play_bad_mac(struct hostile *h)
{
    static const char page[16000];

    hostile_connect_sealed(h, h->row->version);
    hostile_stop_reading(h);
    bufferevent_write(h->side.bev, page, sizeof(page));
    hostile_settle(h);
    seal_record(h->seal, 23, "good", 4);
    seal_broken_record(h->seal, 23, "evil", 4);
    seal_record(h->seal, 23, "late", 4);
    hostile_flush_peer(h);
    hostile_settle(h);
    hostile_read_on(h);
    hostile_wait_end(h);
    ck_assert_uint_eq(hostile_peer_got(h), sizeof(page));
}

static void play_key_updates(struct hostile *h)
{
    hostile_connect_sealed(h, TLS1_3_VERSION);
    seal_record(h->seal, 23, "data", 4);
    for (size_t i = 0; i < h->row->len; i++) {
        seal_key_update(h->seal, h->row->data != NULL);
    }
    hostile_flush_peer(h);
    if (h->row->status == EVTLS_OK) {
        bev_pair_expect(&h->beside, &h->side, "data");
        hostile_expect_alive(h);
    }
}

static void play_tickets(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){.num_tickets = 2});
    for (size_t i = 0; i < h->row->len; i++) {
        peer_send_ticket(h->peer);
        hostile_flush_peer(h);
    }
    if (h->row->status == EVTLS_OK) {
        hostile_expect_alive(h);
    }
}

/* ---- Renegotiation ------------------------------------------------------------------------- */

/* It is refused with a warning, and our side goes on; OpenSSL as the peer takes no for a failure.
 */
static void play_renegotiation(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){.max_version = TLS1_2_VERSION});
    h->held = true;
    peer_renegotiate(h->peer);
    hostile_flush_peer(h);
    hostile_settle(h);
    ck_assert(!h->side.ended);
    peer_step(h->peer);
    ck_assert_int_eq(peer_reason(h->peer), SSL_R_NO_RENEGOTIATION);
}

/* ---- Handshakes ---------------------------------------------------------------------------- */

static void two_seconds(struct hostile *h)
{
    evtls_context_set_handshake_timeout(h->side.ctx, &(struct timeval){2, 0}, NULL);
}

/* A server's first flight, but only so many bytes of it; then what the row says, or the end. */
static void play_part_of_flight(struct hostile *h)
{
    static unsigned char flight[8192];
    size_t n;

    h->peer = peer_new(&(struct peer_options){
        .server = true, .ident = hostile_ident, .max_version = h->row->version});
    h->held = true;
    hostile_settle(h);
    peer_handshake(h->peer);
    n = peer_take(h->peer, flight, sizeof(flight));
    ck_assert_uint_gt(n, h->row->step);
    hostile_send(h, flight, h->row->step);
    if (h->row->data) {
        hostile_send(h, h->row->data, h->row->len);
        hostile_wait_end(h);
        peer_handshake(h->peer);
    } else if (h->row->status == EVTLS_ERR_TRUNCATED) {
        hostile_finish(h);
    }
}

/* The whole flight, and more than may come without an answer. */
static void play_flight_and_junk(struct hostile *h)
{
    static const unsigned char junk[30000];

    h->peer = peer_new(&(struct peer_options){.server = true, .ident = hostile_ident});
    h->held = true;
    hostile_settle(h);
    peer_handshake(h->peer);
    hostile_flush_peer(h);
    hostile_send(h, junk, sizeof(junk));
    hostile_wait_end(h);
    peer_handshake(h->peer);
}

static void trust_another(struct hostile *h)
{
    const char *root = pki_cert_pem(pki_other_root(hostile_pki));

    evtls_context_free(h->side.ctx);
    h->side.ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    evtls_context_load_verify_locations_data(h->side.ctx, root, strlen(root), NULL);
}

static void play_connect(struct hostile *h)
{
    hostile_connect(h, h->row->data);
}

static void no_tls12(struct hostile *h)
{
    evtls_context_set_min_version(h->side.ctx, EVTLS_TLS_1_3, NULL);
}

static void one_cipher(struct hostile *h)
{
    evtls_context_set_max_version(h->side.ctx, EVTLS_TLS_1_2, NULL);
    evtls_context_set_ciphers(h->side.ctx, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL);
}

static void one_group(struct hostile *h)
{
    evtls_context_set_groups(h->side.ctx, "X25519", NULL);
}

static const char *const protocols[] = {"h2"};

static void one_protocol(struct hostile *h)
{
    evtls_context_set_alpn(h->side.ctx, protocols, 1);
}

static int choose_strict(struct evtls_engine *engine, const char *name,
                         struct evtls_context *initial, void *arg)
{
    (void)name;
    (void)initial;
    return evtls_engine_set_context(engine, arg, NULL);
}

static void free_context(void *ctx)
{
    evtls_context_free(ctx);
}

/* The context that the name chooses asks for a certificate. */
static void strict_host(struct hostile *h)
{
    struct evtls_context *strict = server_context(hostile_ident);

    ask_for_certificates(strict, hostile_pki, EVTLS_VERIFY_REQUIRED);
    evtls_context_set_sni_callback(h->side.ctx, choose_strict, strict, free_context);
}

/* ---- Sessions ------------------------------------------------------------------------------ */

/* A copy of a session with one bit of its ticket changed. */
static SSL_SESSION *change_ticket(SSL_SESSION *session)
{
    const unsigned char *ticket, *in;
    unsigned char *der = NULL, *at;
    size_t len;
    int n = i2d_SSL_SESSION(session, &der);

    SSL_SESSION_get0_ticket(session, &ticket, &len);
    at = memmem(der, (size_t)n, ticket, len);
    ck_assert_ptr_nonnull(at);
    at[len / 2] ^= 1;
    in = der;
    session = d2i_SSL_SESSION(NULL, &in, n);
    OPENSSL_free(der);
    ck_assert_ptr_nonnull(session);
    return session;
}

enum ticket { TICKET_GOOD, TICKET_CHANGED, TICKET_FOREIGN };

/* Its session resumes after a free, and no other does. */
static void play_ticket(struct hostile *h)
{
    enum ticket kind = (enum ticket)h->row->len;
    SSL_SESSION *session;

    hostile_connect(h, &(struct peer_options){.host = "localhost"});
    ck_assert_uint_gt(peer_tickets(h->peer), 0);
    bev_side_free(&h->side);
    hostile_settle(h);
    ck_assert_int_eq(peer_step(h->peer), PEER_CLOSED);
    session = peer_session(h->peer);
    if (kind == TICKET_CHANGED) {
        session = change_ticket(session);
    } else {
        SSL_SESSION_up_ref(session);
    }
    if (kind == TICKET_FOREIGN) {
        evtls_context_free(h->side.ctx);
        h->side.ctx = server_context(hostile_ident);
    }
    hostile_again(h);
    hostile_connect(h, &(struct peer_options){.host = "localhost", .session = session});
    SSL_SESSION_free(session);
    ck_assert_int_eq(peer_session_reused(h->peer), kind == TICKET_GOOD);
    hostile_expect_alive(h);
}

/* The client under test is freed; its session serves the next one. */
static void play_client_session(struct hostile *h)
{
    hostile_connect(h, &(struct peer_options){.max_version = h->row->version});
    bev_side_free(&h->side);
    hostile_settle(h);
    ck_assert_ptr_nonnull(h->side.session);
    hostile_again(h);
    ck_assert_int_eq(
        evtls_engine_set_session(evtls_bufferevent_get_engine(h->side.bev), h->side.session, NULL),
        0);
    hostile_connect(h, &(struct peer_options){.like = h->peer});
    ck_assert(peer_session_reused(h->peer));
    hostile_expect_alive(h);
}

/* ---- Tables -------------------------------------------------------------------------------- */

#define FLOOD(...)                                                                                 \
    .data = &(struct flood)                                                                        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define FAILED(number) .log = failed, .status = EVTLS_ERR_PROTOCOL, .alert = (number)
#define REFUSED(number) .log = refused, .status = EVTLS_ERR_PROTOCOL, .alert = (number)
#define FINE .log = connected, .alert = NONE

static const struct hostile_row behind[] = {
    {"a1__fatal_alert_is_no_end_1_2", play_fatal_alert, .log = failed, .status = EVTLS_ERR_ALERT,
     .alert = NONE, FLOOD(21, "\2\50", 2, 1), TLS12, .got = "data", .message = "handshake_failure"},
    {"a1__fatal_alert_is_no_end_1_3", play_fatal_alert, .log = failed, .status = EVTLS_ERR_ALERT,
     .alert = NONE, FLOOD(21, "\2\61", 2, 1), TLS13, .got = "data", .message = "access_denied"},
    {"a1__fatal_alert_of_a_server", play_fatal_alert, .log = failed, .status = EVTLS_ERR_ALERT,
     .alert = NONE, FLOOD(21, "\2\164", 2, 1), TLS13, CLIENT, .got = "data",
     .message = "certificate_required"},
    {"b20__few_empty_records", play_flood, FINE, FLOOD(23, "", 0, 20), TLS13},
    {"b20__empty_records_1_2", play_flood, FAILED(10), FLOOD(23, "", 0, 1000), TLS12,
     .got = "data"},
    {"b20__empty_records_1_3", play_flood, FAILED(10), FLOOD(23, "", 0, 1000), TLS13,
     .got = "data"},
    {"b20__empty_records_of_a_server", play_flood, FAILED(10), FLOOD(23, "", 0, 1000), TLS13,
     CLIENT, .got = "data"},
    {"b21__warnings_1_2", play_flood, FAILED(10), FLOOD(21, "\1\132", 2, 1000), TLS12,
     .got = "data"},
    {"b21__warnings_1_3", play_flood, FAILED(10), FLOOD(21, "\1\132", 2, 1000), TLS13,
     .got = "data"},
    {"b22__late_in_1_2", play_flood, FAILED(10), FLOOD(20, "\1", 1, 1), TLS12, .got = "data"},
    {"b22__late_in_1_3", play_flood, FAILED(10), FLOOD(20, "\1", 1, 1), TLS13, .got = "data"},
    {"b22__late_in_the_clear", play_clear_change_cipher_spec, FAILED(10), TLS13},
    {"b23__hello_in_the_data_1_3", play_flood, FAILED(10), FLOOD(22, "\1\0\0\0", 4, 1), TLS13,
     .got = "data"},
    {"b24__by_the_client", play_renegotiation, .log = connected, .alert = 100, TLS12},
    {"b25__by_the_server", play_renegotiation, .log = connected, .alert = 100, TLS12, CLIENT},
    {"b48__bad_mac_1_2", play_bad_mac, FAILED(20), TLS12, .got = "good"},
    {"b48__bad_mac_1_3", play_bad_mac, FAILED(20), TLS13, .got = "good"},
    {"b48__bad_mac_of_a_server", play_bad_mac, FAILED(20), TLS13, CLIENT, .got = "good"},
    {"b49__key_updates_within_the_limit", play_key_updates, FINE, .len = 1000},
    {"b49__key_updates", play_key_updates, FAILED(10), .len = 1100, .got = "data",
     .message = "too many key updates"},
    {"b49__key_updates_that_ask", play_key_updates, FAILED(10), .len = 1100, .data = "ask",
     .got = "data", .message = "too many key updates"},
    {"b49__key_updates_of_a_server", play_key_updates, FAILED(10), .len = 1100, .data = "ask",
     CLIENT, .got = "data", .message = "too many key updates"},
    {"a16__tickets_within_the_limit", play_tickets, FINE, .len = 40, CLIENT, TLS13},
    {"a16__tickets", play_tickets, FAILED(10), .len = 100, CLIENT, TLS13,
     .message = "too many session tickets"},
};

static const struct hostile_row handshakes[] = {
    {"b17__server_flight_cut_1_2", play_part_of_flight, .log = refused,
     .status = EVTLS_ERR_TRUNCATED, .alert = NONE, CLIENT, TLS12, .step = 200},
    {"b17__server_flight_cut_1_3", play_part_of_flight, .log = refused,
     .status = EVTLS_ERR_TRUNCATED, .alert = NONE, CLIENT, TLS13, .step = 200},
    {"b18__server_stalls_1_2", play_part_of_flight, .log = "failed timeouterror",
     .status = EVTLS_ERR_TIMEOUT, .alert = NONE, CLIENT, TLS12, .step = 300,
     .prepare = two_seconds},
    {"b18__server_stalls_1_3", play_part_of_flight, .log = "failed timeouterror",
     .status = EVTLS_ERR_TIMEOUT, .alert = NONE, CLIENT, TLS13, .step = 127,
     .prepare = two_seconds},
    {"b23__garbage_behind_server_hello", play_part_of_flight, REFUSED(70), CLIENT, TLS13,
     .step = 127, .data = "\x99\x98\x97\x96\x95\x94\x93\x92", .len = 8},
    {"b26__client_without_the_version", play_connect, .log = refused, .status = EVTLS_ERR_ALERT,
     .alert = NONE, .message = "protocol_version", CLIENT, .prepare = no_tls12,
     .data = &(struct peer_options){.max_version = TLS1_2_VERSION}},
    {"b26__server_without_the_version", play_connect, REFUSED(70), .prepare = no_tls12,
     .data = &(struct peer_options){.max_version = TLS1_2_VERSION}},
    {"b26__client_without_the_cipher", play_connect, .log = refused, .status = EVTLS_ERR_ALERT,
     .alert = NONE, .message = "handshake_failure", CLIENT, .prepare = one_cipher,
     .data = &(struct peer_options){.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"}},
    {"b26__server_without_the_cipher", play_connect, REFUSED(40), .prepare = one_cipher,
     .data = &(struct peer_options){.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"}},
    {"b26__server_without_the_group", play_connect, REFUSED(40), .prepare = one_group,
     .data = &(struct peer_options){.groups = "P-384"}},
    {"b26__client_without_the_group", play_connect, .log = refused, .status = EVTLS_ERR_ALERT,
     .alert = NONE, .message = "handshake_failure", CLIENT, .prepare = one_group,
     .data = &(struct peer_options){.groups = "P-384"}},
    {"b26__server_without_the_protocol", play_connect, .log = "alpn() handshake connected",
     .alert = NONE, .prepare = one_protocol, .data = &(struct peer_options){.alpn = "http/1.1"}},
    {"b26__client_without_the_protocol", play_connect, .log = refused, .status = EVTLS_ERR_ALERT,
     .alert = NONE, .message = "no_application_protocol", CLIENT, .prepare = one_protocol,
     .data = &(struct peer_options){.alpn = "http/1.1"}},
    {"a12__refusal_reaches_a_server_that_sends_on", play_flight_and_junk, .log = refused,
     .status = EVTLS_ERR_CERTIFICATE, .alert = 48, CLIENT, .prepare = trust_another},
    {"a19__the_chosen_context_asks_for_a_certificate_1_2", play_connect, .log = refused,
     .status = EVTLS_ERR_CERTIFICATE, .alert = 40, .prepare = strict_host,
     .data = &(struct peer_options){.sni = "a.test", .max_version = TLS1_2_VERSION}},
    {"a19__the_chosen_context_asks_for_a_certificate_1_3", play_connect, .log = refused,
     .status = EVTLS_ERR_CERTIFICATE, .alert = 116, .prepare = strict_host,
     .data = &(struct peer_options){.sni = "a.test"}},
    {"a5__free_keeps_the_session_1_2", play_ticket, FINE, TLS12, .len = TICKET_GOOD},
    {"a5__free_keeps_the_session_1_3", play_ticket, FINE, TLS13, .len = TICKET_GOOD},
    {"a5__free_keeps_the_clients_session_1_2", play_client_session, FINE, TLS12, CLIENT},
    {"a5__free_keeps_the_clients_session_1_3", play_client_session, FINE, TLS13, CLIENT},
    {"b29__ticket_changed_1_2", play_ticket, FINE, TLS12, .len = TICKET_CHANGED},
    {"b29__ticket_changed_1_3", play_ticket, FINE, TLS13, .len = TICKET_CHANGED},
    {"b29__ticket_of_another_context_1_2", play_ticket, FINE, TLS12, .len = TICKET_FOREIGN},
    {"b29__ticket_of_another_context_1_3", play_ticket, FINE, TLS13, .len = TICKET_FOREIGN},
};

START_TEST(hostile__behind)
{
    hostile_run(behind, _i);
}
END_TEST

START_TEST(hostile__handshakes)
{
    hostile_run(handshakes, _i);
}
END_TEST

static Suite *hostile_peer_suite(void)
{
    Suite *suite = suite_create("hostile_peer");

    hostile_add_rows(suite, "behind", hostile__behind, behind, COUNT(behind));
    hostile_add_rows(suite, "handshakes", hostile__handshakes, handshakes, COUNT(handshakes));
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN); /* libevent's own sockets, the other side among them */
    return suite_run(hostile_peer_suite());
}
