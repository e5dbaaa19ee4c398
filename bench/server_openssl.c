/* TLS by libevent's own bufferevent_openssl, used as its documentation shows. */
#include "server.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>

static void *context_new(const struct server *server)
{
    return server_ssl_ctx_new(server);
}

static struct bufferevent *bufferevent_new(struct event_base *base, int fd, void *context)
{
    SSL *ssl = SSL_new(context);

    if (ssl == NULL)
        return NULL;
    return bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

static struct bufferevent *filter_new(struct bufferevent *underlying, void *context)
{
    SSL *ssl = SSL_new(context);

    if (ssl == NULL)
        return NULL;
    return bufferevent_openssl_filter_new(bufferevent_get_base(underlying), underlying, ssl,
                                          BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

/* bufferevent_free alone would close without close_notify. */
static void close_and_free(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);

    SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
    SSL_shutdown(ssl);
    bufferevent_free(bev);
}

static void context_free(void *context)
{
    SSL_CTX_free(context);
}

const struct server_tls server_tls_openssl = {context_new, bufferevent_new, filter_new,
                                              close_and_free, context_free};
