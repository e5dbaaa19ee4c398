/*
 * The bench's server: main() in server.c makes the certificate and answers on the control pipe; one
 * of two programs does the work, server_bev.c over bufferevents or server_raw.c over epoll.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct bufferevent;
struct event_base;

/* How much a connection may have under way, or move in one turn of the loop. */
#define SERVER_WINDOW ((size_t)256 * 1024)

enum server_work {
    SERVER_SINK,   /* takes a message, answers when it is whole */
    SERVER_SOURCE, /* sends as many bytes as it is asked for */
    SERVER_ECHO,
    SERVER_REQUEST /* BENCH_REQUEST bytes in, BENCH_REQUEST bytes out */
};

struct server {
    int listen_fd;
    enum server_work work;
    size_t piece;   /* SERVER_SOURCE: bytes handed over at once */
    bool reference; /* each piece by reference, so in a chain of its own */
    bool filter;    /* TLS over a socket bufferevent of libevent's */
    unsigned tickets;
    EVP_PKEY *key;
    X509 *certificate;
    unsigned char *data; /* `piece` bytes to send */
    uint64_t connections;
    uint64_t errors; /* connections that did not end with a close_notify */
};

/* A way to get a bufferevent that speaks TLS: all that differs between two libraries. */
struct server_tls {
    void *(*context_new)(const struct server *server);
    struct bufferevent *(*bufferevent_new)(struct event_base *base, int fd, void *context);
    struct bufferevent *(*filter_new)(struct bufferevent *underlying, void *context);
    void (*bufferevent_free)(struct bufferevent *bev); /* sends close_notify first */
    void (*context_free)(void *context);
};

extern const struct server_tls server_tls_evtls;
extern const struct server_tls server_tls_openssl; /* libevent's own bufferevent_openssl */

/* Both run until the control pipe ends. */
void server_run_bufferevents(struct server *server, const struct server_tls *tls);
void server_run_raw(struct server *server);

/* An SSL_CTX with OpenSSL's defaults and the server's certificate. */
SSL_CTX *server_ssl_ctx_new(const struct server *server);

/* Reads one command from standard input and answers it; false at its end. */
bool server_control(struct server *server);

#endif
