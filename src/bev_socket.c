/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport where that is the bufferevent's own descriptor: read and written here, watched by
 * ev_read and ev_send.
 */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

static evutil_socket_t get_fd(const struct evtls_bev *conn)
{
    return event_get_fd(&conn->bev->ev_read);
}

/* ---- The descriptor ----------------------------------------------------------------------- */

/* libevent's finaliser wants these flags, and the bufferevent as the argument. */
static void assign_events(struct evtls_bev *conn, evutil_socket_t fd, int priority)
{
    struct bufferevent *bev = conn->bev;
    struct event_base *base = bev->ev_base;

    event_del(&bev->ev_read);
    event_del(&bev->ev_write);
    event_del(&conn->ev_send);
    event_assign(&bev->ev_read, base, fd, EV_READ | EV_PERSIST | EV_FINALIZE, evtls_bev_on_readable,
                 bev);
    event_assign(&bev->ev_write, base, -1, EV_WRITE | EV_PERSIST | EV_FINALIZE,
                 evtls_bev_on_write_timeout, bev);
    event_assign(&conn->ev_send, base, fd, EV_WRITE | EV_PERSIST | EV_FINALIZE,
                 evtls_bev_on_sendable, bev);
    event_priority_set(&bev->ev_read, priority);
    event_priority_set(&bev->ev_write, priority);
    event_priority_set(&conn->ev_send, priority);
    conn->reading = EVTLS_BEV_READING_OFF;
    conn->sending_on = false;
}

/* Remembers which socket the number means, where the program may close it before us. */
static void remember_identity(struct evtls_bev *conn, evutil_socket_t fd)
{
    struct stat st;

    if (!(conn->options & BEV_OPT_CLOSE_ON_FREE) && fstat(fd, &st) == 0) {
        conn->fd_dev = st.st_dev;
        conn->fd_ino = st.st_ino;
    }
}

void evtls_bev_socket_attach(struct evtls_bev *conn, evutil_socket_t fd, int priority)
{
    int on = 1;

    if (fd >= 0) {
        evutil_make_socket_nonblocking(fd); /* first: libevent's debug mode looks at it */
    }
    assign_events(conn, fd, priority);
    if (fd < 0) {
        return;
    }
    /* Records go out a loop turn at a time; Nagle's delay would only hold the last one back. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    remember_identity(conn, fd);
}

/* Whether the descriptor's number still means our socket: who closes it may have done so. */
static bool fd_is_ours(const struct evtls_bev *conn)
{
    struct stat st;

    if (conn->options & BEV_OPT_CLOSE_ON_FREE) {
        return true;
    }
    return fstat(get_fd(conn), &st) == 0 && st.st_dev == conn->fd_dev && st.st_ino == conn->fd_ino;
}

/* ---- Bytes -------------------------------------------------------------------------------- */

static ssize_t socket_receive(struct evtls_bev *conn, unsigned char *buf, size_t size,
                              const unsigned char **data)
{
    ssize_t n;

    *data = buf;
    do {
        n = recv(get_fd(conn), buf, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void socket_received(struct evtls_bev *conn, size_t n)
{
    (void)conn;
    (void)n;
}

static ssize_t socket_send(struct evtls_bev *conn, const struct iovec *iov, int n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
    ssize_t sent;

    do {
        sent = n == 1 ? send(get_fd(conn), iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                      : sendmsg(get_fd(conn), &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

static void socket_send_fin(struct evtls_bev *conn)
{
    (void)shutdown(get_fd(conn), SHUT_WR);
}

void evtls_bev_socket_discard(evutil_socket_t fd)
{
    unsigned char waste[4096];

    for (int i = 0; i < 16; i++) {
        if (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) < (ssize_t)sizeof(waste)) {
            break;
        }
    }
}

static void socket_release(struct evtls_bev *conn, bool say_last)
{
    if (!say_last) {
        return;
    }
    if (conn->out.off < conn->out.len) {
        (void)send(get_fd(conn), conn->out.data + conn->out.off, conn->out.len - conn->out.off,
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (!conn->in.fd_end) {
        evtls_bev_socket_discard(get_fd(conn));
    }
}

/* ---- Interest ----------------------------------------------------------------------------- */

/*
 * A persistent event that once had a timeout keeps it when it is deleted, and starts it again when
 * it is added without one. It forgets only a timeout that is taken back while it runs.
 */
static void add_untimed(struct evtls_bev *conn)
{
    static const struct timeval an_hour = {3600, 0};
    struct event *ev_read = &conn->bev->ev_read;

    evtls_bev_add_event(conn, ev_read, conn->was_timed ? &an_hour : NULL);
    if (conn->was_timed) {
        event_remove_timer(ev_read);
    }
}

static void watch_read(struct evtls_bev *conn, enum evtls_bev_reading want)
{
    struct bufferevent *bev = conn->bev;

    if (want == conn->reading) {
        return;
    }
    if (want == EVTLS_BEV_READING_OFF) {
        event_del(&bev->ev_read);
    } else if (want == EVTLS_BEV_READING_TIMED) {
        evtls_bev_add_event(conn, &bev->ev_read, &bev->timeout_read);
        conn->was_timed = true;
    } else if (conn->reading == EVTLS_BEV_READING_OFF) {
        add_untimed(conn);
    } else {
        event_remove_timer(&bev->ev_read);
    }
    conn->reading = want;
}

static void watch_send(struct evtls_bev *conn, bool want)
{
    if (want == conn->sending_on) {
        return;
    }
    if (want) {
        event_priority_set(&conn->ev_send, event_get_priority(&conn->bev->ev_read));
        evtls_bev_add_event(conn, &conn->ev_send, NULL);
    } else {
        event_del(&conn->ev_send);
    }
    conn->sending_on = want;
}

static void socket_watch(struct evtls_bev *conn, enum evtls_bev_reading reading, bool sending)
{
    watch_read(conn, reading);
    watch_send(conn, sending);
}

const struct evtls_bev_transport evtls_bev_socket = {
    .receive = socket_receive,
    .received = socket_received,
    .send = socket_send,
    .send_fin = socket_send_fin,
    .watch = socket_watch,
    .can_farewell = fd_is_ours,
    .release = socket_release,
    .get_fd = get_fd,
};
