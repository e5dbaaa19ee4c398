/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "bev_under.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bev.h"

/* How much is taken from it ahead of the filter. */
#define READ_AHEAD_BYTES EVTLS_READ_SCRATCH_BYTES

static const struct timeval default_linger = {5, 0};

void evtls_under_lock(struct evtls_under *under)
{
    bufferevent_lock(under->bev);
}

void evtls_under_unlock(struct evtls_under *under)
{
    bufferevent_unlock(under->bev);
}

void evtls_under_wake(struct evtls_under *under)
{
    event_active(&under->pump, EV_TIMEOUT, 1);
}

/* ---- Its callbacks ------------------------------------------------------------------------ */

static void on_data(struct bufferevent *bev, void *arg)
{
    (void)bev;
    evtls_under_wake(arg);
}

/* With unlocked callbacks its lock is not held here. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct evtls_under *under = arg;
    int sys_errno = EVUTIL_SOCKET_ERROR();

    bufferevent_lock(bev);
    if (what & BEV_EVENT_ERROR) {
        /* A peer that sent and left: what it sent is still to be read, where the socket is one. */
        under->read_failed = under->read_failed || !(what & BEV_EVENT_WRITING) ||
                             !evtls_bev_is_libevents_socket(bev);
        under->failed = true;
        under->sys_errno = sys_errno;
    } else if (what & BEV_EVENT_EOF) {
        under->ended = true;
    } else if (what & BEV_EVENT_TIMEOUT) {
        under->timeouts |= what & (BEV_EVENT_READING | BEV_EVENT_WRITING);
        if (what & BEV_EVENT_READING) {
            under->reading = false; /* libevent has disabled it */
        }
    }
    bufferevent_unlock(bev);
    evtls_under_wake(under);
}

/*
 * Bytes have left its output. Those that a pair moves on while we add them are told in the loop's
 * next turn: a program that refills its output in the write callback would starve the loop.
 */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    static const struct timeval at_once = {0, 0};
    struct evtls_under *under = arg;

    (void)output;
    if (info->n_deleted == 0 || (under->adding && event_add(&under->pump, &at_once) == 0)) {
        return;
    }
    evtls_under_wake(under);
}

static bool has_our_callbacks(const struct evtls_under *under)
{
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    void *arg;

    bufferevent_getcb(under->bev, &readcb, &writecb, &eventcb, &arg);
    return eventcb == on_event && arg == under;
}

/* ---- Leaving it --------------------------------------------------------------------------- */

static void stop_listening(struct evtls_under *under)
{
    if (under->output_cb) {
        evbuffer_remove_cb_entry(under->bev->output, under->output_cb);
        under->output_cb = NULL;
    }
    if (under->deepest_cb) {
        evbuffer_remove_cb_entry(under->deepest->output, under->deepest_cb);
        under->deepest_cb = NULL;
    }
    if (under->deepest) {
        bufferevent_decref(under->deepest);
        under->deepest = NULL;
    }
}

void evtls_under_give_back(struct evtls_under *under)
{
    stop_listening(under);
    under->state = EVTLS_UNDER_LEFT;
    if (!has_our_callbacks(under)) {
        return;
    }
    bufferevent_setcb(under->bev, under->saved_readcb, under->saved_writecb, under->saved_eventcb,
                      under->saved_arg);
    bufferevent_setwatermark(under->bev, EV_READ, under->saved_low, under->saved_high);
    if (!(under->saved_enabled & EV_READ)) {
        bufferevent_disable(under->bev, EV_READ);
    } else if (!under->ended && !under->failed) {
        bufferevent_enable(under->bev, EV_READ);
    }
}

static void finish(struct evtls_under *under)
{
    evutil_socket_t fd;

    bufferevent_setcb(under->bev, NULL, NULL, NULL, NULL);
    stop_listening(under);
    under->state = EVTLS_UNDER_LEFT;
    event_del(&under->timer);
    if (under->owes) {
        bufferevent_flush(under->bev, EV_WRITE, BEV_FINISHED);
        fd = bufferevent_getfd(under->bev);
        if (fd >= 0 && !under->ended) {
            evtls_bev_socket_discard(fd);
        }
    }
    bufferevent_free(under->bev);
}

