/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connector that joins a lookup, a race and a bufferevent.
 *
 * Its lock is the bufferevent's. It begins with the phase CONNECTING of that and lets go of it
 * when it won, lost or was cancelled; then a finaliser frees it, on the loop's thread or in
 * event_base_free, since a handler of ours may just be waiting for the lock.
 */
#include "config.h"

#include "connect_hostname.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>

#include <evtls/connect.h>

#include "bev_connect.h"
#include "error.h"
#include "hostname.h"
#include "race.h"
#include "resolve.h"

struct evtls_connect {
    struct bufferevent *bev;
    struct evdns_base *dns;
    struct event *wake;
    struct evtls_lookup lookup;
    struct evtls_race race;
    int family;
    int port;
    bool is_ip;
    bool started;   /* the lookup is */
    char host[264]; /* for the resolver: without brackets, with its zone */
};

/* ---- Life --------------------------------------------------------------------------------- */

static void destroy(struct evtls_connect *c)
{
    evtls_race_free(&c->race);
    free(c);
}

static void on_finalize(struct event *wake, void *arg)
{
    (void)wake; /* libevent frees it */
    destroy(arg);
}

static void let_go(struct evtls_connect *c)
{
    evtls_lookup_stop(&c->lookup);
    evtls_race_stop(&c->race);
    event_free_finalize(0, c->wake, on_finalize);
}

static void cancel(void *connector)
{
    let_go(connector);
}

/* ---- Messages ----------------------------------------------------------------------------- */

static int fill_errno(struct evtls_error *err, enum evtls_status status, int sys_errno,
                      const struct evtls_connect *c)
{
    const struct evtls_address *address = evtls_race_get_last(&c->race);
    char text[EVTLS_ADDRESS_TEXT_SIZE] = "";
    const char *host = c->is_ip ? "" : c->host, *space = c->is_ip ? "" : " ";

    if (address) {
        evtls_address_format(text, address);
    }
    if (c->race.n > 1) {
        return evtls_error_set_errno(err, status, sys_errno,
                                     "connect to %s%s%s, the last of %zu addresses", host, space,
                                     text, c->race.n);
    }
    return evtls_error_set_errno(err, status, sys_errno, "connect to %s%s%s", host, space, text);
}

static void describe(void *connector, struct evtls_error *err)
{
    const struct evtls_connect *c = connector;

    if (c->race.n > 0) {
        fill_errno(err, EVTLS_ERR_TIMEOUT, ETIMEDOUT, c);
    } else {
        evtls_error_set_errno(err, EVTLS_ERR_TIMEOUT, ETIMEDOUT, "address of %s", c->host);
    }
}

static void fill_resolve(struct evtls_error *err, const struct evtls_connect *c)
{
    int code = evtls_lookup_get_code(&c->lookup);
    bool no_zone = code == EVUTIL_EAI_NONAME && c->is_ip && strchr(c->host, '%');

    evtls_error_set(err, EVTLS_ERR_RESOLVE, "address of %s: %s", c->host,
                    no_zone ? "there is no such interface" : evutil_gai_strerror(code));
    err->resolve_code = code;
}

/* ---- Work --------------------------------------------------------------------------------- */

static bool enter(void *arg)
{
    struct evtls_connect *c = arg;

    return evtls_bev_connect_enter(c->bev, c);
}

static void leave(void *arg)
{
    struct evtls_connect *c = arg;

    evtls_bev_connect_leave(c->bev);
}

static void won(void *arg, evutil_socket_t fd)
{
    struct evtls_connect *c = arg;

    evtls_bev_connect_done(c->bev, fd);
    let_go(c);
}

static void lost(void *arg)
{
    struct evtls_connect *c = arg;
    struct evtls_error err;

    if (c->race.n > 0) {
        fill_errno(&err, EVTLS_ERR_IO, c->race.last_errno, c);
    } else {
        fill_resolve(&err, c);
    }
    evtls_bev_connect_failed(c->bev, &err);
    let_go(c);
}

static const struct evtls_race_owner race_owner = {enter, leave, won, lost};
static const struct evtls_connector_ops connector_ops = {cancel, describe};

static void start_lookup(struct evtls_connect *c)
{
    c->started = true;
    evtls_lookup_start(&c->lookup, c->wake, c->dns, c->family, c->host, c->is_ip, c->port);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_connect *c = arg;

    (void)fd;
    if (!enter(c)) {
        return;
    }
    if (!c->started) {
        start_lookup(c);
    } else {
        evtls_lookup_collect(&c->lookup, what & EV_TIMEOUT, &c->race.addresses);
        c->race.complete = evtls_lookup_is_over(&c->lookup);
        evtls_race_go(&c->race);
    }
    leave(c);
}

/* ---- Start -------------------------------------------------------------------------------- */

/* An address loses its brackets, and in them the zone its escape (RFC 6874), for getaddrinfo. */
static int set_host(struct evtls_connect *c, const char *host)
{
    struct evtls_hostname parsed;
    size_t len = strlen(host);
    char *zone;

    if (evtls_hostname_parse(&parsed, host, NULL) != 0) {
        return EVTLS_ERR_USAGE;
    }
    if (host[0] == '[') {
        host++;
        len -= 2;
    }
    if (len >= sizeof(c->host)) {
        return EVTLS_ERR_USAGE;
    }
    memcpy(c->host, host, len);
    c->is_ip = parsed.is_ip;
    zone = host[len] == ']' ? strstr(c->host, "%25") : NULL;
    if (zone && zone[3] != '\0') {
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
    }
    return 0;
}

static struct evtls_connect *make(struct bufferevent *bev, struct evdns_base *dns, int family,
                                  int port)
{
    struct evtls_connect *c = calloc(1, sizeof(*c));
    struct event_base *base = bufferevent_get_base(bev);
    int priority = bufferevent_get_priority(bev);

    if (!c) {
        return NULL;
    }
    c->bev = bev;
    c->dns = dns;
    c->family = family;
    c->port = port;
    c->wake = event_new(base, -1, EV_FINALIZE, on_wake, c);
    if (!c->wake || evtls_race_init(&c->race, base, priority, &race_owner, c) != 0) {
        if (c->wake) {
            event_free(c->wake);
        }
        destroy(c);
        return NULL;
    }
    event_priority_set(c->wake, priority);
    return c;
}

int evtls_connect_start(struct bufferevent *bev, struct evdns_base *dns, int family,
                        const char *host, int port, bool from_loop)
{
    struct evtls_connect *c = make(bev, dns, family, port);
    int rc;

    if (!c) {
        return EVTLS_ERR_NOMEM;
    }
    bufferevent_lock(bev);
    rc = set_host(c, host);
    if (rc == 0) {
        rc = evtls_bev_connect_begin(bev, host, &connector_ops, c);
    }
    if (rc != 0) {
        event_free(c->wake);
        destroy(c);
    } else if (from_loop) {
        event_active(c->wake, EV_READ, 0);
    } else {
        start_lookup(c);
    }
    bufferevent_unlock(bev);
    return rc;
}

int evtls_bufferevent_connect_hostname(struct bufferevent *bev, struct evdns_base *dns, int family,
                                       const char *host, int port)
{
    if (!bev || !host || host[0] == '\0' || port < 1 || port > 65535 ||
        (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)) {
        return EVTLS_ERR_USAGE;
    }
    return evtls_connect_start(bev, dns, family, host, port, false);
}
