/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bev_connect.h"
#include "bev_under.h"
#include "callbacks.h"

#define OPS_TO_CONN(table)                                                                         \
    ((struct evtls_bev *)((char *)(uintptr_t)(table)-offsetof(struct evtls_bev, ops)))

/* ---- Finding the connection --------------------------------------------------------------- */

static bool is_ours(const struct bufferevent *bev)
{
    return bev->be_ops->type == evtls_bev_type;
}

struct evtls_bev *evtls_bev_from(const struct bufferevent *bev)
{
    return OPS_TO_CONN(bev->be_ops);
}

struct evtls_bev *evtls_bev_lock(struct bufferevent *bev)
{
    if (!bev) {
        return NULL;
    }
    bufferevent_lock(bev);
    if (!is_ours(bev)) {
        bufferevent_unlock(bev);
        return NULL;
    }
    return evtls_bev_from(bev);
}

void evtls_bev_unlock(struct evtls_bev *conn)
{
    bufferevent_unlock(conn->bev);
}

bool evtls_bev_is_libevents_socket(const struct bufferevent *bev)
{
    return strcmp(bev->be_ops->type, "socket") == 0;
}

/* The buffers of a bufferevent share its lock. What is below a filter is locked before it. */
static void lock_all(struct evtls_bev *conn)
{
    if (conn->under) {
        evtls_under_lock(conn->under);
    }
    evbuffer_lock(conn->bev->output);
}

static void unlock_all(struct evtls_bev *conn, struct evbuffer *output)
{
    struct evtls_under *under = conn->under;

    evbuffer_unlock(output);
    if (under) {
        evtls_under_unlock(under);
    }
}

static bool is_alive(const struct bufferevent *bev)
{
    return is_ours(bev) && evtls_bev_from(bev)->phase != EVTLS_BEV_DEAD;
}

struct evtls_bev *evtls_bev_enter(struct bufferevent *bev)
{
    struct evtls_bev *conn;

    evbuffer_lock(bev->output);
    if (!is_alive(bev)) {
        evbuffer_unlock(bev->output);
        return NULL;
    }
    conn = evtls_bev_from(bev);
    bufferevent_incref(bev);
    if (conn->under) {
        evbuffer_unlock(bev->output);
        lock_all(conn);
        if (!is_alive(bev)) {
            bufferevent_decref(bev);
            unlock_all(conn, bev->output);
            return NULL;
        }
        if (!conn->fd_waits && (conn->options & BEV_OPT_THREADSAFE)) {
            conn->under_fd = bufferevent_getfd(conn->under->bev);
        }
    }
    conn->triggered = false;
    conn->inside = true;
    return conn;
}

void evtls_bev_let_go(struct evtls_bev *conn)
{
    conn->inside = false;
    unlock_all(conn, conn->bev->output);
}

void evtls_bev_take_back(struct evtls_bev *conn)
{
    lock_all(conn);
    conn->inside = true;
}

void evtls_bev_leave(struct evtls_bev *conn)
{
    struct bufferevent *bev = conn->bev;
    struct evbuffer *output = bev->output;

    evtls_bev_tell(conn);
    if (conn->phase != EVTLS_BEV_DEAD) {
        if (conn->read_again || conn->tell) {
            evtls_bev_queue(conn);
        }
        evtls_bev_settle(conn);
        if (conn->under) {
            evtls_filter_apply(conn);
        }
    }
    conn->tell_now = false;
    conn->inside = false;
    bufferevent_decref(bev);
    unlock_all(conn, output);
}

void evtls_bev_queue(struct evtls_bev *conn)
{
    if (conn->phase != EVTLS_BEV_DEAD) {
        evtls_base_enqueue(conn->shared, conn);
    }
}

static void do_work(struct evtls_bev *conn)
{
    evtls_bev_note_connect(conn);
    if (conn->fd_waits) {
        evtls_filter_set_waiting_fd(conn);
    }
    if (conn->read_again) {
        conn->read_again = false;
        evtls_bev_read(conn);
    } else if (conn->phase == EVTLS_BEV_HANDSHAKE) {
        evtls_bev_advance(conn); /* a client begins */
    }
    if (conn->phase != EVTLS_BEV_DEAD) {
        evtls_bev_send_later(conn);
    }
}

void evtls_bev_work(struct evtls_bev *conn)
{
    struct bufferevent *bev = conn->bev;

    if (evtls_bev_enter(bev)) {
        conn->tell_now = true;
        evtls_bev_tell(conn);
        if (conn->phase != EVTLS_BEV_DEAD) {
            do_work(conn);
        }
        evtls_bev_leave(conn);
    }
    bufferevent_decref(bev);
}

