/* The evhttp server of the contract suite, and its clients. */
#include "http.h"

#include "rows.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <sys/socket.h>

/* --- answers --- */

void http_add_pattern(struct evbuffer *to, uint64_t n)
{
    size_t length;
    const void *period = contract_pattern_period(&length);
    for (; n > 0; n -= n < length ? n : length)
        evbuffer_add_reference(to, period, n < length ? (size_t)n : length, NULL, NULL);
}

static void answer_text(struct evhttp_request *req, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "%s", text);
    evhttp_send_reply(req, 200, "OK", body);
    evbuffer_free(body);
}

static void answer_pattern(struct evhttp_request *req, uint64_t n)
{
    struct evbuffer *body = evbuffer_new();
    http_add_pattern(body, n);
    evhttp_send_reply(req, 200, "OK", body);
    evbuffer_free(body);
}

struct stream {
    struct evhttp_request *req;
    uint64_t left;
};

/* Whole periods, so that each chunk starts the pattern at its beginning. */
static void next_chunk(struct evhttp_connection *evcon, void *arg)
{
    struct stream *s = arg;
    size_t period;
    contract_pattern_period(&period);
    uint64_t n = s->left < 16 * period ? s->left : 16 * period;
    if (n == 0) {
        evhttp_send_reply_end(s->req);
        free(s);
        return;
    }
    struct evbuffer *chunk = evbuffer_new();
    http_add_pattern(chunk, n);
    s->left -= n;
    evhttp_send_reply_chunk_with_cb(s->req, chunk, next_chunk, s);
    evbuffer_free(chunk);
}

static void answer_chunks(struct evhttp_request *req, uint64_t n)
{
    struct stream *s = malloc(sizeof(*s));
    ck_assert_ptr_nonnull(s);
    *s = (struct stream){req, n};
    evhttp_send_reply_start(req, 200, "OK");
    next_chunk(NULL, s);
}

/* Checks and drains what the buffer holds, which starts at `place` of the pattern. */
static bool drain_pattern(struct evbuffer *buffer, uint64_t place)
{
    bool same = true;
    struct evbuffer_iovec vec[1];
    while (same && evbuffer_peek(buffer, 1, NULL, vec, 1) > 0 && vec[0].iov_len > 0) {
        same = contract_pattern_is(vec[0].iov_base, vec[0].iov_len, place);
        place += vec[0].iov_len;
        evbuffer_drain(buffer, vec[0].iov_len);
    }
    return same;
}

static void answer_count(struct evhttp_request *req)
{
    char text[32];
    struct evbuffer *body = evhttp_request_get_input_buffer(req);
    size_t n = evbuffer_get_length(body);
    snprintf(text, sizeof(text), "%zu %s\n", n, drain_pattern(body, 0) ? "right" : "wrong");
    answer_text(req, text);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
    uint64_t n = query != NULL ? strtoull(query, NULL, 10) : 0;
    h->requests++;
    if (strcmp(path, "/hello") == 0)
        answer_text(req, "hello\n");
    else if (strcmp(path, "/pattern") == 0)
        answer_pattern(req, n);
    else if (strcmp(path, "/chunks") == 0)
        answer_chunks(req, n);
    else if (strcmp(path, "/echo") == 0)
        evhttp_send_reply(req, 200, "OK", evhttp_request_get_input_buffer(req));
    else if (strcmp(path, "/count") == 0)
        answer_count(req);
    else if (strcmp(path, "/close") == 0) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
        answer_text(req, "bye\n");
    } else if (strcmp(path, "/never") != 0)
        evhttp_send_error(req, HTTP_NOTFOUND, NULL);
}

/* --- the server --- */

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct http *h = arg;
    const struct contract_transport *t = h->c->t;
    h->connections++;
    if (t->http_bevcb != NULL)
        return t->http_bevcb(base, (void *)(uintptr_t)t);
    return t->make(base, -1, CONTRACT_SERVER, h->c->options);
}

void http_serve(struct contract *c, struct http *h)
{
    socklen_t len = sizeof(c->address);
    memset(h, 0, sizeof(*h));
    h->c = c;
    h->server = evhttp_new(c->base);
    ck_assert_ptr_nonnull(h->server);
    evhttp_set_bevcb(h->server, on_connection, h);
    evhttp_set_gencb(h->server, on_request, h);
    h->bound = evhttp_bind_socket_with_handle(h->server, "127.0.0.1", 0);
    ck_assert_ptr_nonnull(h->bound);
    getsockname(evhttp_bound_socket_get_fd(h->bound), (struct sockaddr *)&c->address, &len);
    c->address_len = (int)len;
}

