/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample_address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sample_util.h"

int sample_parse_endpoint(struct sample_endpoint *endpoint, const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len;
    long port;

    if (colon == NULL || sample_parse_number(&port, colon + 1, 0, 65535) < 0)
        return -1;
    len = (size_t)(colon - text);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (memchr(host, ':', len) != NULL) {
        return -1; /* an IPv6 address without brackets could be cut anywhere */
    }
    if (len >= sizeof(endpoint->host))
        return -1;
    memcpy(endpoint->host, host, len);
    endpoint->host[len] = '\0';
    endpoint->port = (int)port;
    return 0;
}

const char *sample_format_address(char *out, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

    if (address->sa_family == AF_INET && inet_ntop(AF_INET, &in4->sin_addr, text, sizeof(text)))
        snprintf(out, SAMPLE_ADDRESS_SIZE, "%s:%u", text, (unsigned)ntohs(in4->sin_port));
    else if (address->sa_family == AF_INET6 &&
             inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
        snprintf(out, SAMPLE_ADDRESS_SIZE, "[%s]:%u", text, (unsigned)ntohs(in6->sin6_port));
    else
        snprintf(out, SAMPLE_ADDRESS_SIZE, "%s", address->sa_family == AF_UNIX ? "unix" : "-");
    return out;
}

const char *sample_format_peer(char *out, evutil_socket_t fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);

    if (fd < 0 || getpeername(fd, (struct sockaddr *)&address, &len) < 0)
        return strcpy(out, "-");
    return sample_format_address(out, (struct sockaddr *)&address);
}

int sample_resolve(const struct sample_endpoint *endpoint, int flags,
                   struct evutil_addrinfo **found)
{
    const struct evutil_addrinfo hints = {.ai_flags = flags, .ai_socktype = SOCK_STREAM};
    const char *host = endpoint->host[0] ? endpoint->host : NULL;
    char port[8];
    int error;

    snprintf(port, sizeof(port), "%d", endpoint->port);
    error = evutil_getaddrinfo(host, port, &hints, found);
    if (error == 0)
        return 0;
    sample_error("%s: %s", host ? host : "any address", evutil_gai_strerror(error));
    return -1;
}

/* All addresses: one IPv6 socket that takes IPv4 as well, where the system has IPv6. */
static const struct evutil_addrinfo *prefer_ipv6(const struct evutil_addrinfo *found)
{
    for (const struct evutil_addrinfo *ai = found; ai; ai = ai->ai_next)
        if (ai->ai_family == AF_INET6)
            return ai;
    return found;
}

static evutil_socket_t listen_at(const struct evutil_addrinfo *address, int all)
{
    const int on = 1, off = 0;
    evutil_socket_t fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int saved;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (all && address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, address->ai_addr, (socklen_t)address->ai_addrlen) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

evutil_socket_t sample_listen(const struct sample_endpoint *endpoint)
{
    int all = endpoint->host[0] == '\0';
    struct evutil_addrinfo *found = NULL;
    evutil_socket_t fd;

    if (sample_resolve(endpoint, EVUTIL_AI_PASSIVE, &found) < 0)
        return -1;
    fd = listen_at(all ? prefer_ipv6(found) : found, all);
    if (fd < 0 && all && errno == EAFNOSUPPORT)
        fd = listen_at(found, all);
    if (fd < 0)
        sample_error("cannot listen on %s port %d: %s", all ? "any address" : endpoint->host,
                     endpoint->port, strerror(errno));
    evutil_freeaddrinfo(found);
    return fd;
}
