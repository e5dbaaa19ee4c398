/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The addresses of a host, in the order in which they are tried (RFC 8305, section 4): families
 * take turns, beginning with that of the first address; within a family the resolver's order stays.
 * More may be added while they are tried. Pure.
 */
#ifndef EVTLS_SRC_ADDRESSES_H
#define EVTLS_SRC_ADDRESSES_H

#include <stdbool.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <event2/util.h>

#define EVTLS_MAX_ADDRESSES_A_FAMILY 24
#define EVTLS_MAX_ADDRESSES ((size_t)2 * EVTLS_MAX_ADDRESSES_A_FAMILY)

struct evtls_address {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
    bool taken;
};

struct evtls_addresses {
    struct evtls_address list[EVTLS_MAX_ADDRESSES];
    size_t n;
    int last_family; /* of the address taken last, or 0 */
};

/* Adds what is new in a list of the resolver's, up to the limit of each family. */
void evtls_addresses_add(struct evtls_addresses *addresses, const struct evutil_addrinfo *ai);

/* The next one to try, or NULL. It stays where it is. */
const struct evtls_address *evtls_addresses_take(struct evtls_addresses *addresses);

/* "127.0.0.1:443" or "[fe80::1%eth0]:443"; returns dst. */
#define EVTLS_ADDRESS_TEXT_SIZE 96
char *evtls_address_format(char dst[EVTLS_ADDRESS_TEXT_SIZE], const struct evtls_address *address);

#endif
