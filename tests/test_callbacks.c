/* SPDX-License-Identifier: BSD-3-Clause */
/* Callbacks that a context sets for all its connections. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "support/bev_pair.h"
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
}

/* ---- What is told, a word each ------------------------------------------------------------ */

struct told {
    struct bufferevent *bev; /* the last to call */
    char log[256];
};

static void note(struct told *told, struct bufferevent *bev, const char *word)
{
    size_t len = strlen(told->log);

    told->bev = bev;
    snprintf(told->log + len, sizeof(told->log) - len, "%s ", word);
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    note(arg, bev, "handshake");
}

static void on_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    char word[64];

    snprintf(word, sizeof(word), "alpn(%.*s)", (int)len, protocol ? protocol : "");
    note(arg, bev, word);
}

static void on_close_notify(struct bufferevent *bev, void *arg)
{
    note(arg, bev, "close_notify");
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    note(arg, bev, evtls_status_name(err->status));
}

static const struct evtls_callbacks all = {
    .handshake = on_handshake,
    .alpn = on_alpn,
    .close_notify = on_close_notify,
    .error = on_error,
};

/* ---- Connections --------------------------------------------------------------------------- */

static void open_side(struct bev_side *side, struct evtls_context *ctx, enum evtls_role role)
{
    side->bev =
        evtls_bufferevent_socket_new(pair.base, side->fd, ctx, role, BEV_OPT_CLOSE_ON_FREE, NULL);
    ck_assert_ptr_nonnull(side->bev);
    if (role == EVTLS_CLIENT)
        evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(side->bev), "localhost",
                                         NULL);
    bufferevent_enable(side->bev, EV_READ | EV_WRITE);
}

/* Without evtls_bufferevent_setcb. */
static void open_both(struct evtls_context *client, struct evtls_context *server)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pair.client.fd = fds[0];
    pair.server.fd = fds[1];
    open_side(&pair.client, client, EVTLS_CLIENT);
    open_side(&pair.server, server, EVTLS_SERVER);
}

static bool has_word(void *arg)
{
    const struct told *told = arg;

    return strstr(told->log, "handshake") != NULL || strstr(told->log, "ERR") != NULL;
}

static bool has_end(void *arg)
{
    return strstr(((const struct told *)arg)->log, "close_notify") != NULL;
}

static bool both_open(void *arg)
{
    (void)arg;
    return evtls_engine_is_handshake_done(evtls_bufferevent_get_engine(pair.client.bev)) &&
           evtls_engine_is_handshake_done(evtls_bufferevent_get_engine(pair.server.bev));
}

/* ---- The setter ----------------------------------------------------------------------------- */

static void on_reserved(void)
{
}

START_TEST(callbacks__setter_refuses)
{
    struct told told = {NULL, ""};
    struct evtls_callbacks odd = {.handshake = on_handshake, .reserved = {[3] = on_reserved}};

    ck_assert_int_eq(evtls_context_set_callbacks(NULL, &all, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, &all, &told), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, &odd, NULL), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_seal(pair.client.ctx, NULL), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, NULL, NULL), EVTLS_ERR_SEALED);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, &odd, NULL), EVTLS_ERR_SEALED);
    /* What was refused has changed nothing (X25). */
    open_both(pair.client.ctx, pair.server.ctx);
    ck_assert(loop_until(pair.base, has_word, &told, 10000));
    ck_assert_str_eq(told.log, "handshake ");
}
END_TEST

/* ---- Who is told ---------------------------------------------------------------------------- */

START_TEST(callbacks__of_the_context_tell_both_sides)
{
    static const char *const protocols[] = {"h2", "http/1.1"};
    struct told server = {NULL, ""}, client = {NULL, ""};

    evtls_context_set_alpn(pair.server.ctx, protocols, 2);
    evtls_context_set_alpn(pair.client.ctx, protocols, 2);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &server), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, &all, &client), 0);
    open_both(pair.client.ctx, pair.server.ctx);
    ck_assert(loop_until(pair.base, has_word, &server, 10000));
    ck_assert(loop_until(pair.base, has_word, &client, 10000));
    ck_assert_ptr_eq(server.bev, pair.server.bev);
    ck_assert_ptr_eq(client.bev, pair.client.bev);
    bev_side_free(&pair.client);
    ck_assert(loop_until(pair.base, has_end, &server, 10000));
    ck_assert_str_eq(server.log, "alpn(h2) handshake close_notify ");
    ck_assert_str_eq(client.log, "alpn(h2) handshake ");
}
END_TEST

START_TEST(callbacks__of_the_context_tell_a_failure)
{
    struct evtls_context *distrustful = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct told server = {NULL, ""}, client = {NULL, ""};

    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &server), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(distrustful, &all, &client), 0);
    open_both(distrustful, pair.server.ctx);
    ck_assert(loop_until(pair.base, has_word, &server, 10000));
    ck_assert(loop_until(pair.base, has_word, &client, 10000));
    ck_assert_str_eq(server.log, "ERR_ALERT ");
    ck_assert_str_eq(client.log, "ERR_CERTIFICATE ");
    evtls_context_free(distrustful);
}
END_TEST

START_TEST(callbacks__setcb_replaces_them_for_one)
{
    static const struct evtls_callbacks alone = {.close_notify = on_close_notify};
    struct told shared = {NULL, ""}, own = {NULL, ""};

    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &shared), 0);
    open_both(pair.client.ctx, pair.server.ctx);
    ck_assert_int_eq(
        evtls_bufferevent_setcb(pair.server.bev, _i == 0 ? &alone : NULL, _i == 0 ? &own : NULL),
        0);
    ck_assert(loop_until(pair.base, both_open, NULL, 10000));
    bev_side_free(&pair.client);
    loop_turns(pair.base, 100);
    ck_assert_str_eq(own.log, _i == 0 ? "close_notify " : "");
    ck_assert_str_eq(shared.log, "");
    bev_side_free(&pair.server);

    open_both(pair.client.ctx, pair.server.ctx); /* the next one has the context's */
    ck_assert(loop_until(pair.base, has_word, &shared, 10000));
    ck_assert_str_eq(shared.log, "handshake ");
}
END_TEST

