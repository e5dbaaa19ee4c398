/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sample_address.h - hosts and ports as they stand in a command line, their addresses, and sockets
 * that listen there.
 */
#ifndef SAMPLE_ADDRESS_H
#define SAMPLE_ADDRESS_H

#include <event2/util.h>

struct sockaddr;

/* HOST:PORT, [ADDR]:PORT or :PORT; HOST is an address or a name. */
struct sample_endpoint {
    char host[256]; /* without brackets; "" where there was none */
    int port;
};

/* Returns 0, or -1 for text that is no endpoint. */
int sample_parse_endpoint(struct sample_endpoint *endpoint, const char *text);

/* "127.0.0.1:443", "[::1]:443"; a UNIX socket is "unix". */
#define SAMPLE_ADDRESS_SIZE 80
const char *sample_format_address(char *out, const struct sockaddr *address);

/* The same for the other end of a connected socket; "-" when there is none any more. */
const char *sample_format_peer(char *out, evutil_socket_t fd);

/*
 * The addresses of an endpoint, from the system's resolver, which may block: for the start of a
 * program. flags: EVUTIL_AI_*. Returns 0, and evutil_freeaddrinfo frees *found; or -1 after a
 * message.
 */
int sample_resolve(const struct sample_endpoint *endpoint, int flags,
                   struct evutil_addrinfo **found);

/*
 * A non-blocking socket that listens at the endpoint's first address; without a host at all
 * addresses, of IPv6 and IPv4. Returns -1 after a message.
 */
evutil_socket_t sample_listen(const struct sample_endpoint *endpoint);

#endif
