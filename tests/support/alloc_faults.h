/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The n-th memory allocation fails.
 *
 * Seen are the allocations of OpenSSL and libevent, through the hooks that both have, and those of
 * all code linked statically into the program (evtls, the test itself) where it is linked with
 * $(alloc_faults_ldflags). They are counted and failed only between alloc_faults_begin and
 * alloc_faults_end, and only in the thread that called these. Works under the sanitizers.
 *
 *     int main(void)
 *     {
 *         alloc_faults_install();        first of all: OpenSSL's hooks come before its first use
 *         return suite_run(...);
 *     }
 *
 *     for (uint64_t n = 1, hits = 1; hits > 0; n++) {
 *         ... set up ...
 *         alloc_faults_begin(ALLOC_FAIL_AT, n);
 *         ... the tested calls ...
 *         hits = alloc_faults_end().failed;
 *         ... look, clean up ...
 *     }
 *
 * While it is on, callbacks of the test that allocate pause it, and so does ck_assert (Check
 * allocates for each). peer.h, faults.h and script_transport.h pause by themselves: the other side
 * is never hit. OpenSSL initialises itself once a process, for good: run the tested calls once with
 * ALLOC_COUNT before any failure. With EVTLS_ALLOC_TRACE=1 in the environment each failed
 * allocation prints where it was.
 */
#ifndef EVTLS_TESTS_SUPPORT_ALLOC_FAULTS_H
#define EVTLS_TESTS_SUPPORT_ALLOC_FAULTS_H

#include <stdint.h>

enum alloc_mode {
    ALLOC_COUNT,     /* nothing fails */
    ALLOC_FAIL_AT,   /* the n-th, counted from 1 */
    ALLOC_FAIL_FROM, /* the n-th and all after it */
};

enum alloc_source {
    ALLOC_OPENSSL = 1,
    ALLOC_LIBEVENT = 2,
    ALLOC_PROGRAM = 4,
    ALLOC_ALL = 7,
};

struct alloc_result {
    uint64_t seen;
    uint64_t failed;
};

void alloc_faults_install(void);

/* Only allocations from these sources are seen from now on, in this thread; at first all are. */
void alloc_faults_select(unsigned sources);

void alloc_faults_begin(enum alloc_mode mode, uint64_t n);
struct alloc_result alloc_faults_end(void);

/* Nested calls are counted; without a begin they do nothing. */
void alloc_faults_pause(void);
void alloc_faults_resume(void);

#endif
