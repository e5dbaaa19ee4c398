/* SPDX-License-Identifier: BSD-3-Clause */
#include "alloc_faults.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "alloc_guard.h"
#include "require.h"

/* The calls of malloc and realloc here may be wrapped themselves: paused, they are not seen twice.
 */

static void *real_malloc(size_t size)
{
    void *p;

    alloc_faults_pause();
    p = malloc(size);
    alloc_faults_resume();
    return p;
}

static void *real_realloc(void *old, size_t size)
{
    void *p;

    alloc_faults_pause();
    p = realloc(old, size);
    alloc_faults_resume();
    return p;
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    return alloc_guard_fails(ALLOC_OPENSSL, file, line) ? NULL : real_malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line)
{
    return alloc_guard_fails(ALLOC_OPENSSL, file, line) ? NULL : real_realloc(old, size);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* libevent takes errno from its allocator. */
static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static void *libevent_malloc(size_t size)
{
    return alloc_guard_fails(ALLOC_LIBEVENT, NULL, 0) ? out_of_memory() : real_malloc(size);
}

static void *libevent_realloc(void *old, size_t size)
{
    return alloc_guard_fails(ALLOC_LIBEVENT, NULL, 0) ? out_of_memory() : real_realloc(old, size);
}

void alloc_faults_install(void)
{
    support_require(CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1);
    event_set_mem_functions(libevent_malloc, libevent_realloc, free);
}
