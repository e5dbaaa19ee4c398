/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https_client.h - gets one URL after the other over HTTPS: on one connection where the server
 * keeps it open, else with the session of the connection before. Tells a whole answer from one that
 * was cut off.
 */
#ifndef HTTPS_CLIENT_H
#define HTTPS_CLIENT_H

#include <evtls/evtls.h>

#include "http_response.h"
#include "https_sessions.h"
#include "https_url.h"
#include "progress.h"
#include "sample_address.h"

struct evdns_base;

/* What a URL ends with, beside EXIT_SUCCESS and EXIT_FAILURE. */
enum {
    HTTPS_CONNECT = 7,
    HTTPS_TRUNCATED = 18,
    HTTPS_TIMEOUT = 28,
    HTTPS_TLS = 35,
    HTTPS_CERTIFICATE = 60
};

struct https_client {
    /* Set by the program; the rest is zero. */
    struct event_base *base;
    struct evdns_base *dns; /* NULL: the system's resolver, which blocks */
    struct evtls_context *ctx;
    const struct sample_endpoint *connect_to; /* NULL: where the URL says */
    long timeout_seconds;                     /* for one URL */
    int verbose;
    int terminal; /* where to show progress, or -1 */
    int (*write_body)(const void *data, size_t len);

    /* The connection, which may outlive a URL. */
    struct bufferevent *bev;
    int ended; /* nothing more can come on it */
    struct https_sessions sessions;
    struct evtls_session *offered; /* on this connection, or NULL */

    /* The URL at hand. */
    const struct https_url *url;
    int keep; /* the next URL goes to the same host */
    struct http_response response;
    struct progress progress;
    uint64_t body_bytes;
    int reused; /* the request is not the first one on its connection */
    int whole;  /* the answer is complete */
    int done;   /* the first end counts: more callbacks may come in the same turn of the loop */
    int status;
};

/*
 * Gets url, running the loop until that is done. next: the URL that will be asked for after it, or
 * NULL. Returns an exit status, after a message where it is not 0; EXIT_FAILURE without one when
 * something else ended the loop.
 */
int https_client_get(struct https_client *client, const struct https_url *url,
                     const struct https_url *next);

void https_client_cleanup(struct https_client *client);

#endif
