/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions that a server keeps in memory, by their id: for TLS 1.2 clients that take no tickets.
 *
 * OpenSSL's own cache belongs to one SSL_CTX, so it would end with each reload, and it gives a
 * session out unseen. This one is shared by a lineage, bounded in number and time, and gives out
 * private copies: what a connection does to its session touches no other thread's.
 *
 * Any thread may use it. Nothing is allocated before the first session.
 */
#ifndef EVTLS_SRC_SESSION_CACHE_H
#define EVTLS_SRC_SESSION_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/* The most sessions kept; beyond it the one unused for longest goes. */
#define EVTLS_SESSION_CACHE_SIZE 4096

struct evtls_session_cache;

struct evtls_session_cache *evtls_session_cache_new(size_t size);
void evtls_session_cache_free(struct evtls_session_cache *cache);

/*
 * Keeps a copy of session until expiry (seconds since 1970). What is past its time goes. Failing
 * to is no error: the client will make a full handshake.
 */
void evtls_session_cache_add(struct evtls_session_cache *cache, const SSL_SESSION *session,
                             int64_t now, int64_t expiry);

/* A copy that belongs to the caller, or NULL. */
SSL_SESSION *evtls_session_cache_get(struct evtls_session_cache *cache, const unsigned char *id,
                                     size_t len, int64_t now);

void evtls_session_cache_remove(struct evtls_session_cache *cache, const unsigned char *id,
                                size_t len);

size_t evtls_session_cache_get_count(struct evtls_session_cache *cache);

#endif
