/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways in which a connection ends: the five calls of evtls/bufferevent.h, a failure with an
 * alert that has to arrive, a failure of the transport, and a time that is up.
 */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bev_connect.h"
#include "bev_under.h"

/* Unread input would turn our close into a reset, which destroys an alert on its way. */
#define DISCARD_BYTES 65536

static const struct timeval alert_linger = {1, 0};
static const struct timeval default_linger = {5, 0};

/* ---- Terminal events ---------------------------------------------------------------------- */

/* From here on nothing is read, sent or awaited. */
static void end(struct evtls_bev *conn)
{
    evtls_bev_cancel_connector(conn);
    evtls_bev_stop_timer(conn);
    evtls_bev_drop_output(conn);
    evtls_bev_drop_input(conn);
    conn->phase = EVTLS_BEV_ENDED;
}

/*
 * Raises the error that the engine keeps. An end of file that was told before is followed by an
 * error only where something of the program's is still owed, or an unwrap's callback.
 */
static void raise_error(struct evtls_bev *conn, short what)
{
    bool owed = evbuffer_get_length(conn->bev->output) > 0 || conn->ending == EVTLS_BEV_END_UNWRAP;

    end(conn);
    if (conn->ending == EVTLS_BEV_END_CLOSE) {
        bufferevent_free(conn->bev);
        return;
    }
    if (conn->told_end && !owed) {
        return;
    }
    if (conn->told_end && !(what & BEV_EVENT_TIMEOUT)) {
        what = BEV_EVENT_WRITING | BEV_EVENT_ERROR; /* reading is over */
    }
    conn->told_end = true;
    conn->error_what = what;
    conn->tell |=
        conn->ending == EVTLS_BEV_END_UNWRAP ? EVTLS_BEV_TELL_UNWRAPPED : EVTLS_BEV_TELL_ERROR;
}

static void raise_eof(struct evtls_bev *conn)
{
    if (!conn->told_end) {
        conn->told_end = true;
        conn->tell |= EVTLS_BEV_TELL_EOF;
    }
}

void evtls_bev_fail_with(struct evtls_bev *conn, const struct evtls_error *err, short what)
{
    if (conn->phase == EVTLS_BEV_ENDED || conn->phase == EVTLS_BEV_DEAD) {
        return;
    }
    evtls_engine_fail(conn->engine, err);
    raise_error(conn, what);
}

void evtls_bev_fail(struct evtls_bev *conn, enum evtls_status status, const char *reason,
                    short what)
{
    struct evtls_error err;

    evtls_error_set(&err, status, "%s", reason);
    evtls_bev_fail_with(conn, &err, what);
}

bool evtls_bev_is_connected(const struct evtls_bev *conn)
{
    if (evtls_bev_is_plain(conn)) {
        return !conn->connecting;
    }
    return conn->first_sent || conn->role == EVTLS_SERVER;
}

void evtls_bev_fail_errno(struct evtls_bev *conn, int sys_errno, short what)
{
    struct evtls_error err;
    const char *doing = evtls_bev_is_connected(conn) ? "connection" : "connect";

    if (conn->under && conn->under->failed) {
        evtls_under_get_error(conn->under, &err);
    } else {
        evtls_error_set_errno(&err, EVTLS_ERR_IO, sys_errno, "%s", doing);
    }
    evtls_bev_fail_with(conn, &err, what);
}

/* ---- A failure with an alert -------------------------------------------------------------- */

static void send_fin(struct evtls_bev *conn)
{
    if (!conn->fin_sent) {
        conn->fin_sent = true;
        conn->transport->send_fin(conn);
    }
}

/* Discards input until the peer has seen our end, or enough came: true when that is over. */
static bool discard(struct evtls_bev *conn)
{
    if (evtls_bev_get_unsent(conn) > 0) {
        return false;
    }
    send_fin(conn);
    conn->failing_bytes += evtls_bev_discard(conn, DISCARD_BYTES - conn->failing_bytes);
    return conn->in.fd_end || conn->failing_bytes >= DISCARD_BYTES;
}

static void go_on_failing(struct evtls_bev *conn)
{
    if (discard(conn)) {
        raise_error(conn, conn->error_what);
    }
}

