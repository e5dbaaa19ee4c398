/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Servers with several hosts: a session resumes where it was made and nowhere else.
 */
#include "config.h"

#include <string.h>

#include "support/hosts.h"
#include "support/suite.h"

/* ---- Host A's session at host B --------------------------------------------------------- */

enum relation { STRANGERS, COPIES };

static const char *const relations[] = {"strangers", "copies"};
static const enum evtls_verify_mode modes[] = {EVTLS_VERIFY_NONE, EVTLS_VERIFY_OPTIONAL,
                                               EVTLS_VERIFY_REQUIRED};

#define N_CROSS (N_WAYS * 2 * COUNT(modes) * 2)

/* A19, B29, B30, O8, FO-09: both orders, with and without client certificates. */
START_TEST(session__of_one_host_is_worth_nothing_at_another)
{
    const struct way *way = &ways[_i % 3];
    enum relation relation = (enum relation)(_i / 3 % 2);
    enum evtls_verify_mode mode = modes[_i / 6 % 3];
    bool backwards = _i / 18 != 0;
    const char *first = backwards ? "b.test" : "a.test", *second = backwards ? "a.test" : "b.test";
    struct visit visit = {.sni = first, .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;
    SSL_SESSION *session;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    if (mode != EVTLS_VERIFY_NONE)
        ask_for_certificates(hosts.a, hosts.pki, mode);
    if (relation == COPIES) {
        hosts.b = evtls_context_copy(hosts.a, NULL);
        load_identity(hosts.b, host_ident(&hosts, "b.test"));
    } else {
        hosts.b = server_context(host_ident(&hosts, "b.test"));
        if (mode != EVTLS_VERIFY_NONE)
            ask_for_certificates(hosts.b, hosts.pki, mode);
    }
    session = make_session(&hosts, &visit);
    ck_assert_msg(is_resumed(&hosts, session, visit), "%s %s: not at home", way->name,
                  relations[relation]);
    visit.sni = second;
    ck_assert_msg(!is_resumed(&hosts, session, visit), "%s %s", way->name, relations[relation]);
    SSL_SESSION_free(session);
    hosts_close(&hosts);
}
END_TEST

/* Where the names and all else agree, the server name alone decides (RFC 6066, section 3). */
START_TEST(session__of_one_name_is_worth_nothing_at_another_of_the_same_context)
{
    const struct way *way = &ways[_i];
    struct visit visit = {.sni = "a.test", .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;
    SSL_SESSION *session;

    hosts_open(&hosts);
    hosts.a =
        server_context(pki_issue(hosts.pki, &(struct pki_spec){.san = "DNS:a.test,DNS:b.test"}));
    hosts.chosen_for_all = hosts.a;
    session = make_session(&hosts, &visit);
    visit.sni = "A.Test.";
    ck_assert(is_resumed(&hosts, session, visit));
    visit.sni = "b.test";
    ck_assert(!is_resumed(&hosts, session, visit));
    visit.sni = "";
    ck_assert(!is_resumed(&hosts, session, visit));
    SSL_SESSION_free(session);
    hosts_close(&hosts);
}
END_TEST

/* ---- The same name under another policy ------------------------------------------------- */

static void change_nothing(struct hosts *hosts, struct evtls_context *ctx)
{
    (void)hosts;
    (void)ctx;
}

static void renew_certificate(struct hosts *hosts, struct evtls_context *ctx)
{
    load_identity(ctx, host_ident(hosts, "a.test"));
}

static void require_certificates(struct hosts *hosts, struct evtls_context *ctx)
{
    (void)hosts;
    ck_assert_int_eq(evtls_context_set_verify_mode(ctx, EVTLS_VERIFY_REQUIRED, NULL), 0);
}

static void trust_another_ca(struct hosts *hosts, struct evtls_context *ctx)
{
    const char *other = pki_cert_pem(pki_other_root(hosts->pki));

    ck_assert_int_eq(evtls_context_load_verify_locations_data(ctx, other, strlen(other), NULL), 0);
}

static void load_revocations(struct hosts *hosts, struct evtls_context *ctx)
{
    const char *crl = pki_crl_pem(pki_intermediate(hosts->pki), 0, 0);

    ck_assert_int_eq(evtls_context_load_verify_locations_data(ctx, crl, strlen(crl), NULL), 0);
}

static void list_protocols(struct hosts *hosts, struct evtls_context *ctx)
{
    const char *const names[] = {"h2"};

    (void)hosts;
    ck_assert_int_eq(evtls_context_set_alpn(ctx, names, 1), 0);
}

static void lower_minimum(struct hosts *hosts, struct evtls_context *ctx)
{
    (void)hosts;
    ck_assert_int_eq(evtls_context_set_insecure_min_version(ctx, EVTLS_TLS_1_1, NULL), 0);
}

static void choose_ciphers(struct hosts *hosts, struct evtls_context *ctx)
{
    (void)hosts;
    ck_assert_int_eq(evtls_context_set_ciphers(ctx, "ECDHE+CHACHA20:ECDHE+AESGCM", NULL), 0);
}

static void serve_another_name(struct hosts *hosts, struct evtls_context *ctx)
{
    load_identity(ctx, host_ident(hosts, "other.test"));
}

static void change_tickets(struct hosts *hosts, struct evtls_context *ctx)
{
    (void)hosts;
    ck_assert_int_eq(evtls_context_set_num_tickets(ctx, 1, NULL), 0);
}

static const struct {
    const char *name;
    void (*change)(struct hosts *, struct evtls_context *);
    bool resumes;
} changes[] = {
    {"a copy", change_nothing, true},
    {"a renewed certificate", renew_certificate, true},
    {"another number of tickets", change_tickets, true},
    {"verify mode", require_certificates, false},
    {"trust", trust_another_ca, false},
    {"revocation lists", load_revocations, false},
    {"ALPN", list_protocols, false},
    {"versions", lower_minimum, false},
    {"ciphers", choose_ciphers, false},
    {"names", serve_another_name, false},
};

/* B30, FO-02: only a copy of the same policy takes the session, and only the policy decides. */
START_TEST(session__resumes_under_its_policy_alone)
{
    const struct way *way = &ways[_i % 3];
    int row = _i / 3;
    struct visit visit = {.sni = "a.test", .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;
    SSL_SESSION *session, *back;
    bool resumed;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    ask_for_certificates(hosts.a, hosts.pki, EVTLS_VERIFY_OPTIONAL);
    hosts.b = evtls_context_copy(hosts.a, NULL);
    changes[row].change(&hosts, hosts.b);
    hosts.chosen_for_all = hosts.a;
    session = make_session(&hosts, &visit);
    hosts.chosen_for_all = hosts.b;
    resumed = is_resumed(&hosts, session, visit);
    ck_assert_msg(resumed == changes[row].resumes, "%s, %s", changes[row].name, way->name);
    back = make_session(&hosts, &visit);
    hosts.chosen_for_all = hosts.a;
    resumed = is_resumed(&hosts, back, visit);
    ck_assert_msg(resumed == changes[row].resumes, "%s, %s, the other way", changes[row].name,
                  way->name);
    SSL_SESSION_free(session);
    SSL_SESSION_free(back);
    hosts_close(&hosts);
}
END_TEST

/* The same without an SNI callback: two listeners, or a reload. */
START_TEST(session__survives_a_reload)
{
    const struct way *way = &ways[_i];
    struct visit visit = {.sni = "a.test", .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;
    struct outcome first, second;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    hosts.b = evtls_context_copy(hosts.a, NULL);
    load_identity(hosts.b, host_ident(&hosts, "a.test"));
    first = visit_context(&hosts, hosts.a, &visit);
    evtls_context_free(hosts.a);
    hosts.a = NULL;
    visit.session = first.session;
    second = visit_context(&hosts, hosts.b, &visit);
    ck_assert(second.connected && second.reused);
    SSL_SESSION_free(first.session);
    SSL_SESSION_free(second.session);
    hosts_close(&hosts);
}
END_TEST

/* Where a host is reached by another way in, its tickets are good there too: they are under the
 * keys of the chosen context. The cache is that of the way in. */
START_TEST(session__by_ticket_belongs_to_the_chosen_context)
{
    const struct way *way = &ways[_i];
    struct visit visit = {.sni = "a.test", .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;
    struct outcome direct;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    visit.session = make_session(&hosts, &visit);
    direct = visit_context(&hosts, hosts.a, &visit);
    ck_assert(direct.connected);
    ck_assert_int_eq(direct.reused, !way->no_tickets);
    SSL_SESSION_free(direct.session);
    SSL_SESSION_free(visit.session);
    hosts_close(&hosts);
}
END_TEST

/* ---- Client certificates ---------------------------------------------------------------- */

/* FO-10, X24: the second connection shows the same certificate, and works. */
START_TEST(session__with_a_client_certificate_resumes)
{
    const struct way *way = &ways[_i % 3];
    enum evtls_verify_mode mode = _i / 3 != 0 ? EVTLS_VERIFY_REQUIRED : EVTLS_VERIFY_OPTIONAL;
    struct visit visit = {.sni = "a.test", .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;
    struct outcome first, second;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    ask_for_certificates(hosts.a, hosts.pki, mode);
    first = visit_context(&hosts, hosts.a, &visit);
    ck_assert(first.connected && first.peer_seen);
    visit.session = first.session;
    second = visit_context(&hosts, hosts.a, &visit);
    ck_assert(second.connected && second.reused && second.peer_seen);
    SSL_SESSION_free(first.session);
    SSL_SESSION_free(second.session);
    hosts_close(&hosts);
}
END_TEST

/* A session made without a certificate, where the server has come to require one. */
START_TEST(session__does_not_stand_in_for_a_certificate)
{
    const struct way *way = &ways[_i];
    struct visit visit = {
        .sni = "a.test", .version = way->version, .no_tickets = way->no_tickets, .anonymous = true};
    struct hosts hosts;
    struct outcome outcome;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    ask_for_certificates(hosts.a, hosts.pki, EVTLS_VERIFY_OPTIONAL);
    hosts.b = evtls_context_copy(hosts.a, NULL);
    require_certificates(&hosts, hosts.b);
    hosts.chosen_for_all = hosts.a;
    visit.session = make_session(&hosts, &visit);
    hosts.chosen_for_all = hosts.b;
    outcome = visit_hosts(&hosts, &visit);
    ck_assert(!outcome.connected);
    SSL_SESSION_free(outcome.session);
    SSL_SESSION_free(visit.session);
    hosts_close(&hosts);
}
END_TEST

static Suite *session_hosts_suite(void)
{
    Suite *suite = suite_create("session_hosts");
    TCase *tcase = tcase_create("session_hosts");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, session__of_one_host_is_worth_nothing_at_another, 0, N_CROSS);
    tcase_add_loop_test(tcase, session__of_one_name_is_worth_nothing_at_another_of_the_same_context,
                        0, N_WAYS);
    tcase_add_loop_test(tcase, session__resumes_under_its_policy_alone, 0, COUNT(changes) * N_WAYS);
    tcase_add_loop_test(tcase, session__survives_a_reload, 0, N_WAYS);
    tcase_add_loop_test(tcase, session__by_ticket_belongs_to_the_chosen_context, 0, N_WAYS);
    tcase_add_loop_test(tcase, session__with_a_client_certificate_resumes, 0, 2 * N_WAYS);
    tcase_add_loop_test(tcase, session__does_not_stand_in_for_a_certificate, 0, N_WAYS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(session_hosts_suite());
}
