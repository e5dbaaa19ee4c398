/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SNI callback: what it is asked, what its answers do, and how long its argument lives. What a
 * chosen context changes is in test_sni_switch.c.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/engines.h"
#include "support/hello.h"
#include "support/suite.h"

/* A server whose callback writes down what it is asked. */
struct server {
    struct pki *pki;
    struct evtls_context *ctx;
    struct end end;
    int calls, answer;
    char name[256]; /* "-": NULL */
    void (*inside)(struct server *, struct evtls_engine *);
    int choice; /* what evtls_engine_set_context said */
};

static int on_name(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                   void *arg)
{
    struct server *server = arg;

    server->calls++;
    ck_assert_ptr_eq(initial, server->ctx);
    ck_assert_ptr_eq(evtls_engine_get_context(engine), initial);
    ck_assert_ptr_null(evtls_engine_get_version(engine));
    ck_assert_ptr_null(evtls_engine_get_alpn(engine, NULL));
    strcpy(server->name, name != NULL ? name : "-");
    if (server->inside != NULL)
        server->inside(server, engine);
    return server->answer;
}

static void server_open(struct server *server)
{
    memset(server, 0, sizeof(*server));
    server->pki = pki_new();
    server->ctx = server_context(pki_issue(server->pki, &(struct pki_spec){0}));
    ck_assert_int_eq(evtls_context_set_sni_callback(server->ctx, on_name, server, NULL), 0);
    end_open(&server->end, server->ctx, EVTLS_SERVER);
}

static void server_close(struct server *server)
{
    end_close(&server->end);
    evtls_context_free(server->ctx);
    pki_free(server->pki);
}

/* Feeds a ClientHello: the alert that it is answered with, or -1 for a ServerHello. */
static int say_hello(struct server *server, const struct hello *hello)
{
    unsigned char answer[7];
    size_t len;
    unsigned char *bytes = hello_make(hello, &len);

    evbuffer_add(server->end.in, bytes, len);
    free(bytes);
    end_step(&server->end);
    ck_assert_int_eq(evbuffer_copyout(server->end.out, answer, sizeof(answer)), sizeof(answer));
    if (answer[0] == SSL3_RT_HANDSHAKE)
        return -1;
    ck_assert_int_eq(answer[0], SSL3_RT_ALERT);
    ck_assert_int_eq(answer[5], SSL3_AL_FATAL);
    return answer[6];
}

/* ---- Names ------------------------------------------------------------------------------ */

static const struct {
    const char *label, *sni;
    size_t len; /* 0: strlen */
    unsigned count;
    const char *name; /* what the callback is told; NULL: it is not asked */
    int alert;
} names[] = {
    {"a name", "localhost", 0, 1, "localhost", -1},
    {"upper case and a trailing dot", "WWW.Example.ORG.", 0, 1, "www.example.org", -1},
    {"none", NULL, 0, 1, "-", -1},
    {"an IPv4 address", "192.0.2.1", 0, 1, "-", -1},
    {"an A-label", "xn--bcher-kva.example", 0, 1, "xn--bcher-kva.example", -1},
    {"an underscore", "_x.example", 0, 1, "_x.example", -1},
    {"a NUL", "a.test\0.b.test", 14, 1, NULL, EVTLS_ALERT_UNRECOGNIZED_NAME},
    {"0xff", "a\xff.test", 0, 1, NULL, EVTLS_ALERT_UNRECOGNIZED_NAME},
    {"a blank", "a .test", 0, 1, NULL, EVTLS_ALERT_UNRECOGNIZED_NAME},
    {"a line feed", "a\n.test", 0, 1, NULL, EVTLS_ALERT_UNRECOGNIZED_NAME},
    {"only a dot", ".", 0, 1, NULL, EVTLS_ALERT_UNRECOGNIZED_NAME},
    {"two names", "a.test", 0, 2, NULL, EVTLS_ALERT_DECODE_ERROR},
};

