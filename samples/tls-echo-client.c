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
        sample_error("%s", error->message);
    event_base_loopexit(bufferevent_get_base(bev), NULL);
}

/* The handshake verifies the server's chain, and that it is the host we asked for. */
static int call(struct event_base *base, struct evtls_context *ctx, const char *host, int port,
                const char *text)
{
    int status = EXIT_FAILURE;
    struct bufferevent *bev =
        evtls_bufferevent_socket_new(base, -1, ctx, EVTLS_CLIENT, BEV_OPT_CLOSE_ON_FREE, NULL);

    bufferevent_setcb(bev, receive, NULL, event, &status);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    bufferevent_write(bev, text, strlen(text));
    if (evtls_bufferevent_connect_hostname(bev, NULL, AF_UNSPEC, host, port) == 0)
        event_base_dispatch(base);
    else
        status = sample_usage_error("no host: %s", host);
    bufferevent_free(bev);
    return status;
}

int main(int argc, char **argv)
{
    struct evtls_ca ca = {.file = NULL};
    const struct sample_option options[] = {{.name = "cafile", .value = &ca.file}, {.name = NULL}};
    struct sample_signals signals = {NULL, NULL, 0};
    struct evtls_error err;
    int first, status;
    long port;

    sample_init(argv[0]);
    status = sample_parse_options(argc, argv, options, usage, &first);
    if (status != SAMPLE_GO_ON)
        return status;
    if (argc - first != 3 || sample_parse_number(&port, argv[first + 1], 1, 65535) < 0)
        return sample_usage_error("HOST, PORT and TEXT are needed");

    struct event_base *base = event_base_new();
    struct evtls_context *ctx = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, &err);

    status = EXIT_FAILURE;
    if (ctx == NULL) {
        sample_error("%s", err.message);
    } else if (sample_signals_init(&signals, base) == 0) {
        status = call(base, ctx, argv[first], (int)port, argv[first + 2]);
        sample_signals_cleanup(&signals);
    }
    evtls_context_free(ctx);
    event_base_free(base);
    return status;
}
