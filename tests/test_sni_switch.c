/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection whose SNI callback chose another context is in all things a connection of that
 * context, as if it had begun with it. A19, invariant 8.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <evtls/openssl.h>
#include <openssl/x509_vfy.h>

#include "context_internal.h"
#include "support/engines.h"
#include "support/suite.h"

struct pair {
    struct pki *pki;
    struct pki_ident *client;
    struct evtls_context *initial, *chosen;
    struct tmpdir *dir;
};

static int choose(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                  void *arg)
{
    struct pair *pair = arg;

    (void)name;
    (void)initial;
    return evtls_engine_set_context(engine, pair->chosen, NULL);
}

static void pair_open(struct pair *pair)
{
    pair->pki = pki_new();
    pair->dir = tmpdir_new();
    pair->client = pki_issue(pair->pki, &(struct pki_spec){.cn = "client"});
    pair->initial = server_context(pki_issue(pair->pki, &(struct pki_spec){.cn = "initial"}));
    pair->chosen = server_context(pki_issue(pair->pki, &(struct pki_spec){.cn = "chosen"}));
    ck_assert_int_eq(evtls_context_set_sni_callback(pair->initial, choose, pair, NULL), 0);
}

static void pair_close(struct pair *pair)
{
    evtls_context_free(pair->initial);
    evtls_context_free(pair->chosen);
    pki_free(pair->pki);
    tmpdir_free(pair->dir);
}

/* ---- What the client sees --------------------------------------------------------------- */

static void nothing(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    (void)ctx;
}

static void require(struct pair *pair, struct evtls_context *ctx)
{
    ask_for_certificates(ctx, pair->pki, EVTLS_VERIFY_REQUIRED);
}

static void trust_others(struct pair *pair, struct evtls_context *ctx)
{
    const char *other = pki_cert_pem(pki_other_root(pair->pki));

    ck_assert_int_eq(evtls_context_load_verify_locations_data(ctx, other, strlen(other), NULL), 0);
    ck_assert_int_eq(evtls_context_set_verify_mode(ctx, EVTLS_VERIFY_REQUIRED, NULL), 0);
}

static void max_1_2(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    ck_assert_int_eq(evtls_context_set_max_version(ctx, EVTLS_TLS_1_2, NULL), 0);
}

static void min_1_3(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    ck_assert_int_eq(evtls_context_set_min_version(ctx, EVTLS_TLS_1_3, NULL), 0);
}

static void chacha(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ECDHE+CHACHA20", NULL), 0);
    ck_assert_int_eq(evtls_context_set_ciphersuites(ctx, "TLS_CHACHA20_POLY1305_SHA256", NULL), 0);
}

static void group_384(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    ck_assert_int_eq(evtls_context_set_groups(ctx, "P-384", NULL), 0);
}

static void alpn(struct pair *pair, struct evtls_context *ctx)
{
    const char *const names[] = {"http/1.1", "h2"};

    (void)pair;
    ck_assert_int_eq(evtls_context_set_alpn(ctx, names, 2), 0);
}

static void no_tickets(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    ck_assert_int_eq(evtls_context_set_num_tickets(ctx, 0, NULL), 0);
}

static void many_tickets(struct pair *pair, struct evtls_context *ctx)
{
    (void)pair;
    ck_assert_int_eq(evtls_context_set_num_tickets(ctx, 7, NULL), 0);
}

/* What a client with a choice of everything ends up with. */
struct view {
    bool connected;
    int alert;
    char text[256];
};

static struct view look(struct pair *pair, struct evtls_context *ctx, int max, bool anonymous)
{
    struct view view = {0};
    struct end server;
    struct peer *peer = peer_new(&(struct peer_options){
        .sni = "a.test",
        .min_version = TLS1_2_VERSION,
        .max_version = max,
        .trust = pki_root(pair->pki),
        .ident = anonymous ? NULL : pair->client,
        .alpn = "h2,http/1.1",
        .suites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
    });
    SSL *ssl = peer_ssl(peer);

    end_open(&server, ctx, EVTLS_SERVER);
    view.connected = end_connect_peer(&server, peer);
    view.alert = peer_alert_received(peer);
    if (view.connected)
        snprintf(view.text, sizeof(view.text), "%s %s %s alpn=%s tickets=%u client=%d names=%d",
                 SSL_get_version(ssl), SSL_get_cipher_name(ssl),
                 evtls_engine_get_group(server.engine), peer_alpn(peer), peer_tickets(peer),
                 evtls_engine_get_peer_certificate(server.engine) != NULL,
                 SSL_get0_peer_CA_list(ssl) != NULL ? sk_X509_NAME_num(SSL_get0_peer_CA_list(ssl))
                                                    : 0);
    peer_free(peer);
    end_close(&server);
    return view;
}

typedef void change(struct pair *, struct evtls_context *);