void http_client(struct contract *c, struct http *h)
{
    struct bufferevent *bev = c->t->make(c->base, -1, CONTRACT_CLIENT, c->options);
    ck_assert_ptr_nonnull(bev);
    h->evcon = evhttp_connection_base_bufferevent_new(c->base, NULL, bev, "127.0.0.1",
                                                      (ev_uint16_t)contract_port(c));
    ck_assert_ptr_nonnull(h->evcon);
}

void http_stop(struct http *h)
{
    if (h->evcon != NULL)
        evhttp_connection_free(h->evcon);
    h->evcon = NULL;
    contract_drain(h->c); /* the server sees its clients go */
    if (h->server != NULL)
        evhttp_free(h->server);
    h->server = NULL;
    contract_drain(h->c);
}

/* --- evhttp's client --- */

static void on_answer(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    if (req == NULL || evhttp_request_get_response_code(req) == 0) {
        h->failures++;
        return;
    }
    struct evbuffer *body = evhttp_request_get_input_buffer(req);
    h->code = evhttp_request_get_response_code(req);
    if (h->chunks == 0) {
        h->body = evbuffer_get_length(body);
        memset(h->text, 0, sizeof(h->text));
        evbuffer_copyout(body, h->text, sizeof(h->text) - 1);
        h->is_pattern = drain_pattern(body, 0);
    }
    h->answers++;
}

static void on_chunk(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    struct evbuffer *body = evhttp_request_get_input_buffer(req);
    size_t n = evbuffer_get_length(body);
    h->chunks++;
    h->is_pattern = h->is_pattern && drain_pattern(body, h->body);
    h->body += n;
}

static struct evhttp_request *new_request(struct http *h)
{
    struct evhttp_request *req = evhttp_request_new(on_answer, h);
    ck_assert_ptr_nonnull(req);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "localhost");
    h->chunks = 0;
    h->body = 0;
    h->is_pattern = true;
    return req;
}

struct evhttp_request *http_request(struct http *h, enum evhttp_cmd_type type, const char *path,
                                    struct evbuffer *body)
{
    struct evhttp_request *req = new_request(h);
    if (body != NULL)
        evbuffer_add_buffer(evhttp_request_get_output_buffer(req), body);
    ck_assert_int_eq(evhttp_make_request(h->evcon, req, type, path), 0);
    return req;
}

struct evhttp_request *http_request_streamed(struct http *h, const char *path)
{
    struct evhttp_request *req = new_request(h);
    evhttp_request_set_chunked_cb(req, on_chunk);
    ck_assert_int_eq(evhttp_make_request(h->evcon, req, EVHTTP_REQ_GET, path), 0);
    return req;
}

/* --- the raw client --- */

void http_raw_connect(struct contract *c)
{
    contract_connect(c);
    c->client.text = true;
    contract_wait(c, &c->client.connects, 1, "the connection");
}

void http_raw_send(struct contract *c, const char *text)
{
    ck_assert_int_eq(bufferevent_write(c->client.bev, text, strlen(text)), 0);
}

static size_t occurrences(struct evbuffer *buffer, const char *text)
{
    size_t n = 0;
    struct evbuffer_ptr at = evbuffer_search(buffer, text, strlen(text), NULL);
    while (at.pos >= 0) {
        n++;
        evbuffer_ptr_set(buffer, &at, strlen(text), EVBUFFER_PTR_ADD);
        at = evbuffer_search(buffer, text, strlen(text), &at);
    }
    return n;
}

void http_raw_wait(struct contract *c, const char *text, size_t n)
{
    char what[80];
    snprintf(what, sizeof(what), "\"%s\" %zu times", text, n);
    while (occurrences(bufferevent_get_input(c->client.bev), text) < n)
        contract_wait(c, &c->client.reads, c->client.reads + 1, what);
}

char *http_raw_all(struct contract *c)
{
    contract_wait(c, &c->client.eofs, 1, "the end of the connection");
    struct evbuffer *input = bufferevent_get_input(c->client.bev);
    size_t length = evbuffer_get_length(input);
    char *all = malloc(length + 1);
    ck_assert_ptr_nonnull(all);
    evbuffer_remove(input, all, length);
    all[length] = '\0';
    return all;
}
