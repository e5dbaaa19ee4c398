/* evhttp servers and clients over the transport: requests and answers. */
#include "http.h"
#include "rows.h"

static void get(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.answers, 1, "the answer");
    ck_assert_int_eq(h.code, 200);
    ck_assert_str_eq(h.text, "hello\n");
    http_stop(&h);
}

static void keep_alive(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    for (size_t i = 1; i <= 3; i++) {
        http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
        contract_wait(c, &h.answers, i, "an answer");
        contract_settle(c, 10); /* idle in between */
    }
    ck_assert_uint_eq(h.requests, 3);
    ck_assert_uint_eq(h.connections, 1);
    http_stop(&h);
}

static void many_requests(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    for (size_t i = 1; i <= 40; i++) {
        bool chunked = i % 20 == 0;
        http_request(&h, EVHTTP_REQ_GET, chunked ? "/chunks?3000" : "/pattern?100", NULL);
        contract_wait(c, &h.answers, i, "an answer");
        ck_assert_uint_eq(h.body, chunked ? 3000 : 100);
        ck_assert(h.is_pattern);
    }
    ck_assert_uint_eq(h.connections, 1);
    http_stop(&h);
}

static void queued(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    for (int i = 0; i < 3; i++)
        http_request(&h, EVHTTP_REQ_GET, "/hello", NULL);
    contract_wait(c, &h.answers, 3, "three answers");
    ck_assert_uint_eq(h.connections, 1);
    http_stop(&h);
}

static void many_clients(struct contract *c)
{
    static struct http h, others[20];
    http_serve(c, &h);
    for (int i = 0; i < 20; i++) {
        others[i] = (struct http){.c = c};
        http_client(c, &others[i]);
        http_request(&others[i], EVHTTP_REQ_GET, "/pattern?100000", NULL);
    }
    for (int i = 0; i < 20; i++) {
        contract_wait(c, &others[i].answers, 1, "an answer");
        ck_assert_uint_eq(others[i].body, 100000);
        ck_assert(others[i].is_pattern);
    }
    ck_assert_uint_eq(h.connections, 20);
    for (int i = 0; i < 20; i++)
        http_stop(&others[i]);
    http_stop(&h);
}

static void post_echo(struct contract *c)
{
    struct http h;
    struct evbuffer *body = evbuffer_new();
    http_serve(c, &h);
    http_client(c, &h);
    http_add_pattern(body, 500000);
    http_request(&h, EVHTTP_REQ_POST, "/echo", body);
    contract_wait(c, &h.answers, 1, "the echo");
    ck_assert_uint_eq(h.body, 500000);
    ck_assert(h.is_pattern);
    evbuffer_free(body);
    http_stop(&h);
}

static void put_and_delete(struct contract *c)
{
    struct http h;
    struct evbuffer *body = evbuffer_new();
    http_serve(c, &h);
    evhttp_set_allowed_methods(h.server, EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
    http_client(c, &h);
    http_add_pattern(body, 1000);
    http_request(&h, EVHTTP_REQ_PUT, "/count", body);
    contract_wait(c, &h.answers, 1, "the answer");
    ck_assert_str_eq(h.text, "1000 right\n");
    http_request(&h, EVHTTP_REQ_DELETE, "/hello", NULL);
    contract_wait(c, &h.answers, 2, "the second answer");
    ck_assert_int_eq(h.code, 200);
    evbuffer_free(body);
    http_stop(&h);
}

static void head(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_HEAD, "/pattern?5000", NULL);
    contract_wait(c, &h.answers, 1, "the answer");
    ck_assert_int_eq(h.code, 200);
    ck_assert_uint_eq(h.body, 0);
    http_stop(&h);
}

static void not_found(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/nothing-here", NULL);
    contract_wait(c, &h.answers, 1, "the answer");
    ck_assert_int_eq(h.code, 404);
    http_stop(&h);
}

/* --- a client that speaks HTTP by hand --- */

static void raw_get(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http_raw_wait(c, "hello\n", 1);
    http_raw_send(c, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http_raw_wait(c, "hello\n", 2);
    ck_assert_uint_eq(c->client.ends, 0);
    ck_assert_uint_eq(h.connections, 1);
    end_free(&c->client);
    http_stop(&h);
}

static void pipelining(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     "GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     "GET /close HTTP/1.1\r\nHost: localhost\r\n\r\n");
    char *all = http_raw_all(c);
    const char *first = strstr(all, "hello\n"), *second = strstr(all, "0 right\n"),
               *third = strstr(all, "bye\n");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_nonnull(third);
    ck_assert(first < second && second < third);
    ck_assert_uint_eq(h.requests, 3);
    free(all);
    http_stop(&h);
}

static void connection_close(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    char *all = http_raw_all(c);
    ck_assert_ptr_nonnull(strstr(all, "\r\n\r\nhello\n"));
    ck_assert_uint_eq(c->client.errors, 0);
    free(all);
    http_stop(&h);
}

static void http_1_0(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "GET /hello HTTP/1.0\r\n\r\n");
    char *all = http_raw_all(c);
    ck_assert_ptr_nonnull(strstr(all, "\r\n\r\nhello\n"));
    free(all);
    http_stop(&h);
}

