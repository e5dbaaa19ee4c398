/*
 * What the contract suite needs from a transport.
 *
 * The rows say what programs written for libevent rely on. They know a transport only through this
 * table, so that the same body runs over a plain socket bufferevent and over every kind of TLS
 * bufferevent. A new transport is one file that fills this table and one line in contract.c.
 */
#ifndef CONTRACT_TRANSPORT_H
#define CONTRACT_TRANSPORT_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

enum contract_role { CONTRACT_CLIENT, CONTRACT_SERVER };

/* What a transport is and can do. A row names what it needs; a transport that lacks it skips the
 * row. */
enum contract_trait {
    CONTRACT_PLAIN = 1 << 0, /* what is written is what travels: shutdown(2) is a half close */
    CONTRACT_TLS =
        1
        << 1, /* BEV_EVENT_CONNECTED stands for a handshake; a cut stream can be told from an end */
    CONTRACT_FD = 1 << 2,       /* owns a descriptor: setfd, getfd, socket_connect, CLOSE_ON_FREE */
    CONTRACT_PRIORITY = 1 << 3, /* bufferevent_priority_set */
    CONTRACT_RATE = 1 << 4,     /* rate limits */
    CONTRACT_HTTP = 1 << 5,     /* usable under evhttp */
    CONTRACT_LONE = 1 << 6, /* no bufferevent below it, which freeing it may leave to the program */
};

/* A row that this transport does not pass, and why. It is run and measured all the same. */
struct contract_known {
    const char *row;
    const char *reason;
    int varies; /* it passes now and then: it gets the time that passing takes */
};

struct contract_transport {
    const char *name;
    const char *what; /* one line for the table */
    unsigned traits;

    /* Once a process, before any row and before any fork; touches no event base. Returns 0 or -1.
     */
    int (*set_up)(void);

    /* A bufferevent over fd (-1: none yet), callbacks unset, as the constructor leaves it. NULL:
     * refused. */
    struct bufferevent *(*make)(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options);

    /* For evhttp_set_bevcb; its argument is the transport. NULL: make() with CLOSE_ON_FREE. */
    struct bufferevent *(*http_bevcb)(struct event_base *base, void *transport);

    /* Joins a rate limit group. NULL: libevent's own call. */
    int (*add_to_rate_limit_group)(struct bufferevent *bev,
                                   struct bufferevent_rate_limit_group *group);
    int (*remove_from_rate_limit_group)(struct bufferevent *bev);

    /* After a row, when its base is gone: what make() could not give back. May be NULL. */
    void (*sweep)(void);

    const struct contract_known *known; /* ends with a NULL row; may be NULL */
};

extern const struct contract_transport contract_transport_socket;
extern const struct contract_transport contract_transport_openssl;
extern const struct contract_transport contract_transport_evtls;
extern const struct contract_transport contract_transport_plain;
extern const struct contract_transport contract_transport_filter;
extern const struct contract_transport contract_transport_filter_tls;

#endif
