/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "hello.h"
#include "peer.h"
#include "seal.h"
#include "suite.h"

static struct pki *pki;
static struct pki_ident *ident;

static void set_up(void)
{
    pki = pki_new();
    ident = pki_issue(pki, &(struct pki_spec){0});
}

static void tear_down(void)
{
    pki_free(pki);
}

static struct peer *new_server(void)
{
    return peer_new(&(struct peer_options){
        .server = true, .ident = ident, .alpn = "http/1.1", .no_tickets = true, .sealable = true});
}

static const struct row {
    const char *name;
    struct hello hello;
    size_t per_record;
    int version;
    int alert; /* -1: a ServerHello */
} rows[] = {
    {"plain", {0}, 0, TLS1_3_VERSION, -1},
    {"TLS 1.2", {.tls12 = true}, 0, TLS1_2_VERSION, -1},
    {"name and protocol", {.sni = "localhost", .alpn = "h2,http/1.1"}, 0, TLS1_3_VERSION, -1},
    {"no common protocol", {.alpn = "zz"}, 0, 0, SSL_AD_NO_APPLICATION_PROTOCOL},
    {"a byte a record", {.sni = "localhost"}, 1, TLS1_3_VERSION, -1},
    {"grease", {.grease = true, .grease_value = 3, .sni = "localhost"}, 0, TLS1_3_VERSION, -1},
    {"post-quantum share", {.pq_share = true, .sni = "localhost"}, 0, TLS1_3_VERSION, -1},
    {"two records", {.padding = 17000, .sni = "localhost"}, 0, TLS1_3_VERSION, -1},
    {"no share", {.no_share = true}, 0, TLS1_3_VERSION, -1},
    {"fallback", {.tls12 = true, .fallback_scsv = true}, 0, 0, SSL_AD_INAPPROPRIATE_FALLBACK},
    {"no common suite", {.only_cipher = 0x0001}, 0, 0, SSL_AD_HANDSHAKE_FAILURE},
    {"no common group", {.only_group = 0x9999}, 0, 0, SSL_AD_HANDSHAKE_FAILURE},
    {"two names", {.sni = "a.test", .sni_count = 2}, 0, 0, SSL_AD_DECODE_ERROR},
    {"NUL in the name", {.sni = "a\0b", .sni_len = 3}, 0, 0, SSL_AD_UNRECOGNIZED_NAME},
};

START_TEST(hello__is_answered)
{
    const struct row *row = &rows[_i];
    struct peer *server = new_server();
    size_t message_len, len, out_len;
    unsigned char *message = hello_message(&row->hello, &message_len);
    unsigned char *wire = hello_records(message, message_len, row->per_record, &len);
    const unsigned char *out;

    peer_feed(server, wire, len);
    peer_step(server);
    out = peer_peek(server, &out_len);
    ck_assert_msg(peer_alert_sent(server) == row->alert, "%s: alert %d", row->name,
                  peer_alert_sent(server));
    if (row->alert < 0) {
        ck_assert_uint_gt(out_len, 5);
        ck_assert_uint_eq(out[0], 22);
        ck_assert_uint_eq(out[5], 2);
        ck_assert_int_eq(SSL_version(peer_ssl(server)), row->version);
    }
    if (row->alert < 0 && row->hello.sni != NULL)
        ck_assert_str_eq(SSL_get_servername(peer_ssl(server), TLSEXT_NAMETYPE_host_name),
                         row->hello.sni);
    free(message);
    free(wire);
    peer_free(server);
}
END_TEST

/* RFC 8701: both bytes alike, with 0xa below. The list of suites begins at byte 73. */
START_TEST(hello__grease_values_are_reserved_ones)
{
    for (unsigned value = 0; value < 16; value++) {
        struct hello hello = {.grease = true, .grease_value = (uint8_t)value};
        size_t len;
        unsigned char *message = hello_message(&hello, &len);

        ck_assert_uint_eq(message[73], value << 4 | 0x0a);
        ck_assert_uint_eq(message[74], message[73]);
        free(message);
    }
}
END_TEST

START_TEST(hello__records_can_lie)
{
    size_t len;
    unsigned char *record = hello_record(22, "abc", 3, 0xffff, &len);

    ck_assert_uint_eq(len, 8);
    ck_assert_mem_eq(record,
                     "\x16\x03\x01\xff\xff"
                     "abc",
                     8);
    free(record);
}
END_TEST

struct pair {
    struct peer *client, *server;
};

static struct pair connect_pair(int version)
{
    struct pair pair = {.server = new_server(),
                        .client = peer_new(&(struct peer_options){.trust = pki_root(pki),
                                                                  .host = "localhost",
                                                                  .max_version = version,
                                                                  .sealable = true})};

