/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "addresses.h"

#include <stdio.h>
#include <string.h>

#include <netdb.h>

static bool is_same(const struct evtls_address *a, const struct sockaddr *b)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (a->sa.sa_family != b->sa_family) {
        return false;
    }
    if (b->sa_family == AF_INET) {
        memcpy(&in, b, sizeof(in));
        return a->in.sin_addr.s_addr == in.sin_addr.s_addr && a->in.sin_port == in.sin_port;
    }
    memcpy(&in6, b, sizeof(in6));
    return memcmp(&a->in6.sin6_addr, &in6.sin6_addr, sizeof(in6.sin6_addr)) == 0 &&
           a->in6.sin6_port == in6.sin6_port && a->in6.sin6_scope_id == in6.sin6_scope_id;
}

static bool is_new(const struct evtls_addresses *addresses, const struct sockaddr *sa)
{
    size_t of_family = 0;

    for (size_t i = 0; i < addresses->n; i++) {
        if (is_same(&addresses->list[i], sa)) {
            return false;
        }
        of_family += addresses->list[i].sa.sa_family == sa->sa_family;
    }
    return of_family < EVTLS_MAX_ADDRESSES_A_FAMILY;
}

static size_t get_length(int family)
{
    if (family == AF_INET6) {
        return sizeof(struct sockaddr_in6);
    }
    return family == AF_INET ? sizeof(struct sockaddr_in) : 0;
}

void evtls_addresses_add(struct evtls_addresses *addresses, const struct evutil_addrinfo *ai)
{
    for (; ai; ai = ai->ai_next) {
        struct evtls_address *address = &addresses->list[addresses->n];
        size_t len = get_length(ai->ai_family);

        if (len == 0 || ai->ai_addrlen < len || !is_new(addresses, ai->ai_addr)) {
            continue;
        }
        memcpy(&address->sa, ai->ai_addr, len);
        address->len = (socklen_t)len;
        address->taken = false;
        addresses->n++;
    }
}

const struct evtls_address *evtls_addresses_take(struct evtls_addresses *addresses)
{
    struct evtls_address *next = NULL;

    for (size_t i = 0; i < addresses->n; i++) {
        struct evtls_address *address = &addresses->list[i];

        if (address->taken) {
            continue;
        }
        if (!next) {
            next = address;
        }
        if (address->sa.sa_family != addresses->last_family) {
            next = address;
            break;
        }
    }
    if (next) {
        next->taken = true;
        addresses->last_family = next->sa.sa_family;
    }
    return next;
}

char *evtls_address_format(char dst[EVTLS_ADDRESS_TEXT_SIZE], const struct evtls_address *address)
{
    char host[EVTLS_ADDRESS_TEXT_SIZE - 16], port[8];

    if (getnameinfo(&address->sa, address->len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(dst, EVTLS_ADDRESS_TEXT_SIZE, "?");
    } else if (address->sa.sa_family == AF_INET6) {
        snprintf(dst, EVTLS_ADDRESS_TEXT_SIZE, "[%s]:%s", host, port);
    } else {
        snprintf(dst, EVTLS_ADDRESS_TEXT_SIZE, "%s:%s", host, port);
    }
    return dst;
}
