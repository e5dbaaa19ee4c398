/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a context and its copies share, so that a reload (copy, change, seal, swap) loses neither
 * sessions nor the key log: ticket keys, the server's session cache, and the key log.
 *
 * Reference counted; any thread may use it.
 */
#ifndef EVTLS_SRC_LINEAGE_H
#define EVTLS_SRC_LINEAGE_H

#include <stdbool.h>

#include "session_cache.h"
#include "ticket_keys.h"

struct evtls_keylog;
struct evtls_lineage;

#define EVTLS_LINEAGE_ID_LENGTH 16

/* NULL when memory or randomness is missing. */
struct evtls_lineage *evtls_lineage_new(void);
struct evtls_lineage *evtls_lineage_incref(struct evtls_lineage *lineage);
void evtls_lineage_free(struct evtls_lineage *lineage);

/* Random bytes that no other lineage has; part of what a session is bound to. */
const unsigned char *evtls_lineage_get_id(const struct evtls_lineage *lineage);

struct evtls_ticket_keys *evtls_lineage_get_ticket_keys(struct evtls_lineage *lineage);
struct evtls_session_cache *evtls_lineage_get_session_cache(struct evtls_lineage *lineage);

/* The key log from now on (NULL: none); takes over the caller's reference. */
void evtls_lineage_set_keylog(struct evtls_lineage *lineage, struct evtls_keylog *keylog);

/* Cheap; what it says may be out of date at once. */
bool evtls_lineage_has_keylog(const struct evtls_lineage *lineage);

/* A reference of the caller's on the key log, or NULL. */
struct evtls_keylog *evtls_lineage_get_keylog(struct evtls_lineage *lineage);

#endif
