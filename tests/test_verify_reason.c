/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a message says about a refused certificate and what helps, each from a real handshake.
 *
 * In what is expected, {before} and {after} are the times of the certificate at fault, {now} is the
 * clock's, {sha256} the digest, {32 a} means 32 times the letter.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/x509_vfy.h>

#include <evtls/certificate.h>

#include "certificate.h"
#include "engine_internal.h"
#include "support/bev_pair.h"
#include "support/engine_pair.h"
#include "support/suite.h"
#include "support/vclock.h"

#define PREFIX "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
#define LOAD "load it with evtls_context_load_verify_locations"
#define GAP_ALONE(peer)                                                                            \
    "; if that is an intermediate, the " peer " has to send it; if a root, to trust it, " LOAD
#define YEAR_MS (365 * PKI_DAY * 1000LL)

static struct pair pair;

/* ---- Who presents what ---------------------------------------------------------------------- */

/* The certificates that are sent (NULL: the identity's own chain) with the identity's key. */
static void present_pem(bool by_client, struct pki_ident *ident, const char *certs)
{
    const char *key = pki_key_pem(ident);
    struct evtls_context *ctx = pair.client_ctx;

    certs = certs != NULL ? certs : pki_chain_pem(ident);
    if (!by_client) {
        evtls_context_free(pair.server_ctx);
        ctx = pair.server_ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    }
    ck_assert_int_eq(
        evtls_context_load_cert_chain_data(ctx, certs, strlen(certs), key, strlen(key), NULL, NULL),
        0);
}

static void client_trusts(const char *pem)
{
    evtls_context_free(pair.client_ctx);
    pair.client_ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    ck_assert_int_eq(
        evtls_context_load_verify_locations_data(pair.client_ctx, pem, strlen(pem), NULL), 0);
}

static char *join(const char *a, const char *b)
{
    static char joined[16384];

    snprintf(joined, sizeof(joined), "%s%s", a, b);
    return joined;
}

/* Each returns the certificate at fault. */
static struct pki_ident *leaf_alone(bool by_client)
{
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){0});

    present_pem(by_client, ident, pki_cert_pem(ident));
    return ident;
}

static struct pki_ident *another_chain(bool by_client)
{
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){.by = PKI_BY_OTHER});

    present_pem(by_client, ident,
                join(pki_cert_pem(ident), pki_cert_pem(pki_intermediate(pair.pki))));
    return ident;
}

static struct pki_ident *chain_of_unknown_root(bool by_client)
{
    struct pki_ident *ca = pki_issue(
        pair.pki,
        &(struct pki_spec){.by = PKI_BY_OTHER, .ca = true, .cn = "Unknown", .org = "\x01;"});
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){.issuer = ca});

    present_pem(by_client, ident, NULL);
    return ident;
}

static struct pki_ident *root_in_chain(bool by_client)
{
    struct pki_ident *root = pki_other_root(pair.pki);
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){.by = PKI_BY_OTHER});

    present_pem(by_client, ident, join(pki_cert_pem(ident), pki_cert_pem(root)));
    return root;
}

/* The same name, another key. */
static struct pki_ident *renewed_root(bool by_client)
{
    struct pki_ident *root = pki_issue(
        pair.pki,
        &(struct pki_spec){.by = PKI_BY_SELF, .ca = true, .cn = "Test Root", .org = "Test"});
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){.issuer = root});

    present_pem(by_client, ident, pki_cert_pem(ident));
    return ident;
}

static struct pki_ident *renewed_intermediate(bool by_client)
{
    struct pki_ident *other = pki_issue(
        pair.pki, &(struct pki_spec){
                      .by = PKI_BY_ROOT, .ca = true, .cn = "Test Intermediate", .org = "Test"});
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){0});

    present_pem(by_client, ident, join(pki_cert_pem(ident), pki_cert_pem(other)));
    return ident;
}

static struct pki_ident *trusted_intermediate(bool by_client)
{
    struct pki_ident *ident = pki_issue(pair.pki, &(struct pki_spec){0});

