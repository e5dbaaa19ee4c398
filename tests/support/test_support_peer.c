/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "peer.h"
#include "suite.h"

static struct pki *pki;
static struct pki_ident *server_ident;
static struct pki_ident *client_ident;

static void set_up(void)
{
    pki = pki_new();
    server_ident = pki_issue(pki, &(struct pki_spec){0});
    client_ident = pki_issue(pki, &(struct pki_spec){.cn = "client"});
}

static void tear_down(void)
{
    pki_free(pki);
}

/* Steps both, at most chunk bytes a turn, until neither has anything to say. */
static void settle(struct peer *client, struct peer *server, size_t chunk)
{
    size_t moved;

    do {
        peer_step(client);
        moved = peer_transfer(client, server, chunk);
        peer_step(server);
        moved += peer_transfer(server, client, chunk);
    } while (moved > 0);
}

static struct peer *new_server(struct peer_options options)
{
    options.server = true;
    options.ident = server_ident;
    return peer_new(&options);
}

static struct peer *new_client(struct peer_options options)
{
    options.trust = options.trust != NULL ? options.trust : pki_root(pki);
    options.host = options.host != NULL ? options.host : "localhost";
    return peer_new(&options);
}

static void assert_received(struct peer *peer, const char *text)
{
    size_t len;
    const unsigned char *data = peer_received(peer, &len);

    ck_assert_uint_eq(len, strlen(text));
    ck_assert_mem_eq(data, text, len);
}

static const int versions[] = {TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};

START_TEST(peer__talks_a_byte_at_a_time)
{
    struct peer *server = new_server((struct peer_options){.alpn = "b,a"});
    struct peer *client = new_client((struct peer_options){
        .min_version = versions[_i], .max_version = versions[_i], .alpn = "a,b"});

    settle(client, server, 1);
    ck_assert(peer_is_open(client) && peer_is_open(server));
    ck_assert_int_eq(SSL_version(peer_ssl(client)), versions[_i]);
    ck_assert_str_eq(peer_alpn(client), "b");
    ck_assert_int_eq(peer_write(client, "hello", 5), PEER_OK);
    ck_assert_int_eq(peer_write(server, "world!", 6), PEER_OK);
    settle(client, server, 1);
    assert_received(server, "hello");
    assert_received(client, "world!");

    ck_assert_int_eq(peer_shutdown(client), PEER_OK);
    peer_transfer(client, server, SIZE_MAX);
    ck_assert_int_eq(peer_step(server), PEER_CLOSED);
    ck_assert_int_eq(peer_shutdown(server), PEER_CLOSED);
    peer_transfer(server, client, SIZE_MAX);
    ck_assert_int_eq(peer_step(client), PEER_CLOSED);
    peer_free(client);
    peer_free(server);
}
END_TEST

START_TEST(peer__end_without_close_notify_is_told_apart)
{
    struct peer *server = new_server((struct peer_options){0});
    struct peer *client = new_client((struct peer_options){0});

    settle(client, server, SIZE_MAX);
    peer_write(server, "x", 1);
    peer_transfer(server, client, SIZE_MAX);
    peer_feed_eof(client);
    ck_assert_int_eq(peer_step(client), PEER_EOF);
    assert_received(client, "x");
    peer_free(client);
    peer_free(server);
}
END_TEST

START_TEST(peer__wrong_name_fails_with_an_alert)
{
    struct peer *server = new_server((struct peer_options){0});
    struct peer *client = new_client((struct peer_options){.host = "other.test"});

    settle(client, server, SIZE_MAX);
    ck_assert(!peer_is_open(client));
    ck_assert_int_eq(peer_verify_code(client), X509_V_ERR_HOSTNAME_MISMATCH);
    ck_assert_int_eq(peer_reason(client), SSL_R_CERTIFICATE_VERIFY_FAILED);
    ck_assert_int_eq(peer_alert_sent(client), SSL_AD_BAD_CERTIFICATE);
    ck_assert_int_eq(peer_alert_received(server), SSL_AD_BAD_CERTIFICATE);
    peer_free(client);
    peer_free(server);
}
END_TEST

START_TEST(peer__address_is_verified_and_not_sent)
{
    struct peer *server = new_server((struct peer_options){0});
    struct peer *client = new_client((struct peer_options){.host = "::1"});

    settle(client, server, SIZE_MAX);
    ck_assert(peer_is_open(client));
    ck_assert_ptr_null(SSL_get_servername(peer_ssl(server), TLSEXT_NAMETYPE_host_name));
    peer_free(client);
    peer_free(server);
}
END_TEST

