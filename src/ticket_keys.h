/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys that a server's session tickets are encrypted under (RFC 5077, section 4: AES-256 in
 * CBC mode, HMAC with SHA-256).
 *
 * New tickets use the newest key. It is replaced when it is EVTLS_TICKET_KEY_LIFETIME seconds old,
 * and the one before it still opens tickets for as long again, which is longer than a ticket is
 * accepted. Older keys are wiped: who takes them from the process later reads no recorded
 * connection of then.
 *
 * Any thread may use them. Time is a parameter: seconds of a clock that never jumps.
 */
#ifndef EVTLS_SRC_TICKET_KEYS_H
#define EVTLS_SRC_TICKET_KEYS_H

#include <stdint.h>

#include <openssl/evp.h>

#define EVTLS_TICKET_KEY_LIFETIME (12 * 3600)
#define EVTLS_TICKET_KEY_NAME_LENGTH 16
#define EVTLS_TICKET_IV_LENGTH 16

struct evtls_ticket_keys;

/* NULL when memory or randomness is missing; an entry may be left in OpenSSL's error queue. */
struct evtls_ticket_keys *evtls_ticket_keys_new(void);
void evtls_ticket_keys_free(struct evtls_ticket_keys *keys);

/*
 * Prepares cipher and mac for a new ticket, and fills in the name of the key and a fresh iv.
 * Returns 1, or -1 on failure.
 */
int evtls_ticket_keys_seal(struct evtls_ticket_keys *keys, int64_t now,
                           unsigned char name[EVTLS_TICKET_KEY_NAME_LENGTH],
                           unsigned char iv[EVTLS_TICKET_IV_LENGTH], EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac);

/*
 * Prepares cipher and mac to open a ticket of that name. Returns 1; 2 where the key is not the
 * newest, so that the client should get a new ticket; 0 where there is no such key (any more);
 * -1 on failure.
 */
int evtls_ticket_keys_open(struct evtls_ticket_keys *keys, int64_t now,
                           const unsigned char name[EVTLS_TICKET_KEY_NAME_LENGTH],
                           const unsigned char iv[EVTLS_TICKET_IV_LENGTH],
                           EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

#endif
