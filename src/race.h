/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connects to one address after the other, a little apart, until one is connected (RFC 8305,
 * section 5).
 *
 * Everything is called with one lock of the owner's held; its own handlers take that by enter.
 * Stopped, it has closed what it opened; its memory must live until no handler can be running
 * (evtls_race_free, from a finaliser).
 */
#ifndef EVTLS_SRC_RACE_H
#define EVTLS_SRC_RACE_H

#include <stdbool.h>

#include <event2/event.h>
#include <event2/util.h>

#include "addresses.h"

/* How long an address has before the next one is tried beside it ("Connection Attempt Delay"). */
#define EVTLS_CONNECT_DELAY_MS 250

struct evtls_race_owner {
    bool (*enter)(void *arg); /* false: stopped meanwhile */
    void (*leave)(void *arg);
    void (*won)(void *arg,
                evutil_socket_t fd); /* the descriptor is the owner's; it stops the race */
    void (*lost)(void *arg);         /* every address failed, and no more will come */
};

struct evtls_attempt {
    struct evtls_race *race;
    const struct evtls_address *address;
    struct event *event;
    evutil_socket_t fd; /* -1: not running any more */
};

struct evtls_race {
    struct event_base *base;
    int priority;
    const struct evtls_race_owner *owner;
    void *arg;
    struct evtls_addresses addresses; /* the owner adds to them */
    bool complete;                    /* no more addresses will come */
    struct event *timer;              /* the next address's turn */
    bool waiting;                     /* the timer runs */
    struct evtls_attempt attempts[EVTLS_MAX_ADDRESSES];
    size_t n; /* attempts made */
    size_t running;
    int last_errno; /* of the attempt that failed last */
    const struct evtls_address *last_failed;
};

/* 0, or -1 without memory: evtls_race_free is due all the same. */
int evtls_race_init(struct evtls_race *race, struct event_base *base, int priority,
                    const struct evtls_race_owner *owner, void *arg);

/* Goes on after addresses were added, or after complete was set. May call won or lost. */
void evtls_race_go(struct evtls_race *race);

/* The address that is the latest to be tried, or failed, for a message; NULL before the first. */
const struct evtls_address *evtls_race_get_last(const struct evtls_race *race);

void evtls_race_stop(struct evtls_race *race);
void evtls_race_free(struct evtls_race *race);

#endif
