/*
 * An evhttp server over the transport and clients for it: evhttp's own and a raw one that speaks
 * HTTP by hand. What the server answers:
 *
 *   /hello      "hello\n"
 *   /pattern?N  N bytes of the pattern with a Content-Length
 *   /chunks?N   N bytes of the pattern in chunks, each sent when the one before is out
 *   /echo       the request's body
 *   /count      the length of the body, which must be the pattern
 *   /never      nothing, ever
 *   /close      "bye\n" with Connection: close
 */
#ifndef CONTRACT_HTTP_H
#define CONTRACT_HTTP_H

#include "world.h"

#include <event2/http.h>

struct http {
    struct contract *c;
    struct evhttp *server;
    struct evhttp_bound_socket *bound;
    size_t connections; /* that the server was asked to make a bufferevent for */
    size_t requests;    /* that reached a handler */

    struct evhttp_connection *evcon; /* evhttp's client, one connection */

    /* What the client's requests came to. */
    size_t answers, failures; /* with and without a response */
    size_t chunks;
    int code;
    size_t body;     /* bytes of the last body */
    bool is_pattern; /* and whether they were the pattern */
    char text[64];   /* the beginning of it */
};

/* A server on a free port of 127.0.0.1; c->address is its address. */
void http_serve(struct contract *c, struct http *h);
/* An evhttp client connection to it; the connection is made by the first request. */
void http_client(struct contract *c, struct http *h);
/* Frees clients and server. */
void http_stop(struct http *h);

/* Sends a request; the answer is counted in h. body may be NULL and is emptied. */
struct evhttp_request *http_request(struct http *h, enum evhttp_cmd_type type, const char *path,
                                    struct evbuffer *body);
/* The same, with chunks of the body checked as they come and thrown away. */
struct evhttp_request *http_request_streamed(struct http *h, const char *path);
/* n bytes of the pattern without copying them. */
void http_add_pattern(struct evbuffer *to, uint64_t n);

/* The raw client: c->client, whose input keeps what arrives. */
void http_raw_connect(struct contract *c);
void http_raw_send(struct contract *c, const char *text);
/* Waits until the input holds text n times, or fails. */
void http_raw_wait(struct contract *c, const char *text, size_t n);
/* Waits for the end of the connection and returns all that arrived, to be freed. */
char *http_raw_all(struct contract *c);

#endif
