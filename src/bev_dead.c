/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "bev_dead.h"

#include <stdatomic.h>

#include <event2/event.h>

#include "bev_ops.h"

/* libevent's own table, the same for all its sockets; a dead object has no memory to keep it in. */
static _Atomic(const struct bufferevent_ops *) socket_ops;

static int dead_ignore(struct bufferevent *bev, short events)
{
    (void)bev;
    (void)events;
    return 0;
}

static void dead_destruct(struct bufferevent *bev)
{
    bev->be_ops = socket_ops;
    bev->be_ops->destruct(bev);
}

static int dead_adj_timeouts(struct bufferevent *bev)
{
    (void)bev;
    return 0;
}

static int dead_flush(struct bufferevent *bev, short iotype, enum bufferevent_flush_mode mode)
{
    (void)bev;
    (void)iotype;
    (void)mode;
    return -1;
}

/* A descriptor is taken without a look at it, so that the caller gets as far as its error event. */
static int dead_ctrl(struct bufferevent *bev, int op, union evtls_bev_ctrl_data *data)
{
    (void)bev;
    if (op == EVTLS_BEV_GET_FD) {
        data->fd = -1;
    }
    return op == EVTLS_BEV_GET_UNDERLYING ? -1 : 0;
}

#define DEAD_OPS(enable_op)                                                                        \
    {                                                                                              \
        .type = "evtls-dead", .enable = (enable_op), .disable = dead_ignore,                       \
        .destruct = dead_destruct, .adj_timeouts = dead_adj_timeouts, .flush = dead_flush,         \
        .ctrl = dead_ctrl                                                                          \
    }

static const struct bufferevent_ops told_ops = DEAD_OPS(dead_ignore);

static int dead_enable(struct bufferevent *bev, short events)
{
    if (events & EV_READ) {
        bev->be_ops = &told_ops;
        bufferevent_trigger_event(bev, BEV_EVENT_READING | BEV_EVENT_ERROR,
                                  BEV_TRIG_DEFER_CALLBACKS);
    }
    return 0;
}

static const struct bufferevent_ops dead_ops = DEAD_OPS(dead_enable);

struct bufferevent *evtls_bev_new_dead(struct event_base *base)
{
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    struct bufferevent *pair[2];

    if (!bev) {
        return NULL;
    }
    if (evtls_bev_ops_check(bev->be_ops, event_get_version_number(), NULL) == 0) {
        socket_ops = bev->be_ops;
        bev->be_ops = &dead_ops;
        return bev;
    }
    /* A libevent that we don't know: half of a pair takes no descriptor, so nothing is ever sent.
     */
    bufferevent_free(bev);
    if (bufferevent_pair_new(base, 0, pair) != 0) {
        return NULL;
    }
    bufferevent_free(pair[1]);
    return pair[0];
}
