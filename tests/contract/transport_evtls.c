/*
 * evtls_bufferevent_socket_new, with a certificate made at run time that the client trusts.
 */
#include "transport.h"

#include <evtls/bufferevent.h>
#include <evtls/certificate.h>
#include <evtls/evhttp.h>
#include <stdio.h>

static struct evtls_context *contexts[2]; /* by enum contract_role */

static int set_up(void)
{
    static const char *const names[] = {"localhost"};
    struct evtls_error err;
    const char *pem;
    size_t len;

    contexts[CONTRACT_SERVER] = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, &err);
    contexts[CONTRACT_CLIENT] = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, &err);
    if (contexts[CONTRACT_SERVER] == NULL || contexts[CONTRACT_CLIENT] == NULL ||
        evtls_context_use_self_signed(contexts[CONTRACT_SERVER], names, 1, &err) != 0)
        return -1;
    pem = evtls_certificate_get_pem(evtls_context_get_certificate(contexts[CONTRACT_SERVER]), &len);
    return evtls_context_load_verify_locations_data(contexts[CONTRACT_CLIENT], pem, len, &err);
}

static struct bufferevent *make(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options)
{
    enum evtls_role evtls_role = role == CONTRACT_SERVER ? EVTLS_SERVER : EVTLS_CLIENT;
    struct evtls_error err;
    struct bufferevent *bev =
        evtls_bufferevent_socket_new(base, fd, contexts[role], evtls_role, bev_options, &err);

    if (bev == NULL)
        fprintf(stderr, "%s\n", err.message);
    else if (role == CONTRACT_CLIENT)
        evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), "localhost", NULL);
    return bev;
}

static struct bufferevent *http_bevcb(struct event_base *base, void *transport)
{
    return evtls_evhttp_bevcb(base, contexts[CONTRACT_SERVER]);
}

static const struct contract_known known[] = {
    {"limits__group_totals", "libevent counts them only where it charges the group itself", 0},
    {0},
};

const struct contract_transport contract_transport_evtls = {
    .name = "evtls",
    .what = "evtls_bufferevent_socket_new",
    .traits = CONTRACT_TLS | CONTRACT_FD | CONTRACT_PRIORITY | CONTRACT_RATE | CONTRACT_HTTP,
    .set_up = set_up,
    .make = make,
    .http_bevcb = http_bevcb,
    .add_to_rate_limit_group = evtls_bufferevent_add_to_rate_limit_group,
    .remove_from_rate_limit_group = evtls_bufferevent_remove_from_rate_limit_group,
    .known = known,
};
