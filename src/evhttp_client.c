/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evhttp connects by bufferevent_socket_connect_hostname, with a resolver that it was given once,
 * and to the first address alone. So it is given a resolver of ours that asks nobody and fails at
 * once; when it connects, which it announces by enabling EV_WRITE, we do so in our own way, and
 * keep that failure from it (evtls_bev_set_dialer).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/dns.h>
#include <event2/http.h>

#include <evtls/evhttp.h>

#include "bev_connect.h"
#include "connect_hostname.h"
#include "error.h"
#include "hostname.h"

struct client {
    struct evdns_base *dns;  /* the program's, or NULL */
    struct evdns_base *mute; /* evhttp's */
    int port;
    bool has_error;
    struct evtls_error error;
    char host[];
};

/* ---- A resolver that asks nobody ---------------------------------------------------------- */

/* Longer than any name may be, so that no question can be made of it. */
#define TOO_LONG 300

static struct evdns_base *make_mute(struct event_base *base)
{
    struct evdns_base *mute = evdns_base_new(base, 0);
    char domain[TOO_LONG + 1];

    if (!mute) {
        return NULL;
    }
    memset(domain, 'x', TOO_LONG);
    domain[TOO_LONG] = '\0';
    evdns_base_search_clear(mute);
    evdns_base_search_add(mute, domain);
    evdns_base_search_ndots_set(mute, TOO_LONG); /* it is put behind every name */
    return mute;
}

/* ---- What the bufferevent asks for -------------------------------------------------------- */

static int dial(struct bufferevent *bev, void *arg, struct evtls_error *err)
{
    const struct client *client = arg;
    int rc = evtls_connect_start(bev, client->dns, AF_UNSPEC, client->host, client->port, true);

    return rc == 0 ? 0 : evtls_error_set(err, rc, "%s", evtls_status_text(rc));
}

static void opened(void *arg)
{
    struct client *client = arg;

    client->has_error = false;
}

static void failed(void *arg, const struct evtls_error *err)
{
    struct client *client = arg;

    client->error = *err;
    client->has_error = true;
}

static void client_free(void *arg)
{
    struct client *client = arg;

    if (client->mute) {
        evdns_base_free(client->mute, 0);
    }
    free(client);
}

static const struct evtls_dialer_ops dialer_ops = {dial, opened, failed, client_free};

/* ---- Construction ------------------------------------------------------------------------- */

static int check(struct event_base *base, struct evtls_context *ctx, const char *host, int port,
                 struct evtls_error *err)
{
    struct evtls_hostname parsed;

    if (!base || !ctx) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "%s is NULL", base ? "ctx" : "base");
    }
    if (port < 1 || port > 65535) {
        return evtls_error_set(err, EVTLS_ERR_USAGE, "the port is not between 1 and 65535");
    }
    return evtls_hostname_parse(&parsed, host, err);
}

static struct client *make_client(struct event_base *base, struct evdns_base *dns, const char *host,
                                  int port)
{
    size_t len = strlen(host);
    struct client *client = calloc(1, sizeof(*client) + len + 1);

    if (!client) {
        return NULL;
    }
    client->dns = dns;
    client->port = port;
    memcpy(client->host, host, len);
    client->mute = make_mute(base);
    if (!client->mute) {
        client_free(client);
        return NULL;
    }
    return client;
}

static struct bufferevent *make_bev(struct event_base *base, struct evdns_base *dns,
                                    struct evtls_context *ctx, const char *host, int port,
                                    struct evtls_error *err)
{
    struct bufferevent *bev =
        evtls_bufferevent_socket_new(base, -1, ctx, EVTLS_CLIENT, BEV_OPT_CLOSE_ON_FREE, err);
    struct client *client;

    if (!bev) {
        return NULL;
    }
    if (evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), host, err) != 0) {
        bufferevent_free(bev);
        return NULL;
    }
    client = make_client(base, dns, host, port);
    if (!client) {
        evtls_error_set(err, EVTLS_ERR_NOMEM, "out of memory");
        bufferevent_free(bev);
        return NULL;
    }
    evtls_bev_set_dialer(bev, &dialer_ops, client);
    return bev;
}

/*
 * libevent reads an address without the resolver. It does not where another family is asked for;
 * ours is chosen by the address itself.
 */
static int get_other_family(const char *host)
{
    return strchr(host, ':') ? AF_INET : AF_INET6;
}

struct evhttp_connection *evtls_evhttp_connection_new(struct event_base *base,
                                                      struct evdns_base *dns,
                                                      struct evtls_context *ctx, const char *host,
                                                      int port, struct evtls_error *err)
{
    struct evhttp_connection *evcon;
    struct bufferevent *bev;
    struct client *client;

    if (check(base, ctx, host, port, err) != 0) {
        return NULL;
    }
    bev = make_bev(base, dns, ctx, host, port, err);
    if (!bev) {
        return NULL;
    }
    client = evtls_bev_get_dialer(bev, &dialer_ops);
    evcon = evhttp_connection_base_bufferevent_new(base, client->mute, bev, host, (uint16_t)port);
    if (!evcon) {
        evtls_error_set(err, EVTLS_ERR_NOMEM, "out of memory");
        bufferevent_free(bev);
        return NULL;
    }
    evhttp_connection_set_family(evcon, get_other_family(host));
    evtls_error_init(err);
    return evcon;
}

const struct evtls_error *evtls_evhttp_connection_get_error(struct evhttp_connection *evcon)
{
    struct bufferevent *bev = evcon ? evhttp_connection_get_bufferevent(evcon) : NULL;
    const struct client *client = bev ? evtls_bev_get_dialer(bev, &dialer_ops) : NULL;

    return client && client->has_error ? &client->error : NULL;
}
