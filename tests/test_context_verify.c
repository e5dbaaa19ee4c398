/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a context's connections accept, and what they agree on, against plain OpenSSL peers. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "support/engines.h"
#include "support/hello.h"
#include "support/suite.h"

static struct pki *pki;

static void set_up(void)
{
    pki = pki_new();
}

static void tear_down(void)
{
    pki_free(pki);
}

/* ---- A client and its server's certificate ---------------------------------------------- */

static const struct pki_san partial_ip = {PKI_SAN_IP, "\xc0\x00\x02\x01\0\0\0\0", 8};

static const struct {
    const char *label, *host;
    struct pki_spec spec;
    int code; /* X509_V_...; 0: connected */
} servers[] = {
    {"the name", "www.a.test", {.san = "DNS:www.a.test"}, 0},
    {"in another case, with a dot", "WWW.a.Test.", {.san = "DNS:www.A.test"}, 0},
    {"another name", "www.b.test", {.san = "DNS:www.a.test"}, X509_V_ERR_HOSTNAME_MISMATCH},
    {"a wildcard", "www.a.test", {.san = "DNS:*.a.test"}, 0},
    {"a wildcard two labels deep",
     "x.www.a.test",
     {.san = "DNS:*.a.test"},
     X509_V_ERR_HOSTNAME_MISMATCH},
    {"a wildcard without its label",
     "a.test",
     {.san = "DNS:*.a.test"},
     X509_V_ERR_HOSTNAME_MISMATCH},
    {"a partial wildcard", "www.a.test", {.san = "DNS:w*.a.test"}, X509_V_ERR_HOSTNAME_MISMATCH},
    {"a wildcard in the middle",
     "www.a.test",
     {.san = "DNS:www.*.test"},
     X509_V_ERR_HOSTNAME_MISMATCH},
    {"a common name alone", "www.a.test", {.cn = "www.a.test", .san = ""}, 0},
    {"a common name beside another SAN",
     "www.a.test",
     {.cn = "www.a.test", .san = "DNS:b.test"},
     X509_V_ERR_HOSTNAME_MISMATCH},
    {"an address", "192.0.2.1", {.san = "IP:192.0.2.1"}, 0},
    {"an address in another form", "2001:DB8::0001", {.san = "IP:2001:db8::1"}, 0},
    {"another address", "192.0.2.2", {.san = "IP:192.0.2.1"}, X509_V_ERR_IP_ADDRESS_MISMATCH},
    {"an address as a name", "192.0.2.1", {.san = "DNS:192.0.2.1"}, X509_V_ERR_IP_ADDRESS_MISMATCH},
    {"an address as a common name",
     "192.0.2.1",
     {.cn = "192.0.2.1", .san = ""},
     X509_V_ERR_IP_ADDRESS_MISMATCH},
    {"an address of eight bytes",
     "192.0.2.1",
     {.san = "DNS:a.test", .raw_san = &partial_ip, .n_raw_san = 1},
     X509_V_ERR_IP_ADDRESS_MISMATCH},
    {"for clients only", "localhost", {.eku = PKI_EKU_CLIENT}, X509_V_ERR_INVALID_PURPOSE},
    {"expired",
     "localhost",
     {.not_before = -2 * PKI_DAY, .not_after = -PKI_DAY},
     X509_V_ERR_CERT_HAS_EXPIRED},
    {"not yet valid",
     "localhost",
     {.not_before = PKI_DAY, .not_after = 2 * PKI_DAY},
     X509_V_ERR_CERT_NOT_YET_VALID},
    {"of another CA",
     "localhost",
     {.by = PKI_BY_OTHER},
     X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
    {"self-signed", "localhost", {.by = PKI_BY_SELF}, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
};

enum care { CHECKS_ALL, CHECKS_NO_HOST, CHECKS_NOTHING };

static bool is_about_name(int code)
{
    return code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

/* X3, X21, B34-B38: each with its own code; what is insecure is so by request only. */
START_TEST(context_verify__server)
{
    int row = _i / 3, expected = servers[row].code;
    enum care care = (enum care)(_i % 3);
    struct evtls_context *ctx = client_context(pki);
    struct peer *server = peer_new(
        &(struct peer_options){.server = true, .ident = pki_issue(pki, &servers[row].spec)});
    struct end client;
    bool connected;

    if (care == CHECKS_NO_HOST) {
        ck_assert_int_eq(evtls_context_set_insecure_no_hostname(ctx, NULL), 0);
        expected = is_about_name(expected) ? 0 : expected;
    } else if (care == CHECKS_NOTHING) {
        ck_assert_int_eq(evtls_context_set_insecure_no_verify(ctx, NULL), 0);
        expected = 0;
    }
    end_open(&client, ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, servers[row].host, NULL), 0);
    connected = end_connect_peer(&client, server);
    ck_assert_msg(evtls_error_get_verify_code(evtls_engine_get_error(client.engine)) == expected &&
                      connected == (expected == 0),
                  "%s: %s", servers[row].label,
                  evtls_error_get_message(evtls_engine_get_error(client.engine)));
    ck_assert_int_eq(evtls_engine_get_peer_auth(client.engine),
                     expected != 0 || care == CHECKS_NOTHING ? EVTLS_PEER_UNAUTHENTICATED
                     : care == CHECKS_NO_HOST                ? EVTLS_PEER_CERTIFICATE
                                                             : EVTLS_PEER_CERTIFICATE_HOST);
    end_close(&client);
    peer_free(server);
    evtls_context_free(ctx);
}
END_TEST

static const struct {
    const char *host, *sent; /* NULL: no server name */
} sent_names[] = {
    {"WWW.A.test.", "www.a.test"},
    {"192.0.2.1", NULL},
    {"[2001:db8::1]", NULL},
    {"fe80::1%lo", NULL},
};

static int keep_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    strcpy(arg, name != NULL ? name : "-");
    return SSL_TLSEXT_ERR_OK;
}

/* B33: an address is never sent as a name (RFC 6066, section 3). */
START_TEST(context_verify__name_that_is_sent)
{
    struct evtls_context *ctx = client_context(pki);
    struct peer *server = peer_new(
        &(struct peer_options){.server = true, .ident = pki_issue(pki, &(struct pki_spec){0})});
    char name[256] = "";
    struct end client;

    SSL_CTX_set_tlsext_servername_callback(SSL_get_SSL_CTX(peer_ssl(server)), keep_name);
    SSL_CTX_set_tlsext_servername_arg(SSL_get_SSL_CTX(peer_ssl(server)), name);
    ck_assert_int_eq(evtls_context_set_insecure_no_hostname(ctx, NULL), 0);
    end_open(&client, ctx, EVTLS_CLIENT);
    ck_assert_int_eq(evtls_engine_set_server_hostname(client.engine, sent_names[_i].host, NULL), 0);
    ck_assert(end_connect_peer(&client, server));
    ck_assert_str_eq(name, sent_names[_i].sent != NULL ? sent_names[_i].sent : "-");
    end_close(&client);
    peer_free(server);
    evtls_context_free(ctx);
}
END_TEST

/* A client that checks names and has none fails closed, before it sends a byte. */
START_TEST(context_verify__name_is_missing)
{
    struct evtls_context *ctx = client_context(pki);
    struct end client;

    end_open(&client, ctx, EVTLS_CLIENT);
    end_step(&client);
    ck_assert_int_eq(client.status, EVTLS_ERR_CONFIG);
    ck_assert_uint_eq(evbuffer_get_length(client.out), 0);
    end_close(&client);
    evtls_context_free(ctx);
}
END_TEST

/* ---- A server and its client's certificate ---------------------------------------------- */

static const struct pki_spec good_client = {.eku = PKI_EKU_CLIENT},
                             for_servers = {.eku = PKI_EKU_SERVER},
                             of_other_ca = {.by = PKI_BY_OTHER},
                             broken = {.corrupt_signature = true},
                             expired = {.not_before = -2 * PKI_DAY, .not_after = -PKI_DAY};

static const struct {
    const char *label;
    const struct pki_spec *spec; /* NULL: none */
    enum evtls_verify_mode mode;
    int code;     /* X509_V_... that it is refused with */
    int alert;    /* -1: accepted; 1.3 */
    int alert_12; /* 1.2 */
} clients[] = {
    {"none asked for", &good_client, EVTLS_VERIFY_NONE, 0, -1, -1},
    {"optional, none", NULL, EVTLS_VERIFY_OPTIONAL, 0, -1, -1},
    {"optional, good", &good_client, EVTLS_VERIFY_OPTIONAL, 0, -1, -1},
    {"optional, other CA", &of_other_ca, EVTLS_VERIFY_OPTIONAL,
     X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 48, 48},
    {"optional, expired", &expired, EVTLS_VERIFY_OPTIONAL, X509_V_ERR_CERT_HAS_EXPIRED, 45, 45},
    {"required, none", NULL, EVTLS_VERIFY_REQUIRED, 0, 116, 40},
    {"required, good", &good_client, EVTLS_VERIFY_REQUIRED, 0, -1, -1},
    {"required, other CA", &of_other_ca, EVTLS_VERIFY_REQUIRED,
     X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 48, 48},
    {"required, for servers only", &for_servers, EVTLS_VERIFY_REQUIRED, X509_V_ERR_INVALID_PURPOSE,
     43, 43},
    {"required, bad signature", &broken, EVTLS_VERIFY_REQUIRED, X509_V_ERR_CERT_SIGNATURE_FAILURE,
     51, 51},
};

/* X3, B44, C14 */
START_TEST(context_verify__client)
{
    int row = _i / 2;
    bool tls13 = _i % 2 != 0;
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    struct peer *peer = peer_new(&(struct peer_options){
        .max_version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION,
        .ident = clients[row].spec != NULL ? pki_issue(pki, clients[row].spec) : NULL});
    int alert = tls13 ? clients[row].alert : clients[row].alert_12;
    const struct evtls_error *err;
    struct end server;

    if (clients[row].mode != EVTLS_VERIFY_NONE)
        ask_for_certificates(ctx, pki, clients[row].mode);
    end_open(&server, ctx, EVTLS_SERVER);
    ck_assert_int_eq(end_connect_peer(&server, peer), alert < 0);
    ck_assert_msg(peer_alert_received(peer) == alert, "%s: alert %d", clients[row].label,
                  peer_alert_received(peer));
    err = evtls_engine_get_error(server.engine);
    ck_assert_int_eq(evtls_error_get_verify_code(err), clients[row].code);
    ck_assert_int_eq(evtls_error_get_status(err), alert < 0 ? EVTLS_OK : EVTLS_ERR_CERTIFICATE);
    ck_assert_int_eq(evtls_engine_get_peer_auth(server.engine),
                     alert < 0 && clients[row].spec != NULL &&
                             clients[row].mode != EVTLS_VERIFY_NONE
                         ? EVTLS_PEER_CERTIFICATE
                         : EVTLS_PEER_UNAUTHENTICATED);
    end_close(&server);
    peer_free(peer);
    evtls_context_free(ctx);
}
END_TEST

/* ---- What is agreed on ------------------------------------------------------------------ */

static const struct {
    const char *label;
    enum pki_key_kind key;
    const char *ciphers, *suites, *groups;
    int min, max;
    int alert; /* -1: connected */
    const char *cipher;
} offers[] = {
    {"the server's order", PKI_KEY_RSA_2048,
     "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384", NULL, NULL, 0, TLS1_2_VERSION, -1,
     "ECDHE-RSA-AES256-GCM-SHA384"},
    {"the server's order in 1.3", PKI_KEY_P256, NULL,
     "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384", NULL, TLS1_3_VERSION, 0, -1,
     "TLS_AES_256_GCM_SHA384"},
    {"DH, automatic (X15)", PKI_KEY_RSA_2048, "DHE-RSA-AES128-GCM-SHA256", NULL, NULL, 0,
     TLS1_2_VERSION, -1, "DHE-RSA-AES128-GCM-SHA256"},
    {"CBC", PKI_KEY_RSA_2048, "ECDHE-RSA-AES128-SHA256", NULL, NULL, 0, TLS1_2_VERSION, 40, NULL},
    {"static RSA", PKI_KEY_RSA_2048, "AES128-GCM-SHA256", NULL, NULL, 0, TLS1_2_VERSION, 40, NULL},
    {"anonymous", PKI_KEY_RSA_2048, "ADH-AES128-GCM-SHA256", NULL, NULL, 0, TLS1_2_VERSION, 40,
     NULL},
    {"TLS 1.1", PKI_KEY_RSA_2048, NULL, NULL, NULL, TLS1_VERSION, TLS1_1_VERSION, 70, NULL},
    {"TLS 1.0", PKI_KEY_RSA_2048, NULL, NULL, NULL, TLS1_VERSION, TLS1_VERSION, 70, NULL},
    {"one group", PKI_KEY_P256, NULL, NULL, "P-521", TLS1_3_VERSION, 0, -1,
     "TLS_AES_256_GCM_SHA384"},
};

/* B26 */
START_TEST(context_verify__offers)
{
    struct evtls_context *ctx =
        server_context(pki_issue(pki, &(struct pki_spec){.key_kind = offers[_i].key}));
    struct peer *peer = peer_new(&(struct peer_options){.ciphers = offers[_i].ciphers,
                                                        .suites = offers[_i].suites,
                                                        .groups = offers[_i].groups,
                                                        .min_version = offers[_i].min,
                                                        .max_version = offers[_i].max});
    struct end server;

    end_open(&server, ctx, EVTLS_SERVER);
    ck_assert_msg(end_connect_peer(&server, peer) == (offers[_i].alert < 0), "%s",
                  offers[_i].label);
    ck_assert_int_eq(peer_alert_received(peer), offers[_i].alert);
    if (offers[_i].cipher != NULL)
        ck_assert_str_eq(evtls_engine_get_cipher(server.engine), offers[_i].cipher);
    end_close(&server);
    peer_free(peer);
    evtls_context_free(ctx);
}
END_TEST

static unsigned char big_ticket[60000];
static const struct hello_extension ticket = {TLSEXT_TYPE_session_ticket, big_ticket,
                                              sizeof(big_ticket)},
                                    early_data = {TLSEXT_TYPE_early_data, "", 0};

static const struct {
    const char *label;
    struct hello hello;
    int alert;
} hellos[] = {
    {"a ticket of 60,000 bytes (B29)",
     {.tls12 = true, .extensions = &ticket, .n_extensions = 1},
     -1},
    {"early data, which is off (B28)", {.extensions = &early_data, .n_extensions = 1}, -1},
    {"fallback from 1.3 (B27)", {.tls12 = true, .fallback_scsv = true}, 86},
    {"no common group (B26)", {.only_group = 0x0a0a}, 40},
    {"no common suite (B26)", {.only_cipher = 0x1a1a}, 40},
    {"reserved values (O10)", {.grease = true, .grease_value = 7}, -1},
};

START_TEST(context_verify__hellos)
{
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    unsigned char answer[7];
    struct end server;
    size_t len;
    unsigned char *bytes = hello_make(&hellos[_i].hello, &len);

    end_open(&server, ctx, EVTLS_SERVER);
    evbuffer_add(server.in, bytes, len);
    free(bytes);
    end_step(&server);
    ck_assert_int_eq(evbuffer_copyout(server.out, answer, sizeof(answer)), sizeof(answer));
    ck_assert_msg((answer[0] == SSL3_RT_ALERT ? answer[6] : -1) == hellos[_i].alert, "%s: %d",
                  hellos[_i].label, answer[6]);
    end_close(&server);
    evtls_context_free(ctx);
}
END_TEST

/* B24, B25: refused from either side, with a warning; it is OpenSSL as the peer that ends it then.
 */
START_TEST(context_verify__renegotiation)
{
    bool peer_is_server = _i != 0;
    struct evtls_context *ctx = peer_is_server
                                    ? client_context(pki)
                                    : server_context(pki_issue(pki, &(struct pki_spec){0}));
    struct peer *peer = peer_new(&(struct peer_options){
        .server = peer_is_server,
        .ident = peer_is_server ? pki_issue(pki, &(struct pki_spec){0}) : NULL,
        .max_version = TLS1_2_VERSION});
    struct end end;

    end_open(&end, ctx, peer_is_server ? EVTLS_CLIENT : EVTLS_SERVER);
    if (peer_is_server)
        ck_assert_int_eq(evtls_engine_set_server_hostname(end.engine, "localhost", NULL), 0);
    ck_assert(end_connect_peer(&end, peer));
    peer_renegotiate(peer);
    end_connect_peer(&end, peer);
    ck_assert_int_eq(peer_alert_received(peer), SSL_AD_NO_RENEGOTIATION);
    ck_assert_int_eq(evtls_error_get_status(evtls_engine_get_error(end.engine)), EVTLS_ERR_ALERT);
    ck_assert_int_eq(evtls_error_get_alert(evtls_engine_get_error(end.engine)),
                     EVTLS_ALERT_HANDSHAKE_FAILURE);
    end_close(&end);
    peer_free(peer);
    evtls_context_free(ctx);
}
END_TEST

static Suite *context_verify_suite(void)
{
    Suite *suite = suite_create("context_verify");
    TCase *tcase = tcase_create("context_verify");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, context_verify__server, 0, 3 * COUNT(servers));
    tcase_add_loop_test(tcase, context_verify__name_that_is_sent, 0, COUNT(sent_names));
    tcase_add_test(tcase, context_verify__name_is_missing);
    tcase_add_loop_test(tcase, context_verify__client, 0, 2 * COUNT(clients));
    tcase_add_loop_test(tcase, context_verify__offers, 0, COUNT(offers));
    tcase_add_loop_test(tcase, context_verify__hellos, 0, COUNT(hellos));
    tcase_add_loop_test(tcase, context_verify__renegotiation, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(context_verify_suite());
}
