/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one piece of private libevent knowledge in evtls: the table of operations behind a
 * bufferevent.
 *
 * bufferevent_socket_new makes the object, with everything in libevent's private part in place;
 * evtls then points its be_ops at a table of its own. A table for each object, embedded in struct
 * evtls_bev, so that its address leads to the connection. libevent's public functions call through
 * the table and never learn of the change.
 *
 * The order of the nine members and the four control numbers below are not in an installed header.
 * They have been the same in every release from 2.1.1 to 2.1.13 and on the master branch (2.2).
 * evtls_bev_ops_check looks at a fresh bufferevent before the table is used for the first time,
 * and refuses any libevent it does not recognise.
 */
#ifndef EVTLS_SRC_BEV_OPS_H
#define EVTLS_SRC_BEV_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/util.h>

#include <evtls/error.h>

enum evtls_bev_ctrl {
    EVTLS_BEV_SET_FD,
    EVTLS_BEV_GET_FD,
    EVTLS_BEV_GET_UNDERLYING,
    EVTLS_BEV_CANCEL_ALL
};

union evtls_bev_ctrl_data {
    void *ptr;
    evutil_socket_t fd;
};

/* The layout of libevent's struct bufferevent_ops, under its own name since be_ops points to it. */
struct bufferevent_ops {
    const char *type;
    ev_off_t mem_offset; /* of struct bufferevent in what libevent allocated */
    int (*enable)(struct bufferevent *, short);
    int (*disable)(struct bufferevent *, short);
    void (*unlink)(struct bufferevent *);
    void (*destruct)(struct bufferevent *);
    int (*adj_timeouts)(struct bufferevent *);
    int (*flush)(struct bufferevent *, short, enum bufferevent_flush_mode);
    int (*ctrl)(struct bufferevent *, int op, union evtls_bev_ctrl_data *);
};

/* The type of our bufferevents, told apart by address. Not "ssl...": 2.2 takes that for its own. */
extern const char evtls_bev_type[];

/*
 * 0 when ops is the table of a bufferevent_socket as laid out above, and the libevent that runs
 * (event_get_version_number) is of the release series that evtls was compiled against; else
 * EVTLS_ERR_UNSUPPORTED.
 */
int evtls_bev_ops_check(const struct bufferevent_ops *ops, uint32_t running_version,
                        struct evtls_error *err);

/*
 * True after bufferevent_socket_connect, from then on: libevent's flag for it is not ours to read,
 * but its disable operation leaves ev_write alone where that is set. ev_write is not pending,
 * before and after.
 */
bool evtls_bev_ops_was_connected(const struct bufferevent_ops *ops, struct bufferevent *bev);

#endif
