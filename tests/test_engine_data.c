/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plaintext in and out: records, limits, buffers, key updates in between.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <evtls/openssl.h>

#include "engine.h"
#include "support/engine_pair.h"
#include "support/require.h"
#include "support/suite.h"

#define RECORD 16384

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* Bytes that tell where in the stream they stand. */
static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

static unsigned char *make_pattern(size_t len)
{
    unsigned char *data = malloc(len + 1);

    support_require(data != NULL);
    for (size_t i = 0; i < len; i++)
        data[i] = pattern(i);
    return data;
}

/* Puts len bytes into buf, in chains of so many. */
static void add_chains(struct evbuffer *buf, size_t len, size_t chain)
{
    unsigned char *data = make_pattern(len);

    for (size_t at = 0; at < len; at += chain) {
        struct evbuffer *one = evbuffer_new();

        evbuffer_add(one, data + at, chain < len - at ? chain : len - at);
        evbuffer_add_buffer(buf, one);
        evbuffer_free(one);
    }
    free(data);
}

/* Reads all there is from the end and checks that it is the pattern from *at on. */
static void read_pattern(struct end *end, size_t *at)
{
    unsigned char data[5000];
    ev_ssize_t n;

    while ((n = evtls_engine_read(end->engine, data, sizeof(data))) > 0) {
        for (ev_ssize_t i = 0; i < n; i++)
            support_require(data[i] == pattern((*at)++));
    }
    ck_assert_int_eq((int)n, EVTLS_ERR_WANT_READ);
}

/* ---- Writing ---------------------------------------------------------------------------- */

static const size_t sizes[] = {1, 2, 100, RECORD - 1, RECORD, RECORD + 1, 3 * RECORD + 17};

START_TEST(data__of_all_sizes)
{
    struct pair pair;
    size_t len = sizes[_i / 2], at = 0;
    unsigned char *data = make_pattern(len);
    char records[16];

    pair_open_connected(&pair, versions[_i % 2]);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, data, len), (int)len);
    ck_assert_uint_eq(strlen(list_records(&pair.client, records, sizeof(records))),
                      (len + RECORD - 1) / RECORD);
    ck_assert_uint_le(longest_record(&pair.client), RECORD + 256);
    carry(&pair.client, &pair.server, CARRY_ALL);
    read_pattern(&pair.server, &at);
    ck_assert_uint_eq(at, len);
    free(data);
    pair_close(&pair);
}
END_TEST

START_TEST(data__nothing)
{
    struct pair pair;
    struct evbuffer *empty = evbuffer_new();

    pair_open_connected(&pair, 0);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 0), 0);
    ck_assert_int_eq(evtls_engine_write_buffer(pair.client.engine, empty, 100), 0);
    evbuffer_add(empty, "x", 1);
    ck_assert_int_eq(evtls_engine_write_buffer(pair.client.engine, empty, 0), 0);
    ck_assert_int_eq(evtls_engine_step_write(pair.client.engine, empty, 1, 5), 0);
    ck_assert_int_eq(evtls_engine_step_write(pair.client.engine, empty, 7, 5), 0);
    ck_assert_uint_eq(evbuffer_get_length(pair.client.out), 0);
    evbuffer_free(empty);
    pair_close(&pair);
}
END_TEST

/* A6: few records, whatever the chains are; each byte once and in order. */
static const struct {
    size_t len, chain;
    size_t records;
} layouts[] = {
    {8 * 500, 500, 1}, {64 * 1024, 1024, 4},   {64 * 1024, 64 * 1024, 4}, {40000, 7, 3},
    {40000, 1, 3},     {3 * RECORD, 20000, 3}, {RECORD + 1, RECORD, 2},   {RECORD + 1, 1, 2},
};

START_TEST(data__from_a_buffer)
{
    struct pair pair;
    struct evbuffer *buf = evbuffer_new();
    char records[16];
    size_t at = 0;

    pair_open_connected(&pair, 0);
    evtls_engine_set_output_limit(pair.client.engine, 0);
    add_chains(buf, layouts[_i].len, layouts[_i].chain);
    ck_assert_int_eq(evtls_engine_write_buffer(pair.client.engine, buf, EV_SIZE_MAX),
                     (int)layouts[_i].len);
    ck_assert_uint_eq(evbuffer_get_length(buf), 0);
    ck_assert_uint_eq(strlen(list_records(&pair.client, records, sizeof(records))),
                      layouts[_i].records);
    carry(&pair.client, &pair.server, CARRY_ALL);
    read_pattern(&pair.server, &at);
    ck_assert_uint_eq(at, layouts[_i].len);
    evbuffer_free(buf);
    pair_close(&pair);
}
END_TEST

