/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A name server on the test's own event base, and a resolver (evdns) that asks it and nobody else.
 *
 *     struct dns *dns = dns_new(base);
 *     dns_add(dns, "both.test", "::1");
 *     dns_add(dns, "both.test", "127.0.0.1");
 *     dns_delay(dns, AF_INET6, 300);
 *     ... evtls_bufferevent_connect_hostname(bev, dns_resolver(dns), ...) ...
 *     dns_free(dns);
 *
 * A name that was never added does not exist; one without addresses of a family has an empty
 * answer.
 */
#ifndef EVTLS_TESTS_SUPPORT_DNS_H
#define EVTLS_TESTS_SUPPORT_DNS_H

#include <event2/dns.h>
#include <event2/event.h>

struct dns;

struct dns *dns_new(struct event_base *base);

/* Frees both. */
void dns_free(struct dns *dns);

/* The resolver, and its end: evdns_base_free with or without failing what is asked. */
struct evdns_base *dns_resolver(struct dns *dns);
void dns_free_resolver(struct dns *dns, int fail_requests);

void dns_add(struct dns *dns, const char *name, const char *address);

/* Answers of a family (AF_INET, AF_INET6) come so much later; negative: never. */
void dns_delay(struct dns *dns, int family, int ms);

/* Questions that came. */
unsigned dns_questions(const struct dns *dns);

#endif
