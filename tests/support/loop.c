/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

#include <dirent.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "require.h"

struct deadline {
    struct event *timer;
    bool fired;
};

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct deadline *deadline = arg;

    (void)fd;
    (void)what;
    deadline->fired = true;
}

static void deadline_start(struct deadline *deadline, struct event_base *base, long ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    deadline->fired = false;
    deadline->timer = evtimer_new(base, on_deadline, deadline);
    support_require(deadline->timer != NULL && evtimer_add(deadline->timer, &tv) == 0);
}

bool loop_until(struct event_base *base, loop_condition_fn condition, void *arg, long timeout_ms)
{
    struct deadline deadline;
    bool holds = condition(arg);

    if (holds)
        return true;
    deadline_start(&deadline, base, timeout_ms);
    while (!holds && !deadline.fired) {
        support_require(event_base_loop(base, EVLOOP_ONCE) == 0);
        holds = condition(arg);
    }
    event_free(deadline.timer);
    return holds;
}

static bool is_true(void *arg)
{
    const bool *flag = arg;

    return *flag;
}

bool loop_until_true(struct event_base *base, const bool *flag, long timeout_ms)
{
    return loop_until(base, is_true, (void *)flag, timeout_ms);
}

struct count {
    const unsigned *counter;
    unsigned n;
};

static bool has_reached(void *arg)
{
    const struct count *count = arg;

    return *count->counter >= count->n;
}

bool loop_until_count(struct event_base *base, const unsigned *counter, unsigned n, long timeout_ms)
{
    struct count count = {counter, n};

    return loop_until(base, has_reached, &count, timeout_ms);
}

unsigned loop_turns(struct event_base *base, long duration_ms)
{
    struct deadline deadline;
    unsigned turns = 0;

    deadline_start(&deadline, base, duration_ms);
    while (!deadline.fired) {
        support_require(event_base_loop(base, EVLOOP_ONCE) == 0);
        turns++;
    }
    event_free(deadline.timer);
    return turns - 1; /* the last one is the deadline's */
}

unsigned loop_drain(struct event_base *base, unsigned max)
{
    unsigned turns = 0;

    while (turns < max) {
        int active;

        support_require(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
        turns++;
        active = event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE);
        if (active == 0)
            break;
    }
    return turns;
}

long loop_cpu_us(void)
{
    struct rusage usage;

    support_require(getrusage(RUSAGE_THREAD, &usage) == 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

unsigned fd_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    support_require(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and the directory itself */
}
