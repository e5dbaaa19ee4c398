/*
 * One TLS connection through OpenSSL's own socket BIO, watched by epoll: the client's side of every
 * measurement, and the server's with --impl raw.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum raw_status {
    RAW_OK,
    RAW_AGAIN,  /* wait for raw_wants() */
    RAW_CLOSED, /* the peer's close_notify */
    RAW_FAILED
};

struct raw {
    SSL *ssl; /* NULL: not open */
    int fd;
    uint32_t watched;
};

/* Takes FD; the caller chooses the role. 0, or -1 when memory ran out: FD is closed then. */
int raw_open(struct raw *raw, SSL_CTX *ctx, int fd);

/* Sends what fits of a close_notify and frees everything. */
void raw_close(struct raw *raw);

enum raw_status raw_handshake(struct raw *raw);
enum raw_status raw_read(struct raw *raw, void *data, size_t size, size_t *got);
enum raw_status raw_write(struct raw *raw, const void *data, size_t size, size_t *written);

/* The epoll events that the last operation, which answered RAW_AGAIN, waits for. */
uint32_t raw_wants(const struct raw *raw);

/* Watches for EVENTS, without a system call where nothing changes. */
void raw_watch(struct raw *raw, int epoll_fd, uint32_t events, void *data);

#endif
