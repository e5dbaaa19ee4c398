/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <netinet/in.h>

#include <evtls/certificate.h>
#include <evtls/evhttp.h>

#include "support/bev_pair.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/suite.h"

static struct bev_pair pair;
static struct evhttp *http;

static void reply(struct evhttp_request *req, void *arg)
{
    struct evbuffer *body = evbuffer_new();

    (void)arg;
    evbuffer_add_printf(body, "page");
    evhttp_send_reply(req, 200, "OK", body);
    evbuffer_free(body);
}

static void setup(void)
{
    memset(&pair, 0, sizeof(pair));
    pair.base = event_base_new();
    bev_pair_make_contexts(&pair);
    http = evhttp_new(pair.base);
    evhttp_set_gencb(http, reply, NULL);
}

static void teardown(void)
{
    evhttp_free(http);
    bev_pair_close(&pair);
}

/* ---- A client ------------------------------------------------------------------------------ */

struct client {
    struct bufferevent *bev;
    char sha256[65]; /* of the server's certificate */
    unsigned pages;
    bool ended;
};

static void on_read(struct bufferevent *bev, void *arg)
{
    struct client *client = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    struct evbuffer_ptr at = evbuffer_search(input, "page", 4, NULL);

    if (at.pos >= 0) {
        evbuffer_drain(input, evbuffer_get_length(input));
        client->pages++;
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct client *client = arg;
    const struct evtls_certificate *certificate =
        evtls_engine_get_peer_certificate(evtls_bufferevent_get_engine(bev));

    if (what & BEV_EVENT_CONNECTED)
        snprintf(client->sha256, sizeof(client->sha256), "%s",
                 evtls_certificate_get_sha256(certificate));
    else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        client->ended = true;
}

static void ask(struct client *client)
{
    evbuffer_add_printf(bufferevent_get_output(client->bev),
                        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static void client_open(struct client *client, struct evtls_context *ctx)
{
    memset(client, 0, sizeof(*client));
    client->bev =
        evtls_bufferevent_socket_new(pair.base, net_connect((uint16_t)evtls_evhttp_get_port(http)),
                                     ctx, EVTLS_CLIENT, BEV_OPT_CLOSE_ON_FREE, NULL);
    ck_assert_ptr_nonnull(client->bev);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(client->bev), "localhost", NULL);
    bufferevent_setcb(client->bev, on_read, NULL, on_event, client);
    bufferevent_enable(client->bev, EV_READ | EV_WRITE);
    ask(client);
}

/* ---- Binding ------------------------------------------------------------------------------- */

START_TEST(evhttp__bind_says_what_is_wrong)
{
    struct evtls_context *empty = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_error err;
    int port;

    ck_assert_int_eq(evtls_evhttp_bind(NULL, pair.server.ctx, NULL, 0, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_evhttp_bind(http, NULL, NULL, 0, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.client.ctx, NULL, 0, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, NULL, 65536, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, NULL, -1, &err), EVTLS_ERR_USAGE);
    ck_assert_int_eq(evtls_evhttp_bind(http, empty, "127.0.0.1", 0, &err), EVTLS_ERR_CONFIG);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "no.such.host.invalid", 0, &err),
                     EVTLS_ERR_RESOLVE);
    ck_assert_int_ne(err.resolve_code, 0);
    ck_assert_int_eq(evtls_evhttp_get_port(http), 0);
    ck_assert_int_eq(evtls_evhttp_get_port(NULL), 0);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, &err), 0);
    port = evtls_evhttp_get_port(http);
    ck_assert_int_gt(port, 0);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", port, &err),
                     EVTLS_ERR_IO);
    ck_assert_int_eq(err.sys_errno, EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(err.message, "127.0.0.1"));
    evtls_context_free(empty);
}
END_TEST

START_TEST(evhttp__all_addresses)
{
    struct client client;

    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, NULL, 0, NULL), 0);
    client_open(&client, pair.client.ctx); /* over IPv4 */
    ck_assert(loop_until_count(pair.base, &client.pages, 1, 10000));
    bufferevent_free(client.bev);
}
END_TEST

/* ---- What a handler can ask, and what is told of its connection ------------------------------ */

struct seen {
    char callbacks[64];
    char alpn[16], name[64], peer[64];
    enum evtls_role role;
    struct evtls_engine *engine;
    bool none; /* no engine */
    unsigned requests, replies;
};

static void note_engine(struct seen *seen, struct evhttp_request *req)
{
    struct evtls_engine *engine = evtls_evhttp_request_get_engine(req);
    const char *alpn = evtls_engine_get_alpn(engine, NULL);
    const char *name = evtls_engine_get_server_name(engine);

    seen->requests++;
    seen->none = engine == NULL;
    seen->engine = engine;
    if (!engine)
        return;
    seen->role = evtls_engine_get_role(engine);
    snprintf(seen->alpn, sizeof(seen->alpn), "%s", alpn ? alpn : "-");
    snprintf(seen->name, sizeof(seen->name), "%s", name ? name : "-");
    snprintf(seen->peer, sizeof(seen->peer), "%s",
             evtls_certificate_get_subject(evtls_engine_get_peer_certificate(engine)));
}

