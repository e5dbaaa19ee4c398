/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Servers on loopback addresses that share a port, names for them, and a client that writes down
 * what it is told: "handshake connected", "failed error" ...
 */
#ifndef EVTLS_TESTS_CONNECT_WORLD_H
#define EVTLS_TESTS_CONNECT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include <evtls/evtls.h>

#include "support/dns.h"

#define WORLD_MAX_SERVERS 4

struct evconnlistener;
struct black_hole;
struct tmpdir;

struct world {
    struct event_base *base;
    struct tmpdir *dir;
    struct pki *pki;
    struct evtls_context *server_ctx, *client_ctx;
    struct dns *dns;
    struct evconnlistener *listeners[WORLD_MAX_SERVERS];
    unsigned n_listeners;
    struct black_hole *hole;
    uint16_t port;
    unsigned accepted;        /* connections of all servers */
    char sni[256];            /* that the last of them sent; "-": none */
    struct bufferevent *bev;  /* the client */
    struct evtls_error error; /* what its error callback was given */
    int sys_errno;            /* errno in its event callback */
    char log[256];
    unsigned events; /* BEV_EVENT_* callbacks */
    bool over;       /* connected or failed */
};

extern struct world world;

/* options: BEV_OPT_* of the client. Its certificate names: localhost, race.test, 127.0.0.1, ::1. */
void world_open(int options);
void world_close(void);

/* The same without another turn of the loop; world_close does nothing then. */
void world_close_at_once(void);

/* A new client in the place of the last. */
void world_new_client(int options);
void world_new_client_as(enum evtls_role role, struct evtls_context *ctx);

/* A TLS server at an address of the world's port; the first chooses it. false: not possible. */
bool world_serve(const char *address);

/* An address that never answers, on the port. */
bool world_black_hole(const char *address);

/* Takes a port where nothing listens on 127.0.0.1. */
void world_dead_port(void);

/* A line of the resolver's hosts file. */
void world_hosts(const char *text);

/* Starts to connect by the name server, which must be accepted. */
void world_connect(int family, const char *host);

/* Forgets what was told. */
void world_clear(void);

/* Runs until the server has completed a handshake, too. */
void world_wait_for_server(void);

/* Runs until it is connected or has failed (at most 50 s). */
void world_wait(void);

void world_set_deadline(long ms);

#endif
