/* SPDX-License-Identifier: BSD-3-Clause */
/* tls-echo-client: sends a text over TLS and prints the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <evtls/evtls.h>
#include "sample_util.h"

static const char usage[] = "Usage: tls-echo-client [--cafile FILE] HOST PORT TEXT\n"
                            "Sends TEXT over TLS and prints what comes back, to its clean end.\n"
                            "  --cafile FILE  trust these CAs in place of the system's\n";

static void receive(struct bufferevent *bev, void *status)
{
    evbuffer_write(bufferevent_get_input(bev), fileno(stdout));
}

static void event(struct bufferevent *bev, short what, void *status)
{
    const struct evtls_error *error = evtls_engine_get_error(evtls_bufferevent_get_engine(bev));

    if (what & BEV_EVENT_CONNECTED) {
        evtls_bufferevent_shutdown_write(bev); /* the text was all; the answer still comes */
        return;
    }
    if (what & BEV_EVENT_EOF) /* the server's close_notify: nothing was cut off */
        *(int *)status = EXIT_SUCCESS;
    else
        sample_error("%s", error ? error->message : "cannot connect");
    event_base_loopexit(bufferevent_get_base(bev), NULL);
}

/* The handshake verifies the server's chain, and that it is the host we asked for. */
static struct bufferevent *call(struct event_base *base, struct evtls_context *ctx,
                                const char *host, int port, int *status)
{
    struct bufferevent *bev =
        evtls_bufferevent_socket_new(base, -1, ctx, EVTLS_CLIENT, BEV_OPT_CLOSE_ON_FREE, NULL);

    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev), host, NULL);
    bufferevent_setcb(bev, receive, NULL, event, status);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    bufferevent_socket_connect_hostname(bev, NULL, AF_INET, host, port);
    return bev;
}

int main(int argc, char **argv)
{
    struct evtls_ca ca = {.file = NULL};
    const struct sample_option options[] = {{.name = "cafile", .value = &ca.file}, {.name = NULL}};
    struct sample_signals signals = {NULL, NULL, 0};
    struct evtls_error err;
    int first, result = EXIT_FAILURE, status;

    sample_init(argv[0]);
    status = sample_parse_options(argc, argv, options, usage, &first);
    if (status != SAMPLE_GO_ON)
        return status;
    if (argc - first != 3)
        return sample_usage_error("HOST, PORT and TEXT are needed");

    struct event_base *base = event_base_new();
    struct evtls_context *ctx = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, &err);
    if (ctx == NULL) {
        sample_error("%s", err.message);
    } else if (sample_signals_init(&signals, base) == 0) {
        struct bufferevent *bev = call(base, ctx, argv[first], atoi(argv[first + 1]), &result);
        bufferevent_write(bev, argv[first + 2], strlen(argv[first + 2]));
        event_base_dispatch(base);
        bufferevent_free(bev);
        sample_signals_cleanup(&signals);
    }
    evtls_context_free(ctx);
    event_base_free(base);
    return result;
}