static void on_request(struct evhttp_request *req, void *arg)
{
    note_engine(arg, req);
    reply(req, NULL);
}

static int on_header(struct evhttp_request *req, void *arg)
{
    note_engine(arg, req);
    return 0;
}

static void on_reply(struct evhttp_request *req, void *arg)
{
    struct seen *seen = arg;

    ck_assert_ptr_nonnull(req);
    ck_assert_int_eq(evhttp_request_get_response_code(req), 200);
    ck_assert_ptr_null(evtls_evhttp_request_get_engine(req)); /* evhttp has parted them */
    seen->replies++;
}

static void told_handshake(struct bufferevent *bev, void *arg)
{
    struct seen *seen = arg;

    ck_assert(evtls_engine_is_handshake_done(evtls_bufferevent_get_engine(bev)));
    strcat(seen->callbacks, "handshake ");
}

static void told_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    struct seen *seen = arg;

    (void)bev;
    ck_assert_uint_eq(len, strlen("http/1.1"));
    strcat(strcat(seen->callbacks, protocol), " ");
}

/* A context's certificate made on the spot, for the other side to trust. */
static void trust(struct evtls_context *ctx, const struct evtls_context *other)
{
    size_t len;
    const char *pem = evtls_certificate_get_pem(evtls_context_get_certificate(other), &len);

    ck_assert_int_eq(evtls_context_load_verify_locations_data(ctx, pem, len, NULL), 0);
}

static void get_page(struct evhttp_connection *evcon, struct seen *seen)
{
    struct evhttp_request *req = evhttp_request_new(on_reply, seen);
    unsigned before = seen->replies;

    evhttp_request_set_header_cb(req, on_header);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "localhost");
    ck_assert_int_eq(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, "/"), 0);
    ck_assert(loop_until_count(pair.base, &seen->replies, before + 1, 10000));
}

START_TEST(evhttp__a_handler_sees_its_connection)
{
    static const char *const protocols[] = {"http/1.1"}, *const names[] = {"visitor"};
    static const struct evtls_callbacks told = {.handshake = told_handshake, .alpn = told_alpn};
    struct seen server, client;
    struct evhttp_connection *evcon;
    struct bufferevent *bev;

    memset(&server, 0, sizeof(server));
    memset(&client, 0, sizeof(client));
    evtls_context_use_self_signed(pair.client.ctx, names, 1, NULL);
    trust(pair.server.ctx, pair.client.ctx);
    evtls_context_set_verify_mode(pair.server.ctx, EVTLS_VERIFY_REQUIRED, NULL);
    evtls_context_set_alpn(pair.server.ctx, protocols, 1);
    evtls_context_set_alpn(pair.client.ctx, protocols, 1);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.server.ctx, &told, &server), 0);
    ck_assert_int_eq(evtls_context_set_callbacks(pair.client.ctx, &told, &client), 0);
    evhttp_set_gencb(http, on_request, &server);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, NULL), 0);

    bev = evtls_bufferevent_socket_new(pair.base, -1, pair.client.ctx, EVTLS_CLIENT,
                                       BEV_OPT_CLOSE_ON_FREE, NULL);
    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), "localhost", NULL);
    evcon = evhttp_connection_base_bufferevent_new(pair.base, NULL, bev, "127.0.0.1",
                                                   (uint16_t)evtls_evhttp_get_port(http));
    get_page(evcon, &client);
    ck_assert_str_eq(server.callbacks, "http/1.1 handshake ");
    ck_assert_str_eq(client.callbacks, "http/1.1 handshake ");
    ck_assert_int_eq(server.role, EVTLS_SERVER);
    ck_assert_str_eq(server.alpn, "http/1.1");
    ck_assert_str_eq(server.name, "localhost");
    ck_assert_str_eq(server.peer, "CN=visitor");
    ck_assert_ptr_eq(client.engine, evtls_bufferevent_get_engine(bev));
    ck_assert_int_eq(client.role, EVTLS_CLIENT);
    ck_assert_str_eq(client.alpn, "http/1.1");
    ck_assert_str_eq(client.peer, "CN=localhost");
    ck_assert_ptr_ne(server.engine, client.engine);
    evhttp_connection_free(evcon);
}
END_TEST

