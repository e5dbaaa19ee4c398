/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * addresses.h - the addresses of a host, to be tried one after the other: a server that listens on
 * only one of "localhost"'s two must still be found.
 */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include <sys/socket.h>

struct event_base;
struct evdns_base;
struct evdns_getaddrinfo_request;

#define ADDRESSES_MAX 16

struct addresses {
    struct sockaddr_storage list[ADDRESSES_MAX];
    int len[ADDRESSES_MAX];
    int n;
    int next;
    struct evdns_getaddrinfo_request *lookup; /* under way, or NULL */
    void (*found)(int error, void *arg);
    void *arg;
};

/*
 * Looks host up (a name, or an address without brackets), and calls found back once, perhaps
 * before it returns, with 0 or an EVUTIL_EAI_* error. dns NULL: the system's resolver, which
 * blocks. localhost and what ends in ".localhost" is this machine and never asked for (RFC
 * 6761, 6.3).
 */
void addresses_find(struct addresses *addresses, struct evdns_base *dns, const char *host, int port,
                    void (*found)(int error, void *arg), void *arg);

/* Ends a lookup under way, for which it runs the loop of base once; found is not called then. */
void addresses_cancel(struct addresses *addresses, struct event_base *base);

/* The next address to try and its length, or NULL when all have been tried. */
const struct sockaddr *addresses_next(struct addresses *addresses, int *len);

#endif
