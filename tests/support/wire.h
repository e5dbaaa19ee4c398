/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A scripted network between two real descriptors of one event loop: what arrives at one is passed
 * on to the other in pieces, late, and up to the script's cut.
 *
 *     int ends[2];
 *     struct wire *wire = wire_new(base, NET_TCP, &script, ends);
 *     ... a bufferevent on ends[0], another on ends[1], run the loop ...
 *     wire_free(wire);
 *
 * Both ends are non-blocking and belong to the caller. Delays are timers of the loop, so a virtual
 * clock makes them free. A direction that was cut swallows what else is sent; a reset cut closes
 * both sides at once (over TCP with a reset). EAGAIN and EINTR are for script_attach on the same
 * script.
 */
#ifndef EVTLS_TESTS_SUPPORT_WIRE_H
#define EVTLS_TESTS_SUPPORT_WIRE_H

#include "net.h"
#include "script.h"

struct event_base;
struct wire;

struct wire *wire_new(struct event_base *base, enum net_kind kind, const struct script *script,
                      int ends[2]);
void wire_free(struct wire *wire);

/* Bytes that a side sent and that reached the other. */
uint64_t wire_delivered(const struct wire *wire, unsigned side);

#endif
