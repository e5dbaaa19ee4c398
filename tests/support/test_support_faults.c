/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <openssl/bio.h>

#include "faults.h"
#include "loop.h"
#include "net.h"
#include "suite.h"

static int fds[2];

static void set_up(void)
{
    net_pair(NET_TCP, 0, fds);
}

static void tear_down(void)
{
    faults_reset();
    close(fds[0]);
    close(fds[1]);
}

START_TEST(faults__limit_makes_short_counts)
{
    struct faults *f = faults_attach(fds[0]);
    char front[] = "ab", back[] = "cd";
    struct iovec iov[2] = {{front, 2}, {back, 2}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    char data[16];

    faults_limit(f, FAULTS_WRITE, 3);
    ck_assert_int_eq(send(fds[0], "hello", 5, MSG_NOSIGNAL), 3);
    ck_assert_int_eq(sendmsg(fds[0], &msg, MSG_NOSIGNAL), 3);
    ck_assert_int_eq(writev(fds[0], iov, 2), 3);
    ck_assert_int_eq(write(fds[0], "xy", 2), 2);
    ck_assert(net_read_all(fds[1], data, 11));
    ck_assert_mem_eq(data, "helabcabcxy", 11);
    ck_assert_uint_eq(faults_calls(f, FAULTS_WRITE), 4);
    ck_assert_uint_eq(faults_bytes(f, FAULTS_WRITE), 11);
    ck_assert_uint_eq(faults_unsafe_writes(f), 2);

    faults_limit(f, FAULTS_READ, 1);
    ck_assert(net_write_all(fds[1], "abcdefg", 7));
    ck_assert_int_eq(recv(fds[0], data, 4, MSG_PEEK), 1);
    ck_assert_int_eq(recv(fds[0], data, 4, 0), 1);
    ck_assert_int_eq(read(fds[0], data + 1, 4), 1);
    iov[0].iov_base = data + 2;
    ck_assert_int_eq(readv(fds[0], iov, 1), 1);
    ck_assert_mem_eq(data, "abc", 3);
    ck_assert_uint_eq(faults_bytes(f, FAULTS_READ), 3);
}
END_TEST

START_TEST(faults__nth_call_fails)
{
    struct faults *f = faults_attach(fds[0]);
    char byte;

    ck_assert(net_write_all(fds[1], "abcdef", 6));
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    faults_fail(f, FAULTS_READ, 2, EINTR);
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    ck_assert_int_eq(read(fds[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'c');

    faults_fail_from(f, FAULTS_WRITE, 2, ECONNRESET);
    ck_assert_int_eq(send(fds[0], "x", 1, 0), 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(send(fds[0], "x", 1, 0), -1);
        ck_assert_int_eq(errno, ECONNRESET);
    }
    faults_fail_every(f, FAULTS_WRITE, 2, EAGAIN);
    ck_assert_int_eq(send(fds[0], "x", 1, 0), 1);
    ck_assert_int_eq(send(fds[0], "x", 1, 0), -1);
    ck_assert_int_eq(send(fds[0], "x", 1, 0), 1);
    ck_assert_int_eq(send(fds[0], "x", 1, 0), -1);
}
END_TEST

START_TEST(faults__other_calls_fail)
{
    struct faults *f = faults_attach(fds[0]);
    int error = 0;
    socklen_t len = sizeof error;

    faults_fail(f, FAULTS_SO_ERROR, 1, ECONNREFUSED);
    ck_assert_int_eq(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &error, &len), 0);
    ck_assert_int_eq(error, ECONNREFUSED);
    ck_assert_int_eq(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &error, &len), 0);
    ck_assert_int_eq(error, 0);

    faults_fail(f, FAULTS_SHUTDOWN, 1, ENOTCONN);
    ck_assert_int_eq(shutdown(fds[0], SHUT_WR), -1);
    ck_assert(!faults_is_shut_for_writing(f));
    ck_assert_int_eq(shutdown(fds[0], SHUT_WR), 0);
    ck_assert(faults_is_shut_for_writing(f));

    faults_fail(f, FAULTS_CLOSE, 1, EINTR);
    ck_assert_int_eq(close(fds[0]), -1);
    ck_assert(faults_is_closed(f));
    ck_assert_uint_eq(faults_calls(f, FAULTS_CLOSE), 1);
    fds[0] = net_listen(AF_INET, 1);
    f = faults_attach(fds[0]);
    faults_fail(f, FAULTS_ACCEPT, 1, EMFILE);
    ck_assert_int_eq(accept(fds[0], NULL, NULL), -1);
    ck_assert_int_eq(errno, EMFILE);
}
END_TEST

START_TEST(faults__broken_pipe_raises_the_signal)
{
    struct faults *f = faults_attach(fds[0]);

    faults_end_output_at(f, 3, EPIPE);
    ck_assert_int_eq(send(fds[0], "hello", 5, MSG_NOSIGNAL), 3);
    ck_assert_int_eq(send(fds[0], "lo", 2, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(write(fds[0], "lo", 2), -1);
    ck_abort_msg("the process lives");
}
END_TEST

struct stream {
    struct event_base *base;
    struct bufferevent *bev;
    unsigned events;
    short what;
};

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct stream *stream = arg;

    stream->events++;
    stream->what = what;
}

static void stream_open(struct stream *stream)
{
    net_set_nonblocking(fds[0], true);
    stream->base = event_base_new();
    stream->bev = bufferevent_socket_new(stream->base, fds[0], 0);
    bufferevent_setcb(stream->bev, NULL, NULL, on_event, stream);
    bufferevent_enable(stream->bev, EV_READ | EV_WRITE);
}

static void stream_close(struct stream *stream)
{
    bufferevent_free(stream->bev);
    event_base_free(stream->base);
}

/* Ends the input of a libevent bufferevent at each byte, before and after the bytes are there. */
START_TEST(faults__input_ends_at_byte)
{
    struct stream stream = {0};
    struct faults *f = faults_attach(fds[0]);
    int error = _i % 2 == 0 ? 0 : ECONNRESET;
    unsigned at = (unsigned)_i / 2;

    stream_open(&stream);
    faults_end_input_at(f, at, error);
    ck_assert(net_write_all(fds[1], "abc", 3));
    ck_assert(loop_until_count(stream.base, &stream.events, 1, 10000));
    ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(stream.bev)), at);
    ck_assert_int_eq(stream.what,
                     BEV_EVENT_READING | (error == 0 ? BEV_EVENT_EOF : BEV_EVENT_ERROR));
    stream_close(&stream);
}
END_TEST

