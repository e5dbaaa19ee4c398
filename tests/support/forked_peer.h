/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer in a process of its own, on a blocking socket, for tests that need a real other side.
 *
 *     static int echo_once(struct peer *peer, int fd, void *arg)
 *     {
 *         char data[5];
 *         size_t len;
 *
 *         if (peer_fd_handshake(peer, fd) != PEER_OK)
 *             return 1;
 *         peer_fd_read(peer, fd, data, sizeof data, &len);
 *         return peer_fd_write(peer, fd, data, len) == PEER_OK ? 0 : 2;
 *     }
 *
 *     struct forked_peer *p = forked_peer_start(&options, fds[1], echo_once, NULL);
 *     ... run the loop ...
 *     ck_assert_int_eq(forked_peer_wait(p), 0);
 *
 * The child has the descriptor, the parent's copy is closed. Its exit status is what the function
 * returns. It dies with SIGALRM after 60 seconds, so that no test leaves one behind.
 */
#ifndef EVTLS_TESTS_SUPPORT_FORKED_PEER_H
#define EVTLS_TESTS_SUPPORT_FORKED_PEER_H


#include "peer.h"

typedef int (*forked_peer_fn)(struct peer *peer, int fd, void *arg);

struct forked_peer;

/* options NULL: no TLS, the function gets a NULL peer. */
struct forked_peer *forked_peer_start(const struct peer_options *options, int fd, forked_peer_fn fn,
                                      void *arg);

/* Waits for its end and frees it: the exit status, or -1 where a signal ended it. */
int forked_peer_wait(struct forked_peer *peer);

/*
 * A struct peer on a blocking descriptor (any process). Each call returns when its work is done:
 * handshake complete, all written, one read's worth read, close_notify sent. PEER_EOF is the end of
 * the socket, PEER_FAILED also a socket error.
 */
enum peer_result peer_fd_handshake(struct peer *peer, int fd);
enum peer_result peer_fd_write(struct peer *peer, int fd, const void *data, size_t len);
enum peer_result peer_fd_read(struct peer *peer, int fd, void *data, size_t size, size_t *len);

/* Reads and drops until something other than data comes; counts the bytes. */
enum peer_result peer_fd_drain(struct peer *peer, int fd, uint64_t *bytes);
enum peer_result peer_fd_shutdown(struct peer *peer, int fd);

#endif
