/*
 * evtls_bufferevent_plaintext_new before it starts TLS: a socket bufferevent like libevent's own.
 */
#include "contexts.h"

#include <stdio.h>

static struct bufferevent *make(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options)
{
    struct evtls_error err;
    struct bufferevent *bev = evtls_bufferevent_plaintext_new(base, fd, bev_options, &err);

    (void)role;
    if (bev == NULL)
        fprintf(stderr, "%s\n", err.message);
    return bev;
}

static const struct contract_known known[] = {
    {"limits__group_totals", "libevent counts them only where it charges the group itself", 0},
    {0},
};

const struct contract_transport contract_transport_plain = {
    .name = "plain",
    .what = "evtls_bufferevent_plaintext_new, in plaintext",
    .traits = CONTRACT_PLAIN | CONTRACT_FD | CONTRACT_PRIORITY | CONTRACT_RATE | CONTRACT_HTTP |
              CONTRACT_LONE,
    .make = make,
    .add_to_rate_limit_group = evtls_bufferevent_add_to_rate_limit_group,
    .remove_from_rate_limit_group = evtls_bufferevent_remove_from_rate_limit_group,
    .known = known,
};
