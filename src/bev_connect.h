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
 * For a bufferevent whose owner (evhttp) connects by enabling EV_WRITE and then calling
 * bufferevent_socket_connect_hostname, with a resolver that answers nothing. When EV_WRITE is
 * enabled while there is no descriptor, dial is called, with the lock held: it begins a connector
 * and returns 0 or fills in the error. The failure that libevent's call then reports is kept from
 * the owner.
 *
 * Such an owner resets the bufferevent, and its engine's error with it, before it tells its own
 * caller: so failed is given each failure, and opened is called when a handshake is complete. free
 * is called once, when the bufferevent is freed.
 */
struct evtls_dialer_ops {
    int (*dial)(struct bufferevent *bev, void *arg, struct evtls_error *err);
    void (*opened)(void *arg);
    void (*failed)(void *arg, const struct evtls_error *err);
    void (*free)(void *arg);
};
EVTLS_PRIVATE void evtls_bev_set_dialer(struct bufferevent *bev, const struct evtls_dialer_ops *ops,
                                        void *arg);

/* The arg of a bufferevent whose dialer has these ops, or NULL. */
EVTLS_PRIVATE void *evtls_bev_get_dialer(struct bufferevent *bev,
                                         const struct evtls_dialer_ops *ops);

/* Within libevtls: where the phase ends by itself; where EV_WRITE is enabled; where the connection
 * ends. */
void evtls_bev_cancel_connector(struct evtls_bev *conn);
void evtls_bev_dial(struct evtls_bev *conn);
void evtls_bev_free_dialer(struct evtls_bev *conn);

#endif
