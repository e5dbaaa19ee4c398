/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name a client verifies: a DNS name or an IP address, normalised. Pure; no OpenSSL.
 */
#ifndef EVTLS_SRC_HOSTNAME_H
#define EVTLS_SRC_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>

#include <evtls/error.h>

#include "private.h"

struct evtls_hostname {
    bool is_ip;
    /* Lower case, without a trailing dot, brackets or zone; an address in canonical form. */
    char text[256];
};

/* Normalises name, or EVTLS_ERR_USAGE as evtls_engine_set_server_hostname lists. */
EVTLS_PRIVATE int evtls_hostname_parse(struct evtls_hostname *host, const char *name,
                                       struct evtls_error *err);

/*
 * Normalises what a ClientHello named (len bytes, from the wire) for the SNI callback: lower
 * case, no trailing dot. Returns 1 with a name in out, 0 when it is to be taken for "none" (an IP
 * address), or -1 when it is malformed (NUL, a byte above 0x7f or below 0x21, empty, too long).
 */
int evtls_hostname_from_wire(char out[256], const unsigned char *name, size_t len);

#endif
