/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the program is told, in which order, and when.
 *
 * Everything is noted first (conn->tell) and told when the handler is done. libevent's callbacks
 * are run by libevent (bufferevent_trigger), which defers them where that was asked for. Its own
 * queue is private, so ours run from the work queue then, before libevent's are triggered, and
 * those that belong behind libevent's a turn later: the order stays the same.
 *
 * After each call of the program the connection may be freed (phase DEAD, the memory is still
 * there) or have another descriptor (another generation).
 */
#include "config.h"

#include "bev.h"

#include <evtls/session.h>

#include "bev_connect.h"

static bool same(const struct evtls_bev *conn, unsigned generation)
{
    return conn->phase != EVTLS_BEV_DEAD && conn->generation == generation;
}

/* The lock is held once, by the handler; libevent hands it back for unlocked callbacks as well. */
static void let_go(struct evtls_bev *conn)
{
    if (conn->options & BEV_OPT_UNLOCK_CALLBACKS) {
        evtls_bev_let_go(conn);
    }
}

static void take_back(struct evtls_bev *conn)
{
    if (conn->options & BEV_OPT_UNLOCK_CALLBACKS) {
        evtls_bev_take_back(conn);
    }
}

static void tell_open(struct evtls_bev *conn)
{
    struct evtls_callbacks cb = conn->cb;
    void *arg = conn->cb_arg;
    unsigned generation = conn->generation;

    if (conn->dialer.ops) {
        conn->dialer.ops->opened(conn->dialer.arg);
    }
    if (cb.alpn && evtls_engine_has_alpn(conn->engine)) {
        size_t len = 0;
        const char *protocol = evtls_engine_get_alpn(conn->engine, &len);

        let_go(conn);
        cb.alpn(conn->bev, protocol, len, arg);
        take_back(conn);
    }
    cb = conn->cb; /* the program may have closed, or set others */
    arg = conn->cb_arg;
    if (cb.handshake && same(conn, generation)) {
        let_go(conn);
        cb.handshake(conn->bev, arg);
        take_back(conn);
    }
    if (same(conn, generation)) {
        bufferevent_trigger_event(conn->bev, BEV_EVENT_CONNECTED, 0);
    }
}

static void tell_sessions(struct evtls_bev *conn)
{
    unsigned generation = conn->generation;
    struct evtls_session *session;

    while (same(conn, generation) && (session = evtls_engine_take_session(conn->engine)) != NULL) {
        if (conn->cb.session) {
            const struct evtls_callbacks cb = conn->cb;
            void *arg = conn->cb_arg;

            let_go(conn);
            cb.session(conn->bev, session, arg);
            take_back(conn);
        }
        evtls_session_free(session);
    }
}

