/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets on the loopback interface. All are close-on-exec; failures abort.
 */
#ifndef EVTLS_TESTS_SUPPORT_NET_H
#define EVTLS_TESTS_SUPPORT_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

enum net_kind { NET_TCP, NET_UNIX };

/* A blocking listener on 127.0.0.1 (AF_INET) or ::1 (AF_INET6), on a free port. */
int net_listen(int family, int backlog);

/* The port of a listener, and its address for connect. */
uint16_t net_port(int fd);
void net_address(int fd, struct sockaddr_storage *sa, socklen_t *len);

/* Two blocking sockets that are connected: over TCP (127.0.0.1) or a UNIX pair. buffer: their
 * SO_SNDBUF and SO_RCVBUF (the kernel doubles it and has a minimum); 0: as it is. */
void net_pair(enum net_kind kind, int buffer, int fds[2]);

/* A blocking connection to a port of 127.0.0.1; -1 and errno where it is refused. */
int net_connect(uint16_t port);

void net_set_nonblocking(int fd, bool nonblocking);

/* Closes with a reset. */
void net_reset(int fd);

/* A port of 127.0.0.1 where nothing listens. */
uint16_t net_dead_port(void);

/* Blocking: exactly len bytes. false: the end came before. */
bool net_write_all(int fd, const void *data, size_t len);
bool net_read_all(int fd, void *data, size_t len);

/* Blocking: reads until the end of file, at most size bytes; returns how many, or -1 and errno. */
ssize_t net_read_to_end(int fd, void *data, size_t size);

#endif
