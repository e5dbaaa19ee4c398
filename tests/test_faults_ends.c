/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptor's calls go wrong at every byte: one byte a call; an end of file, a reset, a failed
 * write after each byte of a handshake, a request, a reply and a close.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <event2/thread.h>

#include "support/bev_pair.h"
#include "support/faults.h"
#include "support/loop.h"
#include "support/suite.h"

static struct bev_pair pair;

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
}

static void teardown(void)
{
    bev_pair_close(&pair);
    faults_reset();
}

static void use_version(int tls12)
{
    if (tls12)
        evtls_context_set_max_version(pair.client.ctx, EVTLS_TLS_1_2, NULL);
}

static bool both_ended(void *arg)
{
    (void)arg;
    return pair.client.ended && pair.server.ended;
}

/* How often a word stands in a log: repeated ones stand once. */
static unsigned count(const char *log, const char *word)
{
    unsigned n = 0;

    for (const char *at = log; (at = strstr(at, word)) != NULL; at += strlen(word))
        n++;
    return n;
}

static bool is_terminal_once(const struct bev_side *side)
{
    return count(side->log, "eof") + count(side->log, "error") == 1;
}

static const char *const kinds[] = {"end of file", "reset"};
static const int kind_errno[] = {0, ECONNRESET};

/* A request, a reply, and a close by both. */
static void converse(void)
{
    bufferevent_write(pair.client.bev, "request", 7);
    bufferevent_write(pair.server.bev, "reply", 5);
    evtls_bufferevent_shutdown_write(pair.client.bev);
    evtls_bufferevent_shutdown_write(pair.server.bev);
}

/* Where a side has met its end the program frees, so that the other one meets its own. */
static void run_to_the_end(struct bev_side *faulty, struct bev_side *other)
{
    while (!faulty->ended && !other->ended)
        event_base_loop(pair.base, EVLOOP_ONCE);
    for (int i = 0; i < 50 && !both_ended(NULL); i++) {
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        if (i == 20)
            bev_side_free(faulty->ended ? faulty : other);
    }
}

static void check_status(const struct bev_side *side, int kind, unsigned long at)
{
    const int status = side->error.status;

    if (strstr(side->log, "eof")) { /* everything had come before the fault */
        ck_assert_msg(strstr(side->log, "close_notify") != NULL, "after %lu bytes: \"%s\"", at,
                      side->log);
        return;
    }
    if (kind == 0)
        ck_assert_msg(status == EVTLS_ERR_TRUNCATED, "after %lu bytes: %s: %s", at,
                      evtls_status_name(status), side->error.message);
    else
        ck_assert_msg(status == EVTLS_ERR_IO && side->error.sys_errno == ECONNRESET,
                      "after %lu bytes: %s: %s", at, evtls_status_name(status),
                      side->error.message);
}

/* Returns whether the fault was met. */
static bool run_one(struct bev_side *faulty, struct bev_side *other, int kind, unsigned long at,
                    int options)
{
    struct faults *faults;
    bool met;

    bev_pair_reopen(&pair, options);
    faults = faults_attach(faulty->fd);
    faults_end_input_at(faults, at, kind_errno[kind]);
    converse();
    run_to_the_end(faulty, other);
    ck_assert_msg(is_terminal_once(faulty), "%s after %lu bytes: \"%s\"", kinds[kind], at,
                  faulty->log);
    ck_assert_msg(count(other->log, "eof") <= 1 && count(other->log, "error") <= 1 &&
                      !strstr(other->log, "eoferror"),
                  "the other side, %s after %lu bytes: \"%s\"", kinds[kind], at, other->log);
    ck_assert_uint_eq(count(faulty->log, "connected") <= 1, 1);
    check_status(faulty, kind, at);
    met = strstr(faulty->log, "error") != NULL;
    bev_side_free(faulty);
    bev_side_free(other);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    faults_reset();
    evbuffer_drain(pair.client.got, evbuffer_get_length(pair.client.got));
    evbuffer_drain(pair.server.got, evbuffer_get_length(pair.server.got));
    return met;
}

/* Rows: bits of _i are kind, side, version. */
START_TEST(faults__input_ends_after_every_byte)
{
    int kind = _i & 1;
    struct bev_side *faulty = _i & 2 ? &pair.server : &pair.client;
    struct bev_side *other = _i & 2 ? &pair.client : &pair.server;
    unsigned long at = 0;

    use_version(_i & 4);
    while (run_one(faulty, other, kind, at, at % 2 ? BEV_OPT_DEFER_CALLBACKS : 0))
        at++;
    ck_assert_uint_gt(at, 200);
}
END_TEST

START_TEST(faults__one_byte_a_call)
{
    struct faults *faults[2];

    use_version(_i & 1);
    bev_pair_reopen(&pair, bev_pair_options[_i / 2]);
    faults[0] = faults_attach(pair.client.fd);
    faults[1] = faults_attach(pair.server.fd);
    for (int i = 0; i < 2; i++) {
        faults_limit(faults[i], FAULTS_READ, 1);
        faults_limit(faults[i], FAULTS_WRITE, 1);
        faults_fail_every(faults[i], FAULTS_READ, 7, EINTR);
        faults_fail_every(faults[i], FAULTS_WRITE, 11, EINTR);
    }
    converse();
    ck_assert(loop_until(pair.base, both_ended, NULL, 20000));
    bev_pair_expect(&pair, &pair.server, "request");
    bev_pair_expect(&pair, &pair.client, "reply");
    ck_assert_ptr_nonnull(strstr(pair.client.log, "close_notify reof"));
    ck_assert_ptr_nonnull(strstr(pair.server.log, "close_notify reof"));
}
END_TEST

/* The n-th write of the server fails: an error or nothing owed, and no bytes are made up. */
START_TEST(faults__every_write_fails)
{
    for (unsigned n = 1; n < 12; n++) {
        struct faults *faults;

        bev_pair_reopen(&pair, 0);
        faults = faults_attach(pair.server.fd);
        faults_fail_from(faults, FAULTS_WRITE, n, EPIPE);
        converse();
        run_to_the_end(&pair.server, &pair.client);
        ck_assert_uint_eq(faults_unsafe_writes(faults), 0); /* none could have raised SIGPIPE */
        ck_assert_msg(count(pair.server.log, "eof") <= 1 && count(pair.server.log, "error") <= 1,
                      "write %u: \"%s\"", n, pair.server.log);
        if (strstr(pair.server.log, "error"))
            ck_assert_int_eq(pair.server.error.status, EVTLS_ERR_IO);
        ck_assert_uint_le(evbuffer_get_length(pair.client.got), 5);
        bev_side_free(&pair.client);
        bev_side_free(&pair.server);
        event_base_loop(pair.base, EVLOOP_NONBLOCK);
        faults_reset();
        evbuffer_drain(pair.client.got, evbuffer_get_length(pair.client.got));
        evbuffer_drain(pair.server.got, evbuffer_get_length(pair.server.got));
    }
}
END_TEST

static Suite *faults_suite(void)
{
    Suite *suite = suite_create("faults_ends");
    TCase *tcase = tcase_create("ends");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, faults__input_ends_after_every_byte, 0, 8);
    tcase_add_loop_test(tcase, faults__one_byte_a_call, 0, 2 * BEV_PAIR_N_OPTIONS);
    tcase_add_test(tcase, faults__every_write_fails);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    evthread_use_pthreads();
    return suite_run(faults_suite());
}