/* A peer that speaks something else gets no alert, but an end of file as well, and no reset. */
static bool owes_an_end(const struct evtls_bev *conn)
{
    if (conn->write_errno || conn->in.fd_errno) {
        return false;
    }
    return evtls_bev_get_unsent(conn) > 0 ||
           (!conn->in.fd_end &&
            evtls_error_get_status(evtls_engine_get_error(conn->engine)) == EVTLS_ERR_PROTOCOL);
}

void evtls_bev_engine_failed(struct evtls_bev *conn, short what)
{
    if (conn->phase == EVTLS_BEV_ENDED || conn->phase == EVTLS_BEV_DEAD ||
        conn->phase == EVTLS_BEV_FAILING) {
        return;
    }
    if (!owes_an_end(conn)) {
        raise_error(conn, what);
        return;
    }
    conn->error_what = what;
    conn->phase = EVTLS_BEV_FAILING;
    conn->failing_bytes = 0;
    if (conn->ending != EVTLS_BEV_END_CLOSE) {
        evtls_bev_start_timer(conn, &alert_linger);
    }
    (void)evtls_bev_send(conn);
}

/* ---- A failed send ------------------------------------------------------------------------ */

bool evtls_bev_reads_on(const struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_STARTING) {
        return false; /* not before TLS has begun */
    }
    return conn->phase == EVTLS_BEV_HANDSHAKE ||
           ((conn->bev->enabled & EV_READ) && !conn->read_ended);
}

static bool is_owed(const struct evtls_bev *conn)
{
    return evbuffer_get_length(conn->bev->output) > 0 || conn->ending != EVTLS_BEV_NO_END;
}

/*
 * What the peer sent before it went away may still be there, an alert that says why among it. So
 * the first time reading goes on; the second time, after everything readable was read, or where
 * the program doesn't read, the failure is raised, if anything is owed: tickets for a peer that
 * sent and closed are not missed.
 */