/* ---- The descriptor ----------------------------------------------------------------------- */

void evtls_bev_begin(struct evtls_bev *conn)
{
    conn->fork_count = evtls_bev_get_fork_count();
    if (conn->phase != EVTLS_BEV_CONNECTING && conn->phase != EVTLS_BEV_STARTING) {
        evtls_bev_start_deadline(conn);
    }
    conn->phase = EVTLS_BEV_HANDSHAKE;
    if (conn->role == EVTLS_CLIENT || conn->in.len > 0) {
        evtls_bev_queue(conn);
    }
    evtls_bev_settle(conn);
}

void evtls_bev_attach_fd(struct evtls_bev *conn, evutil_socket_t fd, int priority)
{
    evtls_bev_socket_attach(conn, fd, priority);
    if (fd < 0) {
        conn->phase = EVTLS_BEV_NO_FD;
    } else if (conn->starts_plain) {
        evtls_bev_begin_plain(conn, conn->phase == EVTLS_BEV_CONNECTING);
    } else {
        evtls_bev_begin(conn);
    }
}

void evtls_bev_forget(struct evtls_bev *conn)
{
    evtls_bev_cancel_connector(conn);
    evtls_bev_stop_timer(conn);
    evtls_bev_drop_output(conn);
    evtls_bev_drop_input(conn);
    evtls_engine_reset(conn->engine);
    conn->generation++;
    evbuffer_unfreeze(conn->bev->output, 0);
    conn->ending = EVTLS_BEV_NO_END;
    conn->tell = 0;
    conn->write_errno = 0;
    conn->failing_bytes = 0;
    conn->first_sent = false;
    conn->close_sent = false;
    conn->read_ended = false;
    conn->told_end = false;
    conn->fin_sent = false;
    conn->write_asked = false;
    conn->read_again = false;
    conn->plain_blocked = false;
    conn->connecting = false;
    conn->fd_is_new = false;
    conn->plain_owed = 0;
    memset(&conn->in, 0, sizeof(conn->in));
}

/*
 * libevent's own SET_FD with -1 cancels a lookup under way. Ours follows under the same lock, so
 * that no order of calls ever leaves libevent's handlers, which send plaintext, on a descriptor.
 */
void evtls_bev_take_fd(struct evtls_bev *conn, evutil_socket_t fd)
{
    union evtls_bev_ctrl_data none = {.fd = -1};
    int priority = bufferevent_get_priority(conn->bev); /* assigning an event resets it */

    conn->bev->be_ops = conn->socket_ops;
    conn->socket_ops->ctrl(conn->bev, EVTLS_BEV_SET_FD, &none);
    conn->bev->be_ops = &conn->ops;
    evtls_bev_attach_fd(conn, fd, priority);
}

static int set_fd(struct evtls_bev *conn, evutil_socket_t fd)
{
    if (evtls_engine_is_busy(conn->engine)) {
        return -1;
    }
    if (conn->under) {
        return evtls_filter_set_fd(conn, fd);
    }
    evtls_bev_forget(conn);
    evtls_bev_take_fd(conn, fd);
    return 0;
}

/* ---- Operations that libevent calls ------------------------------------------------------- */

/* The program has let go: nothing is told any more, and nothing of ours stays in the loop. */
static void die(struct evtls_bev *conn)
{
    bool say_last;

    if (conn->phase == EVTLS_BEV_DEAD) {
        return;
    }
    memset(&conn->cb, 0, sizeof(conn->cb));
    evtls_bev_cancel_connector(conn);
    evtls_bev_free_dialer(conn);
    say_last = evtls_bev_farewell(conn);
    conn->phase = EVTLS_BEV_DEAD;
    conn->in.len = 0; /* it may lie below, in the program's hands from now on; we may be in TLS */
    conn->transport->release(conn, say_last);
    conn->tell = 0;
    if (conn->counted) {
        evtls_base_count_closing(conn->shared, -1);
        conn->counted = false;
    }
    evtls_bev_stop_timer(conn);
    event_del(&conn->bev->ev_read);
    event_del(&conn->bev->ev_write);
    event_del(&conn->ev_send);
}

