/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "resolve.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>

#include <event2/dns.h>

/* ---- Questions that evdns has ------------------------------------------------------------- */

static LIST_HEAD(, evtls_question) asked = LIST_HEAD_INITIALIZER(asked);
static uintptr_t last_id;
static pthread_mutex_t asked_lock = PTHREAD_MUTEX_INITIALIZER;

static struct evtls_question *find_locked(uintptr_t id)
{
    struct evtls_question *question;

    LIST_FOREACH(question, &asked, link)
    {
        if (question->id == id) {
            break;
        }
    }
    return question;
}

/* evdns calls it inside the question already where its hosts file has the answer. */
static void on_answer(int code, struct evutil_addrinfo *result, void *arg)
{
    struct evtls_question *question;

    pthread_mutex_lock(&asked_lock);
    question = find_locked((uintptr_t)arg);
    if (question) {
        LIST_REMOVE(question, link);
        question->state = EVTLS_QUESTION_ANSWERED;
        question->code = code;
        question->result = result;
        result = NULL;
        event_active(question->wake, EV_READ, 0);
    }
    pthread_mutex_unlock(&asked_lock);
    if (result) {
        evutil_freeaddrinfo(result);
    }
}

static uintptr_t enlist(struct evtls_question *question, struct event *wake)
{
    pthread_mutex_lock(&asked_lock);
    question->id = ++last_id;
    question->wake = wake;
    question->state = EVTLS_QUESTION_ASKED;
    LIST_INSERT_HEAD(&asked, question, link);
    pthread_mutex_unlock(&asked_lock);
    return question->id;
}

static void forget(struct evtls_question *question)
{
    pthread_mutex_lock(&asked_lock);
    if (question->state == EVTLS_QUESTION_ASKED) {
        LIST_REMOVE(question, link);
    }
    question->state = EVTLS_QUESTION_USED;
    pthread_mutex_unlock(&asked_lock);
    if (question->result) {
        evutil_freeaddrinfo(question->result);
        question->result = NULL;
    }
}

static enum evtls_question_state get_state(const struct evtls_question *question)
{
    enum evtls_question_state state;

    pthread_mutex_lock(&asked_lock);
    state = question->state;
    pthread_mutex_unlock(&asked_lock);
    return state;
}

/* ---- Asking ------------------------------------------------------------------------------- */

static void ask_evdns(struct evtls_question *question, struct event *wake, struct evdns_base *dns,
                      const char *host, const char *port, int family)
{
    struct evutil_addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    uintptr_t id = enlist(question, wake);

    (void)evdns_getaddrinfo(dns, host, port, &hints, on_answer, (void *)id);
}

static int ask_system(struct evutil_addrinfo **result, const char *host, const char *port,
                      int family, int flags)
{
    struct evutil_addrinfo hints = {.ai_flags = flags,
                                    .ai_family = family,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP};

    return evutil_getaddrinfo(host, port, &hints, result);
}

/* A zone (RFC 4007, section 11) is an interface's name or number; 0: neither. */
static unsigned get_zone(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    return *end == '\0' && number <= UINT32_MAX ? (unsigned)number : if_nametoindex(text);
}

/* getaddrinfo takes an interface's name with link-local addresses only. */
static int read_address(struct evutil_addrinfo **result, const char *host, const char *port,
                        int family)
{
    char address[INET6_ADDRSTRLEN] = "";
    const char *zone = strchr(host, '%');
    size_t len = zone ? (size_t)(zone - host) : strlen(host);
    unsigned index = zone ? get_zone(zone + 1) : 0;
    int code;

    if (len >= sizeof(address)) {
        return EVUTIL_EAI_FAIL;
    }
    memcpy(address, host, len);
    code = ask_system(result, address, port, family, EVUTIL_AI_NUMERICHOST);
    if (code == 0 && zone && index == 0) {
        evutil_freeaddrinfo(*result);
        *result = NULL;
        return EVUTIL_EAI_NONAME;
    }
    if (code == 0 && zone) {
        ((struct sockaddr_in6 *)(void *)(*result)->ai_addr)->sin6_scope_id = index;
    }
    return code;
}

static void answer(struct evtls_question *question, struct event *wake, int code)
{
    question->code = code;
    question->state = EVTLS_QUESTION_ANSWERED;
    event_active(wake, EV_READ, 0);
}

void evtls_lookup_start(struct evtls_lookup *lookup, struct event *wake, struct evdns_base *dns,
                        int family, const char *host, bool numeric, int port)
{
    char service[12];

    lookup->wake = wake;
    snprintf(service, sizeof(service), "%d", port);
    if (numeric) {
        answer(&lookup->ipv6, wake, read_address(&lookup->ipv6.result, host, service, family));
        return;
    }
    if (!dns) {
        answer(&lookup->ipv6, wake, ask_system(&lookup->ipv6.result, host, service, family, 0));
        return;
    }
    if (family != AF_INET) {
        ask_evdns(&lookup->ipv6, wake, dns, host, service, AF_INET6);
    }
    if (family != AF_INET6) {
        ask_evdns(&lookup->ipv4, wake, dns, host, service, AF_INET);
    }
}

/* ---- Answers ------------------------------------------------------------------------------ */

/* True when addresses were added. */
static bool use(struct evtls_question *question, struct evtls_addresses *addresses)
{
    if (get_state(question) != EVTLS_QUESTION_ANSWERED) {
        return false;
    }
    question->state = EVTLS_QUESTION_USED;
    if (!question->result) {
        return false;
    }
    evtls_addresses_add(addresses, question->result);
    evutil_freeaddrinfo(question->result);
    question->result = NULL;
    return true;
}

void evtls_lookup_collect(struct evtls_lookup *lookup, bool delay_over,
                          struct evtls_addresses *addresses)
{
    static const struct timeval delay = {0, EVTLS_RESOLUTION_DELAY_MS * 1000};

    use(&lookup->ipv6, addresses);
    if (get_state(&lookup->ipv6) == EVTLS_QUESTION_ASKED && addresses->n == 0 && !delay_over) {
        if (!lookup->delayed && get_state(&lookup->ipv4) == EVTLS_QUESTION_ANSWERED &&
            lookup->ipv4.result && event_add(lookup->wake, &delay) == 0) {
            lookup->delayed = true;
        }
        return;
    }
    use(&lookup->ipv4, addresses);
}

bool evtls_lookup_is_over(const struct evtls_lookup *lookup)
{
    enum evtls_question_state ipv6 = get_state(&lookup->ipv6), ipv4 = get_state(&lookup->ipv4);

    return (ipv6 == EVTLS_QUESTION_NONE || ipv6 == EVTLS_QUESTION_USED) &&
           (ipv4 == EVTLS_QUESTION_NONE || ipv4 == EVTLS_QUESTION_USED);
}

/* "No such name" says less than "the server failed" or "no memory", where the two differ. */
int evtls_lookup_get_code(const struct evtls_lookup *lookup)
{
    const int codes[] = {lookup->ipv6.code, lookup->ipv4.code};
    int code = EVUTIL_EAI_NODATA;

    for (int i = 0; i < 2; i++) {
        if (codes[i] == EVUTIL_EAI_NONAME && code == EVUTIL_EAI_NODATA) {
            code = codes[i];
        } else if (codes[i] != 0 && codes[i] != EVUTIL_EAI_NODATA &&
                   codes[i] != EVUTIL_EAI_NONAME) {
            code = codes[i];
        }
    }
    return code;
}

void evtls_lookup_stop(struct evtls_lookup *lookup)
{
    forget(&lookup->ipv6);
    forget(&lookup->ipv4);
}
