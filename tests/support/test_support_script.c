/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "loop.h"
#include "net.h"
#include "script_transport.h"
#include "suite.h"

/* Sends a stream from side 0 to side 1 until nothing moves, and says how it ended. */
struct transfer {
    size_t received;
    ssize_t end; /* last result of a read */
    uint64_t took_ms;
    uint64_t fingerprint; /* of all results in order */
};

static struct transfer run(const struct script *script, size_t total)
{
    static unsigned char sent[200000], got[200000];
    struct transport *t = transport_new(script);
    struct transfer result = {0};
    size_t written = 0;
    unsigned idle = 0;
    struct rng rng;

    rng_init(&rng, script->seed);
    rng_fill(&rng, sent, total);
    while (idle < 20) {
        ssize_t n = 0, m;

        if (written < total) {
            n = transport_write(t, 0, sent + written, total - written);
            if (n > 0)
                written += (size_t)n;
        } else {
            transport_shutdown(t, 0);
        }
        m = transport_read(t, 1, got + result.received, sizeof got - result.received);
        if (m > 0)
            result.received += (size_t)m;
        result.fingerprint = result.fingerprint * 31 + (uint64_t)n * 7 + (uint64_t)m;
        result.end = m;
        if (m == 0 || m == -ECONNRESET)
            break;
        if (m == -EAGAIN)
            transport_tick(t);
        idle = n > 0 || m > 0 ? 0 : idle + 1;
    }
    ck_assert_mem_eq(got, sent, result.received);
    result.took_ms = transport_now_ms(t);
    transport_free(t);
    return result;
}

START_TEST(script__everything_arrives_in_order)
{
    for (uint64_t seed = (uint64_t)_i * 100; seed < (uint64_t)_i * 100 + 100; seed++) {
        struct script script = script_make(seed);
        size_t total = script.max_bytes == 1 ? 500 : 20000;
        struct transfer result = run(&script, total);

        if (result.received != total || result.end != 0)
            script_print(&script, stderr);
        ck_assert_uint_eq(result.received, total);
        ck_assert_int_eq(result.end, 0);
    }
}
END_TEST

START_TEST(script__the_same_seed_is_the_same_run)
{
    bool differs = false;

    for (uint64_t seed = 0; seed < 50; seed++) {
        struct script script = script_make(seed);
        struct transfer first = run(&script, 3000);
        struct transfer second = run(&script, 3000);
        struct transfer other;

        ck_assert_uint_eq(first.fingerprint, second.fingerprint);
        ck_assert_uint_eq(first.took_ms, second.took_ms);
        script.seed++;
        other = run(&script, 3000);
        differs = differs || other.fingerprint != first.fingerprint;
    }
    ck_assert(differs);
}
END_TEST

START_TEST(script__cuts_at_the_byte)
{
    struct script script = {.seed = 7, .max_bytes = 10};

    script.end[0].at = (uint64_t)_i;
    script.end[0].cut = SCRIPT_END;
    ck_assert_uint_eq(run(&script, 100).received, _i);
    ck_assert_int_eq(run(&script, 100).end, 0);
    script.end[0].cut = SCRIPT_RESET;
    ck_assert_uint_eq(run(&script, 100).received, _i);
    ck_assert_int_eq(run(&script, 100).end, -ECONNRESET);
}
END_TEST

START_TEST(script__made_cuts_are_both_kinds)
{
    unsigned seen[2][3] = {{0}};

    for (uint64_t seed = 0; seed < 100; seed++) {
        struct script script = script_make_cut(seed, 1000);

        ck_assert_uint_lt(script.end[0].at, 1000);
        for (unsigned side = 0; side < 2; side++)
            seen[side][script.end[side].cut]++;
    }
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned cut = 0; cut < 3; cut++)
            ck_assert_uint_gt(seen[side][cut], 10);
    }
}
END_TEST

START_TEST(script__streams_differ)
{
    struct script script = {.seed = 3, .max_bytes = 1000};
    struct script_player a, b;
    unsigned same = 0;

    script_play(&a, &script, 0);
    script_play(&b, &script, 1);
    for (int i = 0; i < 100; i++)
        same += script_next(&a, 1000).max == script_next(&b, 1000).max;
    ck_assert_uint_lt(same, 50);
}
END_TEST

