/* evhttp: timeouts, connections that end, clients that come back. */
#include "http.h"
#include "rows.h"

#include <event2/http_struct.h>

/* Long enough for a handshake on a busy machine. */
static const struct timeval ms300 = {0, 300000};

static void client_timeout(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    evhttp_connection_set_timeout_tv(h.evcon, &ms300);
    http_request(&h, EVHTTP_REQ_GET, "/never", NULL);
    contract_wait(c, &h.failures, 1, "the timeout");
    ck_assert_uint_eq(h.requests, 1);
    ck_assert_uint_eq(h.answers, 0);
    http_stop(&h);
}

/* After a timeout the same connection object serves the next request, over a new connection. */
static void request_after_timeout(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    evhttp_connection_set_timeout_tv(h.evcon, &ms300);
    http_request(&h, EVHTTP_REQ_GET, "/never", NULL);
    contract_wait(c, &h.failures, 1, "the timeout");
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.answers, 1, "the answer");
    ck_assert_str_eq(h.text, "hello\n");
    ck_assert_uint_eq(h.connections, 2);
    http_stop(&h);
}

static void server_timeout(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    evhttp_set_timeout_tv(h.server, &ms300);
    http_raw_connect(c);
    http_raw_send(c, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http_raw_wait(c, "hello\n", 1);
    contract_wait(c, &c->client.eofs, 1, "the idle connection to be closed");
    ck_assert_uint_eq(c->client.errors, 0);
    http_stop(&h);
}

static void server_freed(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.answers, 1, "the answer");
    http_raw_connect(c);
    http_raw_send(c, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n");
    contract_wait(c, &h.requests, 2, "the second request");
    evhttp_free(h.server);
    h.server = NULL;
    contract_wait(c, &c->client.ends, 1, "the end of the open connection");
    contract_settle(c, 10);
    http_stop(&h);
}

static void server_freed_in_a_download(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request_streamed(&h, "/pattern?20000000");
    contract_wait(c, &h.body, 1000000, "a part of the download");
    evhttp_free(h.server);
    h.server = NULL;
    contract_wait(c, &h.failures, 1, "the failure of the download");
    ck_assert_uint_eq(h.answers, 0);
    ck_assert(h.is_pattern);
    http_stop(&h);
}

/* --- the client comes back on the same bufferevent --- */

static void reconnects(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    for (size_t i = 1; i <= 3; i++) {
        http_request(&h, EVHTTP_REQ_GET, "/close", NULL);
        contract_wait(c, &h.answers, i, "an answer");
        ck_assert_str_eq(h.text, "bye\n");
    }
    ck_assert_uint_eq(h.connections, 3);
    ck_assert_uint_eq(h.failures, 0);
    http_stop(&h);
}

static void on_close(struct evhttp_connection *evcon, void *arg)
{
    (*(size_t *)arg)++;
}

static void reconnects_after_idle_close(struct contract *c)
{
    struct http h;
    size_t closed = 0;
    http_serve(c, &h);
    evhttp_set_timeout_tv(h.server, &ms300);
    http_client(c, &h);
    evhttp_connection_set_closecb(h.evcon, on_close, &closed);
    for (size_t i = 1; i <= 2; i++) {
        http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
        contract_wait(c, &h.answers, i, "an answer");
        contract_wait(c, &closed, i, "the server to close it");
    }
    ck_assert_uint_eq(h.connections, 2);
    ck_assert_uint_eq(h.failures, 0);
    http_stop(&h);
}

static void refused(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    evhttp_free(h.server);
    h.server = NULL;
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.failures, 1, "the refusal");
    ck_assert_uint_eq(h.answers, 0);
    http_stop(&h);
}

