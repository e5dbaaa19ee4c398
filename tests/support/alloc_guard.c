/* SPDX-License-Identifier: BSD-3-Clause */
#include "alloc_guard.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "require.h"

static _Thread_local struct {
    bool armed;
    unsigned paused;
    unsigned ignored; /* sources that are not looked at */
    enum alloc_mode mode;
    uint64_t n;
    struct alloc_result result;
} guard;

void alloc_faults_select(unsigned sources)
{
    guard.ignored = ALLOC_ALL & ~sources;
}

void alloc_faults_begin(enum alloc_mode mode, uint64_t n)
{
    support_require(!guard.armed);
    guard.mode = mode;
    guard.n = n;
    guard.result = (struct alloc_result){0};
    guard.paused = 0;
    guard.armed = true;
}

struct alloc_result alloc_faults_end(void)
{
    support_require(guard.armed && guard.paused == 0);
    guard.armed = false;
    return guard.result;
}

void alloc_faults_pause(void)
{
    guard.paused++;
}

void alloc_faults_resume(void)
{
    guard.paused--;
}

static void trace(enum alloc_source source, const char *file, int line)
{
    static const char *const names[] = {[ALLOC_OPENSSL] = "OpenSSL",
                                        [ALLOC_LIBEVENT] = "libevent",
                                        [ALLOC_PROGRAM] = "the program"};
    void *frames[32];

    if (getenv("EVTLS_ALLOC_TRACE") == NULL)
        return;
    alloc_faults_pause(); /* the first backtrace allocates */
    fprintf(stderr, "allocation %llu fails, of %s %s:%d\n", (unsigned long long)guard.result.seen,
            names[source], file != NULL ? file : "", line);
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    alloc_faults_resume();
}

bool alloc_guard_fails(enum alloc_source source, const char *file, int line)
{
    bool fails = false;

    if (!guard.armed || guard.paused > 0 || (guard.ignored & source) != 0)
        return false;
    guard.result.seen++;
    if (guard.mode == ALLOC_FAIL_AT)
        fails = guard.result.seen == guard.n;
    else if (guard.mode == ALLOC_FAIL_FROM)
        fails = guard.result.seen >= guard.n;
    if (fails) {
        guard.result.failed++;
        trace(source, file, line);
    }
    return fails;
}