/* B31, X16 */
START_TEST(sni__names)
{
    struct server server;
    struct hello hello = {
        .sni = names[_i].sni, .sni_len = names[_i].len, .sni_count = names[_i].count};
    int alert;

    server_open(&server);
    alert = say_hello(&server, &hello);
    ck_assert_msg(alert == names[_i].alert, "%s: %d", names[_i].label, alert);
    ck_assert_int_eq(server.calls, names[_i].name != NULL);
    if (names[_i].name != NULL)
        ck_assert_str_eq(server.name, names[_i].name);
    if (names[_i].name != NULL && strcmp(server.name, "-") != 0)
        ck_assert_str_eq(evtls_engine_get_server_name(server.end.engine), server.name);
    else
        ck_assert_ptr_null(evtls_engine_get_server_name(server.end.engine));
    server_close(&server);
}
END_TEST

START_TEST(sni__long_names)
{
    struct server server;
    char name[600];
    struct hello hello = {.sni = name, .sni_len = _i == 0 ? 256 : 599};

    server_open(&server);
    memset(name, 'a', sizeof(name));
    ck_assert_int_eq(say_hello(&server, &hello), EVTLS_ALERT_UNRECOGNIZED_NAME);
    ck_assert_int_eq(server.calls, 0);
    server_close(&server);
}
END_TEST

#define EXTENSION(bytes) bytes, sizeof(bytes) - 1
static const struct {
    const char *label;
    const char *data;
    size_t len;
    int alert;
} extensions[] = {
    {"well-formed",
     EXTENSION("\0\x09\0\0\x06"
               "a.test"),
     -1},
    {"nothing in it", EXTENSION(""), EVTLS_ALERT_DECODE_ERROR},
    {"cut in the length", EXTENSION("\0"), EVTLS_ALERT_DECODE_ERROR},
    {"an empty list", EXTENSION("\0\0"), EVTLS_ALERT_DECODE_ERROR},
    {"a list that is shorter",
     EXTENSION("\0\x09\0\0\x06"
               "a.tes"),
     EVTLS_ALERT_DECODE_ERROR},
    {"a list that is longer",
     EXTENSION("\0\x09\0\0\x06"
               "a.testx"),
     EVTLS_ALERT_DECODE_ERROR},
    {"a name that is shorter",
     EXTENSION("\0\x09\0\0\x07"
               "a.test"),
     EVTLS_ALERT_DECODE_ERROR},
    {"a name that is longer",
     EXTENSION("\0\x09\0\0\x05"
               "a.test"),
     EVTLS_ALERT_DECODE_ERROR},
    {"another type of name",
     EXTENSION("\0\x09\x01\0\x06"
               "a.test"),
     EVTLS_ALERT_DECODE_ERROR},
    {"an empty name", EXTENSION("\0\x03\0\0\0"), EVTLS_ALERT_UNRECOGNIZED_NAME},
    {"lengths that lie",
     EXTENSION("\xff\xff\0\xff\xff"
               "a.test"),
     EVTLS_ALERT_DECODE_ERROR},
};

/* B19, B31 */
START_TEST(sni__extensions)
{
    struct hello_extension extension = {0, extensions[_i].data, extensions[_i].len};
    struct hello hello = {.extensions = &extension, .n_extensions = 1};
    struct server server;
    int alert;

    server_open(&server);
    alert = say_hello(&server, &hello);
    ck_assert_msg(alert == extensions[_i].alert, "%s: %d", extensions[_i].label, alert);
    ck_assert_int_eq(server.calls, extensions[_i].alert < 0);
    if (alert > 0)
        ck_assert_int_eq(evtls_engine_get_error(server.end.engine)->alert, alert);
    server_close(&server);
}
END_TEST

/* ---- Answers ---------------------------------------------------------------------------- */

static const struct {
    int answer, alert; /* -1: the handshake goes on */
} answers[] = {
    {0, -1},
    {EVTLS_ALERT_UNRECOGNIZED_NAME, EVTLS_ALERT_UNRECOGNIZED_NAME},
    {EVTLS_ALERT_ACCESS_DENIED, EVTLS_ALERT_ACCESS_DENIED},
    {EVTLS_ALERT_NO_APPLICATION_PROTOCOL, EVTLS_ALERT_NO_APPLICATION_PROTOCOL},
    {EVTLS_ALERT_NO_CERTIFICATE, EVTLS_ALERT_INTERNAL_ERROR}, /* of SSL 3.0 */
    {1, EVTLS_ALERT_INTERNAL_ERROR},
    {255, EVTLS_ALERT_INTERNAL_ERROR},
    {256, EVTLS_ALERT_INTERNAL_ERROR},
    {100000, EVTLS_ALERT_INTERNAL_ERROR},
    {-1, EVTLS_ALERT_HANDSHAKE_FAILURE},
    {EVTLS_ERR_CONFIG, EVTLS_ALERT_HANDSHAKE_FAILURE},
};

