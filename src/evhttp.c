/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netdb.h>
#include <netinet/in.h>

#include <event2/http.h>
#include <event2/listener.h>

#include <evtls/evhttp.h>

#include "accept.h"
#include "bev_dead.h"
#include "error.h"

/* ---- evhttp's bufferevents ---------------------------------------------------------------- */

struct bufferevent *evtls_evhttp_bevcb(struct event_base *base, void *ctx)
{
    struct bufferevent *bev =
        evtls_bufferevent_socket_new(base, -1, ctx, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE, NULL);

    return bev ? bev : evtls_bev_new_dead(base);
}

/* ---- A request's connection --------------------------------------------------------------- */

struct evtls_engine *evtls_evhttp_request_get_engine(struct evhttp_request *req)
{
    struct evhttp_connection *evcon = req ? evhttp_request_get_connection(req) : NULL;
    struct bufferevent *bev = evcon ? evhttp_connection_get_bufferevent(evcon) : NULL;

    return evtls_bufferevent_get_engine(bev);
}

/* ---- Binding ------------------------------------------------------------------------------ */

static int open_socket(const struct evutil_addrinfo *ai, const char *addr)
{
    int on = 1, off = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int saved;

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (!addr && ai->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, ai->ai_addr, (socklen_t)ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        return fd;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int resolve(const char *addr, int port, struct evutil_addrinfo **list,
                   struct evtls_error *err)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = EVUTIL_AI_PASSIVE,
    };
    char service[12];
    int rc;

    snprintf(service, sizeof(service), "%d", port);
    rc = evutil_getaddrinfo(addr, service, &hints, list);
    if (rc == 0) {
        return 0;
    }
    evtls_error_set(err, EVTLS_ERR_RESOLVE, "address %s: %s", addr ? addr : "*",
                    evutil_gai_strerror(rc));
    if (err) {
        err->resolve_code = rc;
    }
    return EVTLS_ERR_RESOLVE;
}

/* All addresses: one IPv6 socket that takes IPv4 as well, or IPv4 where there is no IPv6. */
static const struct evutil_addrinfo *prefer_ipv6(const struct evutil_addrinfo *list)
{
    for (const struct evutil_addrinfo *ai = list; ai; ai = ai->ai_next) {
        if (ai->ai_family == AF_INET6) {
            return ai;
        }
    }
    return list;
}

static int listen_at(const char *addr, int port, struct evtls_error *err)
{
    struct evutil_addrinfo *list = NULL;
    const struct evutil_addrinfo *ai;
    int fd, rc = resolve(addr, port, &list, err);

    if (rc != 0) {
        return rc;
    }
    ai = addr ? list : prefer_ipv6(list);
    fd = open_socket(ai, addr);
    if (fd < 0 && !addr && errno == EAFNOSUPPORT && list->ai_family == AF_INET) {
        fd = open_socket(list, addr);
    }
    if (fd < 0) {
        fd = evtls_error_set_errno(err, EVTLS_ERR_IO, errno, "listen at %s port %d",
                                   addr ? addr : "*", port);
    }
    evutil_freeaddrinfo(list);
    return fd;
}

static int check_bind(struct evhttp *http, struct evtls_context *ctx, int port,
                      struct evtls_error *err)
{
    if (!http || !ctx) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, http ? "ctx is NULL" : "http is NULL");
    }
    if (port < 0 || port > 65535) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "the port is not between 0 and 65535");
    }
    if (evtls_context_get_protocol(ctx) == EVTLS_PROTOCOL_TLS_CLIENT) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "a context for clients cannot serve");
    }
    return evtls_context_seal(ctx, err);
}

int evtls_evhttp_bind(struct evhttp *http, struct evtls_context *ctx, const char *addr, int port,
                      struct evtls_error *err)
{
    struct evhttp_bound_socket *bound;
    int fd, rc = check_bind(http, ctx, port, err);

    if (rc != 0) {
        return rc;
    }
    fd = listen_at(addr, port, err);
    if (fd < 0) {
        return fd;
    }
    bound = evhttp_accept_socket_with_handle(http, fd);
    if (!bound) {
        close(fd);
        return evtls_error_set(err, EVTLS_ERR_NOMEM, "out of memory");
    }
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), evtls_accept_rest);
    evhttp_set_bevcb(http, evtls_evhttp_bevcb, ctx);
    evtls_error_init(err);
    return 0;
}

/* evhttp keeps its sockets in the order of binding. */
static void note_socket(struct evhttp_bound_socket *bound, void *arg)
{
    *(evutil_socket_t *)arg = evhttp_bound_socket_get_fd(bound);
}

int evtls_evhttp_get_port(struct evhttp *http)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    evutil_socket_t fd = -1;

    if (!http) {
        return 0;
    }
    evhttp_foreach_bound_socket(http, note_socket, &fd);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&ss, &len) != 0) {
        return 0;
    }
    if (ss.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
    }
    return ss.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&ss)->sin_port) : 0;
}
