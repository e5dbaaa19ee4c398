/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bufferevent under a filter. While the filter uses it, its callbacks and its read watermark
 * are ours; they are given back when the filter is freed or unwraps, unless the program has set
 * others meanwhile. Where the filter owns it, it outlives the filter until its output is out.
 *
 * Locks: its lock is taken before the filter's, never after. So its callbacks take no lock: they
 * note what happened and activate the pump, which then runs on the loop with both.
 */
#ifndef EVTLS_SRC_BEV_UNDER_H
#define EVTLS_SRC_BEV_UNDER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include <evtls/error.h>

struct evtls_bev;
struct evtls_base;

enum evtls_under_state {
    EVTLS_UNDER_USED,      /* by a filter */
    EVTLS_UNDER_LEAVING,   /* the filter is gone, its last words are not sent */
    EVTLS_UNDER_LINGERING, /* its output is on the way, then it is freed */
    EVTLS_UNDER_LEFT
};

struct evtls_under {
    struct bufferevent *bev; /* with a reference of ours */
    struct evtls_bev *conn;  /* valid while USED, on the loop's thread */
    struct evtls_base *shared;
    struct event pump;
    struct event timer;
    unsigned refs; /* the filter's and, while it lingers, its own */
    atomic_int state;
    bool owned;       /* freed with the filter */
    bool handed_over; /* our reference is libevent's to drop */
    bool owes;        /* when left: see evtls_under_leave */

    /* Written by its callbacks, under its lock. */
    bool ended; /* end of file */
    bool failed;
    bool read_failed; /* nothing can be read any more: false where only writing failed */
    int sys_errno;    /* of that moment, or 0 */
    short timeouts;   /* BEV_EVENT_READING, _WRITING: of its own timers */

    bool adding;        /* we add to its output; under its lock */
    bool reading;       /* EV_READ is enabled by us */
    bool write_stopped; /* EV_WRITE was disabled by its write timeout */
    struct evbuffer *last;
    struct evbuffer_cb_entry *output_cb;

    /* Below filters of libevent's, which pass everything on at once: where it waits. Or NULL. */
    struct bufferevent *deepest;
    struct evbuffer_cb_entry *deepest_cb;

    bufferevent_data_cb saved_readcb, saved_writecb;
    bufferevent_event_cb saved_eventcb;
    void *saved_arg;
    size_t saved_low, saved_high;
    short saved_enabled;
};

/* NULL without memory. Nothing of bev has changed yet, but for a reference. */
struct evtls_under *evtls_under_new(struct bufferevent *bev, struct evtls_bev *conn, bool owned);
/*
 * libevent asks for it right before the filter's destruct, and drops a reference on the answer
 * after it, without the filter's lock: that is ours. NULL where there is more to do with it.
 */
struct bufferevent *evtls_under_hand_over(struct evtls_under *under);

/* The filter's end, on the loop's thread or where no loop runs any more. */
void evtls_under_drop(struct evtls_under *under);

/* Takes callbacks and watermark over: 0, or -1 without memory. A failed filter gives them back. */
int evtls_under_take(struct evtls_under *under);

void evtls_under_lock(struct evtls_under *under);
void evtls_under_unlock(struct evtls_under *under);

/* Lets the pump run soon. Any thread. */
void evtls_under_wake(struct evtls_under *under);

/* How many bytes wait to be sent there. */
size_t evtls_under_get_output_length(const struct evtls_under *under);

/* Enables or disables its reading. */
void evtls_under_set_reading(struct evtls_under *under, bool on);

/* Why it failed. */
void evtls_under_get_error(struct evtls_under *under, struct evtls_error *err);

/*
 * The filter is gone. owes: what stands in its output and last, which becomes ours and may be NULL,
 * are still to be sent; otherwise one that is ours is freed at once, without a word (a forked
 * child's, one without a handshake). now: its lock may be taken here, else the pump does it.
 */
void evtls_under_leave(struct evtls_under *under, struct evbuffer *last, bool owes, bool now);

/* The same at once, with the bufferevent given to the program. Its lock is held. */
void evtls_under_give_back(struct evtls_under *under);

#endif
