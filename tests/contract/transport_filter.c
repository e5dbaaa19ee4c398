/*
 * evtls_bufferevent_filter_new, over libevent's socket bufferevent and over one of evtls: TLS in
 * TLS. What is below is made with the filter, and goes with it.
 */
#include "contexts.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* What a bufferevent below a filter has of the filter's options: its callbacks are the filter's. */
#define OPTIONS_BELOW (BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE)

static struct bufferevent *make_filter(struct bufferevent *below, enum contract_role role,
                                       int bev_options)
{
    struct evtls_error err;
    struct bufferevent *bev;

    if (below == NULL)
        return NULL;
    bev = evtls_bufferevent_filter_new(below, contract_context(role), contract_evtls_role(role),
                                       bev_options, &err);
    if (bev == NULL) { /* the descriptor stays the row's */
        bufferevent_setfd(below, -1);
        bufferevent_free(below);
    }
    return contract_made(bev, role, &err);
}

/* As programs do that answer by many small writes, and evtls on sockets of its own: with Nagle's
 * delay rows that look at what came within 20 ms would see less. */
static void send_at_once(evutil_socket_t fd)
{
    int on = 1;

    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct bufferevent *make(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options)
{
    send_at_once(fd);
    return make_filter(bufferevent_socket_new(base, fd, bev_options & OPTIONS_BELOW), role,
                       bev_options);
}

static struct bufferevent *make_tls_in_tls(struct event_base *base, evutil_socket_t fd,
                                           enum contract_role role, int bev_options)
{
    return make_filter(contract_transport_evtls.make(base, fd, role, bev_options & OPTIONS_BELOW),
                       role, bev_options);
}

#define GROUP_TOTALS                                                                               \
    {                                                                                              \
        "limits__group_totals", "libevent counts them only where it charges the group itself", 0   \
    }
#define DISABLED_IN_THE_MIDDLE                                                                     \
    {                                                                                              \
        "write__disabled_in_the_middle",                                                           \
            "what is encrypted already stands in the output below, and goes on leaving", 0         \
    }

static const struct contract_known known[] = {
    GROUP_TOTALS,
    DISABLED_IN_THE_MIDDLE,
    {0},
};

static const struct contract_known known_tls_in_tls[] = {
    GROUP_TOTALS,
    DISABLED_IN_THE_MIDDLE,
    {"http__upload_100_mb",
     "evhttp takes each record in a chain of 32 KiB, the next power of two: 167 MiB, not 148", 0},
    {0},
};

#define TRAITS (CONTRACT_TLS | CONTRACT_FD | CONTRACT_PRIORITY | CONTRACT_RATE | CONTRACT_HTTP)

const struct contract_transport contract_transport_filter = {
    .name = "filter",
    .what = "evtls_bufferevent_filter_new over bufferevent_socket_new",
    .traits = TRAITS,
    .set_up = contract_contexts_make,
    .make = make,
    .add_to_rate_limit_group = evtls_bufferevent_add_to_rate_limit_group,
    .remove_from_rate_limit_group = evtls_bufferevent_remove_from_rate_limit_group,
    .known = known,
};

const struct contract_transport contract_transport_filter_tls = {
    .name = "filter-tls",
    .what = "evtls_bufferevent_filter_new over evtls_bufferevent_socket_new",
    .traits = TRAITS,
    .set_up = contract_contexts_make,
    .make = make_tls_in_tls,
    .add_to_rate_limit_group = evtls_bufferevent_add_to_rate_limit_group,
    .remove_from_rate_limit_group = evtls_bufferevent_remove_from_rate_limit_group,
    .known = known_tls_in_tls,
};