START_TEST(script__odds_are_kept)
{
    struct script script = {.seed = 3, .again_per_mille = 400, .max_bytes = 8};
    struct script_player player;
    unsigned refused = 0, in_a_row = 0;

    script_play(&player, &script, 0);
    for (int i = 0; i < 10000; i++) {
        struct faults_verdict v = script_next(&player, 100);

        in_a_row = v.error != 0 ? in_a_row + 1 : 0;
        refused += v.error != 0;
        ck_assert_uint_le(in_a_row, 3);
        if (v.error == 0)
            ck_assert(v.max >= 1 && v.max <= 8);
    }
    ck_assert_uint_gt(refused, 2500);
    ck_assert_uint_lt(refused, 4500);
}
END_TEST

START_TEST(transport__delays_and_capacity)
{
    struct script script = {.seed = 1, .capacity = 10};
    struct transport *t = transport_new(&script);
    char data[16];

    ck_assert(transport_writable(t, 0) && !transport_readable(t, 1));
    ck_assert_int_eq(transport_write(t, 0, "0123456789abcdef", 16), 10);
    ck_assert_int_eq(transport_write(t, 0, "a", 1), -EAGAIN);
    ck_assert(!transport_writable(t, 0) && transport_readable(t, 1));
    ck_assert_int_eq(transport_read(t, 1, data, 4), 4);
    ck_assert_int_eq(transport_write(t, 0, "abcdef", 6), 4);
    ck_assert_uint_eq(transport_sent(t, 0), 14);
    ck_assert_uint_eq(transport_in_flight(t, 0), 10);
    ck_assert(!transport_tick(t));
    transport_free(t);

    script = (struct script){.seed = 1, .max_delay_ms = 1000};
    t = transport_new(&script);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(transport_write(t, 0, "x", 1), 1);
    ck_assert_int_lt(transport_read(t, 1, data, 16), 16);
    ck_assert(transport_tick(t));
    ck_assert_uint_gt(transport_now_ms(t), 0);
    transport_free(t);
}
END_TEST

START_TEST(transport__ends_as_sockets_do)
{
    struct script script = {.seed = 1};
    struct transport *t = transport_new(&script);
    char data[16];

    /* Half a close: the other direction lives. */
    ck_assert_int_eq(transport_write(t, 0, "abc", 3), 3);
    transport_shutdown(t, 0);
    ck_assert_int_eq(transport_write(t, 0, "d", 1), -EPIPE);
    ck_assert_int_eq(transport_read(t, 1, data, 16), 3);
    ck_assert_int_eq(transport_read(t, 1, data, 16), 0);
    ck_assert_int_eq(transport_write(t, 1, "xyz", 3), 3);

    /* A close that leaves bytes unread is a reset, told once, after the data. */
    transport_close(t, 0);
    ck_assert_int_eq(transport_write(t, 1, "d", 1), -ECONNRESET);
    ck_assert_int_eq(transport_write(t, 1, "d", 1), -EPIPE);
    ck_assert_int_eq(transport_read(t, 1, data, 16), 0);
    transport_free(t);

    /* Writing to what was closed well: taken, then a reset. */
    t = transport_new(&script);
    transport_close(t, 0);
    ck_assert_int_eq(transport_read(t, 1, data, 16), 0);
    ck_assert_int_eq(transport_write(t, 1, "d", 1), 1);
    ck_assert_int_eq(transport_write(t, 1, "d", 1), -ECONNRESET);
    transport_free(t);

    t = transport_new(&script);
    ck_assert_int_eq(transport_write(t, 0, "abc", 3), 3);
    transport_reset(t, 0);
    ck_assert_int_eq(transport_read(t, 1, data, 16), 3);
    ck_assert_int_eq(transport_read(t, 1, data, 16), -ECONNRESET);
    ck_assert_int_eq(transport_read(t, 1, data, 16), 0);
    transport_free(t);
}
END_TEST