/* X16 */
START_TEST(sni__answers)
{
    int row = _i / 2, version = _i % 2 != 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    struct server server;
    struct peer *peer;
    bool connected;

    server_open(&server);
    server.answer = answers[row].answer;
    peer = peer_new(&(struct peer_options){.sni = "a.test", .max_version = version});
    connected = end_connect_peer(&server.end, peer);
    ck_assert_int_eq(connected, answers[row].alert < 0);
    ck_assert_int_eq(peer_alert_received(peer), answers[row].alert);
    if (!connected) {
        const struct evtls_error *err = evtls_engine_get_error(server.end.engine);

        ck_assert_int_eq(err->status, EVTLS_ERR_PROTOCOL);
        ck_assert_int_eq(err->alert, answers[row].alert);
    }
    peer_free(peer);
    server_close(&server);
}
END_TEST

static void choose_client_context(struct server *server, struct evtls_engine *engine)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);

    server->choice = evtls_engine_set_context(engine, ctx, NULL);
    evtls_context_free(ctx);
}

static void choose_unfinished_context(struct server *server, struct evtls_engine *engine)
{
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);

    server->choice = evtls_engine_set_context(engine, ctx, NULL);
    evtls_context_free(ctx);
}

static void choose_null(struct server *server, struct evtls_engine *engine)
{
    server->choice = evtls_engine_set_context(engine, NULL, NULL);
}

static void choose_initial(struct server *server, struct evtls_engine *engine)
{
    server->choice = evtls_engine_set_context(engine, server->ctx, NULL);
}

static const struct {
    const char *label;
    void (*inside)(struct server *, struct evtls_engine *);
    int choice, answer, alert;
} choices[] = {
    {"the initial one", choose_initial, 0, 0, -1},
    {"a client's", choose_client_context, EVTLS_ERR_USAGE, 0, EVTLS_ALERT_INTERNAL_ERROR},
    {"one that can't be sealed", choose_unfinished_context, EVTLS_ERR_CONFIG, 0,
     EVTLS_ALERT_INTERNAL_ERROR},
    {"none", choose_null, EVTLS_ERR_USAGE, 0, EVTLS_ALERT_INTERNAL_ERROR},
    {"none, and says so", choose_null, EVTLS_ERR_USAGE, -1, EVTLS_ALERT_HANDSHAKE_FAILURE},
};

/* A choice that fails ends the handshake, whatever the callback says. */
START_TEST(sni__choices_that_fail)
{
    struct hello hello = {.sni = "a.test"};
    struct server server;
    int alert;

    server_open(&server);
    server.inside = choices[_i].inside;
    server.answer = choices[_i].answer;
    alert = say_hello(&server, &hello);
    ck_assert_msg(alert == choices[_i].alert, "%s: %d", choices[_i].label, alert);
    ck_assert_int_eq(server.choice, choices[_i].choice);
    server_close(&server);
}
END_TEST

