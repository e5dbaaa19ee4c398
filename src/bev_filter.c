/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport where that is another bufferevent: ciphertext is taken from its input and put in
 * its output, and counts as sent when it has left that.
 */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <sys/socket.h>

#include "bev_under.h"

bool evtls_filter_may_touch(const struct evtls_bev *conn)
{
    return conn->inside || !(conn->options & BEV_OPT_THREADSAFE);
}

/* ---- Bytes -------------------------------------------------------------------------------- */

/* The bytes are used where they lie: nothing is added below meanwhile. */
static ssize_t filter_receive(struct evtls_bev *conn, unsigned char *buf, size_t size,
                              const unsigned char **data)
{
    struct evtls_under *under = conn->under;
    struct evbuffer_iovec first;
    size_t n = 0;

    (void)buf;
    if (evbuffer_peek(under->bev->input, (ev_ssize_t)size, NULL, &first, 1) > 0) {
        n = first.iov_len < size ? first.iov_len : size;
        *data = first.iov_base;
    }
    if (n > 0) {
        if (conn->reading == EVTLS_BEV_READING_TIMED) {
            evtls_bev_add_event(conn, &conn->bev->ev_read, &conn->bev->timeout_read);
        }
        return (ssize_t)n;
    }
    if (under->ended) {
        return 0;
    }
    errno = EAGAIN;
    if (under->read_failed) {
        errno = under->sys_errno ? under->sys_errno : EIO;
    }
    return -1;
}

static void filter_received(struct evtls_bev *conn, size_t n)
{
    evbuffer_drain(conn->under->bev->input, n);
}

/* How much of what we put into its output is still there: we are the only one who adds. */
static void refresh(struct evtls_bev *conn)
{
    size_t length = evtls_under_get_output_length(conn->under);

    if (length < conn->out.in_flight) {
        conn->out.in_flight = length;
    }
}

static ssize_t filter_send(struct evtls_bev *conn, const struct iovec *iov, int n)
{
    struct evtls_under *under = conn->under;
    ssize_t total = 0;
    int rc;

    if (under->failed) {
        errno = under->sys_errno ? under->sys_errno : EPIPE;
        return -1;
    }
    for (int i = 0; i < n; i++) {
        conn->out.in_flight += iov[i].iov_len; /* first: a pair moves it on at once */
        under->adding = true;
        rc = evbuffer_add(under->bev->output, iov[i].iov_base, iov[i].iov_len);
        under->adding = false;
        if (rc != 0) {
            conn->out.in_flight -= iov[i].iov_len;
            errno = ENOMEM;
            return -1;
        }
        total += (ssize_t)iov[i].iov_len;
    }
    refresh(conn);
    return total;
}

/* The end of TLS is told to what is below; a socket of the program's is not ours to shut. */
static void filter_send_fin(struct evtls_bev *conn)
{
    struct evtls_under *under = conn->under;
    evutil_socket_t fd;

    bufferevent_flush(under->bev, EV_WRITE, BEV_FINISHED);
    if (under->owned && evtls_bev_is_libevents_socket(under->bev)) {
        fd = bufferevent_getfd(under->bev);
        (void)shutdown(fd, SHUT_WR);
    }
}

/* ---- Interest ----------------------------------------------------------------------------- */

/* Calls of the program only note what is wanted: they hold the filter's lock. */
static void filter_watch(struct evtls_bev *conn, enum evtls_bev_reading reading, bool sending)
{
    struct bufferevent *bev = conn->bev;
    bool was = conn->reading != EVTLS_BEV_READING_OFF;

    (void)sending;
    if (reading == conn->reading) {
        return;
    }
    if (reading == EVTLS_BEV_READING_TIMED) {
        evtls_bev_add_event(conn, &bev->ev_read, &bev->timeout_read);
    } else {
        event_del(&bev->ev_read);
    }
    conn->reading = reading;
    if (was != (reading != EVTLS_BEV_READING_OFF) && !conn->inside) {
        evtls_bev_queue(conn);
    }
}

static bool has_input(const struct evtls_under *under)
{
    return evbuffer_get_length(under->bev->input) > 0 || under->ended || under->read_failed;
}

void evtls_filter_apply(struct evtls_bev *conn)
{
    struct evtls_under *under = conn->under;
    bool reading = conn->reading != EVTLS_BEV_READING_OFF;

    if (under->state != EVTLS_UNDER_USED) {
        return;
    }
    event_priority_set(&under->pump, bufferevent_get_priority(conn->bev));
    if (under->write_stopped && evtls_bev_may_write(conn)) {
        under->write_stopped = false;
        bufferevent_enable(under->bev, EV_WRITE);
    }
    evtls_under_set_reading(under, reading && !under->ended && !under->read_failed);
    if (conn->phase != EVTLS_BEV_DEAD && reading && has_input(under)) {
        conn->read_again = true;
        evtls_bev_queue(conn);
    }
}

/* ---- The pump ----------------------------------------------------------------------------- */

