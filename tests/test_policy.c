/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions, ciphers, groups and numbers of a context: what is taken, what is refused, what it does.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <evtls/openssl.h>

#include "support/engines.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static SSL_CTX *sealed(struct evtls_context *ctx)
{
    struct evtls_error err;
    const char *const names[] = {"localhost"};

    if (evtls_context_get_protocol(ctx) == EVTLS_PROTOCOL_TLS_SERVER)
        ck_assert_int_eq(evtls_context_use_self_signed(ctx, names, 1, NULL), 0);
    ck_assert_msg(evtls_context_seal(ctx, &err) == 0, "%s", err.message);
    return evtls_context_get_ssl_ctx(ctx);
}

/* Names of the ciphers in force, joined by blanks. */
static void list_ciphers(char *text, size_t size, const SSL_CTX *ssl_ctx)
{
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ssl_ctx);
    size_t len = 0;
    int i;

    text[0] = '\0';
    for (i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i > 0 ? " " : "",
                                SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i)));
}

/* ---- Fresh contexts --------------------------------------------------------------------- */

static const int protocols[] = {EVTLS_PROTOCOL_TLS, EVTLS_PROTOCOL_TLS_CLIENT,
                                EVTLS_PROTOCOL_TLS_SERVER};

/* X5, X6, X7, X8, X22 */
START_TEST(policy__fresh_values)
{
    struct evtls_context *ctx = evtls_context_new(protocols[_i], NULL);
    SSL_CTX *ssl_ctx = sealed(ctx);
    uint64_t on = SSL_OP_NO_SSLv3 | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                  SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_ENABLE_MIDDLEBOX_COMPAT | SSL_OP_ALL;
    uint64_t off = SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TICKET |
                   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT;
    long mode = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN;

    ck_assert_uint_eq(SSL_CTX_get_options(ssl_ctx) & on, on);
    ck_assert_uint_eq(SSL_CTX_get_options(ssl_ctx) & off, 0);
    ck_assert_int_eq((long)SSL_CTX_get_mode(ssl_ctx) & mode, mode);
    ck_assert_int_eq(SSL_CTX_get_min_proto_version(ssl_ctx), TLS1_2_VERSION);
    ck_assert_int_eq(SSL_CTX_get_max_proto_version(ssl_ctx), 0);
    ck_assert_int_eq(SSL_CTX_get_security_level(ssl_ctx), 2);
    ck_assert_uint_eq(SSL_CTX_get_num_tickets(ssl_ctx), 2);
    ck_assert_int_eq(SSL_CTX_get_timeout(ssl_ctx), 7200);
    ck_assert_uint_eq(SSL_CTX_get_max_early_data(ssl_ctx), 0);
    ck_assert_int_eq(SSL_CTX_get_verify_mode(ssl_ctx), protocols[_i] == EVTLS_PROTOCOL_TLS_CLIENT
                                                           ? SSL_VERIFY_PEER
                                                           : SSL_VERIFY_NONE);
    ck_assert_uint_eq(X509_VERIFY_PARAM_get_flags(SSL_CTX_get0_param(ssl_ctx)),
                      X509_V_FLAG_TRUSTED_FIRST);
    evtls_context_free(ctx);
}
END_TEST

#define SUITES_13 "TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256"
#define AEAD                                                                                       \
    "ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 "     \
    "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"

/* No CBC, no SHA-1, no static RSA on a server; a client also meets those that have CBC alone. */
START_TEST(policy__fresh_ciphers)
{
    struct evtls_context *ctx = evtls_context_new(protocols[_i], NULL);
    char text[2048];

    list_ciphers(text, sizeof(text), sealed(ctx));
    if (protocols[_i] == EVTLS_PROTOCOL_TLS_SERVER)
        ck_assert_str_eq(text,
                         SUITES_13 " " AEAD " DHE-RSA-AES256-GCM-SHA384 DHE-RSA-AES128-GCM-SHA256 "
                                   "DHE-RSA-CHACHA20-POLY1305");
    else
        ck_assert_str_eq(text,
                         SUITES_13 " " AEAD " ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 "
                                   "ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 "
                                   "DHE-RSA-AES256-GCM-SHA384 DHE-RSA-AES128-GCM-SHA256 "
                                   "DHE-RSA-AES256-SHA256 DHE-RSA-AES128-SHA256");
    evtls_context_free(ctx);
}
END_TEST

