/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An HTTPS server of evhttp's that counts connections, and a client of evhttp's that notes what
 * comes of its requests. No request and no reply may ever be seen in clear.
 */
#ifndef EVTLS_TESTS_EVHTTP_WORLD_H
#define EVTLS_TESTS_EVHTTP_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/http.h>

#include <evtls/evtls.h>

#define BIG_BYTES (6 * 1024 * 1024)

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

extern struct event_base *base;
extern struct pki *pki;
extern struct evtls_context *server_ctx, *client_ctx;
extern struct dns *dns;
extern struct evhttp *http;
extern struct evhttp_connection *evcon;
extern uint16_t port;
extern struct evhttp_connection *served; /* the server's end of the last request */
extern unsigned accepted;

struct seen {
    unsigned done, good; /* request callbacks; those with a page */
    unsigned handshakes, reused, errors;
    size_t body;
    struct evtls_error error; /* what get_error said in the last callback */
};
extern struct seen seen;

/* The fixture. race.test is ::1 and 127.0.0.1, other.test 127.0.0.1, by the name server. */
void evhttp_world_open(void);
void evhttp_world_close(void);

/* Serves at an address, on port; the first call chooses that. Pages: /big, /echo, /close (and the
 * connection with it), /never (no reply), and "page" for all others. */
void serve(const char *address);

/* Makes evcon, to host and port. */
void connect_with(struct evtls_context *ctx, struct evdns_base *resolver, const char *host);
void client_open(const char *host);

/* Makes a GET request, whose callback is on_done. */
struct evhttp_request *ask(const char *uri);
void on_done(struct evhttp_request *req, void *arg);
void wait_done(unsigned n);

/* One request that must bring a page. */
void expect_page(const char *uri);

/* One request, one callback, no page, and why. */
void expect_failure(const char *uri, enum evtls_status status);

#endif
