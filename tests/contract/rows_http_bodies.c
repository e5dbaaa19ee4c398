/* evhttp: large bodies in both directions, and the memory they take. */
#include "http.h"
#include "rows.h"

#include <stdio.h>
#include <sys/socket.h>

#define MIB ((uint64_t)1 << 20)
#define LARGE_BODY (100 * MIB)

/* The most memory this process ever held, in MiB; 0 where it can't be told or means nothing. */
static size_t peak_mib(void)
{
    size_t kib = 0;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && kib == 0 && fgets(line, sizeof(line), status) != NULL)
        sscanf(line, "VmHWM: %zu", &kib);
    if (status != NULL)
        fclose(status);
#endif
    return kib / 1024;
}

static void expect_memory(size_t before, size_t most)
{
    size_t after = peak_mib();
    ck_assert_msg(after <= before + most, "memory grew from %zu to %zu MiB", before, after);
}

static void expect_body(struct contract *c, struct http *h, uint64_t n)
{
    contract_wait(c, &h->answers, 1, "the whole body");
    ck_assert_int_eq(h->code, 200);
    ck_assert_uint_eq(h->body, n);
    ck_assert(h->is_pattern);
}

static void path_with(char path[64], const char *name, uint64_t n)
{
    snprintf(path, 64, "/%s?%llu", name, (unsigned long long)n);
}

static void download(struct contract *c, const char *name, uint64_t n, size_t most)
{
    struct http h;
    char path[64];
    size_t before = peak_mib();
    path_with(path, name, n);
    http_serve(c, &h);
    http_client(c, &h);
    http_request_streamed(&h, path);
    expect_body(c, &h, n);
    expect_memory(before, most);
    http_stop(&h);
}

static void download_with_length(struct contract *c)
{
    download(c, "pattern", LARGE_BODY, 32);
}

static void download_chunked(struct contract *c)
{
    download(c, "chunks", LARGE_BODY, 32);
}

static void chunked_small(struct contract *c)
{
    struct http h;
    http_serve(c, &h);
    http_client(c, &h);
    http_request_streamed(&h, "/chunks?200000");
    expect_body(c, &h, 200000);
    ck_assert_uint_gt(h.chunks, 0);
    http_stop(&h);
}

static void expect_count(struct contract *c, struct http *h, uint64_t n)
{
    char text[64];
    snprintf(text, sizeof(text), "%llu right\n", (unsigned long long)n);
    contract_wait(c, &h->answers, 1, "the answer to the upload");
    ck_assert_str_eq(h->text, text);
}

/* evhttp keeps a request's body in memory until it is whole: that much, once, is its own. */
static void upload(struct contract *c)
{
    struct http h;
    struct evbuffer *body = evbuffer_new();
    size_t before = peak_mib();
    http_serve(c, &h);
    http_client(c, &h);
    http_add_pattern(body, LARGE_BODY);
    http_request(&h, EVHTTP_REQ_POST, "/count", body);
    expect_count(c, &h, LARGE_BODY);
    expect_memory(before, LARGE_BODY / MIB + 48);
    evbuffer_free(body);
    http_stop(&h);
}

static void both_ways(struct contract *c)
{
    struct http h, up = {0};
    struct evbuffer *body = evbuffer_new();
    http_serve(c, &h);
    http_client(c, &h);
    up.c = c;
    http_client(c, &up);
    http_add_pattern(body, 30 * MIB);
    http_request(&up, EVHTTP_REQ_POST, "/count", body);
    http_request_streamed(&h, "/chunks?31457280");
    expect_body(c, &h, 30 * MIB);
    expect_count(c, &up, 30 * MIB);
    evbuffer_free(body);
    http_stop(&up);
    http_stop(&h);
}

/* --- Connection: close and a reader that takes its time: nothing may be lost (the whole answer,
 * then the end) --- */

static void sip_text(struct end *e)
{
    char piece[16384];
    if (e->bev != NULL)
        e->received += bufferevent_read(e->bev, piece, sizeof(piece));
}

static void close_slow_reader(struct contract *c, const char *request)
{
    struct http h;
    c->buffer_size = 16384;
    http_serve(c, &h);
    /* Accepted sockets take the listener's sizes. */
    setsockopt(evhttp_bound_socket_get_fd(h.bound), SOL_SOCKET, SO_SNDBUF, &c->buffer_size,
               sizeof(c->buffer_size));
    http_raw_connect(c);
    bufferevent_setwatermark(c->client.bev, EV_READ, 0, 16384);
    end_every(&c->client, 1, sip_text);
    http_raw_send(c, request);
    contract_wait(c, &c->client.ends, 1, "the end of the connection");
    ck_assert_uint_eq(c->client.errors, 0);
    c->client.received += end_input(&c->client);
    ck_assert_uint_gt(c->client.received, 2 * MIB);
    ck_assert_uint_lt(c->client.received, 2 * MIB + 2000);
    http_stop(&h);
}

static void close_slow_reader_length(struct contract *c)
{
    close_slow_reader(c, "GET /pattern?2097152 HTTP/1.1\r\nHost: localhost\r\n"
                         "Connection: close\r\n\r\n");
}

static void close_slow_reader_chunked(struct contract *c)
{
    close_slow_reader(c, "GET /chunks?2097152 HTTP/1.1\r\nHost: localhost\r\n"
                         "Connection: close\r\n\r\n");
}

static void close_slow_reader_1_0(struct contract *c)
{
    close_slow_reader(c, "GET /chunks?2097152 HTTP/1.0\r\n\r\n");
}

/* An answer without a length ends with the connection: only a clean end makes it whole. */
static void answer_and_leave(struct end *e)
{
    struct evbuffer *output = bufferevent_get_output(e->bev);
    evbuffer_drain(bufferevent_get_input(e->bev), SIZE_MAX);
    evbuffer_add_printf(output, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    http_add_pattern(output, 300000);
    e->on_write = end_free_when_empty;
}

static void body_until_the_end(struct contract *c)
{
    struct http h = {0};
    h.c = c;
    contract_listen(c);
    c->server.text = true;
    c->server.on_read = answer_and_leave;
    http_client(c, &h);
    http_request(&h, EVHTTP_REQ_GET, "/", NULL);
    expect_body(c, &h, 300000);
    http_stop(&h);
}

const struct contract_row contract_rows_http_bodies[] = {
    {.name = "http__chunked_answer", .run = chunked_small, .needs = CONTRACT_HTTP},
    {.name = "http__download_100_mb", .run = download_with_length, .needs = CONTRACT_HTTP},
    {.name = "http__download_100_mb_chunked", .run = download_chunked, .needs = CONTRACT_HTTP},
    {.name = "http__upload_100_mb", .run = upload, .needs = CONTRACT_HTTP},
    {.name = "http__upload_and_download_at_once", .run = both_ways, .needs = CONTRACT_HTTP},
    {.name = "http__close_slow_reader", .run = close_slow_reader_length, .needs = CONTRACT_HTTP},
    {.name = "http__close_slow_reader_chunked",
     .run = close_slow_reader_chunked,
     .needs = CONTRACT_HTTP},
    {.name = "http__close_slow_reader_http_1_0",
     .run = close_slow_reader_1_0,
     .needs = CONTRACT_HTTP},
    {.name = "http__body_until_the_end", .run = body_until_the_end, .needs = CONTRACT_HTTP},
    {0},
};