/* ---- Versions --------------------------------------------------------------------------- */

enum setter { NO_CALL, MIN, MAX, INSECURE };

#define LOWEST EVTLS_TLS_MINIMUM_SUPPORTED
#define HIGHEST EVTLS_TLS_MAXIMUM_SUPPORTED

static const struct {
    struct {
        enum setter setter;
        int version, status;
    } calls[2];
    int min, max; /* in force then */
} versions[] = {
    {{{MIN, EVTLS_TLS_1_2, 0}}, TLS1_2_VERSION, 0},
    {{{MIN, EVTLS_TLS_1_3, 0}}, TLS1_3_VERSION, 0},
    {{{MIN, LOWEST, 0}}, TLS1_2_VERSION, 0},
    {{{MIN, HIGHEST, 0}}, TLS1_3_VERSION, 0},
    {{{MIN, EVTLS_TLS_1_3, 0}, {MIN, LOWEST, 0}}, TLS1_2_VERSION, 0},
    {{{MIN, EVTLS_TLS_1_1, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{MIN, EVTLS_TLS_1_0, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{MIN, 0x0300, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{MIN, 0x0305, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{MIN, 0, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{MIN, -3, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{INSECURE, EVTLS_TLS_1_1, 0}}, TLS1_1_VERSION, 0},
    {{{INSECURE, LOWEST, 0}}, TLS1_VERSION, 0},
    {{{INSECURE, EVTLS_TLS_1_3, 0}}, TLS1_3_VERSION, 0},
    {{{INSECURE, 0x0300, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{MAX, EVTLS_TLS_1_2, 0}}, TLS1_2_VERSION, TLS1_2_VERSION},
    {{{MAX, EVTLS_TLS_1_3, 0}}, TLS1_2_VERSION, TLS1_3_VERSION},
    {{{MAX, HIGHEST, 0}}, TLS1_2_VERSION, 0},
    {{{MAX, LOWEST, 0}}, TLS1_2_VERSION, TLS1_2_VERSION},
    {{{MAX, EVTLS_TLS_1_1, EVTLS_ERR_CONFIG}}, TLS1_2_VERSION, 0},
    {{{MAX, 0x0304 + 1, EVTLS_ERR_USAGE}}, TLS1_2_VERSION, 0},
    {{{INSECURE, EVTLS_TLS_1_0, 0}, {MAX, EVTLS_TLS_1_1, 0}}, TLS1_VERSION, TLS1_1_VERSION},
    {{{MAX, EVTLS_TLS_1_2, 0}, {MIN, EVTLS_TLS_1_3, EVTLS_ERR_CONFIG}},
     TLS1_2_VERSION,
     TLS1_2_VERSION},
    {{{MAX, EVTLS_TLS_1_2, 0}, {MIN, HIGHEST, EVTLS_ERR_CONFIG}}, TLS1_2_VERSION, TLS1_2_VERSION},
    {{{MIN, EVTLS_TLS_1_3, 0}, {MAX, EVTLS_TLS_1_2, EVTLS_ERR_CONFIG}}, TLS1_3_VERSION, 0},
    {{{MIN, EVTLS_TLS_1_3, 0}, {MAX, LOWEST, EVTLS_ERR_CONFIG}}, TLS1_3_VERSION, 0},
};

/* X6, B9: a refused one changes nothing. */
START_TEST(policy__versions)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    SSL_CTX *ssl_ctx;
    int i, status = 0;

    for (i = 0; i < 2 && versions[_i].calls[i].setter != NO_CALL; i++) {
        enum evtls_tls_version version = (enum evtls_tls_version)versions[_i].calls[i].version;
        struct evtls_error err;

        switch (versions[_i].calls[i].setter) {
        case MIN:
            status = evtls_context_set_min_version(ctx, version, &err);
            break;
        case MAX:
            status = evtls_context_set_max_version(ctx, version, &err);
            break;
        default:
            status = evtls_context_set_insecure_min_version(ctx, version, &err);
            break;
        }
        ck_assert_int_eq(status, versions[_i].calls[i].status);
        ck_assert_int_eq(err.status, status);
        ck_assert_int_eq(err.message[0] != '\0', status < 0);
    }
    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ALL:@SECLEVEL=0", NULL), 0);
    ssl_ctx = sealed(ctx);
    ck_assert_int_eq(SSL_CTX_get_min_proto_version(ssl_ctx), versions[_i].min);
    ck_assert_int_eq(SSL_CTX_get_max_proto_version(ssl_ctx), versions[_i].max);
    evtls_context_free(ctx);
}
END_TEST

/* ---- Lists ------------------------------------------------------------------------------ */

typedef int set_list(struct evtls_context *, const char *, struct evtls_error *);

static const struct {
    set_list *set;
    const char *list;
    int status;
    const char *says;  /* in the message */
    const char *first; /* cipher in force then; NULL: not looked at */
} lists[] = {
    {evtls_context_set_ciphers, "ECDHE+AESGCM", 0, "", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {evtls_context_set_ciphers, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", 0, "",
     "ECDHE-RSA-AES128-GCM-SHA256"},
    {evtls_context_set_ciphers, "AES256-SHA", 0, "", "AES256-SHA"},
    {evtls_context_set_ciphers, "no-such-cipher", EVTLS_ERR_CONFIG, "No cipher can be selected.",
     "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {evtls_context_set_ciphers, "TLS_AES_128_GCM_SHA256", EVTLS_ERR_CONFIG,
     "No cipher can be selected.", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {evtls_context_set_ciphers, "ALL:@SECLEVEL=6", EVTLS_ERR_CONFIG, "No cipher can be selected.",
     "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {evtls_context_set_ciphers, "", EVTLS_ERR_USAGE, "no list", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {evtls_context_set_ciphers, NULL, EVTLS_ERR_USAGE, "no list", NULL},
    {evtls_context_set_ciphersuites, "TLS_AES_128_GCM_SHA256", 0, "", "TLS_AES_128_GCM_SHA256"},
    {evtls_context_set_ciphersuites, "TLS_CHACHA20_POLY1305_SHA256 : TLS_AES_128_GCM_SHA256", 0, "",
     "TLS_CHACHA20_POLY1305_SHA256"},
    {evtls_context_set_ciphersuites, "TLS_AES_128_GCM_SHA256:TLS_NO_SUCH", EVTLS_ERR_CONFIG,
     "\"TLS_NO_SUCH\"", "TLS_AES_256_GCM_SHA384"},
    {evtls_context_set_ciphersuites, "ECDHE-RSA-AES128-GCM-SHA256", EVTLS_ERR_CONFIG,
     "\"ECDHE-RSA-AES128-GCM-SHA256\"", "TLS_AES_256_GCM_SHA384"},
    {evtls_context_set_ciphersuites, "TLS_AES_128_GCM_SHA256:", EVTLS_ERR_CONFIG, "\"\"",
     "TLS_AES_256_GCM_SHA384"},
    {evtls_context_set_ciphersuites, ":", EVTLS_ERR_CONFIG, "\"\"", NULL},
    {evtls_context_set_ciphersuites, "", EVTLS_ERR_USAGE, "no list", NULL},
    {evtls_context_set_ciphersuites, NULL, EVTLS_ERR_USAGE, "no list", NULL},
    {evtls_context_set_groups, "X25519:P-256", 0, "", NULL},
    {evtls_context_set_groups, "prime256v1", 0, "", NULL},
    {evtls_context_set_groups, "P-256:no-such-group:P-384", EVTLS_ERR_CONFIG, "\"no-such-group\"",
     NULL},
    {evtls_context_set_groups, "no such group", EVTLS_ERR_CONFIG, "\"no such group\"", NULL},
    {evtls_context_set_groups, "", EVTLS_ERR_USAGE, "no list", NULL},
    {evtls_context_set_groups, NULL, EVTLS_ERR_USAGE, "no list", NULL},
};

/* X10, X15, X25, B9 */
START_TEST(policy__lists)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_error err;
    char text[2048];
    const char *label = lists[_i].list != NULL ? lists[_i].list : "NULL";
    int status = lists[_i].set(ctx, lists[_i].list, &err);

    ck_assert_msg(status == lists[_i].status, "%s: %d %s", label, status, err.message);
    ck_assert_msg(strstr(err.message, lists[_i].says) != NULL, "%s: %s", label, err.message);
    ck_assert_int_eq(lists[_i].set(ctx, lists[_i].list, NULL), status);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    list_ciphers(text, sizeof(text), sealed(ctx));
    if (lists[_i].first != NULL) {
        bool suite = lists[_i].set == evtls_context_set_ciphersuites;
        const char *place = suite ? text : text + strlen(SUITES_13) + 1;

        /* Neither list touches the other. */
        ck_assert_msg(suite || memcmp(text, SUITES_13, strlen(SUITES_13)) == 0, "%s", text);
        ck_assert_msg(memcmp(place, lists[_i].first, strlen(lists[_i].first)) == 0, "%s: %s", label,
                      text);
    }
    evtls_context_free(ctx);
}
END_TEST

/* X7 */
START_TEST(policy__security_level_outlives_its_list)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL), *copy;

    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ALL:@SECLEVEL=1", NULL), 0);
    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ECDHE+AESGCM", NULL), 0);
    copy = evtls_context_copy(ctx, NULL);
    ck_assert_int_eq(evtls_context_set_ciphers(copy, "ALL:@SECLEVEL=3", NULL), 0);
    ck_assert_int_eq(SSL_CTX_get_security_level(sealed(ctx)), 1);
    ck_assert_int_eq(SSL_CTX_get_security_level(sealed(copy)), 3);
    evtls_context_free(ctx);
    evtls_context_free(copy);
}
END_TEST

START_TEST(policy__group_twice_is_explained)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct evtls_error err;
    int status = evtls_context_set_groups(ctx, "P-256:prime256v1", &err);

    /* OpenSSL takes it from 3.5 on. */
    if (status != 0) {
        ck_assert_int_eq(status, EVTLS_ERR_CONFIG);
        ck_assert_ptr_nonnull(strstr(err.message, "twice"));
    }
    evtls_context_free(ctx);
}
END_TEST

/* ---- Nothing left ----------------------------------------------------------------------- */

/* B9, B26 */
START_TEST(policy__nothing_left_is_found_when_sealing)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    const char *const names[] = {"localhost"};
    struct evtls_error err;

    ck_assert_int_eq(evtls_context_use_self_signed(ctx, names, 1, NULL), 0);
    /* A cipher of TLS 1.2, which TLS 1.1 does not have, at a level that forbids SHA-1. */
    ck_assert_int_eq(evtls_context_set_insecure_min_version(ctx, EVTLS_TLS_1_0, NULL), 0);
    ck_assert_int_eq(evtls_context_set_max_version(ctx, EVTLS_TLS_1_1, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(ctx, &err), EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "nothing is left to negotiate"));
    ck_assert_int_eq(evtls_context_is_sealed(ctx), 0);
    /* Mended. */
    ck_assert_int_eq(evtls_context_set_max_version(ctx, EVTLS_TLS_1_2, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(ctx, &err), 0);
    evtls_context_free(ctx);
}
END_TEST

/* ---- Tickets and ALPN ------------------------------------------------------------------- */

/* X8 */
START_TEST(policy__number_of_tickets)
{
    struct evtls_context *server = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_context *client = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct evtls_error err;

    ck_assert_int_eq(evtls_context_set_num_tickets(server, 16, &err), 0);
    ck_assert_int_eq(evtls_context_set_num_tickets(server, 17, &err), EVTLS_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "17"));
    ck_assert_int_eq(evtls_context_set_num_tickets(client, 1, &err), EVTLS_ERR_USAGE);
    ck_assert_uint_eq(SSL_CTX_get_num_tickets(sealed(server)), 16);
    evtls_context_free(server);
    evtls_context_free(client);
}
END_TEST

static const struct {
    const char *label;
    const char *ours[4], *theirs;
    const char *chosen;
} protocols_rows[] = {
    {"the server's order", {"http/1.1", "h2"}, "h2,http/1.1", "http/1.1"},
    {"no overlap", {"h2"}, "zz", ""},
    {"reserved names (O10)", {"http/1.1"}, "\x0a\x0a,http/1.1", "http/1.1"},
    {"we have none", {NULL}, "h2", ""},
    {"they have none", {"h2"}, NULL, ""},
};

/* X11, O10: the handshake goes on in each case. */
START_TEST(policy__alpn)
{
    struct pki *pki = pki_new();
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    struct peer *peer = peer_new(&(struct peer_options){.alpn = protocols_rows[_i].theirs});
    struct end server;
    const char *const usual[] = {"zz", "h2"};
    size_t n = 0, len = 0;
    const char *chosen;

    while (protocols_rows[_i].ours[n] != NULL)
        n++;
    /* A list that is replaced, or taken back, leaves nothing behind. */
    ck_assert_int_eq(evtls_context_set_alpn(ctx, usual, 2), 0);
    ck_assert_int_eq(evtls_context_set_alpn(ctx, n > 0 ? protocols_rows[_i].ours : NULL, n), 0);
    end_open(&server, ctx, EVTLS_SERVER);
    ck_assert(end_connect_peer(&server, peer));
    ck_assert_str_eq(peer_alpn(peer), protocols_rows[_i].chosen);
    chosen = evtls_engine_get_alpn(server.engine, &len);
    ck_assert_str_eq(chosen != NULL ? chosen : "", protocols_rows[_i].chosen);
    ck_assert_uint_eq(len, strlen(protocols_rows[_i].chosen));
    end_close(&server);
    peer_free(peer);
    evtls_context_free(ctx);
    pki_free(pki);
}
END_TEST

START_TEST(policy__refused_alpn_changes_nothing)
{
    struct pki *pki = pki_new();
    struct evtls_context *ctx = server_context(pki_issue(pki, &(struct pki_spec){0}));
    struct peer *peer = peer_new(&(struct peer_options){.alpn = "h2"});
    struct end server;
    const char *const good[] = {"h2"}, *const bad[] = {"http/1.1", ""};

    ck_assert_int_eq(evtls_context_set_alpn(ctx, good, 1), 0);
    ck_assert_int_eq(evtls_context_set_alpn(ctx, bad, 2), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_set_alpn(ctx, NULL, 1), EVTLS_ERR_USAGE);
    end_open(&server, ctx, EVTLS_SERVER);
    ck_assert(end_connect_peer(&server, peer));
    ck_assert_str_eq(peer_alpn(peer), "h2");
    end_close(&server);
    peer_free(peer);
    evtls_context_free(ctx);
    pki_free(pki);
}
END_TEST

/* ---- The system's configuration --------------------------------------------------------- */

static const struct {
    const char *label, *lines;
    int min, level;
    const char *has, *has_not; /* ciphers */
} systems[] = {
    {"a higher minimum", "MinProtocol = TLSv1.3\n", TLS1_3_VERSION, 2, "TLS_AES_128", "\n"},
    {"a lower minimum", "MinProtocol = TLSv1\n", TLS1_2_VERSION, 2, "ECDHE-RSA-AES128", "\n"},
    {"a higher level", "CipherString = DEFAULT@SECLEVEL=3\n", TLS1_2_VERSION, 3,
     "ECDHE-RSA-AES128-GCM-SHA256", "\n"},
    {"a lower level", "CipherString = DEFAULT@SECLEVEL=0\n", TLS1_2_VERSION, 2,
     "ECDHE-RSA-AES128-GCM-SHA256", "AES256-SHA "},
    {"fewer ciphers", "CipherString = DEFAULT:!AES128:!DHE\n", TLS1_2_VERSION, 2,
     "ECDHE-RSA-AES256-GCM-SHA384", "AES128-"},
    {"none of ours", "CipherString = AES256-SHA256\n", TLS1_2_VERSION, 2, "AES256-SHA256", "ECDHE"},
};

/* X2, O19: what it asks for is a floor. */
START_TEST(policy__system_is_never_lowered)
{
    struct tmpdir *dir = tmpdir_new();
    struct evtls_context *ctx;
    SSL_CTX *ssl_ctx;
    char text[2048];

    snprintf(text, sizeof(text),
             "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n%s",
             systems[_i].lines);
    ck_assert_int_eq(setenv("OPENSSL_CONF", tmpdir_write_text(dir, "openssl.cnf", text), 1), 0);
    ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    ck_assert_ptr_nonnull(ctx);
    ssl_ctx = sealed(ctx);
    ck_assert_int_eq(SSL_CTX_get_min_proto_version(ssl_ctx), systems[_i].min);
    ck_assert_int_eq(SSL_CTX_get_security_level(ssl_ctx), systems[_i].level);
    list_ciphers(text, sizeof(text), ssl_ctx);
    ck_assert_msg(strstr(text, systems[_i].has) != NULL, "%s: %s", systems[_i].label, text);
    ck_assert_msg(strstr(text + strlen(SUITES_13), systems[_i].has_not) == NULL, "%s: %s",
                  systems[_i].label, text);
    evtls_context_free(ctx);
    tmpdir_free(dir);
}
END_TEST

START_TEST(policy__program_and_system_leave_no_version)
{
    struct tmpdir *dir = tmpdir_new();
    struct evtls_context *ctx;
    struct evtls_error err;
    const char *const names[] = {"localhost"};

    setenv("OPENSSL_CONF",
           tmpdir_write_text(dir, "openssl.cnf",
                             "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                             "MinProtocol = TLSv1.3\n"),
           1);
    ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    ck_assert_int_eq(evtls_context_use_self_signed(ctx, names, 1, NULL), 0);
    ck_assert_int_eq(evtls_context_set_max_version(ctx, EVTLS_TLS_1_2, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(ctx, &err), EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "no protocol version is left"));
    /* What the program says itself counts. */
    ck_assert_int_eq(evtls_context_set_min_version(ctx, EVTLS_TLS_1_2, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(ctx, &err), 0);
    evtls_context_free(ctx);
    tmpdir_free(dir);
}
END_TEST

static Suite *policy_suite(void)
{
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("policy");

    tcase_add_loop_test(tcase, policy__fresh_values, 0, COUNT(protocols));
    tcase_add_loop_test(tcase, policy__fresh_ciphers, 0, COUNT(protocols));
    tcase_add_loop_test(tcase, policy__versions, 0, COUNT(versions));
    tcase_add_loop_test(tcase, policy__lists, 0, COUNT(lists));
    tcase_add_test(tcase, policy__security_level_outlives_its_list);
    tcase_add_test(tcase, policy__group_twice_is_explained);
    tcase_add_test(tcase, policy__nothing_left_is_found_when_sealing);
    tcase_add_test(tcase, policy__number_of_tickets);
    tcase_add_loop_test(tcase, policy__alpn, 0, COUNT(protocols_rows));
    tcase_add_test(tcase, policy__refused_alpn_changes_nothing);
    tcase_add_loop_test(tcase, policy__system_is_never_lowered, 0, COUNT(systems));
    tcase_add_test(tcase, policy__program_and_system_leave_no_version);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(policy_suite());
}
