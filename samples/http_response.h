/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http_response.h - reads one HTTP/1.1 response from an evbuffer as it arrives, and knows whether
 * it is whole (RFC 9112, section 6.3): by Content-Length, by the last chunk, or, where there is
 * neither, by the end of the connection, which only TLS can then prove to be the real one.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

struct evbuffer;

/* What is awaited. */
enum http_response_state {
    HTTP_STATUS_LINE = 0,
    HTTP_HEADERS,
    HTTP_BODY_LENGTH, /* `left` more bytes */
    HTTP_BODY_END,    /* everything up to the end of the connection */
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_DATA, /* `left` more bytes */
    HTTP_CHUNK_NEWLINE,
    HTTP_TRAILERS,
    HTTP_COMPLETE,
    HTTP_BAD /* `problem` says why */
};

struct http_response {
    enum http_response_state state;
    int status; /* of the final response; 1xx are passed over */
    uint64_t left;
    uint64_t length; /* where has_length */
    int has_length;
    int is_chunked;
    int closes; /* the server will answer nothing else on this connection */
    size_t header_bytes;
    const char *problem;
    /* Gets the body. Returns 0, or -1 to stop (state BAD, problem NULL). */
    int (*sink)(const void *data, size_t len, void *arg);
    void *arg;
};

/* All zero but for the sink. */
void http_response_init(struct http_response *response,
                        int (*sink)(const void *data, size_t len, void *arg), void *arg);

/* Takes what it can use of in. Look at state afterwards: COMPLETE, BAD, or it wants more. */
void http_response_read(struct http_response *response, struct evbuffer *in);

/*
 * The connection has ended, and that was the real end: close_notify. Returns 1 when the response
 * is whole, 0 when a part of it is missing.
 */
int http_response_end(const struct http_response *response);

/* Returns 1 when the response is whole and another request may follow it on this connection. */
int http_response_keeps_connection(const struct http_response *response);

#endif
