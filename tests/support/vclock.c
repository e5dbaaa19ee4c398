/* SPDX-License-Identifier: BSD-3-Clause */
/* The checked variant of poll would be defined inline. */
#undef _FORTIFY_SOURCE

#include "vclock.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

static struct {
    int (*clock_gettime)(clockid_t, struct timespec *);
    int (*epoll_wait)(int, struct epoll_event *, int, int);
    int (*epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
    int (*poll)(struct pollfd *, nfds_t, int);
    int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
} real;

static atomic_bool enabled;
static atomic_llong advanced_ns;
static atomic_uint jumps;
static atomic_int grace_ms = 2;
static int64_t start_monotonic_ns;
static int64_t start_real_ns;

static void find(void *slot, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    memcpy(slot, &symbol, sizeof symbol);
}

static void find_all(void)
{
    find(&real.clock_gettime, "clock_gettime");
    find(&real.epoll_wait, "epoll_wait");
    find(&real.epoll_pwait, "epoll_pwait");
    find(&real.poll, "poll");
    find(&real.select, "select");
}

static void resolve(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_all);
}

static int64_t real_ns(clockid_t clock)
{
    struct timespec ts;

    resolve();
    real.clock_gettime(clock, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void vclock_enable(void)
{
    start_monotonic_ns = real_ns(CLOCK_MONOTONIC);
    start_real_ns = real_ns(CLOCK_REALTIME);
    atomic_store(&advanced_ns, 0);
    atomic_store(&jumps, 0);
    atomic_store(&enabled, true);
}

static int64_t round_up_ns(int64_t ns)
{
    return (ns / (10 * NS_PER_S) + 1) * 10 * NS_PER_S;
}

void vclock_round_up(void)
{
    start_monotonic_ns = round_up_ns(start_monotonic_ns);
    start_real_ns = round_up_ns(start_real_ns);
}

void vclock_set(int64_t seconds)
{
    start_monotonic_ns = 1000000 * NS_PER_S;
    start_real_ns = seconds * NS_PER_S;
}

void vclock_disable(void)
{
    atomic_store(&enabled, false);
}

void vclock_advance_ms(int64_t ms)
{
    atomic_fetch_add(&advanced_ns, ms * NS_PER_MS);
}

void vclock_set_grace_ms(int ms)
{
    atomic_store(&grace_ms, ms);
}

int64_t vclock_elapsed_ms(void)
{
    return atomic_load(&advanced_ns) / NS_PER_MS;
}

unsigned vclock_jumps(void)
{
    return atomic_load(&jumps);
}

int64_t vclock_real_ms(void)
{
    return real_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

/* Where a virtual clock starts, or -1: not one that is faked. */
static int64_t virtual_start(clockid_t clock)
{
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return start_monotonic_ns;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return start_real_ns;
    default:
        return -1;
    }
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    int64_t start = atomic_load(&enabled) ? virtual_start(clock) : -1;
    int64_t now;

    if (start < 0) {
        resolve();
        return real.clock_gettime(clock, ts);
    }
    now = start + atomic_load(&advanced_ns);
    ts->tv_sec = now / NS_PER_S;
    ts->tv_nsec = now % NS_PER_S;
    return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;

    (void)tz;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (out != NULL)
        *out = ts.tv_sec;
    return ts.tv_sec;
}

/* A wait of so many nanoseconds came to nothing: it is over. */
static void jump(int64_t ns)
{
    atomic_fetch_add(&advanced_ns, ns);
    atomic_fetch_add(&jumps, 1);
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
    int n;

    resolve();
    if (!atomic_load(&enabled) || timeout <= 0)
        return real.epoll_pwait(fd, events, max, timeout, mask);
    n = real.epoll_pwait(fd, events, max, atomic_load(&grace_ms), mask);
    if (n == 0)
        jump(timeout * NS_PER_MS);
    return n;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    int n;

    resolve();
    if (!atomic_load(&enabled) || timeout <= 0)
        return real.epoll_wait(fd, events, max, timeout);
    n = real.epoll_wait(fd, events, max, atomic_load(&grace_ms));
    if (n == 0)
        jump(timeout * NS_PER_MS);
    return n;
}

/* Later versions of libevent wait with this one. The C library may not declare it yet. */
int epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *timeout,
                 const sigset_t *mask);

int epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *timeout,
                 const sigset_t *mask)
{
    int64_t ns = timeout != NULL ? timeout->tv_sec * NS_PER_S + timeout->tv_nsec : -1;
    /* Rounded up: a virtual wait jumps by the exact time below. */
    int ms = ns < 0 ? -1 : (int)((ns + NS_PER_MS - 1) / NS_PER_MS);
    int n;

    resolve();
    if (!atomic_load(&enabled) || ns <= 0)
        return real.epoll_pwait(fd, events, max, ms, mask);
    n = real.epoll_pwait(fd, events, max, atomic_load(&grace_ms), mask);
    if (n == 0)
        jump(ns);
    return n;
}

int poll(struct pollfd *fds, nfds_t n_fds, int timeout)
{
    int n;

    resolve();
    if (!atomic_load(&enabled) || timeout <= 0)
        return real.poll(fds, n_fds, timeout);
    n = real.poll(fds, n_fds, atomic_load(&grace_ms));
    if (n == 0)
        jump(timeout * NS_PER_MS);
    return n;
}

int select(int n_fds, fd_set *restrict in, fd_set *restrict out, fd_set *restrict except,
           struct timeval *restrict timeout)
{
    struct timeval grace = {.tv_usec = atomic_load(&grace_ms) * 1000};
    int n;

    resolve();
    if (!atomic_load(&enabled) || timeout == NULL ||
        (timeout->tv_sec == 0 && timeout->tv_usec == 0))
        return real.select(n_fds, in, out, except, timeout);
    n = real.select(n_fds, in, out, except, &grace);
    if (n == 0)
        jump(timeout->tv_sec * NS_PER_S + timeout->tv_usec * 1000LL);
    return n;
}

#ifdef __GLIBC__
/* What a program built with _FORTIFY_SOURCE calls. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
    if (room / sizeof *fds < n)
        raise(SIGABRT);
    return poll(fds, n, timeout);
}
#endif
