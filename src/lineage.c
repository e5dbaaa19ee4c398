/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "keylog.h"
#include "lineage.h"

struct evtls_lineage {
    atomic_uint references;
    unsigned char id[EVTLS_LINEAGE_ID_LENGTH];
    struct evtls_ticket_keys *ticket_keys;
    struct evtls_session_cache *session_cache;
    pthread_mutex_t keylog_lock;
    struct evtls_keylog *keylog;
    atomic_bool has_keylog;
};

struct evtls_lineage *evtls_lineage_new(void)
{
    struct evtls_lineage *lineage = calloc(1, sizeof(*lineage));

    if (lineage == NULL)
        return NULL;
    if (pthread_mutex_init(&lineage->keylog_lock, NULL) != 0) {
        free(lineage);
        return NULL;
    }
    atomic_init(&lineage->references, 1);
    atomic_init(&lineage->has_keylog, false);
    lineage->ticket_keys = evtls_ticket_keys_new();
    lineage->session_cache = evtls_session_cache_new(EVTLS_SESSION_CACHE_SIZE);
    if (lineage->ticket_keys == NULL || lineage->session_cache == NULL ||
        RAND_bytes(lineage->id, sizeof(lineage->id)) <= 0) {
        evtls_lineage_free(lineage);
        return NULL;
    }
    return lineage;
}

struct evtls_lineage *evtls_lineage_incref(struct evtls_lineage *lineage)
{
    atomic_fetch_add_explicit(&lineage->references, 1, memory_order_relaxed);
    return lineage;
}

void evtls_lineage_free(struct evtls_lineage *lineage)
{
    if (lineage == NULL ||
        atomic_fetch_sub_explicit(&lineage->references, 1, memory_order_acq_rel) > 1)
        return;
    evtls_ticket_keys_free(lineage->ticket_keys);
    evtls_session_cache_free(lineage->session_cache);
    evtls_keylog_free(lineage->keylog);
    pthread_mutex_destroy(&lineage->keylog_lock);
    free(lineage);
}

const unsigned char *evtls_lineage_get_id(const struct evtls_lineage *lineage)
{
    return lineage->id;
}

struct evtls_ticket_keys *evtls_lineage_get_ticket_keys(struct evtls_lineage *lineage)
{
    return lineage->ticket_keys;
}

struct evtls_session_cache *evtls_lineage_get_session_cache(struct evtls_lineage *lineage)
{
    return lineage->session_cache;
}

void evtls_lineage_set_keylog(struct evtls_lineage *lineage, struct evtls_keylog *keylog)
{
    struct evtls_keylog *old;

    pthread_mutex_lock(&lineage->keylog_lock);
    old = lineage->keylog;
    lineage->keylog = keylog;
    atomic_store(&lineage->has_keylog, keylog != NULL);
    pthread_mutex_unlock(&lineage->keylog_lock);
    evtls_keylog_free(old);
}

bool evtls_lineage_has_keylog(const struct evtls_lineage *lineage)
{
    return atomic_load(&lineage->has_keylog);
}

struct evtls_keylog *evtls_lineage_get_keylog(struct evtls_lineage *lineage)
{
    struct evtls_keylog *keylog;

    pthread_mutex_lock(&lineage->keylog_lock);
    keylog = evtls_keylog_incref(lineage->keylog);
    pthread_mutex_unlock(&lineage->keylog_lock);
    return keylog;
}