/* As a transport does: nothing is drained, and the next step goes on behind what was taken. */
START_TEST(data__from_a_buffer_by_offset)
{
    struct pair pair;
    struct evbuffer *buf = evbuffer_new();
    const size_t len = 70000, step = 9999;
    size_t offset = 0, at = 0;

    pair_open_connected(&pair, 0);
    add_chains(buf, len, 777);
    while (offset < len) {
        ev_ssize_t n = evtls_engine_step_write(pair.client.engine, buf, offset, step);

        ck_assert_int_gt(n, 0);
        ck_assert_int_le(n, (int)step);
        offset += (size_t)n;
        ck_assert_uint_eq(evbuffer_get_length(buf), len);
        carry(&pair.client, &pair.server, CARRY_ALL);
    }
    read_pattern(&pair.server, &at);
    ck_assert_uint_eq(at, len);
    evbuffer_free(buf);
    pair_close(&pair);
}
END_TEST

/* The limit is exceeded by one record at most. */
START_TEST(data__stops_at_the_output_limit)
{
    struct pair pair;
    struct evbuffer *buf = evbuffer_new();
    size_t at = 0, sent = 0;
    ev_ssize_t n;

    pair_open_connected(&pair, 0);
    evtls_engine_set_output_limit(pair.client.engine, 20000);
    add_chains(buf, 200000, 3000);
    while (evbuffer_get_length(buf) > 0) {
        n = evtls_engine_write_buffer(pair.client.engine, buf, 200000);
        ck_assert_int_gt(n, 0);
        sent += (size_t)n;
        ck_assert_uint_eq(evbuffer_get_length(buf), 200000 - sent);
        ck_assert_uint_lt(evbuffer_get_length(pair.client.out), 20000 + 16640);
        if (evbuffer_get_length(buf) > 0) {
            ck_assert_uint_ge(evbuffer_get_length(pair.client.out), 20000);
            n = evtls_engine_write_buffer(pair.client.engine, buf, 200000);
            ck_assert_int_eq(n, EVTLS_ERR_WANT_WRITE);
            ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_WANT_WRITE);
            ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 0), 0);
        }
        carry(&pair.client, &pair.server, CARRY_ALL);
        read_pattern(&pair.server, &at);
    }
    ck_assert_uint_eq(at, 200000);
    evbuffer_free(buf);
    pair_close(&pair);
}
END_TEST

/* A peer may ask for small records (RFC 6066, section 4). */
START_TEST(data__of_a_small_fragment_length)
{
    struct pair pair;
    struct peer *peer;
    unsigned char *data = make_pattern(RECORD);
    size_t got = 0, sent = 0;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    peer =
        peer_new(&(struct peer_options){.min_version = versions[_i], .max_version = versions[_i]});
    SSL_set_tlsext_max_fragment_length(peer_ssl(peer), TLSEXT_max_fragment_length_512);
    ck_assert(end_connect_peer(&pair.server, peer));
    evtls_engine_set_output_limit(pair.server.engine, 1000);
    while (sent < RECORD) {
        ev_ssize_t n = evtls_engine_write(pair.server.engine, data + sent, RECORD - sent);

        ck_assert_int_gt(n, 0);
        ck_assert_uint_le(longest_record(&pair.server), 512 + 256);
        ck_assert_uint_lt(evbuffer_get_length(pair.server.out), 1000 + 600);
        sent += (size_t)n;
        ck_assert(end_connect_peer(&pair.server, peer));
    }
    ck_assert(memcmp(peer_received(peer, &got), data, RECORD) == 0);
    ck_assert_uint_eq(got, RECORD);
    free(data);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* B53: the call that was told to wait is repeated with fewer bytes, or others, from elsewhere. */
START_TEST(data__repeated_with_other_bytes)
{
    struct pair pair;

    pair_open_connected(&pair, versions[_i]);
    evtls_engine_set_output_limit(pair.client.engine, 1);
    write_text(&pair.client, "first ");
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "a long text that waits", 22),
                     EVTLS_ERR_WANT_WRITE);
    carry(&pair.client, &pair.server, CARRY_ALL);
    write_text(&pair.client, "short");
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(read_text(&pair.server, "first short"), EVTLS_ERR_WANT_READ);
    pair_close(&pair);
}
END_TEST

