/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may happen to an engine inside its own callback.
 */
#include "config.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "engine.h"
#include "support/engine_pair.h"
#include "support/suite.h"

struct sni_try {
    struct pair *pair;
    int calls;
    int (*act)(struct sni_try *try, struct evtls_engine *engine);
};

static int on_sni(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                  void *arg)
{
    struct sni_try *try = arg;

    try->calls++;
    ck_assert_str_eq(name, "localhost");
    ck_assert_ptr_eq(initial, try->pair->server_ctx);
    return try->act(try, engine);
}

static void try_open(struct sni_try *try, struct pair *pair,
                     int (*act)(struct sni_try *, struct evtls_engine *))
{
    *try = (struct sni_try){.pair = pair, .act = act};
    pair_prepare(pair, 0);
    ck_assert_int_eq(evtls_context_set_sni_callback(pair->server_ctx, on_sni, try, NULL), 0);
    pair_open(pair);
    evtls_engine_handshake(pair->client.engine);
    carry(&pair->client, &pair->server, CARRY_ALL);
}

static int act_ask(struct sni_try *try, struct evtls_engine *engine)
{
    char byte;

    ck_assert(evtls_engine_is_busy(engine));
    ck_assert_int_eq(evtls_engine_handshake(engine), EVTLS_ERR_BUSY);
    ck_assert_int_eq(evtls_engine_read(engine, &byte, 1), EVTLS_ERR_BUSY);
    ck_assert_int_eq(evtls_engine_write(engine, "x", 1), EVTLS_ERR_BUSY);
    ck_assert_int_eq(evtls_engine_shutdown(engine), EVTLS_ERR_BUSY);
    ck_assert_ptr_null(evtls_engine_get_version(engine));
    ck_assert_ptr_null(evtls_engine_get_cipher(engine));
    ck_assert_ptr_null(evtls_engine_get_group(engine));
    ck_assert_ptr_null(evtls_engine_get_alpn(engine, NULL));
    ck_assert_ptr_null(evtls_engine_get_session(engine));
    ck_assert_ptr_null(evtls_engine_get_peer_certificate(engine));
    ck_assert_ptr_null(evtls_engine_get_error(engine));
    ck_assert_int_eq(evtls_engine_is_handshake_done(engine), 0);
    ck_assert_ptr_eq(evtls_engine_get_context(engine), try->pair->server_ctx);
    return 0;
}

/* X16: in it the connection answers its context, and to other questions "not yet". */
START_TEST(engine__in_the_sni_callback)
{
    struct pair pair;
    struct sni_try try;

    try_open(&try, &pair, act_ask);
    ck_assert(pair_connect(&pair));
    ck_assert(!evtls_engine_is_busy(pair.server.engine));
    ck_assert_int_eq(try.calls, 1);
    ck_assert_str_eq(evtls_engine_get_server_name(pair.server.engine), "localhost");
    ck_assert_str_eq(evtls_engine_get_server_name(pair.client.engine), "localhost");
    pair_close(&pair);
}
END_TEST

static int freed;

static void count_free(void *data)
{
    *(int *)data += 1;
}

static int act_free(struct sni_try *try, struct evtls_engine *engine)
{
    evtls_engine_set_user_data(engine, &freed, count_free);
    evtls_engine_free(engine);
    evtls_engine_free(engine); /* as often as it likes */
    ck_assert_int_eq(freed, 0);
    evbuffer_free(try->pair->server.in);
    evbuffer_free(try->pair->server.out);
    memset(&try->pair->server, 0, sizeof(try->pair->server));
    return 0;
}

/* B55: the buffers may go with it. */
START_TEST(engine__freed_in_its_sni_callback)
{
    struct pair pair;
    struct sni_try try;
    int status;

    freed = 0;
    try_open(&try, &pair, act_free);
    status = evtls_engine_handshake(pair.server.engine);
    ck_assert_int_lt(status, 0);
    ck_assert_int_eq(try.calls, 1);
    ck_assert_int_eq(freed, 1);
    pair_close(&pair);
}
END_TEST

static int act_reset(struct sni_try *try, struct evtls_engine *engine)
{
    evtls_engine_reset(engine);
    try->act = act_ask;
    return 0;
}