START_TEST(evhttp__no_engine_without_tls)
{
    struct seen server, client;
    struct evhttp_connection *evcon;
    struct evhttp_bound_socket *bound;
    struct evhttp_request *lone = evhttp_request_new(NULL, NULL);
    struct sockaddr_in sin;
    socklen_t len = sizeof(sin);

    memset(&server, 0, sizeof(server));
    memset(&client, 0, sizeof(client));
    ck_assert_ptr_null(evtls_evhttp_request_get_engine(NULL));
    ck_assert_ptr_null(evtls_evhttp_request_get_engine(lone));
    evhttp_request_free(lone);
    evhttp_set_gencb(http, on_request, &server);
    bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    ck_assert_ptr_nonnull(bound);
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&sin, &len);
    evcon = evhttp_connection_base_new(pair.base, NULL, "127.0.0.1", ntohs(sin.sin_port));
    get_page(evcon, &client);
    ck_assert_uint_eq(server.requests, 1);
    ck_assert(server.none && client.none);
    evhttp_connection_free(evcon);
}
END_TEST

/* ---- Reload -------------------------------------------------------------------------------- */

START_TEST(evhttp__new_context_leaves_connections_alone)
{
    static const char *const names[] = {"localhost"};
    struct evtls_context *renewed = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, NULL);
    struct evtls_context *trusting = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, NULL);
    struct client old, fresh;
    const char *pem;
    size_t len;

    evtls_context_use_self_signed(renewed, names, 1, NULL);
    pem = evtls_certificate_get_pem(evtls_context_get_certificate(renewed), &len);
    evtls_context_load_verify_locations_data(trusting, pem, len, NULL);
    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, NULL), 0);
    client_open(&old, pair.client.ctx);
    ck_assert(loop_until_count(pair.base, &old.pages, 1, 10000));

    ck_assert_int_eq(evtls_context_seal(renewed, NULL), 0);
    evhttp_set_bevcb(http, evtls_evhttp_bevcb, renewed);
    evtls_context_free(pair.server.ctx); /* connections keep it */
    pair.server.ctx = NULL;
    client_open(&fresh, trusting);
    ask(&old);
    ck_assert(loop_until_count(pair.base, &fresh.pages, 1, 10000));
    ck_assert(loop_until_count(pair.base, &old.pages, 2, 10000));
    ck_assert(!old.ended && !fresh.ended);
    ck_assert_str_ne(old.sha256, fresh.sha256);
    ck_assert_str_eq(fresh.sha256,
                     evtls_certificate_get_sha256(evtls_context_get_certificate(renewed)));
    bufferevent_free(old.bev);
    bufferevent_free(fresh.bev);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    evhttp_free(http);
    http = evhttp_new(pair.base);
    evtls_context_free(renewed);
    evtls_context_free(trusting);
}
END_TEST

/* ---- Descriptors run out (A14) --------------------------------------------------------------- */

START_TEST(evhttp__accepting_rests_when_descriptors_run_out)
{
    struct rlimit limit, small;
    struct client served, waiting;
    long cpu;

    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, NULL), 0);
    client_open(&served, pair.client.ctx);
    ck_assert(loop_until_count(pair.base, &served.pages, 1, 10000));
    client_open(&waiting, pair.client.ctx);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = limit;
    small.rlim_cur = (rlim_t)bufferevent_getfd(waiting.bev) + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
    cpu = loop_cpu_us();
    ask(&served);
    loop_turns(pair.base, 1000);
    ck_assert_int_le(loop_cpu_us() - cpu, 200000);
    ck_assert_uint_eq(served.pages, 2); /* who is there is served */
    ck_assert_uint_eq(waiting.pages, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert(loop_until_count(pair.base, &waiting.pages, 1, 10000));
    bufferevent_free(served.bev);
    bufferevent_free(waiting.bev);
}
END_TEST

START_TEST(evhttp__freed_while_accepting_rests)
{
    struct rlimit limit, small;
    struct client waiting;

    ck_assert_int_eq(evtls_evhttp_bind(http, pair.server.ctx, "127.0.0.1", 0, NULL), 0);
    client_open(&waiting, pair.client.ctx);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = limit;
    small.rlim_cur = (rlim_t)bufferevent_getfd(waiting.bev) + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    event_base_loop(pair.base, EVLOOP_NONBLOCK);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    evhttp_free(http);
    http = evhttp_new(pair.base);
    loop_turns(pair.base, 300);
    ck_assert(waiting.ended);
    bufferevent_free(waiting.bev);
}
END_TEST

static Suite *evhttp_suite(void)
{
    Suite *suite = suite_create("evhttp");
    TCase *tcase = tcase_create("evhttp");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, evhttp__bind_says_what_is_wrong);
    tcase_add_test(tcase, evhttp__all_addresses);
    tcase_add_test(tcase, evhttp__a_handler_sees_its_connection);
    tcase_add_test(tcase, evhttp__no_engine_without_tls);
    tcase_add_test(tcase, evhttp__new_context_leaves_connections_alone);
    tcase_add_test(tcase, evhttp__accepting_rests_when_descriptors_run_out);
    tcase_add_test(tcase, evhttp__freed_while_accepting_rests);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(evhttp_suite());
}