static bool all_written(void *arg)
{
    const struct stream *stream = arg;

    return evbuffer_get_length(bufferevent_get_output(stream->bev)) == 0;
}

START_TEST(faults__libevent_is_seen)
{
    struct stream stream = {0};
    struct faults *f = faults_attach(fds[0]);

    stream_open(&stream);
    faults_record(f);
    faults_limit(f, FAULTS_WRITE, 1);
    faults_fail_every(f, FAULTS_WRITE, 3, EAGAIN);
    bufferevent_write(stream.bev, "secret words", 12);
    ck_assert(loop_until(stream.base, all_written, &stream, 10000));
    ck_assert_uint_eq(faults_bytes(f, FAULTS_WRITE), 12);
    ck_assert_uint_eq(faults_calls(f, FAULTS_WRITE), 17);
    ck_assert(faults_recorded_contains(f, "secret words"));
    ck_assert(!faults_recorded_contains(f, "secret words!"));
    stream_close(&stream);
}
END_TEST

START_TEST(faults__openssl_is_seen)
{
    struct faults *f = faults_attach(fds[0]);
    BIO *bio = BIO_new_socket(fds[0], BIO_NOCLOSE);

    faults_limit(f, FAULTS_WRITE, 2);
    ck_assert_int_eq(BIO_write(bio, "hello", 5), 2);
    BIO_free(bio);
}
END_TEST

START_TEST(faults__watch_sees_every_socket)
{
    faults_watch("marker");
    ck_assert(net_write_all(fds[0], "mark", 4));
    ck_assert(net_write_all(fds[1], "er", 2));
    ck_assert_uint_eq(faults_watch_count(), 0);
    ck_assert(net_write_all(fds[0], "e", 1));
    ck_assert(net_write_all(fds[0], "r", 1));
    ck_assert_uint_eq(faults_watch_count(), 1);
    ck_assert(net_write_all(fds[1], "a marker, a marker", 18));
    ck_assert_uint_eq(faults_watch_count(), 3);
}
END_TEST

static void refuse(struct faults *f, int fd, void *arg)
{
    struct faults **seen = arg;

    faults_fail(f, FAULTS_CONNECT, 1, EHOSTUNREACH);
    *seen = f;
}

START_TEST(faults__connect_is_caught)
{
    struct faults *seen = NULL;

    faults_on_connect(refuse, &seen);
    ck_assert_int_eq(net_connect(net_dead_port()), -1);
    ck_assert_int_eq(errno, EHOSTUNREACH);
    ck_assert_ptr_nonnull(seen);
    ck_assert(faults_is_closed(seen));
}
END_TEST

static struct faults_verdict third_is_end(enum faults_call call, size_t len, void *arg)
{
    unsigned *n = arg;

    (*n)++;
    return (struct faults_verdict){.end = *n == 3, .error = *n == 2 ? EAGAIN : 0, .max = *n};
}

START_TEST(faults__decide_has_the_say)
{
    struct faults *f = faults_attach(fds[0]);
    unsigned n = 0;
    char data[8];

    faults_decide(f, third_is_end, &n);
    ck_assert(net_write_all(fds[1], "abcdefgh", 8));
    ck_assert_int_eq(recv(fds[0], data, 8, 0), 1);
    ck_assert_int_eq(recv(fds[0], data, 8, 0), -1);
    ck_assert_int_eq(recv(fds[0], data, 8, 0), 0);
    ck_assert_int_eq(recv(fds[0], data, 8, 0), 4);
    ck_assert_mem_eq(data, "bcde", 4);
}
END_TEST

static Suite *support_faults_suite(void)
{
    Suite *suite = suite_create("support_faults");
    TCase *tc = tcase_create("faults");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, faults__limit_makes_short_counts);
    tcase_add_test(tc, faults__nth_call_fails);
    tcase_add_test(tc, faults__other_calls_fail);
    tcase_add_test_raise_signal(tc, faults__broken_pipe_raises_the_signal, SIGPIPE);
    tcase_add_loop_test(tc, faults__input_ends_at_byte, 0, 8);
    tcase_add_test(tc, faults__libevent_is_seen);
    tcase_add_test(tc, faults__openssl_is_seen);
    tcase_add_test(tc, faults__watch_sees_every_socket);
    tcase_add_test(tc, faults__connect_is_caught);
    tcase_add_test(tc, faults__decide_has_the_say);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(support_faults_suite());
}
