/* libevent's plain socket bufferevent: what the contract is measured by. Every row passes here. */
#include "transport.h"

static struct bufferevent *make(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options)
{
    return bufferevent_socket_new(base, fd, bev_options);
}

const struct contract_transport contract_transport_socket = {
    .name = "socket",
    .what = "libevent's bufferevent_socket_new",
    .traits = CONTRACT_PLAIN | CONTRACT_FD | CONTRACT_PRIORITY | CONTRACT_RATE | CONTRACT_HTTP |
              CONTRACT_LONE,
    .make = make,
};
