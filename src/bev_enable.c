/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Permission, interest and time: what the program and libevent allow, which events are registered
 * for it, and which clocks run.
 *
 * Permission comes from the enable and disable operations alone: libevent calls them for the
 * program as well as for watermarks, rate limits and lookups. bufferevent_get_enabled is what the
 * program wants, not what may be done.
 */
#include "config.h"

#include "bev.h"

#include <time.h>

#include <evtls/context.h>

#include "callbacks.h"

#include "bev_connect.h"

/* ---- Permission --------------------------------------------------------------------------- */

bool evtls_bev_may_read(const struct evtls_bev *conn)
{
    return (conn->allowed & EV_READ) && conn->ending != EVTLS_BEV_END_CLOSE && !conn->read_ended;
}

/*
 * Who asks for an ending wants the output sent, also where EV_WRITE was left disabled; a rate
 * limit (enabled, but not allowed) is obeyed, but by a close, which nobody watches.
 */
bool evtls_bev_may_write(const struct evtls_bev *conn)
{
    if (conn->allowed & EV_WRITE) {
        return true;
    }
    return conn->ending == EVTLS_BEV_END_CLOSE ||
           (conn->ending != EVTLS_BEV_NO_END && !(conn->bev->enabled & EV_WRITE));
}

bool evtls_bev_handshake_may_run(const struct evtls_bev *conn)
{
    return conn->allowed || conn->ending == EVTLS_BEV_END_CLOSE;
}

void evtls_bev_add_event(struct evtls_bev *conn, struct event *event, const struct timeval *timeout)
{
    if (event_add(event, timeout) == 0) {
        return;
    }
    evtls_bev_fail(conn, EVTLS_ERR_NOMEM, "libevent could not add an event", BEV_EVENT_ERROR);
    evtls_bev_queue(conn);
}

/* ---- Interest ----------------------------------------------------------------------------- */

bool evtls_bev_may_receive(const struct evtls_bev *conn)
{
    if (conn->in.fd_end || conn->in.len > 0) {
        return false;
    }
    if (conn->phase == EVTLS_BEV_HANDSHAKE) {
        /* A client's socket is not connected before it took the first bytes. */
        return evtls_bev_handshake_may_run(conn) &&
               (conn->role == EVTLS_SERVER || conn->first_sent);
    }
    return (conn->phase == EVTLS_BEV_OPEN || conn->phase == EVTLS_BEV_PLAIN) &&
           evtls_bev_may_read(conn) && !conn->connecting;
}

static bool wants_read(const struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_FAILING || conn->phase == EVTLS_BEV_DRAINING) {
        return !conn->in.fd_end && evtls_bev_get_unsent(conn) == 0;
    }
    return evtls_bev_may_receive(conn);
}

bool evtls_bev_may_send(const struct evtls_bev *conn)
{
    switch (conn->phase) {
    case EVTLS_BEV_HANDSHAKE:
        return evtls_bev_handshake_may_run(conn);
    case EVTLS_BEV_OPEN:
        /* What the program wrote obeys its permission; what TLS has to say does not wait. */
        return conn->out.encrypted == 0 || evtls_bev_may_write(conn);
    case EVTLS_BEV_PLAIN:
    case EVTLS_BEV_STARTING:
        return conn->connecting || evtls_bev_may_write(conn);
    case EVTLS_BEV_FAILING:
    case EVTLS_BEV_DRAINING:
        return true;
    case EVTLS_BEV_NO_FD:
    case EVTLS_BEV_CONNECTING:
    case EVTLS_BEV_ENDED:
    case EVTLS_BEV_DEAD:
        break;
    }
    return false;
}

static bool wants_send(const struct evtls_bev *conn)
{
    return (evtls_bev_get_unsent(conn) > 0 || conn->plain_blocked || conn->connecting) &&
           evtls_bev_may_send(conn);
}

/* True while something of the program's waits to be written: then its write timeout runs. */
static bool write_waits(const struct evtls_bev *conn)
{
    bool output = evbuffer_get_length(conn->bev->output) > 0;

    switch (conn->phase) {
    case EVTLS_BEV_CONNECTING:
    case EVTLS_BEV_HANDSHAKE:
        return (conn->allowed & EV_WRITE) && (output || conn->role == EVTLS_CLIENT);
    case EVTLS_BEV_OPEN:
        return output && evtls_bev_may_write(conn);
    case EVTLS_BEV_PLAIN:
    case EVTLS_BEV_STARTING:
        return (output || conn->connecting) && evtls_bev_may_write(conn);
    default:
        return false;
    }
}

