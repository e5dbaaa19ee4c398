/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B57: each allocation of an engine's life fails in turn: construction, handshake, a request and a
 * reply, the close. What comes of it is a failure by name or a connection without a flaw, never a
 * connection with less verified, and nothing leaks or is freed twice.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <evtls/certificate.h>

#include "engine.h"
#include "support/alloc_faults.h"
#include "support/engine_pair.h"
#include "support/suite.h"

#define REQUEST_BYTES 20000

struct life {
    struct evtls_context *ctx;
    enum evtls_role role;
    struct peer *peer;
    struct end end;
    struct evbuffer *request, *reply;
    struct evtls_error err; /* of construction and settings */
};

/* Ciphertext both ways, which is not the engine's: nothing fails here. */
static bool exchange(struct life *life)
{
    size_t moved;

    alloc_faults_pause();
    moved = end_feed_to_peer(&life->end, life->peer);
    peer_step(life->peer);
    moved += end_feed_from_peer(&life->end, life->peer);
    alloc_faults_resume();
    return moved > 0;
}

static int handshake(struct life *life)
{
    int status;

    do {
        status = evtls_engine_handshake(life->end.engine);
    } while (exchange(life) && status == EVTLS_ERR_WANT_READ);
    return status;
}

static int write_request(struct life *life)
{
    ev_ssize_t n = 0;

    while (evbuffer_get_length(life->request) > 0 && n >= 0)
        n = evtls_engine_write_buffer(life->end.engine, life->request, 100000);
    exchange(life);
    return n < 0 ? (int)n : 0;
}

static int read_reply(struct life *life)
{
    ev_ssize_t n;

    alloc_faults_pause();
    peer_write(life->peer, "reply", 5);
    alloc_faults_resume();
    exchange(life);
    do {
        n = evtls_engine_read_buffer(life->end.engine, life->reply, 100000);
    } while (n > 0);
    return n == EVTLS_ERR_WANT_READ ? 0 : (int)n;
}

static int set_up(struct life *life)
{
    struct end *end = &life->end;

    end->engine = evtls_engine_new(life->ctx, life->role, end->in, end->out, &life->err);
    if (end->engine == NULL)
        return life->err.status;
    if (life->role == EVTLS_SERVER)
        return 0;
    return evtls_engine_set_server_hostname(end->engine, "localhost", &life->err);
}

/* A whole life: 0, or what ended it. */
static int live(struct life *life)
{
    int status = set_up(life);

    if (status == 0)
        status = handshake(life);
    if (status == 0)
        status = write_request(life);
    if (status == 0)
        status = read_reply(life);
    if (status == 0)
        status = evtls_engine_shutdown(life->end.engine);
    return status == EVTLS_ERR_WANT_READ ? 0 : status;
}

static void check_flawless(const struct life *life)
{
    const struct evtls_engine *engine = life->end.engine;
    size_t len;

    ck_assert_str_eq(evtls_engine_get_alpn(engine, NULL), "h2");
    ck_assert_ptr_null(evtls_engine_get_error(engine));
    peer_received(life->peer, &len);
    ck_assert_uint_eq(len, REQUEST_BYTES);
    ck_assert_uint_eq(evbuffer_get_length(life->reply), 5);
    if (life->role == EVTLS_SERVER) {
        ck_assert_str_eq(evtls_engine_get_server_name(engine), "localhost");
    } else {
        ck_assert_int_eq(evtls_engine_get_peer_auth(engine), EVTLS_PEER_CERTIFICATE_HOST);
        ck_assert_ptr_nonnull(evtls_engine_get_peer_certificate(engine));
    }
}

/*
 * OpenSSL often hides that it was memory: a key that could not be decoded is too weak to it, an
 * issuer that could not be looked at is none. That is no reason to go on, and no alert or end of
 * the peer's.
 */
