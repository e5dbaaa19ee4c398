/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

struct sample_connection {
    struct bufferevent *bev;
    LIST_ENTRY(sample_connection) next;
};

static void drop_connection(void *data)
{
    struct sample_connection *connection = data;

    LIST_REMOVE(connection, next);
    free(connection);
}

int sample_remember(struct sample_connections *connections, struct bufferevent *bev)
{
    struct sample_connection *connection = malloc(sizeof(*connection));

    if (connection == NULL)
        return -1;
    connection->bev = bev;
    LIST_INSERT_HEAD(connections, connection, next);
    evtls_engine_set_user_data(evtls_bufferevent_get_engine(bev), connection, drop_connection);
    return 0;
}

void sample_forget(struct bufferevent *bev)
{
    evtls_engine_set_user_data(evtls_bufferevent_get_engine(bev), NULL, NULL);
}

int sample_load_identity(struct evtls_context *ctx, const char *cert, const char *key,
                         struct evtls_error *err)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "::1"};

    if (cert != NULL)
        return evtls_context_load_cert_chain(ctx, cert, key, NULL, err);
    return evtls_context_use_self_signed(ctx, names, 3, err);
}

/* The options of all servers, then the program's own. Returns 0, or -1: too many. */
static int join_options(struct sample_option *all, const struct sample_option *own,
                        struct sample_server *server)
{
    const struct sample_option common[] = {
        {.name = "listen", .value = &server->listen},
        {.name = "cert", .value = &server->cert},
        {.name = "key", .value = &server->key},
        {.name = "write-cert", .value = &server->write_cert},
    };
    size_t n = sizeof(common) / sizeof(common[0]);

    memcpy(all, common, sizeof(common));
    for (; own && own->name && n < SAMPLE_MAX_OPTIONS; own++)
        all[n++] = *own;
    memset(&all[n], 0, sizeof(all[n]));
    return own && own->name ? -1 : 0;
}

int sample_server_parse(struct sample_server *server, int argc, char **argv, const char *usage,
                        const struct sample_option *own)
{
    struct sample_option options[SAMPLE_MAX_OPTIONS + 1];
    int first, status;

    sample_init(argv[0]);
    memset(server, 0, sizeof(*server));
    server->listen = "127.0.0.1:4433";
    if (join_options(options, own, server) < 0)
        return EXIT_FAILURE;
    status = sample_parse_options(argc, argv, options, usage, &first);
    if (status != SAMPLE_GO_ON)
        return status;
    server->operands = argv + first;
    server->n_operands = argc - first;
    if (server->key != NULL && server->cert == NULL)
        return sample_usage_error("--key needs --cert");
    if (sample_parse_endpoint(&server->listen_at, server->listen) < 0)
        return sample_usage_error("--listen needs ADDR:PORT or :PORT");
    return SAMPLE_GO_ON;
}

int sample_write_certificate(const struct evtls_context *ctx, const char *path)
{
    size_t len;
    const char *pem = evtls_certificate_get_pem(evtls_context_get_certificate(ctx), &len);

    if (path == NULL || sample_write_file(path, pem, len) == 0)
        return 0;
    sample_error("%s: %s", path, strerror(errno));
    return -1;
}

int sample_server_start(struct sample_server *server)
{
    struct evtls_error err;

    if (server->n_operands > 0)
        return sample_usage_error("too many arguments");
    server->base = event_base_new();
    if (server->base == NULL || sample_signals_init(&server->signals, server->base) < 0) {
        sample_error("no event loop");
        return EXIT_FAILURE;
    }
    server->ctx = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, NULL, &err);
    if (server->ctx == NULL ||
        sample_load_identity(server->ctx, server->cert, server->key, &err) < 0 ||
        evtls_context_seal(server->ctx, &err) < 0) {
        sample_error("%s", err.message);
        return EXIT_FAILURE;
    }
    return sample_write_certificate(server->ctx, server->write_cert) < 0 ? EXIT_FAILURE
                                                                         : SAMPLE_GO_ON;
}

int sample_server_init(struct sample_server *server, int argc, char **argv, const char *usage)
{
    int status = sample_server_parse(server, argc, argv, usage, NULL);

    return status == SAMPLE_GO_ON ? sample_server_start(server) : status;
}

static void accept_again(evutil_socket_t fd, short what, void *listener)
{
    evconnlistener_enable(listener);
}

/* Out of descriptors, or the like: without a rest the loop would do nothing but fail to accept. */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
    const struct timeval rest = {0, 100000};

    evconnlistener_disable(listener);
    event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, accept_again, listener,
                    &rest);
}

static int listen_on(struct sample_server *server, evconnlistener_cb accepted, void *arg)
{
    evutil_socket_t fd = sample_listen(&server->listen_at);

    if (fd < 0)
        return EXIT_FAILURE;
    server->listener = evconnlistener_new(server->base, accepted, arg,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (server->listener == NULL) {
        sample_error("no listener");
        evutil_closesocket(fd);
        return EXIT_FAILURE;
    }
    evconnlistener_set_error_cb(server->listener, accept_failed);
    return SAMPLE_GO_ON;
}

static void print_address(evutil_socket_t fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char text[SAMPLE_ADDRESS_SIZE];

    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        printf("listening on %s\n", sample_format_address(text, (struct sockaddr *)&address));
}

static void close_all(struct sample_connections *connections)
{
    struct sample_connection *connection;

    while ((connection = LIST_FIRST(connections)) != NULL) {
        struct bufferevent *bev = connection->bev;

        sample_forget(bev);
        evtls_bufferevent_close(bev, NULL);
    }
}

int sample_server_run(struct sample_server *server, evconnlistener_cb accepted, void *arg,
                      struct sample_connections *connections)
{
    int status = listen_on(server, accepted, arg);

    if (status != SAMPLE_GO_ON)
        return status;
    print_address(evconnlistener_get_fd(server->listener));
    status = event_base_dispatch(server->base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    evconnlistener_disable(server->listener);
    if (server->stopping)
        server->stopping();
    close_all(connections);
    while (evtls_event_base_get_num_closing(server->base) > 0)
        if (event_base_loop(server->base, EVLOOP_ONCE) != 0)
            break;
    return status;
}

void sample_server_cleanup(struct sample_server *server)
{
    if (server->listener)
        evconnlistener_free(server->listener);
    sample_signals_cleanup(&server->signals);
    evtls_context_free(server->ctx);
    if (server->base)
        event_base_free(server->base);
}
