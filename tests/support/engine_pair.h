/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's and a server's engine over memory, with certificates and contexts of their own.
 *
 *     struct pair pair;
 *     pair_prepare(&pair, TLS1_3_VERSION);
 *     ... settings of pair.client_ctx and pair.server_ctx, which are not sealed yet ...
 *     pair_open(&pair);                    the engines; the client verifies "localhost"
 *     ck_assert(pair_connect(&pair));
 *     ...
 *     pair_close(&pair);
 */
#ifndef EVTLS_TESTS_SUPPORT_ENGINE_PAIR_H
#define EVTLS_TESTS_SUPPORT_ENGINE_PAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "engines.h"

struct pair {
    struct pki *pki;
    struct evtls_context *client_ctx, *server_ctx;
    struct end client, server;
};

/* Contexts for one version of TLS, or for all (version 0). */
void pair_prepare(struct pair *pair, int version);
void pair_open(struct pair *pair);
void pair_close(struct pair *pair);

/* New engines over the same contexts, from the beginning. */
void pair_reopen(struct pair *pair);

/* The handshake and what follows it. */
bool pair_connect(struct pair *pair);

/* pair_prepare, pair_open and pair_connect, which must succeed. */
void pair_open_connected(struct pair *pair, int version);

/* Moves up to max bytes of ciphertext and returns how many. */
size_t carry(struct end *from, struct end *to, size_t max);
#define CARRY_ALL ((size_t)-1)

/* Throws an end's output away. */
void drop_output(struct end *end);

/* Writes a string, which must be taken whole. */
void write_text(struct end *end, const char *text);

/* Reads all there is and compares it; returns the status that followed. */
int read_text(struct end *end, const char *expected);

/* The types of the records in an end's output, a letter each: h(andshake), c(hange cipher spec),
 * a(lert), d(ata, or anything encrypted with TLS 1.3), ? (something else or a cut one). Returns
 * dst. */
char *list_records(const struct end *end, char *dst, size_t size);

/* The plaintext length of an end's longest record of data, at most: its body's length. */
size_t longest_record(const struct end *end);

#endif
