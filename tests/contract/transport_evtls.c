/* evtls_bufferevent_socket_new. */
#include "contexts.h"

#include <evtls/evhttp.h>

static struct bufferevent *make(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options)
{
    struct evtls_error err;

    return contract_made(evtls_bufferevent_socket_new(base, fd, contract_context(role),
                                                      contract_evtls_role(role), bev_options, &err),
                         role, &err);
}

static struct bufferevent *http_bevcb(struct event_base *base, void *transport)
{
    return evtls_evhttp_bevcb(base, contract_context(CONTRACT_SERVER));
}

static const struct contract_known known[] = {
    {"limits__group_totals", "libevent counts them only where it charges the group itself", 0},
    {0},
};

const struct contract_transport contract_transport_evtls = {
    .name = "evtls",
    .what = "evtls_bufferevent_socket_new",
    .traits = CONTRACT_TLS | CONTRACT_FD | CONTRACT_PRIORITY | CONTRACT_RATE | CONTRACT_HTTP |
              CONTRACT_LONE,
    .set_up = contract_contexts_make,
    .make = make,
    .http_bevcb = http_bevcb,
    .add_to_rate_limit_group = evtls_bufferevent_add_to_rate_limit_group,
    .remove_from_rate_limit_group = evtls_bufferevent_remove_from_rate_limit_group,
    .known = known,
};
