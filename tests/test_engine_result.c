/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a failure is called: bad input, bad peers, alerts in both directions.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <evtls/openssl.h>

#include "engine.h"
#include "support/engine_pair.h"
#include "support/hello.h"
#include "support/rng.h"
#include "support/seal.h"
#include "support/suite.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A failure is final: each call says it again, nothing more is sent, OpenSSL's queue is empty. */
static void check_failed(struct end *end, int status)
{
    char byte;

    ck_assert_msg(error_of(end) != NULL && error_of(end)->status == status, "%s, not %s",
                  error_of(end) != NULL ? evtls_status_name(error_of(end)->status) : "no failure",
                  evtls_status_name(status));
    drop_output(end);
    evbuffer_add(end->in, "\x17\x03\x03\x00\x01x", 6);
    ck_assert_int_eq(evtls_engine_handshake(end->engine), status);
    ck_assert_int_eq(evtls_engine_read(end->engine, &byte, 1), status);
    ck_assert_int_eq(evtls_engine_write(end->engine, "x", 1), status);
    ck_assert_int_eq(evtls_engine_shutdown(end->engine), status);
    ck_assert_int_eq(evtls_engine_get_state(end->engine), EVTLS_ENGINE_FAILED);
    ck_assert_uint_eq(evbuffer_get_length(end->out), 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ck_assert(!evtls_engine_has_input(end->engine));
}

static void check_message(const struct end *end, const char *part)
{
    ck_assert_msg(strstr(error_of(end)->message, part) != NULL, "\"%s\" is not in \"%s\"", part,
                  error_of(end)->message);
}

/* ---- Not TLS, or badly so --------------------------------------------------------------- */

#define TEXT(string) string, sizeof(string) - 1

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    bool client;         /* it comes from a server */
    const char *message; /* a part of it */
} inputs[] = {
    /* B12 */
    {"GET", TEXT("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), false, "speaks plain HTTP, not TLS"},
    {"POST", TEXT("POST / HTTP/1.1\r\n\r\n"), false, "speaks plain HTTP, not TLS"},
    {"HEAD", TEXT("HEAD / HTTP/1.1\r\n\r\n"), false, "speaks plain HTTP, not TLS"},
    {"OPTIONS", TEXT("OPTIONS * HTTP/1.1\r\n\r\n"), false, "speaks plain HTTP, not TLS"},
    {"CONNECT", TEXT("CONNECT a.test:443 HTTP/1.1\r\n\r\n"), false, "as to a proxy"},
    {"HTTP/2", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), false, "plain HTTP/2"},
    {"HTTP reply", TEXT("HTTP/1.1 400 Bad Request\r\n\r\n"), true, "speaks plain HTTP, not TLS"},
    /* B13 */
    {"SSH", TEXT("SSH-2.0-OpenSSH_9.2p1\r\n"), true, "speaks SSH"},
    {"PROXY", TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), false, "the PROXY protocol"},
    {"PROXY v2", TEXT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"), false, "the PROXY protocol"},
    {"SMTP", TEXT("220 mail.test ESMTP\r\n"), true, "SMTP or FTP"},
    {"IMAP", TEXT("* OK ready\r\n"), true, "IMAP"},
    {"POP3", TEXT("+OK ready\r\n"), true, "POP3"},
    {"zeros", TEXT("\0\0\0\0\0\0\0\0\0\0"), false, "first bytes are 00 00 00 00 00"},
    {"binary", TEXT("\x7f\x45\x4c\x46\x02\x01"), false, "first bytes are 7f 45 4c 46 02"},
    {"bad major version", TEXT("\x16\x09\x09\x00\x01\x01"), false,
     "first bytes are 16 09 09 00 01"},
    /* B19; messages differ between versions of OpenSSL */
    {"record of 65,535", TEXT("\x16\x03\x01\xff\xff\x01"), false, "[SSL: "},
    {"message of 2^24 - 1", TEXT("\x16\x03\x01\x00\x04\x01\xff\xff\xff"), false,
     "[SSL: EXCESSIVE_MESSAGE_SIZE]"},
    {"data first", TEXT("\x17\x03\x03\x00\x05hello"), false, "[SSL: "},
    {"not a hello", TEXT("\x16\x03\x01\x00\x04\x02\x00\x00\x00"), false, "UNEXPECTED_MESSAGE"},
    {"SSLv2 hello",
     TEXT("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x03\x00\x80\x07"
          "\x00\xc0\x06\x00\x40\x02\x00\x80\x04\x00\x80\x00\x00\x00"
          "0123456789abcdef"),
     false, "[SSL: "},
};

/* At once, and a byte at a time: one specific line, and no answer in the clear but an alert. */
START_TEST(result__of_bad_input)
{
    struct pair pair;
    struct end *end;
    char records[8];
    size_t row = (size_t)_i / 2, step = _i % 2 != 0 ? 1 : inputs[row].len;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    end = inputs[row].client ? &pair.client : &pair.server;
    end_step(end);
    drop_output(end);
    for (size_t at = 0; at < inputs[row].len && error_of(end) == NULL; at += step) {
        evbuffer_add(end->in, inputs[row].bytes + at, step);
        end_step(end);
    }
    ck_assert_msg(error_of(end) != NULL, "%s", inputs[row].name);
    check_message(end, inputs[row].message);
    list_records(end, records, sizeof(records));
    ck_assert_msg(records[0] == '\0' || strcmp(records, "a") == 0, "%s: %s", inputs[row].name,
                  records);
    check_failed(end, EVTLS_ERR_PROTOCOL);
    pair_close(&pair);
}
END_TEST

/* B19: more than a record may hold, in the clear and encrypted. */
START_TEST(result__of_an_overlong_record)
{
    struct pair pair;
    size_t len, body = _i % 2 != 0 ? 65535 : 16384 + 2049;
    unsigned char *page = calloc(1, body);
    unsigned char *record = hello_record(_i / 2 != 0 ? 23 : 22, page, body, (uint16_t)body, &len);

    if (_i / 2 != 0) {
        pair_open_connected(&pair, 0);
    } else {
        pair_prepare(&pair, 0);
        pair_open(&pair);
    }
    evbuffer_add(pair.server.in, record, len);
    end_step(&pair.server);
    check_failed(&pair.server, EVTLS_ERR_PROTOCOL);
    ck_assert_uint_ge(evbuffer_get_length(pair.server.in), body); /* read no further */
    free(record);
    free(page);
    pair_close(&pair);
}
END_TEST

/* B13 */
START_TEST(result__of_random_kilobytes)
{
    struct pair pair;
    struct rng rng;
    unsigned char bytes[4096];

    rng_init(&rng, (uint64_t)_i + 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)rng_below(&rng, 256);
    if (_i % 2 != 0)
        memcpy(bytes, "\x16\x03\x01", 3); /* a good beginning */
    pair_prepare(&pair, 0);
    pair_open(&pair);
    evbuffer_add(pair.server.in, bytes, sizeof(bytes));
    end_step(&pair.server);
    if (pair.server.status == EVTLS_ERR_WANT_READ) { /* a long record was claimed */
        evtls_engine_set_input_eof(pair.server.engine);
        end_step(&pair.server);
        check_failed(&pair.server, EVTLS_ERR_TRUNCATED);
    } else {
        check_failed(&pair.server, EVTLS_ERR_PROTOCOL);
    }
    pair_close(&pair);
}
END_TEST

/* ---- Behind a good ClientHello ---------------------------------------------------------- */

/* B22, B23: another hello, garbage, a message out of turn. The alert is there for the peer. */
static const struct {
    const char *name;
    const char *bytes; /* NULL: the same hello again */
    size_t len;
} seconds[] = {
    {"a second hello", NULL, 0},
    {"garbage", TEXT("\x99\x98\x97\x96\x95\x94\x93\x92\x91\x90")},
    {"data in the clear", TEXT("\x17\x03\x03\x00\x20"
                               "0123456789abcdef0123456789abcdef")},
    {"two changes of cipher", TEXT("\x14\x03\x03\x00\x02\x01\x01")},
    {"finished too early", TEXT("\x16\x03\x03\x00\x04\x14\x00\x00\x00")},
};

START_TEST(result__behind_a_hello)
{
    struct pair pair;
    size_t row = (size_t)_i / 2, len;
    struct hello hello = {.tls12 = _i % 2 != 0};
    unsigned char *bytes = hello_make(&hello, &len);
    char records[16];
    size_t n;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    evbuffer_add(pair.server.in, bytes, len);
    end_step(&pair.server);
    ck_assert_int_eq(pair.server.status, EVTLS_ERR_WANT_READ);
    drop_output(&pair.server);
    if (seconds[row].bytes != NULL)
        evbuffer_add(pair.server.in, seconds[row].bytes, seconds[row].len);
    else
        evbuffer_add(pair.server.in, bytes, len);
    end_step(&pair.server);
    list_records(&pair.server, records, sizeof(records));
    n = strlen(records);
    ck_assert_msg(n == 1 && (records[0] == 'a' || records[0] == 'd'), "%s: \"%s\"",
                  seconds[row].name, records);
    ck_assert_int_gt(error_of(&pair.server)->alert, 0);
    check_failed(&pair.server, EVTLS_ERR_PROTOCOL);
    free(bytes);
    pair_close(&pair);
}
END_TEST

/* ---- Refusals, seen from both sides ----------------------------------------------------- */

static void client_trusts_another(struct pair *pair)
{
    const char *root = pki_cert_pem(pki_other_root(pair->pki));

    evtls_context_free(pair->client_ctx);
    pair->client_ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    evtls_context_load_verify_locations_data(pair->client_ctx, root, strlen(root), NULL);
}

static void use_certificate(struct pair *pair, const struct pki_spec *spec)
{
    evtls_context_free(pair->server_ctx);
    pair->server_ctx = server_context(pki_issue(pair->pki, spec));
}

static void server_is_another(struct pair *pair)
{
    use_certificate(pair, &(struct pki_spec){.cn = "a.test", .san = "DNS:a.test,IP:127.0.0.1"});
}

static void server_is_expired(struct pair *pair)
{
    use_certificate(pair, &(struct pki_spec){.not_before = -2 * PKI_DAY, .not_after = -PKI_DAY});
}

static void server_is_self_signed(struct pair *pair)
{
    use_certificate(pair, &(struct pki_spec){.by = PKI_BY_SELF});
}

static void server_sends_leaf_only(struct pair *pair)
{
    struct pki_ident *ident = pki_issue(pair->pki, &(struct pki_spec){0});
    const char *cert = pki_cert_pem(ident), *key = pki_key_pem(ident);

    evtls_context_free(pair->server_ctx);
    pair->server_ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    evtls_context_load_cert_chain_data(pair->server_ctx, cert, strlen(cert), key, strlen(key), NULL,
                                       NULL);
}

static void no_common_version(struct pair *pair)
{
    evtls_context_set_min_version(pair->server_ctx, EVTLS_TLS_1_3, NULL);
    evtls_context_set_max_version(pair->client_ctx, EVTLS_TLS_1_2, NULL);
}

static void no_common_cipher(struct pair *pair)
{
    evtls_context_set_max_version(pair->client_ctx, EVTLS_TLS_1_2, NULL);
    evtls_context_set_ciphers(pair->client_ctx, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL);
    evtls_context_set_ciphers(pair->server_ctx, "ECDHE-ECDSA-AES256-GCM-SHA384", NULL);
}

static void no_client_certificate(struct pair *pair)
{
    ask_for_certificates(pair->server_ctx, pair->pki, EVTLS_VERIFY_REQUIRED);
}

static void bad_client_certificate(struct pair *pair)
{
    ask_for_certificates(pair->server_ctx, pair->pki, EVTLS_VERIFY_OPTIONAL);
    load_identity(pair->client_ctx, pki_issue(pair->pki, &(struct pki_spec){.by = PKI_BY_OTHER}));
}

static const struct {
    const char *name;
    void (*prepare)(struct pair *);
    const char *host;
    bool by_server; /* the server finds it */
    int status, verify_code, alert;
    const char *message;
} refusals[] = {
    {"host", server_is_another, "localhost", false, EVTLS_ERR_CERTIFICATE, 62,
     EVTLS_ALERT_BAD_CERTIFICATE,
     "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate "
     "is not valid for 'localhost'."},
    {"address", server_is_another, "::1", false, EVTLS_ERR_CERTIFICATE, 64,
     EVTLS_ALERT_BAD_CERTIFICATE,
     "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP address mismatch, "
     "certificate is not valid for '::1'."},
    {"expired", server_is_expired, "localhost", false, EVTLS_ERR_CERTIFICATE, 10,
     EVTLS_ALERT_CERTIFICATE_EXPIRED,
     "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"},
    {"self-signed", server_is_self_signed, "localhost", false, EVTLS_ERR_CERTIFICATE, 18,
     EVTLS_ALERT_UNKNOWN_CA, "self-signed certificate"},
    {"unknown CA", client_trusts_another, "localhost", false, EVTLS_ERR_CERTIFICATE, 20,
     EVTLS_ALERT_UNKNOWN_CA,
     "unable to get local issuer certificate (the server sent a chain; missing issuer CN="},
    {"leaf only", server_sends_leaf_only, "localhost", false, EVTLS_ERR_CERTIFICATE, 20,
     EVTLS_ALERT_UNKNOWN_CA,
     "unable to get local issuer certificate (the server sent only its own certificate; missing "
     "issuer CN="},
    {"version", no_common_version, "localhost", true, EVTLS_ERR_PROTOCOL, 0,
     EVTLS_ALERT_PROTOCOL_VERSION, "[SSL: UNSUPPORTED_PROTOCOL]"},
    {"cipher", no_common_cipher, "localhost", true, EVTLS_ERR_PROTOCOL, 0,
     EVTLS_ALERT_HANDSHAKE_FAILURE, "[SSL: NO_SHARED_CIPHER]"},
    {"no certificate", no_client_certificate, "localhost", true, EVTLS_ERR_CERTIFICATE, 0,
     EVTLS_ALERT_CERTIFICATE_REQUIRED, "[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE]"},
    {"client's CA", bad_client_certificate, "localhost", true, EVTLS_ERR_CERTIFICATE, 20,
     EVTLS_ALERT_UNKNOWN_CA, "unable to get local issuer certificate"},
};

/* B26, B34 to B36, B44, C11: who refuses names its reason, and the other side gets the alert. */
START_TEST(result__of_a_refusal)
{
    struct pair pair;
    struct end *finder, *other;
    const struct evtls_error *err;
    char text[64];

    pair_prepare(&pair, 0);
    refusals[_i].prepare(&pair);
    pair_open(&pair);
    evtls_engine_set_server_hostname(pair.client.engine, refusals[_i].host, NULL);
    ck_assert(!pair_connect(&pair));
    finder = refusals[_i].by_server ? &pair.server : &pair.client;
    other = refusals[_i].by_server ? &pair.client : &pair.server;
    err = error_of(finder);
    ck_assert_msg(err != NULL && error_of(other) != NULL, "%s", refusals[_i].name);
    check_message(finder, refusals[_i].message);
    ck_assert_msg(err->verify_code == refusals[_i].verify_code, "%s: %d", refusals[_i].name,
                  err->verify_code);
    ck_assert_msg(err->alert == refusals[_i].alert, "%s: %d", refusals[_i].name, err->alert);
    ck_assert_str_eq(err->library, "SSL");
    ck_assert_uint_ne(err->ossl_code, 0);
    ck_assert_int_eq(error_of(other)->alert, refusals[_i].alert);
    snprintf(text, sizeof(text), "the peer sent the alert %s (%d)",
             evtls_alert_name(refusals[_i].alert), refusals[_i].alert);
    check_message(other, text);
    check_failed(finder, refusals[_i].status);
    check_failed(other, EVTLS_ERR_ALERT);
    pair_close(&pair);
}
END_TEST

/* What was tried in vain on the way, as the look into a folder of CAs, is not the reason. */
static int complain(int ok, X509_STORE_CTX *store_ctx)
{
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    return ok;
}

START_TEST(result__verdict_behind_other_complaints)
{
    struct pair pair;

    pair_prepare(&pair, 0);
    server_is_another(&pair);
    pair_open(&pair);
    evtls_engine_handshake(pair.client.engine);
    SSL_set_verify(evtls_engine_get_ssl(pair.client.engine), SSL_VERIFY_PEER, complain);
    ck_assert(!pair_connect(&pair));
    ck_assert_str_eq(error_of(&pair.client)->reason, "CERTIFICATE_VERIFY_FAILED");
    ck_assert_int_eq(error_of(&pair.client)->verify_code, X509_V_ERR_HOSTNAME_MISMATCH);
    check_failed(&pair.client, EVTLS_ERR_CERTIFICATE);
    pair_close(&pair);
}
END_TEST

/* ---- Alerts ----------------------------------------------------------------------------- */

static const int alerts[] = {
#define ALERT_VALUE(value, name, text) value,
    EVTLS_ALERT_MAP(ALERT_VALUE)
#undef ALERT_VALUE
};

/* A server engine with a peer that sends records of its choice. */
static struct seal *open_sealed(struct pair *pair, struct peer **peer, int version)
{
    pair_prepare(pair, 0);
    pair_open(pair);
    *peer = peer_new(
        &(struct peer_options){.sealable = true, .min_version = version, .max_version = version});
    ck_assert(end_connect_peer(&pair->server, *peer));
    return seal_new(*peer);
}

static void close_sealed(struct pair *pair, struct peer *peer, struct seal *seal)
{
    seal_free(seal);
    peer_free(peer);
    pair_close(pair);
}

/* A1: a fatal alert is an alert, never an end of file; its number and name are kept. */
START_TEST(result__of_each_fatal_alert)
{
    int alert = alerts[_i / 2];
    const unsigned char record[2] = {2, (unsigned char)alert};
    struct pair pair;
    struct peer *peer;
    struct seal *seal = open_sealed(&pair, &peer, versions[_i % 2]);
    char text[64];

    seal_record(seal, 23, "data", 4);
    seal_record(seal, 21, record, sizeof(record));
    end_feed_from_peer(&pair.server, peer);
    evtls_engine_set_insecure_ragged_eof(pair.server.engine, 1);
    evtls_engine_set_input_eof(pair.server.engine);
    if (alert == EVTLS_ALERT_CLOSE_NOTIFY && versions[_i % 2] == TLS1_3_VERSION) {
        ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_CLOSED); /* any level */
    } else if (alert == EVTLS_ALERT_USER_CANCELED && versions[_i % 2] == TLS1_3_VERSION) {
        ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_CLOSED); /* the ragged end */
    } else {
        ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_ALERT);
        ck_assert_int_eq(error_of(&pair.server)->alert, alert);
        snprintf(text, sizeof(text), "%s (%d)", evtls_alert_name(alert), alert);
        check_message(&pair.server, text);
        ck_assert_str_eq(error_of(&pair.server)->library, "SSL");
        check_failed(&pair.server, EVTLS_ERR_ALERT);
    }
    close_sealed(&pair, peer, seal);
}
END_TEST