/* A timer of the underlying one has fired: ours to tell, since its callbacks are ours. */
static void pass_timeouts(struct evtls_bev *conn)
{
    short directions = conn->under->timeouts;

    conn->under->timeouts = 0;
    if (directions & BEV_EVENT_READING) {
        bufferevent_disable(conn->bev, EV_READ);
        bufferevent_trigger_event(conn->bev, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
    }
    if (directions & BEV_EVENT_WRITING) {
        conn->under->write_stopped = true; /* libevent has disabled it */
    }
    if ((directions & BEV_EVENT_WRITING) && conn->phase != EVTLS_BEV_DEAD) {
        bufferevent_disable(conn->bev, EV_WRITE);
        bufferevent_trigger_event(conn->bev, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING, 0);
    }
}

static void note_sent(struct evtls_bev *conn)
{
    refresh(conn);
    evtls_bev_drain_sent(conn);
    if (conn->phase != EVTLS_BEV_DEAD && conn->under->failed && conn->out.in_flight > 0) {
        evtls_bev_send_failed(conn, conn->under->sys_errno ? conn->under->sys_errno : EPIPE);
    }
}

void evtls_filter_pump(struct evtls_bev *conn)
{
    conn = evtls_bev_enter(conn->bev);
    if (!conn) {
        return;
    }
    if (conn->under->timeouts) {
        pass_timeouts(conn);
    }
    if (conn->phase != EVTLS_BEV_DEAD) {
        note_sent(conn);
    }
    if (conn->phase != EVTLS_BEV_DEAD) {
        evtls_bev_read(conn);
    }
    if (conn->phase != EVTLS_BEV_DEAD) {
        evtls_bev_send_later(conn);
    }
    evtls_bev_leave(conn);
}

/* ---- Its end ------------------------------------------------------------------------------ */

static bool filter_can_farewell(const struct evtls_bev *conn)
{
    return conn->under->state == EVTLS_UNDER_USED;
}

/*
 * A close_notify that was said may stand in the output below still, after a shutdown that did not
 * wait: it counts as said, as one that a socket has taken.
 */
static void filter_release(struct evtls_bev *conn, bool say_last)
{
    bool said = conn->close_sent && conn->fork_count == evtls_bev_get_fork_count();
    struct evbuffer *last = NULL;
    size_t rest = conn->out.len - conn->out.off;

    if (say_last && rest > 0) {
        last = evbuffer_new();
        if (last && evbuffer_add(last, conn->out.data + conn->out.off, rest) != 0) {
            evbuffer_free(last);
            last = NULL;
        }
    }
    evtls_under_leave(conn->under, last, say_last || said, evtls_filter_may_touch(conn));
}

struct bufferevent *evtls_filter_unwrap(struct evtls_bev *conn)
{
    struct bufferevent *below = conn->under->bev;

    if (conn->in.len > 0) {
        if (evbuffer_prepend(below->input, conn->in.data, conn->in.len) != 0) {
            return NULL;
        }
        conn->in.len = 0;
    }
    evbuffer_unfreeze(conn->bev->input, 0);
    evbuffer_prepend_buffer(below->input, conn->bev->input);
    evtls_under_give_back(conn->under);
    if (conn->under->ended || conn->under->failed) {
        /* It told us, who own its callbacks; now it tells the program. */
        short end = conn->under->failed ? BEV_EVENT_ERROR : BEV_EVENT_EOF;

        bufferevent_trigger_event(below, BEV_EVENT_READING | end, BEV_TRIG_DEFER_CALLBACKS);
    } else {
        bufferevent_enable(below, bufferevent_get_enabled(conn->bev));
    }
    return below;
}

/* ---- The descriptor ----------------------------------------------------------------------- */

/* What stands in the buffers is of the old connection, also where a filter of libevent's has put
 * it further down. */
static void drop_old_bytes(struct bufferevent *bev)
{
    while (bev) {
        evbuffer_drain(bev->input, SIZE_MAX);
        evbuffer_drain(bev->output, SIZE_MAX);
        bev = evtls_bufferevent_get_engine(bev) ? NULL : bufferevent_get_underlying(bev);
    }
}

/* Another connection below. */
static int give_fd(struct evtls_bev *conn, evutil_socket_t fd)
{
    struct evtls_under *under = conn->under;

    if (bufferevent_setfd(under->bev, -1) != 0) {
        return -1;
    }
    drop_old_bytes(under->bev);
    under->ended = under->failed = under->read_failed = false;
    under->sys_errno = 0;
    under->timeouts = 0;
    /* libevent has disabled what met the old one's end. */
    under->reading = false;
    bufferevent_disable(under->bev, EV_READ);
    bufferevent_enable(under->bev, EV_WRITE);
    return bufferevent_setfd(under->bev, fd);
}

int evtls_filter_set_fd(struct evtls_bev *conn, evutil_socket_t fd)
{
    bool now = evtls_filter_may_touch(conn);

    if (fd >= 0 && now && give_fd(conn, fd) != 0) {
        return -1;
    }
    evtls_bev_forget(conn);
    evtls_bev_take_fd(conn, -1); /* of the filter itself: cancels a lookup of libevent's */
    conn->under_fd = fd;
    conn->fd_waits = fd >= 0 && !now;
    if (conn->fd_waits) {
        evtls_bev_queue(conn);
    } else if (fd >= 0) {
        evtls_bev_begin(conn);
    }
    evtls_bev_settle(conn);
    return 0;
}

void evtls_filter_set_waiting_fd(struct evtls_bev *conn)
{
    conn->fd_waits = false;
    if (give_fd(conn, conn->under_fd) == 0) {
        evtls_bev_begin(conn);
        return;
    }
    conn->phase = EVTLS_BEV_HANDSHAKE;
    evtls_bev_fail(conn, EVTLS_ERR_USAGE, "the bufferevent below takes no descriptor",
                   BEV_EVENT_ERROR);
}

static evutil_socket_t filter_get_fd(const struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_NO_FD && !conn->fd_waits) {
        return -1;
    }
    return evtls_filter_may_touch(conn) ? bufferevent_getfd(conn->under->bev) : conn->under_fd;
}

const struct evtls_bev_transport evtls_bev_filter = {
    .receive = filter_receive,
    .received = filter_received,
    .send = filter_send,
    .send_fin = filter_send_fin,
    .watch = filter_watch,
    .can_farewell = filter_can_farewell,
    .release = filter_release,
    .get_fd = filter_get_fd,
};
