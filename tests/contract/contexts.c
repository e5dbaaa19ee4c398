#include "contexts.h"

#include <evtls/certificate.h>
#include <stdio.h>

static struct evtls_context *contexts[2]; /* by enum contract_role */

int contract_contexts_make(void)
{
    static const char *const names[] = {"localhost"};
    struct evtls_error err;
    const char *pem;
    size_t len;

    if (contexts[CONTRACT_SERVER] != NULL)
        return 0;
    contexts[CONTRACT_SERVER] = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, &err);
    contexts[CONTRACT_CLIENT] = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, &err);
    if (contexts[CONTRACT_SERVER] == NULL || contexts[CONTRACT_CLIENT] == NULL ||
        evtls_context_use_self_signed(contexts[CONTRACT_SERVER], names, 1, &err) != 0)
        return -1;
    pem = evtls_certificate_get_pem(evtls_context_get_certificate(contexts[CONTRACT_SERVER]), &len);
    return evtls_context_load_verify_locations_data(contexts[CONTRACT_CLIENT], pem, len, &err);
}

struct evtls_context *contract_context(enum contract_role role)
{
    return contexts[role];
}

enum evtls_role contract_evtls_role(enum contract_role role)
{
    return role == CONTRACT_SERVER ? EVTLS_SERVER : EVTLS_CLIENT;
}

struct bufferevent *contract_made(struct bufferevent *bev, enum contract_role role,
                                  const struct evtls_error *err)
{
    if (bev == NULL)
        fprintf(stderr, "%s\n", err->message);
    else if (role == CONTRACT_CLIENT)
        evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), "localhost", NULL);
    return bev;
}
