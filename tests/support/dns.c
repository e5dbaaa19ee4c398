/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/dns_struct.h>

#include "require.h"

#define MAX_RECORDS 64
#define TTL 60

struct record {
    char name[64];
    int family;
    unsigned char address[16];
};

struct answer {
    LIST_ENTRY(answer) link;
    struct evdns_server_request *request;
    struct event *timer;
};

struct dns {
    struct event_base *base;
    struct evdns_server_port *server;
    struct evdns_base *resolver;
    struct record records[MAX_RECORDS];
    size_t n;
    int delay_ms[2]; /* IPv4, IPv6 */
    unsigned questions;
    LIST_HEAD(, answer) late;
};

static int *delay_of(struct dns *dns, int family)
{
    return &dns->delay_ms[family == AF_INET6];
}

/* Puts the answer to the first question into the request: 0, or 3, no such name. */
static int fill(struct dns *dns, struct evdns_server_request *request)
{
    const struct evdns_server_question *q = request->questions[0];
    int family = q->type == EVDNS_TYPE_AAAA ? AF_INET6 : AF_INET;
    unsigned char addresses[MAX_RECORDS * 16];
    size_t len = family == AF_INET6 ? 16 : 4, n = 0;
    bool known = false;

    for (size_t i = 0; i < dns->n; i++) {
        const struct record *record = &dns->records[i];

        if (strcasecmp(record->name, q->name) == 0) {
            known = true;
            if (record->family == family)
                memcpy(addresses + len * n++, record->address, len);
        }
    }
    if (n > 0 && family == AF_INET6)
        evdns_server_request_add_aaaa_reply(request, q->name, (int)n, addresses, TTL);
    else if (n > 0)
        evdns_server_request_add_a_reply(request, q->name, (int)n, addresses, TTL);
    return known ? 0 : 3;
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    struct answer *answer = arg;

    (void)fd;
    (void)what;
    LIST_REMOVE(answer, link);
    evdns_server_request_respond(answer->request, 0);
    event_free(answer->timer);
    free(answer);
}

static void answer_later(struct dns *dns, struct evdns_server_request *request, int ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct answer *answer = calloc(1, sizeof *answer);

    support_require(answer != NULL);
    answer->request = request;
    answer->timer = evtimer_new(dns->base, on_late, answer);
    support_require(answer->timer != NULL && evtimer_add(answer->timer, &tv) == 0);
    LIST_INSERT_HEAD(&dns->late, answer, link);
}

static void on_request(struct evdns_server_request *request, void *arg)
{
    struct dns *dns = arg;
    int type = request->nquestions == 1 ? request->questions[0]->type : 0;
    int code, ms;

    dns->questions++;
    if (type != EVDNS_TYPE_A && type != EVDNS_TYPE_AAAA) {
        evdns_server_request_respond(request, 4);
        return;
    }
    ms = *delay_of(dns, type == EVDNS_TYPE_AAAA ? AF_INET6 : AF_INET);
    if (ms < 0) {
        evdns_server_request_drop(request);
        return;
    }
    code = fill(dns, request);
    if (ms > 0)
        answer_later(dns, request, ms);
    else
        evdns_server_request_respond(request, code);
}

struct dns *dns_new(struct event_base *base)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    struct dns *dns = calloc(1, sizeof *dns);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char address[32];

    support_require(dns != NULL && fd >= 0);
    support_require(bind(fd, (struct sockaddr *)&sin, len) == 0);
    support_require(getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
    dns->base = base;
    LIST_INIT(&dns->late);
    dns->server = evdns_add_server_port_with_base(base, fd, 0, on_request, dns);
    dns->resolver = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    support_require(dns->server != NULL && dns->resolver != NULL);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(sin.sin_port));
    support_require(evdns_base_nameserver_ip_add(dns->resolver, address) == 0);
    return dns;
}

struct evdns_base *dns_resolver(struct dns *dns)
{
    return dns->resolver;
}

void dns_free_resolver(struct dns *dns, int fail_requests)
{
    if (dns->resolver != NULL)
        evdns_base_free(dns->resolver, fail_requests);
    dns->resolver = NULL;
}

void dns_free(struct dns *dns)
{
    struct answer *answer;

    dns_free_resolver(dns, 0);
    while ((answer = LIST_FIRST(&dns->late)) != NULL) {
        LIST_REMOVE(answer, link);
        evdns_server_request_drop(answer->request);
        event_free(answer->timer);
        free(answer);
    }
    evdns_close_server_port(dns->server);
    free(dns);
}

void dns_add(struct dns *dns, const char *name, const char *address)
{
    struct record *record = &dns->records[dns->n++];

    support_require(dns->n <= MAX_RECORDS && strlen(name) < sizeof record->name);
    strcpy(record->name, name);
    record->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    support_require(inet_pton(record->family, address, record->address) == 1);
}

void dns_delay(struct dns *dns, int family, int ms)
{
    *delay_of(dns, family) = ms;
}

unsigned dns_questions(const struct dns *dns)
{
    return dns->questions;
}