/* B52: reading goes on while both wait for their output to be taken. */
START_TEST(data__both_write_before_they_read)
{
    struct pair pair;
    size_t len = 200000, client_sent = 0, server_sent = 0, client_got = 0, server_got = 0;
    unsigned char *data = make_pattern(len);

    pair_open_connected(&pair, versions[_i]);
    evtls_engine_set_output_limit(pair.client.engine, 512);
    evtls_engine_set_output_limit(pair.server.engine, 512);
    while (client_got < len || server_got < len) {
        ev_ssize_t n =
            evtls_engine_write(pair.client.engine, data + client_sent, len - client_sent);

        client_sent += n > 0 ? (size_t)n : 0;
        n = evtls_engine_write(pair.server.engine, data + server_sent, len - server_sent);
        server_sent += n > 0 ? (size_t)n : 0;
        ck_assert_uint_gt(
            carry(&pair.client, &pair.server, 5000) + carry(&pair.server, &pair.client, 3000), 0);
        read_pattern(&pair.client, &client_got);
        read_pattern(&pair.server, &server_got);
    }
    free(data);
    pair_close(&pair);
}
END_TEST

/* ---- Reading ---------------------------------------------------------------------------- */

START_TEST(data__read_in_small_parts)
{
    struct pair pair;
    char part[4];

    pair_open_connected(&pair, 0);
    write_text(&pair.client, "ab");
    write_text(&pair.client, "cdefgh");
    ck_assert_uint_eq(evtls_engine_get_pending(pair.server.engine), 0);
    ck_assert(!evtls_engine_has_input(pair.server.engine));
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert(evtls_engine_has_input(pair.server.engine));
    /* Over the border of records. */
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, part, 4), 4);
    ck_assert(memcmp(part, "abcd", 4) == 0);
    ck_assert_uint_eq(evtls_engine_get_pending(pair.server.engine), 4);
    ck_assert(evtls_engine_has_input(pair.server.engine));
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, part, 4), 4);
    ck_assert_uint_eq(evtls_engine_get_pending(pair.server.engine), 0);
    ck_assert(!evtls_engine_has_input(pair.server.engine));
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, part, 4), EVTLS_ERR_WANT_READ);
    pair_close(&pair);
}
END_TEST

/* All at once, and by parts that end within records and at their borders. */
static const size_t reads[] = {1000000, 16384, 16383, 16385, 4096, 1000, 33};

START_TEST(data__read_into_a_buffer)
{
    struct pair pair;
    struct evbuffer *buf = evbuffer_new();
    const size_t len = 100000;
    unsigned char *data = make_pattern(len);
    ev_ssize_t n;

    pair_open_connected(&pair, versions[_i % 2]);
    evtls_engine_set_output_limit(pair.client.engine, 0);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, data, len), (int)len);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evbuffer_pullup(pair.server.in, _i % 3 == 0 ? -1 : 0); /* one chain, or those it has */
    evbuffer_add(buf, "head", 4);
    while ((n = evtls_engine_read_buffer(pair.server.engine, buf, reads[_i / 2])) > 0)
        ck_assert_uint_le((size_t)n, reads[_i / 2]);
    ck_assert_int_eq((int)n, EVTLS_ERR_WANT_READ);
    ck_assert_uint_eq(evbuffer_get_length(buf), 4 + len);
    ck_assert(memcmp(evbuffer_pullup(buf, -1), "head", 4) == 0);
    ck_assert(memcmp(evbuffer_pullup(buf, -1) + 4, data, len) == 0);
    free(data);
    evbuffer_free(buf);
    pair_close(&pair);
}
END_TEST