static bool read_is_timed(const struct evtls_bev *conn)
{
    return (conn->allowed & EV_READ) && evutil_timerisset(&conn->bev->timeout_read) &&
           (conn->phase == EVTLS_BEV_HANDSHAKE || conn->phase == EVTLS_BEV_OPEN ||
            conn->phase == EVTLS_BEV_PLAIN);
}

static enum evtls_bev_reading get_reading(const struct evtls_bev *conn)
{
    if (!wants_read(conn)) {
        return EVTLS_BEV_READING_OFF;
    }
    return read_is_timed(conn) ? EVTLS_BEV_READING_TIMED : EVTLS_BEV_READING_ON;
}

/* An ending goes on while EV_WRITE is disabled, as it is after a timeout: that is told once. */
static bool write_is_timed(const struct evtls_bev *conn)
{
    return (conn->bev->enabled & EV_WRITE) && write_waits(conn);
}

/*
 * ev_write has no descriptor. libevent adds it, with the write timeout, when output is added; it
 * is ours to take it away when nothing waits, or it would keep the loop alive.
 */
static void settle_write_timer(struct evtls_bev *conn)
{
    struct bufferevent *bev = conn->bev;

    if (!write_is_timed(conn)) {
        event_del(&bev->ev_write);
    } else if (evutil_timerisset(&bev->timeout_write) &&
               !event_pending(&bev->ev_write, EV_TIMEOUT, NULL)) {
        evtls_bev_add_event(conn, &bev->ev_write, &bev->timeout_write);
    }
}

void evtls_bev_touch_write_timer(struct evtls_bev *conn)
{
    if (evutil_timerisset(&conn->bev->timeout_write) && write_is_timed(conn)) {
        evtls_bev_add_event(conn, &conn->bev->ev_write, &conn->bev->timeout_write);
    }
}

/* ---- The handshake's clock ---------------------------------------------------------------- */

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void evtls_bev_start_timer(struct evtls_bev *conn, const struct timeval *timeout)
{
    evtls_bev_add_event(conn, &conn->ev_timer, timeout);
}

void evtls_bev_stop_timer(struct evtls_bev *conn)
{
    event_del(&conn->ev_timer);
    conn->deadline_at_us = 0;
}

static void run_deadline(struct evtls_bev *conn)
{
    struct timeval left;

    if (conn->deadline_left_us < 1) {
        conn->deadline_left_us = 1;
    }
    left.tv_sec = (time_t)(conn->deadline_left_us / 1000000);
    left.tv_usec = (suseconds_t)(conn->deadline_left_us % 1000000);
    conn->deadline_at_us = now_us() + conn->deadline_left_us;
    evtls_bev_add_event(conn, &conn->ev_timer, &left);
}

void evtls_bev_start_deadline(struct evtls_bev *conn)
{
    struct timeval limit = conn->handshake_timeout;

    if (!evutil_timerisset(&limit)) {
        evtls_context_get_handshake_timeout(evtls_engine_get_context(conn->engine), &limit);
    }
    if (!evutil_timerisset(&limit)) {
        limit.tv_sec = EVTLS_HANDSHAKE_TIMEOUT_S; /* in plaintext there is no context yet */
    }
    conn->deadline_total_us = (int64_t)limit.tv_sec * 1000000 + limit.tv_usec;
    conn->deadline_left_us = conn->deadline_total_us;
    if (conn->allowed || conn->phase == EVTLS_BEV_CONNECTING) {
        run_deadline(conn);
    }
}

/* The clock stands while the program has disabled both directions. */
static void settle_deadline(struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_CONNECTING && !conn->deadline_at_us) {
        run_deadline(conn); /* a lookup and a race go on, whatever is disabled */
    }
    if ((conn->phase != EVTLS_BEV_HANDSHAKE && conn->phase != EVTLS_BEV_STARTING) ||
        conn->ending == EVTLS_BEV_END_CLOSE) {
        return;
    }
    if (!conn->allowed && conn->deadline_at_us) {
        conn->deadline_left_us = conn->deadline_at_us - now_us();
        evtls_bev_stop_timer(conn);
    } else if (conn->allowed && !conn->deadline_at_us) {
        run_deadline(conn);
    }
}

