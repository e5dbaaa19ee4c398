/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protected records of any content, sent in the name of a peer whose handshake is complete: what
 * OpenSSL itself never sends (floods of empty records or alerts, messages out of place, wrong
 * padding, broken authentication).
 *
 *     struct peer *client = peer_new(&(struct peer_options){.sealable = true, ...});
 *     ... handshake ...
 *     struct seal *seal = seal_new(client);
 *     seal_record(seal, 21, "\1\132", 2);                a warning alert
 *     ... take peer_take's bytes to the other side ...
 *
 * Records go to the peer's own output. From seal_new on the peer must send nothing by itself, but
 * it still reads. Before, it must have sent nothing under its final keys: a server of TLS 1.3 has
 * no_tickets. Cipher suites: the AES-GCM ones, which a sealable peer offers alone.
 */
#ifndef EVTLS_TESTS_SUPPORT_SEAL_H
#define EVTLS_TESTS_SUPPORT_SEAL_H

#include "peer.h"

struct seal;

struct seal *seal_new(struct peer *peer);
void seal_free(struct seal *seal);

/* One record: content type (20 .. 23, or any other) and content, up to 65,000 bytes. */
void seal_record(struct seal *seal, uint8_t type, const void *data, size_t len);

/* The same with zeros as padding (TLS 1.3; type 0 makes a record of padding alone), and with one
 * bit of the result flipped. */
void seal_padded_record(struct seal *seal, uint8_t type, const void *data, size_t len, size_t pad);
void seal_broken_record(struct seal *seal, uint8_t type, const void *data, size_t len);

/* TLS 1.3: a KeyUpdate, and the next keys from then on. */
void seal_key_update(struct seal *seal, bool request);

#endif
