/* SPDX-License-Identifier: BSD-3-Clause */
#include "forked_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "require.h"

struct forked_peer {
    pid_t pid;
};

static int run_child(const struct peer_options *options, int fd, forked_peer_fn fn, void *arg)
{
    struct peer *peer = options != NULL ? peer_new(options) : NULL;
    int status;

    alarm(60);
    net_set_nonblocking(fd, false);
    status = fn(peer, fd, arg);
    peer_free(peer);
    return status;
}

struct forked_peer *forked_peer_start(const struct peer_options *options, int fd, forked_peer_fn fn,
                                      void *arg)
{
    struct forked_peer *peer = calloc(1, sizeof *peer);

    support_require(peer != NULL);
    peer->pid = fork();
    support_require(peer->pid >= 0);
    /* _exit: what the parent registered for its own exit is not the child's. */
    if (peer->pid == 0)
        _exit(run_child(options, fd, fn, arg));
    close(fd);
    return peer;
}

int forked_peer_wait(struct forked_peer *peer)
{
    int status;
    pid_t pid;

    do {
        pid = waitpid(peer->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    support_require(pid == peer->pid);
    free(peer);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Sends what the peer has ready. */
static enum peer_result flush(struct peer *peer, int fd)
{
    unsigned char data[16384];
    size_t len;

    while ((len = peer_take(peer, data, sizeof data)) > 0) {
        if (!net_write_all(fd, data, len))
            return PEER_FAILED;
    }
    return PEER_OK;
}

/* One read of the socket into the peer. */
static enum peer_result fill(struct peer *peer, int fd)
{
    unsigned char data[16384];
    ssize_t n;

    do {
        n = recv(fd, data, sizeof data, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return PEER_FAILED;
    if (n == 0)
        return PEER_EOF;
    peer_feed(peer, data, (size_t)n);
    return PEER_OK;
}

enum peer_result peer_fd_handshake(struct peer *peer, int fd)
{
    enum peer_result result;

    do {
        enum peer_result io;

        result = peer_handshake(peer);
        /* Also after a failure: the alert. */
        io = flush(peer, fd);
        if (io == PEER_OK && result == PEER_WANT_INPUT)
            io = fill(peer, fd);
        if (io != PEER_OK)
            return io;
    } while (result == PEER_WANT_INPUT);
    return result;
}

enum peer_result peer_fd_write(struct peer *peer, int fd, const void *data, size_t len)
{
    enum peer_result result = peer_write(peer, data, len);

    return result == PEER_OK ? flush(peer, fd) : result;
}

enum peer_result peer_fd_read(struct peer *peer, int fd, void *data, size_t size, size_t *len)
{
    enum peer_result result;

    while ((result = peer_read(peer, data, size, len)) == PEER_WANT_INPUT) {
        enum peer_result io = fill(peer, fd);

        if (io != PEER_OK)
            return io;
    }
    return result;
}

enum peer_result peer_fd_drain(struct peer *peer, int fd, uint64_t *bytes)
{
    unsigned char data[16384];
    enum peer_result result;
    size_t len;

    *bytes = 0;
    while ((result = peer_fd_read(peer, fd, data, sizeof data, &len)) == PEER_OK)
        *bytes += len;
    return result;
}

enum peer_result peer_fd_shutdown(struct peer *peer, int fd)
{
    enum peer_result result = peer_shutdown(peer);
    enum peer_result io = flush(peer, fd);

    return io != PEER_OK ? io : result;
}