static int op_ctrl(struct bufferevent *bev, int op, union evtls_bev_ctrl_data *data)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    switch ((enum evtls_bev_ctrl)op) {
    case EVTLS_BEV_SET_FD:
        return set_fd(conn, data->fd);
    case EVTLS_BEV_GET_FD:
        data->fd = conn->transport->get_fd(conn);
        return 0;
    case EVTLS_BEV_CANCEL_ALL:
        die(conn);
        if (evtls_base_dequeue(conn->shared, conn)) {
            bufferevent_decref(bev);
        }
        return 0;
    case EVTLS_BEV_GET_UNDERLYING:
        if (conn->under && conn->phase != EVTLS_BEV_DEAD) {
            data->ptr = conn->under->bev;
        } else {
            data->ptr = conn->under ? evtls_under_hand_over(conn->under) : NULL;
        }
        return data->ptr ? 0 : -1;
    default:
        return -1;
    }
}

/* The last reference is gone. Without bufferevent_free there was no CANCEL_ALL before. */
static void op_unlink(struct bufferevent *bev)
{
    die(evtls_bev_from(bev));
}

static void release(struct evtls_bev *conn)
{
    evtls_bev_drop_output(conn);
    evtls_bev_drop_input(conn);
    if (conn->engine) {
        evtls_engine_destroy(conn->engine);
    }
    if (conn->under) {
        evtls_under_drop(conn->under);
    }
    if (conn->shared) {
        evtls_base_put(conn->shared);
    }
    free(conn->connect_name);
    free(conn);
}

static void op_destruct(struct bufferevent *bev)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    event_del(&conn->ev_send);
    event_del(&conn->ev_timer);
    event_debug_unassign(&conn->ev_send);
    event_debug_unassign(&conn->ev_timer);
    bev->be_ops = conn->socket_ops;
    bev->be_ops->destruct(bev);
    evtls_base_remove(conn->shared, conn);
    release(conn);
}

/* ---- Construction ------------------------------------------------------------------------- */

int evtls_bev_check_socket(evutil_socket_t fd, struct evtls_error *err)
{
    int type = 0;
    socklen_t len = sizeof(type);

    if (fd < 0) {
        return 0;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
        return evtls_error_set_errno(err, EVTLS_ERR_USAGE, errno, "descriptor %d", (int)fd);
    }
    if (type != SOCK_STREAM) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "descriptor %d is not a stream socket",
                               (int)fd);
    }
    return 0;
}

static int check_arguments(struct event_base *base, struct evtls_context *ctx, int options,
                           struct evtls_error *err)
{
    if (!base || !ctx) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "%s is NULL", base ? "ctx" : "base");
    }
    return evtls_bev_check_options(options, err);
}

int evtls_bev_check_options(int options, struct evtls_error *err)
{
    if ((options & (BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS)) ==
        BEV_OPT_UNLOCK_CALLBACKS) {
        return evtls_error_set(err, EVTLS_ERR_USAGE,
                               "BEV_OPT_UNLOCK_CALLBACKS needs BEV_OPT_DEFER_CALLBACKS");
    }
    return 0;
}

/* What can fail, before libevent's object is taken over: it is simply freed then. */
static int prepare(struct evtls_bev *conn, struct event_base *base, struct evtls_context *ctx,
                   struct bufferevent *below, struct evtls_error *err)
{
    const struct evtls_port port = {&evtls_bev_port, conn};
    int rc;

    rc = evtls_bev_ops_check(conn->bev->be_ops, event_get_version_number(), err);
    if (rc != 0) {
        return rc;
    }
    conn->shared = evtls_base_get(base);
    if (!conn->shared ||
        evtls_base_make_queue(conn->shared, bufferevent_get_priority(conn->bev)) != 0 ||
        !evbuffer_add_cb(conn->bev->output, evtls_bev_on_output, conn)) {
        return evtls_error_set_nomem(err);
    }
    conn->engine = ctx ? evtls_engine_new_with_port(ctx, conn->role, &port, conn->bev, err)
                       : evtls_engine_new_idle(&port, conn->bev, err);
    if (!conn->engine) {
        return EVTLS_ERR_CONFIG;
    }
    if (ctx) {
        conn->cb = *evtls_context_get_callbacks(ctx, &conn->cb_arg);
    }
    if (below) {
        conn->transport = &evtls_bev_filter;
        conn->under = evtls_under_new(below, conn, conn->options & BEV_OPT_CLOSE_ON_FREE);
        if (!conn->under || evtls_under_take(conn->under) != 0) {
            return evtls_error_set_nomem(err);
        }
    }
    return 0;
}

