/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways in which a connection ends: close_notify in either order, and ends without one.
 */
#include "config.h"

#include <string.h>

#include <openssl/err.h>

#include "engine.h"
#include "support/engine_pair.h"
#include "support/require.h"
#include "support/suite.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define N_VERSIONS COUNT(versions)

static int state_of(const struct end *end)
{
    return (int)evtls_engine_get_state(end->engine);
}

/* ---- close_notify ----------------------------------------------------------------------- */

/* C1: ours goes out, then the peer's is awaited; it answers when it likes. */
START_TEST(end__first_we_then_they)
{
    struct pair pair;
    char byte;

    pair_open_connected(&pair, versions[_i]);
    write_text(&pair.client, "last words");
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_int_eq(state_of(&pair.client), EVTLS_ENGINE_WRITE_CLOSED);
    ck_assert_int_eq(evtls_engine_write(pair.client.engine, "x", 1), EVTLS_ERR_PROTOCOL);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_uint_eq(evbuffer_get_length(pair.client.out), 0); /* sent once */

    ck_assert_int_eq(read_text(&pair.server, "last words"), EVTLS_ERR_CLOSED);
    ck_assert_int_eq(state_of(&pair.server), EVTLS_ENGINE_READ_CLOSED);
    ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), EVTLS_ERR_CLOSED);
    ck_assert(evtls_engine_got_close_notify(pair.server.engine));
    ck_assert_uint_eq(evbuffer_get_length(pair.server.out), 0); /* not answered by itself */
    write_text(&pair.server, "half-closed");
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    ck_assert_int_eq(state_of(&pair.server), EVTLS_ENGINE_CLOSED);
    ck_assert_int_eq(evtls_engine_write(pair.server.engine, "x", 1), EVTLS_ERR_PROTOCOL);
    carry(&pair.server, &pair.client, CARRY_ALL);

    /* Plaintext before the close is for the program to read first. */
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_int_eq(read_text(&pair.client, "half-closed"), EVTLS_ERR_CLOSED);
    ck_assert_int_eq(state_of(&pair.client), EVTLS_ENGINE_CLOSED);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), 0);
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    ck_assert_ptr_null(evtls_engine_get_error(pair.client.engine));
    ck_assert_ptr_null(evtls_engine_get_error(pair.server.engine));
    pair_close(&pair);
}
END_TEST

START_TEST(end__both_at_once)
{
    struct pair pair;

    pair_open_connected(&pair, versions[_i]);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), EVTLS_ERR_WANT_READ);
    carry(&pair.client, &pair.server, CARRY_ALL);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), 0);
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    ck_assert_int_eq(state_of(&pair.client), EVTLS_ENGINE_CLOSED);
    ck_assert_int_eq(state_of(&pair.server), EVTLS_ENGINE_CLOSED);
    pair_close(&pair);
}
END_TEST

/* A peer's close that is there already is seen by the call that sends ours. */
START_TEST(end__their_close_is_in_the_input)
{
    struct pair pair;

    pair_open_connected(&pair, versions[_i]);
    evtls_engine_shutdown(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    pair_close(&pair);
}
END_TEST

/* C1: SHUTDOWN_WHILE_IN_INIT; the handshake is not hurt. */
START_TEST(end__shutdown_before_the_handshake_is_done)
{
    struct pair pair;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_PROTOCOL);
    evtls_engine_handshake(pair.client.engine);
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_PROTOCOL);
    ck_assert(pair_connect(&pair));
    pair_close(&pair);
}
END_TEST

/* Trailing bytes are not ours: they stay in the input, and nothing spins on them. */
START_TEST(end__bytes_behind_close_notify_stay)
{
    struct pair pair;
    char byte;

    pair_open_connected(&pair, versions[_i]);
    evtls_engine_shutdown(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evbuffer_add(pair.server.in, "plaintext", 9);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(evtls_engine_read(pair.server.engine, &byte, 1), EVTLS_ERR_CLOSED);
        ck_assert_uint_eq(evbuffer_get_length(pair.server.in), 9);
        ck_assert(!evtls_engine_has_input(pair.server.engine));
    }
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    ck_assert_uint_eq(evbuffer_get_length(pair.server.in), 9);
    pair_close(&pair);
}
END_TEST