START_TEST(callbacks__copies_of_a_context)
{
    static const struct evtls_callbacks none;
    struct told told = {NULL, ""};
    struct evtls_context *copy, *silent;

    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &told), 0);
    ck_assert_int_eq(evtls_context_seal(pair.server.ctx, NULL), 0);
    copy = evtls_context_copy(pair.server.ctx, NULL);
    silent = evtls_context_copy(pair.server.ctx, NULL);
    ck_assert_int_eq(evtls_context_set_callbacks(silent, _i == 0 ? NULL : &none, &told), 0);
    open_both(pair.client.ctx, silent);
    ck_assert(loop_until(pair.base, both_open, NULL, 10000));
    loop_turns(pair.base, 20);
    ck_assert_str_eq(told.log, "");
    bev_side_free(&pair.client);
    bev_side_free(&pair.server);
    open_both(pair.client.ctx, copy);
    ck_assert(loop_until(pair.base, has_word, &told, 10000));
    ck_assert_str_eq(told.log, "handshake ");
    evtls_context_free(copy);
    evtls_context_free(silent);
}
END_TEST

START_TEST(callbacks__of_the_context_tell_filters)
{
    struct told server = {NULL, ""}, client = {NULL, ""};
    struct bufferevent *below[2];

    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &server), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, &all, &client), 0);
    ck_assert_int_eq(bufferevent_pair_new(pair.base, 0, below), 0);
    pair.client.bev = evtls_bufferevent_filter_new(below[0], pair.client.ctx, EVTLS_CLIENT,
                                                   BEV_OPT_CLOSE_ON_FREE, NULL);
    pair.server.bev = evtls_bufferevent_filter_new(below[1], pair.server.ctx, EVTLS_SERVER,
                                                   BEV_OPT_CLOSE_ON_FREE, NULL);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair.client.bev), "localhost",
                                     NULL);
    ck_assert(loop_until(pair.base, has_word, &server, 10000));
    ck_assert(loop_until(pair.base, has_word, &client, 10000));
    ck_assert_ptr_eq(server.bev, pair.server.bev);
    ck_assert_str_eq(server.log, "handshake ");
    ck_assert_str_eq(client.log, "handshake ");
}
END_TEST

/* Those of the context with which it goes up, unless the program has set some for it before. */
START_TEST(callbacks__of_a_connection_that_goes_up)
{
    bool own = _i != 0;
    struct told shared = {NULL, ""}, mine = {NULL, ""};
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pair.client.fd = fds[0];
    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &shared), 0);
    pair.server.bev =
        evtls_bufferevent_plaintext_new(pair.base, fds[1], BEV_OPT_CLOSE_ON_FREE, NULL);
    ck_assert_ptr_nonnull(pair.server.bev);
    if (own)
        ck_assert_int_eq(evtls_bufferevent_setcb(pair.server.bev, &all, &mine), 0);
    bufferevent_enable(pair.server.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(
        evtls_bufferevent_start_tls(pair.server.bev, pair.server.ctx, EVTLS_SERVER, 0, NULL), 0);
    open_side(&pair.client, pair.client.ctx, EVTLS_CLIENT);
    ck_assert(loop_until(pair.base, has_word, own ? &mine : &shared, 10000));
    ck_assert_str_eq(shared.log, own ? "" : "handshake ");
    ck_assert_str_eq(mine.log, own ? "handshake " : "");
}
END_TEST

/* ---- SNI ------------------------------------------------------------------------------------ */

static int choose(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                  void *arg)
{
    (void)name;
    (void)initial;
    return evtls_engine_set_context(engine, arg, NULL) == 0 ? 0 : EVTLS_ALERT_INTERNAL_ERROR;
}

START_TEST(callbacks__stay_when_sni_chooses_another_context)
{
    struct told first = {NULL, ""}, chosen = {NULL, ""};
    struct evtls_context *other = evtls_context_copy(pair.server.ctx, NULL);

    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &all, &first), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(other, &all, &chosen), 0);
    ck_assert_int_eq(evtls_context_set_sni_callback(pair.server.ctx, choose, other, NULL), 0);
    open_both(pair.client.ctx, pair.server.ctx);
    ck_assert(loop_until(pair.base, has_word, &first, 10000));
    ck_assert_ptr_eq(evtls_engine_get_context(evtls_bufferevent_get_engine(pair.server.bev)),
                     other);
    ck_assert_str_eq(first.log, "handshake ");
    ck_assert_str_eq(chosen.log, "");
    evtls_context_free(other);
}
END_TEST

static Suite *callbacks_suite(void)
{
    Suite *suite = suite_create("callbacks");
    TCase *tcase = tcase_create("callbacks");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, callbacks__setter_refuses);
    tcase_add_test(tcase, callbacks__of_the_context_tell_both_sides);
    tcase_add_test(tcase, callbacks__of_the_context_tell_a_failure);
    tcase_add_loop_test(tcase, callbacks__setcb_replaces_them_for_one, 0, 2);
    tcase_add_loop_test(tcase, callbacks__copies_of_a_context, 0, 2);
    tcase_add_test(tcase, callbacks__of_the_context_tell_filters);
    tcase_add_loop_test(tcase, callbacks__of_a_connection_that_goes_up, 0, 2);
    tcase_add_test(tcase, callbacks__stay_when_sni_chooses_another_context);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(callbacks_suite());
}
