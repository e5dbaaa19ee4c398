/*
 * What the bench's two programs share: one-line errors, numbers, sockets on the loopback address.
 *
 * The talk between them. The client speaks first. In the works `sink` and `source` a message begins
 * with its length, BENCH_HEADER bytes in the machine's own order: of what the client will send,
 * header included, or of what it wants to be sent. The server answers a whole `sink` message with
 * BENCH_HEADER bytes. The client never starts a message before it has the whole answer.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_HEADER sizeof(uint64_t)
#define BENCH_REQUEST 100
#define BENCH_RECORD 16384

/* Prints "program: message" and exits with status 2. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As bench_die, with the first entry of OpenSSL's error queue as the reason. */
_Noreturn void bench_die_ssl(const char *what);

/* The value of OPTION, a whole number of at least MIN, with an optional K, M or G (powers of 1024).
 */
uint64_t bench_number(const char *option, const char *text, uint64_t min);

/* A non-blocking listening socket on 127.0.0.1; accepted sockets inherit its TCP_NODELAY. */
int bench_listen(uint16_t *port);

/* A non-blocking socket on its way to 127.0.0.1:PORT. */
int bench_connect(uint16_t port);

/* Thousands of connections need more descriptors than the usual soft limit. */
void bench_raise_descriptor_limit(void);

#endif