/* Java ends TLS 1.3 with both; OpenSSL then gives no reason for the end, in 3.2 and later at any
 * level. */
START_TEST(result__of_user_canceled_and_close_notify)
{
    const unsigned char canceled[2] = {1 + (_i & 1), EVTLS_ALERT_USER_CANCELED};
    const unsigned char closed[2] = {1 + (_i >> 1), EVTLS_ALERT_CLOSE_NOTIFY};
    struct pair pair;
    struct peer *peer;
    struct seal *seal = open_sealed(&pair, &peer, TLS1_3_VERSION);

    seal_record(seal, 23, "data", 4);
    seal_record(seal, 21, canceled, sizeof(canceled));
    seal_record(seal, 21, closed, sizeof(closed));
    end_feed_from_peer(&pair.server, peer);
    ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_CLOSED);
    ck_assert_ptr_null(evtls_engine_get_error(pair.server.engine));
    close_sealed(&pair, peer, seal);
}
END_TEST

/* In the middle of a handshake even a close_notify is a failure. */
START_TEST(result__of_close_notify_in_a_handshake)
{
    struct pair pair;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), EVTLS_ERR_WANT_READ);
    evbuffer_add(pair.client.in, "\x15\x03\x03\x00\x02\x01\x00", 7);
    evtls_engine_set_insecure_ragged_eof(pair.client.engine, 1);
    evtls_engine_set_input_eof(pair.client.engine);
    ck_assert_int_eq(evtls_engine_handshake(pair.client.engine), EVTLS_ERR_ALERT);
    ck_assert_int_eq(error_of(&pair.client)->alert, EVTLS_ALERT_CLOSE_NOTIFY);
    check_message(&pair.client, "close_notify during the handshake");
    check_failed(&pair.client, EVTLS_ERR_ALERT);
    pair_close(&pair);
}
END_TEST

