/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "session_cache.h"

#define BUCKETS 1024 /* a power of two */

struct entry {
    struct entry *next_in_bucket;
    struct entry *newer, *older; /* by last use */
    SSL_SESSION *session;
    int64_t expiry;
    size_t len;
    unsigned char id[SSL_MAX_SSL_SESSION_ID_LENGTH];
};

struct evtls_session_cache {
    pthread_mutex_t lock;
    size_t size;
    size_t count;
    struct entry **buckets; /* NULL before the first session */
    struct entry *newest, *oldest;
};

struct evtls_session_cache *evtls_session_cache_new(size_t size)
{
    struct evtls_session_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        return NULL;
    if (pthread_mutex_init(&cache->lock, NULL) != 0) {
        free(cache);
        return NULL;
    }
    cache->size = size;
    return cache;
}

static void entry_free(struct entry *entry)
{
    SSL_SESSION_free(entry->session);
    free(entry);
}

void evtls_session_cache_free(struct evtls_session_cache *cache)
{
    struct entry *entry, *older;

    if (cache == NULL)
        return;
    for (entry = cache->newest; entry != NULL; entry = older) {
        older = entry->older;
        entry_free(entry);
    }
    free(cache->buckets);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Where an id hangs, or would: ids are our own random bytes, so their first two are a hash. */
static struct entry **find(struct evtls_session_cache *cache, const unsigned char *id, size_t len)
{
    unsigned hash = len >= 2 ? (unsigned)id[0] << 8 | id[1] : 0;
    struct entry **link = &cache->buckets[hash & (BUCKETS - 1)];

    while (*link != NULL && ((*link)->len != len || memcmp((*link)->id, id, len) != 0))
        link = &(*link)->next_in_bucket;
    return link;
}

static void list_remove(struct evtls_session_cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void list_push(struct evtls_session_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void drop(struct evtls_session_cache *cache, struct entry **link)
{
    struct entry *entry = *link;

    *link = entry->next_in_bucket;
    list_remove(cache, entry);
    cache->count--;
    entry_free(entry);
}

static struct entry *entry_new(const SSL_SESSION *session, int64_t expiry)
{
    unsigned len;
    const unsigned char *id = SSL_SESSION_get_id(session, &len);
    struct entry *entry = len > 0 && len <= sizeof(entry->id) ? calloc(1, sizeof(*entry)) : NULL;

    if (entry == NULL)
        return NULL;
    entry->session = SSL_SESSION_dup(session);
    if (entry->session == NULL) {
        free(entry);
        return NULL;
    }
    entry->expiry = expiry;
    entry->len = len;
    memcpy(entry->id, id, len);
    return entry;
}

void evtls_session_cache_add(struct evtls_session_cache *cache, const SSL_SESSION *session,
                             int64_t now, int64_t expiry)
{
    struct entry *entry = expiry > now ? entry_new(session, expiry) : NULL;
    struct entry **link;

    if (entry == NULL)
        return;
    pthread_mutex_lock(&cache->lock);
    if (cache->buckets == NULL)
        cache->buckets = calloc(BUCKETS, sizeof(*cache->buckets));
    if (cache->buckets == NULL) {
        pthread_mutex_unlock(&cache->lock);
        entry_free(entry);
        return;
    }
    link = find(cache, entry->id, entry->len);
    if (*link != NULL)
        drop(cache, link);
    while (cache->oldest != NULL &&
           (cache->count >= cache->size || cache->oldest->expiry <= now))
        drop(cache, find(cache, cache->oldest->id, cache->oldest->len));
    /* Dropping may have freed the entry that link points into. */
    link = find(cache, entry->id, entry->len);
    *link = entry;
    list_push(cache, entry);
    cache->count++;
    pthread_mutex_unlock(&cache->lock);
}

SSL_SESSION *evtls_session_cache_get(struct evtls_session_cache *cache, const unsigned char *id,
                                     size_t len, int64_t now)
{
    SSL_SESSION *session = NULL;
    struct entry **link;

    pthread_mutex_lock(&cache->lock);
    if (cache->buckets != NULL) {
        link = find(cache, id, len);
        if (*link != NULL && (*link)->expiry <= now) {
            drop(cache, link);
        } else if (*link != NULL) {
            list_remove(cache, *link);
            list_push(cache, *link);
            session = SSL_SESSION_dup((*link)->session);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return session;
}

void evtls_session_cache_remove(struct evtls_session_cache *cache, const unsigned char *id,
                                size_t len)
{
    struct entry **link;

    pthread_mutex_lock(&cache->lock);
    if (cache->buckets != NULL) {
        link = find(cache, id, len);
        if (*link != NULL)
            drop(cache, link);
    }
    pthread_mutex_unlock(&cache->lock);
}

size_t evtls_session_cache_get_count(struct evtls_session_cache *cache)
{
    size_t count;

    pthread_mutex_lock(&cache->lock);
    count = cache->count;
    pthread_mutex_unlock(&cache->lock);
    return count;
}
