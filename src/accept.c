/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "accept.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <event2/event.h>
#include <event2/listener.h>

static const struct timeval rest_time = {0, 100000};

/*
 * Nobody tells when a listener is freed. It closes its descriptor then, so the listener is there
 * as long as the number still means the same socket. The list keeps the records of bases that
 * are freed while a listener rests.
 */
struct resting {
    LIST_ENTRY(resting) link;
    struct evconnlistener *listener;
    evutil_socket_t fd;
    dev_t dev;
    ino_t ino;
};

static LIST_HEAD(, resting) all_resting = LIST_HEAD_INITIALIZER(all_resting);
static pthread_mutex_t resting_lock = PTHREAD_MUTEX_INITIALIZER;

static void forget(struct resting *rest)
{
    pthread_mutex_lock(&resting_lock);
    LIST_REMOVE(rest, link);
    pthread_mutex_unlock(&resting_lock);
    free(rest);
}

static void resume(evutil_socket_t fd, short what, void *arg)
{
    struct resting *rest = arg;
    struct stat st;

    (void)fd;
    (void)what;
    if (fstat(rest->fd, &st) == 0 && st.st_dev == rest->dev && st.st_ino == rest->ino) {
        evconnlistener_enable(rest->listener);
    }
    forget(rest);
}

void evtls_accept_rest(struct evconnlistener *listener, void *arg)
{
    struct resting *rest = calloc(1, sizeof(*rest));
    struct stat st;

    (void)arg;
    if (!rest) {
        return;
    }
    rest->listener = listener;
    rest->fd = evconnlistener_get_fd(listener);
    pthread_mutex_lock(&resting_lock);
    LIST_INSERT_HEAD(&all_resting, rest, link);
    pthread_mutex_unlock(&resting_lock);
    if (fstat(rest->fd, &st) != 0 || event_base_once(evconnlistener_get_base(listener), -1,
                                                     EV_TIMEOUT, resume, rest, &rest_time) != 0) {
        forget(rest);
        return;
    }
    rest->dev = st.st_dev;
    rest->ino = st.st_ino;
    evconnlistener_disable(listener);
}
