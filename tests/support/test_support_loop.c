/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "forked_peer.h"
#include "loop.h"
#include "net.h"
#include "suite.h"

static void set_flag(evutil_socket_t fd, short what, void *arg)
{
    *(bool *)arg = true;
}

static void count(evutil_socket_t fd, short what, void *arg)
{
    ++*(unsigned *)arg;
}

START_TEST(loop__until_stops_at_the_condition)
{
    struct event_base *base = event_base_new();
    bool flag = false;
    struct event *timer = evtimer_new(base, set_flag, &flag);
    struct timeval tv = {.tv_usec = 10000};

    evtimer_add(timer, &tv);
    ck_assert(loop_until_true(base, &flag, 60000));
    ck_assert(loop_until_true(base, &flag, 60000));
    flag = false;
    ck_assert(!loop_until_true(base, &flag, 20));
    event_free(timer);
    event_base_free(base);
}
END_TEST

START_TEST(loop__turns_tell_quiet_from_spin)
{
    struct event_base *base = event_base_new();
    int fds[2];
    unsigned n = 0;
    struct event *ev;
    long cpu = loop_cpu_us();

    net_pair(NET_UNIX, 0, fds);
    ev = event_new(base, fds[0], EV_READ | EV_PERSIST, count, &n);
    event_add(ev, NULL);
    ck_assert_uint_eq(loop_turns(base, 50), 0);
    ck_assert(net_write_all(fds[1], "x", 1)); /* nobody reads it: ready for ever */
    ck_assert_uint_gt(loop_turns(base, 200), 2);
    ck_assert_uint_gt(n, 2);
    ck_assert_int_gt(loop_cpu_us(), cpu);
    n = 0;
    ck_assert(loop_until_count(base, &n, 3, 10000));
    ck_assert_uint_eq(n, 3);
    event_free(ev);
    close(fds[0]);
    close(fds[1]);
    event_base_free(base);
}
END_TEST

START_TEST(loop__drain_does_not_wait)
{
    struct event_base *base = event_base_new();
    unsigned n = 0;
    struct event *ev = evtimer_new(base, count, &n);
    struct timeval tv = {.tv_sec = 60};

    evtimer_add(ev, &tv);
    loop_drain(base, 10);
    ck_assert_uint_eq(n, 0);
    event_active(ev, EV_TIMEOUT, 0);
    loop_drain(base, 10);
    ck_assert_uint_eq(n, 1);
    event_free(ev);
    event_base_free(base);
}
END_TEST

START_TEST(fd_count__sees_each_descriptor)
{
    unsigned before = fd_count();
    int fds[2];

    net_pair(NET_TCP, 4096, fds);
    ck_assert_uint_eq(fd_count(), before + 2);
    close(fds[0]);
    close(fds[1]);
    ck_assert_uint_eq(fd_count(), before);
}
END_TEST

START_TEST(net__pair_has_small_buffers)
{
    static char data[1 << 20];
    int fds[2];
    ssize_t n;

    net_pair(_i == 0 ? NET_TCP : NET_UNIX, 4096, fds);
    net_set_nonblocking(fds[0], true);
    n = send(fds[0], data, sizeof data, MSG_NOSIGNAL);
    ck_assert_int_gt(n, 0);
    ck_assert_int_lt(n, 65536);
    close(fds[0]);
    ck_assert_int_eq(net_read_to_end(fds[1], data, sizeof data), n);
    close(fds[1]);
}
END_TEST

START_TEST(net__reset_is_one)
{
    int fds[2];
    char byte;

    net_pair(NET_TCP, 0, fds);
    net_reset(fds[0]);
    ck_assert_int_eq(recv(fds[1], &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(fds[1]);
    ck_assert_int_eq(net_connect(net_dead_port()), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
}
END_TEST

static int echo_once(struct peer *peer, int fd, void *arg)
{
    char data[5];
    size_t len;
    uint64_t rest;

    if (peer_fd_handshake(peer, fd) != PEER_OK)
        return 1;
    if (peer_fd_read(peer, fd, data, sizeof data, &len) != PEER_OK)
        return 2;
    if (peer_fd_write(peer, fd, data, len) != PEER_OK)
        return 3;
    if (peer_fd_drain(peer, fd, &rest) != PEER_CLOSED || rest != 3)
        return 4;
    return peer_fd_shutdown(peer, fd) == PEER_CLOSED ? *(int *)arg : 5;
}

START_TEST(forked_peer__speaks_tls)
{
    struct pki *pki = pki_new();
    struct pki_ident *ident = pki_issue(pki, &(struct pki_spec){0});
    struct peer *client =
        peer_new(&(struct peer_options){.trust = pki_root(pki), .host = "localhost"});
    struct forked_peer *server;
    int fds[2], status = 42;
    char data[5];
    size_t len;

    net_pair(NET_TCP, 0, fds);
    server = forked_peer_start(&(struct peer_options){.server = true, .ident = ident}, fds[1],
                               echo_once, &status);
    ck_assert_int_eq(peer_fd_handshake(client, fds[0]), PEER_OK);
    ck_assert_int_eq(peer_fd_write(client, fds[0], "hello", 5), PEER_OK);
    ck_assert_int_eq(peer_fd_read(client, fds[0], data, 5, &len), PEER_OK);
    ck_assert_mem_eq(data, "hello", 5);
    ck_assert_int_eq(peer_fd_write(client, fds[0], "abc", 3), PEER_OK);
    ck_assert_int_eq(peer_fd_shutdown(client, fds[0]), PEER_OK);
    ck_assert_int_eq(peer_fd_read(client, fds[0], data, 5, &len), PEER_CLOSED);
    ck_assert_int_eq(peer_fd_read(client, fds[0], data, 5, &len), PEER_CLOSED);
    ck_assert_int_eq(forked_peer_wait(server), 42);
    peer_free(client);
    pki_free(pki);
    close(fds[0]);
}
END_TEST

static int die(struct peer *peer, int fd, void *arg)
{
    return kill(getpid(), SIGKILL);
}

START_TEST(forked_peer__without_tls_and_killed)
{
    int fds[2];
    char byte;

    net_pair(NET_TCP, 0, fds);
    ck_assert_int_eq(forked_peer_wait(forked_peer_start(NULL, fds[1], die, NULL)), -1);
    ck_assert_int_eq(recv(fds[0], &byte, 1, 0), 0);
    close(fds[0]);
}
END_TEST

static Suite *support_loop_suite(void)
{
    Suite *suite = suite_create("support_loop");
    TCase *tc = tcase_create("loop");

    tcase_add_test(tc, loop__until_stops_at_the_condition);
    tcase_add_test(tc, loop__turns_tell_quiet_from_spin);
    tcase_add_test(tc, loop__drain_does_not_wait);
    tcase_add_test(tc, fd_count__sees_each_descriptor);
    tcase_add_loop_test(tc, net__pair_has_small_buffers, 0, 2);
    tcase_add_test(tc, net__reset_is_one);
    tcase_add_test(tc, forked_peer__speaks_tls);
    tcase_add_test(tc, forked_peer__without_tls_and_killed);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_loop_suite());
}
