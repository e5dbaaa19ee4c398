/* TLS by evtls. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <openssl/pem.h>

#include <evtls/bufferevent.h>

/* The certificate and its key in one text. */
static char *make_pem(const struct server *server, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *pem = NULL;

    if (bio && PEM_write_bio_X509(bio, server->certificate) &&
        PEM_write_bio_PrivateKey(bio, server->key, NULL, NULL, 0, NULL, NULL)) {
        *len = (size_t)BIO_get_mem_data(bio, &data);
        pem = strndup(data, *len);
    }
    BIO_free(bio);
    return pem;
}

static void *context_new(const struct server *server)
{
    struct evtls_error err;
    struct evtls_context *ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, &err);
    size_t len = 0;
    char *pem = make_pem(server, &len);

    if (ctx == NULL || pem == NULL ||
        evtls_context_load_cert_chain_data(ctx, pem, len, NULL, 0, NULL, &err) != 0 ||
        evtls_context_set_num_tickets(ctx, server->tickets, &err) != 0 ||
        evtls_context_seal(ctx, &err) != 0) {
        fprintf(stderr, "bench/server: %s\n", err.message);
        evtls_context_free(ctx);
        ctx = NULL;
    }
    free(pem);
    return ctx;
}

static struct bufferevent *bufferevent_new(struct event_base *base, int fd, void *context)
{
    return evtls_bufferevent_socket_new(base, fd, context, EVTLS_SERVER, BEV_OPT_CLOSE_ON_FREE,
                                        NULL);
}

static void context_free(void *context)
{
    evtls_context_free(context);
}

const struct server_tls server_tls_evtls = {context_new, bufferevent_new, bufferevent_free,
                                            context_free};
