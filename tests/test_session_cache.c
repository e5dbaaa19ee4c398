/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "session_cache.h"
#include "support/suite.h"

/* A session whose id is 32 bytes that begin with n. */
static SSL_SESSION *session_of(unsigned n, unsigned char id[32])
{
    SSL_SESSION *session = SSL_SESSION_new();

    memset(id, 0x5a, 32);
    id[0] = 0x11; /* all in one bucket */
    id[1] = 0x22;
    memcpy(id + 2, &n, sizeof(n));
    ck_assert_ptr_nonnull(session);
    ck_assert(SSL_SESSION_set1_id(session, id, 32));
    return session;
}

static void add(struct evtls_session_cache *cache, unsigned n, int64_t now, int64_t expiry)
{
    unsigned char id[32];
    SSL_SESSION *session = session_of(n, id);

    evtls_session_cache_add(cache, session, now, expiry);
    SSL_SESSION_free(session);
}

static bool has(struct evtls_session_cache *cache, unsigned n, int64_t now)
{
    unsigned char id[32];
    SSL_SESSION *probe = session_of(n, id), *found = evtls_session_cache_get(cache, id, 32, now);

    SSL_SESSION_free(probe);
    SSL_SESSION_free(found);
    return found != NULL;
}

START_TEST(session_cache__gives_copies_until_they_expire)
{
    struct evtls_session_cache *cache = evtls_session_cache_new(8);
    unsigned char id[32];
    SSL_SESSION *session = session_of(1, id), *one, *two;

    ck_assert(!has(cache, 1, 100));
    evtls_session_cache_add(cache, session, 100, 200);
    one = evtls_session_cache_get(cache, id, 32, 199);
    two = evtls_session_cache_get(cache, id, 32, 199);
    ck_assert_ptr_nonnull(one);
    ck_assert(one != two && one != session);
    ck_assert_ptr_null(evtls_session_cache_get(cache, id, 31, 199));
    ck_assert_ptr_null(evtls_session_cache_get(cache, id, 32, 200));
    ck_assert_uint_eq(evtls_session_cache_get_count(cache), 0);
    SSL_SESSION_free(one);
    SSL_SESSION_free(two);
    SSL_SESSION_free(session);
    evtls_session_cache_free(cache);
    evtls_session_cache_free(NULL);
}
END_TEST

START_TEST(session_cache__drops_what_is_unused_for_longest)
{
    struct evtls_session_cache *cache = evtls_session_cache_new(3);

    add(cache, 1, 0, 1000);
    add(cache, 2, 0, 1000);
    add(cache, 3, 0, 1000);
    ck_assert(has(cache, 1, 1));
    add(cache, 4, 0, 1000);
    ck_assert_uint_eq(evtls_session_cache_get_count(cache), 3);
    ck_assert(has(cache, 1, 1));
    ck_assert(!has(cache, 2, 1));
    ck_assert(has(cache, 3, 1));
    ck_assert(has(cache, 4, 1));
    evtls_session_cache_free(cache);
}
END_TEST

START_TEST(session_cache__expired_ones_make_room_first)
{
    struct evtls_session_cache *cache = evtls_session_cache_new(100);

    add(cache, 1, 0, 10);
    add(cache, 2, 0, 10);
    add(cache, 3, 0, 1000);
    add(cache, 4, 10, 1000);
    ck_assert_uint_eq(evtls_session_cache_get_count(cache), 2);
    add(cache, 5, 50, 50); /* dead on arrival */
    ck_assert_uint_eq(evtls_session_cache_get_count(cache), 2);
    evtls_session_cache_free(cache);
}
END_TEST

START_TEST(session_cache__remove_and_replace)
{
    struct evtls_session_cache *cache = evtls_session_cache_new(8);
    unsigned char id[32];
    unsigned n;

    SSL_SESSION_free(session_of(2, id));
    evtls_session_cache_remove(cache, id, 32); /* before there is anything */
    for (n = 1; n <= 3; n++)
        add(cache, n, 0, 1000);
    add(cache, 2, 0, 2000);
    ck_assert_uint_eq(evtls_session_cache_get_count(cache), 3);
    ck_assert(has(cache, 2, 1500));
    evtls_session_cache_remove(cache, id, 32);
    evtls_session_cache_remove(cache, id, 32);
    ck_assert(!has(cache, 2, 1));
    ck_assert(has(cache, 1, 1) && has(cache, 3, 1));
    evtls_session_cache_free(cache);
}
END_TEST

START_TEST(session_cache__ignores_a_session_without_id)
{
    struct evtls_session_cache *cache = evtls_session_cache_new(8);
    SSL_SESSION *session = SSL_SESSION_new();

    evtls_session_cache_add(cache, session, 0, 1000);
    ck_assert_uint_eq(evtls_session_cache_get_count(cache), 0);
    SSL_SESSION_free(session);
    evtls_session_cache_free(cache);
}
END_TEST

static void *use_it(void *arg)
{
    unsigned n;

    for (n = 0; n < 500; n++) {
        add(arg, n % 40, n, n + 20);
        has(arg, (n + 7) % 40, n);
    }
    return NULL;
}

START_TEST(session_cache__threads_share_it)
{
    struct evtls_session_cache *cache = evtls_session_cache_new(16);
    pthread_t threads[4];
    int i;

    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_it, cache), 0);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_le(evtls_session_cache_get_count(cache), 16);
    evtls_session_cache_free(cache);
}
END_TEST

static Suite *session_cache_suite(void)
{
    Suite *suite = suite_create("session_cache");
    TCase *tcase = tcase_create("session_cache");

    tcase_add_test(tcase, session_cache__gives_copies_until_they_expire);
    tcase_add_test(tcase, session_cache__drops_what_is_unused_for_longest);
    tcase_add_test(tcase, session_cache__expired_ones_make_room_first);
    tcase_add_test(tcase, session_cache__remove_and_replace);
    tcase_add_test(tcase, session_cache__ignores_a_session_without_id);
    tcase_add_test(tcase, session_cache__threads_share_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(session_cache_suite());
}
