/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rate limits, counted in bytes on the wire. libevent's public calls have two traps: those that
 * charge a bucket crash where no limit is set, and those that ask answer 16,384 where nothing was.
 */
#include "config.h"

#include "bev.h"

#define LIBEVENT_UNSET 16384

static bool is_limited(const struct evtls_bev *conn)
{
    return bufferevent_get_token_bucket_cfg(conn->bev) != NULL || conn->group != NULL;
}

static size_t clip(const struct evtls_bev *conn, ev_ssize_t limit, size_t want)
{
    if (limit == LIBEVENT_UNSET && !is_limited(conn)) {
        return want;
    }
    if (limit < 0) {
        limit = 0;
    }
    return (size_t)limit < want ? (size_t)limit : want;
}

size_t evtls_bev_clip_delivery(const struct evtls_bev *conn, size_t want)
{
    size_t most = (size_t)bufferevent_get_max_single_read(conn->bev);

    return most != LIBEVENT_UNSET && most < want ? most : want;
}

size_t evtls_bev_clip_read(struct evtls_bev *conn, size_t want)
{
    return clip(conn, bufferevent_get_max_to_read(conn->bev), want);
}

/*
 * Where an ending writes without permission, libevent would not say when the limit lets it go on.
 */
size_t evtls_bev_clip_write(struct evtls_bev *conn, size_t want)
{
    if (!(conn->allowed & EV_WRITE) || conn->ending == EVTLS_BEV_END_CLOSE) {
        return want;
    }
    return clip(conn, bufferevent_get_max_to_write(conn->bev), want);
}

void evtls_bev_charge_read(struct evtls_bev *conn, size_t bytes)
{
    if (bufferevent_get_token_bucket_cfg(conn->bev)) {
        bufferevent_decrement_read_limit(conn->bev, (ev_ssize_t)bytes);
    }
    if (conn->group) {
        bufferevent_rate_limit_group_decrement_read(conn->group, (ev_ssize_t)bytes);
    }
}

void evtls_bev_charge_write(struct evtls_bev *conn, size_t bytes)
{
    if (bufferevent_get_token_bucket_cfg(conn->bev)) {
        bufferevent_decrement_write_limit(conn->bev, (ev_ssize_t)bytes);
    }
    if (conn->group) {
        bufferevent_rate_limit_group_decrement_write(conn->group, (ev_ssize_t)bytes);
    }
}

/* ---- Rate limit groups -------------------------------------------------------------------- */

int evtls_bufferevent_add_to_rate_limit_group(struct bufferevent *bev,
                                              struct bufferevent_rate_limit_group *group)
{
    struct evtls_bev *conn = group ? evtls_bev_lock(bev) : NULL;
    int rc = EVTLS_ERR_USAGE;

    if (!conn) {
        return rc;
    }
    rc = EVTLS_ERR_NOMEM;
    if (bufferevent_add_to_rate_limit_group(bev, group) == 0) {
        conn->group = group;
        rc = 0;
    }
    evtls_bev_unlock(conn);
    return rc;
}

int evtls_bufferevent_remove_from_rate_limit_group(struct bufferevent *bev)
{
    struct evtls_bev *conn = evtls_bev_lock(bev);

    if (!conn) {
        return EVTLS_ERR_USAGE;
    }
    conn->group = NULL;
    bufferevent_remove_from_rate_limit_group(bev);
    evtls_bev_unlock(conn);
    return 0;
}
