/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection before TLS: it carries what is written as it is, until the program starts TLS.
 */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "callbacks.h"

bool evtls_bev_is_plain(const struct evtls_bev *conn)
{
    return conn->phase == EVTLS_BEV_PLAIN || conn->phase == EVTLS_BEV_STARTING;
}

/* ---- Its connect -------------------------------------------------------------------------- */

static bool is_unconnected(evutil_socket_t fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    return getpeername(fd, (struct sockaddr *)&ss, &len) != 0 && errno == ENOTCONN;
}

void evtls_bev_begin_plain(struct evtls_bev *conn, bool connected)
{
    evtls_bev_stop_timer(conn);
    conn->phase = EVTLS_BEV_PLAIN;
    conn->connecting = is_unconnected(conn->transport->get_fd(conn));
    if (connected) {
        conn->tell |= EVTLS_BEV_TELL_CONNECTED;
    }
    evtls_bev_queue(conn);
    evtls_bev_settle(conn);
    conn->fd_is_new = !conn->connecting && !connected &&
                      !event_pending(&conn->bev->ev_write, EV_WRITE | EV_TIMEOUT, NULL);
}

/* Such a socket is connected at once, and libevent does not add ev_write then. */
static bool is_unix(evutil_socket_t fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family == AF_UNIX;
}

void evtls_bev_note_connect(struct evtls_bev *conn)
{
    struct bufferevent *bev = conn->bev;

    if (!conn->fd_is_new) {
        return;
    }
    conn->fd_is_new = false;
    conn->connecting = event_pending(&bev->ev_write, EV_WRITE | EV_TIMEOUT, NULL) ||
                       (is_unix(conn->transport->get_fd(conn)) &&
                        evtls_bev_ops_was_connected(conn->socket_ops, bev));
}

void evtls_bev_finish_connect(struct evtls_bev *conn)
{
    int sys_errno = 0;
    socklen_t len = sizeof(sys_errno);

    if (getsockopt(conn->transport->get_fd(conn), SOL_SOCKET, SO_ERROR, &sys_errno, &len) != 0) {
        sys_errno = errno;
    }
    if (sys_errno != 0) {
        evtls_bev_fail_errno(conn, sys_errno, BEV_EVENT_ERROR);
        return;
    }
    conn->connecting = false;
    conn->tell |= EVTLS_BEV_TELL_CONNECTED;
    if (conn->phase == EVTLS_BEV_STARTING && conn->plain_owed == 0) {
        evtls_bev_begin(conn);
    }
}

/* ---- Construction ------------------------------------------------------------------------- */

struct bufferevent *evtls_bufferevent_plaintext_new(struct event_base *base, evutil_socket_t fd,
                                                    int bev_options, struct evtls_error *err)
{
    struct evtls_bev *conn;

    if (!base) {
        evtls_error_set(err, EVTLS_ERR_USAGE, "base is NULL");
        return NULL;
    }
    if (evtls_bev_check_options(bev_options, err) != 0 || evtls_bev_check_socket(fd, err) != 0) {
        return NULL;
    }
    conn = evtls_bev_new(base, NULL, NULL, EVTLS_CLIENT, bev_options, err);
    if (!conn) {
        return NULL;
    }
    conn->starts_plain = true;
    bufferevent_lock(conn->bev);
    evtls_bev_attach_fd(conn, fd, bufferevent_get_priority(conn->bev));
    bufferevent_unlock(conn->bev);
    return conn->bev;
}

/* ---- The step up -------------------------------------------------------------------------- */

void evtls_bev_plain_sent(struct evtls_bev *conn, size_t n)
{
    if (conn->phase != EVTLS_BEV_STARTING) {
        return;
    }
    conn->plain_owed -= n;
    if (conn->plain_owed == 0) {
        evtls_bev_begin(conn);
    }
}

static int check_start(const struct evtls_bev *conn, int flags, struct evtls_error *err)
{
    size_t waiting = evbuffer_get_length(conn->bev->input) + conn->in.len;

    if (conn->phase != EVTLS_BEV_PLAIN || conn->ending != EVTLS_BEV_NO_END || conn->read_ended ||
        (conn->tell & EVTLS_BEV_TELL_UNWRAPPED)) {
        return evtls_error_set(err, EVTLS_ERR_USAGE,
                               "TLS is started on an open connection in plaintext only");
    }
    if (waiting > 0 && !(flags & EVTLS_INPUT_IS_CIPHERTEXT)) {
        return evtls_error_set(err, EVTLS_ERR_PROTOCOL,
                               "%zu bytes came in plaintext before TLS was started; they must not "
                               "be taken for what follows",
                               waiting);
    }
    return 0;
}

/* What was delivered as plaintext is ciphertext: in front of what was not delivered yet. */
static void take_input(struct evtls_bev *conn, unsigned char *room, size_t delivered)
{
    evbuffer_remove(conn->bev->input, room, delivered);
    if (conn->in.len > 0) {
        memcpy(room + delivered, conn->in.data, conn->in.len);
    }
    free(conn->in.held);
    conn->in.held = room;
    conn->in.data = room;
    conn->in.len += delivered;
}

static void begin_start(struct evtls_bev *conn, enum evtls_role role)
{
    conn->role = role;
    conn->starts_plain = false;
    conn->close_sent = false;
    conn->tell &= ~(unsigned)EVTLS_BEV_TELL_READ;
    conn->phase = EVTLS_BEV_STARTING;
    conn->plain_owed = evbuffer_get_length(conn->bev->output);
    evtls_bev_start_deadline(conn);
    if (conn->plain_owed == 0 && !conn->connecting) {
        evtls_bev_begin(conn);
    }
    evtls_bev_queue(conn);
    evtls_bev_settle(conn);
}

static int start_tls(struct evtls_bev *conn, struct evtls_context *ctx, enum evtls_role role,
                     int flags, struct evtls_error *err)
{
    size_t delivered = evbuffer_get_length(conn->bev->input);
    unsigned char *room = NULL;
    int rc = check_start(conn, flags, err);

    if (rc != 0) {
        return rc;
    }
    if (delivered > 0) {
        room = malloc(delivered + conn->in.len);
        if (!room) {
            return evtls_error_set(err, EVTLS_ERR_NOMEM, "out of memory");
        }
    }
    rc = evtls_engine_adopt(conn->engine, ctx, role, err);
    if (rc != 0) {
        free(room);
        return rc;
    }
    if (room) {
        take_input(conn, room, delivered);
    }
    if (!conn->own_cb) {
        conn->cb = *evtls_context_get_callbacks(ctx, &conn->cb_arg);
    }
    begin_start(conn, role);
    return 0;
}

int evtls_bufferevent_start_tls(struct bufferevent *bev, struct evtls_context *ctx,
                                enum evtls_role role, int flags, struct evtls_error *err)
{
    struct evtls_bev *conn;
    int rc;

    if (!ctx || (flags & ~EVTLS_INPUT_IS_CIPHERTEXT)) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, ctx ? "unknown flag 0x%x" : "ctx is NULL",
                               (unsigned)flags);
    }
    conn = evtls_bev_lock(bev);
    if (!conn) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "not a bufferevent of evtls");
    }
    rc = start_tls(conn, ctx, role, flags, err);
    evtls_bev_unlock(conn);
    return rc;
}