START_TEST(sni__context_is_chosen_in_the_callback_only)
{
    struct hello hello = {.sni = "a.test"};
    struct server server;

    server_open(&server);
    ck_assert_int_eq(evtls_engine_set_context(server.end.engine, server.ctx, NULL),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(say_hello(&server, &hello), -1);
    ck_assert_int_eq(evtls_engine_set_context(server.end.engine, server.ctx, NULL),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_engine_set_context(NULL, server.ctx, NULL), EVTLS_ERR_USAGE);
    server_close(&server);
}
END_TEST

static void free_engine(struct server *server, struct evtls_engine *engine)
{
    evtls_engine_free(engine);
    server->end.engine = NULL;
}

/* B55 */
START_TEST(sni__engine_is_freed_in_the_callback)
{
    struct hello hello = {.sni = "a.test"};
    struct evtls_engine *engine;
    struct server server;
    size_t len;
    unsigned char *bytes = hello_make(&hello, &len);

    server_open(&server);
    server.inside = free_engine;
    evbuffer_add(server.end.in, bytes, len);
    free(bytes);
    engine = server.end.engine;
    ck_assert_int_lt(evtls_engine_handshake(engine), 0);
    ck_assert_int_eq(server.calls, 1);
    ck_assert_uint_eq(evbuffer_get_length(server.end.out), 0);
    server_close(&server);
}
END_TEST

static void drop_initial(struct server *server, struct evtls_engine *engine)
{
    (void)engine;
    evtls_context_free(server->ctx);
}

START_TEST(sni__last_reference_is_dropped_in_the_callback)
{
    struct hello hello = {.sni = "a.test"};
    struct server server;

    server_open(&server);
    server.inside = drop_initial;
    ck_assert_int_eq(say_hello(&server, &hello), -1);
    server.ctx = NULL;
    server_close(&server);
}
END_TEST

/* ---- HelloRetryRequest ------------------------------------------------------------------ */

START_TEST(sni__is_asked_once_with_a_retry)
{
    struct server server;
    struct peer *peer;

    server_open(&server);
    peer = peer_new(&(struct peer_options){.sni = "a.test", .groups = "X25519:P-384"});
    evtls_engine_free(server.end.engine);
    evtls_context_free(server.ctx);
    server.ctx = server_context(pki_issue(server.pki, &(struct pki_spec){0}));
    ck_assert_int_eq(evtls_context_set_groups(server.ctx, "P-384", NULL), 0);
    evtls_context_set_sni_callback(server.ctx, on_name, &server, NULL);
    server.end.engine =
        evtls_engine_new(server.ctx, EVTLS_SERVER, server.end.in, server.end.out, NULL);
    ck_assert(end_connect_peer(&server.end, peer));
    ck_assert_int_eq(server.calls, 1);
    ck_assert_str_eq(evtls_engine_get_group(server.end.engine), "secp384r1");
    peer_free(peer);
    server_close(&server);
}
END_TEST

static const struct {
    const char *label, *second;
    int alert;
} retries[] = {
    {"the same", "a.test", -1},
    {"another", "b.test", EVTLS_ALERT_ILLEGAL_PARAMETER},
    {"none", NULL, EVTLS_ALERT_ILLEGAL_PARAMETER},
};

/* RFC 8446, section 4.1.2: all but what the server asked for stays. B23 */
START_TEST(sni__second_hello_keeps_the_name)
{
    struct hello hello = {.sni = "a.test", .no_share = true};
    struct server server;
    int alert;

    server_open(&server);
    ck_assert_int_eq(say_hello(&server, &hello), -1);
    evbuffer_drain(server.end.out, evbuffer_get_length(server.end.out));
    hello = (struct hello){.sni = retries[_i].second};
    alert = say_hello(&server, &hello);
    ck_assert_msg(alert == retries[_i].alert, "%s: %d", retries[_i].label, alert);
    ck_assert_int_eq(server.calls, 1);
    server_close(&server);
}
END_TEST

/* ---- The argument ----------------------------------------------------------------------- */

struct argument {
    atomic_int freed, calls;
};

static void free_argument(void *arg)
{
    struct argument *argument = arg;

    argument->freed++;
}

static int count_call(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                      void *arg)
{
    struct argument *argument = arg;

    (void)engine;
    (void)name;
    (void)initial;
    ck_assert_int_eq(argument->freed, 0);
    argument->calls++;
    return 0;
}

START_TEST(sni__argument_lives_as_long_as_its_last_user)
{
    struct argument one = {0, 0}, two = {0, 0};
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL), *copy;

    ck_assert_int_eq(evtls_context_set_sni_callback(ctx, count_call, &one, free_argument), 0);
    copy = evtls_context_copy(ctx, NULL);
    ck_assert_int_eq(evtls_context_set_sni_callback(ctx, count_call, &two, free_argument), 0);
    ck_assert_int_eq(one.freed, 0);
    evtls_context_free(copy);
    ck_assert_int_eq(one.freed, 1);
    ck_assert_int_eq(evtls_context_set_sni_callback(ctx, NULL, NULL, NULL), 0);
    ck_assert_int_eq(two.freed, 1);
    evtls_context_free(ctx);
    ck_assert_int_eq(one.freed + two.freed, 2);
}
END_TEST