/* B48: with output pending; the alert goes behind it, and the peer reads both. */
START_TEST(result__of_a_bad_mac)
{
    struct pair pair;
    struct peer *peer;
    struct seal *seal = open_sealed(&pair, &peer, versions[_i]);
    char page[16000];
    size_t len;

    memset(page, 'x', sizeof(page));
    ck_assert_int_eq(evtls_engine_write(pair.server.engine, page, sizeof(page)), sizeof(page));
    seal_record(seal, 23, "good", 4);
    seal_broken_record(seal, 23, "evil", 4);
    seal_record(seal, 23, "late", 4);
    end_feed_from_peer(&pair.server, peer);
    ck_assert_int_eq(read_text(&pair.server, "good"), EVTLS_ERR_PROTOCOL);
    ck_assert_int_eq(error_of(&pair.server)->alert, EVTLS_ALERT_BAD_RECORD_MAC);
    end_connect_peer(&pair.server, peer);
    peer_received(peer, &len);
    ck_assert_uint_eq(len, sizeof(page));
    ck_assert_int_eq(peer_alert_received(peer), EVTLS_ALERT_BAD_RECORD_MAC);
    check_failed(&pair.server, EVTLS_ERR_PROTOCOL);
    close_sealed(&pair, peer, seal);
}
END_TEST

static Suite *engine_result_suite(void)
{
    Suite *suite = suite_create("engine_result");
    TCase *tcase = tcase_create("engine_result");

    tcase_add_loop_test(tcase, result__of_bad_input, 0, 2 * COUNT(inputs));
    tcase_add_loop_test(tcase, result__of_an_overlong_record, 0, 4);
    tcase_add_loop_test(tcase, result__of_random_kilobytes, 0, 20);
    tcase_add_loop_test(tcase, result__behind_a_hello, 0, 2 * COUNT(seconds));
    tcase_add_loop_test(tcase, result__of_a_refusal, 0, COUNT(refusals));
    tcase_add_test(tcase, result__verdict_behind_other_complaints);
    tcase_add_loop_test(tcase, result__of_each_fatal_alert, 0, 2 * COUNT(alerts));
    tcase_add_loop_test(tcase, result__of_user_canceled_and_close_notify, 0, 4);
    tcase_add_test(tcase, result__of_close_notify_in_a_handshake);
    tcase_add_loop_test(tcase, result__of_a_bad_mac, 0, COUNT(versions));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_result_suite());
}
