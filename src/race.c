/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "race.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_connected(evutil_socket_t fd, short what, void *arg);

/* EV_FINALIZE: deleting one never waits for its handler, which may be waiting for our lock. */
static struct event *make_event(struct evtls_race *race, evutil_socket_t fd, short what,
                                event_callback_fn callback, void *arg)
{
    struct event *event = event_new(race->base, fd, what | EV_FINALIZE, callback, arg);

    if (event) {
        event_priority_set(event, race->priority);
    }
    return event;
}

int evtls_race_init(struct evtls_race *race, struct event_base *base, int priority,
                    const struct evtls_race_owner *owner, void *arg)
{
    memset(race, 0, sizeof(*race));
    race->base = base;
    race->priority = priority;
    race->owner = owner;
    race->arg = arg;
    race->timer = make_event(race, -1, 0, on_timer, race);
    return race->timer ? 0 : -1;
}

/* ---- One attempt -------------------------------------------------------------------------- */

/* Ends an attempt; the descriptor is whose it was to be. */
static evutil_socket_t end_attempt(struct evtls_attempt *attempt)
{
    evutil_socket_t fd = attempt->fd;

    if (fd >= 0) {
        attempt->fd = -1;
        attempt->race->running--;
        if (attempt->event) {
            event_del(attempt->event);
        }
    }
    return fd;
}

static void fail_attempt(struct evtls_attempt *attempt, int sys_errno)
{
    evutil_socket_t fd = end_attempt(attempt);

    if (fd >= 0) {
        close(fd);
    }
    attempt->race->last_errno = sys_errno;
    attempt->race->last_failed = attempt->address;
}

/* 1: connected; 0: under way; -1: failed. */
static int begin_attempt(struct evtls_attempt *attempt)
{
    const struct evtls_address *address = attempt->address;
    evutil_socket_t fd;

    fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        fail_attempt(attempt, errno);
        return -1;
    }
    attempt->fd = fd;
    attempt->race->running++;
    if (connect(fd, &address->sa, address->len) == 0) {
        return 1;
    }
    if (errno != EINPROGRESS && errno != EINTR) {
        fail_attempt(attempt, errno);
        return -1;
    }
    attempt->event = make_event(attempt->race, fd, EV_WRITE, on_connected, attempt);
    if (!attempt->event || event_add(attempt->event, NULL) != 0) {
        fail_attempt(attempt, ENOMEM);
        return -1;
    }
    return 0;
}

/* ---- All of them -------------------------------------------------------------------------- */

static void win(struct evtls_attempt *attempt)
{
    struct evtls_race *race = attempt->race;

    race->owner->won(race->arg, end_attempt(attempt));
}

static void start_timer(struct evtls_race *race)
{
    static const struct timeval delay = {0, EVTLS_CONNECT_DELAY_MS * 1000};

    race->waiting = event_add(race->timer, &delay) == 0;
}

/* Tries addresses until one is under way, or none is left. True when it is won. */
static bool try_next(struct evtls_race *race)
{
    const struct evtls_address *address;
    int rc = -1;

    while (rc < 0 && (address = evtls_addresses_take(&race->addresses)) != NULL) {
        struct evtls_attempt *attempt = &race->attempts[race->n++];

        attempt->race = race;
        attempt->address = address;
        attempt->fd = -1;
        rc = begin_attempt(attempt);
        if (rc > 0) {
            win(attempt);
            return true;
        }
    }
    if (rc == 0) {
        start_timer(race);
    }
    return false;
}

void evtls_race_go(struct evtls_race *race)
{
    if ((race->running == 0 || !race->waiting) && try_next(race)) {
        return;
    }
    if (race->running == 0 && race->complete) {
        race->owner->lost(race->arg);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_race *race = arg;

    (void)fd;
    (void)what;
    if (race->owner->enter(race->arg)) {
        race->waiting = false;
        evtls_race_go(race);
        race->owner->leave(race->arg);
    }
}

static int get_socket_error(evutil_socket_t fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/* A failure makes room for the next address at once. */
static void finish_attempt(struct evtls_attempt *attempt)
{
    struct evtls_race *race = attempt->race;
    int error = get_socket_error(attempt->fd);

    if (error == 0) {
        win(attempt);
        return;
    }
    fail_attempt(attempt, error);
    race->waiting = false;
    evtls_race_go(race);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_attempt *attempt = arg;
    struct evtls_race *race = attempt->race;

    (void)fd;
    (void)what;
    if (race->owner->enter(race->arg)) {
        if (attempt->fd >= 0) {
            finish_attempt(attempt);
        }
        race->owner->leave(race->arg);
    }
}

const struct evtls_address *evtls_race_get_last(const struct evtls_race *race)
{
    if (race->running > 0 || race->n == 0) {
        return race->n > 0 ? race->attempts[race->n - 1].address : NULL;
    }
    return race->last_failed;
}

void evtls_race_stop(struct evtls_race *race)
{
    if (race->timer) {
        event_del(race->timer);
    }
    race->waiting = false;
    for (size_t i = 0; i < race->n; i++) {
        evutil_socket_t fd = end_attempt(&race->attempts[i]);

        if (fd >= 0) {
            close(fd);
        }
    }
}

void evtls_race_free(struct evtls_race *race)
{
    for (size_t i = 0; i < race->n; i++) {
        if (race->attempts[i].event) {
            event_free(race->attempts[i].event);
        }
    }
    if (race->timer) {
        event_free(race->timer);
    }
}
