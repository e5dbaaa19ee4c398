/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "loop.h"
#include "suite.h"
#include "vclock.h"
#include "wire.h"

struct ends {
    struct event_base *base;
    struct wire *wire;
    struct bufferevent *bev[2];
    short what[2];
};

static void on_event_0(struct bufferevent *bev, short what, void *arg)
{
    ((struct ends *)arg)->what[0] = what;
}

static void on_event_1(struct bufferevent *bev, short what, void *arg)
{
    ((struct ends *)arg)->what[1] = what;
}

static void ends_open(struct ends *ends, enum net_kind kind, const struct script *script)
{
    int fds[2];

    *ends = (struct ends){.base = event_base_new()};
    ends->wire = wire_new(ends->base, kind, script, fds);
    for (unsigned i = 0; i < 2; i++) {
        ends->bev[i] = bufferevent_socket_new(ends->base, fds[i], BEV_OPT_CLOSE_ON_FREE);
        bufferevent_setcb(ends->bev[i], NULL, NULL, i == 0 ? on_event_0 : on_event_1, ends);
        bufferevent_enable(ends->bev[i], EV_READ | EV_WRITE);
    }
}

static void ends_close(struct ends *ends)
{
    bufferevent_free(ends->bev[0]);
    bufferevent_free(ends->bev[1]);
    wire_free(ends->wire);
    event_base_free(ends->base);
    vclock_disable();
}

static size_t got(const struct ends *ends, unsigned side)
{
    return evbuffer_get_length(bufferevent_get_input(ends->bev[side]));
}

static bool both_whole(void *arg)
{
    return got(arg, 0) == 30000 && got(arg, 1) == 30000;
}

START_TEST(wire__carries_both_ways)
{
    static unsigned char data[30000];
    struct script script = script_make((uint64_t)_i);
    struct ends ends;
    struct rng rng;

    vclock_enable();
    vclock_set_grace_ms(0);
    if (script.max_bytes == 1)
        script.max_bytes = 50;
    ends_open(&ends, NET_UNIX, &script);
    rng_init(&rng, (uint64_t)_i);
    rng_fill(&rng, data, sizeof data);
    bufferevent_write(ends.bev[0], data, sizeof data);
    bufferevent_write(ends.bev[1], data, sizeof data);
    ck_assert(loop_until(ends.base, both_whole, &ends, 3600000));
    for (unsigned i = 0; i < 2; i++)
        ck_assert_mem_eq(evbuffer_pullup(bufferevent_get_input(ends.bev[i]), -1), data,
                         sizeof data);
    ck_assert_uint_eq(wire_delivered(ends.wire, 0), sizeof data);
    ends_close(&ends);
}
END_TEST

START_TEST(wire__delay_is_virtual)
{
    struct script script = {.seed = 2, .max_bytes = 10, .max_delay_ms = 5000};
    struct ends ends;
    static const char data[30000];

    vclock_enable();
    vclock_set_grace_ms(0);
    ends_open(&ends, NET_UNIX, &script);
    bufferevent_write(ends.bev[0], data, sizeof data);
    bufferevent_write(ends.bev[1], data, sizeof data);
    ck_assert(loop_until(ends.base, both_whole, &ends, 36000000));
    ck_assert_int_gt(vclock_elapsed_ms(), 60000);
    ends_close(&ends);
}
END_TEST

static bool side_1_ended(void *arg)
{
    return ((struct ends *)arg)->what[1] != 0;
}

START_TEST(wire__cuts_at_the_byte)
{
    bool reset = _i % 2 == 1;
    struct script script = {.seed = 1, .max_bytes = 7};
    struct ends ends;

    script.end[0].at = (uint64_t)_i / 2 * 10;
    script.end[0].cut = reset ? SCRIPT_RESET : SCRIPT_END;
    ends_open(&ends, NET_TCP, &script);
    bufferevent_write(ends.bev[0], "0123456789abcdefghijklmnopqrstuvwxyz", 36);
    ck_assert(loop_until(ends.base, side_1_ended, &ends, 20000));
    ck_assert_uint_le(got(&ends, 1), script.end[0].at);
    if (reset) {
        ck_assert_int_eq(ends.what[1], BEV_EVENT_READING | BEV_EVENT_ERROR);
    } else {
        ck_assert_uint_eq(got(&ends, 1), script.end[0].at);
        ck_assert_int_eq(ends.what[1], BEV_EVENT_READING | BEV_EVENT_EOF);
        ck_assert_int_eq(ends.what[0], 0);
    }
    ends_close(&ends);
}
END_TEST

START_TEST(wire__end_of_one_side_is_passed_on)
{
    struct script script = {.seed = 1};
    struct ends ends;

    ends_open(&ends, NET_TCP, &script);
    bufferevent_write(ends.bev[0], "abc", 3);
    event_base_loop(ends.base, EVLOOP_NONBLOCK);
    ck_assert_int_eq(shutdown(bufferevent_getfd(ends.bev[0]), SHUT_WR), 0);
    ck_assert(loop_until(ends.base, side_1_ended, &ends, 20000));
    ck_assert_int_eq(ends.what[1], BEV_EVENT_READING | BEV_EVENT_EOF);
    ck_assert_uint_eq(got(&ends, 1), 3);
    ck_assert_uint_eq(loop_turns(ends.base, 30), 0);
    ends_close(&ends);
}
END_TEST

static Suite *support_wire_suite(void)
{
    Suite *suite = suite_create("support_wire");
    TCase *tc = tcase_create("wire");

    tcase_add_loop_test(tc, wire__carries_both_ways, 0, 20);
    tcase_add_test(tc, wire__delay_is_virtual);
    tcase_add_loop_test(tc, wire__cuts_at_the_byte, 0, 6);
    tcase_add_test(tc, wire__end_of_one_side_is_passed_on);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_wire_suite());
}