static void tell_eof(struct evtls_bev *conn)
{
    const struct evtls_callbacks cb = conn->cb;
    unsigned generation = conn->generation;

    if (cb.close_notify && conn->phase != EVTLS_BEV_PLAIN &&
        evtls_engine_got_close_notify(conn->engine)) {
        void *arg = conn->cb_arg;

        let_go(conn);
        cb.close_notify(conn->bev, arg);
        take_back(conn);
    }
    /* Who unwraps in answer to the peer's close_notify goes on with this connection. */
    if (same(conn, generation) && conn->ending != EVTLS_BEV_END_UNWRAP) {
        bufferevent_disable(conn->bev, EV_READ);
        bufferevent_trigger_event(conn->bev, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
    }
}

static void tell_error(struct evtls_bev *conn)
{
    const struct evtls_error *err = evtls_engine_get_error(conn->engine);
    const struct evtls_callbacks cb = conn->cb;
    unsigned generation = conn->generation;
    short what = conn->error_what;
    int sys_errno = evtls_error_get_sys_errno(err);

    if (conn->dialer.ops) {
        conn->dialer.ops->failed(conn->dialer.arg, err);
    }
    bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
    if (cb.error) {
        void *arg = conn->cb_arg;

        let_go(conn);
        cb.error(conn->bev, err, arg);
        take_back(conn);
    }
    if (same(conn, generation)) {
        EVUTIL_SET_SOCKET_ERROR(sys_errno); /* where programs look for it */
        bufferevent_trigger_event(conn->bev, what, 0);
    }
}

/* What can be written now leaves in clear. */
static struct bufferevent *unwrap(struct evtls_bev *conn)
{
    struct bufferevent *plain = conn->bev;

    if (conn->under) {
        plain = evtls_filter_unwrap(conn);
        if (plain) {
            bufferevent_free(conn->bev);
        } else {
            evtls_bev_fail(conn, EVTLS_ERR_NOMEM, "out of memory",
                           BEV_EVENT_READING | BEV_EVENT_ERROR);
            conn->tell &= ~(unsigned)EVTLS_BEV_TELL_ERROR; /* the callback says it */
        }
    } else if (conn->ending == EVTLS_BEV_NO_END) {
        evbuffer_unfreeze(conn->bev->output, 0);
    }
    return plain;
}

static void tell_unwrapped(struct evtls_bev *conn)
{
    evtls_unwrap_cb cb = conn->unwrap_cb;
    void *arg = conn->unwrap_arg;
    /* Since the end of TLS nothing was added to the input, but something may have been read. */
    size_t protected_bytes = evbuffer_get_length(conn->bev->input);
    struct bufferevent *plain = conn->phase == EVTLS_BEV_PLAIN ? unwrap(conn) : NULL;
    const struct evtls_error *err = NULL;

    conn->unwrap_cb = NULL;
    if (!plain) {
        plain = conn->bev;
        err = evtls_engine_get_error(conn->engine);
        bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
    }
    let_go(conn);
    cb(plain, protected_bytes, err, arg);
    take_back(conn);
}

static void tell_connected(struct evtls_bev *conn)
{
    bufferevent_trigger_event(conn->bev, BEV_EVENT_CONNECTED, 0);
}

static void tell_one(struct evtls_bev *conn)
{
    unsigned lowest = conn->tell & (~conn->tell + 1);

    conn->tell &= ~lowest;
    switch (lowest) {
    case EVTLS_BEV_TELL_CONNECTED:
        tell_connected(conn);
        break;
    case EVTLS_BEV_TELL_OPEN:
        tell_open(conn);
        break;
    case EVTLS_BEV_TELL_SESSION:
        tell_sessions(conn);
        break;
    case EVTLS_BEV_TELL_READ:
        bufferevent_trigger(conn->bev, EV_READ, 0);
        break;
    case EVTLS_BEV_TELL_WRITE:
        bufferevent_trigger(conn->bev, EV_WRITE, 0);
        break;
    case EVTLS_BEV_TELL_UNWRAPPED:
        tell_unwrapped(conn);
        break;
    case EVTLS_BEV_TELL_EOF:
        tell_eof(conn);
        break;
    case EVTLS_BEV_TELL_ERROR:
        tell_error(conn);
        break;
    default:
        break;
    }
}

/*
 * What libevent has been asked to run may run later: always with deferred callbacks, and with a
 * high watermark it runs the read callback once more. The end is told after it. So is an error
 * after an end of file, which libevent would make one event of.
 */
static bool must_wait(const struct evtls_bev *conn)
{
    const unsigned behind = EVTLS_BEV_TELL_UNWRAPPED | EVTLS_BEV_TELL_EOF | EVTLS_BEV_TELL_ERROR;

    return conn->triggered && !(conn->tell & ~behind) &&
           ((conn->options & BEV_OPT_DEFER_CALLBACKS) || conn->bev->wm_read.high > 0);
}

void evtls_bev_tell(struct evtls_bev *conn)
{
    const unsigned libevents =
        EVTLS_BEV_TELL_CONNECTED | EVTLS_BEV_TELL_OPEN | EVTLS_BEV_TELL_READ |
        EVTLS_BEV_TELL_WRITE | EVTLS_BEV_TELL_EOF;

    if (conn->telling || ((conn->options & BEV_OPT_DEFER_CALLBACKS) && !conn->tell_now)) {
        return;
    }
    conn->telling = true;
    while (conn->tell && conn->phase != EVTLS_BEV_DEAD && !must_wait(conn)) {
        conn->triggered = conn->triggered || (conn->tell & libevents);
        tell_one(conn);
    }
    conn->telling = false;
}
