/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a server takes a session back, and in what state.
 */
#include "config.h"

#include <string.h>

#include "context_internal.h"
#include "support/hosts.h"
#include "support/suite.h"
#include "support/vclock.h"

/* ---- Age -------------------------------------------------------------------------------- */

#define HOUR_MS (3600 * (int64_t)1000)

/* Visits each hour with the newest session: after how many hours there is a full handshake. */
static int hours_resumed(struct hosts *hosts, struct visit visit, int limit)
{
    struct outcome outcome = visit_hosts(hosts, &visit);
    int hours;

    ck_assert(outcome.connected && !outcome.reused);
    for (hours = 1; hours <= limit; hours++) {
        SSL_SESSION *old = outcome.session;

        vclock_advance_ms(HOUR_MS);
        visit.session = old;
        outcome = visit_hosts(hosts, &visit);
        SSL_SESSION_free(old);
        if (!outcome.connected || !outcome.reused)
            break;
    }
    SSL_SESSION_free(outcome.session);
    return hours;
}

static const struct {
    const char *name;
    int version;
    long server_end, client_end; /* seconds from now; 0: a year */
    int hours;
} chains[] = {
    {"seven days", TLS1_3_VERSION, 0, 0, 7 * 24},
    {"the server's certificate", TLS1_3_VERSION, 30 * 3600L + 60, 0, 31},
    {"the client's certificate", TLS1_3_VERSION, 0, 20 * 3600L + 60, 21},
    {"1.2, where tickets are not renewed", TLS1_2_VERSION, 0, 0, 3},
    {"1.2, the client's certificate", TLS1_2_VERSION, 0, 3600L + 60, 2},
};

/* O7 */
START_TEST(session__chain_of_resumptions_ends)
{
    struct visit visit = {.sni = "a.test", .version = chains[_i].version};
    struct hosts hosts;
    int hours;

    hosts_open(&hosts);
    if (chains[_i].client_end != 0)
        hosts.client = pki_issue(hosts.pki, &(struct pki_spec){.not_before = -PKI_DAY,
                                                               .not_after = chains[_i].client_end});
    hosts.a = server_context(pki_issue(
        hosts.pki, &(struct pki_spec){.san = "DNS:a.test",
                                      .not_before = chains[_i].server_end != 0 ? -PKI_DAY : 0,
                                      .not_after = chains[_i].server_end}));
    ask_for_certificates(hosts.a, hosts.pki, EVTLS_VERIFY_OPTIONAL);
    hosts.chosen_for_all = hosts.a;
    vclock_enable();
    hours = hours_resumed(&hosts, visit, 8 * 24);
    vclock_disable();
    ck_assert_msg(hours == chains[_i].hours, "%s: %d hours", chains[_i].name, hours);
    hosts_close(&hosts);
}
END_TEST

/* The cache forgets with the session's timeout, and earlier with the certificate. */
START_TEST(session__in_the_cache_ends)
{
    struct visit visit = {.sni = "a.test", .version = TLS1_2_VERSION, .no_tickets = true};
    struct hosts hosts;
    SSL_SESSION *session;

    hosts_open(&hosts);
    hosts.client =
        pki_issue(hosts.pki, &(struct pki_spec){.not_before = -PKI_DAY, .not_after = 600});
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    ask_for_certificates(hosts.a, hosts.pki, EVTLS_VERIFY_OPTIONAL);
    hosts.chosen_for_all = hosts.a;
    vclock_enable();
    session = make_session(&hosts, &visit);
    vclock_advance_ms(590 * 1000);
    ck_assert(is_resumed(&hosts, session, visit));
    vclock_advance_ms(20 * 1000);
    visit.anonymous = true; /* its certificate would be refused */
    ck_assert(!is_resumed(&hosts, session, visit));
    SSL_SESSION_free(session);
    session = make_session(&hosts, &visit);
    vclock_advance_ms(7190 * 1000);
    ck_assert(is_resumed(&hosts, session, visit));
    vclock_advance_ms(20 * 1000);
    ck_assert(!is_resumed(&hosts, session, visit));
    vclock_disable();
    SSL_SESSION_free(session);
    hosts_close(&hosts);
}
END_TEST

/* ---- The cache -------------------------------------------------------------------------- */

static size_t cached(const struct evtls_context *ctx)
{
    return evtls_session_cache_get_count(evtls_lineage_get_session_cache(ctx->lineage));
}