START_TEST(peer__client_certificates)
{
    struct peer *server =
        new_server((struct peer_options){.trust = pki_root(pki), .require_certificate = true});
    struct peer *without = new_client((struct peer_options){0});
    struct peer *server2 = new_server((struct peer_options){.like = server});
    struct peer *with = new_client((struct peer_options){.ident = client_ident});

    settle(without, server, SIZE_MAX);
    ck_assert_int_eq(peer_alert_received(without), SSL_AD_CERTIFICATE_REQUIRED);
    settle(with, server2, SIZE_MAX);
    ck_assert(peer_is_open(with) && peer_is_open(server2));
    ck_assert_int_eq(X509_cmp(SSL_get0_peer_certificate(peer_ssl(server2)), pki_cert(client_ident)),
                     0);
    peer_free(without);
    peer_free(server);
    peer_free(with);
    peer_free(server2);
}
END_TEST

START_TEST(peer__sessions_resume)
{
    int version = _i == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    struct peer *server = new_server((struct peer_options){.num_tickets = 3});
    struct peer *first = new_client((struct peer_options){.max_version = version});
    struct peer *server2 = new_server((struct peer_options){.like = server});
    struct peer *second;

    settle(first, server, SIZE_MAX);
    ck_assert_uint_eq(peer_tickets(first), version == TLS1_3_VERSION ? 3 : 1);
    second =
        new_client((struct peer_options){.max_version = version, .session = peer_session(first)});
    settle(second, server2, SIZE_MAX);
    ck_assert(peer_session_reused(second) && peer_session_reused(server2));
    peer_free(first);
    peer_free(second);
    peer_free(server);
    peer_free(server2);
}
END_TEST

START_TEST(peer__key_updates_and_tickets)
{
    struct peer *server = new_server((struct peer_options){.no_tickets = true});
    struct peer *client = new_client((struct peer_options){0});

    settle(client, server, SIZE_MAX);
    ck_assert_uint_eq(peer_tickets(client), 0);
    ck_assert_int_eq(peer_key_update(client, true), PEER_OK);
    settle(client, server, SIZE_MAX);
    ck_assert_uint_eq(peer_key_updates_received(server), 1);
    ck_assert_uint_eq(peer_key_updates_received(client), 0);
    /* The answer goes out with the next write. */
    peer_write(server, "x", 1);
    settle(client, server, SIZE_MAX);
    ck_assert_uint_eq(peer_key_updates_received(client), 1);
    ck_assert_int_eq(peer_send_ticket(server), PEER_OK);
    settle(client, server, SIZE_MAX);
    ck_assert_uint_eq(peer_tickets(client), 1);
    peer_free(client);
    peer_free(server);
}
END_TEST

START_TEST(peer__renegotiates)
{
    struct peer *server = new_server((struct peer_options){
        .max_version = TLS1_2_VERSION, .ssl_options = SSL_OP_ALLOW_CLIENT_RENEGOTIATION});
    struct peer *client = new_client((struct peer_options){0});

    settle(client, server, SIZE_MAX);
    ck_assert_int_eq(peer_renegotiate(client), PEER_WANT_INPUT);
    settle(client, server, SIZE_MAX);
    ck_assert_int_eq(SSL_num_renegotiations(peer_ssl(client)), 1);
    ck_assert(peer_is_open(client));
    peer_free(client);
    peer_free(server);
}
END_TEST

static Suite *support_peer_suite(void)
{
    Suite *suite = suite_create("support_peer");
    TCase *tc = tcase_create("peer");

    tcase_add_unchecked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, peer__talks_a_byte_at_a_time, 0, 3);
    tcase_add_test(tc, peer__end_without_close_notify_is_told_apart);
    tcase_add_test(tc, peer__wrong_name_fails_with_an_alert);
    tcase_add_test(tc, peer__address_is_verified_and_not_sent);
    tcase_add_test(tc, peer__client_certificates);
    tcase_add_loop_test(tc, peer__sessions_resume, 0, 2);
    tcase_add_test(tc, peer__key_updates_and_tickets);
    tcase_add_test(tc, peer__renegotiates);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_peer_suite());
}
