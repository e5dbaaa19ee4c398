/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lookup of a host's addresses, as RFC 8305, section 3, has it: AAAA and A are asked for
 * apart, and A waits a little for AAAA.
 *
 * evdns is never touched again after a question was asked, since its base may be gone by then.
 * Its answer finds the question by a number, or nobody. It only wakes the owner, whose event runs
 * from the loop: no callback of evdns ever takes a lock of a bufferevent's.
 *
 * Everything but the answer is called with one lock of the owner's held.
 */
#ifndef EVTLS_SRC_RESOLVE_H
#define EVTLS_SRC_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/util.h>

#include "addresses.h"

struct evdns_base;

/* How long A records wait for AAAA records ("Resolution Delay"). */
#define EVTLS_RESOLUTION_DELAY_MS 50

enum evtls_question_state {
    EVTLS_QUESTION_NONE,
    EVTLS_QUESTION_ASKED,
    EVTLS_QUESTION_ANSWERED,
    EVTLS_QUESTION_USED /* its addresses were handed out */
};

struct evtls_question {
    LIST_ENTRY(evtls_question) link; /* while ASKED */
    uintptr_t id;
    struct event *wake;
    enum evtls_question_state state;
    int code; /* EVUTIL_EAI_*, or 0 */
    struct evutil_addrinfo *result;
};

struct evtls_lookup {
    struct event *wake;         /* the owner's; active or timed out: call collect */
    struct evtls_question ipv6; /* the system's resolver: all addresses */
    struct evtls_question ipv4;
    bool delayed; /* the resolution delay runs */
};

/*
 * Starts; answers may be there when it returns. dns NULL: asks the system's resolver, and has its
 * answer then. numeric: host is an address. wake is the owner's event.
 */
void evtls_lookup_start(struct evtls_lookup *lookup, struct event *wake, struct evdns_base *dns,
                        int family, const char *host, bool numeric, int port);

/* Adds the addresses that may be used now. delay_over: wake timed out. */
void evtls_lookup_collect(struct evtls_lookup *lookup, bool delay_over,
                          struct evtls_addresses *addresses);

/* True when no more addresses will come. */
bool evtls_lookup_is_over(const struct evtls_lookup *lookup);

/* Why there are no addresses, when there are none: EVUTIL_EAI_*. */
int evtls_lookup_get_code(const struct evtls_lookup *lookup);

/* Forgets the questions; for an owner that is done with it. */
void evtls_lookup_stop(struct evtls_lookup *lookup);

#endif
