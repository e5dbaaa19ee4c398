/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "bev_ops.h"

#include <string.h>

#include <event2/event.h>

#include "error.h"

const char evtls_bev_type[] = "evtls";

#define SERIES(version) ((version) >> 16)

int evtls_bev_ops_check(const struct bufferevent_ops *ops, uint32_t running_version,
                        struct evtls_error *err)
{
    /* The public structs differ between series: 2.2 enlarged struct event and struct bufferevent.
     */
    if (SERIES(running_version) != SERIES(LIBEVENT_VERSION_NUMBER)) {
        return evtls_error_set(err, EVTLS_ERR_UNSUPPORTED,
                               "libevent 0x%08x is running, but evtls was compiled for %s",
                               (unsigned)running_version, LIBEVENT_VERSION);
    }
    if (SERIES(running_version) != 0x0201 && SERIES(running_version) != 0x0202) {
        return evtls_error_set(err, EVTLS_ERR_UNSUPPORTED,
                               "libevent 0x%08x is not a release that evtls knows",
                               (unsigned)running_version);
    }
    if (strcmp(ops->type, "socket") != 0 || ops->mem_offset != 0 || !ops->enable || !ops->disable ||
        ops->unlink || !ops->destruct || !ops->adj_timeouts || !ops->flush || !ops->ctrl) {
        return evtls_error_set(err, EVTLS_ERR_UNSUPPORTED,
                               "libevent's socket bufferevents are laid out in a way that evtls "
                               "does not know");
    }
    return 0;
}

bool evtls_bev_ops_was_connected(const struct bufferevent_ops *ops, struct bufferevent *bev)
{
    bool stays;

    if (event_add(&bev->ev_write, NULL) != 0) {
        return false;
    }
    ops->disable(bev, EV_WRITE);
    stays = event_pending(&bev->ev_write, EV_WRITE, NULL) != 0;
    event_del(&bev->ev_write);
    return stays;
}
