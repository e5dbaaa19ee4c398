/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "require.h"

static socklen_t loopback(int family, uint16_t port, struct sockaddr_storage *sa)
{
    memset(sa, 0, sizeof *sa);
    if (family == AF_INET6) {
        struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)sa;

        sin6->sin6_family = AF_INET6;
        sin6->sin6_addr = in6addr_loopback;
        sin6->sin6_port = htons(port);
        return sizeof *sin6;
    }
    struct sockaddr_in *sin = (struct sockaddr_in *)sa;

    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sin->sin_port = htons(port);
    return sizeof *sin;
}

static int bound_socket(int family)
{
    struct sockaddr_storage sa;
    socklen_t len = loopback(family, 0, &sa);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    support_require(fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0);
    return fd;
}

int net_listen(int family, int backlog)
{
    int fd = bound_socket(family);

    support_require(listen(fd, backlog) == 0);
    return fd;
}

void net_address(int fd, struct sockaddr_storage *sa, socklen_t *len)
{
    *len = sizeof *sa;
    support_require(getsockname(fd, (struct sockaddr *)sa, len) == 0);
}

uint16_t net_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len;

    net_address(fd, &sa, &len);
    if (sa.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
    return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

uint16_t net_dead_port(void)
{
    int fd = bound_socket(AF_INET);
    uint16_t port = net_port(fd);

    close(fd);
    return port;
}

static void set_buffers(int fd, int buffer)
{
    if (buffer == 0)
        return;
    support_require(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) == 0);
    support_require(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) == 0);
}

static void tcp_pair(int buffer, int fds[2])
{
    struct sockaddr_storage sa;
    socklen_t len;
    int listener = bound_socket(AF_INET);

    /* Before the handshake, which agrees on the window. The accepted one inherits. */
    set_buffers(listener, buffer);
    support_require(listen(listener, 1) == 0);
    net_address(listener, &sa, &len);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    support_require(fds[0] >= 0);
    set_buffers(fds[0], buffer);
    support_require(connect(fds[0], (struct sockaddr *)&sa, len) == 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    support_require(fds[1] >= 0);
    close(listener);
}

void net_pair(enum net_kind kind, int buffer, int fds[2])
{
    if (kind == NET_TCP) {
        tcp_pair(buffer, fds);
        return;
    }
    support_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    set_buffers(fds[0], buffer);
    set_buffers(fds[1], buffer);
}

int net_connect(uint16_t port)
{
    struct sockaddr_storage sa;
    socklen_t len = loopback(AF_INET, port, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    support_require(fd >= 0);
    if (connect(fd, (struct sockaddr *)&sa, len) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

void net_set_nonblocking(int fd, bool nonblocking)
{
    int flags = fcntl(fd, F_GETFL);

    support_require(flags >= 0);
    flags = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    support_require(fcntl(fd, F_SETFL, flags) == 0);
}

void net_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    support_require(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    close(fd);
}

bool net_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

ssize_t net_read_to_end(int fd, void *data, size_t size)
{
    char *p = data;
    size_t len = 0;

    while (len < size) {
        ssize_t n = recv(fd, p + len, size - len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

bool net_read_all(int fd, void *data, size_t len)
{
    return net_read_to_end(fd, data, len) == (ssize_t)len;
}
