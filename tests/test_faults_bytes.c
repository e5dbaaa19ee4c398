/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine beside a plain OpenSSL peer, whose bytes come in pieces, or end after any of them:
 * a handshake, a request, a reply and close_notify both ways. What bufferevents make of the same
 * is in test_faults_ends.c.
 */
#include "config.h"

#include <string.h>

#include "support/engines.h"
#include "support/suite.h"

#define ALL ((size_t)-1)

static const char ours[] = "what our side sends", theirs[] = "what the plain peer sends";

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static struct pki *pki;
static struct pki_ident *ident;
static struct evtls_context *ctx;

/* The engine is the client in even rows; rows go through the versions. */
static bool is_client(int row)
{
    return row % 2 == 0;
}

struct talk {
    struct end end;
    struct peer *peer;
    size_t fed; /* bytes that the engine was given */
    char got[2 * sizeof(theirs)];
    size_t got_len;
    bool wrote, peer_wrote;
};

static void set_up_row(int row)
{
    pki = pki_new();
    ident = pki_issue(pki, &(struct pki_spec){0});
    ctx = is_client(row) ? client_context(pki) : server_context(ident);
}

static void tear_down(void)
{
    evtls_context_free(ctx);
    pki_free(pki);
}

static void open_talk(struct talk *talk, int row)
{
    struct peer_options options = {
        .min_version = versions[row / 2],
        .max_version = versions[row / 2],
        .server = is_client(row),
        .ident = is_client(row) ? ident : NULL,
        .trust = is_client(row) ? NULL : pki_root(pki),
        .host = is_client(row) ? NULL : "localhost",
    };

    memset(talk, 0, sizeof(*talk));
    end_open(&talk->end, ctx, is_client(row) ? EVTLS_CLIENT : EVTLS_SERVER);
    if (is_client(row))
        evtls_engine_set_server_hostname(talk->end.engine, "localhost", NULL);
    talk->peer = peer_new(&options);
}

static void close_talk(struct talk *talk)
{
    end_close(&talk->end);
    peer_free(talk->peer);
}

static void step_engine(struct talk *talk)
{
    struct evtls_engine *engine = talk->end.engine;
    ev_ssize_t n;

    do {
        n = evtls_engine_read(engine, talk->got + talk->got_len, sizeof(talk->got) - talk->got_len);
        ck_assert_int_ne(n, 0);
        if (n > 0)
            talk->got_len += (size_t)n;
    } while (n > 0);
    talk->end.status = (int)n;
    if (!talk->wrote && evtls_engine_is_handshake_done(engine) &&
        evtls_engine_write(engine, ours, sizeof(ours)) == sizeof(ours)) {
        talk->wrote = true;
        evtls_engine_shutdown(engine);
    }
}

static void step_peer(struct talk *talk)
{
    peer_step(talk->peer);
    if (!talk->peer_wrote && peer_is_open(talk->peer)) {
        talk->peer_wrote = true;
        peer_write(talk->peer, theirs, sizeof(theirs));
        peer_shutdown(talk->peer);
    }
}

/* One round: at most so many bytes each way, and no more than limit for the engine in all. */
static size_t move(struct talk *talk, size_t piece, size_t limit)
{
    unsigned char bytes[4096];
    size_t most = piece < sizeof(bytes) ? piece : sizeof(bytes);
    size_t moved = 0;
    int n = evbuffer_remove(talk->end.out, bytes, most);

    if (n > 0) {
        peer_feed(talk->peer, bytes, (size_t)n);
        moved = (size_t)n;
    }
    if (most > limit - talk->fed)
        most = limit - talk->fed;
    if (most > 0) {
        size_t taken = peer_take(talk->peer, bytes, most);

        evbuffer_add(talk->end.in, bytes, taken);
        talk->fed += taken;
        moved += taken;
    }
    return moved;
}

static void run_talk(struct talk *talk, size_t piece, size_t limit)
{
    do {
        step_engine(talk);
        step_peer(talk);
    } while (move(talk, piece, limit) > 0 || evbuffer_get_length(talk->end.out) > 0);
}

static void check_peer_has_all(struct talk *talk)
{
    size_t len;
    const unsigned char *data = peer_received(talk->peer, &len);

    ck_assert_uint_eq(len, sizeof(ours));
    ck_assert_mem_eq(data, ours, len);
    ck_assert_int_eq(peer_step(talk->peer), PEER_CLOSED);
}

static void check_all_was_said(struct talk *talk)
{
    ck_assert_uint_eq(talk->got_len, sizeof(theirs));
    ck_assert_mem_eq(talk->got, theirs, sizeof(theirs));
    ck_assert_int_eq(talk->end.status, EVTLS_ERR_CLOSED);
    ck_assert_ptr_null(evtls_engine_get_error(talk->end.engine));
    check_peer_has_all(talk);
}

/* B58 */
START_TEST(bytes__come_in_pieces)
{
    static const size_t pieces[] = {1, 2, 3, 5, 7, 64, 1000, ALL};
    struct talk talk;

    set_up_row(_i);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        open_talk(&talk, _i);
        run_talk(&talk, pieces[i], ALL);
        check_all_was_said(&talk);
        close_talk(&talk);
    }
    tear_down();
}
END_TEST

/* The one end that a cut leads to; it stays what it is. */
static void check_cut(struct talk *talk, size_t at)
{
    struct evtls_engine *engine = talk->end.engine;
    const struct evtls_error *err;
    char byte;

    ck_assert_msg(talk->end.status == EVTLS_ERR_WANT_READ, "after %zu bytes: %s", at,
                  evtls_status_name(talk->end.status));
    evtls_engine_set_input_eof(engine);
    for (int i = 0; i < 3; i++) {
        ev_ssize_t n = evtls_engine_read(engine, &byte, 1);

        ck_assert_msg(n == EVTLS_ERR_TRUNCATED, "after %zu bytes: %s", at,
                      evtls_status_name((int)n));
    }
    err = evtls_engine_get_error(engine);
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(err->status, EVTLS_ERR_TRUNCATED);
    ck_assert_mem_eq(talk->got, theirs, talk->got_len);
    ck_assert_int_lt(evtls_engine_write(engine, "x", 1), 0);
}

/* B17, B45, B46: everything but the last byte is a cut; with it the end is clean. */
START_TEST(bytes__end_after_each)
{
    struct talk talk;
    size_t at, total;

    set_up_row(_i);
    open_talk(&talk, _i);
    run_talk(&talk, ALL, ALL);
    total = talk.fed;
    close_talk(&talk);
    ck_assert_uint_gt(total, 200);
    for (at = 0;; at++) {
        open_talk(&talk, _i);
        run_talk(&talk, ALL, at);
        if (talk.end.status == EVTLS_ERR_CLOSED)
            break;
        check_cut(&talk, at);
        close_talk(&talk);
    }
    check_all_was_said(&talk);
    close_talk(&talk);
    /* The lengths of signatures differ by a few bytes. */
    ck_assert_uint_le(at, total + 16);
    ck_assert_uint_ge(at + 16, total);
    tear_down();
}
END_TEST

static Suite *faults_suite(void)
{
    Suite *suite = suite_create("faults_bytes");
    TCase *tcase = tcase_create("bytes");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, bytes__come_in_pieces, 0, 4);
    tcase_add_loop_test(tcase, bytes__end_after_each, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(faults_suite());
}