static void take_over(struct evtls_bev *conn)
{
    struct bufferevent *bev = conn->bev;

    conn->socket_ops = bev->be_ops;
    conn->ops = (struct bufferevent_ops){
        .type = evtls_bev_type,
        .enable = evtls_bev_op_enable,
        .disable = evtls_bev_op_disable,
        .unlink = op_unlink,
        .destruct = op_destruct,
        .adj_timeouts = evtls_bev_op_adj_timeouts,
        .flush = evtls_bev_op_flush,
        .ctrl = op_ctrl,
    };
    /* File segments would otherwise be kept for sendfile, past TLS. */
    evbuffer_clear_flags(bev->output, EVBUFFER_FLAG_DRAINS_TO_FD);
    event_assign(&conn->ev_send, bev->ev_base, -1, EV_WRITE | EV_PERSIST | EV_FINALIZE,
                 evtls_bev_on_sendable, bev);
    event_assign(&conn->ev_timer, bev->ev_base, -1, EV_FINALIZE, evtls_bev_on_timer, bev);
    bev->be_ops = &conn->ops;
    evtls_base_add(conn->shared, conn);
}

struct evtls_bev *evtls_bev_new(struct event_base *base, struct bufferevent *below,
                                struct evtls_context *ctx, enum evtls_role role, int bev_options,
                                struct evtls_error *err)
{
    /* Below a filter is not libevent's to close. */
    int libevents = bev_options;
    struct evtls_bev *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        evtls_error_set_nomem(err);
        return NULL;
    }
    conn->role = role;
    conn->options = (short)bev_options;
    conn->allowed = EV_WRITE;
    conn->transport = &evtls_bev_socket;
    conn->bev = bufferevent_socket_new(base, -1, libevents);
    if (!conn->bev) {
        evtls_error_set_nomem(err);
        goto fail;
    }
    if (prepare(conn, base, ctx, below, err) != 0) {
        goto fail;
    }
    take_over(conn);
    evtls_error_set_ok(err);
    return conn;

fail:
    if (conn->bev) {
        evbuffer_remove_cb(conn->bev->output, evtls_bev_on_output, conn);
        bufferevent_free(conn->bev);
    }
    release(conn);
    return NULL;
}

struct bufferevent *evtls_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd,
                                                 struct evtls_context *ctx, enum evtls_role role,
                                                 int bev_options, struct evtls_error *err)
{
    struct evtls_bev *conn;

    if (check_arguments(base, ctx, bev_options, err) != 0 || evtls_bev_check_socket(fd, err) != 0) {
        return NULL;
    }
    conn = evtls_bev_new(base, NULL, ctx, role, bev_options, err);
    if (!conn) {
        return NULL;
    }
    bufferevent_lock(conn->bev); /* as everywhere: its lock before the base's */
    evtls_bev_attach_fd(conn, fd, bufferevent_get_priority(conn->bev));
    bufferevent_unlock(conn->bev);
    return conn->bev;
}

struct bufferevent *evtls_bufferevent_filter_new(struct bufferevent *underlying,
                                                 struct evtls_context *ctx, enum evtls_role role,
                                                 int bev_options, struct evtls_error *err)
{
    struct event_base *base = underlying ? bufferevent_get_base(underlying) : NULL;
    struct evtls_bev *conn;
    evutil_socket_t fd;

    if (!base) {
        evtls_error_set(err, EVTLS_ERR_USAGE,
                        underlying ? "underlying has no event base" : "underlying is NULL");
        return NULL;
    }
    if (check_arguments(base, ctx, bev_options, err) != 0) {
        return NULL;
    }
    conn = evtls_bev_new(base, underlying, ctx, role, bev_options, err);
    if (!conn) {
        return NULL;
    }
    fd = bufferevent_getfd(underlying); /* its lock is taken before the filter's */
    bufferevent_lock(conn->bev);
    evtls_bev_socket_attach(conn, -1, bufferevent_get_priority(conn->bev));
    conn->under_fd = fd;
    evtls_bev_begin(conn);
    evtls_bev_queue(conn); /* what is below is set going from the loop */
    bufferevent_unlock(conn->bev);
    return conn->bev;
}

/* ---- Questions and settings --------------------------------------------------------------- */

struct evtls_engine *evtls_bufferevent_get_engine(struct bufferevent *bev)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);
    struct evtls_engine *engine;

    if (!conn) {
        return NULL;
    }
    engine = conn->engine;
    evtls_bev_unlock(conn);
    return engine;
}

int evtls_bufferevent_setcb(struct bufferevent *bev, const struct evtls_callbacks *cb, void *arg)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);
    int status;

    if (!conn) {
        return EVTLS_ERR_USAGE;
    }
    status = evtls_callbacks_copy(&conn->cb, cb);
    if (status == 0) {
        conn->cb_arg = arg;
        conn->own_cb = true;
    }
    evtls_bev_unlock(conn);
    return status;
}