void evtls_bev_send_failed(struct evtls_bev *conn, int sys_errno)
{
    bool first = conn->write_errno == 0;
    bool handshake = conn->phase == EVTLS_BEV_HANDSHAKE || conn->phase == EVTLS_BEV_STARTING;
    bool reads = evtls_bev_reads_on(conn);

    conn->write_errno = sys_errno;
    evtls_bev_drop_output(conn);
    if (conn->phase == EVTLS_BEV_FAILING) {
        raise_error(conn, conn->error_what);
    } else if (conn->phase == EVTLS_BEV_DRAINING || conn->ending == EVTLS_BEV_END_CLOSE) {
        evtls_bev_fail_errno(conn, sys_errno, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
    } else if (handshake && !evtls_bev_is_connected(conn)) {
        evtls_bev_fail_errno(conn, sys_errno, BEV_EVENT_ERROR);
    } else if (first && reads) {
        conn->read_again = true;
    } else if (handshake || (is_owed(conn) && (!reads || evtls_bev_may_read(conn)))) {
        evtls_bev_fail_errno(conn, sys_errno, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
    }
}

/* ---- Endings that the program asked for --------------------------------------------------- */

void evtls_bev_peer_ended(struct evtls_bev *conn)
{
    conn->read_ended = true;
    if (conn->ending == EVTLS_BEV_NO_END || conn->ending == EVTLS_BEV_END_WRITE) {
        raise_eof(conn);
    } else {
        evtls_bev_go_on_ending(conn);
    }
}

static bool all_sent(const struct evtls_bev *conn)
{
    bool last_made = conn->phase == EVTLS_BEV_PLAIN ? evbuffer_get_length(conn->bev->output) == 0
                                                    : conn->close_sent;

    return last_made && evtls_bev_get_unsent(conn) == 0 && !conn->write_errno;
}

static bool is_open(const struct evtls_bev *conn)
{
    return conn->phase == EVTLS_BEV_OPEN || (conn->phase == EVTLS_BEV_PLAIN && !conn->connecting);
}

/* Nothing can be written before the program knows that it would leave in clear. */
static void become_plain(struct evtls_bev *conn)
{
    evtls_bev_stop_timer(conn);
    conn->phase = EVTLS_BEV_PLAIN;
    conn->ending = EVTLS_BEV_NO_END;
    conn->read_ended = false;
    conn->told_end = false; /* that was the end of TLS */
    conn->tell |= EVTLS_BEV_TELL_UNWRAPPED;
    conn->read_again = true;
}

static void go_on_closing(struct evtls_bev *conn)
{
    if (is_open(conn) && all_sent(conn)) {
        if (conn->under && !conn->under->owned) {
            bufferevent_free(conn->bev); /* what follows below is the program's to read */
            return;
        }
        conn->phase = EVTLS_BEV_DRAINING;
        conn->failing_bytes = 0;
    }
    if (conn->phase == EVTLS_BEV_ENDED || (conn->phase == EVTLS_BEV_DRAINING && discard(conn))) {
        bufferevent_free(conn->bev);
    }
}

void evtls_bev_go_on_ending(struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_FAILING) {
        go_on_failing(conn);
        return;
    }
    switch (conn->ending) {
    case EVTLS_BEV_NO_END:
        break;
    case EVTLS_BEV_END_WRITE:
        if (is_open(conn) && all_sent(conn)) {
            send_fin(conn);
        }
        break;
    case EVTLS_BEV_END_BOTH:
        if (conn->phase == EVTLS_BEV_PLAIN && is_open(conn) && all_sent(conn)) {
            send_fin(conn);
        }
        if (is_open(conn) && conn->read_ended && all_sent(conn)) {
            evtls_bev_stop_timer(conn);
            raise_eof(conn);
        }
        break;
    case EVTLS_BEV_END_UNWRAP:
        if (conn->phase == EVTLS_BEV_OPEN && all_sent(conn)) {
            if (conn->read_ended) {
                become_plain(conn);
            } else if (!event_pending(&conn->ev_timer, EV_TIMEOUT, NULL)) {
                evtls_bev_start_timer(conn, &default_linger);
            }
        }
        break;
    case EVTLS_BEV_END_CLOSE:
        if (conn->phase != EVTLS_BEV_DEAD) {
            go_on_closing(conn);
        }
        break;
    }
}

static void time_is_up(struct evtls_bev *conn, const char *reason)
{
    evtls_bev_fail(conn, EVTLS_ERR_TIMEOUT, reason, BEV_EVENT_TIMEOUT | BEV_EVENT_ERROR);
}

static void connect_timed_out(struct evtls_bev *conn)
{
    struct evtls_error err;

    conn->connector_ops->describe(conn->connector, &err);
    evtls_bev_fail_with(conn, &err, BEV_EVENT_TIMEOUT | BEV_EVENT_ERROR);
}

static void timer_fired(struct evtls_bev *conn)
{
    conn->deadline_at_us = 0;
    if (conn->ending == EVTLS_BEV_END_CLOSE) {
        bufferevent_free(conn->bev);
    } else if (conn->phase == EVTLS_BEV_CONNECTING) {
        connect_timed_out(conn);
    } else if (conn->phase == EVTLS_BEV_HANDSHAKE || conn->phase == EVTLS_BEV_STARTING) {
        time_is_up(conn, "the handshake was not complete within its time limit");
    } else if (conn->phase == EVTLS_BEV_FAILING) {
        raise_error(conn, conn->error_what);
    } else if (conn->phase == EVTLS_BEV_OPEN) {
        time_is_up(conn, "the peer did not answer our close_notify in time");
    } else if (conn->phase == EVTLS_BEV_PLAIN) {
        time_is_up(conn, "the peer did not close the connection in time");
    }
}

void evtls_bev_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_bev *conn = evtls_bev_enter(arg);

    (void)fd;
    (void)what;
    if (conn) {
        timer_fired(conn);
        evtls_bev_leave(conn);
    }
}

/* ---- The calls ---------------------------------------------------------------------------- */

static bool can_end(const struct evtls_bev *conn)
{
    return conn->ending == EVTLS_BEV_NO_END &&
           (conn->phase == EVTLS_BEV_OPEN || conn->phase == EVTLS_BEV_HANDSHAKE ||
            conn->phase == EVTLS_BEV_CONNECTING || evtls_bev_is_plain(conn));
}

static void begin_ending(struct evtls_bev *conn, enum evtls_bev_ending ending)
{
    conn->ending = ending;
    evbuffer_freeze(conn->bev->output, 0);
    evtls_bev_queue(conn);
}

int evtls_bev_end_writing(struct evtls_bev *conn)
{
    if (!can_end(conn)) {
        return EVTLS_ERR_USAGE;
    }
    begin_ending(conn, EVTLS_BEV_END_WRITE);
    return 0;
}