/* An idle connection's input buffer owns no memory: tickets and key updates leave none there. */
START_TEST(data__no_space_is_reserved_for_nothing)
{
    struct pair pair;
    struct evbuffer *buf = evbuffer_new();
    struct evbuffer_iovec vec[2];

    pair_prepare(&pair, TLS1_3_VERSION);
    pair_open(&pair);
    evtls_engine_handshake(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evtls_engine_handshake(pair.server.engine);
    carry(&pair.server, &pair.client, CARRY_ALL);
    evtls_engine_handshake(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evtls_engine_handshake(pair.server.engine);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_read_buffer(pair.client.engine, buf, 100000),
                     EVTLS_ERR_WANT_READ);
    ck_assert_ptr_nonnull(evtls_engine_get_session(pair.client.engine));
    /* What is there could be told by an empty first chain. */
    ck_assert_int_eq(evbuffer_peek(buf, -1, NULL, vec, 2), 0);
    evbuffer_free(buf);
    pair_close(&pair);
}
END_TEST

/* A10: with OpenSSL's read-ahead whole records are held inside, where nobody else sees them. */
START_TEST(data__held_inside_by_read_ahead)
{
    struct pair pair;
    char byte;

    pair_open_connected(&pair, versions[_i]);
    SSL_set_read_ahead(evtls_engine_get_ssl(pair.server.engine), 1);
    write_text(&pair.client, "a");
    write_text(&pair.client, "b");
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), 1);
    ck_assert_uint_eq(evbuffer_get_length(pair.server.in), 0);
    ck_assert(evtls_engine_has_input(pair.server.engine));
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), 1);
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), EVTLS_ERR_WANT_READ);
    ck_assert(!evtls_engine_has_input(pair.server.engine));
    /* Half a record inside is nothing to go on with. */
    write_text(&pair.client, "c");
    carry(&pair.client, &pair.server, 10);
    ck_assert(evtls_engine_has_input(pair.server.engine));
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), EVTLS_ERR_WANT_READ);
    ck_assert(!evtls_engine_has_input(pair.server.engine));
    pair_close(&pair);
}
END_TEST

/* ---- Key updates ------------------------------------------------------------------------ */

/* In the middle of a write that waits; asked for in return or not. */
START_TEST(data__key_update_in_mid_write)
{
    struct pair pair;
    struct peer *peer;
    size_t len = 60000, sent = 0, got = 0;
    unsigned char *data = make_pattern(len);
    bool ask = _i != 0;

    pair_prepare(&pair, TLS1_3_VERSION);
    pair_open(&pair);
    peer = peer_new(&(struct peer_options){0});
    ck_assert(end_connect_peer(&pair.server, peer));
    evtls_engine_set_output_limit(pair.server.engine, 1000);
    while (got < len) {
        ev_ssize_t n = evtls_engine_write(pair.server.engine, data + sent, len - sent);

        sent += n > 0 ? (size_t)n : 0;
        ck_assert_int_eq(peer_key_update(peer, ask), PEER_OK);
        peer_write(peer, "x", 1);
        end_connect_peer(&pair.server, peer); /* the engine reads before its output is taken */
        ck_assert_ptr_null(evtls_engine_get_error(pair.server.engine));
        peer_received(peer, &got);
    }
    ck_assert(memcmp(peer_received(peer, &got), data, len) == 0);
    ck_assert_uint_eq(got, len);
    ck_assert_uint_ge(peer_key_updates_received(peer), ask ? 3 : 0);
    ck_assert_uint_le(peer_key_updates_received(peer), ask ? 100 : 0);
    free(data);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

static Suite *engine_data_suite(void)
{
    Suite *suite = suite_create("engine_data");
    TCase *tcase = tcase_create("engine_data");

    tcase_add_loop_test(tcase, data__of_all_sizes, 0, 2 * COUNT(sizes));
    tcase_add_test(tcase, data__nothing);
    tcase_add_loop_test(tcase, data__from_a_buffer, 0, COUNT(layouts));
    tcase_add_test(tcase, data__from_a_buffer_by_offset);
    tcase_add_test(tcase, data__stops_at_the_output_limit);
    tcase_add_loop_test(tcase, data__of_a_small_fragment_length, 0, COUNT(versions));
    tcase_add_loop_test(tcase, data__repeated_with_other_bytes, 0, COUNT(versions));
    tcase_add_loop_test(tcase, data__both_write_before_they_read, 0, COUNT(versions));
    tcase_add_test(tcase, data__read_in_small_parts);
    tcase_add_loop_test(tcase, data__read_into_a_buffer, 0, 2 * COUNT(reads));
    tcase_add_test(tcase, data__no_space_is_reserved_for_nothing);
    tcase_add_loop_test(tcase, data__held_inside_by_read_ahead, 0, COUNT(versions));
    tcase_add_loop_test(tcase, data__key_update_in_mid_write, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_data_suite());
}