START_TEST(sni__is_refused_on_clients)
{
    struct argument one = {0, 0};
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);

    ck_assert_int_eq(evtls_context_set_sni_callback(ctx, count_call, &one, free_argument),
                     EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_context_set_sni_callback(NULL, count_call, &one, free_argument),
                     EVTLS_ERR_USAGE);
    evtls_context_free(ctx);
    ck_assert_int_eq(one.freed, 0);
}
END_TEST

static int replace_itself(struct evtls_engine *engine, const char *name,
                          struct evtls_context *initial, void *arg)
{
    ck_assert_int_eq(evtls_context_set_sni_callback(initial, NULL, NULL, NULL), 0);
    return count_call(engine, name, initial, arg);
}

/* It is live: a sealed context takes another, also inside the callback. */
START_TEST(sni__callback_replaces_itself)
{
    struct argument one = {0, 0};
    struct hello hello = {.sni = "a.test"};
    struct server server;

    server_open(&server);
    ck_assert_int_eq(
        evtls_context_set_sni_callback(server.ctx, replace_itself, &one, free_argument), 0);
    ck_assert_int_eq(say_hello(&server, &hello), -1);
    ck_assert_int_eq(one.calls, 1);
    ck_assert_int_eq(one.freed, 1);
    end_close(&server.end);
    end_open(&server.end, server.ctx, EVTLS_SERVER);
    ck_assert_int_eq(say_hello(&server, &hello), -1);
    ck_assert_int_eq(one.calls, 1);
    server_close(&server);
}
END_TEST

/* ---- Threads ---------------------------------------------------------------------------- */

#define HANDSHAKES 15

static void *shake_hands(void *arg)
{
    struct hello hello = {.sni = "a.test"};
    struct server *server = arg;
    int i;

    for (i = 0; i < HANDSHAKES; i++) {
        struct server own = {.ctx = server->ctx};

        end_open(&own.end, own.ctx, EVTLS_SERVER);
        ck_assert_int_eq(say_hello(&own, &hello), -1);
        end_close(&own.end);
    }
    return NULL;
}

/* B58: each argument is freed once, after its last call, while others take its place. */
START_TEST(sni__is_replaced_while_handshakes_run)
{
    enum { N = 200 };
    struct argument *arguments = calloc(N, sizeof(*arguments));
    struct server server;
    pthread_t threads[2];
    int i;

    server_open(&server);
    evtls_context_set_sni_callback(server.ctx, count_call, &arguments[0], free_argument);
    for (i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, shake_hands, &server), 0);
    for (i = 1; i < N; i++)
        evtls_context_set_sni_callback(server.ctx, count_call, &arguments[i], free_argument);
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    evtls_context_set_sni_callback(server.ctx, NULL, NULL, NULL);
    for (i = 0; i < N; i++)
        ck_assert_int_eq(arguments[i].freed, 1);
    free(arguments);
    server_close(&server);
}
END_TEST

static Suite *sni_suite(void)
{
    Suite *suite = suite_create("sni");
    TCase *tcase = tcase_create("sni");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, sni__names, 0, COUNT(names));
    tcase_add_loop_test(tcase, sni__long_names, 0, 2);
    tcase_add_loop_test(tcase, sni__extensions, 0, COUNT(extensions));
    tcase_add_loop_test(tcase, sni__answers, 0, 2 * COUNT(answers));
    tcase_add_loop_test(tcase, sni__choices_that_fail, 0, COUNT(choices));
    tcase_add_test(tcase, sni__context_is_chosen_in_the_callback_only);
    tcase_add_test(tcase, sni__engine_is_freed_in_the_callback);
    tcase_add_test(tcase, sni__last_reference_is_dropped_in_the_callback);
    tcase_add_test(tcase, sni__is_asked_once_with_a_retry);
    tcase_add_loop_test(tcase, sni__second_hello_keeps_the_name, 0, COUNT(retries));
    tcase_add_test(tcase, sni__argument_lives_as_long_as_its_last_user);
    tcase_add_test(tcase, sni__is_refused_on_clients);
    tcase_add_test(tcase, sni__callback_replaces_itself);
    tcase_add_test(tcase, sni__is_replaced_while_handshakes_run);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(sni_suite());
}
