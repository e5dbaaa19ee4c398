/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <time.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "loop.h"
#include "net.h"
#include "suite.h"
#include "vclock.h"

static const char *const methods[] = {"epoll", "poll", "select"};

static struct event_base *new_base(const char *method)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i], method) != 0)
            event_config_avoid_method(config, methods[i]);
    }
    base = event_base_new_with_config(config);
    ck_assert_str_eq(event_base_get_method(base), method);
    event_config_free(config);
    return base;
}

static void set_up(void)
{
    vclock_enable();
}

static void tear_down(void)
{
    vclock_disable();
}

static void set_flag(evutil_socket_t fd, short what, void *arg)
{
    *(bool *)arg = true;
}

START_TEST(vclock__long_timer_fires_at_once)
{
    int64_t real_start = vclock_real_ms();
    struct event_base *base = new_base(methods[_i]);
    bool flag = false;
    struct event *timer = evtimer_new(base, set_flag, &flag);
    struct timeval tv = {.tv_sec = 30};

    evtimer_add(timer, &tv);
    ck_assert(loop_until_true(base, &flag, 60000));
    ck_assert_int_ge(vclock_elapsed_ms(), 30000);
    ck_assert_int_le(vclock_elapsed_ms(), 30010);
    ck_assert_int_lt(vclock_real_ms() - real_start, 10000);
    event_free(timer);
    event_base_free(base);
}
END_TEST

START_TEST(vclock__stands_still_and_moves_on_demand)
{
    struct timespec mono, real, later;
    struct timeval tv;
    time_t now = time(NULL);

    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &real);
    usleep(20000);
    clock_gettime(CLOCK_MONOTONIC_COARSE, &later);
    ck_assert_int_eq(later.tv_sec, mono.tv_sec);
    ck_assert_int_eq(later.tv_nsec, mono.tv_nsec);
    vclock_advance_ms(86400 * 1000);
    clock_gettime(CLOCK_MONOTONIC, &later);
    ck_assert_int_eq(later.tv_sec, mono.tv_sec + 86400);
    clock_gettime(CLOCK_REALTIME, &later);
    ck_assert_int_eq(later.tv_sec, real.tv_sec + 86400);
    ck_assert_int_eq(time(NULL), now + 86400);
    gettimeofday(&tv, NULL);
    ck_assert_int_eq(tv.tv_sec, now + 86400);
    vclock_disable();
    ck_assert_int_lt(time(NULL), now + 3600);
}
END_TEST

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    *(short *)arg = what;
}

static bool is_set(void *arg)
{
    return *(short *)arg != 0;
}

START_TEST(vclock__bufferevent_timeout)
{
    struct event_base *base = event_base_new();
    struct timeval tv = {.tv_sec = 300};
    struct bufferevent *bev;
    short what = 0;
    int fds[2];

    net_pair(NET_TCP, 0, fds);
    net_set_nonblocking(fds[0], true);
    bev = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, NULL, NULL, on_event, &what);
    bufferevent_set_timeouts(bev, &tv, NULL);
    bufferevent_enable(bev, EV_READ);
    ck_assert(!loop_until(base, is_set, &what, 299000));
    ck_assert(loop_until(base, is_set, &what, 2000));
    ck_assert_int_eq(what, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
    bufferevent_free(bev);
    event_base_free(base);
    close(fds[1]);
}
END_TEST

/* What is ready comes before any jump. */
START_TEST(vclock__ready_data_wins)
{
    struct event_base *base = new_base(methods[_i]);
    struct timeval tv = {.tv_sec = 30};
    bool flag = false;
    struct event *ev;
    int fds[2];

    net_pair(NET_UNIX, 0, fds);
    ev = event_new(base, fds[0], EV_READ, set_flag, &flag);
    event_add(ev, &tv);
    ck_assert(net_write_all(fds[1], "x", 1));
    ck_assert(loop_until_true(base, &flag, 60000));
    ck_assert_int_eq(vclock_elapsed_ms(), 0);
    ck_assert_uint_eq(vclock_jumps(), 0);
    event_free(ev);
    event_base_free(base);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

static Suite *support_vclock_suite(void)
{
    Suite *suite = suite_create("support_vclock");
    TCase *tc = tcase_create("vclock");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, vclock__long_timer_fires_at_once, 0, 3);
    tcase_add_test(tc, vclock__stands_still_and_moves_on_demand);
    tcase_add_test(tc, vclock__bufferevent_timeout);
    tcase_add_loop_test(tc, vclock__ready_data_wins, 0, 3);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_vclock_suite());
}