/* The server comes up between two attempts. */
static void retries(struct contract *c)
{
    struct http h, client = {0};
    struct timeval ms50 = {0, 50000};
    http_serve(c, &h);
    client.c = c;
    http_client(c, &client);
    ev_uint16_t port = (ev_uint16_t)contract_port(c);
    evhttp_del_accept_socket(h.server, h.bound);
    evhttp_connection_set_retries(client.evcon, 6);
    evhttp_connection_set_initial_retry_tv(client.evcon, &ms50);
    http_request(&client, EVHTTP_REQ_GET, "/hello", NULL);
    contract_settle(c, 20);
    ck_assert_uint_eq(client.answers + client.failures, 0);
    h.bound = evhttp_bind_socket_with_handle(h.server, "127.0.0.1", port);
    ck_assert_ptr_nonnull(h.bound);
    contract_wait(c, &client.answers, 1, "the answer of the second attempt");
    ck_assert_str_eq(client.text, "hello\n");
    http_stop(&client);
    http_stop(&h);
}

/* --- the client ends it --- */

static void cancelled(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    struct evhttp_request *req = http_request_streamed(&h, "/pattern?20000000");
    contract_wait(c, &h.body, 1000000, "a part of the download");
    evhttp_cancel_request(req);
    contract_settle(c, 10);
    ck_assert_uint_eq(h.answers, 0);
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.answers, 1, "the next answer");
    ck_assert_str_eq(h.text, "hello\n");
    http_stop(&h);
}

static void client_freed_in_flight(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request_streamed(&h, "/pattern?20000000");
    contract_wait(c, &h.body, 1000000, "a part of the download");
    evhttp_connection_free(h.evcon);
    h.evcon = NULL;
    contract_settle(c, 20);
    http_stop(&h);
}

static void freed_on_completion(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    evhttp_connection_free_on_completion(h.evcon);
    h.evcon = NULL;
    contract_wait(c, &h.answers, 1, "the answer");
    contract_settle(c, 20);
    http_stop(&h);
}

static void close_callback(struct contract *c)
{
    struct http h;
    size_t closed = 0;
    http_serve(c, &h);
    http_client(c, &h);
    evhttp_connection_set_closecb(h.evcon, on_close, &closed);
    http_request(&h, EVHTTP_REQ_GET, "/close", NULL);
    contract_wait(c, &h.answers, 1, "the answer");
    contract_settle(c, 20);
    ck_assert_uint_eq(closed, 1);
    http_stop(&h);
}

static void raw_client_leaves(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "GET /pattern?20000000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http_raw_wait(c, "HTTP/1.1 200 OK", 1);
    end_free(&c->client);
    contract_settle(c, 20);
    /* Others are served. */
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.answers, 1, "the answer to another client");
    http_stop(&h);
}

const struct contract_row contract_rows_http_ends[] = {
    {.name = "http__client_timeout", .run = client_timeout, .needs = CONTRACT_HTTP},
    {.name = "http__request_after_a_timeout", .run = request_after_timeout, .needs = CONTRACT_HTTP},
    {.name = "http__server_timeout", .run = server_timeout, .needs = CONTRACT_HTTP},
    {.name = "http__server_freed_with_connections", .run = server_freed, .needs = CONTRACT_HTTP},
    {.name = "http__server_freed_in_a_download",
     .run = server_freed_in_a_download,
     .needs = CONTRACT_HTTP},
    {.name = "http__client_reconnects", .run = reconnects, .needs = CONTRACT_HTTP},
    {.name = "http__client_reconnects_after_an_idle_close",
     .run = reconnects_after_idle_close,
     .needs = CONTRACT_HTTP},
    {.name = "http__client_refused", .run = refused, .needs = CONTRACT_HTTP},
    {.name = "http__client_retries", .run = retries, .needs = CONTRACT_HTTP},
    {.name = "http__request_cancelled", .run = cancelled, .needs = CONTRACT_HTTP},
    {.name = "http__client_freed_in_flight", .run = client_freed_in_flight, .needs = CONTRACT_HTTP},
    {.name = "http__client_freed_on_completion",
     .run = freed_on_completion,
     .needs = CONTRACT_HTTP},
    {.name = "http__close_callback", .run = close_callback, .needs = CONTRACT_HTTP},
    {.name = "http__raw_client_leaves", .run = raw_client_leaves, .needs = CONTRACT_HTTP},
    {0},
};