int evtls_bufferevent_shutdown_write(struct bufferevent *bev)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);
    int rc;

    if (!conn) {
        return EVTLS_ERR_USAGE;
    }
    rc = evtls_bev_end_writing(conn);
    evtls_bev_unlock(conn);
    return rc;
}

static void start_shutdown(struct evtls_bev *conn, const struct timeval *linger)
{
    if (!is_open(conn)) {
        /* There is nothing to send. */
        evtls_bev_fail(conn, EVTLS_ERR_PROTOCOL,
                       "[SSL: SHUTDOWN_WHILE_IN_INIT] shutdown before the handshake was complete",
                       BEV_EVENT_ERROR);
        return;
    }
    if (!linger) {
        linger = &default_linger;
    }
    evtls_bev_start_timer(conn, linger);
    if (!evutil_timerisset(linger)) {
        evtls_bev_flush(conn);
    }
}

int evtls_bufferevent_shutdown(struct bufferevent *bev, const struct timeval *linger)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);
    int rc = EVTLS_ERR_USAGE;

    if (!conn) {
        return rc;
    }
    if (conn->ending == EVTLS_BEV_END_WRITE && is_open(conn)) {
        conn->ending = EVTLS_BEV_NO_END; /* half of it was done before */
    }
    if (can_end(conn)) {
        begin_ending(conn, EVTLS_BEV_END_BOTH);
        start_shutdown(conn, linger);
        evtls_bev_settle(conn);
        rc = 0;
    }
    evtls_bev_unlock(conn);
    return rc;
}

int evtls_bufferevent_unwrap(struct bufferevent *bev, evtls_unwrap_cb cb, void *arg)
{
    struct evtls_bev *conn = cb ? evtls_bev_lock(bev) : NULL;
    int rc = EVTLS_ERR_USAGE;

    if (!conn) {
        return rc;
    }
    if (can_end(conn) && conn->phase == EVTLS_BEV_OPEN) {
        conn->unwrap_cb = cb;
        conn->unwrap_arg = arg;
        begin_ending(conn, EVTLS_BEV_END_UNWRAP);
        evtls_bev_settle(conn);
        rc = 0;
    }
    evtls_bev_unlock(conn);
    return rc;
}

/* True when a close has something to wait for. */
static bool closes_slowly(const struct evtls_bev *conn)
{
    return conn->phase == EVTLS_BEV_HANDSHAKE || conn->phase == EVTLS_BEV_OPEN ||
           conn->phase == EVTLS_BEV_FAILING || evtls_bev_is_plain(conn);
}

void evtls_bufferevent_close(struct bufferevent *bev, const struct timeval *linger)
{
    struct evtls_bev *conn;

    if (!bev) {
        return;
    }
    conn = evtls_bev_lock(bev);
    if (!conn || !closes_slowly(conn)) {
        if (conn) {
            evtls_bev_unlock(conn);
        }
        bufferevent_free(bev);
        return;
    }
    bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
    memset(&conn->cb, 0, sizeof(conn->cb));
    conn->tell = 0;
    conn->counted = true;
    evtls_base_count_closing(conn->shared, 1);
    evtls_bev_stop_timer(conn);
    evtls_bev_start_timer(conn, linger ? linger : &default_linger);
    begin_ending(conn, EVTLS_BEV_END_CLOSE);
    evtls_bev_settle(conn);
    evtls_bev_unlock(conn);
}

size_t evtls_event_base_get_num_closing(struct event_base *base)
{
    struct evtls_base *shared = base ? evtls_base_find(base) : NULL;

    return shared ? evtls_base_get_num_closing(shared) : 0;
}

/* ---- Free --------------------------------------------------------------------------------- */

static atomic_uint fork_count;

static void count_fork(void)
{
    fork_count++;
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

unsigned evtls_bev_get_fork_count(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, watch_forks);
    return fork_count;
}

/*
 * A close_notify behind what is encrypted. Not in a forked child: the connection goes on in the
 * process that made it.
 */
bool evtls_bev_farewell(struct evtls_bev *conn)
{
    if (conn->phase != EVTLS_BEV_OPEN || conn->write_errno || conn->in.fd_errno ||
        evtls_engine_is_busy(conn->engine) || conn->fork_count != evtls_bev_get_fork_count() ||
        !conn->transport->can_farewell(conn)) {
        return false;
    }
    if (!conn->close_sent) {
        conn->close_sent = true;
        (void)evtls_engine_step_shutdown(conn->engine);
    }
    return true;
}
