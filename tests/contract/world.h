/*
 * The world of one row: an event base, a client end and a server end, a listener, and a log of what
 * each end was told.
 *
 * An end is a bufferevent with callbacks that write a log, count, check what arrives and then call
 * the row's hook. Both ends send the same endless pattern, so that any byte lost, doubled, changed
 * or out of order is found at its place.
 */
#ifndef CONTRACT_WORLD_H
#define CONTRACT_WORLD_H

#include "transport.h"

#include <check.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct contract;
struct contract_row;

struct end {
    struct contract *c;
    struct bufferevent *bev; /* NULL before it is made and after the row has freed it */
    const char *name;
    enum contract_role role;

    /* One letter a callback, in order: C connected, R read, W write, E end of file, X error, T
     * timeout; runs of R or W once. */
    char log[64];
    size_t reads, writes, connects, eofs, errors, timeouts, ends; /* ends: EOF or ERROR */
    short what; /* flags of the last event, and the errno of that moment */
    int err;

    uint64_t sent, received; /* places in the pattern */
    bool hold;               /* what arrives stays in the input */
    bool text;               /* it is not the pattern: it stays there even at the end */
    size_t sip;              /* bytes that a slow reader takes at each tick */
    struct event *tick;

    /* The row's hooks, called last: each may free the end. */
    void (*on_read)(struct end *);
    void (*on_write)(struct end *);
    void (*on_event)(struct end *, short what);
    void (*on_tick)(struct end *);
    void *arg;
};

struct contract {
    const struct contract_transport *t;
    const struct contract_row *row;
    struct event_base *base;
    struct end client, server;

    /* Set before the pair or the connection is made. */
    int options;     /* bufferevent options of both ends */
    int buffer_size; /* SO_SNDBUF and SO_RCVBUF of each descriptor; 0: the kernel's */
    bool unix_pair;  /* a UNIX socket pair where TCP would do */

    struct evconnlistener *listener;
    struct sockaddr_storage address;
    int address_len;
    size_t accepts;
    void (*on_accept)(struct contract *, evutil_socket_t fd); /* NULL: wraps it as the server end */

    unsigned fds_before;
};

/* --- a row's start and finish, called by contract.c --- */

/* How long a row waits for what it expects; known failures get less patience. */
extern double contract_patience_s;

void contract_begin(struct contract *c, const struct contract_transport *t,
                    const struct contract_row *row);
/* Frees what is left, runs the last finalisers, frees the base and checks that every descriptor
 * came back. */
void contract_finish(struct contract *c);
/* What was begun again within one row: a fresh base and two fresh ends. */
void contract_again(struct contract *c);

/* --- making ends --- */

/* Two connected, non-blocking descriptors: fds[0] for the client, fds[1] for the server. */
void contract_fds(struct contract *c, evutil_socket_t fds[2]);
/* Gives an end a bufferevent over fd (-1: none) with the logging callbacks; enabled as the
 * constructor left it. */
void contract_make(struct contract *c, struct end *e, evutil_socket_t fd);
/* Two ends over a connection, both enabled for reading and writing; the loop has not turned. */
void contract_pair_start(struct contract *c);
/* The same, after the handshake where there is one; nothing is pending and the logs are empty. */
void contract_pair(struct contract *c);
/* A further pair on the same base; made as contract_pair does. */
void contract_pair_ends(struct contract *c, struct end *client, struct end *server);
/* A listener on 127.0.0.1, or on a UNIX socket; what it accepts becomes the server end, enabled
 * both ways. */
void contract_listen(struct contract *c);
void contract_listen_unix(struct contract *c);
void contract_stop_listening(struct contract *c);
unsigned contract_port(const struct contract *c);
/* A client end that bufferevent_socket_connect has sent to the listener. */
void contract_connect(struct contract *c);
/* The same call for any end that has its bufferevent: what it returned. */
int end_connect(struct end *e);
/* After contract_connect: 1,000 bytes each way, behind one CONNECTED. */
void contract_expect_exchange(struct contract *c);
/* An end that shares the base, for rows that need more than two. Free it with end_free. */
void end_init(struct contract *c, struct end *e, enum contract_role role, const char *name);

/* --- what an end does --- */

void end_free(struct end *e);
/* The same, seen by the peer as a reset without any goodbye: the socket is taken away from under
 * the bufferevent. */
void end_reset(struct end *e);
/* Writes the next n bytes of the pattern. */
void end_send(struct end *e, size_t n);
/* Takes at most n bytes from the input and checks them against the pattern. */
size_t end_take(struct end *e, size_t n);
size_t end_input(const struct end *e);
size_t end_output(const struct end *e);
/* From now on the end takes at most `bytes` at each tick, and holds no more than that in its input.
 */
void end_read_slowly(struct end *e, size_t bytes, unsigned ms);
void end_every(struct end *e, unsigned ms, void (*on_tick)(struct end *));
void end_forget(struct end *e); /* empties log and counters, not the places in the pattern */
void end_expect(const struct end *e, uint64_t received, const char *log);
/* Hooks that many rows use. */
void end_free_when_empty(struct end *e);
void end_free_on_event(struct end *e, short what);
struct end *end_other(struct end *e);

/* --- running --- */

/* Turns the loop until *counter has come to at_least; the row fails when patience ends first. */
void contract_wait(struct contract *c, const size_t *counter, size_t at_least, const char *what);
/* The same for a place in the pattern. */
void contract_wait_bytes(struct contract *c, const struct end *e, uint64_t received);
/* Turns the loop for so long, whatever happens. */
void contract_settle(struct contract *c, unsigned ms);
/* Turns the loop until nothing is ready at once. */
void contract_drain(struct contract *c);
double contract_now_s(void);

/* --- the pattern --- */

/* Once a process, before the first row. */
void contract_pattern_init(void);
/* A long run of the pattern in static memory that starts at its place 0 and repeats there: length
 * is a whole period. */
const void *contract_pattern_period(size_t *length);
/* Whether the n bytes at data are the pattern from `place` on. */
bool contract_pattern_is(const void *data, size_t n, uint64_t place);

#endif
