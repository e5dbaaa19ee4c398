/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sample_server.h - the part that the small servers have in common: options, a context with an
 * identity, a listener, and an end in which nothing is lost.
 */
#ifndef SAMPLE_SERVER_H
#define SAMPLE_SERVER_H

#include <sys/queue.h>

#include <event2/listener.h>
#include <evtls/evtls.h>

#include "sample_address.h"
#include "sample_util.h"

struct sample_connection;
LIST_HEAD(sample_connections, sample_connection);

struct sample_server {
    struct event_base *base;
    struct evtls_context *ctx;
    struct evconnlistener *listener;
    struct sample_signals signals;
    const char *listen;
    const char *cert;
    const char *key;
    const char *write_cert;
    struct sample_endpoint listen_at;
    char **operands; /* sample_server_start takes none */
    int n_operands;
    void (*stopping)(void); /* called before sample_server_run closes what is remembered, or NULL */
};

/*
 * Parses the command line and makes the event base and the context. usage is what --help prints.
 * Returns SAMPLE_GO_ON, or an exit status. Either way sample_server_cleanup follows.
 */
int sample_server_init(struct sample_server *server, int argc, char **argv, const char *usage);

/*
 * The same in two steps, for a program that has options of its own (own: up to a NULL name, or
 * NULL) and checks them between the two.
 */
int sample_server_parse(struct sample_server *server, int argc, char **argv, const char *usage,
                        const struct sample_option *own);
int sample_server_start(struct sample_server *server);

/*
 * Listens, prints "listening on ADDR:PORT", and runs until SIGINT or SIGTERM. Then closes the
 * connections that are remembered, and waits until what they owed has been sent, for at most the
 * five seconds that evtls_bufferevent_close gives each. Returns an exit status.
 */
int sample_server_run(struct sample_server *server, evconnlistener_cb accepted, void *arg,
                      struct sample_connections *connections);

void sample_server_cleanup(struct sample_server *server);

/*
 * The identity of a sample: cert and key, or, without a cert, a certificate made in memory for
 * localhost, 127.0.0.1 and ::1.
 */
int sample_load_identity(struct evtls_context *ctx, const char *cert, const char *key,
                         struct evtls_error *err);

/* Writes the context's certificate to a file, where path is not NULL: 0, or -1 after a message. */
int sample_write_certificate(const struct evtls_context *ctx, const char *path);

/*
 * A list of open connections. The list entry is the user data of the connection's engine, so it
 * goes when the connection is freed. remember returns 0, or -1 without memory.
 */
int sample_remember(struct sample_connections *connections, struct bufferevent *bev);
void sample_forget(struct bufferevent *bev);

#endif
