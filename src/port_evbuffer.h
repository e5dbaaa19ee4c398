/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port over two evbuffers.
 */
#ifndef EVTLS_SRC_PORT_EVBUFFER_H
#define EVTLS_SRC_PORT_EVBUFFER_H

#include "port.h"

struct evbuffer;

/* The argument of the operations; both buffers are borrowed. */
struct evtls_port_evbuffer {
    struct evbuffer *in;
    struct evbuffer *out;
};

extern const struct evtls_port_ops evtls_port_evbuffer_ops;

#endif
