/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "bev_connect.h"

#include <stdlib.h>
#include <string.h>

#include "bev.h"
#include "hostname.h"

/* ---- The name to verify ------------------------------------------------------------------- */

/* True where the program has set a name: it is not the one that an earlier connect left. */
static bool has_name_of_program(const struct evtls_bev *conn)
{
    const char *name = evtls_engine_get_server_hostname(conn->engine);

    return name && (!conn->connect_name || strcmp(name, conn->connect_name) != 0);
}

static int set_name(struct evtls_bev *conn, const char *host)
{
    int rc = evtls_engine_set_server_hostname(conn->engine, host, NULL);
    char *name;

    if (rc == EVTLS_ERR_USAGE && conn->connect_name) {
        /* The session that is offered again is the last host's. */
        rc = evtls_engine_set_session(conn->engine, NULL, NULL);
        if (rc == 0) {
            rc = evtls_engine_set_server_hostname(conn->engine, host, NULL);
        }
    }
    if (rc != 0) {
        return rc;
    }
    name = strdup(evtls_engine_get_server_hostname(conn->engine));
    free(conn->connect_name);
    conn->connect_name = name; /* without memory the name counts as the program's */
    return 0;
}

/* ---- A connector's life ------------------------------------------------------------------- */

/* Where the last try left no descriptor, another may follow at once. */
static bool can_begin(const struct evtls_bev *conn)
{
    return conn->transport == &evtls_bev_socket && conn->transport->get_fd(conn) < 0 &&
           (conn->phase == EVTLS_BEV_NO_FD || conn->phase == EVTLS_BEV_ENDED) &&
           !evtls_engine_is_busy(conn->engine);
}

static int begin(struct evtls_bev *conn, const char *host, const struct evtls_connector_ops *ops,
                 void *connector)
{
    struct evtls_hostname parsed;
    int rc = can_begin(conn) ? evtls_hostname_parse(&parsed, host, NULL) : EVTLS_ERR_USAGE;

    if (rc != 0) {
        return rc;
    }
    if (conn->phase == EVTLS_BEV_ENDED) {
        bufferevent_setfd(conn->bev, -1);
    }
    if (conn->role == EVTLS_CLIENT && !has_name_of_program(conn)) {
        rc = set_name(conn, host);
    }
    if (rc != 0) {
        return rc;
    }
    conn->connector_ops = ops;
    conn->connector = connector;
    conn->phase = EVTLS_BEV_CONNECTING;
    evtls_bev_start_deadline(conn);
    evtls_bev_settle(conn);
    return 0;
}

int evtls_bev_connect_begin(struct bufferevent *bev, const char *host,
                            const struct evtls_connector_ops *ops, void *connector)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);
    int rc;

    if (!conn) {
        return EVTLS_ERR_USAGE;
    }
    rc = begin(conn, host, ops, connector);
    evtls_bev_unlock(conn);
    return rc;
}

bool evtls_bev_connect_enter(struct bufferevent *bev, const void *connector)
{
    struct evtls_bev *conn = evtls_bev_enter(bev);

    if (conn && conn->connector != connector) {
        evtls_bev_leave(conn);
        conn = NULL;
    }
    return conn;
}

void evtls_bev_connect_leave(struct bufferevent *bev)
{
    evtls_bev_leave(evtls_bev_from(bev));
}

void evtls_bev_connect_done(struct bufferevent *bev, evutil_socket_t fd)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    conn->connector = NULL;
    evtls_bev_take_fd(conn, fd);
}

void evtls_bev_connect_failed(struct bufferevent *bev, const struct evtls_error *err)
{
    struct evtls_bev *conn = evtls_bev_from(bev);

    conn->connector = NULL;
    evtls_bev_fail_with(conn, err, BEV_EVENT_ERROR);
    evtls_bev_queue(conn);
}

void evtls_bev_cancel_connector(struct evtls_bev *conn)
{
    void *connector = conn->connector;

    if (connector) {
        conn->connector = NULL;
        conn->phase = EVTLS_BEV_NO_FD;
        conn->connector_ops->cancel(connector);
    }
}

/* ---- Who connects by libevent's own calls ------------------------------------------------- */

void evtls_bev_set_dialer(struct bufferevent *bev, const struct evtls_dialer_ops *ops, void *arg)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);

    if (conn) {
        conn->dialer.ops = ops;
        conn->dialer.arg = arg;
        evtls_bev_unlock(conn);
    }
}

void *evtls_bev_get_dialer(struct bufferevent *bev, const struct evtls_dialer_ops *ops)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);
    void *arg = NULL;

    if (conn) {
        arg = conn->dialer.ops == ops ? conn->dialer.arg : NULL;
        evtls_bev_unlock(conn);
    }
    return arg;
}

/*
 * In the place of the owner's event callback for the time of its call of libevent. An error while
 * we connect, or while one of ours is yet to be told, is libevent's.
 */
static void on_libevents_event(struct bufferevent *bev, short what, void *arg)
{
    struct evtls_bev *conn = evtls_bev_from(bev);
    bufferevent_event_cb cb = conn->dialer.errorcb;

    if (bev->errorcb == on_libevents_event) {
        bev->errorcb = cb;
    }
    if (what == BEV_EVENT_ERROR &&
        (conn->phase == EVTLS_BEV_CONNECTING || (conn->tell & EVTLS_BEV_TELL_ERROR))) {
        return;
    }
    if (cb) {
        cb(bev, what, arg);
    }
}

void evtls_bev_dial(struct evtls_bev *conn)
{
    struct bufferevent *bev = conn->bev;
    struct evtls_error err;

    if (!conn->dialer.ops || conn->phase != EVTLS_BEV_NO_FD) {
        return;
    }
    if (bev->errorcb != on_libevents_event) {
        conn->dialer.errorcb = bev->errorcb;
        bev->errorcb = on_libevents_event;
    }
    if (conn->dialer.ops->dial(bev, conn->dialer.arg, &err) != 0) {
        evtls_bev_connect_failed(bev, &err);
    }
}

void evtls_bev_free_dialer(struct evtls_bev *conn)
{
    struct evtls_bev_dialer dialer = conn->dialer;

    memset(&conn->dialer, 0, sizeof(conn->dialer));
    if (dialer.ops) {
        dialer.ops->free(dialer.arg);
    }
}