static const struct {
    const char *label;
    change *initial, *chosen;
} swaps[] = {
    {"client certificates asked for", nothing, require},
    {"no longer asked for", require, nothing},
    {"another client CA", require, trust_others},
    {"and back", trust_others, require},
    {"1.2 at most", nothing, max_1_2},
    {"no longer 1.2 at most", max_1_2, nothing},
    {"1.3 at least", nothing, min_1_3},
    {"from 1.2 to 1.3", max_1_2, min_1_3},
    {"from 1.3 to 1.2", min_1_3, max_1_2},
    {"ciphers", nothing, chacha},
    {"usual ciphers", chacha, nothing},
    {"groups", nothing, group_384},
    {"usual groups", group_384, nothing},
    {"ALPN", nothing, alpn},
    {"no ALPN", alpn, nothing},
    {"no tickets", nothing, no_tickets},
    {"many tickets", no_tickets, many_tickets},
};

/* In both versions, with and without a certificate of the client. */
START_TEST(sni_switch__client_sees_the_chosen_context)
{
    int row = _i / 4, max = _i % 2 != 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    bool anonymous = _i / 2 % 2 != 0;
    struct pair pair;
    struct view switched, direct;

    pair_open(&pair);
    swaps[row].initial(&pair, pair.initial);
    swaps[row].chosen(&pair, pair.chosen);
    switched = look(&pair, pair.initial, max, anonymous);
    direct = look(&pair, pair.chosen, max, anonymous);
    ck_assert_msg(switched.connected == direct.connected && switched.alert == direct.alert &&
                      strcmp(switched.text, direct.text) == 0,
                  "%s: %s, alert %d, not %s, alert %d", swaps[row].label, switched.text,
                  switched.alert, direct.text, direct.alert);
    pair_close(&pair);
}
END_TEST

/* Not only the same: what the rows above are about is really different. */
START_TEST(sni_switch__facts)
{
    struct pair pair;
    struct view view;

    pair_open(&pair);
    require(&pair, pair.chosen);
    chacha(&pair, pair.chosen);
    alpn(&pair, pair.chosen);
    many_tickets(&pair, pair.chosen);
    view = look(&pair, pair.initial, TLS1_3_VERSION, true);
    ck_assert(!view.connected);
    ck_assert_int_eq(view.alert, EVTLS_ALERT_CERTIFICATE_REQUIRED);
    view = look(&pair, pair.initial, TLS1_2_VERSION, true);
    ck_assert(!view.connected);
    ck_assert_int_eq(view.alert, EVTLS_ALERT_HANDSHAKE_FAILURE);
    view = look(&pair, pair.initial, TLS1_3_VERSION, false);
    ck_assert_str_eq(view.text, "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256 x25519 alpn=http/1.1 "
                                "tickets=7 client=1 names=1");
    view = look(&pair, pair.initial, TLS1_2_VERSION, false);
    ck_assert_str_eq(view.text, "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305 x25519 alpn=http/1.1 "
                                "tickets=1 client=1 names=1");
    pair_close(&pair);
    pair_open(&pair);
    group_384(&pair, pair.chosen);
    view = look(&pair, pair.initial, TLS1_3_VERSION, true);
    ck_assert_str_eq(view.text, "TLSv1.3 TLS_AES_256_GCM_SHA384 secp384r1 alpn= tickets=2 "
                                "client=0 names=0");
    pair_close(&pair);
}
END_TEST

/* ---- What OpenSSL holds ----------------------------------------------------------------- */

/* Every setting of an SSL that can be read, as text. */
static void describe(char *text, size_t size, SSL *ssl)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char name[64] = "";

    X509_NAME_oneline(X509_get_subject_name(SSL_get_certificate(ssl)), name, sizeof(name));
    snprintf(text, size,
             "ctx=%p options=%llx mode=%lx verify=%d depth=%d/%d flags=%lx host=%x tickets=%zu "
             "versions=%lx-%lx level=%d list=%ld quiet=%d early=%u/%u ciphers=%p cert=%s",
             (void *)SSL_get_SSL_CTX(ssl), (unsigned long long)SSL_get_options(ssl),
             (unsigned long)SSL_get_mode(ssl), SSL_get_verify_mode(ssl), SSL_get_verify_depth(ssl),
             X509_VERIFY_PARAM_get_depth(param), X509_VERIFY_PARAM_get_flags(param),
             X509_VERIFY_PARAM_get_hostflags(param), SSL_get_num_tickets(ssl),
             (unsigned long)SSL_get_min_proto_version(ssl),
             (unsigned long)SSL_get_max_proto_version(ssl), SSL_get_security_level(ssl),
             (long)SSL_get_max_cert_list(ssl), SSL_get_quiet_shutdown(ssl),
             (unsigned)SSL_get_max_early_data(ssl), (unsigned)SSL_get_recv_max_early_data(ssl),
             (void *)SSL_get_ciphers(ssl), name);
}