    client_trusts(pki_cert_pem(pki_intermediate(pair.pki)));
    present_pem(by_client, ident, NULL);
    return ident;
}

static struct pki_ident *by_ca(bool by_client, const struct pki_spec *ca)
{
    struct pki_ident *issuer = pki_issue(pair.pki, ca);

    present_pem(by_client, pki_issue(pair.pki, &(struct pki_spec){.issuer = issuer}), NULL);
    return issuer;
}

static struct pki_ident *expired_ca(bool by_client)
{
    return by_ca(by_client, &(struct pki_spec){.by = PKI_BY_ROOT,
                                               .ca = true,
                                               .cn = "Old CA",
                                               .not_before = -9 * PKI_DAY,
                                               .not_after = -PKI_DAY});
}

static struct pki_ident *ca_for_mail(bool by_client)
{
    return by_ca(by_client,
                 &(struct pki_spec){
                     .by = PKI_BY_ROOT, .ca = true, .cn = "Mail CA", .eku = "emailProtection"});
}

static struct pki_ident *no_ca(bool by_client)
{
    return by_ca(by_client, &(struct pki_spec){.by = PKI_BY_ROOT,
                                               .cn = "Somebody",
                                               .key_usage = "critical,keyCertSign"});
}

static struct pki_ident *ca_without_cert_sign(bool by_client)
{
    return by_ca(by_client, &(struct pki_spec){.by = PKI_BY_ROOT,
                                               .ca = true,
                                               .cn = "Signs CRLs",
                                               .key_usage = "critical,cRLSign"});
}

static struct pki_ident *forbidden_name(bool by_client)
{
    static const char *const constraints[] = {"nameConstraints=critical,permitted;DNS:a.test",
                                              NULL};
    struct pki_ident *ca = pki_issue(
        pair.pki, &(struct pki_spec){
                      .by = PKI_BY_ROOT, .ca = true, .cn = "A's CA", .extensions = constraints});
    struct pki_ident *ident =
        pki_issue(pair.pki, &(struct pki_spec){.issuer = ca, .san = "DNS:localhost"});

    present_pem(by_client, ident, NULL);
    return ident;
}

/* OpenSSL looks at the root first. */
static struct pki_ident *clock_is_slow(bool by_client)
{
    present_pem(by_client, pki_issue(pair.pki, &(struct pki_spec){.by = PKI_BY_ROOT}), NULL);
    vclock_advance_ms(-30 * PKI_DAY * 1000LL);
    return pki_root(pair.pki);
}

static struct pki_ident *clock_is_lost(bool by_client)
{
    struct pki_ident *ident = clock_is_slow(by_client);

    vclock_advance_ms(-30 * YEAR_MS);
    return ident;
}

/* 1980 to 1990, in 1996 or so. */
static struct pki_ident *old_and_clock_is_lost(bool by_client)
{
    struct pki_ident *ident;

    vclock_advance_ms(-30 * YEAR_MS);
    ident = pki_issue(pair.pki, &(struct pki_spec){.by = PKI_BY_SELF,
                                                   .not_before = -16 * 365 * PKI_DAY,
                                                   .not_after = -6 * 365 * PKI_DAY});
    client_trusts(pki_cert_pem(ident));
    present_pem(by_client, ident, NULL);
    return ident;
}

/* ---- The rows ------------------------------------------------------------------------------- */

static const struct pki_spec
    of_other_root = {.by = PKI_BY_OTHER},
    self_signed = {.by = PKI_BY_SELF}, corrupt = {.corrupt_signature = true},
    expired = {.not_before = -2 * PKI_DAY, .not_after = -PKI_DAY},
    not_yet_valid = {.not_before = PKI_DAY, .not_after = 2 * PKI_DAY},
    for_clients = {.eku = PKI_EKU_CLIENT},
    for_much_else = {.eku =
                         "emailProtection,codeSigning,timeStamping,1.2.3.4,clientAuth,OCSPSigning"},
    a_server_ca = {.ca = true, .san = "DNS:localhost"},
    cannot_sign = {.key_usage = "critical,nonRepudiation"}, for_servers = {.eku = PKI_EKU_SERVER},
    a_client_ca = {.ca = true};