    do {
        peer_step(pair.client);
        peer_transfer(pair.client, pair.server, SIZE_MAX);
        peer_step(pair.server);
    } while (peer_transfer(pair.server, pair.client, SIZE_MAX) > 0);
    ck_assert(peer_is_open(pair.client) && peer_is_open(pair.server));
    return pair;
}

static void pair_free(struct pair pair)
{
    peer_free(pair.client);
    peer_free(pair.server);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* Both directions, with both versions: data, empty records, an alert. */
START_TEST(seal__records_are_accepted)
{
    struct pair pair = connect_pair(versions[_i % 2]);
    struct peer *from = _i < 2 ? pair.client : pair.server;
    struct peer *to = _i < 2 ? pair.server : pair.client;
    struct seal *seal = seal_new(from);
    const unsigned char *data;
    size_t len;

    seal_record(seal, SSL3_RT_APPLICATION_DATA, "hello", 5);
    for (int i = 0; i < 10; i++)
        seal_record(seal, SSL3_RT_APPLICATION_DATA, NULL, 0);
    seal_record(seal, SSL3_RT_APPLICATION_DATA, "world", 5);
    peer_transfer(from, to, SIZE_MAX);
    ck_assert_int_eq(peer_step(to), PEER_WANT_INPUT);
    data = peer_received(to, &len);
    ck_assert_uint_eq(len, 10);
    ck_assert_mem_eq(data, "helloworld", 10);

    seal_record(seal, SSL3_RT_ALERT, "\x02\x32", 2);
    peer_transfer(from, to, SIZE_MAX);
    ck_assert_int_eq(peer_step(to), PEER_FAILED);
    ck_assert_int_eq(peer_alert_received(to), SSL_AD_DECODE_ERROR);
    seal_free(seal);
    pair_free(pair);
}
END_TEST

START_TEST(seal__broken_record_is_refused)
{
    struct pair pair = connect_pair(versions[_i]);
    struct seal *seal = seal_new(pair.client);

    seal_broken_record(seal, SSL3_RT_APPLICATION_DATA, "hello", 5);
    peer_transfer(pair.client, pair.server, SIZE_MAX);
    ck_assert_int_eq(peer_step(pair.server), PEER_FAILED);
    ck_assert_int_eq(peer_alert_sent(pair.server), SSL_AD_BAD_RECORD_MAC);
    seal_free(seal);
    pair_free(pair);
}
END_TEST

START_TEST(seal__key_updates_and_padding)
{
    struct pair pair = connect_pair(TLS1_3_VERSION);
    struct seal *seal = seal_new(pair.client);
    size_t len;

    for (int i = 0; i < 3; i++) {
        seal_key_update(seal, i == 1);
        seal_padded_record(seal, SSL3_RT_APPLICATION_DATA, "x", 1, (size_t)i * 5000);
    }
    peer_transfer(pair.client, pair.server, SIZE_MAX);
    ck_assert_int_eq(peer_step(pair.server), PEER_WANT_INPUT);
    ck_assert_uint_eq(peer_key_updates_received(pair.server), 3);
    peer_received(pair.server, &len);
    ck_assert_uint_eq(len, 3);
    seal_padded_record(seal, 0, NULL, 0, 100);
    peer_transfer(pair.client, pair.server, SIZE_MAX);
    ck_assert_int_eq(peer_step(pair.server), PEER_FAILED);
    ck_assert_int_eq(peer_alert_sent(pair.server), SSL_AD_UNEXPECTED_MESSAGE);
    seal_free(seal);
    pair_free(pair);
}
END_TEST

START_TEST(seal__content_above_the_limit)
{
    static const unsigned char big[16385];
    struct pair pair = connect_pair(versions[_i]);
    struct seal *seal = seal_new(pair.client);

    seal_record(seal, SSL3_RT_APPLICATION_DATA, big, sizeof big);
    peer_transfer(pair.client, pair.server, SIZE_MAX);
    ck_assert_int_eq(peer_step(pair.server), PEER_FAILED);
    ck_assert_int_eq(peer_alert_sent(pair.server), SSL_AD_RECORD_OVERFLOW);
    seal_free(seal);
    pair_free(pair);
}
END_TEST

static Suite *support_raw_suite(void)
{
    Suite *suite = suite_create("support_raw");
    TCase *tc = tcase_create("raw");

    tcase_add_unchecked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, hello__is_answered, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(tc, hello__grease_values_are_reserved_ones);
    tcase_add_test(tc, hello__records_can_lie);
    tcase_add_loop_test(tc, seal__records_are_accepted, 0, 4);
    tcase_add_loop_test(tc, seal__broken_record_is_refused, 0, 2);
    tcase_add_test(tc, seal__key_updates_and_padding);
    tcase_add_loop_test(tc, seal__content_above_the_limit, 0, 2);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_raw_suite());
}