static void check_ended(const struct life *life, int status, uint64_t n)
{
    const struct evtls_error *err = evtls_engine_get_error(life->end.engine);

    ck_assert_msg(status == EVTLS_ERR_NOMEM || status == EVTLS_ERR_PROTOCOL ||
                      (status == EVTLS_ERR_CERTIFICATE && err->verify_code != 0),
                  "allocation %llu: %s", (unsigned long long)n, evtls_status_name(status));
    if (err != NULL)
        ck_assert_int_eq(err->status, status);
    else
        ck_assert_int_eq(life->err.status, EVTLS_ERR_NOMEM);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

static struct pair pair;
static struct pki_ident *ident;
static int version;

static void life_begin(struct life *life, enum evtls_role role)
{
    bool server = role == EVTLS_SERVER;
    static const char zeros[REQUEST_BYTES];

    *life = (struct life){.ctx = server ? pair.server_ctx : pair.client_ctx, .role = role};
    evtls_error_init(&life->err);
    life->end.in = evbuffer_new();
    life->end.out = evbuffer_new();
    life->request = evbuffer_new();
    life->reply = evbuffer_new();
    evbuffer_add(life->request, zeros, 300);
    evbuffer_add_reference(life->request, zeros, sizeof(zeros) - 300, NULL, NULL);
    life->peer = peer_new(&(struct peer_options){.server = !server,
                                                 .ident = ident,
                                                 .trust = pki_root(pair.pki),
                                                 .host = server ? "localhost" : NULL,
                                                 .alpn = "h2",
                                                 .min_version = version,
                                                 .max_version = version});
}

static void life_end(struct life *life)
{
    evtls_engine_free(life->end.engine);
    evbuffer_free(life->end.in);
    evbuffer_free(life->end.out);
    evbuffer_free(life->request);
    evbuffer_free(life->reply);
    peer_free(life->peer);
}

/* One life without a failure: OpenSSL makes then what it makes once a process. */
static void live_well(enum evtls_role role)
{
    struct life life;

    life_begin(&life, role);
    ck_assert_int_eq(live(&life), 0);
    check_flawless(&life);
    life_end(&life);
}

/* Every step-th allocation of these sources, alone (FAIL_AT) or with all that follow. */
static void fail_each(enum evtls_role role, enum alloc_mode mode, unsigned sources, uint64_t step)
{
    struct alloc_result result = {.failed = 1};
    struct life life;
    uint64_t n;

    alloc_faults_select(sources);
    for (n = 1; result.failed > 0; n += step) {
        int status;

        life_begin(&life, role);
        alloc_faults_begin(mode, n);
        status = live(&life);
        result = alloc_faults_end();
        if (status == 0)
            check_flawless(&life);
        else
            check_ended(&life, status, n);
        ck_assert(status != 0 || result.failed == 0 || mode == ALLOC_FAIL_AT);
        life_end(&life);
        ck_assert_uint_lt(n, 20000);
    }
    ck_assert_uint_gt(n, 1 + step); /* the first one failed */
}

/* All of OpenSSL's thousands take minutes: EVTLS_TEST_EVERY_ALLOCATION=1 asks for them. */
static uint64_t stride(void)
{
    return getenv("EVTLS_TEST_EVERY_ALLOCATION") != NULL ? 1 : 19;
}

static void open_contexts(int tls_version)
{
    static const char *const protocols[] = {"h2"};

    version = tls_version;
    pair_prepare(&pair, 0);
    ident = pki_issue(pair.pki, &(struct pki_spec){0});
    evtls_context_set_alpn(pair.client_ctx, protocols, 1);
    evtls_context_set_alpn(pair.server_ctx, protocols, 1);
    ck_assert_int_eq(evtls_context_seal(pair.client_ctx, NULL), 0);
    ck_assert_int_eq(evtls_context_seal(pair.server_ctx, NULL), 0);
}

static const struct {
    int version;
    enum evtls_role role;
} lives[] = {
    {TLS1_2_VERSION, EVTLS_CLIENT},
    {TLS1_2_VERSION, EVTLS_SERVER},
    {TLS1_3_VERSION, EVTLS_CLIENT},
    {TLS1_3_VERSION, EVTLS_SERVER},
};

START_TEST(memory__each_allocation_fails)
{
    open_contexts(lives[_i].version);
    live_well(lives[_i].role);
    fail_each(lives[_i].role, ALLOC_FAIL_AT, ALLOC_PROGRAM | ALLOC_LIBEVENT, 1);
    fail_each(lives[_i].role, ALLOC_FAIL_AT, ALLOC_OPENSSL, stride());
    pair_close(&pair);
}
END_TEST

START_TEST(memory__runs_out_for_good)
{
    open_contexts(lives[_i].version);
    live_well(lives[_i].role);
    fail_each(lives[_i].role, ALLOC_FAIL_FROM, ALLOC_PROGRAM | ALLOC_LIBEVENT, 1);
    fail_each(lives[_i].role, ALLOC_FAIL_FROM, ALLOC_ALL, 2 * stride());
    pair_close(&pair);
}
END_TEST

static Suite *engine_memory_suite(void)
{
    Suite *suite = suite_create("engine_memory");
    TCase *tcase = tcase_create("engine_memory");

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, memory__each_allocation_fails, 0, 4);
    tcase_add_loop_test(tcase, memory__runs_out_for_good, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(engine_memory_suite());
}
