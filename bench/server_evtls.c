/* TLS by evtls. */
#include "common.h"
#include "server.h"

#include <event2/bufferevent.h>
#include <openssl/pem.h>

#include <evtls/bufferevent.h>

/* The certificate and its key in one text. */
static BIO *make_pem(const struct server *server)
{
    BIO *pem = BIO_new(BIO_s_mem());

    if (pem == NULL || !PEM_write_bio_X509(pem, server->certificate) ||
        !PEM_write_bio_PrivateKey(pem, server->key, NULL, NULL, 0, NULL, NULL))
        bench_die_ssl("writing the certificate");
    return pem;
}

static void *context_new(const struct server *server)
{
    struct evtls_error err;
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, &err);
    BIO *pem = make_pem(server);
    char *data;
    size_t len = (size_t)BIO_get_mem_data(pem, &data);

    if (ctx == NULL ||
        evtls_context_load_cert_chain_data(ctx, data, len, NULL, 0, NULL, &err) != 0 ||
        evtls_context_set_num_tickets(ctx, server->tickets, &err) != 0 ||
        evtls_context_seal(ctx, &err) != 0)
        bench_die("%s", err.message);
    BIO_free(pem);
    return ctx;
}

static struct bufferevent *bufferevent_new(struct event_base *base, int fd, void *context)
{
    return evtls_bufferevent_socket_new(base, fd, context, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE,
                                        NULL);
}

static struct bufferevent *filter_new(struct bufferevent *underlying, void *context)
{
    return evtls_bufferevent_filter_new(underlying, context, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE,
                                        NULL);
}

static void context_free(void *context)
{
    evtls_context_free(context);
}

const struct server_tls server_tls_evtls = {context_new, bufferevent_new, filter_new,
                                            bufferevent_free, context_free};