START_TEST(transport__carries_peers_and_buffers)
{
    struct pki *pki = pki_new();
    struct pki_ident *ident = pki_issue(pki, &(struct pki_spec){0});

    for (uint64_t seed = 0; seed < 30; seed++) {
        struct script script = script_make(seed);
        struct peer *server = peer_new(&(struct peer_options){.server = true, .ident = ident});
        struct peer *client =
            peer_new(&(struct peer_options){.trust = pki_root(pki), .host = "localhost"});
        struct transport *t = transport_new(&script);

        for (int idle = 0; idle < 20;) {
            size_t moved;

            peer_step(client);
            peer_step(server);
            moved = transport_step_peer(t, 0, client) + transport_step_peer(t, 1, server);
            idle = moved > 0 || transport_tick(t) ? 0 : idle + 1;
        }
        ck_assert(peer_is_open(client) && peer_is_open(server));
        transport_free(t);
        peer_free(client);
        peer_free(server);
    }
    pki_free(pki);
}
END_TEST

START_TEST(transport__evbuffers)
{
    struct script script = {.seed = 1, .max_bytes = 3};
    struct transport *t = transport_new(&script);
    struct evbuffer *out = evbuffer_new(), *in = evbuffer_new();

    evbuffer_add(out, "hello world", 11);
    ck_assert_int_eq(transport_write_buffer(t, 0, in), 0);
    while (evbuffer_get_length(in) < 11) {
        transport_write_buffer(t, 0, out);
        transport_read_buffer(t, 1, in);
    }
    ck_assert_uint_eq(evbuffer_get_length(out), 0);
    ck_assert_mem_eq(evbuffer_pullup(in, -1), "hello world", 11);
    evbuffer_free(in);
    evbuffer_free(out);
    transport_free(t);
}
END_TEST

static bool is_whole(void *arg)
{
    return evbuffer_get_length(bufferevent_get_input(arg)) == 100000;
}

/* The script on the system calls of two real bufferevents. */
START_TEST(script__drives_bufferevents)
{
    static unsigned char data[100000];
    struct event_base *base = event_base_new();
    struct script script = {
        .seed = 5, .max_bytes = 3000, .again_per_mille = 200, .eintr_per_mille = 100};
    struct script_player players[2];
    struct bufferevent *bev[2];
    struct faults *f[2];
    int fds[2];
    struct rng rng;

    net_pair(NET_UNIX, 0, fds);
    for (unsigned i = 0; i < 2; i++) {
        f[i] = faults_attach(fds[i]);
        script_attach(&players[i], &script, i, f[i]);
        net_set_nonblocking(fds[i], true);
        bev[i] = bufferevent_socket_new(base, fds[i], BEV_OPT_CLOSE_ON_FREE);
        bufferevent_enable(bev[i], EV_READ | EV_WRITE);
    }
    rng_init(&rng, 1);
    rng_fill(&rng, data, sizeof data);
    bufferevent_write(bev[0], data, sizeof data);
    ck_assert(loop_until(base, is_whole, bev[1], 20000));
    ck_assert_mem_eq(evbuffer_pullup(bufferevent_get_input(bev[1]), -1), data, sizeof data);
    ck_assert_uint_gt(faults_calls(f[0], FAULTS_WRITE), 34);
    bufferevent_free(bev[0]);
    bufferevent_free(bev[1]);
    faults_reset();
    event_base_free(base);
}
END_TEST

static Suite *support_script_suite(void)
{
    Suite *suite = suite_create("support_script");
    TCase *tc = tcase_create("script");

    tcase_add_loop_test(tc, script__everything_arrives_in_order, 0, 2);
    tcase_add_test(tc, script__the_same_seed_is_the_same_run);
    tcase_add_loop_test(tc, script__cuts_at_the_byte, 0, 25);
    tcase_add_test(tc, script__made_cuts_are_both_kinds);
    tcase_add_test(tc, script__streams_differ);
    tcase_add_test(tc, script__odds_are_kept);
    tcase_add_test(tc, transport__delays_and_capacity);
    tcase_add_test(tc, transport__ends_as_sockets_do);
    tcase_add_test(tc, transport__carries_peers_and_buffers);
    tcase_add_test(tc, transport__evbuffers);
    tcase_add_test(tc, script__drives_bufferevents);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_script_suite());
}
