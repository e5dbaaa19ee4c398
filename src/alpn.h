/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of application protocols (ALPN, RFC 7301) in their form on the wire: each name behind a
 * byte with its length.
 */
#ifndef EVTLS_SRC_ALPN_H
#define EVTLS_SRC_ALPN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Encodes n names into *wire, which belongs to the caller (free); *wire NULL and *len 0 for an
 * empty list. Returns 0, EVTLS_ERR_USAGE (a NULL or empty name, one over 255 bytes, a list over
 * 65,535) or EVTLS_ERR_NOMEM, and *wire is untouched then.
 */
int evtls_alpn_encode(const char *const *protocols, size_t n, unsigned char **wire, size_t *len);

/*
 * The first name of ours that stands in theirs as well; *name points into ours. theirs comes from
 * a peer: what is malformed in it is not looked at. False when there is none.
 */
bool evtls_alpn_select(const unsigned char *ours, size_t ours_len, const unsigned char *theirs,
                       size_t theirs_len, const unsigned char **name, unsigned char *name_len);

#endif