int evtls_bufferevent_set_handshake_timeout(struct bufferevent *bev, const struct timeval *timeout)
{
    static const struct timeval none = {0, 0};
    struct evtls_bev *conn;
    int64_t used;
    int rc = 0;

    if (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0 || timeout->tv_usec >= 1000000 ||
                    !evutil_timerisset(timeout))) {
        return EVTLS_ERR_USAGE;
    }
    conn = evtls_bev_lock(bev);
    if (!conn) {
        return EVTLS_ERR_USAGE;
    }
    if (conn->phase == EVTLS_BEV_NO_FD || conn->phase == EVTLS_BEV_PLAIN) {
        conn->handshake_timeout = timeout ? *timeout : none;
    } else if (conn->phase == EVTLS_BEV_HANDSHAKE || conn->phase == EVTLS_BEV_CONNECTING ||
               conn->phase == EVTLS_BEV_STARTING) {
        int64_t left =
            conn->deadline_at_us ? conn->deadline_at_us - now_us() : conn->deadline_left_us;

        used = conn->deadline_total_us - left;
        conn->handshake_timeout = timeout ? *timeout : none;
        evtls_bev_stop_timer(conn);
        evtls_bev_start_deadline(conn);
        evtls_bev_stop_timer(conn);
        conn->deadline_left_us -= used;
        settle_deadline(conn);
    } else {
        rc = EVTLS_ERR_USAGE;
    }
    evtls_bev_unlock(conn);
    return rc;
}

/* ---- All of it ---------------------------------------------------------------------------- */

void evtls_bev_settle(struct evtls_bev *conn)
{
    evtls_bev_note_connect(conn);
    conn->transport->watch(conn, get_reading(conn), wants_send(conn));
    settle_write_timer(conn);
    settle_deadline(conn);
}

/* ---- Operations that libevent calls ------------------------------------------------------- */

/*
 * As with a socket of libevent's, enabling EV_WRITE with nothing to write runs the write callback
 * once: programs start their writing that way. On a client only once it is connected.
 */
static bool write_is_asked(const struct evtls_bev *conn)
{
    return evbuffer_get_length(conn->bev->output) == 0 && !conn->connecting &&
           (conn->phase == EVTLS_BEV_OPEN || conn->phase == EVTLS_BEV_PLAIN ||
            (conn->phase == EVTLS_BEV_HANDSHAKE && conn->role == EVTLS_SERVER));
}

int evtls_bev_op_enable(struct bufferevent *bev, short events)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    evtls_bev_note_connect(conn);
    conn->allowed |= events & (EV_READ | EV_WRITE);
    if ((events & EV_WRITE) && write_is_asked(conn)) {
        conn->write_asked = true;
    }
    if (evtls_bev_has_input(conn) || (conn->under && (events & EV_READ))) {
        conn->read_again = true;
    }
    if (conn->phase == EVTLS_BEV_HANDSHAKE || conn->write_asked || conn->read_again ||
        evbuffer_get_length(bev->output) > 0) {
        evtls_bev_queue(conn);
    }
    if (events & EV_WRITE) {
        evtls_bev_dial(conn);
    }
    if ((events & EV_READ) && conn->reading == EVTLS_BEV_READING_TIMED) {
        evtls_bev_add_event(conn, &bev->ev_read, &bev->timeout_read);
    }
    evtls_bev_settle(conn);
    return 0;
}

int evtls_bev_op_disable(struct bufferevent *bev, short events)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    conn->allowed &= (short)~events;
    if (events & EV_WRITE) {
        conn->write_asked = false;
    }
    evtls_bev_settle(conn);
    return 0;
}

int evtls_bev_op_adj_timeouts(struct bufferevent *bev)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    if (conn->reading == EVTLS_BEV_READING_TIMED) {
        event_remove_timer(&bev->ev_read);
        conn->reading = EVTLS_BEV_READING_ON;
    }
    if (event_pending(&bev->ev_write, EV_TIMEOUT, NULL)) {
        event_remove_timer(&bev->ev_write);
    }
    evtls_bev_settle(conn);
    return 0;
}
