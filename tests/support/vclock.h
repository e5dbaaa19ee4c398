/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual clock for tests of deadlines.
 *
 * While it is enabled, time stands still for the whole process (clock_gettime of the monotonic and
 * the real clock, gettimeofday, time: libevent, OpenSSL and evtls all ask these), and moves in two
 * ways only: by vclock_advance, and where an event loop would sleep. epoll_wait, poll and select
 * then return at once, and the clock has moved on by what the loop wanted to sleep. A deadline of
 * 30 seconds passes in a few milliseconds, and a test sees exact times.
 *
 *     vclock_enable();
 *     base = event_base_new();
 *     ...
 *     ck_assert(loop_until(base, timed_out, &state, 60000));
 *     ck_assert_int_eq(vclock_elapsed_ms(), 30000);
 *
 * Before it jumps, a loop waits the grace time for real (2 ms), because the kernel may still be
 * about to deliver what was sent to a socket. Where the other side is another process, set it
 * higher than that side takes to answer; with UNIX sockets inside the process 0 is right.
 *
 * Not virtual: waits without an end, sleep and its relatives, timerfd (libevent uses it only for
 * EVENT_BASE_FLAG_PRECISE_TIMER), waits on condition variables. For one loop thread. Disabling sets
 * the clock back, so no event base made under it may live longer. A test disables it before it
 * returns: Check measures tests by this clock and cannot count more than an hour.
 */
#ifndef EVTLS_TESTS_SUPPORT_VCLOCK_H
#define EVTLS_TESTS_SUPPORT_VCLOCK_H

#include <stdint.h>

void vclock_enable(void);
void vclock_disable(void);

/* Right after vclock_enable: moves all clocks on to a full ten seconds each, so that the ticks of
 * rate limits fall alike in every run. */
void vclock_round_up(void);

/* Right after vclock_enable: sets the real clock to a second since 1970, and the monotonic one to
 * the same in every run, so that certificates made then are the same, and all that follows from
 * them. */
void vclock_set(int64_t seconds);

void vclock_advance_ms(int64_t ms);
void vclock_set_grace_ms(int ms);

/* Virtual time since vclock_enable; how often a loop jumped. */
int64_t vclock_elapsed_ms(void);
unsigned vclock_jumps(void);

/* The machine's monotonic clock, whether enabled or not. */
int64_t vclock_real_ms(void);

#endif