static bool is_done(const struct evtls_under *under)
{
    return under->failed || evtls_under_get_output_length(under) == 0;
}

static void send_last(struct evtls_under *under)
{
    if (under->last) {
        evbuffer_add_buffer(under->bev->output, under->last);
        evbuffer_free(under->last);
        under->last = NULL;
    }
}

/*
 * libevent writes from the loop alone. Who frees may shut the descriptor down or free the base
 * right after, as evhttp does: so one try at once.
 */
static void try_to_send(struct evtls_under *under)
{
    struct evbuffer *output = under->bev->output;
    evutil_socket_t fd = bufferevent_getfd(under->bev);
    struct evbuffer_iovec iov[8];
    int n = evbuffer_peek(output, -1, NULL, iov, 8);
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)(n < 8 ? n : 8)};
    ssize_t sent = 0;

    if (n <= 0 || under->failed) {
        return;
    }
    if (!evtls_bev_is_libevents_socket(under->bev)) {
        /* Half of a pair has nobody left to take it, once the other half is freed. */
        under->failed = bufferevent_flush(under->bev, EV_WRITE, BEV_FLUSH) < 0;
        return;
    }
    if (fd >= 0) {
        sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        under->failed = sent < 0 && errno != EAGAIN && errno != EINTR;
    }
    if (sent > 0) {
        evbuffer_unfreeze(output, 1);
        evbuffer_drain(output, (size_t)sent);
        evbuffer_freeze(output, 1);
    }
}

/* Goes on leaving; late: without waiting. Its lock is held. */
static void go_on(struct evtls_under *under, bool late)
{
    if (under->state == EVTLS_UNDER_LEAVING) {
        if (!has_our_callbacks(under)) {
            stop_listening(under); /* freed, or in other hands */
            under->state = EVTLS_UNDER_LEFT;
            return;
        }
        send_last(under);
        if (under->owned && under->owes) {
            try_to_send(under);
        }
        if (!under->owned) {
            evtls_under_give_back(under);
        } else if (!under->owes || late || is_done(under)) {
            finish(under);
        } else {
            under->state = EVTLS_UNDER_LINGERING;
            under->refs++;
            evtls_base_count_closing(under->shared, 1);
            event_add(&under->timer, &default_linger);
        }
    } else if (under->state == EVTLS_UNDER_LINGERING && is_done(under)) {
        finish(under);
    }
}

static void unref(struct evtls_under *under)
{
    if (--under->refs > 0) {
        return;
    }
    event_del(&under->pump);
    event_del(&under->timer);
    event_debug_unassign(&under->pump);
    event_debug_unassign(&under->timer);
    if (under->last) {
        evbuffer_free(under->last);
    }
    if (!under->handed_over) {
        bufferevent_decref(under->bev);
    }
    evtls_base_put(under->shared);
    free(under);
}

/* The same from the loop; a lingering one goes with its last reference. */
static void go_on_unlocked(struct evtls_under *under, bool late)
{
    struct bufferevent *bev = under->bev;
    bool lingered = under->state == EVTLS_UNDER_LINGERING;

    bufferevent_incref(bev);
    bufferevent_lock(bev);
    if (late && lingered) {
        finish(under);
    } else {
        go_on(under, late);
    }
    bufferevent_unlock(bev);
    if (lingered && under->state == EVTLS_UNDER_LEFT) {
        evtls_base_count_closing(under->shared, -1);
        unref(under);
    }
    bufferevent_decref(bev);
}