/* X24: only what needs it takes up room. */
START_TEST(session__cache_holds_what_has_no_ticket)
{
    const struct way *way = &ways[_i];
    struct visit visit = {.sni = "a.test", .version = way->version, .no_tickets = way->no_tickets};
    struct hosts hosts;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    SSL_SESSION_free(visit_context(&hosts, hosts.a, &visit).session);
    ck_assert_uint_eq(cached(hosts.a), way->no_tickets ? 1 : 0);
    hosts_close(&hosts);
}
END_TEST

/* RFC 5246, section 7.2: a connection that ended in a fatal alert is not resumed. */
START_TEST(session__of_a_broken_connection_is_forgotten)
{
    struct visit visit = {.sni = "a.test", .version = TLS1_2_VERSION, .no_tickets = true};
    struct hosts hosts;
    struct end server;
    struct peer *peer;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    visit.session = visit_context(&hosts, hosts.a, &visit).session;
    ck_assert_uint_eq(cached(hosts.a), 1);
    peer = peer_new(&(struct peer_options){.sni = "a.test",
                                           .max_version = TLS1_2_VERSION,
                                           .ssl_options = SSL_OP_NO_TICKET,
                                           .session = visit.session});
    end_open(&server, hosts.a, EVTLS_SERVER);
    ck_assert(end_connect_peer(&server, peer));
    ck_assert(peer_session_reused(peer));
    evbuffer_add(server.in, "\x17\x03\x03\x00\x10sixteen bytes...", 21);
    end_step(&server);
    ck_assert_ptr_nonnull(evtls_engine_get_error(server.engine));
    end_close(&server);
    peer_free(peer);
    ck_assert_uint_eq(cached(hosts.a), 0);
    SSL_SESSION_free(visit.session);
    hosts_close(&hosts);
}
END_TEST

/* ---- Bad tickets ------------------------------------------------------------------------ */

static size_t take_bit(unsigned char *ticket, size_t len)
{
    ticket[len / 2] ^= 1;
    return len;
}

static size_t cut(unsigned char *ticket, size_t len)
{
    (void)ticket;
    return len / 3;
}

static size_t cut_to_name(unsigned char *ticket, size_t len)
{
    (void)ticket;
    (void)len;
    return 16;
}

static size_t other_key(unsigned char *ticket, size_t len)
{
    ticket[3] ^= 0x80;
    return len;
}

static size_t (*const damages[])(unsigned char *, size_t) = {take_bit, cut, cut_to_name, other_key};

/* B29: a full handshake follows. */
START_TEST(session__damaged_ticket_is_no_ticket)
{
    int version = _i % 2 != 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    struct visit visit = {.sni = "a.test", .version = version};
    struct hosts hosts;
    SSL_SESSION *session, *copy;
    const unsigned char *ticket, *in;
    unsigned char *der = NULL, *at, *start;
    size_t len, left;
    int der_len;

    hosts_open(&hosts);
    hosts.a = server_context(host_ident(&hosts, "a.test"));
    hosts.chosen_for_all = hosts.a;
    session = make_session(&hosts, &visit);
    SSL_SESSION_get0_ticket(session, &ticket, &len);
    ck_assert_uint_gt(len, 32);
    /* The damage keeps the length: the ticket is found again in the encoded session. */
    der_len = i2d_SSL_SESSION(session, &der);
    ck_assert_int_gt(der_len, 0);
    for (at = der; memcmp(at, ticket, len) != 0; at++)
        ck_assert(at + len < der + der_len);
    start = at;
    left = damages[_i / 2](start, len);
    memset(start + left, 0, len - left);
    in = der;
    copy = d2i_SSL_SESSION(NULL, &in, der_len);
    ck_assert_ptr_nonnull(copy);
    ck_assert(!is_resumed(&hosts, copy, visit));
    ck_assert(is_resumed(&hosts, session, visit));
    OPENSSL_free(der);
    SSL_SESSION_free(copy);
    SSL_SESSION_free(session);
    hosts_close(&hosts);
}
END_TEST

static Suite *session_life_suite(void)
{
    Suite *suite = suite_create("session_life");
    TCase *tcase = tcase_create("session_life");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, session__chain_of_resumptions_ends, 0, COUNT(chains));
    tcase_add_test(tcase, session__in_the_cache_ends);
    tcase_add_loop_test(tcase, session__cache_holds_what_has_no_ticket, 0, N_WAYS);
    tcase_add_test(tcase, session__of_a_broken_connection_is_forgotten);
    tcase_add_loop_test(tcase, session__damaged_ticket_is_no_ticket, 0, 2 * COUNT(damages));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(session_life_suite());
}