static const struct row {
    const char *name;
    bool by_client; /* presents the certificate at fault; the server judges */
    struct pki_ident *(*prepare)(bool by_client); /* NULL: issues spec */
    const struct pki_spec *spec;
    int code;
    const char *text;
} rows[] = {
    /* Chains (B35) */
    {"leaf alone", false, leaf_alone, NULL, 20,
     "unable to get local issuer certificate (the server sent only its own certificate; missing "
     "issuer CN=Test Intermediate,O=Test)" GAP_ALONE("server")},
    {"unknown root", false, NULL, &of_other_root, 20,
     "unable to get local issuer certificate (the server sent only its own certificate; missing "
     "issuer CN=Other Root,O=Test)" GAP_ALONE("server")},
    {"unknown root, with an intermediate", false, chain_of_unknown_root, NULL, 20,
     "unable to get local issuer certificate (the server sent a chain; missing issuer CN=Other "
     "Root,O=Test); to trust it, " LOAD},
    {"another chain", false, another_chain, NULL, 20,
     "unable to get local issuer certificate (the server sent a chain that does not belong to its "
     "own certificate; missing issuer CN=Other Root,O=Test); to trust it, " LOAD},
    {"root in the chain", false, root_in_chain, NULL, 19,
     "self-signed certificate in certificate chain (CA certificate CN=Other Root,O=Test: SHA-256 "
     "{sha256}); to trust it, " LOAD},
    {"renewed root", false, renewed_root, NULL, 20,
     "unable to get local issuer certificate (the server sent only its own certificate; missing "
     "issuer CN=Test Root,O=Test); a CA of that name is trusted, but did not issue it: authority "
     "and subject key identifier mismatch"},
    {"renewed intermediate", false, renewed_intermediate, NULL, 20,
     "unable to get local issuer certificate (the server sent a chain that does not belong to its "
     "own certificate; missing issuer CN=Test Intermediate,O=Test); a certificate of that name was "
     "sent, but did not issue it: authority and subject key identifier mismatch"},
    {"trusted intermediate", false, trusted_intermediate, NULL, 2,
     "unable to get issuer certificate (CN=Test Intermediate,O=Test is trusted, but is no root; "
     "missing issuer CN=Test Root,O=Test); " LOAD " too"},
    {"self-signed", false, NULL, &self_signed, 18,
     "self-signed certificate (SHA-256 {sha256}); to trust it, " LOAD},
    {"bad signature", false, NULL, &corrupt, 7,
     "certificate signature failure (CN=localhost was changed, or not made by CN=Test "
     "Intermediate,O=Test)"},
    {"issuer may not sign", false, ca_without_cert_sign, NULL, 79,
     "invalid CA certificate (CN=Signs CRLs may not issue others: its key usage lacks "
     "keyCertSign)"},
    {"issuer is no CA", false, no_ca, NULL, 79,
     "invalid CA certificate (CN=Somebody is no CA's, and can't issue others)"},
    {"client: leaf alone", true, leaf_alone, NULL, 20,
     "unable to get local issuer certificate (the client sent only its own certificate; missing "
     "issuer CN=Test Intermediate,O=Test)" GAP_ALONE("client")},
    {"client: unknown root", true, chain_of_unknown_root, NULL, 20,
     "unable to get local issuer certificate (the client sent a chain; missing issuer CN=Other "
     "Root,O=Test); to trust it, " LOAD},
    {"client: self-signed", true, NULL, &self_signed, 18,
     "self-signed certificate (SHA-256 {sha256}); to trust it, " LOAD},
    /* Time (B34) */
    {"expired", false, NULL, &expired, 10,
     "certificate has expired (not after {after}); it has to be renewed; if it was, check the "
     "clock (now {now})"},
    {"expired CA", false, expired_ca, NULL, 10,
     "certificate has expired (CA certificate CN=Old CA: not after {after}); it has to be renewed; "
     "if it was, check the clock (now {now})"},
    {"not yet valid", false, NULL, &not_yet_valid, 9,
     "certificate is not yet valid (not before {before}); check the clock (now {now})"},
    {"clock is a month slow", false, clock_is_slow, NULL, 9,
     "certificate is not yet valid (CA certificate CN=Test Root,O=Test: not before {before}); "
     "check the clock (now {now})"},
    {"clock is lost", false, clock_is_lost, NULL, 9,
     "certificate is not yet valid (CA certificate CN=Test Root,O=Test: not before {before}); "
     "check the clock (now {now}, long before this library was made)"},
    {"expired by a lost clock", false, old_and_clock_is_lost, NULL, 10,
     "certificate has expired (not after {after}); check the clock (now {now}, long before this "
     "library was made)"},
    {"client: expired", true, NULL, &expired, 10,
     "certificate has expired (not after {after}); it has to be renewed; if it was, check the "
     "clock (now {now})"},
    {"client: not yet valid", true, NULL, &not_yet_valid, 9,
     "certificate is not yet valid (not before {before}); check the clock (now {now})"},
    /* Purpose (B39) */
    {"for clients", false, NULL, &for_clients, 26,
     "unsuitable certificate purpose (its extended key usage is clientAuth); the server needs a "
     "certificate for serverAuth"},
    {"for much else", false, NULL, &for_much_else, 26,
     "unsuitable certificate purpose (its extended key usage is emailProtection, codeSigning, "
     "timeStamping, 1.2.3.4 and 2 more); the server needs a certificate for serverAuth"},
    {"a CA's", false, NULL, &a_server_ca, 26,
     "unsuitable certificate purpose (it is a CA's certificate, for signing others); the server "
     "needs one of its own, issued by that CA"},
    {"cannot sign", false, NULL, &cannot_sign, 26,
     "unsuitable certificate purpose (its key usage does not allow TLS); the server needs a "
     "certificate for serverAuth"},
    {"CA for mail", false, ca_for_mail, NULL, 26,
     "unsuitable certificate purpose (CA certificate CN=Mail CA: its extended key usage is "
     "emailProtection); the server needs a certificate for serverAuth, from a CA that may issue "
     "it"},
    {"client: for servers", true, NULL, &for_servers, 26,
     "unsuitable certificate purpose (its extended key usage is serverAuth); the client needs a "
     "certificate for clientAuth"},
    {"client: a CA's", true, NULL, &a_client_ca, 26,
     "unsuitable certificate purpose (it is a CA's certificate, for signing others); the client "
     "needs one of its own, issued by that CA"},
    {"client: CA for mail", true, ca_for_mail, NULL, 26,
     "unsuitable certificate purpose (CA certificate CN=Mail CA: its extended key usage is "
     "emailProtection); the client needs a certificate for clientAuth, from a CA that may issue "
     "it"},
    /* What has no words of its own (B40) */
    {"forbidden name", false, forbidden_name, NULL, 47,
     "permitted subtree violation (CN=localhost)"},
};

