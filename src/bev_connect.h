/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection that waits for its descriptor: what libevtls offers to who makes one (a lookup and
 * a race of connects, in libevtls_extra). That is a connector:
 *
 *     begin -> enter/leave around each of its handlers -> done, failed, or cancel by us
 *
 * It is bound to the phase CONNECTING: whatever ends that phase ends the connector. The clock of
 * the handshake runs from begin on, whatever is enabled, since neither lookup nor race obeys that.
 *
 * Locks: cancel and describe are called with the bufferevent's lock held, and the connector's own
 * calls here are made with it. Memory of the connector outlives cancel until no handler of its can
 * be running any more (event_free_finalize).
 */
#ifndef EVTLS_SRC_BEV_CONNECT_H
#define EVTLS_SRC_BEV_CONNECT_H

#include <stdbool.h>

#include <event2/bufferevent.h>
#include <event2/util.h>

#include <evtls/error.h>

#include "private.h"

struct evtls_bev;

struct evtls_connector_ops {
    /* Stops everything, closes what it opened, and calls nothing of the connection's any more. */
    void (*cancel)(void *connector);
    /* The time is up: fills in an EVTLS_ERR_TIMEOUT that says what was waited for. */
    void (*describe)(void *connector, struct evtls_error *err);
};

/*
 * Starts the phase: bev must be a socket bufferevent of ours without descriptor, one that failed
 * to connect included. A client gets host as its name (SNI, verification), unless the program has
 * set one.
 * Returns 0, EVTLS_ERR_USAGE (also: what evtls_engine_set_server_hostname refuses) or _NOMEM;
 * nothing has changed then.
 */
EVTLS_PRIVATE int evtls_bev_connect_begin(struct bufferevent *bev, const char *host,
                                          const struct evtls_connector_ops *ops, void *connector);

/*
 * Around a handler: takes the lock, and false (nothing is locked then) where the connector was
 * cancelled; gives it back, and tells the program what there is to tell.
 */
EVTLS_PRIVATE bool evtls_bev_connect_enter(struct bufferevent *bev, const void *connector);
EVTLS_PRIVATE void evtls_bev_connect_leave(struct bufferevent *bev);

/* The connected descriptor, or why there is none. The connector is its owner's again. */
EVTLS_PRIVATE void evtls_bev_connect_done(struct bufferevent *bev, evutil_socket_t fd);
EVTLS_PRIVATE void evtls_bev_connect_failed(struct bufferevent *bev, const struct evtls_error *err);

/*
 * For a bufferevent whose owner connects by enabling EV_WRITE and calling
 * bufferevent_socket_connect_hostname, as evhttp does: dial is called when EV_WRITE is enabled
 * while there is no descriptor, with the lock held, and begins a connector. release is called once,
 * when the bufferevent is freed.
 */
EVTLS_PRIVATE void evtls_bev_set_dialer(struct bufferevent *bev,
                                        void (*dial)(struct bufferevent *bev, void *arg),
                                        void (*release)(void *arg), void *arg);

/* Ends the lookup that bufferevent_socket_connect_hostname has begun. */
EVTLS_PRIVATE void evtls_bev_drop_lookup(struct bufferevent *bev);

/* Within libevtls: where the phase ends by itself; where the connection does. */
void evtls_bev_cancel_connector(struct evtls_bev *conn);
void evtls_bev_release_dialer(struct evtls_bev *conn);

#endif
