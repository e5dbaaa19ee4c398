/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bufferevent for where TLS cannot be had and the caller would go on in plaintext without one.
 */
#ifndef EVTLS_SRC_BEV_DEAD_H
#define EVTLS_SRC_BEV_DEAD_H

#include "private.h"

struct bufferevent;
struct event_base;

/*
 * A bufferevent that takes a descriptor, never reads from it nor sends to it, and raises
 * BEV_EVENT_READING|BEV_EVENT_ERROR once when it is enabled. Allocates nothing but libevent's
 * object. NULL when libevent cannot allocate one.
 */
EVTLS_PRIVATE struct bufferevent *evtls_bev_new_dead(struct event_base *base);

#endif