/* ---- What is expected ----------------------------------------------------------------------- */

static void put_time(char text[64], int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm tm;

    gmtime_r(&time, &tm);
    strftime(text, 64, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

static void value_of(char text[80], const char *name, X509 *x509)
{
    struct evtls_certificate *certificate = evtls_certificate_from_x509(x509);

    if (strcmp(name, "before") == 0)
        put_time(text, evtls_certificate_get_not_before(certificate));
    else if (strcmp(name, "after") == 0)
        put_time(text, evtls_certificate_get_not_after(certificate));
    else if (strcmp(name, "now") == 0)
        put_time(text, (int64_t)time(NULL));
    else if (strcmp(name, "sha256") == 0)
        snprintf(text, 80, "%s", evtls_certificate_get_sha256(certificate));
    else
        ck_abort_msg("{%s}", name);
    evtls_certificate_free(certificate);
}

static void expand(char *dst, size_t size, const char *text, X509 *x509)
{
    const char *open;

    dst[0] = '\0';
    while ((open = strchr(text, '{')) != NULL) {
        char name[16] = "", value[80] = "";

        ck_assert_int_eq(sscanf(open, "{%15[a-z0-9]}", name), 1);
        value_of(value, name, x509);
        snprintf(dst + strlen(dst), size - strlen(dst), "%.*s%s", (int)(open - text), text, value);
        text = strchr(open, '}') + 1;
    }
    snprintf(dst + strlen(dst), size - strlen(dst), "%s", text);
}

static struct pki_ident *prepare(const struct row *row)
{
    struct pki_ident *ident;

    if (row->prepare != NULL)
        return row->prepare(row->by_client);
    ident = pki_issue(pair.pki, row->spec);
    present_pem(row->by_client, ident, NULL);
    return ident;
}

/* ---- Handshakes ----------------------------------------------------------------------------- */

static void set_up(void)
{
    pair_prepare(&pair, 0);
    vclock_enable();
}

static void tear_down(void)
{
    vclock_disable();
    pair_close(&pair);
}

START_TEST(verify_reason__of_a_handshake)
{
    const struct row *row = &rows[_i / 2];
    /* With 1.2, OpenSSL does not present a certificate that can't sign. */
    bool any_version = row->code != X509_V_ERR_INVALID_PURPOSE || row->by_client;
    enum evtls_tls_version version = _i % 2 == 0 && any_version ? EVTLS_TLS_1_2 : EVTLS_TLS_1_3;
    char expected[1024] = PREFIX;
    struct pki_ident *at_fault;
    const struct evtls_error *err;

    at_fault = prepare(row);
    if (row->by_client)
        ask_for_certificates(pair.server_ctx, pair.pki, EVTLS_VERIFY_REQUIRED);
    evtls_context_set_min_version(pair.client_ctx, version, NULL);
    evtls_context_set_max_version(pair.client_ctx, version, NULL);
    pair_open(&pair);
    ck_assert(!pair_connect(&pair));
    err = error_of(row->by_client ? &pair.server : &pair.client);
    expand(expected + strlen(PREFIX), sizeof(expected) - strlen(PREFIX), row->text,
           pki_cert(at_fault));
    ck_assert_msg(err != NULL && err->verify_code == row->code, "%s: %d %s", row->name,
                  evtls_error_get_verify_code(err), evtls_error_get_message(err));
    ck_assert_int_eq(err->status, EVTLS_ERR_CERTIFICATE);
    vclock_disable(); /* Check measures by it */
    ck_assert_msg(strcmp(err->message, expected) == 0, "%s:\n  %s\n  %s", row->name, err->message,
                  expected);
}
END_TEST

/* ---- Chains that the library would not load -------------------------------------------------- */

static const struct {
    const char *name;
    struct pki_spec ca;
    int code;
    const char *text;
} weak_chains[] = {
    {"small key (B42)",
     {.by = PKI_BY_ROOT, .ca = true, .cn = "Weak CA", .key_kind = PKI_KEY_RSA_1024},
     67,
     "CA certificate key too weak (CA certificate CN=Weak CA: its key has 1024 bits)"},
    {"SHA-1 (B42)",
     {.by = PKI_BY_ROOT, .ca = true, .cn = "SHA-1 CA", .digest = PKI_SHA1},
     68,
     "CA signature digest algorithm too weak (CA certificate CN=SHA-1 CA: signed with "
     "ecdsa-with-SHA1)"},
};

START_TEST(verify_reason__of_a_weak_chain)
{
    struct pki_ident *ca = pki_issue(pair.pki, &weak_chains[_i].ca);
    struct peer *server = peer_new(
        &(struct peer_options){.server = true,
                               .ident = pki_issue(pair.pki, &(struct pki_spec){.issuer = ca}),
                               .ciphers = "DEFAULT@SECLEVEL=0"});
    const struct evtls_error *err;

    pair_open(&pair);
    ck_assert(!end_connect_peer(&pair.client, server));
    err = error_of(&pair.client);
    ck_assert_int_eq(evtls_error_get_verify_code(err), weak_chains[_i].code);
    ck_assert_str_eq(err->message + strlen(PREFIX), weak_chains[_i].text);
    peer_free(server);
}
END_TEST

/* ---- Where else ------------------------------------------------------------------------------ */

static int choose(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                  void *arg)
{
    (void)name;
    (void)initial;
    return evtls_engine_set_context(engine, arg, NULL) == 0 ? 0 : EVTLS_ALERT_INTERNAL_ERROR;
}

START_TEST(verify_reason__of_a_context_that_sni_chose)
{
    struct evtls_context *chosen = server_context(pki_issue(pair.pki, &(struct pki_spec){0}));

    ask_for_certificates(chosen, pair.pki, EVTLS_VERIFY_REQUIRED);
    evtls_context_set_sni_callback(pair.server_ctx, choose, chosen, NULL);
    present_pem(true, pki_issue(pair.pki, &(struct pki_spec){.eku = PKI_EKU_SERVER}), NULL);
    pair_open(&pair);
    ck_assert(!pair_connect(&pair));
    ck_assert_ptr_nonnull(strstr(evtls_error_get_message(error_of(&pair.server)),
                                 "; the client needs a certificate for clientAuth"));
    evtls_context_free(chosen);
}
END_TEST

/* Nothing is kept of what is accepted, and a second connection knows nothing of the first. */
START_TEST(verify_reason__is_kept_of_a_refusal_only)
{
    present_pem(false, pki_issue(pair.pki, &(struct pki_spec){.by = PKI_BY_SELF}), NULL);
    if (_i == 0)
        ck_assert_int_eq(evtls_context_set_insecure_no_verify(pair.client_ctx, NULL), 0);
    pair_open(&pair);
    ck_assert_int_eq(pair_connect(&pair), _i == 0);
    ck_assert_int_eq(pair.client.engine->refused != NULL, _i != 0);
    evtls_engine_reset(pair.client.engine);
    ck_assert_ptr_null(pair.client.engine->refused);
}
END_TEST

START_TEST(verify_reason__over_sockets)
{
    struct bev_pair sockets;
    char expected[512] = PREFIX;
    X509 *x509;

    memset(&sockets, 0, sizeof(sockets));
    bev_pair_make_contexts(&sockets);
    evtls_context_free(sockets.client.ctx);
    sockets.client.ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL); /* trusts nobody */
    bev_pair_open(&sockets, 0);
    bev_pair_wait(&sockets, &sockets.client, "error");
    x509 = evtls_certificate_get_x509(evtls_context_get_certificate(sockets.server.ctx));
    expand(expected + strlen(PREFIX), sizeof(expected) - strlen(PREFIX),
           "self-signed certificate (SHA-256 {sha256}); to trust it, " LOAD, x509);
    ck_assert_str_eq(sockets.client.error.message, expected);
    bev_pair_close(&sockets);
}
END_TEST

static Suite *verify_reason_suite(void)
{
    Suite *suite = suite_create("verify_reason");
    TCase *tcase = tcase_create("verify_reason");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, verify_reason__of_a_handshake, 0, 2 * COUNT(rows));
    tcase_add_loop_test(tcase, verify_reason__of_a_weak_chain, 0, COUNT(weak_chains));
    tcase_add_test(tcase, verify_reason__of_a_context_that_sni_chose);
    tcase_add_loop_test(tcase, verify_reason__is_kept_of_a_refusal_only, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("sockets");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, verify_reason__over_sockets);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(verify_reason_suite());
}