/* Our close_notify is our last record, also where the peer asks for new keys afterwards. */
START_TEST(end__nothing_follows_our_close_notify)
{
    struct pair pair;
    struct peer *peer;

    pair_prepare(&pair, TLS1_3_VERSION);
    pair_open(&pair);
    peer = peer_new(&(struct peer_options){0});
    ck_assert(end_connect_peer(&pair.server, peer));
    evtls_engine_shutdown(pair.server.engine);
    drop_output(&pair.server);
    peer_key_update(peer, true);
    peer_write(peer, "still here", 10);
    end_connect_peer(&pair.server, peer);
    ck_assert_int_eq(pair.server.status, EVTLS_ERR_WANT_READ);
    ck_assert_uint_eq(evbuffer_get_length(pair.server.out), 0);
    ck_assert_uint_eq(peer_key_updates_received(peer), 0);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* Nor does an alert. */
START_TEST(end__no_alert_follows_our_close_notify)
{
    struct pair pair;

    pair_open_connected(&pair, versions[_i]);
    evtls_engine_shutdown(pair.server.engine);
    drop_output(&pair.server);
    evbuffer_add(pair.server.in,
                 "\x17\x03\x03\x00\x20"
                 "0123456789abcdef0123456789abcdef",
                 37);
    ck_assert_int_eq(read_text(&pair.server, ""), EVTLS_ERR_PROTOCOL);
    ck_assert_uint_eq(evbuffer_get_length(pair.server.out), 0);
    ck_assert_int_eq(evtls_engine_get_error(pair.server.engine)->alert, -1);
    pair_close(&pair);
}
END_TEST

/* The limit on output does not hold close_notify back. */
START_TEST(end__close_notify_is_exempt_from_the_output_limit)
{
    struct pair pair;
    char records[8];

    pair_open_connected(&pair, TLS1_2_VERSION);
    evtls_engine_set_output_limit(pair.client.engine, 1);
    write_text(&pair.client, "x");
    ck_assert_int_eq(evtls_engine_shutdown(pair.client.engine), EVTLS_ERR_WANT_READ);
    ck_assert_str_eq(list_records(&pair.client, records, sizeof(records)), "da");
    pair_close(&pair);
}
END_TEST

START_TEST(end__close_notify_of_a_plain_peer)
{
    struct pair pair;
    struct peer *peer;

    pair_prepare(&pair, 0);
    pair_open(&pair);
    peer =
        peer_new(&(struct peer_options){.min_version = versions[_i], .max_version = versions[_i]});
    ck_assert(end_connect_peer(&pair.server, peer));
    peer_write(peer, "bye", 3);
    ck_assert_int_eq(peer_shutdown(peer), PEER_OK);
    end_connect_peer(&pair.server, peer);
    ck_assert_int_eq(pair.server.status, EVTLS_ERR_CLOSED);
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    end_connect_peer(&pair.server, peer);
    ck_assert_int_eq(peer_step(peer), PEER_CLOSED);
    peer_free(peer);
    pair_close(&pair);
}
END_TEST

/* ---- End of input ----------------------------------------------------------------------- */

/* Every way to meet the end of the input in an open connection. */
static const struct {
    const char *name;
    bool ragged; /* insecure_ragged_eof */
    bool shut;   /* after our close_notify */
    size_t cut;  /* bytes of a record before the end */
    int status, state;
} ends[] = {
    {"plain", false, false, 0, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"in a header", false, false, 3, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"after a header", false, false, 5, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"in a body", false, false, 9, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"after our close", false, true, 0, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"ragged", true, false, 0, EVTLS_ERR_CLOSED, EVTLS_ENGINE_READ_CLOSED},
    {"ragged, after our close", true, true, 0, EVTLS_ERR_CLOSED, EVTLS_ENGINE_CLOSED},
    {"ragged, in a header", true, false, 3, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"ragged, after a header", true, false, 5, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
    {"ragged, in a body", true, false, 9, EVTLS_ERR_TRUNCATED, EVTLS_ENGINE_FAILED},
};

/* B45, B46, C12: what came before is delivered, then the end is told, again and again. */
START_TEST(end__of_input)
{
    struct pair pair;
    struct end *end = &pair.server;
    size_t row = (size_t)_i / 2;

    pair_open_connected(&pair, versions[_i % 2]);
    evtls_engine_set_insecure_ragged_eof(end->engine, ends[row].ragged);
    write_text(&pair.client, "before");
    carry(&pair.client, end, CARRY_ALL);
    write_text(&pair.client, "cut off");
    carry(&pair.client, end, ends[row].cut);
    if (ends[row].shut)
        ck_assert_int_eq(evtls_engine_shutdown(end->engine), EVTLS_ERR_WANT_READ);
    drop_output(end);
    evtls_engine_set_input_eof(end->engine);
    for (int i = 0; i < 3; i++) {
        int status = read_text(end, i == 0 ? "before" : "");

        ck_assert_msg(status == ends[row].status, "%s: %s", ends[row].name,
                      evtls_status_name(status));
        ck_assert_int_eq(state_of(end), ends[row].state);
        ck_assert(!evtls_engine_has_input(end->engine));
    }
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ck_assert_uint_eq(evbuffer_get_length(end->out), 0);
    if (ends[row].status == EVTLS_ERR_CLOSED) {
        ck_assert_ptr_null(evtls_engine_get_error(end->engine));
        ck_assert(!evtls_engine_got_close_notify(end->engine));
        ck_assert_int_eq(evtls_engine_shutdown(end->engine), 0);
    } else {
        ck_assert_int_eq(evtls_engine_get_error(end->engine)->status, EVTLS_ERR_TRUNCATED);
        ck_assert_int_eq(evtls_engine_get_error(end->engine)->alert, -1);
        ck_assert_int_eq(evtls_engine_shutdown(end->engine), EVTLS_ERR_TRUNCATED);
        ck_assert_int_eq(evtls_engine_write(end->engine, "x", 1), EVTLS_ERR_TRUNCATED);
    }
    pair_close(&pair);
}
END_TEST

/* With the end of input a clean close stays clean, in one flight or not. */
START_TEST(end__of_input_behind_close_notify)
{
    struct pair pair;

    pair_open_connected(&pair, versions[_i]);
    write_text(&pair.client, "data");
    evtls_engine_shutdown(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    evtls_engine_set_input_eof(pair.server.engine);
    ck_assert_int_eq(read_text(&pair.server, "data"), EVTLS_ERR_CLOSED);
    write_text(&pair.server, "answer");
    ck_assert_int_eq(evtls_engine_shutdown(pair.server.engine), 0);
    carry(&pair.server, &pair.client, CARRY_ALL);
    evtls_engine_set_input_eof(pair.client.engine);
    ck_assert_int_eq(read_text(&pair.client, "answer"), EVTLS_ERR_CLOSED);
    pair_close(&pair);
}
END_TEST

/* Writing does not notice the end of the input; the next read does. */
START_TEST(end__of_input_and_writing)
{
    struct pair pair;

    pair_open_connected(&pair, versions[_i]);
    evtls_engine_set_input_eof(pair.server.engine);
    write_text(&pair.server, "one");
    ck_assert_int_eq(read_text(&pair.server, ""), EVTLS_ERR_TRUNCATED);
    ck_assert_int_eq(evtls_engine_write(pair.server.engine, "two", 3), EVTLS_ERR_TRUNCATED);
    carry(&pair.server, &pair.client, CARRY_ALL);
    ck_assert_int_eq(read_text(&pair.client, "one"), EVTLS_ERR_WANT_READ);
    pair_close(&pair);
}
END_TEST

/* Only an end in an open connection can be ragged: here the client's second flight is missing. */
START_TEST(end__ragged_is_no_way_out_of_the_handshake)
{
    struct pair pair;

    pair_prepare(&pair, versions[_i]);
    pair_open(&pair);
    evtls_engine_set_insecure_ragged_eof(pair.server.engine, 1);
    evtls_engine_handshake(pair.client.engine);
    carry(&pair.client, &pair.server, CARRY_ALL);
    ck_assert_int_eq(evtls_engine_handshake(pair.server.engine), EVTLS_ERR_WANT_READ);
    evtls_engine_set_input_eof(pair.server.engine);
    ck_assert_int_eq(evtls_engine_handshake(pair.server.engine), EVTLS_ERR_TRUNCATED);
    pair_close(&pair);
}
END_TEST

static Suite *engine_end_suite(void)
{
    Suite *suite = suite_create("engine_end");
    TCase *tcase = tcase_create("engine_end");

    tcase_add_loop_test(tcase, end__first_we_then_they, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__both_at_once, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__their_close_is_in_the_input, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__shutdown_before_the_handshake_is_done, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__bytes_behind_close_notify_stay, 0, N_VERSIONS);
    tcase_add_test(tcase, end__nothing_follows_our_close_notify);
    tcase_add_loop_test(tcase, end__no_alert_follows_our_close_notify, 0, N_VERSIONS);
    tcase_add_test(tcase, end__close_notify_is_exempt_from_the_output_limit);
    tcase_add_loop_test(tcase, end__close_notify_of_a_plain_peer, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__of_input, 0, 2 * COUNT(ends));
    tcase_add_loop_test(tcase, end__of_input_behind_close_notify, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__of_input_and_writing, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, end__ragged_is_no_way_out_of_the_handshake, 0, N_VERSIONS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_end_suite());
}