static void inspect(char *text, size_t size, struct evtls_context *ctx, int version)
{
    struct end server;
    struct peer *peer = peer_new(&(struct peer_options){.sni = "a.test", .max_version = version});
    const unsigned char *id;
    unsigned len;

    end_open(&server, ctx, EVTLS_SERVER);
    ck_assert(end_connect_peer(&server, peer));
    describe(text, size, evtls_engine_get_ssl(server.engine));
    id = SSL_SESSION_get0_id_context(SSL_get_session(evtls_engine_get_ssl(server.engine)), &len);
    ck_assert_uint_eq(len, EVTLS_POLICY_DIGEST_LENGTH);
    ck_assert_mem_eq(id, evtls_context_get_policy_digest(evtls_engine_get_context(server.engine)),
                     len);
    peer_free(peer);
    end_close(&server);
}

static int refuse_all(int ok, X509_STORE_CTX *store_ctx)
{
    (void)ok;
    (void)store_ctx;
    return 0;
}

/* What has no setter of ours, set by the escape hatch: it is policy all the same. */
static void set_unusual(SSL_CTX *ssl_ctx)
{
    SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_clear_options(ssl_ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl_ctx, SSL_MODE_SEND_FALLBACK_SCSV);
    SSL_CTX_set_verify(ssl_ctx, SSL_CTX_get_verify_mode(ssl_ctx), refuse_all);
    SSL_CTX_set_verify_depth(ssl_ctx, 3);
    SSL_CTX_set_max_cert_list(ssl_ctx, 12345);
    SSL_CTX_set_quiet_shutdown(ssl_ctx, 1);
    SSL_CTX_set_num_tickets(ssl_ctx, 5);
    SSL_CTX_set_security_level(ssl_ctx, 1);
    X509_VERIFY_PARAM_clear_flags(SSL_CTX_get0_param(ssl_ctx), X509_V_FLAG_TRUSTED_FIRST);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl_ctx), X509_V_FLAG_X509_STRICT);
}

START_TEST(sni_switch__leaves_nothing_of_the_initial_context)
{
    struct pair pair;
    char switched[1024], direct[1024], before[1024];

    pair_open(&pair);
    ck_assert_int_eq(evtls_context_seal(pair.initial, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(pair.chosen, NULL), 0);
    inspect(before, sizeof(before), pair.chosen, TLS1_3_VERSION);
    set_unusual(evtls_context_get_ssl_ctx(_i / 2 != 0 ? pair.initial : pair.chosen));
    inspect(switched, sizeof(switched), pair.initial,
            _i % 2 != 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
    inspect(direct, sizeof(direct), pair.chosen, _i % 2 != 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
    ck_assert_str_eq(switched, direct);
    if (_i / 2 == 0)
        ck_assert_str_ne(before, direct);
    pair_close(&pair);
}
END_TEST

/* OpenSSL has no way back to "no callback": the other context's must not stay. */
START_TEST(sni_switch__takes_the_verify_callback_away)
{
    struct pair pair;

    pair_open(&pair);
    require(&pair, pair.initial);
    require(&pair, pair.chosen);
    ck_assert_int_eq(evtls_context_seal(pair.initial, NULL), 0);
    set_unusual(evtls_context_get_ssl_ctx(pair.initial));
    ck_assert(look(&pair, pair.initial, TLS1_3_VERSION, false).connected);
    evtls_context_set_sni_callback(pair.initial, NULL, NULL, NULL);
    ck_assert(!look(&pair, pair.initial, TLS1_3_VERSION, false).connected);
    pair_close(&pair);
}
END_TEST

/* ---- Key log ---------------------------------------------------------------------------- */

static size_t file_size(const char *path)
{
    FILE *file = fopen(path, "r");
    long size;

    if (file == NULL)
        return 0;
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fclose(file);
    return (size_t)size;
}

START_TEST(sni_switch__key_log_is_the_chosen_ones)
{
    struct pair pair;
    const char *mine, *theirs;
    size_t header;

    pair_open(&pair);
    mine = tmpdir_path(pair.dir, "initial");
    theirs = tmpdir_path(pair.dir, "chosen");
    ck_assert_int_eq(evtls_context_set_keylog_file(pair.initial, mine, NULL), 0);
    ck_assert_int_eq(evtls_context_set_keylog_file(pair.chosen, theirs, NULL), 0);
    header = file_size(mine);
    ck_assert_uint_eq(file_size(theirs), header);
    ck_assert(look(&pair, pair.initial, TLS1_3_VERSION, true).connected);
    ck_assert_uint_eq(file_size(mine), header);
    ck_assert_uint_gt(file_size(theirs), header + 5 * 100);
    pair_close(&pair);
}
END_TEST

static Suite *sni_switch_suite(void)
{
    Suite *suite = suite_create("sni_switch");
    TCase *tcase = tcase_create("sni_switch");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, sni_switch__client_sees_the_chosen_context, 0, 4 * COUNT(swaps));
    tcase_add_test(tcase, sni_switch__facts);
    tcase_add_loop_test(tcase, sni_switch__leaves_nothing_of_the_initial_context, 0, 4);
    tcase_add_test(tcase, sni_switch__takes_the_verify_callback_away);
    tcase_add_test(tcase, sni_switch__key_log_is_the_chosen_ones);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(sni_switch_suite());
}