static void http_1_0_keep_alive(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    for (size_t i = 1; i <= 3; i++) {
        http_raw_send(c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        http_raw_wait(c, "hello\n", i);
    }
    ck_assert_uint_eq(c->client.ends, 0);
    end_free(&c->client);
    http_stop(&h);
}

static void byte_by_byte(struct contract *c)
{
    struct http h;
    const char *request = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    http_serve(c, &h);
    http_raw_connect(c);
    for (const char *p = request; *p != '\0'; p++) {
        bufferevent_write(c->client.bev, p, 1);
        contract_settle(c, 1);
    }
    http_raw_wait(c, "hello\n", 1);
    end_free(&c->client);
    http_stop(&h);
}

static void chunked_request(struct contract *c)
{
    struct http h;
    size_t length;
    const char *period = contract_pattern_period(&length);
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "POST /count HTTP/1.1\r\nHost: localhost\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < 20000; at += 1000) {
        http_raw_send(c, "3e8\r\n");
        bufferevent_write(c->client.bev, period + at, 1000);
        http_raw_send(c, "\r\n");
        contract_drain(c);
    }
    http_raw_send(c, "0\r\n\r\n");
    http_raw_wait(c, "20000 right\n", 1);
    end_free(&c->client);
    http_stop(&h);
}

static void expect_continue(struct contract *c)
{
    struct http h;
    size_t length;
    const char *period = contract_pattern_period(&length);
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
                     "Expect: 100-continue\r\n\r\n");
    http_raw_wait(c, "HTTP/1.1 100 Continue", 1);
    bufferevent_write(c->client.bev, period, 5000);
    http_raw_wait(c, "5000 right\n", 1);
    end_free(&c->client);
    http_stop(&h);
}

static void bad_request(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_raw_connect(c);
    http_raw_send(c, "no HTTP at all, but a long line of words\r\n\r\n");
    char *all = http_raw_all(c);
    ck_assert_ptr_nonnull(strstr(all, " 400 "));
    free(all);
    ck_assert_uint_eq(h.requests, 0);
    http_stop(&h);
}

static void headers_too_large(struct contract *c)
{
    struct http h;
    char filler[1001];
    memset(filler, 'x', 1000);
    filler[1000] = '\0';
    http_serve(c, &h);
    evhttp_set_max_headers_size(h.server, 2000);
    http_raw_connect(c);
    http_raw_send(c, "GET /hello HTTP/1.1\r\n");
    for (int i = 0; i < 4; i++) {
        http_raw_send(c, "X-Filler: ");
        http_raw_send(c, filler);
        http_raw_send(c, "\r\n");
    }
    contract_wait(c, &c->client.ends, 1, "the end of the connection");
    ck_assert_uint_eq(h.requests, 0);
    http_stop(&h);
}

const struct contract_row contract_rows_evhttp[] = {
    {.name = "http__get", .run = get, .needs = CONTRACT_HTTP},
    {.name = "http__keep_alive", .run = keep_alive, .needs = CONTRACT_HTTP},
    {.name = "http__keep_alive_40_requests", .run = many_requests, .needs = CONTRACT_HTTP},
    {.name = "http__queued_requests", .run = queued, .needs = CONTRACT_HTTP},
    {.name = "http__many_clients", .run = many_clients, .needs = CONTRACT_HTTP},
    {.name = "http__post_echo", .run = post_echo, .needs = CONTRACT_HTTP},
    {.name = "http__put_and_delete", .run = put_and_delete, .needs = CONTRACT_HTTP},
    {.name = "http__head", .run = head, .needs = CONTRACT_HTTP},
    {.name = "http__not_found", .run = not_found, .needs = CONTRACT_HTTP},
    {.name = "http__raw_keep_alive", .run = raw_get, .needs = CONTRACT_HTTP},
    {.name = "http__pipelining", .run = pipelining, .needs = CONTRACT_HTTP},
    {.name = "http__connection_close", .run = connection_close, .needs = CONTRACT_HTTP},
    {.name = "http__http_1_0", .run = http_1_0, .needs = CONTRACT_HTTP},
    {.name = "http__http_1_0_keep_alive", .run = http_1_0_keep_alive, .needs = CONTRACT_HTTP},
    {.name = "http__request_byte_by_byte", .run = byte_by_byte, .needs = CONTRACT_HTTP},
    {.name = "http__chunked_request", .run = chunked_request, .needs = CONTRACT_HTTP},
    {.name = "http__expect_100_continue", .run = expect_continue, .needs = CONTRACT_HTTP},
    {.name = "http__bad_request", .run = bad_request, .needs = CONTRACT_HTTP},
    {.name = "http__headers_too_large", .run = headers_too_large, .needs = CONTRACT_HTTP},
    {0},
};