START_TEST(engine__reset_in_its_sni_callback)
{
    struct pair pair;
    struct sni_try try;

    try_open(&try, &pair, act_reset);
    ck_assert_int_lt(evtls_engine_handshake(pair.server.engine), 0);
    ck_assert_int_eq(evtls_engine_get_state(pair.server.engine), EVTLS_ENGINE_NEW);
    ck_assert_uint_eq(evbuffer_get_length(pair.server.out), 0);
    ck_assert_ptr_null(evtls_engine_get_server_name(pair.server.engine));
    drop_output(&pair.client);
    evbuffer_drain(pair.server.in, evbuffer_get_length(pair.server.in));
    evtls_engine_reset(pair.client.engine);
    ck_assert(pair_connect(&pair));
    ck_assert_int_eq(try.calls, 2);
    pair_close(&pair);
}
END_TEST

static int act_choose_client_context(struct sni_try *try, struct evtls_engine *engine)
{
    struct evtls_error err;

    ck_assert_int_eq(evtls_engine_set_context(engine, try->pair->client_ctx, &err),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(err.status, EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_context(engine, try->pair->server_ctx, NULL), 0);
    return 0;
}

static int act_choose_null(struct sni_try *try, struct evtls_engine *engine)
{
    ck_assert_int_eq(evtls_engine_set_context(engine, NULL, NULL), EVTLS_ERR_USAGE);
    return 0;
}

static int act_choose_unusable(struct sni_try *try, struct evtls_engine *engine)
{
    struct evtls_context *empty = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);

    ck_assert_int_eq(evtls_engine_set_context(engine, empty, NULL), EVTLS_ERR_CONFIG);
    evtls_context_free(empty);
    return 0;
}

static int (*const bad_choices[])(struct sni_try *, struct evtls_engine *) = {
    act_choose_client_context,
    act_choose_null,
    act_choose_unusable,
};

/* Whatever the callback returns, and whatever it tries afterwards. */
START_TEST(engine__failed_choice_ends_the_handshake)
{
    struct pair pair;
    struct sni_try try;

    try_open(&try, &pair, bad_choices[_i]);
    ck_assert(!pair_connect(&pair));
    ck_assert_int_eq(evtls_engine_get_state(pair.server.engine), EVTLS_ENGINE_FAILED);
    ck_assert_int_eq(evtls_engine_get_error(pair.client.engine)->status, EVTLS_ERR_ALERT);
    ck_assert_int_eq(evtls_engine_get_error(pair.client.engine)->alert,
                     evtls_engine_get_error(pair.server.engine)->alert);
    pair_close(&pair);
}
END_TEST

static int act_choose_twice(struct sni_try *try, struct evtls_engine *engine)
{
    struct evtls_context *first = evtls_context_copy(try->pair->server_ctx, NULL);
    struct evtls_context *second = evtls_context_copy(try->pair->server_ctx, NULL);

    ck_assert_int_eq(evtls_engine_set_context(engine, first, NULL), 0);
    ck_assert_int_eq(evtls_engine_set_context(engine, second, NULL), 0);
    ck_assert_ptr_eq(evtls_engine_get_context(engine), second);
    evtls_context_free(first);
    evtls_context_free(second);
    return 0;
}

START_TEST(engine__last_choice_counts_and_is_held)
{
    struct pair pair;
    struct sni_try try;

    try_open(&try, &pair, act_choose_twice);
    ck_assert(pair_connect(&pair));
    ck_assert_ptr_ne(evtls_engine_get_context(pair.server.engine), pair.server_ctx);
    evtls_engine_reset(pair.server.engine);
    ck_assert_ptr_eq(evtls_engine_get_context(pair.server.engine), pair.server_ctx);
    pair_close(&pair);
}
END_TEST

static int act_dirty_queue(struct sni_try *try, struct evtls_engine *engine)
{
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    return 0;
}

/* O20: what the callback leaves in OpenSSL's queue is not the handshake's failure. */
START_TEST(engine__dirty_queue_of_a_callback)
{
    struct pair pair;
    struct sni_try try;

    try_open(&try, &pair, act_dirty_queue);
    ck_assert(pair_connect(&pair));
    ck_assert_uint_eq(ERR_peek_error(), 0);
    pair_close(&pair);
}
END_TEST

static Suite *engine_callback_suite(void)
{
    Suite *suite = suite_create("engine_callback");
    TCase *tcase = tcase_create("engine_callback");

    tcase_add_test(tcase, engine__in_the_sni_callback);
    tcase_add_test(tcase, engine__freed_in_its_sni_callback);
    tcase_add_test(tcase, engine__reset_in_its_sni_callback);
    tcase_add_loop_test(tcase, engine__failed_choice_ends_the_handshake, 0, COUNT(bad_choices));
    tcase_add_test(tcase, engine__last_choice_counts_and_is_held);
    tcase_add_test(tcase, engine__dirty_queue_of_a_callback);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_callback_suite());
}
