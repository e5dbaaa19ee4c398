/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls_bufferevent_connect_hostname for who is not its caller: a lookup that starts from the loop.
 */
#ifndef EVTLS_SRC_CONNECT_HOSTNAME_H
#define EVTLS_SRC_CONNECT_HOSTNAME_H

#include <stdbool.h>

#include <event2/bufferevent.h>

struct evdns_base;

/*
 * from_loop: the lookup (the system's, too) starts from the loop. Else as the public call.
 */
int evtls_connect_start(struct bufferevent *bev, struct evdns_base *dns, int family,
                        const char *host, int port, bool from_loop);

#endif