void evtls_under_leave(struct evtls_under *under, struct evbuffer *last, bool owes, bool now)
{
    if (under->state != EVTLS_UNDER_USED) {
        if (last) {
            evbuffer_free(last);
        }
        return;
    }
    under->last = last;
    under->owes = owes;
    under->state = EVTLS_UNDER_LEAVING;
    if (now) {
        go_on_unlocked(under, false);
    } else {
        evtls_under_wake(under);
    }
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_under *under = arg;

    (void)fd;
    (void)what;
    if (under->state == EVTLS_UNDER_USED) {
        evtls_filter_pump(under->conn);
    } else {
        go_on_unlocked(under, false);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    go_on_unlocked(arg, true);
}

/* ---- Life --------------------------------------------------------------------------------- */

struct evtls_under *evtls_under_new(struct bufferevent *bev, struct evtls_bev *conn, bool owned)
{
    struct evtls_under *under = calloc(1, sizeof(*under));
    struct event_base *base = bufferevent_get_base(bev);

    if (!under) {
        return NULL;
    }
    under->bev = bev;
    under->conn = conn;
    under->owned = owned;
    under->refs = 1;
    under->state = EVTLS_UNDER_USED;
    under->shared = evtls_base_get(base);
    if (!under->shared) {
        free(under);
        return NULL;
    }
    event_assign(&under->pump, base, -1, 0, on_pump, under);
    event_assign(&under->timer, base, -1, 0, on_timer, under);
    event_priority_set(&under->pump, bufferevent_get_priority(conn->bev));
    bufferevent_incref(bev);
    return under;
}

struct bufferevent *evtls_under_hand_over(struct evtls_under *under)
{
    if (under->state != EVTLS_UNDER_LEFT || under->refs > 1 || under->handed_over) {
        return NULL;
    }
    under->handed_over = true;
    return under->bev;
}

/* Where it was left to a loop that has ended, it goes on here: nobody would end its waiting. */
void evtls_under_drop(struct evtls_under *under)
{
    if (under->state == EVTLS_UNDER_USED) {
        evtls_under_give_back(under); /* of a constructor that failed */
    } else if (under->state == EVTLS_UNDER_LEAVING) {
        go_on_unlocked(under, true);
    }
    unref(under);
}

/* One of ours looks after what is below it; and its lock would be the wrong one to hold. */
static bool watch_outputs(struct evtls_under *under)
{
    struct bufferevent *bev = under->bev, *next;

    under->output_cb = evbuffer_add_cb(bev->output, on_output, under);
    while (!evtls_bufferevent_get_engine(bev) && (next = bufferevent_get_underlying(bev)) != NULL) {
        bev = next;
    }
    if (bev != under->bev) {
        under->deepest = bev;
        bufferevent_incref(bev);
        under->deepest_cb = evbuffer_add_cb(bev->output, on_output, under);
    }
    return under->output_cb && (!under->deepest || under->deepest_cb);
}

int evtls_under_take(struct evtls_under *under)
{
    struct bufferevent *bev = under->bev;
    int rc = -1;

    bufferevent_lock(bev);
    if (watch_outputs(under)) {
        bufferevent_getcb(bev, &under->saved_readcb, &under->saved_writecb, &under->saved_eventcb,
                          &under->saved_arg);
        bufferevent_getwatermark(bev, EV_READ, &under->saved_low, &under->saved_high);
        under->saved_enabled = bufferevent_get_enabled(bev);
        bufferevent_setcb(bev, on_data, NULL, on_event, under);
        bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD_BYTES);
        bufferevent_enable(bev, EV_WRITE);
        bufferevent_disable(bev, EV_READ);
        rc = 0;
    }
    bufferevent_unlock(bev);
    return rc;
}

size_t evtls_under_get_output_length(const struct evtls_under *under)
{
    size_t length = evbuffer_get_length(under->bev->output);

    return under->deepest ? length + evbuffer_get_length(under->deepest->output) : length;
}

void evtls_under_set_reading(struct evtls_under *under, bool on)
{
    if (under->reading == on) {
        return;
    }
    under->reading = on;
    if (on) {
        bufferevent_enable(under->bev, EV_READ);
    } else {
        bufferevent_disable(under->bev, EV_READ);
    }
}

void evtls_under_get_error(struct evtls_under *under, struct evtls_error *err)
{
    const struct evtls_error *inner =
        evtls_engine_get_error(evtls_bufferevent_get_engine(under->bev));
    int resolve_code = bufferevent_socket_get_dns_error(under->bev);

    if (inner) {
        *err = *inner;
    } else if (resolve_code != 0) {
        evtls_error_set(err, EVTLS_ERR_RESOLVE, "%s", evutil_gai_strerror(resolve_code));
        err->resolve_code = resolve_code;
    } else if (under->sys_errno != 0) {
        evtls_error_set_errno(err, EVTLS_ERR_IO, under->sys_errno, "underlying connection");
    } else {
        evtls_error_set(err, EVTLS_ERR_IO, "the underlying bufferevent failed");
    }
}
