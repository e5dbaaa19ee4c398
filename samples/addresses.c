/* SPDX-License-Identifier: BSD-3-Clause */
#include "addresses.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

static void add_all(struct addresses *addresses, const struct evutil_addrinfo *found)
{
    for (; found && addresses->n < ADDRESSES_MAX; found = found->ai_next) {
        memcpy(&addresses->list[addresses->n], found->ai_addr, found->ai_addrlen);
        addresses->len[addresses->n++] = (int)found->ai_addrlen;
    }
}

static int is_localhost(const char *host)
{
    size_t len = strlen(host);

    if (len > 0 && host[len - 1] == '.')
        len--;
    return len >= 9 && strncasecmp(host + len - 9, "localhost", 9) == 0 &&
           (len == 9 || host[len - 10] == '.');
}

static void add_numeric(struct addresses *addresses, const char *host, const char *port)
{
    struct evutil_addrinfo hints = {.ai_flags = EVUTIL_AI_NUMERICHOST | EVUTIL_AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM};
    struct evutil_addrinfo *found = NULL;

    if (evutil_getaddrinfo(host, port, &hints, &found) == 0) {
        add_all(addresses, found);
        evutil_freeaddrinfo(found);
    }
}

/* Also called, in the end, for a lookup that was cancelled. */
static void on_found(int error, struct evutil_addrinfo *found, void *arg)
{
    struct addresses *addresses = arg;

    addresses->lookup = NULL;
    add_all(addresses, found);
    if (found != NULL)
        evutil_freeaddrinfo(found);
    if (error != EVUTIL_EAI_CANCEL)
        addresses->found(error, addresses->arg);
}

void addresses_find(struct addresses *addresses, struct evdns_base *dns, const char *host, int port,
                    void (*found)(int error, void *arg), void *arg)
{
    struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct evutil_addrinfo *list = NULL;
    char service[8];

    memset(addresses, 0, sizeof(*addresses));
    addresses->found = found;
    addresses->arg = arg;
    snprintf(service, sizeof(service), "%d", port);
    if (is_localhost(host)) {
        add_numeric(addresses, "127.0.0.1", service);
        add_numeric(addresses, "::1", service);
        found(0, arg);
    } else if (dns != NULL) {
        addresses->lookup = evdns_getaddrinfo(dns, host, service, &hints, on_found, addresses);
    } else {
        int error = evutil_getaddrinfo(host, service, &hints, &list);

        on_found(error, list, addresses);
    }
}

void addresses_cancel(struct addresses *addresses, struct event_base *base)
{
    if (addresses->lookup != NULL) {
        evdns_getaddrinfo_cancel(addresses->lookup);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
}

const struct sockaddr *addresses_next(struct addresses *addresses, int *len)
{
    if (addresses->next == addresses->n)
        return NULL;
    *len = addresses->len[addresses->next];
    return (const struct sockaddr *)&addresses->list[addresses->next++];
}
