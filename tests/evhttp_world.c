/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "evhttp_world.h"

#include <string.h>

#include <check.h>

#include <event2/buffer.h>
#include <event2/thread.h>

#include "support/connects.h"
#include "support/dns.h"
#include "support/engines.h"
#include "support/faults.h"
#include "support/loop.h"
#include "support/pki.h"

struct event_base *base;
struct pki *pki;
struct evtls_context *server_ctx, *client_ctx;
struct dns *dns;
struct evhttp *http;
struct evhttp_connection *evcon;
uint16_t port;
struct evhttp_connection *served;
unsigned accepted;
struct seen seen;

static struct evhttp_request *unanswered[8]; /* they are ours until a reply */
static unsigned n_unanswered;

/* ---- The server --------------------------------------------------------------------------- */

static struct bufferevent *counting_bevcb(struct event_base *its_base, void *ctx)
{
    accepted++;
    return evtls_evhttp_bevcb(its_base, ctx);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct evbuffer *body = evbuffer_new();
    const char *uri = evhttp_request_get_uri(req);

    (void)arg;
    served = evhttp_request_get_connection(req);
    if (strcmp(uri, "/big") == 0) {
        static char block[65536];

        for (size_t n = 0; n < BIG_BYTES; n += sizeof(block))
            evbuffer_add(body, block, sizeof(block));
    } else if (strcmp(uri, "/echo") == 0) {
        evbuffer_add_buffer(body, evhttp_request_get_input_buffer(req));
    } else {
        evbuffer_add_printf(body, "page");
    }
    if (strcmp(uri, "/close") == 0)
        evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
    if (strcmp(uri, "/never") == 0)
        unanswered[n_unanswered++] = req;
    else
        evhttp_send_reply(req, 200, "OK", body);
    evbuffer_free(body);
}

void serve(const char *address)
{
    struct evtls_error err;

    if (!http) {
        http = evhttp_new(base);
        evhttp_set_gencb(http, on_request, NULL);
    }
    ck_assert_msg(evtls_evhttp_bind(http, server_ctx, address, port, &err) == 0, "%s", err.message);
    port = (uint16_t)evtls_evhttp_get_port(http);
    evhttp_set_bevcb(http, counting_bevcb, server_ctx);
}

void evhttp_world_open(void)
{
    memset(&seen, 0, sizeof(seen));
    evthread_use_pthreads();
    base = event_base_new();
    pki = pki_new();
    server_ctx = server_context(pki_issue(
        pki, &(struct pki_spec){.san = "DNS:localhost,DNS:race.test,IP:127.0.0.1,IP:::1"}));
    client_ctx = client_context(pki);
    dns = dns_new(base);
    dns_add(dns, "race.test", "::1");
    dns_add(dns, "race.test", "127.0.0.1");
    dns_add(dns, "other.test", "127.0.0.1");
    http = NULL;
    evcon = NULL;
    port = 0;
    accepted = 0;
    n_unanswered = 0;
    faults_watch("HTTP/1.1"); /* no request and no reply is ever seen in clear */
    connects_watch();
}

void evhttp_world_close(void)
{
    if (evcon)
        evhttp_connection_free(evcon);
    loop_drain(base, 50);
    ck_assert_uint_eq(connects_open(), 0);
    while (n_unanswered > 0)
        evhttp_send_reply(unanswered[--n_unanswered], 200, "OK", NULL);
    if (http)
        evhttp_free(http);
    dns_free_resolver(dns, 1);
    loop_drain(base, 50);
    dns_free(dns);
    evtls_context_free(client_ctx);
    evtls_context_free(server_ctx);
    pki_free(pki);
    event_base_free(base);
    ck_assert_uint_eq(faults_watch_count(), 0);
}

/* ---- The client --------------------------------------------------------------------------- */

static void on_handshake(struct bufferevent *bev, void *arg)
{
    (void)arg;
    seen.handshakes++;
    seen.reused += evtls_engine_get_session_reused(evtls_bufferevent_get_engine(bev)) ? 1 : 0;
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    (void)bev;
    (void)err;
    (void)arg;
    seen.errors++;
}

void connect_with(struct evtls_context *ctx, struct evdns_base *resolver, const char *host)
{
    static const struct evtls_callbacks callbacks = {.handshake = on_handshake, .error = on_error};
    struct evtls_error err;

    evcon = evtls_evhttp_connection_new(base, resolver, ctx, host, port, &err);
    ck_assert_msg(evcon != NULL, "%s", err.message);
    evtls_bufferevent_setcb(evhttp_connection_get_bufferevent(evcon), &callbacks, NULL);
}

void client_open(const char *host)
{
    connect_with(client_ctx, dns_resolver(dns), host);
}

void on_done(struct evhttp_request *req, void *arg)
{
    const struct evtls_error *err = evtls_evhttp_connection_get_error(evcon);

    (void)arg;
    seen.done++;
    memset(&seen.error, 0, sizeof(seen.error));
    if (err)
        seen.error = *err;
    if (req && evhttp_request_get_response_code(req) == 200) {
        seen.good++;
        seen.body = evbuffer_get_length(evhttp_request_get_input_buffer(req));
    }
}

struct evhttp_request *ask(const char *uri)
{
    struct evhttp_request *req = evhttp_request_new(on_done, NULL);

    evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "race.test");
    ck_assert_int_eq(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, uri), 0);
    return req;
}

void wait_done(unsigned n)
{
    ck_assert(loop_until_count(base, &seen.done, n, 50000));
    ck_assert_uint_eq(seen.done, n);
}

void expect_page(const char *uri)
{
    unsigned good = seen.good;

    ask(uri);
    wait_done(seen.done + 1);
    ck_assert_msg(seen.good == good + 1, "%s", seen.error.message);
    ck_assert_ptr_null(evtls_evhttp_connection_get_error(evcon));
}

void expect_failure(const char *uri, enum evtls_status status)
{
    ask(uri);
    wait_done(1);
    loop_turns(base, 30);
    ck_assert_uint_eq(seen.done, 1);
    ck_assert_uint_eq(seen.good, 0);
    ck_assert_uint_eq(seen.errors, 1);
    ck_assert_msg(seen.error.status == status, "%s", seen.error.message);
    ck_assert_uint_eq(connects_open(), 0);
}
